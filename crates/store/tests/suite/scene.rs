use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gomod::{ModulePath, Version};
use jiff::Timestamp;
use store::{Digest, FileKey, FileKind, FileRecord, Source, Store};
use tempfile::TempDir;

/// A store in a folder that vanishes with it.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<Store>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        Self { folder, store }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Where the tree has a file.
    pub(crate) fn path(&self, key: &FileKey) -> PathBuf {
        self.store.tree_directory().join(key.url_path())
    }

    /// Puts bytes into the tree as another program would.
    pub(crate) fn import(&self, key: &FileKey, bytes: &[u8]) {
        let path = self.path(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The names in a folder of the store.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        names_in(&self.root().join(folder))
    }
}

pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

pub(crate) fn module(path: &str) -> ModulePath {
    ModulePath::new(path).unwrap()
}

pub(crate) fn key(path: &str, version: &str, kind: FileKind) -> FileKey {
    FileKey {
        module: module(path),
        version: Version::new(version).unwrap(),
        kind,
    }
}

/// A record as a fetch would make it.
pub(crate) fn record(key: FileKey, stored: Timestamp) -> FileRecord {
    FileRecord {
        key,
        size: 100,
        digest: Digest::of(b"content"),
        source: Some(Source::upstream("https://proxy.example.com")),
        etag: None,
        stored,
    }
}

/// Whether the file system that the tests use keeps extended attributes; says so if not.
pub(crate) fn keeps_stamps(scene: &Scene) -> bool {
    let probe = key("example.com/probe", "v1.0.0", FileKind::Mod);
    let published = scene.store.publish_bytes(b"module m\n", &probe).unwrap();
    let keeps = published.stored.digest().is_some();
    if !keeps {
        testkit::skipped("damage that a stamp tells (no extended attributes in TMPDIR)");
    }
    keeps
}
