use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gomod::{ModulePath, Version};
use modzip::H1;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::lock::Lock;
use crate::publish::{Published, publish_new};
use crate::quarantine::DamageListener;
use crate::room::open_unnoticed;
use crate::{Digest, Draft, FileKey, FileKind, QuarantineEntry, StoreError, StoredFile};

/// One directory of stored files. One process at a time has it open; commands may attach to it beside that one.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// `None`: attached.
    lock: Option<Lock>,
    /// Whether the process that had the store before ended without closing it.
    after_crash: bool,
    pub(crate) quarantined: AtomicU64,
    pub(crate) damage: DamageListener,
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
        let lock = Lock::acquire(root).map_err(StoreError::lock(root))?;
        let temporary = root.join("tmp");
        empty_directory(&temporary).map_err(StoreError::io("clean", &temporary))?;
        let running = root.join("running");
        let after_crash = running.exists();
        fs::write(&running, b"present while a process uses the store\n")
            .map_err(StoreError::io("write", &running))?;
        let store = Self {
            root: root.to_path_buf(),
            lock: Some(lock),
            after_crash,
            quarantined: AtomicU64::new(0),
            damage: DamageListener::default(),
        };
        if after_crash {
            store.remove_unfinished_entries()?;
        }
        Ok(store)
    }

    /// Uses the store in `root` beside the process that has it open, if there is one. Files come and go in single steps,
    /// so that neither sees halves of what the other does. What is being written when another process opens the store is
    /// lost, with an error for who writes it.
    ///
    /// # Errors
    /// When there is no store.
    pub fn attach(root: &Path) -> Result<Self, StoreError> {
        for directory in ["tree", "tmp", "quarantine"] {
            let path = root.join(directory);
            fs::read_dir(&path).map_err(StoreError::io("open the store at", &path))?;
        }
        Ok(Self {
            root: root.to_path_buf(),
            lock: None,
            after_crash: false,
            quarantined: AtomicU64::new(0),
            damage: DamageListener::default(),
        })
    }

    /// Notes that everything was written down, so that the next start need not look for what was not.
    pub fn close(&self) {
        if self.lock.is_some() {
            let _kept = fs::remove_file(self.root.join("running"));
        }
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
        match open_unnoticed(&path) {
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

    /// Begins a new file.
    pub fn create_draft(&self) -> Result<Draft, StoreError> {
        Draft::create(&self.temporary_directory())
    }

    /// Publishes a finished draft under its name. A name that is taken keeps what it has. Blocks until it is durable.
    pub fn publish(&self, draft: Draft, key: &FileKey) -> Result<PublishedFile, StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        let (file, temporary, len, digest) = draft.seal()?;
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

    /// As [`Self::publish`], and writes the hash of a zip beside it before, as the module cache of `go` has it: a pin
    /// that outlives the zip, and the records.
    pub fn publish_pinned(
        &self,
        draft: Draft,
        key: &FileKey,
        hash: H1,
    ) -> Result<PublishedFile, StoreError> {
        let path = self.tree_directory().join(key.tree_path());
        // Where the name is taken the hash is that of the file which has it; what is in memory gets no name.
        if key.kind == FileKind::Zip && !path.exists() {
            self.write_zip_hash(key, hash)?;
        }
        self.publish(draft, key)
    }

    /// Gives bytes in quarantine their name in the tree, unless it is taken. Their entry goes on without them.
    pub(crate) fn publish_quarantined(
        &self,
        entry: &QuarantineEntry,
        digest: Digest,
        hash: Option<H1>,
    ) -> Result<(), StoreError> {
        let key = &entry.evidence.key;
        let file = File::open(&entry.path).map_err(StoreError::io("open", &entry.path))?;
        crate::digest::stamp(&file, entry.size, digest);
        if let (FileKind::Zip, Some(hash)) = (key.kind, hash) {
            self.write_zip_hash(key, hash)?;
        }
        let path = self.tree_directory().join(key.tree_path());
        publish_new(&entry.path, &file, &path).map(drop)
    }

    /// Writes the hash of a zip beside it, durably.
    pub(crate) fn write_zip_hash(&self, key: &FileKey, hash: H1) -> Result<(), StoreError> {
        let path = zip_hash_path(&self.tree_directory(), key);
        let text = hash.to_string();
        if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        crate::publish::replace_durably(&self.temporary_directory(), &path, text.as_bytes())
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

/// The hash that is written beside a zip, whether or not the zip is there.
pub(crate) fn read_zip_hash(tree: &Path, key: &FileKey) -> Result<Option<H1>, StoreError> {
    let path = zip_hash_path(tree, key);
    match fs::read_to_string(&path) {
        // What is no hash (cut, or filled with zeros by a power cut) is none, as for the `go` command.
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if is_absence(&error) || error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(StoreError::io("read", &path)(error)),
    }
}

/// The stored `.mod` file, unless it is damaged.
pub(crate) fn read_go_mod(tree: &Path, key: &FileKey) -> Result<Option<Vec<u8>>, StoreError> {
    let path = tree.join(key.tree_path());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(StoreError::io("open", &path)(error)),
    };
    let read = || -> io::Result<Option<Vec<u8>>> {
        match StoredFile::inspect(file, key.kind)? {
            Ok(stored) => Ok(stored.read_small()?.ok()),
            Err(_) => Ok(None),
        }
    };
    read().map_err(StoreError::io("read", &path))
}

fn zip_hash_path(tree: &Path, key: &FileKey) -> PathBuf {
    let (module, version) = (key.module.escaped(), key.version.escaped());
    tree.join(format!("{module}/@v/{version}.ziphash"))
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

/// What a path in the tree stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InTree {
    /// An immutable file.
    File(FileKey),
    /// The hash that is written beside the zip with this key.
    ZipHash(FileKey),
}

/// Tells what a path relative to the tree stands for. `None`: it has nothing to do with immutable files.
pub(crate) fn meaning_of(relative: &Path) -> Option<InTree> {
    let path = relative.to_str()?;
    match path.strip_suffix(".ziphash") {
        Some(version) => FileKey::from_url_path(&format!("{version}.zip")).map(InTree::ZipHash),
        None => FileKey::from_url_path(path).map(InTree::File),
    }
}
