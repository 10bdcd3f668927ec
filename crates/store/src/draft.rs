use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, MemfdFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tempfile::TempPath;

use crate::{Digest, Hasher, StoreError};

/// What a draft that has no name on disk is called.
const MEMORY: &str = "a file in memory";

/// A file that is still being written. Readers may follow it while it grows; it has no name in the tree until it is
/// published, and vanishes if it is dropped before.
#[derive(Debug)]
pub struct Draft {
    file: Arc<File>,
    /// `None`: it is in memory, and can be read, but not published.
    path: Option<TempPath>,
    hasher: Hasher,
    len: u64,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Draft {
    pub(crate) fn create(directory: &Path) -> Result<Self, StoreError> {
        let temporary = tempfile::Builder::new()
            .prefix("draft-")
            .tempfile_in(directory)
            .map_err(StoreError::io("create a temporary file in", directory))?;
        let (file, path) = temporary.into_parts();
        Ok(Self {
            file: Arc::new(file),
            path: Some(path),
            hasher: Hasher::default(),
            len: 0,
        })
    }

    /// A draft that is in memory alone, for when the disk takes nothing: it can be filled, read and hashed, but every
    /// attempt to publish it fails.
    pub fn in_memory() -> Result<Self, StoreError> {
        let file = rustix::fs::memfd_create("modkeep-draft", MemfdFlags::CLOEXEC)
            .map_err(|error| StoreError::io("create", Path::new(MEMORY))(error.into()))?;
        Ok(Self {
            file: Arc::new(file.into()),
            path: None,
            hasher: Hasher::default(),
            len: 0,
        })
    }

    fn name(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(MEMORY))
    }

    /// Makes room for so many bytes in all, so that a disk that is too full says so before the first of them.
    ///
    /// # Errors
    /// When there is not as much room. A file system that cannot tell is no error.
    pub fn reserve(&self, len: u64) -> Result<(), StoreError> {
        // Many file systems look at this limit only when a file becomes longer.
        let limit = getrlimit(Resource::Fsize).current;
        let reserved = if limit.is_some_and(|limit| limit < len) {
            Err(Errno::FBIG)
        } else {
            rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, len)
        };
        match reserved {
            // Of no bytes, or on a file system without this function.
            Ok(()) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(StoreError::io("make room for", self.name())(error.into())),
        }
    }

    /// Appends bytes. On an error nothing more can be said of the file's content; drop the draft.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all_at(bytes, self.len)
            .map_err(StoreError::io("write", self.name()))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The digest of what was written so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// A handle for readers that follow the file while it grows. Read with positions, up to what was appended.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether what was written ends as a complete zip file does.
    pub fn ends_like_a_zip(&self) -> io::Result<bool> {
        let tail_len = self.len.min(66 * 1024);
        let mut tail = vec![0; usize::try_from(tail_len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut tail, self.len - tail_len)?;
        Ok(crate::stored::ends_like_a_zip(&tail, self.len))
    }

    /// What is to be published.
    ///
    /// # Errors
    /// When it is in memory: there was no room for it, and that is said again.
    pub(crate) fn seal(self) -> Result<(Arc<File>, TempPath, u64, Digest), StoreError> {
        let Some(path) = self.path else {
            return Err(StoreError::io("keep", Path::new(MEMORY))(
                io::ErrorKind::StorageFull.into(),
            ));
        };
        Ok((self.file, path, self.len, self.hasher.finish()))
    }
}
