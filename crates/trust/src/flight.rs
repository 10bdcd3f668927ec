use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

type Flight<V> = Shared<BoxFuture<'static, Option<V>>>;

/// One piece of work for all who want its result. It runs as a task of its own: whoever stops waiting disturbs nobody.
#[derive(Debug)]
pub(crate) struct Flights<K, V: Clone> {
    under_way: Arc<Mutex<HashMap<K, Flight<V>>>>,
}

impl<K, V: Clone> Default for Flights<K, V> {
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
    /// Joins the work for `key`, or begins it. `None` if it ended without a result, which is a fault of this program.
    pub(crate) async fn join<F>(&self, key: &K, begin: impl FnOnce() -> F) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = {
            let mut under_way = self.lock();
            let joined = under_way.get(key).cloned();
            joined.unwrap_or_else(|| {
                let flight = self.take_off(key, begin());
                under_way.insert(key.clone(), flight.clone());
                flight
            })
        };
        flight.await
    }

    fn take_off(&self, key: &K, work: impl Future<Output = V> + Send + 'static) -> Flight<V> {
        let landing = Landing {
            key: key.clone(),
            map: self.under_way.clone(),
        };
        let task = tokio::spawn(async move {
            let result = work.await;
            drop(landing);
            result
        });
        task.map(Result::ok).boxed().shared()
    }

    /// How many pieces of work are under way.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Flight<V>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the flight off the list, also when its work panics.
struct Landing<K: Eq + Hash, V: Clone> {
    key: K,
    map: Arc<Mutex<HashMap<K, Flight<V>>>>,
}

impl<K: Eq + Hash, V: Clone> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.map
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_cost_one_piece_of_work_and_later_ones_a_new_one() {
        let flights: Flights<u8, usize> = Flights::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let begun = begun.clone();
            flights.join(&1, move || async move {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                number
            })
        };
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        assert_eq!((first, second, third), (Some(0), Some(0), Some(0)));
        assert_eq!(ask().await, Some(1));
    }

    #[tokio::test]
    async fn work_that_panics_gives_nothing_and_blocks_nobody() {
        let flights: Flights<u8, usize> = Flights::default();
        let lost = flights.join(&1, || async { panic!("as a test") }).await;
        assert_eq!(lost, None);
        assert_eq!(flights.join(&1, || async { 7 }).await, Some(7));
    }
}
