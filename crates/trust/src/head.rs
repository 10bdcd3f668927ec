//! The newest signed head of a database, kept so that no crash takes it back.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use sumdb::client::Swap;

/// A file that holds one signed head. Reading and swapping block on the disk.
#[derive(Debug)]
pub(crate) struct HeadFile {
    path: PathBuf,
    /// The newest head, if the disk has no room for it. The lock keeps threads apart.
    unkept: Mutex<Option<Unkept>>,
}

/// A head that is in memory alone. A restart goes back to the one on disk, with which every later one must agree as well.
#[derive(Debug)]
struct Unkept {
    note: Vec<u8>,
    /// What the disk had then. If it has another one now, another process has found room, and its head counts.
    instead_of: Vec<u8>,
}

impl HeadFile {
    /// The head of the database of this name, in the folder `heads` of a store.
    pub(crate) fn new(root: &Path, database: &str) -> Self {
        // A name may have slashes, and never a plus.
        let file = format!("{}.note", database.replace('/', "+"));
        Self {
            path: root.join("heads").join(file),
            unkept: Mutex::default(),
        }
    }

    pub(crate) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        self.newest(&mut self.unkept())
    }

    fn unkept(&self) -> MutexGuard<'_, Option<Unkept>> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn newest(&self, unkept: &mut Option<Unkept>) -> io::Result<Option<Vec<u8>>> {
        let on_disk = self.read_file()?;
        match unkept {
            Some(unkept) if on_disk.as_deref().unwrap_or_default() == unkept.instead_of => {
                Ok(Some(unkept.note.clone()))
            }
            _ => {
                *unkept = None;
                Ok(on_disk)
            }
        }
    }

    fn read_file(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// Replaces `old` by `new`: after a power cut the file has one of the two, whole. On a full disk the new one stays in
    /// memory: nothing could be verified otherwise.
    pub(crate) fn swap(&self, old: &[u8], new: &[u8]) -> io::Result<Swap> {
        let mut unkept = self.unkept();
        let locked = match self.lock() {
            Err(error) if !is_no_room(&error) => return Err(self.explain(&error)),
            locked => locked,
        };
        let current = self.newest(&mut unkept)?.unwrap_or_default();
        if current != old {
            return Ok(Swap::Conflict(current));
        }
        match locked.and_then(|_locked| write_durably(&self.path, new)) {
            Ok(()) => *unkept = None,
            Err(error) if is_no_room(&error) => {
                if unkept.is_none() {
                    tracing::error!(head = %self.path.display(), %error, "the newest head of the checksum database is kept in memory alone");
                }
                *unkept = Some(Unkept {
                    note: new.to_owned(),
                    instead_of: self.read_file()?.unwrap_or_default(),
                });
            }
            Err(error) => return Err(self.explain(&error)),
        }
        Ok(Swap::Done)
    }

    /// Notes that the database has confirmed the head just now. What cannot be noted is only told as older than it is.
    pub(crate) fn confirm(&self) {
        self.keep_if_there_is_room();
        let touched = File::options().append(true).open(&self.path);
        let _stays_as_it_was = touched.and_then(|file| file.set_modified(SystemTime::now()));
    }

    fn keep_if_there_is_room(&self) {
        let mut unkept = self.unkept();
        if unkept.is_none() {
            return;
        }
        let Ok(_locked) = self.lock() else { return };
        if let Ok(Some(note)) = self.newest(&mut unkept)
            && write_durably(&self.path, &note).is_ok()
        {
            *unkept = None;
        }
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

/// Whether the disk takes nothing new.
fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::StorageFull | Kind::QuotaExceeded | Kind::ReadOnlyFilesystem
    )
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
