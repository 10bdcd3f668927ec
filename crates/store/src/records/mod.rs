//! The database of what is known about stored files.
//!
//! `database` opens the file, `batch` collects and writes, `pins` and `provenance` answer.

mod batch;
mod database;
mod pins;
mod provenance;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{OnceCell, mpsc, oneshot};

use crate::{Digest, Event, FileKey, Pin, Source, StoreError};

pub(crate) use batch::Batch;
use batch::{Message, QUEUE};
use database::{is_corruption, open, set_aside};
use pins::PendingPins;
pub use provenance::{EventProvenance, FileProvenance, PinProvenance, Provenance};

/// What is written down about a newly stored file.
#[derive(Clone, Debug)]
pub struct FileRecord {
    /// Which file.
    pub key: FileKey,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Where it came from; `None` when it was found in the tree.
    pub source: Option<Source>,
    /// The upstream's entity tag.
    pub etag: Option<String>,
    /// When it was stored.
    pub stored: Timestamp,
}

/// Whether the records answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordsHealth {
    /// Not asked yet.
    Opening,
    /// The last call succeeded.
    Ready,
    /// The last call failed, for this reason.
    Failed(String),
}

/// Sums over the whole store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Module versions of which at least one file is stored.
    pub versions: u64,
    /// Files.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// The database of what is known about stored files. Nothing that serves a stored file waits for it: records are
/// written in batches, behind the requests, and trouble here is reported by [`Self::health`].
#[derive(Clone)]
pub struct Records {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Message>,
}

struct Shared {
    path: PathBuf,
    /// Where the pins are that survive the loss of the database.
    tree: PathBuf,
    pending: PendingPins,
    pool: OnceCell<SqlitePool>,
    replaced: AtomicBool,
    health: Mutex<RecordsHealth>,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

impl Records {
    /// Uses the database file of the store in `root`, created at first use. Must be called within a tokio runtime.
    pub fn start(root: &Path) -> Self {
        let shared = Arc::new(Shared {
            path: root.join("records.sqlite"),
            tree: root.join("tree"),
            pending: PendingPins::default(),
            pool: OnceCell::new(),
            replaced: AtomicBool::new(false),
            health: Mutex::new(RecordsHealth::Opening),
        });
        let (queue, messages) = mpsc::channel(QUEUE);
        let records = Self { shared, queue };
        tokio::spawn(batch::write_batches(records.shared.clone(), messages));
        records
    }

    /// Notes a stored file. Returns as soon as it is queued.
    pub async fn add(&self, record: FileRecord) {
        let _writer_gone = self.queue.send(Message::File(record)).await;
    }

    /// Notes what happened to a version. Returns as soon as it is queued.
    pub async fn event(&self, event: Event) {
        let _writer_gone = self.queue.send(Message::Event(event)).await;
    }

    /// Notes what a file must hash to, from now on; [`Self::expected`] knows it at once. Returns as soon as it is queued.
    ///
    /// Where a pin of the file exists with the same hash, the better verification stays. Another hash takes its place
    /// only if it is proven or released and the old one is not proven.
    pub async fn pin(&self, pin: Pin) {
        self.shared.pending.add(pin);
        let _writer_gone = self.queue.send(Message::Pins).await;
    }

    /// Waits until everything added before is written, or could not be.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _writer_gone = wait.await;
        }
    }

    /// Whether the records answer, as of the last call.
    pub fn health(&self) -> RecordsHealth {
        self.shared
            .health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sums over all stored files.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM version), (SELECT count(*) FROM file), \
             (SELECT coalesce(sum(size), 0) FROM file)",
        )
        .fetch_one(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        let count = |column: usize| u64::try_from(row.get::<i64, _>(column)).unwrap_or_default();
        Ok(Totals {
            versions: count(0),
            files: count(1),
            bytes: count(2),
        })
    }

    /// Length and digest of a file as they were written down when it was stored. `None`: nothing was.
    ///
    /// # Errors
    /// When the records do not answer.
    pub async fn recorded(&self, key: &FileKey) -> Result<Option<(u64, Digest)>, StoreError> {
        let row = sqlx::query(
            "SELECT size, sha256 FROM file JOIN version ON version.id = version_id \
             WHERE module = ? AND version = ? AND kind = ?",
        )
        .bind(key.module.as_str())
        .bind(key.version.as_str())
        .bind(key.kind.extension())
        .fetch_optional(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(row.and_then(|row| {
            let size = u64::try_from(row.get::<i64, _>(0)).ok()?;
            Some((size, Digest::from_bytes(row.get::<&[u8], _>(1))?))
        }))
    }

    /// Takes a file off the record that is stored no more. What it must hash to stays.
    ///
    /// # Errors
    /// When the records do not answer.
    pub async fn forget(&self, key: &FileKey) -> Result<(), StoreError> {
        self.flush().await;
        sqlx::query(
            "DELETE FROM file WHERE kind = ? AND version_id = \
             (SELECT id FROM version WHERE module = ? AND version = ?)",
        )
        .bind(key.kind.extension())
        .bind(key.module.as_str())
        .bind(key.version.as_str())
        .execute(self.pool().await?)
        .await
        .map(drop)
        .map_err(|error| self.failed(&error))
    }

    /// When the last recorded file was stored.
    pub(crate) async fn latest_stored(&self) -> Result<Timestamp, StoreError> {
        let row = sqlx::query("SELECT coalesce(max(stored), 0) FROM file")
            .fetch_one(self.pool().await?)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(Timestamp::from_microsecond(row.get(0)).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Whether the database that was found could not be read, so that a new one took its place. It has been moved
    /// aside, and the new one is to be filled by [`crate::rebuild_records`].
    pub async fn was_replaced(&self) -> Result<bool, StoreError> {
        self.pool().await?;
        Ok(self.shared.replaced.load(Ordering::Relaxed))
    }

    pub(crate) async fn pool(&self) -> Result<&SqlitePool, StoreError> {
        self.shared.pool().await
    }

    pub(crate) fn failed(&self, error: &sqlx::Error) -> StoreError {
        self.shared.failed(error)
    }

    /// Writes a batch at once, without the queue.
    pub(crate) async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        self.shared.write(batch).await
    }

    /// Closes the database and waits until its files are complete.
    pub async fn close(&self) {
        self.flush().await;
        if let Some(pool) = self.shared.pool.get() {
            pool.close().await;
        }
    }
}

impl Shared {
    async fn pool(&self) -> Result<&SqlitePool, StoreError> {
        self.pool
            .get_or_try_init(async || {
                let pool = match open(&self.path).await {
                    Err(error) if is_corruption(&error) => {
                        set_aside(&self.path, &error)?;
                        self.replaced.store(true, Ordering::Relaxed);
                        open(&self.path).await?
                    }
                    opened => opened?,
                };
                self.set_health(RecordsHealth::Ready);
                Ok(pool)
            })
            .await
            .map_err(|error: sqlx::Error| self.failed(&error))
    }

    fn failed(&self, error: &sqlx::Error) -> StoreError {
        let error = StoreError::records(error);
        self.set_health(RecordsHealth::Failed(error.to_string()));
        error
    }

    fn set_health(&self, health: RecordsHealth) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}
