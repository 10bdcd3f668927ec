//! The directories with what was fetched: one for each repository, shared with other processes, and never worth more
//! than the time to fetch it again.
//!
//! ```text
//! <key>/remote        the address, for people
//! <key>/tip.git       the commits asked for, each with all its files, without history
//! <key>/history.git   the history of all branches and tags, as a rule without files
//! <key>/dirty         there while something is being changed
//! <key>.lock          locked by whoever changes something
//! <key>.use           locked (shared) by whoever uses the directory at all; its time is that of the last use
//! ```
//! The kernel lets a lock go when its last holder ends, however it ends; the programs that change a directory hold its
//! lock themselves. Whoever gets the lock and finds `dirty` knows that all of them are dead.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use goenv::redact::redact_text;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ToolFault};
use crate::runner::directory_size;

/// How often a lock that somebody else holds is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// All directories.
#[derive(Clone, Debug)]
pub(crate) struct Mirrors {
    root: PathBuf,
}

/// A directory in use: while this is there, nobody removes it.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) directory: PathBuf,
    lock: PathBuf,
    in_use: File,
}

/// The right to change a directory.
#[derive(Debug)]
pub(crate) struct Writing {
    directory: PathBuf,
    lock: File,
}

impl Mirrors {
    pub(crate) fn new(root: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&root).map_err(Error::io(format!("creating {}", root.display())))?;
        let mirrors = Self { root };
        mirrors.empty_trash();
        Ok(mirrors)
    }

    /// The directory for the repository at `url`, made if need be.
    pub(crate) async fn open(&self, system: &str, url: &str) -> Result<Mirror, Error> {
        let key = key_of(system, url);
        let directory = self.root.join(&key);
        let using = self.root.join(format!("{key}.use"));
        let doing = || format!("opening {}", directory.display());
        let in_use = lock_file(&using).map_err(Error::io(doing()))?;
        // Held exclusively for the moment of a renaming only.
        until_locked(
            &in_use,
            FlockOperation::NonBlockingLockShared,
            Duration::from_secs(30),
        )
        .await?;
        let prepare = || {
            in_use.set_modified(SystemTime::now())?;
            fs::create_dir_all(&directory)?;
            fs::write(directory.join("remote"), redact_text(url))
        };
        prepare().map_err(Error::io(doing()))?;
        Ok(Mirror {
            lock: self.root.join(format!("{key}.lock")),
            directory,
            in_use,
        })
    }

    /// Removes the directories that were not used for the longest time, until all have `budget` bytes at most. Those
    /// in use stay.
    pub(crate) fn evict(&self, budget: u64) -> Vec<PathBuf> {
        let mut mirrors: Vec<(SystemTime, PathBuf, u64)> = self
            .entries()
            .filter(|path| path.is_dir())
            .map(|path| {
                let used = fs::metadata(path.with_extension("use")).and_then(|m| m.modified());
                let size = directory_size(&path);
                (used.unwrap_or(SystemTime::UNIX_EPOCH), path, size)
            })
            .collect();
        mirrors.sort_unstable();
        let mut total = mirrors
            .iter()
            .fold(0_u64, |sum, (_, _, size)| sum.saturating_add(*size));
        let mut removed = Vec::new();
        for (_, path, size) in mirrors {
            if total <= budget {
                break;
            }
            if self.remove(&path) {
                total = total.saturating_sub(size);
                removed.push(path);
            }
        }
        self.empty_trash();
        removed
    }

    fn remove(&self, directory: &Path) -> bool {
        let Ok(using) = lock_file(&directory.with_extension("use")) else {
            return false;
        };
        flock(&using, FlockOperation::NonBlockingLockExclusive).is_ok()
            && discard(directory, &self.root).is_ok()
    }

    fn empty_trash(&self) {
        for path in self.entries() {
            if path
                .extension()
                .is_some_and(|extension| extension == "trash")
            {
                // What cannot be removed now is tried again the next time.
                let _later = fs::remove_dir_all(&path);
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = PathBuf> {
        fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    }
}

impl Mirror {
    pub(crate) fn tip(&self) -> PathBuf {
        self.directory.join("tip.git")
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.directory.join("history.git")
    }

    /// Where repositories of other systems than git are copied to.
    pub(crate) fn copy(&self) -> PathBuf {
        self.directory.join("copy")
    }

    /// Waits for the right to change the directory, and cleans up after whoever had it and was killed.
    pub(crate) async fn write(&self, patience: Duration) -> Result<Writing, Error> {
        let doing = || format!("locking {}", self.lock.display());
        let lock = lock_file(&self.lock).map_err(Error::io(doing()))?;
        until_locked(&lock, FlockOperation::NonBlockingLockExclusive, patience).await?;
        let writing = Writing {
            directory: self.directory.clone(),
            lock,
        };
        let begin = || {
            self.in_use.set_modified(SystemTime::now())?;
            let dirty = writing.directory.join("dirty");
            if dirty.exists() {
                clean(&writing.directory)?;
            }
            File::create(&dirty).map(drop)
        };
        begin().map_err(Error::io(format!("preparing {}", self.directory.display())))?;
        Ok(writing)
    }
}

impl Writing {
    /// A share of the lock, for a program to hold.
    pub(crate) fn share(&self) -> Result<File, Error> {
        self.lock.try_clone().map_err(Error::io("sharing a lock"))
    }

    /// Ends the change in good order. Dropping it instead leaves `dirty` behind.
    pub(crate) fn finish(self) {
        let _cleaned_next_time = fs::remove_file(self.directory.join("dirty"));
    }

    /// Puts away the repository `name`, which is broken.
    pub(crate) fn discard(&self, repository: &Path) -> Result<(), Error> {
        let root = self.directory.parent().unwrap_or(&self.directory);
        match discard(repository, root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(format!(
                "discarding {}",
                repository.display()
            ))(error)),
            _ => Ok(()),
        }
    }
}

/// A name for files, which says nothing about the address.
fn key_of(system: &str, url: &str) -> String {
    use std::fmt::Write as _;
    let mut key = String::new();
    for byte in Sha256::digest(format!("{system}:{url}")) {
        // Writing to a string does not fail.
        let _infallible = write!(key, "{byte:02x}");
    }
    key
}

/// Moves a directory out of the way at once, and removes it then.
fn discard(directory: &Path, root: &Path) -> io::Result<()> {
    loop {
        let trash = tempfile::Builder::new()
            .prefix("old-")
            .suffix(".trash")
            .tempdir_in(root)?;
        match fs::rename(directory, trash.path().join("x")) {
            // Another process has taken the trash out just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory.exists() => {}
            Err(error) => return Err(error),
            Ok(()) => return trash.close(),
        }
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

async fn until_locked(
    file: &File,
    operation: FlockOperation,
    patience: Duration,
) -> Result<(), Error> {
    let attempts = async {
        loop {
            match flock(file, operation) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(Error::io("locking a repository")(error.into())),
            }
        }
    };
    tokio::time::timeout(patience, attempts)
        .await
        .unwrap_or_else(|_| {
            Err(ToolFault::Timeout {
                what: "waiting for another process that uses the repository".to_owned(),
                seconds: patience.as_secs(),
                network: true,
            }
            .into())
        })
}

/// Removes what programs that were killed have left: locks and temporary files.
fn clean(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let left_behind = name.starts_with("tmp_")
            || name.starts_with(".tmp-")
            || name.starts_with("tmp-")
            || name.contains(".new-")
            || (!is_dir && name.ends_with(".lock"));
        if left_behind {
            if is_dir {
                fs::remove_dir_all(&path)?;
            } else {
                fs::remove_file(&path)?;
            }
        } else if is_dir {
            clean(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(root: &Path, url: &str) -> Mirror {
        let mirrors = Mirrors::new(root.to_path_buf()).unwrap();
        mirrors.open("git", url).await.unwrap()
    }

    #[tokio::test]
    async fn one_writes_and_the_next_cleans_up_after_a_kill() {
        let root = tempfile::tempdir().unwrap();
        let mirror = opened(root.path(), "https://u:p@h/x").await;
        let named = fs::read_to_string(mirror.directory.join("remote")).unwrap();
        assert_eq!(named, "https://u:xxxxx@h/x");
        let writing = mirror.write(Duration::from_secs(1)).await.unwrap();
        assert!(mirror.write(Duration::from_millis(120)).await.is_err());
        let pack = mirror.tip().join("objects/pack");
        fs::create_dir_all(&pack).unwrap();
        fs::create_dir_all(mirror.directory.join("history.new-1/x")).unwrap();
        for left in [
            "objects/pack/tmp_pack_x",
            "shallow.lock",
            "objects/pack/keep.pack",
            "config",
        ] {
            fs::write(mirror.tip().join(left), "").unwrap();
        }
        drop(writing);
        let writing = mirror.write(Duration::from_secs(1)).await.unwrap();
        assert!(!pack.join("tmp_pack_x").exists() && !mirror.tip().join("shallow.lock").exists());
        assert!(!mirror.directory.join("history.new-1").exists());
        assert!(pack.join("keep.pack").exists() && mirror.tip().join("config").exists());
        writing.finish();
        assert!(!mirror.directory.join("dirty").exists());
    }

    #[tokio::test]
    async fn what_was_not_used_for_longest_goes_first_and_what_isin_use_stays() {
        let root = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(root.path().to_path_buf()).unwrap();
        let mut directories = Vec::new();
        for (index, url) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let mirror = mirrors.open("git", url).await.unwrap();
            fs::write(mirror.directory.join("data"), vec![0; 1000]).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(index as u64);
            mirror.in_use.set_modified(time).unwrap();
            directories.push(mirror.directory.clone());
        }
        assert_eq!(mirrors.evict(10_000), Vec::<PathBuf>::new());
        let in_use = mirrors.open("git", "a").await.unwrap();
        in_use.in_use.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(mirrors.evict(2500), directories[1..3]);
        assert!(directories[0].exists() && directories[3].exists());
        let trash = mirrors
            .entries()
            .filter(|p| p.extension().is_some_and(|e| e == "trash"));
        assert_eq!(trash.count(), 0);
    }
}
