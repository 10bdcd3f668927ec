//! Files of versions, had through a depot and judged anew: what was in the store before modkeep verified what it
//! fetches is no better than what anybody says.

use depot::{Depot, DepotError, FetchMode};
use gomod::ModuleVersion;
use modzip::{Archive, H1, Workers, hash_go_mod};
use store::{FileKey, FileKind, Hasher};

use crate::{BundleError, EntryName, FileEntry};

/// A file of a version, in the store.
pub(crate) struct Gathered {
    pub(crate) entry: FileEntry,
    /// `None` for `.info`.
    pub(crate) hash: Option<H1>,
}

/// Has a file in the store, fetched if need be, and hashes it.
pub(crate) async fn gather(
    depot: &Depot,
    module: &ModuleVersion,
    kind: FileKind,
    workers: &Workers,
) -> Result<Gathered, BundleError> {
    let key = FileKey::of(module, kind);
    let had = depot.ensure(&key, FetchMode::Allowed).await;
    had.map_err(|error| BundleError::Fetch {
        what: key.to_string(),
        error,
    })?;
    let (store, workers) = (depot.store().clone(), workers.clone());
    let (module, wanted) = (module.clone(), key.clone());
    let examined = tokio::task::spawn_blocking(move || {
        let stored = store.open_file(&wanted)?.ok_or_else(|| lost(&wanted))?;
        let mut hasher = Hasher::default();
        read_pieces(&stored, |piece| {
            hasher.update(piece);
            Ok(())
        })
        .map_err(BundleError::io(
            "read the stored",
            std::path::Path::new(&wanted.url_path()),
        ))?;
        let name = EntryName::Module(wanted.clone());
        let hash = match wanted.kind {
            FileKind::Info => None,
            FileKind::Mod => {
                let bytes = store
                    .read_small(&wanted, &stored)?
                    .ok_or_else(|| lost(&wanted))?;
                Some(hash_go_mod(&bytes))
            }
            FileKind::Zip => {
                let unfit = |error: modzip::Error| BundleError::unfit(&name, error);
                let archive = Archive::open(&**stored.file(), stored.len()).map_err(unfit)?;
                let hash = archive.hash(&workers).map_err(unfit)?;
                archive.check(&module).fit().map_err(unfit)?;
                Some(hash)
            }
        };
        let entry = FileEntry {
            name,
            size: stored.len(),
            sha256: hasher.finish().to_string(),
        };
        Ok(Gathered { entry, hash })
    });
    examined
        .await
        .map_err(|_| BundleError::Lost("a file was not read to its end"))?
}

fn lost(key: &FileKey) -> BundleError {
    BundleError::Fetch {
        what: key.to_string(),
        error: DepotError::Lost,
    }
}

/// Reads a stored file from its beginning to its end.
pub(crate) fn read_pieces(
    stored: &store::StoredFile,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let mut buffer = vec![0; 256 * 1024];
    let mut position = 0;
    loop {
        let read = stored.file().read_at(&mut buffer, position)?;
        if read == 0 {
            return Ok(());
        }
        take(buffer.get(..read).unwrap_or_default())?;
        position += read as u64;
    }
}
