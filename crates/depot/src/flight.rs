//! One fetch for all who want the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// The fetches under way, by what they fetch. `V` is what everyone who waits is given.
#[derive(Debug)]
pub(crate) struct Flights<K, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

/// Where a fetch leaves its result. It stays findable until this is dropped, so that nobody fetches again what is
/// already here but not yet stored.
pub(crate) struct Landing<K: Eq + Hash, V> {
    key: K,
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
    result: watch::Sender<Option<V>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self {
            under_way: Arc::default(),
        }
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the fetch for `key`, or begins one with `begin`, which runs as a task of its own. Returns its result;
    /// `None` if it ended without one. Whoever stops waiting disturbs nobody.
    pub(crate) async fn join<F>(&self, key: &K, begin: impl FnOnce(Landing<K, V>) -> F) -> Option<V>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut result = self.enter(key, begin);
        let landed = result.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }

    fn enter<F>(
        &self,
        key: &K,
        begin: impl FnOnce(Landing<K, V>) -> F,
    ) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = under_way.get(key) {
            return result.clone();
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(key.clone(), receiver.clone());
        let landing = Landing {
            key: key.clone(),
            under_way: self.under_way.clone(),
            result: sender,
        };
        tokio::spawn(begin(landing));
        receiver
    }

    /// Waits until no fetch for `key` is under way: until what it led to is stored, if it is.
    pub(crate) async fn end_of(&self, key: &K) {
        let under_way = {
            let flights = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            flights.get(key).cloned()
        };
        if let Some(mut result) = under_way {
            while result.changed().await.is_ok() {}
        }
    }

    /// How many fetches are under way.
    pub(crate) fn len(&self) -> usize {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl<K: Eq + Hash, V> Landing<K, V> {
    /// Gives the result to everyone who waits.
    pub(crate) fn give(&self, value: V) {
        self.result.send_replace(Some(value));
    }
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.under_way
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
    async fn everyone_who_asks_meanwhile_gets_the_result_of_one_fetch() {
        let flights: Arc<Flights<&str, usize>> = Arc::default();
        let fetches = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (flights, fetches) = (flights.clone(), fetches.clone());
            tokio::spawn(async move {
                flights
                    .join(&"key", move |landing| async move {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        landing.give(fetches.fetch_add(1, Ordering::Relaxed));
                    })
                    .await
            })
        };
        let asked: Vec<_> = (0..50).map(|_| ask()).collect();
        for answer in asked {
            assert_eq!(answer.await.unwrap(), Some(0));
        }
        assert_eq!(flights.len(), 0);
        assert_eq!(
            ask().await.unwrap(),
            Some(1),
            "a later question begins a new fetch"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_goes_on_when_whoever_began_it_leaves() {
        let flights: Arc<Flights<&str, &str>> = Arc::default();
        let begin = |landing: Landing<&'static str, &'static str>| async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            landing.give("done");
        };
        let first = {
            let flights = flights.clone();
            tokio::spawn(async move { flights.join(&"key", begin).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        first.abort();
        let ended = flights.end_of(&"key");
        let second = flights
            .join(&"key", |_| async {
                unreachable!("the first fetch is still under way")
            })
            .await;
        assert_eq!(second, Some("done"));
        ended.await;
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_fetch_that_dies_gives_nothing_and_blocks_nothing() {
        let flights: Flights<&str, &str> = Flights::default();
        assert_eq!(
            flights
                .join(&"key", |landing| async move { drop(landing) })
                .await,
            None
        );
        assert_eq!(flights.len(), 0);
    }
}
