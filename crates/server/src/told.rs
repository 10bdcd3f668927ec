//! Thins out what the prefetcher is told of hot answers.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Of which client it was told last that a hot answer was given, and in which second: the same client asking for the same
/// again says nothing new, and telling costs more than giving.
#[derive(Debug, Default)]
pub(crate) struct Told(AtomicU64);

impl Told {
    /// Whether the prefetcher is to be told.
    pub(crate) fn is_new(&self, client: IpAddr, now: Instant) -> bool {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        let second = now.saturating_duration_since(*BEGINNING).as_secs();
        let mut hasher = DefaultHasher::new();
        (client, second).hash(&mut hasher);
        // Never that of a fresh one.
        let mark = hasher.finish() | 1;
        if self.0.load(Ordering::Relaxed) == mark {
            return false;
        }
        self.0.store(mark, Ordering::Relaxed);
        true
    }
}

impl Clone for Told {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_client_is_told_of_once_a_second_and_another_at_once() {
        let (told, now) = (Told::default(), Instant::now() + Duration::from_secs(5));
        let [a, b] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        assert!(told.is_new(a, now));
        assert!(!told.is_new(a, now));
        assert!(told.is_new(b, now));
        assert!(told.is_new(a, now));
        assert!(told.is_new(a, now + Duration::from_secs(2)));
    }
}
