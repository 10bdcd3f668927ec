use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Row as _, SqliteConnection};
use tokio::sync::{OnceCell, mpsc, oneshot};

use crate::{Digest, FileKey, StoreError};

/// Files waiting to be recorded; a fetch that would add one more waits.
const QUEUE: usize = 4096;
/// How long the first waiting file may wait for company.
const BATCH_DELAY: Duration = Duration::from_millis(100);

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// What is written down about a newly stored file.
#[derive(Clone, Debug)]
pub struct FileRecord {
    /// Which file.
    pub key: FileKey,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The upstream it came from, without credentials; `None` when it was found in the tree.
    pub source: Option<String>,
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

enum Message {
    File(FileRecord),
    Flush(oneshot::Sender<()>),
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
            pool: OnceCell::new(),
            replaced: AtomicBool::new(false),
            health: Mutex::new(RecordsHealth::Opening),
        });
        let (queue, messages) = mpsc::channel(QUEUE);
        let records = Self { shared, queue };
        tokio::spawn(write_batches(
            Writer {
                shared: records.shared.clone(),
            },
            messages,
        ));
        records
    }

    /// Notes a stored file. Returns as soon as it is queued.
    pub async fn add(&self, record: FileRecord) {
        let _writer_gone = self.queue.send(Message::File(record)).await;
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
    pub(crate) async fn write(&self, batch: &[FileRecord]) -> Result<(), StoreError> {
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

    async fn write(&self, batch: &[FileRecord]) -> Result<(), StoreError> {
        let result = async {
            let mut transaction = self
                .pool()
                .await?
                .begin()
                .await
                .map_err(|error| self.failed(&error))?;
            let mut seen = latest_seen(&mut transaction)
                .await
                .map_err(|error| self.failed(&error))?;
            for record in batch {
                seen = insert(&mut transaction, record, seen)
                    .await
                    .map_err(|error| self.failed(&error))?;
            }
            transaction
                .commit()
                .await
                .map_err(|error| self.failed(&error))
        }
        .await;
        if result.is_ok() {
            self.set_health(RecordsHealth::Ready);
        }
        result
    }
}

async fn open(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        // In KiB when negative: the default of 2 MB for each connection is more than the records need.
        .pragma("cache_size", "-512");
    let pool = SqlitePoolOptions::new()
        .max_connections(3)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await?;
    if let Err(error) = MIGRATIONS.run(&pool).await {
        return Err(match error {
            sqlx::migrate::MigrateError::Execute(error) => error,
            other => sqlx::Error::Protocol(other.to_string()),
        });
    }
    let verdict: String = sqlx::query("PRAGMA quick_check(1)")
        .fetch_one(&pool)
        .await?
        .get(0);
    if verdict == "ok" {
        Ok(pool)
    } else {
        Err(sqlx::Error::Protocol(format!("{MALFORMED}: {verdict}")))
    }
}

/// The beginning of the error for a database whose pages do not fit together.
const MALFORMED: &str = "database disk image is malformed";

/// Whether an error says that the file is damaged or is no database (`SQLITE_CORRUPT`, `SQLITE_NOTADB`).
fn is_corruption(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("11" | "26")),
        sqlx::Error::Protocol(message) => message.starts_with(MALFORMED),
        _ => false,
    }
}

fn set_aside(path: &Path, error: &sqlx::Error) -> Result<(), sqlx::Error> {
    let kept = path.with_extension(format!("sqlite.unusable-{}", Timestamp::now().as_second()));
    std::fs::rename(path, &kept)?;
    for companion in ["sqlite-wal", "sqlite-shm"] {
        let _usually_absent = std::fs::remove_file(path.with_extension(companion));
    }
    tracing::error!(%error, kept = %kept.display(), "the records cannot be read; they were set aside and are rebuilt from the tree");
    Ok(())
}

async fn latest_seen(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT coalesce(max(seen), 0) FROM version")
        .fetch_one(connection)
        .await
        .map(|row| row.get(0))
}

/// Adds one file, and its version unless that is known. Returns the latest `seen` of all versions.
async fn insert(
    connection: &mut SqliteConnection,
    record: &FileRecord,
    latest: i64,
) -> Result<i64, sqlx::Error> {
    let seen = record.stored.as_microsecond().max(latest + 1);
    let added = sqlx::query(
        "INSERT INTO version (module, version, seen) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(record.key.module.as_str())
    .bind(record.key.version.as_str())
    .bind(seen)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO file (version_id, kind, size, sha256, source, etag, stored) \
         VALUES ((SELECT id FROM version WHERE module = ? AND version = ?), ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (version_id, kind) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, \
         source = coalesce(excluded.source, source), etag = coalesce(excluded.etag, etag)",
    )
    .bind(record.key.module.as_str())
    .bind(record.key.version.as_str())
    .bind(record.key.kind.extension())
    .bind(i64::try_from(record.size).unwrap_or(i64::MAX))
    .bind(record.digest.as_bytes().as_slice())
    .bind(record.source.as_deref())
    .bind(record.etag.as_deref())
    .bind(record.stored.as_microsecond())
    .execute(connection)
    .await?;
    Ok(if added.rows_affected() > 0 {
        seen
    } else {
        latest
    })
}

struct Writer {
    shared: Arc<Shared>,
}

/// Collects files until the queue pauses, then writes them in one transaction. A batch that cannot be written is
/// dropped with an error in the log: the tree still has the files, and a rebuild finds them.
async fn write_batches(writer: Writer, mut messages: mpsc::Receiver<Message>) {
    while let Some(first) = messages.recv().await {
        let mut batch = Vec::new();
        let mut flushed = Vec::new();
        let mut next = Some(first);
        let deadline = tokio::time::sleep(BATCH_DELAY);
        tokio::pin!(deadline);
        while let Some(message) = next {
            match message {
                Message::File(record) => batch.push(record),
                Message::Flush(done) => flushed.push(done),
            }
            next = if flushed.is_empty() && batch.len() < QUEUE {
                tokio::select! {
                    message = messages.recv() => message,
                    () = &mut deadline => None,
                }
            } else {
                None
            };
        }
        if !batch.is_empty()
            && let Err(error) = writer.shared.write(&batch).await
        {
            tracing::error!(files = batch.len(), %error, "stored files could not be recorded; `modkeep store rebuild` adds them");
        }
        for done in flushed {
            let _nobody_waits = done.send(());
        }
    }
}
