//! Fetches that wait for each other.
//!
//! Two instances of this program, each of which has the other as an upstream, are asked for the same by clients of their
//! own. Each begins a fetch, asks the other, and the other's question joins the fetch that waits for it: neither would
//! end. That a request has come to where it was before is seen by its `Via`; that a fetch which it joins waits for an
//! instance it has passed through is not, because that fetch was begun for somebody else. So it is asked along the way
//! of that fetch, on behalf of who joined it, and whoever would wait for himself has a fetch of his own, apart.

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
pub(crate) struct Fetches<K, V> {
    shared: Flights<K, V>,
    gate: Arc<Gate>,
}

impl<K, V> Fetches<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new(gate: &Arc<Gate>) -> Self {
        Self {
            shared: Flights::new(gate.clone()),
            gate: gate.clone(),
        }
    }

    /// Joins the fetch for `key`, or begins one. Returns its result; `None` if it ended without one. `leads_back`: for
    /// other instances, whether the fetch that they would wait for waits for them.
    pub(crate) async fn join<F>(
        &self,
        key: &K,
        context: &Context,
        leads_back: impl Future<Output = bool>,
        begin: impl Fn(Landing<K, V>) -> F,
    ) -> Option<V>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let is_own = AtomicBool::new(false);
        let mut joined = pin!(self.shared.join(key, context.party, |landing| {
            is_own.store(true, Ordering::Relaxed);
            begin(landing)
        }));
        if context.via.is_empty() {
            return joined.await;
        }
        if let Ok(landed) = tokio::time::timeout(PATIENCE, &mut joined).await {
            return landed;
        }
        if is_own.load(Ordering::Relaxed) {
            return joined.await;
        }
        tokio::select! {
            biased;
            landed = &mut joined => landed,
            // Shared with nobody: whoever joined it might wait for himself again.
            true = leads_back => {
                let apart = Flights::new(self.gate.clone());
                apart.join(key, context.party, &begin).await
            }
            else => None,
        }
    }

    /// The fetches that all share.
    pub(crate) fn shared(&self) -> &Flights<K, V> {
        &self.shared
    }

    /// How many fetches are under way.
    pub(crate) fn len(&self) -> usize {
        self.shared.len()
    }
}

impl Shared {
    /// Whether who has what is at a path would ask one of those whom a request has passed through, as far as they tell.
    pub(crate) async fn leads_back(&self, module: &ModulePath, path: &str, via: &Via) -> bool {
        self.way_back(module, path, via).await.is_some()
    }

    /// For a request that wants nothing fetched: whether a fetch that is under way waits for one of those whom it has
    /// passed through.
    pub(crate) async fn waits_for<K, V>(
        &self,
        fetches: &Fetches<K, V>,
        key: &K,
        module: &ModulePath,
        path: &str,
        via: &Via,
    ) -> Result<(), DepotError>
    where
        K: Clone + Eq + Hash + Send + 'static,
        V: Clone + Send + Sync + 'static,
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
