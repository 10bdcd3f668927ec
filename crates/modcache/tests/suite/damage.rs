//! Damage done to a module cache, whose files and directories are read-only at first.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Lets a file or directory be changed.
pub(crate) fn writable(path: &Path) {
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Changes the lowest bit of a byte.
pub(crate) fn flip(path: &Path, at: usize) {
    writable(path);
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}
