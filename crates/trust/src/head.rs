//! The newest signed head of a database, kept so that no crash takes it back.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use sumdb::client::Swap;

/// A file that holds one signed head. Reading and swapping block on the disk.
#[derive(Debug)]
pub(crate) struct HeadFile {
    path: PathBuf,
    /// Keeps threads apart.
    swapping: Mutex<()>,
}

impl HeadFile {
    /// The head of the database of this name, in the folder `heads` of a store.
    pub(crate) fn new(root: &Path, database: &str) -> Self {
        // A name may have slashes, and never a plus.
        let file = format!("{}.note", database.replace('/', "+"));
        Self {
            path: root.join("heads").join(file),
            swapping: Mutex::new(()),
        }
    }

    pub(crate) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// Replaces `old` by `new`: after a power cut the file has one of the two, whole.
    pub(crate) fn swap(&self, old: &[u8], new: &[u8]) -> io::Result<Swap> {
        let _alone = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let _locked = self.lock().map_err(|error| self.explain(&error))?;
        let current = self.read()?.unwrap_or_default();
        if current != old {
            return Ok(Swap::Conflict(current));
        }
        write_durably(&self.path, new).map_err(|error| self.explain(&error))?;
        Ok(Swap::Done)
    }

    /// Notes that the database has confirmed the head just now. What cannot be noted is only told as older than it is.
    pub(crate) fn confirm(&self) {
        let touched = File::options().append(true).open(&self.path);
        let _stays_as_it_was = touched.and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// When the database last confirmed the head, in this process or an earlier one.
    pub(crate) fn confirmed(&self) -> Option<Timestamp> {
        let modified = fs::metadata(&self.path).and_then(|file| file.modified());
        modified
            .ok()
            .and_then(|time| Timestamp::try_from(time).ok())
    }

    /// Keeps other processes out until the file is closed: commands work beside a server.
    fn lock(&self) -> io::Result<File> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(".lock"))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        Ok(file)
    }

    fn explain(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }
}

/// Gives a file this content in one step that survives a power cut: bytes, then name, then folder reach the disk.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        folder.parent().map_or(Ok(()), sync)?;
    }
    let mut temporary = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    temporary.write_all(content)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_swapped_only_for_the_one_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let head = HeadFile::new(folder.path(), "example.com/db");
        assert_eq!(head.read().unwrap(), None);
        assert_eq!(head.swap(b"", b"one").unwrap(), Swap::Done);
        assert_eq!(
            head.swap(b"", b"two").unwrap(),
            Swap::Conflict(b"one".to_vec())
        );
        assert_eq!(head.swap(b"one", b"two").unwrap(), Swap::Done);
        let again = HeadFile::new(folder.path(), "example.com/db");
        assert_eq!(again.read().unwrap().unwrap(), b"two");
        let mut names: Vec<_> = fs::read_dir(folder.path().join("heads"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.retain(|name| name != ".lock");
        assert_eq!(names, ["example.com+db.note"]);
    }

    #[test]
    fn a_head_that_cannot_be_read_is_no_head_that_was_never_kept() {
        let folder = tempfile::tempdir().unwrap();
        let head = HeadFile::new(folder.path(), "db.example.com");
        fs::create_dir_all(folder.path().join("heads").join("db.example.com.note")).unwrap();
        let error = head.read().unwrap_err();
        assert!(error.to_string().contains("db.example.com.note"), "{error}");
        assert!(head.swap(b"", b"one").is_err());
    }
}
