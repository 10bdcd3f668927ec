//! Opening the database file, and setting aside one that cannot be read.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

pub(super) async fn open(path: &Path) -> Result<SqlitePool, sqlx::Error> {
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
pub(super) fn is_corruption(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("11" | "26")),
        sqlx::Error::Protocol(message) => message.starts_with(MALFORMED),
        _ => false,
    }
}

pub(super) fn set_aside(path: &Path, error: &sqlx::Error) -> Result<(), sqlx::Error> {
    let kept = path.with_extension(format!("sqlite.unusable-{}", Timestamp::now().as_second()));
    std::fs::rename(path, &kept)?;
    for companion in ["sqlite-wal", "sqlite-shm"] {
        let _usually_absent = std::fs::remove_file(path.with_extension(companion));
    }
    tracing::error!(%error, kept = %kept.display(), "the records cannot be read; they were set aside and are rebuilt from the tree");
    Ok(())
}
