use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::DepotError;

/// Memory for absences; the least used go first when there is no room. Some ten thousand find room.
const BYTES: u64 = 4 << 20;
/// What an absence takes beside its path and the words of who told it, in bytes.
const OVERHEAD: u64 = 200;
/// A guess that sizes the table; it grows as needed.
const EXPECTED: usize = 4_096;
/// What is too old is not looked for more often.
const SWEEP: Duration = Duration::from_secs(1);

/// Remembers for a while what does not exist. The `go` command asks for every prefix of an import path, so the same
/// few absent names are asked for again and again. Others are asked for once, by mistake or to find out what there is:
/// they are forgotten when their time is over, although nobody asks for them again.
#[derive(Debug)]
pub(crate) struct Negatives {
    known: Cache<String, (DepotError, Instant), ByMemory>,
    swept: Mutex<Instant>,
}

#[derive(Clone, Debug)]
struct ByMemory;

impl Weighter<String, (DepotError, Instant)> for ByMemory {
    fn weight(&self, path: &String, (error, _): &(DepotError, Instant)) -> u64 {
        let words = match error {
            DepotError::Absent { reason, .. } => reason.len(),
            _ => 0,
        };
        (path.len() + words) as u64 + OVERHEAD
    }
}

impl Negatives {
    pub(crate) fn new() -> Self {
        Self {
            known: Cache::with_weighter(EXPECTED, BYTES, ByMemory),
            swept: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn get(&self, path: &str, ttl: Duration) -> Option<DepotError> {
        let (error, since) = self.known.get(path)?;
        if since.elapsed() < ttl {
            return Some(error);
        }
        self.known.remove(path);
        None
    }

    /// Forgets all, because others are asked from now on.
    pub(crate) fn clear(&self) {
        self.known.clear();
    }

    /// Remembers an absence, for so long; anything else is not remembered, so that trouble heals by itself.
    pub(crate) fn learn(&self, path: &str, error: &DepotError, ttl: Duration) {
        self.learn_at(path, error, ttl, Instant::now());
    }

    fn learn_at(&self, path: &str, error: &DepotError, ttl: Duration, now: Instant) {
        if error.is_absence() {
            self.known.insert(path.to_owned(), (error.clone(), now));
            self.sweep(ttl, now);
        }
    }

    /// Forgets what is too old, once in a while.
    fn sweep(&self, ttl: Duration, now: Instant) {
        let is_due = {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = now.saturating_duration_since(*swept) >= ttl.max(SWEEP);
            if is_due {
                *swept = now;
            }
            is_due
        };
        if is_due {
            let is_young = |since: Instant| now.saturating_duration_since(since) < ttl;
            self.known.retain(|_, (_, since)| is_young(*since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(30);

    fn absent(words: &str) -> DepotError {
        DepotError::Absent {
            gone: false,
            reason: words.into(),
        }
    }

    #[test]
    fn names_that_nobody_asks_for_again_are_forgotten_when_their_time_is_over() {
        let negatives = Negatives::new();
        let began = Instant::now();
        // Ten names in a second, for an hour, every time another.
        let mut most = 0;
        for number in 0..36_000_u32 {
            let now = began + Duration::from_millis(100) * number;
            let path = format!("example.com/m{number}/@v/list");
            negatives.learn_at(&path, &absent("no such module"), TTL, now);
            most = most.max(negatives.known.len());
        }
        // Those of the time of two sweeps.
        assert!((300..=610).contains(&most), "{most}");
    }

    #[test]
    fn a_flood_of_names_takes_no_more_than_its_share_of_memory() {
        let negatives = Negatives::new();
        let (now, words) = (Instant::now(), "x".repeat(500));
        for number in 0..30_000 {
            let path = format!("example.com/m{number}/@v/list");
            negatives.learn_at(&path, &absent(&words), TTL, now);
            assert!(negatives.known.weight() <= BYTES);
        }
        assert!(negatives.known.weight() > BYTES / 2, "room is used");
        assert!(negatives.get("example.com/m29999/@v/list", TTL).is_some());
    }
}
