//! Fetches that wait for each other.
//!
//! Two instances of this program, each of which has the other as an upstream, are asked for the same by clients of their
//! own. Each begins a fetch, asks the other, and the other's question joins the fetch that waits for it: neither would
//! end. That a request has come to where it was before is seen by its `Via`; that a fetch which it joins waits for an
//! instance it has passed through is not, because that fetch was begun for somebody else. So it is asked along the way
//! of that fetch, on behalf of who joined it, and whoever would wait for himself has a fetch of his own, apart.
//!
//! The result of a fetch that was begun for another instance may lack what that instance knows: it was not asked, because
//! it asked. Who joined such a fetch and hears that it went in a circle asks once more, on his own behalf.

use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gomod::ModulePath;
use upstream::Via;

use crate::flight::{Flights, Landing};
use crate::gate::Gate;
use crate::shared::Shared;
use crate::{Context, DepotError};

/// How long another instance waits with others before it is looked whether they wait for each other.
const PATIENCE: Duration = Duration::from_millis(250);

/// Fetches that are shared by all who want the same, but for those who would wait for themselves.
#[derive(Debug)]
pub(crate) struct Fetches<K, T> {
    shared: Flights<K, Result<T, DepotError>>,
    /// Begun for clients alone, never for another instance: nobody was left out for having asked.
    for_clients: Flights<K, Result<T, DepotError>>,
    gate: Arc<Gate>,
}

impl<K, T> Fetches<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(gate: &Arc<Gate>) -> Self {
        Self {
            shared: Flights::new(gate.clone()),
            for_clients: Flights::new(gate.clone()),
            gate: gate.clone(),
        }
    }

    /// Joins the fetch for `key`, or begins one. Returns its result. `leads_back`: for other instances, whether the fetch
    /// that they would wait for waits for them.
    pub(crate) async fn join<F>(
        &self,
        key: &K,
        context: &Context,
        leads_back: impl Future<Output = bool>,
        begin: impl Fn(Landing<K, Result<T, DepotError>>) -> F,
    ) -> Result<T, DepotError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let is_own = AtomicBool::new(false);
        let joined = self.shared.join(key, context.party, |landing| {
            is_own.store(true, Ordering::Relaxed);
            begin(landing)
        });
        let landed = if context.via.is_empty() {
            joined.await
        } else {
            let mut joined = pin!(joined);
            match tokio::time::timeout(PATIENCE, &mut joined).await {
                Ok(landed) => landed,
                Err(_) if is_own.load(Ordering::Relaxed) => joined.await,
                Err(_) => tokio::select! {
                    biased;
                    landed = &mut joined => landed,
                    true = leads_back => return self.fetch_apart(key, context, &begin).await,
                    else => None,
                },
            }
        };
        match landed {
            Some(Err(error)) if error.is_circle() && !is_own.load(Ordering::Relaxed) => {
                self.fetch_apart(key, context, &begin).await
            }
            landed => landed.unwrap_or(Err(DepotError::Lost)),
        }
    }

    /// A fetch for a client is shared with clients, one for another instance with nobody: whoever joined it might wait
    /// for himself again.
    async fn fetch_apart<F>(
        &self,
        key: &K,
        context: &Context,
        begin: impl Fn(Landing<K, Result<T, DepotError>>) -> F,
    ) -> Result<T, DepotError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let landed = if context.via.is_empty() {
            self.for_clients.join(key, context.party, begin).await
        } else {
            let apart = Flights::new(self.gate.clone());
            apart.join(key, context.party, begin).await
        };
        landed.unwrap_or(Err(DepotError::Lost))
    }

    /// The fetches that all share.
    pub(crate) fn shared(&self) -> &Flights<K, Result<T, DepotError>> {
        &self.shared
    }

    /// How many fetches are under way.
    pub(crate) fn len(&self) -> usize {
        self.shared.len() + self.for_clients.len()
    }
}

impl Shared {
    /// Whether who has what is at a path would ask one of those whom a request has passed through, as far as they tell.
    pub(crate) async fn leads_back(&self, module: &ModulePath, path: &str, via: &Via) -> bool {
        self.way_back(module, path, via).await.is_some()
    }

    /// For a request that wants nothing fetched: whether a fetch that is under way waits for one of those whom it has
    /// passed through.
    pub(crate) async fn waits_for<K, T>(
        &self,
        fetches: &Fetches<K, T>,
        key: &K,
        module: &ModulePath,
        path: &str,
        via: &Via,
    ) -> Result<(), DepotError>
    where
        K: Clone + Eq + Hash + Send + 'static,
        T: Clone + Send + Sync + 'static,
    {
        if via.is_empty() || !fetches.shared.is_under_way(key) {
            return Ok(());
        }
        match self.way_back(module, path, via).await {
            Some(failure) => Err(DepotError::Circle([failure].into())),
            None => Ok(()),
        }
    }

    async fn way_back(
        &self,
        module: &ModulePath,
        path: &str,
        via: &Via,
    ) -> Option<upstream::Failure> {
        // Names that no upstream is asked for lead nowhere.
        if self.is_private(module) || self.is_published(module) {
            return None;
        }
        self.chain.load_full().leads_back(path, via).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use http::{HeaderMap, HeaderValue, header};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::gate::Admission;

    type Found = Result<&'static str, DepotError>;

    /// Fetches of one key, each of which takes a second and stays findable for another.
    #[derive(Clone)]
    struct Rig {
        fetches: Arc<Fetches<&'static str, &'static str>>,
        begun: Arc<AtomicUsize>,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                fetches: Arc::new(Fetches::new(&Arc::new(Gate::new(Admission::default())))),
                begun: Arc::default(),
            }
        }

        /// Asks on behalf of another instance or of a client; a fetch that is begun for it leads to `found`.
        fn ask(&self, context: Context, found: Found) -> JoinHandle<Found> {
            let rig = self.clone();
            tokio::spawn(async move {
                let begin = |landing: Landing<&'static str, Found>| {
                    rig.begun.fetch_add(1, Ordering::Relaxed);
                    let found = found.clone();
                    async move {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        landing.give(found);
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                };
                let nobody_waits = std::future::ready(false);
                rig.fetches
                    .join(&"key", &context, nobody_waits, begin)
                    .await
            })
        }
    }

    fn of_instance(name: &str) -> Context {
        let via = HeaderValue::try_from(format!("1.1 modkeep-{name:0>16}")).unwrap();
        Context {
            via: Via::of(&HeaderMap::from_iter([(header::VIA, via)])),
            ..Context::default()
        }
    }

    fn circle() -> Found {
        Err(DepotError::Circle([].into()))
    }

    #[tokio::test(start_paused = true)]
    async fn who_joined_the_fetch_of_another_instance_that_went_in_a_circle_asks_for_himself() {
        for context in [Context::default(), of_instance("b")] {
            let rig = Rig::new();
            let partial = rig.ask(of_instance("a"), circle());
            tokio::task::yield_now().await;
            let whole = rig.ask(context, Ok("whole"));
            assert_eq!(whole.await.unwrap().unwrap(), "whole");
            assert!(partial.await.unwrap().unwrap_err().is_circle());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn clients_who_heard_of_a_circle_share_one_fetch() {
        let rig = Rig::new();
        let partial = rig.ask(of_instance("a"), circle());
        tokio::task::yield_now().await;
        let clients: Vec<_> = (0..20)
            .map(|_| rig.ask(Context::default(), Ok("whole")))
            .collect();
        for client in clients {
            assert_eq!(client.await.unwrap().unwrap(), "whole");
        }
        assert!(partial.await.unwrap().is_err());
        assert_eq!(rig.begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_began_a_fetch_that_went_in_a_circle_is_told_so() {
        for context in [Context::default(), of_instance("a")] {
            let rig = Rig::new();
            assert!(rig.ask(context, circle()).await.unwrap().is_err());
            assert_eq!(rig.begun.load(Ordering::Relaxed), 1);
        }
    }
}
