//! How a name appears: whole or not at all, durable, and never in place of another.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use crate::StoreError;

/// Whether a publication put the name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Published {
    /// The name is new.
    New,
    /// The name was there before, and what it names is unchanged.
    AlreadyThere,
}

/// Gives a finished temporary file its name. Bytes, then name, then directory reach the disk in this order, so that
/// after a power cut the name is there with all its bytes, or is not there.
pub(crate) fn publish_new(
    temporary: &Path,
    file: &File,
    destination: &Path,
) -> Result<Published, StoreError> {
    file.set_permissions(fs::Permissions::from_mode(0o644))
        .and_then(|()| file.sync_data())
        .map_err(StoreError::io("flush", temporary))?;
    let parent = destination.parent().unwrap_or(Path::new("/"));
    create_directories(parent)?;
    match rename_noreplace(temporary, destination) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Ok(Published::AlreadyThere);
        }
        Err(error) => return Err(StoreError::io("publish", destination)(error)),
    }
    sync_directory(parent)?;
    Ok(Published::New)
}

/// Puts bytes under a name, in place of what was there. Readers see the old bytes or the new, never a mixture.
/// Not made durable: for what can be fetched again.
pub(crate) fn replace(
    directory: &Path,
    destination: &Path,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let parent = destination.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
    let mut temporary = tempfile::Builder::new()
        .prefix("answer-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .map_err(StoreError::io("create a temporary file in", directory))?;
    io::Write::write_all(&mut temporary, bytes)
        .map_err(StoreError::io("write", temporary.path()))?;
    temporary
        .persist(destination)
        .map_err(|error| StoreError::io("publish", destination)(error.error))?;
    Ok(())
}

/// As [`replace`], and made durable.
pub(crate) fn replace_durably(
    directory: &Path,
    destination: &Path,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let parent = destination.parent().unwrap_or(Path::new("/"));
    create_directories(parent)?;
    let mut temporary = tempfile::Builder::new()
        .prefix("durable-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .map_err(StoreError::io("create a temporary file in", directory))?;
    io::Write::write_all(&mut temporary, bytes)
        .and_then(|()| temporary.as_file().sync_data())
        .map_err(StoreError::io("write", temporary.path()))?;
    temporary
        .persist(destination)
        .map_err(|error| StoreError::io("publish", destination)(error.error))?;
    sync_directory(parent)
}

fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some file systems cannot do it in one step; a hard link refuses an existing name everywhere.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        Err(error) => Err(error.into()),
    }
}

fn create_directories(path: &Path) -> Result<(), StoreError> {
    let missing: Vec<PathBuf> = path
        .ancestors()
        .take_while(|ancestor| !ancestor.is_dir())
        .map(Path::to_path_buf)
        .collect();
    for directory in missing.iter().rev() {
        match fs::create_dir(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(StoreError::io("create", directory)(error)),
        }
        if let Some(parent) = directory.parent() {
            sync_directory(parent)?;
        }
    }
    Ok(())
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(StoreError::io("flush", path))
}
