use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use modzip::Workers;
use store::{Records, Scope, Store, rebuild_records};
use upstream::Chain;

use crate::apart::Fetches;
use crate::damage::note_damage;
use crate::databases::databases;
use crate::degraded::Losses;
use crate::gate::Gate;
use crate::moved::Watch;
use crate::negative::Negatives;
use crate::pushed::Pushes;
use crate::recheck;
use crate::shared::Shared;
use crate::{CleanTotals, ScrubTotals, Settings};

/// What is stored, as counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreTotals {
    /// Immutable files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Answers questions about modules from a store and a chain of upstreams.
#[derive(Clone, Debug)]
pub struct Depot {
    pub(crate) shared: Arc<Shared>,
}

impl Depot {
    /// Puts a depot on a store. Must be called within a tokio runtime.
    pub fn new(store: Store, chain: Chain, settings: Settings) -> Self {
        let records = Records::start(store.root());
        note_damage(&store, &records);
        let (store, chain) = (Arc::new(store), Arc::new(ArcSwap::from_pointee(chain)));
        let databases = databases(&settings.sumdbs, &[], &store, &chain);
        let gate = Arc::new(Gate::new(settings.admission));
        let shared = Shared {
            store,
            records,
            chain,
            settings: ArcSwap::from_pointee(settings),
            files: Fetches::new(&gate),
            answers: Fetches::new(&gate),
            gate,
            databases: ArcSwap::from_pointee(databases),
            workers: workers(),
            refused_files: AtomicU64::new(0),
            unverified_files: AtomicU64::new(0),
            rechecks: Arc::default(),
            negatives: Negatives::new(),
            watch: Watch::default(),
            stand_ins: Mutex::default(),
            pushes: Pushes::default(),
            publishing: tokio::sync::Mutex::default(),
            stored_files: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            scrubbed: ScrubTotals::default(),
            losses: Losses::default(),
            cleaned: CleanTotals::default(),
        };
        let shared = Arc::new(shared);
        recheck::start(&shared);
        Self { shared }
    }

    /// Uses another chain and other settings from now on. Fetches under way end as they began.
    pub fn reconfigure(&self, chain: Chain, settings: Settings) {
        let shared = &self.shared;
        chain.set_quiet(shared.is_offline());
        shared.chain.store(Arc::new(chain));
        let in_use = shared.databases.load();
        let databases = databases(&settings.sumdbs, &in_use, &shared.store, &shared.chain);
        shared.databases.store(Arc::new(databases));
        shared.gate.reconfigure(settings.admission);
        self.shared.settings.store(Arc::new(settings));
        self.shared.negatives.clear();
        // They were made with the limits and rules of before.
        self.shared
            .stand_ins
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        // What nobody vouched for may be covered now.
        self.shared.rechecks.owe();
    }

    /// Opens the records, adds what an earlier process could not write down, counts what is stored, and lets what nobody
    /// has proven be checked. Takes as long as it takes; nothing waits for it.
    pub async fn catch_up(&self) {
        let (store, records) = (&self.shared.store, &self.shared.records);
        let scope = match records.was_replaced().await {
            Ok(true) => Some(Scope::All),
            Ok(false) => store.opened_after_crash().then_some(Scope::SinceLastRecord),
            Err(error) => {
                tracing::error!(%error, "serving goes on without records; stop, run `modkeep store rebuild`, and start again");
                return;
            }
        };
        if let Some(scope) = scope {
            match rebuild_records(store, records, scope).await {
                Ok(report) => tracing::info!(
                    files = report.files,
                    damaged = report.damaged,
                    "records brought up to date"
                ),
                Err(error) => {
                    tracing::error!(%error, "the records could not be brought up to date");
                }
            }
        }
        if let Ok(totals) = records.totals().await {
            self.shared
                .stored_files
                .fetch_add(totals.files, Ordering::Relaxed);
            self.shared
                .stored_bytes
                .fetch_add(totals.bytes, Ordering::Relaxed);
        }
        self.shared.rechecks.owe();
    }

    /// The chain in use.
    pub fn chain(&self) -> Arc<Chain> {
        self.shared.chain.load_full()
    }

    /// The settings in use.
    pub fn settings(&self) -> Arc<Settings> {
        self.shared.settings.load_full()
    }

    /// The records of what is stored.
    pub fn records(&self) -> &Records {
        &self.shared.records
    }

    /// The store itself.
    pub fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }

    /// Fetches under way.
    pub fn in_flight(&self) -> usize {
        let databases = self.shared.databases.load();
        let asked: usize = databases
            .iter()
            .map(|(_, database)| database.in_flight())
            .sum();
        let fetches = self.shared.files.len() + self.shared.answers.len();
        fetches + asked + self.shared.rechecks.under_way()
    }

    /// Fetches that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.shared.gate.counts().0
    }

    /// Fetches that were refused since the start because there was too much to do.
    pub fn turned_away(&self) -> u64 {
        self.shared.gate.counts().1
    }

    /// Whether something could be fetched ahead without anybody waiting for it longer.
    pub fn has_room_ahead(&self) -> bool {
        self.shared.gate.has_room_ahead()
    }

    /// Files that were fetched since the start and not believed.
    pub fn refused_files(&self) -> u64 {
        self.shared.refused_files.load(Ordering::Relaxed)
    }

    /// Files that were served and stored since the start although no checksum database vouches for them.
    pub fn unverified_files(&self) -> u64 {
        self.shared.unverified_files.load(Ordering::Relaxed)
    }

    /// Tags found since the start to name another commit than the stored version was made from.
    pub fn moved_tags(&self) -> u64 {
        self.shared.watch.moved_tags()
    }

    /// Repositories found since the start to be others than they were.
    pub fn moved_repositories(&self) -> u64 {
        self.shared.watch.moved_repositories()
    }

    /// What is stored, as counted so far.
    pub fn totals(&self) -> StoreTotals {
        StoreTotals {
            files: self.shared.stored_files.load(Ordering::Relaxed),
            bytes: self.shared.stored_bytes.load(Ordering::Relaxed),
        }
    }

    /// Waits until no fetch is under way or `limit` has passed, and writes everything down.
    pub async fn close(&self, limit: Duration) {
        self.shared.rechecks.stop();
        let idle = async {
            while self.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _cut_short = tokio::time::timeout(limit, idle).await;
        self.shared.records.close().await;
        self.shared.store.close();
    }
}

/// Threads for hashing zips, as many as there are processors. Without them those who fetch hash themselves.
fn workers() -> Workers {
    std::thread::available_parallelism()
        .ok()
        .and_then(|threads| Workers::new(threads).ok())
        .unwrap_or_else(Workers::calling_thread)
}
