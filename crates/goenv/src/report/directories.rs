//! The directories downloads need: space, inodes, owner, permissions.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A directory that go writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The setting that names it.
    pub setting: &'static str,
    /// The directory.
    pub path: PathBuf,
    /// The nearest directory that exists: itself, or the one it would be made in.
    pub existing: PathBuf,
    /// The user who owns that one, by number.
    pub owner: Option<u32>,
    /// Permission bits of that one.
    pub mode: Option<u32>,
    /// True when this process may make files in it.
    pub is_writable: bool,
    /// True when the file system is mounted read-only.
    pub is_read_only: bool,
    /// True when programs on it cannot be run.
    pub is_noexec: bool,
    /// Bytes that are free for this user.
    pub free_bytes: Option<u64>,
    /// Files that can still be made; none when the file system does not count them.
    pub free_inodes: Option<u64>,
    /// A file in it whose time lies more than a day in the future.
    pub future_file: Option<PathBuf>,
}

impl Directory {
    /// Looks at a directory without writing to it.
    pub fn read(setting: &'static str, path: &Path) -> Self {
        // Something else than a directory in the way keeps everything below from being made.
        let existing = path
            .ancestors()
            .find(|above| above.symlink_metadata().is_ok());
        let existing = existing.unwrap_or(Path::new("/")).to_owned();
        let facts = facts(&existing);
        Self {
            setting,
            path: path.to_owned(),
            owner: owner(&existing),
            mode: mode(&existing),
            is_writable: existing.is_dir() && is_writable(&existing),
            future_file: future_file(path),
            existing,
            ..facts
        }
    }

    /// True when the directory itself is there.
    pub fn exists(&self) -> bool {
        self.existing == self.path
    }
}

fn future_file(directory: &Path) -> Option<PathBuf> {
    let limit = SystemTime::now() + Duration::from_hours(24);
    let entries = std::fs::read_dir(directory).ok()?;
    entries.take(256).find_map(|entry| {
        let entry = entry.ok()?;
        let modified = entry.metadata().ok()?.modified().ok()?;
        (modified > limit).then(|| entry.path())
    })
}

#[cfg(unix)]
fn facts(existing: &Path) -> Directory {
    let mut directory = Directory::nothing_known();
    if let Ok(stat) = rustix::fs::statvfs(existing) {
        directory.is_read_only = stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        directory.is_noexec = stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
        directory.free_bytes = Some(stat.f_bavail.saturating_mul(stat.f_frsize));
        directory.free_inodes = (stat.f_files > 0).then_some(stat.f_favail);
    }
    directory
}

#[cfg(not(unix))]
fn facts(_: &Path) -> Directory {
    Directory::nothing_known()
}

impl Directory {
    fn nothing_known() -> Self {
        Self {
            setting: "",
            path: PathBuf::new(),
            existing: PathBuf::new(),
            owner: None,
            mode: None,
            is_writable: true,
            is_read_only: false,
            is_noexec: false,
            free_bytes: None,
            free_inodes: None,
            future_file: None,
        }
    }
}

/// Permission bits of a file.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(path.metadata().ok()?.mode() & 0o7777)
}

#[cfg(not(unix))]
pub(crate) fn mode(_: &Path) -> Option<u32> {
    None
}

#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Some(path.metadata().ok()?.uid())
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}

#[cfg(unix)]
fn is_writable(path: &Path) -> bool {
    use rustix::fs::{Access, AtFlags, CWD};
    // A read-only file system is told apart from missing rights.
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    match rustix::fs::accessat(CWD, path, wanted, AtFlags::EACCESS) {
        Ok(()) | Err(rustix::io::Errno::ROFS) => true,
        Err(_) => false,
    }
}

#[cfg(not(unix))]
fn is_writable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| !metadata.permissions().readonly())
}

/// The number of the user this process acts as.
#[cfg(unix)]
pub fn effective_user() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// The number of the user this process acts as.
#[cfg(not(unix))]
pub fn effective_user() -> Option<u32> {
    None
}
