use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sumdb::log::Heads;

use crate::SumlogError;

/// How a head is written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    go: String,
    checkpoint: String,
}

/// Reads a head; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<Heads>, SumlogError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SumlogError::io("read", path)(error)),
    };
    let Stored { go, checkpoint } =
        serde_json::from_slice(&bytes).map_err(|error| SumlogError::Damaged {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
    Ok(Some(Heads { go, checkpoint }))
}

/// Replaces a head in one step: after a crash there is the old one or the new one. Waits for the disk.
pub(crate) fn replace(path: &Path, heads: &Heads) -> Result<(), SumlogError> {
    let Heads { go, checkpoint } = heads.clone();
    let mut bytes = serde_json::to_vec(&Stored { go, checkpoint })
        .map_err(|error| SumlogError::io("write", path)(error.into()))?;
    bytes.push(b'\n');
    replace_file(path, &bytes)
}

/// Replaces a file in one step, and waits for the disk.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), SumlogError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut temporary = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(parent)?;
        temporary.write_all(bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        sync_directory(parent)
    };
    write().map_err(SumlogError::io("write", path))
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory and what is missing above it, durably.
pub(crate) fn create_directory(path: &Path) -> Result<(), SumlogError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.is_dir())
        .collect();
    for directory in missing.iter().rev() {
        match fs::create_dir(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(SumlogError::io("create", directory)(error)),
        }
        let parent = directory
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        sync_directory(parent).map_err(SumlogError::io("flush", parent))?;
    }
    Ok(())
}
