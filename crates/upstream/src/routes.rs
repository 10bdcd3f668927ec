use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an upstream's word that it relays a database, or does not, is believed.
const BELIEVED: Duration = Duration::from_mins(5);

/// Which upstream relays which database, as far as they were asked.
#[derive(Debug, Default)]
pub(crate) struct SumdbRoutes {
    known: Mutex<HashMap<(String, String), (bool, Instant)>>,
}

impl SumdbRoutes {
    pub(crate) fn get(&self, upstream: &str, name: &str) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&(upstream.to_owned(), name.to_owned()))
            .filter(|(_, asked)| asked.elapsed() < BELIEVED)
            .map(|(relays, _)| *relays)
    }

    pub(crate) fn set(&self, upstream: &str, name: &str, relays: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(
            (upstream.to_owned(), name.to_owned()),
            (relays, Instant::now()),
        );
    }
}
