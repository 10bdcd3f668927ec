//! What operators decide about bytes in quarantine.

use std::fs::File;
use std::sync::Arc;

use gomod::info::RevInfo;
use jiff::Timestamp;
use modzip::{H1, Workers};

use crate::records::Batch;
use crate::{
    Digest, Event, EventKind, FileKind, FileRecord, Pin, PinnedFile, QuarantineEntry, QuarantineId,
    Records, Store, StoreError, Verification,
};

/// Why a decision about bytes in quarantine was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// There is no such entry.
    #[error(
        "there is nothing in quarantine under {0}; `modkeep store quarantine list` shows what is"
    )]
    NotFound(QuarantineId),
    /// A checksum database has proven that other bytes are right.
    #[error(
        "{key} cannot be released: {database} has proven that it hashes to {proven}, and the bytes in quarantine hash to {found}; drop them, and what agrees is fetched again"
    )]
    Proven {
        /// The file.
        key: String,
        /// The database.
        database: String,
        /// What it has.
        proven: H1,
        /// What the bytes hash to.
        found: H1,
    },
    /// The file is stored with other bytes, and published bytes never change.
    #[error(
        "{key} cannot be released: it is stored with other bytes, and what was published never changes"
    )]
    Stored {
        /// The file.
        key: String,
    },
    /// No client could use the bytes.
    #[error("{key} cannot be released: {reason}")]
    Unfit {
        /// The file.
        key: String,
        /// Why not.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a release did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// What was in quarantine.
    pub entry: QuarantineEntry,
    /// What the bytes hash to, which is now the pin; `None` for `.info`.
    pub hash: Option<H1>,
}

/// Accepts bytes in quarantine: they become the stored file, and what they hash to is what every later fetch must agree
/// with. Whatever happens in between, the bytes are in quarantine or stored; a release that was cut short can be repeated.
pub async fn release(
    store: &Arc<Store>,
    records: &Records,
    id: &QuarantineId,
) -> Result<Released, ReleaseError> {
    let (looking, wanted) = (store.clone(), id.clone());
    let examined = blocking(move || examine(&looking, &wanted)).await?;
    let Examined {
        entry,
        hash,
        digest,
    } = examined;
    let key = entry.evidence.key.clone();
    let module = key
        .module_version()
        .map_err(|error| unfit(&entry, &error))?;
    let time = Timestamp::now();
    let pinned = PinnedFile::of(key.kind).zip(hash);
    let mut batch = Batch::default();
    if let Some((file, hash)) = pinned {
        let expected = records.expected(&module).await?;
        if let Some(Pin {
            hash: proven,
            verification: Verification::Proven { database, .. },
            ..
        }) = expected.of(file)
            && *proven != hash
        {
            return Err(ReleaseError::Proven {
                key: key.to_string(),
                database: database.clone(),
                proven: *proven,
                found: hash,
            });
        }
        batch.pins.push(Pin {
            module: module.clone(),
            file,
            hash,
            verification: Verification::Released {
                quarantine: id.clone(),
                time,
            },
        });
    }
    records.flush().await;
    // The decision is on record before it takes effect.
    records.write(&batch).await?;
    let (moving, moved) = (store.clone(), entry.clone());
    blocking(move || Ok(moving.publish_quarantined(&moved, digest, hash)?)).await?;
    let batch = Batch {
        files: vec![FileRecord {
            key: key.clone(),
            size: entry.size,
            digest,
            source: entry.evidence.source.clone(),
            etag: None,
            stored: time,
        }],
        pins: Vec::new(),
        events: vec![Event {
            module,
            time,
            what: EventKind::Released {
                id: id.clone(),
                file: key.kind,
            },
        }],
    };
    records.write(&batch).await?;
    let (removing, wanted) = (store.clone(), id.clone());
    blocking(move || Ok(removing.remove_quarantined(&wanted)?)).await?;
    Ok(Released { entry, hash })
}

/// Removes bytes from quarantine for good. That they were there stays on record.
pub async fn drop_quarantined(
    store: &Arc<Store>,
    records: &Records,
    id: &QuarantineId,
) -> Result<QuarantineEntry, ReleaseError> {
    let (store, wanted) = (store.clone(), id.clone());
    let entry = blocking(move || {
        let entry = store.quarantine_entry(&wanted)?;
        let entry = entry.ok_or(ReleaseError::NotFound(wanted))?;
        store.remove_quarantined(&entry.id)?;
        Ok(entry)
    })
    .await?;
    if let Ok(module) = entry.evidence.key.module_version() {
        let what = EventKind::Dropped {
            id: id.clone(),
            file: entry.evidence.key.kind,
        };
        let time = Timestamp::now();
        records.event(Event { module, time, what }).await;
        records.flush().await;
    }
    Ok(entry)
}

struct Examined {
    entry: QuarantineEntry,
    hash: Option<H1>,
    digest: Digest,
}

/// Looks whether the bytes can be what they are to be.
fn examine(store: &Store, id: &QuarantineId) -> Result<Examined, ReleaseError> {
    let entry = store
        .quarantine_entry(id)?
        .ok_or_else(|| ReleaseError::NotFound(id.clone()))?;
    let key = &entry.evidence.key;
    let module = key
        .module_version()
        .map_err(|error| unfit(&entry, &error))?;
    let read = |error| StoreError::io("read", &entry.path)(error);
    let file = File::open(&entry.path).map_err(read)?;
    let digest = Digest::of_file(&file).map_err(read)?;
    let hash = match key.kind {
        FileKind::Info => {
            let text = std::fs::read(&entry.path).map_err(read)?;
            let info = RevInfo::parse(&text).map_err(|error| unfit(&entry, &error))?;
            if info.version != key.version.as_str() {
                let reason = format!("it is about version {}", info.version);
                return Err(unfit(&entry, &reason));
            }
            None
        }
        FileKind::Mod => {
            let text = std::fs::read(&entry.path).map_err(read)?;
            Some(modzip::hash_go_mod(&text))
        }
        FileKind::Zip => {
            let checked = modzip::check_zip(&file, entry.size, &module)
                .and_then(modzip::Checked::fit)
                .and_then(|_| modzip::hash_zip(&file, entry.size, &Workers::calling_thread()));
            Some(checked.map_err(|error| unfit(&entry, &error))?)
        }
    };
    let stored = store.open_file(key)?;
    if let Some(stored) = stored
        && stored.compute_digest().map_err(read)? != digest
    {
        return Err(ReleaseError::Stored {
            key: key.to_string(),
        });
    }
    Ok(Examined {
        entry,
        hash,
        digest,
    })
}

fn unfit(entry: &QuarantineEntry, reason: &dyn std::fmt::Display) -> ReleaseError {
    ReleaseError::Unfit {
        key: entry.evidence.key.to_string(),
        reason: reason.to_string(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReleaseError> + Send + 'static,
) -> Result<T, ReleaseError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| StoreError::Records {
            reason: error.to_string(),
        })?
}
