//! Reading the tree from one end to the other, and files as they are.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use modzip::H1;

use crate::digest::{read_stamp, stamp};
use crate::room::open_unnoticed;
use crate::tree::{InTree, is_absence, meaning_of, read_zip_hash};
use crate::{Digest, Evidence, FileKey, QuarantineId, Store, StoreError};

/// The immutable files of a tree, in an order that is the same every time. Memory is bounded by the widest directories,
/// not by the tree.
#[derive(Debug)]
pub struct Walk {
    tree: PathBuf,
    /// Directories that are being read, outermost first, each with the names that are still to come, last first.
    levels: Vec<(PathBuf, Vec<OsString>)>,
    /// The place to go on behind, while names before it may still turn up.
    after: Option<Vec<OsString>>,
    is_begun: bool,
}

impl Walk {
    fn new(tree: PathBuf, after: Option<&Path>) -> Self {
        let names = |path: &Path| {
            let names = path.components().filter_map(|component| match component {
                Component::Normal(name) => Some(name.to_owned()),
                _ => None,
            });
            names.collect()
        };
        Self {
            tree,
            levels: Vec::new(),
            after: after.map(names),
            is_begun: false,
        }
    }

    /// Reads the names of a directory that are to come.
    fn enter(&mut self, directory: PathBuf) -> Result<(), StoreError> {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // Gone in the meantime.
            Err(error) if is_absence(&error) => return Ok(()),
            Err(error) => return Err(StoreError::io("read", &directory)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(
                entry
                    .map_err(StoreError::io("read", &directory))?
                    .file_name(),
            );
        }
        if let Some(reached) = self.reached(&directory) {
            names.retain(|name| *name >= reached);
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        self.levels.push((directory, names));
        Ok(())
    }

    /// The name in this directory on the way to the place behind which to go on, if it is on that way.
    fn reached(&self, directory: &Path) -> Option<OsString> {
        let after = self.after.as_ref()?;
        let relative = directory.strip_prefix(&self.tree).ok()?;
        let depth = relative.components().count();
        let way: PathBuf = after.iter().take(depth).collect();
        (way == relative).then(|| after.get(depth).cloned())?
    }

    fn advance(&mut self) -> Result<Option<FileKey>, StoreError> {
        if !self.is_begun {
            self.is_begun = true;
            self.enter(self.tree.clone())?;
        }
        while let Some((directory, names)) = self.levels.last_mut() {
            let Some(name) = names.pop() else {
                self.levels.pop();
                continue;
            };
            let path = directory.join(name);
            let kind = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata.file_type(),
                Err(error) if is_absence(&error) => continue,
                Err(error) => return Err(StoreError::io("read", &path)(error)),
            };
            if kind.is_dir() {
                self.enter(path)?;
                continue;
            }
            let Ok(relative) = path.strip_prefix(&self.tree) else {
                continue;
            };
            let is_passed = self
                .after
                .as_ref()
                .is_some_and(|after| relative.iter().eq(after.iter().map(OsString::as_os_str)));
            if let (true, false, Some(InTree::File(key))) =
                (kind.is_file(), is_passed, meaning_of(relative))
            {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

impl Iterator for Walk {
    type Item = Result<FileKey, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// A file of the tree as it is, sound or not.
#[derive(Clone, Debug)]
pub struct AsFound {
    file: Arc<File>,
    len: u64,
    published: Option<(u64, Digest)>,
}

impl AsFound {
    /// The open file.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Its bytes now.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Length and digest at publication. `None`: they were not written beside it, or are lost.
    pub fn published(&self) -> Option<(u64, Digest)> {
        self.published
    }

    /// Reads at a position; fewer bytes only at the end.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Writes length and digest beside the bytes again, for whoever serves them.
    pub fn stamp(&self, digest: Digest) {
        stamp(&self.file, self.len, digest);
    }
}

impl Store {
    /// The immutable files of the tree in a fixed order, those behind `after` (a [`FileKey::url_path`]) only. What is
    /// added or removed meanwhile may be seen or not.
    pub fn walk(&self, after: Option<&str>) -> Walk {
        Walk::new(self.tree_directory(), after.map(Path::new))
    }

    /// Opens a file of the tree without judging it. `None`: it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_as_found(&self, key: &FileKey) -> Result<Option<AsFound>, StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        let file = match open_unnoticed(&path) {
            Ok(file) => file,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(StoreError::io("open", &path)(error)),
        };
        let metadata = file.metadata().map_err(StoreError::io("read", &path))?;
        Ok(Some(AsFound {
            published: read_stamp(&file),
            len: metadata.len(),
            file: Arc::new(file),
        }))
    }

    /// The hash that is written beside a zip, as the module cache of `go` has it, whether or not the zip is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn zip_hash(&self, key: &FileKey) -> Result<Option<H1>, StoreError> {
        read_zip_hash(&self.tree_directory(), key)
    }

    /// Writes the hash of a zip beside it, durably, in place of what was there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_zip_hash(&self, key: &FileKey, hash: H1) -> Result<(), StoreError> {
        self.write_zip_hash(key, hash)
    }

    /// As [`Store::quarantine_stored`], but only if the name still belongs to the file that was looked at: somebody else
    /// may have replaced it by a sound one.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn quarantine_found(
        &self,
        found: &AsFound,
        evidence: &Evidence,
    ) -> Result<Option<QuarantineId>, StoreError> {
        let path = self.tree_directory().join(evidence.key.tree_path());
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let is_same = || {
            let there = identity(fs::symlink_metadata(&path)?);
            io::Result::Ok(identity(found.file.metadata()?) == there)
        };
        match is_same() {
            Ok(true) => self.quarantine_stored(evidence),
            Ok(false) => Ok(None),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }
}
