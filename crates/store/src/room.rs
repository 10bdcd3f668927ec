//! Room on the disk: how much there is, what was last used when, and what may go to make more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;

use crate::tree::is_absence;
use crate::{FileKey, FileKind, Store, StoreError, StoredFile};

/// A use is noted again only after so long: a file that is asked for all the time costs nothing more.
const NOTED_AGAIN: Duration = Duration::from_hours(1);

/// The room on a store's file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What this process may still fill.
    pub free: u64,
}

/// A stored zip, with when it was last served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedZip {
    /// Which.
    pub key: FileKey,
    /// Its length in bytes.
    pub len: u64,
    /// When it was last served, or stored, to an hour.
    pub used: SystemTime,
}

impl Store {
    /// How much room there is.
    ///
    /// # Errors
    /// Those of the system.
    pub fn space(&self) -> Result<Space, StoreError> {
        let root = self.root();
        let found = rustix::fs::statvfs(root)
            .map_err(|error| StoreError::io("look at the disk of", root)(error.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space {
            total: bytes(found.f_blocks),
            free: bytes(found.f_bavail),
        })
    }

    /// The zips that were served least recently, the longest unused first: those longer than `longer_than` and not used
    /// since `before`, at most `most`. `wanted` says which come into question. Reads the whole tree's names; memory is
    /// bounded by `most`. Blocks on the disk.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn least_used_zips(
        &self,
        longer_than: u64,
        before: SystemTime,
        most: usize,
        wanted: impl Fn(&FileKey) -> bool,
    ) -> Result<Vec<UsedZip>, StoreError> {
        let tree = self.tree_directory();
        let mut oldest: BinaryHeap<(SystemTime, u64, Reverse<String>)> = BinaryHeap::new();
        for key in self.walk(None) {
            let key = key?;
            if key.kind != FileKind::Zip || !wanted(&key) {
                continue;
            }
            let path = tree.join(key.tree_path());
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if is_absence(&error) => continue,
                Err(error) => return Err(StoreError::io("read", &path)(error)),
            };
            let used = last_use(&metadata);
            if metadata.len() > longer_than && used < before {
                oldest.push((used, metadata.len(), Reverse(key.url_path())));
                if oldest.len() > most {
                    oldest.pop();
                }
            }
        }
        let in_order = oldest.into_sorted_vec().into_iter();
        Ok(in_order
            .filter_map(|(used, len, Reverse(path))| {
                let key = FileKey::from_url_path(&path)?;
                Some(UsedZip { key, len, used })
            })
            .collect())
    }

    /// Removes a zip to make room. Whoever reads it at this moment goes on reading; its `.info`, its `.mod` and the hash
    /// beside it stay, so that what is fetched in its place must be the same. False: it was not there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_zip(&self, zip: &UsedZip) -> Result<bool, StoreError> {
        let path = self.tree_directory().join(zip.key.tree_path());
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(StoreError::io("remove", &path)(error)),
        }
    }
}

impl StoredFile {
    /// Whether its use is to be noted with [`Self::note_use`]: that was not done for a while.
    pub fn is_use_worth_noting(&self) -> bool {
        SystemTime::now()
            .duration_since(self.used)
            .is_ok_and(|since| since >= NOTED_AGAIN)
    }

    /// Notes that it is being served. The time goes where the system keeps that of the last access; it is set here
    /// because many systems are set up not to keep it, or only roughly.
    pub fn note_use(&self) {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            },
            last_modification: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
        };
        // Without the right to do so it counts as used when it was stored.
        let _not_noted = rustix::fs::futimens(&**self.file(), &times);
    }
}

/// When a file was last served, or stored.
pub(crate) fn last_use(metadata: &fs::Metadata) -> SystemTime {
    let seconds = u64::try_from(metadata.atime()).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Opens a file to look it through: that is no use of it.
pub(crate) fn open_unnoticed(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Ok(fd) => Ok(fd.into()),
        // Only its owner may.
        Err(Errno::PERM) => File::open(path),
        Err(error) => Err(error.into()),
    }
}
