use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gomod::ModuleVersion;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, QueryBuilder, Row as _};
use sumdb::log::LogRecord;
use sumdb::tlog::RecordText;

use crate::SumlogError;
use crate::block_on::block_on;
use crate::cosign::{Cosignature, Form};

/// Connections for reading that are kept for the next reader.
const IDLE_CONNECTIONS: usize = 4;
/// Module versions or records of one statement. Each statement goes to the thread of its connection and back, which takes
/// longer than the work for a row.
const ROWS: usize = 256;
/// Pages of the database in the memory of one connection, in KiB when negative.
const CACHE: &str = "-4096";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(5))
        .pragma("cache_size", CACHE)
        .disable_statement_logging()
}

/// Reads records. Each call has a connection of its own, so readers wait neither for each other nor for the writer.
#[derive(Debug)]
pub(crate) struct RecordReader {
    path: PathBuf,
    idle: Mutex<Vec<SqliteConnection>>,
}

impl RecordReader {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            idle: Mutex::default(),
        }
    }

    fn with<T>(
        &self,
        read: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, SumlogError> {
        let idle = self.lock().pop();
        let result = block_on(async {
            let mut connection = match idle {
                Some(connection) => connection,
                None => options(&self.path).read_only(true).connect().await?,
            };
            let value = read(&mut connection).await?;
            Ok((connection, value))
        });
        // A connection that had trouble is not used again.
        let (connection, value) = result.map_err(SumlogError::records(&self.path))?;
        let mut idle = self.lock();
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(connection);
        }
        Ok(value)
    }

    /// A panic elsewhere cannot leave the list half changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> Result<u64, SumlogError> {
        self.with(async |connection| count(connection).await)
    }

    pub(crate) fn find(&self, modules: &[ModuleVersion]) -> Result<Vec<Option<u64>>, SumlogError> {
        self.with(async |connection| {
            let mut found = vec![None; modules.len()];
            for (modules, found) in modules.chunks(ROWS).zip(found.chunks_mut(ROWS)) {
                let mut query = QueryBuilder::new("WITH asked (place, module, version) AS (");
                query.push_values(modules.iter().zip(0_i64..), |mut row, (module, place)| {
                    row.push_bind(place)
                        .push_bind(module.path().as_str())
                        .push_bind(module.version().as_str());
                });
                // A cross join is carried out as it is written: what is asked for first, then the index.
                query.push(
                    ") SELECT place, id FROM asked CROSS JOIN record USING (module, version)",
                );
                let rows = query
                    .build()
                    .persistent(is_usual(modules.len()))
                    .fetch_all(&mut *connection)
                    .await?;
                for row in rows {
                    let place = usize::try_from(row.get::<i64, _>(0)).unwrap_or(usize::MAX);
                    if let Some(found) = found.get_mut(place) {
                        *found = Some(row.get::<i64, _>(1).cast_unsigned());
                    }
                }
            }
            Ok(found)
        })
    }

    /// The texts from number `first` on, `count` of them or as many as there are.
    pub(crate) fn texts(&self, first: u64, count: usize) -> Result<Vec<RecordText>, SumlogError> {
        let rows = self.with(async |connection| {
            let end = first
                .saturating_add(count as u64)
                .min(i64::MAX.cast_unsigned());
            sqlx::query("SELECT text FROM record WHERE id >= ? AND id < ? ORDER BY id")
                .bind(first.min(end).cast_signed())
                .bind(end.cast_signed())
                .fetch_all(connection)
                .await
        })?;
        rows.iter()
            .map(|row| RecordText::parse(row.get::<&str, _>(0).as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(|error| SumlogError::Damaged {
                path: self.path.clone(),
                reason: error.to_string(),
            })
    }

    /// The cosignatures of the head of this size.
    pub(crate) fn cosignatures(&self, size: u64) -> Result<Vec<Cosignature>, SumlogError> {
        let rows = self.with(async |connection| {
            sqlx::query("SELECT key, form, time, line FROM cosignature WHERE size = ? ORDER BY key")
                .bind(size.cast_signed())
                .fetch_all(connection)
                .await
        })?;
        Ok(rows
            .iter()
            .map(|row| Cosignature {
                size,
                key: row.get(0),
                form: Form::from_word(row.get(1)),
                time: row.get::<i64, _>(2).cast_unsigned(),
                line: row.get(3),
            })
            .collect())
    }
}

/// Whether a statement for so many rows will be asked for again, so that it is worth keeping.
fn is_usual(rows: usize) -> bool {
    rows == 1 || rows == ROWS
}

async fn count(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT coalesce(max(id) + 1, 0) FROM record")
        .fetch_one(connection)
        .await?;
    Ok(row.get::<i64, _>(0).cast_unsigned())
}

/// The one connection that writes.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    path: PathBuf,
    connection: SqliteConnection,
}

impl RecordWriter {
    /// Opens the database; makes it if there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, SumlogError> {
        let options = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Every commit waits for the disk: what is signed rests on it.
            .synchronous(SqliteSynchronous::Full);
        let connection = block_on(async {
            let mut connection = options.connect().await?;
            match MIGRATIONS.run(&mut connection).await {
                Ok(()) => Ok(connection),
                Err(sqlx::migrate::MigrateError::Execute(error)) => Err(error),
                Err(other) => Err(sqlx::Error::Protocol(other.to_string())),
            }
        });
        let connection = connection.map_err(SumlogError::records(path))?;
        let path = path.to_path_buf();
        Ok(Self { path, connection })
    }

    /// Appends records, all of them or none. False if `first` is not the number of records there are.
    pub(crate) fn append(
        &mut self,
        first: u64,
        records: &[LogRecord],
    ) -> Result<bool, SumlogError> {
        let appended = block_on(async {
            let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            if count(&mut transaction).await? != first {
                return Ok(false);
            }
            let mut numbered = (first..).map(u64::cast_signed).zip(records).peekable();
            while numbered.peek().is_some() {
                let mut query =
                    QueryBuilder::new("INSERT INTO record (id, module, version, text) ");
                let mut rows = 0;
                query.push_values(numbered.by_ref().take(ROWS), |mut row, (id, record)| {
                    row.push_bind(id)
                        .push_bind(record.module.path().as_str())
                        .push_bind(record.module.version().as_str())
                        .push_bind(record.text.as_str());
                    rows += 1;
                });
                query
                    .build()
                    .persistent(is_usual(rows))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(true)
        });
        appended.map_err(SumlogError::records(&self.path))
    }

    /// Keeps cosignatures, in place of older ones of the same key for the same head.
    pub(crate) fn keep(&mut self, cosignatures: &[Cosignature]) -> Result<(), SumlogError> {
        let kept = block_on(async {
            let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            for cosignature in cosignatures {
                sqlx::query(
                    "INSERT INTO cosignature (size, key, form, time, line) VALUES (?, ?, ?, ?, ?) \
                     ON CONFLICT DO UPDATE SET time = excluded.time, line = excluded.line",
                )
                .bind(cosignature.size.cast_signed())
                .bind(&cosignature.key)
                .bind(cosignature.form.word())
                .bind(cosignature.time.cast_signed())
                .bind(&cosignature.line)
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await
        });
        kept.map_err(SumlogError::records(&self.path))
    }
}
