use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};

use crate::stored::StoredFile;
use crate::tree::key_of;
use crate::{Damage, FileRecord, Records, Store, StoreError};

/// Files are examined and recorded in batches of this many.
const BATCH: usize = 1000;

/// What a rebuild of the records did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Files found in the tree and recorded.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of the tree that are damaged; they were set aside in the quarantine.
    pub damaged: u64,
}

/// Which files a rebuild looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every file of the tree.
    All,
    /// Files stored about the time of the last record or after it: what a crash may have left unrecorded.
    SinceLastRecord,
}

/// Brings the records in line with the tree: adds what is missing, and keeps what is known of the rest. Reads every
/// file in scope once, in the order in which they were stored.
pub async fn rebuild_records(
    store: &Arc<Store>,
    records: &Records,
    scope: Scope,
) -> Result<RebuildReport, StoreError> {
    let since = match scope {
        Scope::All => Timestamp::MIN,
        Scope::SinceLastRecord => {
            let latest = records.latest_stored().await?;
            latest.checked_sub(1.minute()).unwrap_or(Timestamp::MIN)
        }
    };
    let tree = store.tree_directory();
    let paths = blocking(move || scan(&tree, since)).await?;
    let mut report = RebuildReport::default();
    for batch in paths.chunks(BATCH) {
        let (store, batch) = (store.clone(), batch.to_vec());
        let examined = blocking(move || {
            batch
                .iter()
                .map(|(stored, path)| examine(&store, path, *stored))
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
        let mut found = Vec::new();
        for examined in examined {
            match examined {
                Examined::Sound(record) => {
                    report.files += 1;
                    report.bytes += record.size;
                    found.push(record);
                }
                Examined::Damaged => report.damaged += 1,
                Examined::Other => {}
            }
        }
        records.write(&found).await?;
    }
    Ok(report)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Records {
            reason: error.to_string(),
        }),
    }
}

/// Paths of files modified at `since` or later, oldest first.
fn scan(tree: &Path, since: Timestamp) -> Result<Vec<(Timestamp, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    let mut directories = vec![tree.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(StoreError::io("read", &directory))? {
            let entry = entry.map_err(StoreError::io("read", &directory))?;
            let path = entry.path();
            let metadata = entry.metadata().map_err(StoreError::io("read", &path))?;
            if metadata.is_dir() {
                directories.push(path);
            } else if metadata.is_file() {
                let modified = metadata
                    .modified()
                    .ok()
                    .and_then(|time| Timestamp::try_from(time).ok());
                let modified = modified.unwrap_or(Timestamp::UNIX_EPOCH);
                if modified >= since {
                    found.push((modified, path));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

enum Examined {
    Sound(FileRecord),
    Damaged,
    Other,
}

fn examine(store: &Store, path: &Path, stored_at: Timestamp) -> Result<Examined, StoreError> {
    let Some(key) = path
        .strip_prefix(store.tree_directory())
        .ok()
        .and_then(key_of)
    else {
        return Ok(Examined::Other);
    };
    let failed = |error| StoreError::io("read", path)(error);
    let file = fs::File::open(path).map_err(failed)?;
    let damage = match StoredFile::inspect(file, key.kind).map_err(failed)? {
        Err(damage) => damage,
        Ok(stored) => {
            let digest = stored.compute_digest().map_err(failed)?;
            if stored.digest().is_none_or(|published| published == digest) {
                let size = stored.len();
                return Ok(Examined::Sound(FileRecord {
                    key,
                    size,
                    digest,
                    source: None,
                    etag: None,
                    stored: stored_at,
                }));
            }
            Damage::Content
        }
    };
    store.quarantine(&key, &damage)?;
    Ok(Examined::Damaged)
}
