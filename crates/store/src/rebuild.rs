use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use modzip::{H1, Workers};

use crate::records::Batch;
use crate::room::open_unnoticed;
use crate::stored::StoredFile;
use crate::tree::{InTree, meaning_of, read_zip_hash};
use crate::{
    Damage, Digest, FileKey, FileKind, FileRecord, Pin, PinnedFile, Records, Store, StoreError,
    UncheckedReason, Verification,
};

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
        let mut found = Batch::default();
        for examined in examined {
            match examined {
                Examined::Sound(record, pin) => {
                    report.files += 1;
                    report.bytes += record.size;
                    found.files.push(record);
                    found.pins.extend(pin);
                }
                Examined::Pin(pin) => found.pins.push(pin),
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
    Sound(FileRecord, Option<Pin>),
    /// The hash beside a zip, which is a pin whether or not the zip is there.
    Pin(Pin),
    Damaged,
    Other,
}

fn examine(store: &Store, path: &Path, stored_at: Timestamp) -> Result<Examined, StoreError> {
    let tree = store.tree_directory();
    let key = match path.strip_prefix(&tree).ok().and_then(meaning_of) {
        Some(InTree::File(key)) => key,
        Some(InTree::ZipHash(key)) => {
            let hash = read_zip_hash(&tree, &key)?;
            let pin = hash.and_then(|hash| restored(&key, PinnedFile::Zip, hash, stored_at));
            return Ok(pin.map_or(Examined::Other, Examined::Pin));
        }
        None => return Ok(Examined::Other),
    };
    match read_sound(path, key.kind).map_err(StoreError::io("read", path))? {
        Ok((stored, digest)) => {
            let pin = pin_of(&tree, &key, &stored, stored_at)?;
            let record = FileRecord {
                size: stored.len(),
                key,
                digest,
                source: None,
                etag: None,
                stored: stored_at,
            };
            Ok(Examined::Sound(record, pin))
        }
        Err(damage) => {
            store.quarantine(&key, &damage)?;
            Ok(Examined::Damaged)
        }
    }
}

fn read_sound(path: &Path, kind: FileKind) -> io::Result<Result<(StoredFile, Digest), Damage>> {
    let stored = match StoredFile::inspect(open_unnoticed(path)?, kind)? {
        Ok(stored) => stored,
        Err(damage) => return Ok(Err(damage)),
    };
    let digest = stored.compute_digest()?;
    if stored.digest().is_some_and(|published| published != digest) {
        return Ok(Err(Damage::Content));
    }
    Ok(Ok((stored, digest)))
}

/// What a sound file is held to from now on, unless more is known. A zip with a hash beside it is held to that one.
fn pin_of(
    tree: &Path,
    key: &FileKey,
    stored: &StoredFile,
    since: Timestamp,
) -> Result<Option<Pin>, StoreError> {
    let hash = match key.kind {
        FileKind::Info => None,
        FileKind::Mod => {
            let path = tree.join(key.tree_path());
            let bytes = stored.read_small().map_err(StoreError::io("read", &path))?;
            bytes.ok().map(|bytes| modzip::hash_go_mod(&bytes))
        }
        FileKind::Zip => match read_zip_hash(tree, key)? {
            Some(hash) => Some(hash),
            // A zip that cannot be hashed is no module; that is found when it is checked, not here.
            None => {
                modzip::hash_zip(&**stored.file(), stored.len(), &Workers::calling_thread()).ok()
            }
        },
    };
    Ok(PinnedFile::of(key.kind)
        .zip(hash)
        .and_then(|(file, hash)| restored(key, file, hash, since)))
}

/// `None`: the tree has a file of a version that cannot be.
fn restored(key: &FileKey, file: PinnedFile, hash: H1, time: Timestamp) -> Option<Pin> {
    Some(Pin {
        module: key.module_version().ok()?,
        file,
        hash,
        verification: Verification::Unchecked {
            reason: UncheckedReason::FoundInTree,
            time,
        },
    })
}
