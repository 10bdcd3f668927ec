//! The files that a zip is made of, wherever they come from.

use std::io;

use bstr::{BStr, BString};

/// A file that may become part of a module zip: in a directory, a git archive or memory.
pub trait SourceFile {
    /// Path relative to the module root, with slashes. Need not be UTF-8: files that are omitted may have any
    /// name.
    fn path(&self) -> &BStr;

    /// Kind and size, of a symbolic link itself.
    fn metadata(&self) -> io::Result<Metadata>;

    /// The content of a regular file.
    fn open(&self) -> io::Result<Box<dyn io::Read + '_>>;
}

/// Kind and size of a [`SourceFile`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What kind of file it is.
    pub kind: FileKind,
    /// Size of a regular file in bytes, 0 for others.
    pub size: u64,
}

/// What kind of file a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The only kind that a module zip can hold.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or the like.
    Other,
}

/// A [`SourceFile`] in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFile {
    /// Path relative to the module root, with slashes.
    pub path: BString,
    /// What kind of file it is.
    pub kind: FileKind,
    /// Content of a regular file.
    pub content: Vec<u8>,
}

impl MemoryFile {
    /// A regular file.
    pub fn regular(path: impl Into<BString>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            kind: FileKind::Regular,
            content: content.into(),
        }
    }
}

impl SourceFile for MemoryFile {
    fn path(&self) -> &BStr {
        self.path.as_ref()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        let size = if self.kind == FileKind::Regular {
            self.content.len() as u64
        } else {
            0
        };
        Ok(Metadata {
            kind: self.kind,
            size,
        })
    }

    fn open(&self) -> io::Result<Box<dyn io::Read + '_>> {
        Ok(Box::new(self.content.as_slice()))
    }
}
