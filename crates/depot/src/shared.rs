use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use gomod::{ModulePath, Revision};
use jiff::Timestamp;
use modzip::Workers;
use store::{AnswerKey, FileKey, FileRecord, PublishedFile, Records, Source, Store};
use trust::Database;
use upstream::{Chain, Via};

use crate::apart::Fetches;
use crate::degraded::Losses;
use crate::gate::{Gate, Party};
use crate::moved::Watch;
use crate::negative::Negatives;
use crate::pushed::Pushes;
use crate::recheck::Rechecks;
use crate::reply::{FileReply, Refreshed};
use crate::{CleanTotals, DepotError, ScrubTotals, Settings, SumdbRoute};

/// Whether a question may be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchMode {
    /// Fetch what is not stored.
    Allowed,
    /// Answer from the store alone.
    CachedOnly,
}

/// What a request carries along.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The place in a trace that upstreams are asked at (W3C trace context).
    pub traceparent: Option<traces::Traceparent>,
    /// The instances of this program that it has passed through before it came here.
    pub via: Via,
    /// The request that began a fetch, for the log.
    pub request_id: String,
    /// On whose behalf something is fetched.
    pub party: Party,
}

/// What all fetches share.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) records: Records,
    pub(crate) chain: Arc<ArcSwap<Chain>>,
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) files: Fetches<FileKey, FileReply>,
    pub(crate) answers: Fetches<AnswerKey, Refreshed>,
    pub(crate) databases: ArcSwap<Vec<(SumdbRoute, Database)>>,
    /// The threads that hash zips.
    pub(crate) workers: Workers,
    pub(crate) refused_files: AtomicU64,
    pub(crate) unverified_files: AtomicU64,
    pub(crate) rechecks: Arc<Rechecks>,
    pub(crate) negatives: Negatives,
    pub(crate) watch: Watch,
    /// Servers that stand in for repositories, by URL.
    pub(crate) stand_ins: Mutex<HashMap<String, Arc<Chain>>>,
    pub(crate) pushes: Pushes,
    /// Held by whoever stores what is published.
    pub(crate) publishing: tokio::sync::Mutex<()>,
    pub(crate) stored_files: AtomicU64,
    pub(crate) stored_bytes: AtomicU64,
    pub(crate) scrubbed: ScrubTotals,
    pub(crate) losses: Losses,
    pub(crate) cleaned: CleanTotals,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// An upstream's word, not too long ago, that there is nothing at a path.
    pub(crate) fn known_absence(&self, path: &str) -> Option<DepotError> {
        self.negatives.get(path, self.settings.load().absent_ttl)
    }

    /// Remembers an upstream's word that there is nothing at a path; no other error is remembered.
    pub(crate) fn learn_absence(&self, path: &str, error: &DepotError) {
        let ttl = self.settings.load().absent_ttl;
        self.negatives.learn(path, error, ttl);
    }

    pub(crate) async fn note_stored(&self, key: FileKey, published: &PublishedFile, from: Origin) {
        if !published.is_new {
            return;
        }
        self.stored_files.fetch_add(1, Ordering::Relaxed);
        self.stored_bytes
            .fetch_add(published.stored.len(), Ordering::Relaxed);
        let source = self.with_revision(&key, crate::source::recorded(&from.source));
        let record = FileRecord {
            source: Some(source.await),
            key,
            size: published.stored.len(),
            digest: published.digest,
            etag: from.etag,
            stored: Timestamp::now(),
        };
        self.records.add(record).await;
    }

    /// Adds the commit of a version to its repository, which was asked for it a moment ago.
    async fn with_revision(&self, key: &FileKey, source: Source) -> Source {
        let repositories = self.settings.load().repositories.clone();
        let (Source::Repository { url, .. }, Some(vcs)) = (&source, repositories) else {
            return source;
        };
        let revision = Revision::from(key.version.clone());
        match vcs.info(&key.module, &revision).await {
            Ok(info) => {
                let commit = info.origin.map(|origin| origin.hash);
                Source::repository(url, commit.filter(|hash| !hash.is_empty()))
            }
            Err(error) => {
                tracing::warn!(file = %key, %error, "recorded without its commit");
                source
            }
        }
    }

    /// Does something that may wait for the disk where waiting is allowed.
    pub(crate) async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T, store::StoreError> + Send + 'static,
    ) -> Result<T, DepotError> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result.map_err(DepotError::from),
            Err(_) => Err(DepotError::Lost),
        }
    }
}

/// Where a stored file came from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) source: String,
    pub(crate) etag: Option<String>,
}

/// `module@version`, as the `go` command names a query.
pub(crate) fn name_of(module: &ModulePath, revision: &str) -> String {
    format!("{module}@{revision}")
}

/// What an answer is about, for people.
pub(crate) fn describe(key: &AnswerKey) -> String {
    match key {
        AnswerKey::List(module) => format!("{module} (list of versions)"),
        AnswerKey::Latest(module) => name_of(module, "latest"),
        AnswerKey::Query(module, revision) => name_of(module, Revision::as_str(revision)),
        AnswerKey::Sumdb { name, path } => format!("{name}/{path}"),
    }
}
