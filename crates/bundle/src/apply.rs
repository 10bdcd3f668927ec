//! From a checked bundle into a store: proofs first, then heads, then files, so that whatever is served can be proven.
//! Each step is whole or not done, and doing it again changes nothing; so an apply that was cut short is repeated.

use std::sync::Arc;

use depot::Settings;
use jiff::Timestamp;
use modzip::{H1, Workers, hash_go_mod};
use store::{
    FileKey, FileKind, FileRecord, Pin, PinnedFile, PublishedFile, Records, Source, Store,
    StoredFile, Verification,
};
use sumdb::client::Swap;
use trust::Kept;

use crate::blocking::blocking;
use crate::check::{CheckedDatabase, check};
use crate::{Bundle, BundleError, EntryName, FileEntry, Proof, Trust, VersionEntry};

/// What an apply did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Files of modules that are new in the store.
    pub new_files: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// Files of modules that were there.
    pub known_files: u64,
    /// Versions in the bundle that no database has proven.
    pub unproven: u64,
    /// What is known of databases now.
    pub databases: Vec<Advance>,
}

/// How far a store knows a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The database.
    pub database: String,
    /// The size of the newest tree known before; 0 if none was.
    pub before: u64,
    /// The size of the newest tree known now.
    pub now: u64,
}

/// Checks a bundle, and publishes what is in it. The store may be in use by a server.
pub async fn apply(
    bundle: Arc<Bundle>,
    store: Arc<Store>,
    records: &Records,
    settings: Arc<Settings>,
    workers: Workers,
) -> Result<Applied, BundleError> {
    let (of, into, by) = (bundle.clone(), store.clone(), settings.clone());
    let hashing = workers.clone();
    let checked = blocking(move || {
        let checked = check(&of, &into, &by, &hashing);
        if let Err(BundleError::Forked { database, fork }) = &checked {
            let kept = Kept::new(into.clone(), database).keep_fork(fork);
            kept.map_err(BundleError::io("keep evidence in", into.root()))?;
        }
        checked
    });
    let databases = checked.await?;
    let mut news = Vec::new();
    for entry in &bundle.manifest().versions {
        news.extend(what_is_new(&bundle, &store, records, entry, &workers).await?);
    }
    let (of, into) = (bundle.clone(), store.clone());
    let databases = blocking(move || publish_proofs(&of, &into, &databases)).await?;
    let mut applied = Applied {
        databases,
        ..Applied::default()
    };
    for entry in &bundle.manifest().versions {
        applied.unproven += u64::from(entry.trust == Trust::Unproven);
        pin(&bundle, records, &settings, entry).await;
    }
    records.flush().await;
    for new in news {
        if new.is_stored {
            applied.known_files += 1;
            continue;
        }
        let (of, into, key) = (bundle.clone(), store.clone(), new.key.clone());
        let published = blocking(move || publish(&of, &into, &new.file, &key, new.hash)).await?;
        if published.is_new {
            applied.new_files += 1;
            applied.new_bytes += published.stored.len();
            let record = FileRecord {
                key: new.key,
                size: published.stored.len(),
                digest: published.digest,
                source: Some(Source::Bundle {
                    manifest: bundle.digest().to_owned(),
                }),
                etag: None,
                stored: Timestamp::now(),
            };
            records.add(record).await;
        } else {
            applied.known_files += 1;
        }
    }
    records.flush().await;
    Ok(applied)
}

/// A file of the bundle.
struct New {
    file: FileEntry,
    key: FileKey,
    /// What it hashes to; `None` for `.info`.
    hash: Option<H1>,
    is_stored: bool,
}

/// Whether a store has a file.
enum InStore {
    No,
    /// It has one with this hash; `None` for `.info`, which has none.
    Yes(Option<H1>),
}

/// The files of a version, in the order in which they are published: `.info`, which makes a version appear in lists,
/// last. None may contradict what the store has or knows.
async fn what_is_new(
    bundle: &Arc<Bundle>,
    store: &Arc<Store>,
    records: &Records,
    entry: &VersionEntry,
    workers: &Workers,
) -> Result<Vec<New>, BundleError> {
    let pinned = records.expected(&entry.module).await?;
    let mut news = Vec::new();
    for kind in [FileKind::Mod, FileKind::Zip, FileKind::Info] {
        let key = FileKey::of(&entry.module, kind);
        let name = EntryName::Module(key.clone());
        let Some(file) = bundle.entry(&name) else {
            continue;
        };
        let hash = match kind {
            FileKind::Info => None,
            FileKind::Mod => Some(entry.go_mod),
            FileKind::Zip => entry.zip,
        };
        let (into, looked_up, hashing) = (store.clone(), key.clone(), workers.clone());
        let sha256 = file.sha256.clone();
        let stored =
            blocking(move || stored_hash(&into, &looked_up, &sha256, hash, &hashing)).await?;
        let conflict = |found, stored, authority: String| BundleError::Conflict {
            name: key.to_string(),
            found,
            stored,
            authority,
        };
        if let (Some(found), InStore::Yes(Some(stored))) = (hash, &stored)
            && found != *stored
        {
            return Err(conflict(found, *stored, "the stored file".to_owned()));
        }
        if let (Some(found), Some(pin)) =
            (hash, PinnedFile::of(kind).and_then(|file| pinned.of(file)))
            && found != pin.hash
            && !(is_weak(pin) && matches!(entry.trust, Trust::Proven { .. }))
        {
            return Err(conflict(found, pin.hash, pin.verification.to_string()));
        }
        news.push(New {
            file: file.clone(),
            key,
            hash,
            is_stored: matches!(stored, InStore::Yes(_)),
        });
    }
    Ok(news)
}

/// Whether a proof outweighs a pin.
fn is_weak(pin: &Pin) -> bool {
    matches!(
        pin.verification,
        Verification::Unchecked { .. } | Verification::FirstSight { .. }
    )
}

/// What the stored file hashes to.
fn stored_hash(
    store: &Store,
    key: &FileKey,
    sha256: &str,
    expected: Option<H1>,
    workers: &Workers,
) -> Result<InStore, BundleError> {
    let Some(stored) = store.open_file(key)? else {
        return Ok(InStore::No);
    };
    if stored
        .digest()
        .is_some_and(|digest| digest.to_string() == sha256)
    {
        return Ok(InStore::Yes(expected));
    }
    let hash = match key.kind {
        FileKind::Info => None,
        FileKind::Mod => match store.read_small(key, &stored)? {
            Some(bytes) => Some(hash_go_mod(&bytes)),
            // It was damaged, and has been set aside.
            None => return Ok(InStore::No),
        },
        FileKind::Zip => Some(zip_hash(key, &stored, workers)?),
    };
    Ok(InStore::Yes(hash))
}

fn zip_hash(key: &FileKey, stored: &StoredFile, workers: &Workers) -> Result<H1, BundleError> {
    modzip::hash_zip(&**stored.file(), stored.len(), workers)
        .map_err(|error| BundleError::unfit(format!("the stored {key}"), error))
}

/// Keeps what proves the versions, and takes the heads forward.
fn publish_proofs(
    bundle: &Bundle,
    store: &Arc<Store>,
    databases: &[CheckedDatabase],
) -> Result<Vec<Advance>, BundleError> {
    for file in &bundle.manifest().files {
        let EntryName::Proof(database, proof) = &file.name else {
            continue;
        };
        let kept = Kept::new(store.clone(), database);
        if *proof == Proof::Head || kept.read(&proof.path()).is_some() {
            continue;
        }
        let bytes = bundle.small(&file.name)?.unwrap_or_default();
        if store::Digest::of(&bytes).to_string() != file.sha256 {
            return Err(BundleError::entry(
                &file.name,
                "it was changed while it was applied",
            ));
        }
        kept.write(&proof.path(), &bytes)?;
    }
    // A head that outlives a power cut must find its tiles.
    sync(store)?;
    databases
        .iter()
        .map(|checked| advance(store, checked))
        .collect()
}

fn sync(store: &Store) -> Result<(), BundleError> {
    let root = store.root();
    let folder = std::fs::File::open(root).map_err(BundleError::io("open", root))?;
    rustix::fs::syncfs(&folder).map_err(|error| BundleError::io("flush", root)(error.into()))
}

fn advance(store: &Arc<Store>, checked: &CheckedDatabase) -> Result<Advance, BundleError> {
    let advance = Advance {
        database: checked.name.clone(),
        before: checked.kept_size,
        now: checked.size,
    };
    if checked.size <= checked.kept_size {
        return Ok(advance);
    }
    let kept = Kept::new(store.clone(), &checked.name);
    let swapped = kept
        .swap_head(&checked.kept, &checked.head)
        .map_err(BundleError::io(
            "keep a head in",
            &store.root().join("heads"),
        ))?;
    match swapped {
        Swap::Done => Ok(advance),
        // The server has moved on meanwhile.
        Swap::Conflict(_) => Err(BundleError::Lost(
            "the known head of a database has changed while the bundle was checked; apply it again",
        )),
    }
}

/// What the files must be from now on.
async fn pin(bundle: &Bundle, records: &Records, settings: &Settings, entry: &VersionEntry) {
    let time = Timestamp::now();
    let verification = match &entry.trust {
        Trust::Proven { database, record } => Verification::Proven {
            database: database.clone(),
            record: *record,
            tree_size: bundle.manifest().database(database).map_or(0, |of| of.size),
            time,
        },
        Trust::Unproven => Verification::FirstSight {
            reason: settings.exemption_of(entry.module.path()),
            time,
        },
    };
    let hashes = [
        (PinnedFile::GoMod, Some(entry.go_mod)),
        (PinnedFile::Zip, entry.zip),
    ];
    for (file, hash) in hashes {
        if let Some(hash) = hash {
            let pin = Pin {
                module: entry.module.clone(),
                file,
                hash,
                verification: verification.clone(),
            };
            records.pin(pin).await;
        }
    }
}

fn publish(
    bundle: &Bundle,
    store: &Store,
    file: &FileEntry,
    key: &FileKey,
    hash: Option<H1>,
) -> Result<PublishedFile, BundleError> {
    let mut draft = store.create_draft()?;
    draft.reserve(file.size)?;
    bundle.copy(file, |piece| Ok(draft.append(piece)?))?;
    Ok(match hash {
        Some(hash) => store.publish_pinned(draft, key, hash)?,
        None => store.publish(draft, key)?,
    })
}
