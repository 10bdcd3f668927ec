//! Work that several callers want at once is done once, and goes on when the one who started it goes away.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

type Flight<T> = Shared<BoxFuture<'static, Option<T>>>;

/// The work in progress, by what it is for.
pub(crate) struct Flights<K, T: Clone> {
    running: Mutex<HashMap<K, Flight<T>>>,
}

impl<K, T: Clone> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
        }
    }
}

impl<K, T> Flights<K, T>
where
    K: Hash + Eq + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// The result of the work for `key`: of that in progress, or else of `work`, which is started. `None` when the
    /// work panicked.
    pub(crate) async fn join<F>(self: &Arc<Self>, key: K, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let flight = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(flight) = running.get(&key) {
                flight.clone()
            } else {
                let landing = Landing {
                    flights: Arc::clone(self),
                    key: key.clone(),
                };
                let work = work();
                let task = tokio::spawn(async move {
                    let _landing = landing;
                    work.await
                });
                let flight = task.map(Result::ok).boxed().shared();
                running.insert(key, flight.clone());
                flight
            }
        };
        flight.await
    }
}

/// Takes the work off the list when it is over, however it ended.
struct Landing<K: Hash + Eq, T: Clone> {
    flights: Arc<Flights<K, T>>,
    key: K,
}

impl<K: Hash + Eq, T: Clone> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.flights
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn twenty_callers_share_one_run_and_survive_the_first() {
        let flights: Arc<Flights<&str, usize>> = Arc::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let call = || {
            let (flights, runs) = (Arc::clone(&flights), Arc::clone(&runs));
            async move {
                flights
                    .join("key", || async move {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        runs.fetch_add(1, Ordering::SeqCst)
                    })
                    .await
            }
        };
        let first = tokio::spawn(call());
        tokio::task::yield_now().await;
        let rest: Vec<_> = (0..19).map(|_| tokio::spawn(call())).collect();
        tokio::task::yield_now().await;
        first.abort();
        for caller in rest {
            assert_eq!(caller.await.unwrap(), Some(0));
        }
        assert_eq!(call().await, Some(1));
    }

    #[tokio::test]
    async fn work_that_panics_gives_nothing_and_can_be_done_again() {
        let flights: Arc<Flights<u8, u8>> = Arc::default();
        let failed = flights
            .join(1, || async { std::panic::resume_unwind(Box::new(())) })
            .await;
        assert_eq!(failed, None);
        assert_eq!(flights.join(1, || async { 7 }).await, Some(7));
    }
}
