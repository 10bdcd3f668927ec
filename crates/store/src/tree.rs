use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gomod::{ModulePath, Version};
use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::lock::Lock;
use crate::publish::{Published, publish_new};
use crate::stored::Damage;
use crate::{Digest, Draft, FileKey, FileKind, StoreError, StoredFile};

/// Bytes of a file's path that its name in the quarantine keeps; file names have at most 255.
const LONGEST_QUARANTINE_NAME: usize = 200;

/// One directory of stored files, used by one process at a time.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    _lock: Lock,
    /// Whether the process that had the store before ended without closing it.
    after_crash: bool,
    quarantined: AtomicU64,
}

/// What a look into the tree that must not wait for the disk found.
#[derive(Debug)]
pub enum Found {
    /// The file, or that there is none.
    Known(Option<StoredFile>),
    /// The answer is not in the system's memory; ask again where waiting is allowed.
    MustWait,
}

/// A file that was given its name in the tree.
#[derive(Debug)]
pub struct PublishedFile {
    /// The file as it is now stored; where the name was taken before, the earlier one.
    pub stored: StoredFile,
    /// The digest of the draft's bytes.
    pub digest: Digest,
    /// Whether this publication put it there.
    pub is_new: bool,
}

impl Store {
    /// Opens or creates the store in `root`, takes its lock, and removes what an earlier process left unfinished.
    ///
    /// # Errors
    /// Without write permission, or when another process uses the store.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for directory in ["tree", "answers", "tmp", "quarantine"] {
            let path = root.join(directory);
            fs::create_dir_all(&path).map_err(StoreError::io("create", &path))?;
        }
        let lock = Lock::acquire(root)?;
        let temporary = root.join("tmp");
        empty_directory(&temporary).map_err(StoreError::io("clean", &temporary))?;
        let running = root.join("running");
        let after_crash = running.exists();
        fs::write(&running, b"present while a process uses the store\n")
            .map_err(StoreError::io("write", &running))?;
        Ok(Self {
            root: root.to_path_buf(),
            _lock: lock,
            after_crash,
            quarantined: AtomicU64::new(0),
        })
    }

    /// Notes that everything was written down, so that the next start need not look for what was not.
    pub fn close(&self) {
        let _kept = fs::remove_file(self.root.join("running"));
    }

    /// Whether the process before this one ended without [`Self::close`]; its last records may be missing.
    pub fn opened_after_crash(&self) -> bool {
        self.after_crash
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory that is a GOPROXY tree.
    pub fn tree_directory(&self) -> PathBuf {
        self.root.join("tree")
    }

    pub(crate) fn answers_directory(&self) -> PathBuf {
        self.root.join("answers")
    }

    pub(crate) fn temporary_directory(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// How many files were found damaged and set aside since this process began.
    pub fn quarantined(&self) -> u64 {
        self.quarantined.load(Ordering::Relaxed)
    }

    /// Opens a file of the tree. `None`: it is not there, or was damaged and is now in quarantine. Blocks on the disk.
    pub fn open_file(&self, key: &FileKey) -> Result<Option<StoredFile>, StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        match File::open(&path) {
            Ok(file) => self.accept(key, &path, file),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(StoreError::io("open", &path)(error)),
        }
    }

    /// As [`Self::open_file`], but only if the system can tell from memory.
    pub fn try_open_file(&self, key: &FileKey) -> Result<Found, StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match rustix::fs::openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(fd) => self.accept(key, &path, File::from(fd)).map(Found::Known),
            Err(error) if is_absence(&error.into()) => Ok(Found::Known(None)),
            Err(_) => Ok(Found::MustWait),
        }
    }

    fn accept(
        &self,
        key: &FileKey,
        path: &Path,
        file: File,
    ) -> Result<Option<StoredFile>, StoreError> {
        match StoredFile::inspect(file, key.kind).map_err(StoreError::io("read", path))? {
            Ok(stored) => Ok(Some(stored)),
            Err(damage) => {
                self.quarantine(key, &damage)?;
                Ok(None)
            }
        }
    }

    /// Reads a small stored file whole. `None`: its bytes were damaged, and it is now in quarantine.
    pub fn read_small(
        &self,
        key: &FileKey,
        stored: &StoredFile,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        match stored.read_small().map_err(StoreError::io("read", &path))? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(damage) => {
                self.quarantine(key, &damage)?;
                Ok(None)
            }
        }
    }

    /// Takes a damaged file out of the tree, and keeps it for whoever wants to know what happened to it.
    pub fn quarantine(&self, key: &FileKey, damage: &Damage) -> Result<(), StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        let flat = key.url_path().replace('/', "+");
        // A path may be longer than a file name can be; its end tells more than its beginning.
        let start = flat.len().saturating_sub(LONGEST_QUARANTINE_NAME);
        let name = format!(
            "{}.{}",
            flat.get(start..).unwrap_or_default(),
            Timestamp::now().as_microsecond()
        );
        let destination = self.root.join("quarantine").join(name);
        match fs::rename(&path, &destination) {
            Ok(()) => {
                self.quarantined.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    file = %path.display(), quarantine = %destination.display(), reason = %damage,
                    "a stored file is damaged; it was set aside and will be fetched again"
                );
                Ok(())
            }
            // Somebody else noticed first.
            Err(error) if is_absence(&error) => Ok(()),
            Err(error) => Err(StoreError::io("set aside", &path)(error)),
        }
    }

    /// Begins a new file.
    pub fn create_draft(&self) -> Result<Draft, StoreError> {
        Draft::create(&self.temporary_directory())
    }

    /// Publishes a finished draft under its name. A name that is taken keeps what it has. Blocks until it is durable.
    pub fn publish(&self, draft: Draft, key: &FileKey) -> Result<PublishedFile, StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        let (file, temporary, len, digest) = draft.seal();
        crate::digest::stamp(&file, len, digest);
        let published = publish_new(&temporary, &file, &path)?;
        if published == Published::New {
            // The name has moved away from under the guard, which would complain about nothing to remove.
            let _moved = temporary.keep();
        }
        let stored = self.open_file(key)?.ok_or_else(|| {
            StoreError::io("open", &path)(io::Error::other(
                "it vanished right after it was published",
            ))
        })?;
        Ok(PublishedFile {
            stored,
            digest,
            is_new: published == Published::New,
        })
    }

    /// As [`Self::publish`], for bytes in memory.
    pub fn publish_bytes(&self, bytes: &[u8], key: &FileKey) -> Result<PublishedFile, StoreError> {
        let mut draft = self.create_draft()?;
        draft.append(bytes)?;
        self.publish(draft, key)
    }

    /// The versions of a module that are stored with their `.info`, in ascending order. Blocks on the disk.
    pub fn versions(&self, module: &ModulePath) -> Result<Vec<Version>, StoreError> {
        let directory = self
            .tree_directory()
            .join(module.escaped().as_str())
            .join("@v");
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &directory)(error)),
        };
        let mut versions: Vec<Version> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| Version::unescape(name.strip_suffix(".info")?).ok())
            .collect();
        versions.sort();
        Ok(versions)
    }
}

pub(crate) fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
    )
}

fn empty_directory(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Splits a path relative to the tree into the key it stands for. `None`: the path is none of an immutable file.
pub(crate) fn key_of(relative: &Path) -> Option<FileKey> {
    let (module, file) = relative.to_str()?.rsplit_once("/@v/")?;
    let (version, extension) = file.rsplit_once('.')?;
    Some(FileKey {
        module: ModulePath::unescape(module).ok()?,
        version: Version::unescape(version).ok()?,
        kind: FileKind::from_extension(extension)?,
    })
}
