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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::Source;

    #[tokio::test]
    async fn what_an_older_release_recorded_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("old.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true);
        let pool = SqlitePoolOptions::new()
            .connect_with(options)
            .await
            .unwrap();
        let old = sqlx::migrate::Migrator {
            migrations: Cow::Owned(MIGRATIONS.iter().take(2).cloned().collect()),
            ..sqlx::migrate::Migrator::DEFAULT
        };
        old.run(&pool).await.unwrap();
        for statement in [
            "INSERT INTO version VALUES (1, 'example.com/m', 'v1.0.0', 5)",
            "INSERT INTO file VALUES (1, 'mod', 9, x'01', 'https://proxy.example.com', NULL, 6, 'upstream', NULL)",
            "INSERT INTO file VALUES (1, 'zip', 9, x'02', 'https://git.example.com/m', '\"t\"', 7, 'repository', 'abc')",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let pool = open(&file).await.unwrap();
        let rows =
            sqlx::query("SELECT kind, source, source_kind, revision, etag FROM file ORDER BY kind")
                .fetch_all(&pool)
                .await
                .unwrap();
        let read: Vec<_> = rows
            .iter()
            .map(|row| {
                let source = Source::from_columns(row.get(2), row.get(1), row.get(3));
                (
                    row.get::<String, _>(0),
                    source.unwrap(),
                    row.get::<Option<String>, _>(4),
                )
            })
            .collect();
        let expected = [
            (
                "mod".to_owned(),
                Source::upstream("https://proxy.example.com"),
                None,
            ),
            (
                "zip".to_owned(),
                Source::repository("https://git.example.com/m", Some("abc".to_owned())),
                Some("\"t\"".to_owned()),
            ),
        ];
        assert_eq!(read, expected);
    }
}
