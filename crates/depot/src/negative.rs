use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::DepotError;

/// Absences remembered at a time; the least used go first.
const CAPACITY: usize = 20_000;

/// Remembers for a while what does not exist. The `go` command asks for every prefix of an import path, so the same
/// few absent names are asked for again and again.
#[derive(Debug)]
pub(crate) struct Negatives {
    known: Cache<String, (DepotError, Instant)>,
}

impl Negatives {
    pub(crate) fn new() -> Self {
        Self {
            known: Cache::new(CAPACITY),
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

    /// Remembers an absence; anything else is not remembered, so that trouble heals by itself.
    pub(crate) fn learn(&self, path: &str, error: &DepotError) {
        if error.is_absence() {
            self.known
                .insert(path.to_owned(), (error.clone(), Instant::now()));
        }
    }
}
