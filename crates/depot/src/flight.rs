//! One fetch for all who want the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::DepotError;
use crate::gate::{Gate, Party, Ticket, Turn};

/// The fetches under way, by what they fetch. `V` is what everyone who waits is given.
#[derive(Debug)]
pub(crate) struct Flights<K, V> {
    under_way: UnderWay<K, V>,
    gate: Arc<Gate>,
}

type UnderWay<K, V> = Arc<Mutex<HashMap<K, Flight<V>>>>;

#[derive(Debug)]
struct Flight<V> {
    result: watch::Receiver<Option<V>>,
    /// Its ticket at the gate.
    ticket: u64,
}

/// Where a fetch leaves its result. It stays findable until this is dropped, so that nobody fetches again what is
/// already here but not yet stored.
pub(crate) struct Landing<K: Eq + Hash, V> {
    key: K,
    under_way: UnderWay<K, V>,
    result: watch::Sender<Option<V>>,
    ticket: Option<Ticket>,
    /// Nobody finds it any more.
    is_given_up: bool,
}

impl<K, V> Flights<K, V> {
    /// Fetches that have their turn at a gate.
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self {
            under_way: Arc::default(),
            gate,
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
    pub(crate) async fn join<F>(
        &self,
        key: &K,
        party: Party,
        begin: impl FnOnce(Landing<K, V>) -> F,
    ) -> Option<V>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut result = self.enter(key, party, begin);
        let landed = result.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }

    fn enter<F>(
        &self,
        key: &K,
        party: Party,
        begin: impl FnOnce(Landing<K, V>) -> F,
    ) -> watch::Receiver<Option<V>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = under_way.get(key) {
            self.gate.join(flight.ticket, party);
            return flight.result.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let ticket = self.gate.ticket(party);
        let flight = Flight {
            result: receiver.clone(),
            ticket: ticket.number(),
        };
        under_way.insert(key.clone(), flight);
        let landing = Landing {
            key: key.clone(),
            under_way: self.under_way.clone(),
            result: sender,
            ticket: Some(ticket),
            is_given_up: false,
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
            flights.get(key).map(|flight| flight.result.clone())
        };
        if let Some(mut result) = under_way {
            while result.changed().await.is_ok() {}
        }
    }

    /// Whether a fetch for `key` is under way.
    pub(crate) fn is_under_way(&self, key: &K) -> bool {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(key)
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
    /// Waits for the turn to fetch; `None` if nobody waits for the result any more when it comes.
    ///
    /// # Errors
    /// [`DepotError::Busy`] when there is too much to do.
    pub(crate) async fn turn(&mut self) -> Option<Result<Turn, DepotError>> {
        let turn = match self.ticket.take()?.turn().await {
            Ok(turn) => turn,
            Err(error) => return Some(Err(error)),
        };
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // One of them is that by which it is found.
        if self.result.receiver_count() > 1 {
            return Some(Ok(turn));
        }
        under_way.remove(&self.key);
        self.is_given_up = true;
        None
    }

    /// Gives the result to everyone who waits.
    pub(crate) fn give(&self, value: V) {
        self.result.send_replace(Some(value));
    }
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        if self.is_given_up {
            return;
        }
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

    use crate::gate::Admission;

    use super::*;

    fn flights<V>(fetches: usize) -> Arc<Flights<&'static str, V>> {
        Arc::new(Flights::new(Arc::new(Gate::new(Admission {
            fetches,
            ..Admission::default()
        }))))
    }

    #[tokio::test(start_paused = true)]
    async fn everyone_who_asks_meanwhile_gets_the_result_of_one_fetch() {
        let flights = flights::<usize>(8);
        let fetches = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (flights, fetches) = (flights.clone(), fetches.clone());
            tokio::spawn(async move {
                flights
                    .join(&"key", Party::Own, move |landing| async move {
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
        let flights = flights::<&str>(8);
        let begin = |landing: Landing<&'static str, &'static str>| async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            landing.give("done");
        };
        let first = {
            let flights = flights.clone();
            tokio::spawn(async move { flights.join(&"key", Party::Own, begin).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        first.abort();
        let ended = flights.end_of(&"key");
        let second = flights
            .join(&"key", Party::Own, |_| async {
                unreachable!("the first fetch is still under way")
            })
            .await;
        assert_eq!(second, Some("done"));
        ended.await;
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_fetch_that_dies_gives_nothing_and_blocks_nothing() {
        let flights = flights::<&str>(8);
        assert_eq!(
            flights
                .join(&"key", Party::Own, |landing| async move { drop(landing) })
                .await,
            None
        );
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_has_not_begun_is_not_begun_for_those_who_have_left() {
        let flights = flights::<&str>(1);
        let gate = flights.gate.clone();
        let held = gate.ticket(Party::Own).turn().await.unwrap();
        let fetches = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (flights, fetches) = (flights.clone(), fetches.clone());
            tokio::spawn(async move {
                let begin = move |mut landing: Landing<&'static str, &'static str>| async move {
                    if let Some(Ok(_turn)) = landing.turn().await {
                        fetches.fetch_add(1, Ordering::Relaxed);
                        landing.give("done");
                    }
                };
                flights.join(&"key", Party::Own, begin).await
            })
        };
        let first = ask();
        while flights.len() == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        drop(held);
        while flights.len() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 0);
        assert_eq!(ask().await.unwrap(), Some("done"));
    }
}
