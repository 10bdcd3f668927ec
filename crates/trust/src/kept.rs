use std::io;
use std::sync::Arc;

use store::{Store, StoreError};
use sumdb::Fork;
use sumdb::client::Swap;
use sumdb::tile::{Tile, TileLevel};

use crate::cache;
use crate::evidence;
use crate::head::HeadFile;

/// What a store keeps of one checksum database: the newest head, and everything that was proven. For commands that
/// bring proofs themselves and work beside a server; all calls block on the disk.
#[derive(Debug)]
pub struct Kept {
    store: Arc<Store>,
    database: String,
    head: HeadFile,
}

impl Kept {
    /// What this store keeps of the database of this name.
    pub fn new(store: Arc<Store>, database: &str) -> Self {
        Self {
            head: HeadFile::new(store.root(), database),
            database: database.to_owned(),
            store,
        }
    }

    /// The newest signed head seen so far.
    pub fn head(&self) -> io::Result<Option<Vec<u8>>> {
        self.head.read()
    }

    /// Replaces the head `old` by `new`, durably, unless it is another by now.
    pub fn swap_head(&self, old: &[u8], new: &[u8]) -> io::Result<Swap> {
        self.head.swap(old, new)
    }

    /// Keeps what convicts the database of two histories, for people.
    pub fn keep_fork(&self, fork: &Fork) -> io::Result<()> {
        evidence::keep(self.store.root(), &self.database, fork).map(drop)
    }

    /// What was proven at a path such as `lookup/...` or `tile/...`; of a tile also the beginning of a wider one.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        let answer = match Tile::parse_path(path) {
            Ok(tile) if matches!(tile.level(), TileLevel::Hashes(_)) => {
                cache::read_tile(&self.store, &self.database, tile)
            }
            _ => cache::read(
                &self.store,
                &self.database,
                &format!("{}/{path}", self.database),
            ),
        };
        answer.map(|answer| answer.body)
    }

    /// Keeps what was proven at a path. Not durable before the file system is flushed.
    pub fn write(&self, path: &str, data: &[u8]) -> Result<(), StoreError> {
        cache::try_write(&self.store, &self.database, path, data)
    }
}
