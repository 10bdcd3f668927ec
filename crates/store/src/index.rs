use jiff::Timestamp;
use sqlx::Row as _;

use crate::{Records, StoreError};

/// One line of the index: a version, and when its first file came in (the format of index.golang.org).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct IndexEntry {
    /// Module path.
    pub path: String,
    /// Version.
    pub version: String,
    /// When it was first seen here; no two entries share a time.
    pub timestamp: Timestamp,
}

impl Records {
    /// Versions first seen at `since` or later, oldest first, at most `limit`.
    pub async fn index(&self, since: Timestamp, limit: u32) -> Result<Vec<IndexEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT module, version, seen FROM version WHERE seen >= ? ORDER BY seen LIMIT ?",
        )
        .bind(since.as_microsecond())
        .bind(limit)
        .fetch_all(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .map(|row| IndexEntry {
                path: row.get(0),
                version: row.get(1),
                timestamp: Timestamp::from_microsecond(row.get(2)).unwrap_or(Timestamp::UNIX_EPOCH),
            })
            .collect())
    }
}
