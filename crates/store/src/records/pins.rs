//! Pins: those that wait to be written, those on record, and those that the tree holds by itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gomod::{ModulePath, ModuleVersion, Version};
use jiff::Timestamp;
use modzip::H1;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::{Records, RecordsHealth};
use crate::{
    Expected, FileKey, FileKind, Pin, PinnedFile, StoreError, UncheckedReason, Verification, tree,
};

/// The most pins that wait while the database does not take them. The tree holds those of zips by itself.
const MOST_PENDING: usize = 65_536;

/// Pins that are not written yet. They stay until they are, also when the database fails for a while.
#[derive(Debug, Default)]
pub(super) struct PendingPins(Mutex<HashMap<(ModuleVersion, PinnedFile), Pin>>);

impl PendingPins {
    pub(super) fn add(&self, pin: Pin) {
        let mut pending = self.lock();
        let is_full = pending.len() >= MOST_PENDING;
        match pending.entry((pin.module.clone(), pin.file)) {
            Entry::Occupied(mut older) => {
                if pin.supersedes(older.get()) {
                    older.insert(pin);
                }
            }
            Entry::Vacant(_) if is_full => {
                tracing::error!(module = %pin.module, "a pin is lost: too many wait for the records");
            }
            Entry::Vacant(place) => {
                place.insert(pin);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(super) fn snapshot(&self) -> Vec<Pin> {
        self.lock().values().cloned().collect()
    }

    /// Removes pins that were written, unless they have changed since.
    pub(super) fn remove(&self, written: &[Pin]) {
        let mut pending = self.lock();
        for pin in written {
            let place = (pin.module.clone(), pin.file);
            if pending.get(&place) == Some(pin) {
                pending.remove(&place);
            }
        }
    }

    fn add_to(&self, expected: &mut Expected, module: &ModuleVersion) {
        let pending = self.lock();
        for file in PinnedFile::ALL {
            if let Some(pin) = pending.get(&(module.clone(), file)) {
                expected.take(pin.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(ModuleVersion, PinnedFile), Pin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    /// What the files of a version must hash to. For fetches only: a stored file is served without it.
    ///
    /// Knows what was pinned a moment ago. Where the records have nothing, because they were lost, what the tree holds
    /// decides: the hash beside the zip, which outlives it, and the `.mod` itself.
    ///
    /// # Errors
    /// When the records do not answer, and the tree has something of the version but no `.mod`: then there may be a pin
    /// of it that nobody can tell. A version that has left no trace in the tree was never seen here.
    pub async fn expected(&self, module: &ModuleVersion) -> Result<Expected, StoreError> {
        let on_record = self.on_record(module).await;
        let (mut expected, trouble) = match on_record {
            Ok(expected) => (expected, None),
            Err(error) => (Expected::default(), Some(error)),
        };
        self.shared.pending.add_to(&mut expected, module);
        let mut has_trace = false;
        if expected.go_mod.is_none() || expected.zip.is_none() {
            let (tree, of) = (self.shared.tree.clone(), module.clone());
            let found = tokio::task::spawn_blocking(move || held_by_tree(&tree, &of))
                .await
                .map_err(|error| StoreError::Records {
                    reason: error.to_string(),
                })??;
            has_trace = found.has_trace;
            for pin in found.pins {
                if expected.of(pin.file).is_none() {
                    expected.take(pin);
                }
            }
        }
        match trouble {
            Some(error) if expected.go_mod.is_none() && has_trace => Err(error),
            Some(error) => {
                tracing::warn!(%module, %error, "what the module must hash to was taken from the tree");
                Ok(expected)
            }
            None => Ok(expected),
        }
    }

    pub(super) async fn on_record(&self, module: &ModuleVersion) -> Result<Expected, StoreError> {
        let rows = sqlx::query(
            "SELECT module, version, file, hash, detail FROM pin WHERE module = ? AND version = ?",
        )
        .bind(module.path().as_str())
        .bind(module.version().as_str())
        .fetch_all(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        self.shared.set_health(RecordsHealth::Ready);
        let mut expected = Expected::default();
        for pin in rows.iter().filter_map(read) {
            expected.take(pin);
        }
        Ok(expected)
    }

    /// Pins that nobody could vouch for yet, oldest first, at most `limit`. They are to be checked again.
    pub async fn unchecked(&self, limit: u32) -> Result<Vec<Pin>, StoreError> {
        self.flush().await;
        let rows = sqlx::query(
            "SELECT module, version, file, hash, detail FROM pin WHERE state = 'unchecked' ORDER BY time LIMIT ?",
        )
        .bind(limit)
        .fetch_all(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().filter_map(read).collect())
    }
}

impl Records {
    /// Pins that no database has proven and no operator has decided on, in the order of their places, at most `limit`
    /// of those behind `after`. Whoever may prove them goes through all of them.
    pub async fn unproven(
        &self,
        after: Option<(&ModuleVersion, PinnedFile)>,
        limit: u32,
    ) -> Result<Vec<Pin>, StoreError> {
        self.flush().await;
        let (module, version, file) = after.map_or(("", "", ""), |(module, file)| {
            let (path, version) = (module.path().as_str(), module.version().as_str());
            (path, version, file.kind().extension())
        });
        let rows = sqlx::query(
            "SELECT module, version, file, hash, detail FROM pin WHERE (module, version, file) > (?, ?, ?) \
             AND state IN ('unchecked', 'first-sight') ORDER BY module, version, file LIMIT ?",
        )
        .bind(module)
        .bind(version)
        .bind(file)
        .bind(limit)
        .fetch_all(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().filter_map(read).collect())
    }
}

/// Writes a pin, unless the one on record is to stay.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    pin: &Pin,
) -> Result<(), sqlx::Error> {
    let older = sqlx::query(
        "SELECT module, version, file, hash, detail FROM pin WHERE module = ? AND version = ? AND file = ?",
    )
    .bind(pin.module.path().as_str())
    .bind(pin.module.version().as_str())
    .bind(pin.file.kind().extension())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(older) = older.as_ref().and_then(read)
        && !pin.supersedes(&older)
    {
        return Ok(());
    }
    let detail = serde_json::to_string(&pin.verification)
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "INSERT INTO pin (module, version, file, hash, state, time, detail) VALUES (?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT DO UPDATE SET hash = excluded.hash, state = excluded.state, time = excluded.time, \
         detail = excluded.detail",
    )
    .bind(pin.module.path().as_str())
    .bind(pin.module.version().as_str())
    .bind(pin.file.kind().extension())
    .bind(pin.hash.as_bytes().as_slice())
    .bind(pin.verification.state())
    .bind(pin.verification.time().as_microsecond())
    .bind(detail)
    .execute(connection)
    .await
    .map(drop)
}

/// A pin as it is on record; `None` if the row was not written by this program.
fn read(row: &SqliteRow) -> Option<Pin> {
    let module = ModuleVersion::new(
        ModulePath::new(row.get(0)).ok()?,
        Version::new(row.get(1)).ok()?,
    );
    Some(Pin {
        module: module.ok()?,
        file: PinnedFile::of(FileKind::from_extension(row.get(2))?)?,
        hash: H1::from_bytes(row.get::<Vec<u8>, _>(3).try_into().ok()?),
        verification: serde_json::from_str(row.get(4)).ok()?,
    })
}

/// What the tree knows of a version.
struct HeldByTree {
    pins: Vec<Pin>,
    /// Whether it has any file of the version.
    has_trace: bool,
}

/// What the tree holds by itself. Blocks on the disk.
fn held_by_tree(root: &Path, module: &ModuleVersion) -> Result<HeldByTree, StoreError> {
    let pin = |file, hash| Pin {
        module: module.clone(),
        file,
        hash,
        verification: Verification::Unchecked {
            reason: UncheckedReason::FoundInTree,
            time: Timestamp::now(),
        },
    };
    let zip = tree::read_zip_hash(root, &FileKey::of(module, FileKind::Zip))?;
    let go_mod = tree::read_go_mod(root, &FileKey::of(module, FileKind::Mod))?;
    let zip = zip.map(|hash| pin(PinnedFile::Zip, hash));
    let go_mod = go_mod.map(|bytes| pin(PinnedFile::GoMod, modzip::hash_go_mod(&bytes)));
    let pins: Vec<Pin> = zip.into_iter().chain(go_mod).collect();
    let mut kinds = [FileKind::Info, FileKind::Mod, FileKind::Zip].into_iter();
    let is_there = |kind| root.join(FileKey::of(module, kind).tree_path()).exists();
    Ok(HeldByTree {
        has_trace: !pins.is_empty() || kinds.any(is_there),
        pins,
    })
}
