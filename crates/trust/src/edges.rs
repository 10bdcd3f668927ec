//! What was proven in a small tree, provable in a larger one.
//!
//! A tile at the right edge of a tree is partial, and wider in every later tree, or part of a subtree that has a hash in
//! a tile of the next level. Whoever has seen a newer head asks for the wider one. So that everything seen before can
//! be proven to them without the database, the tiles at the edges of older trees are read again when the tree has grown.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Store;
use sumdb::tile::{Height, Tile, TileLevel};

use crate::cache;
use crate::head::HeadFile;

/// The sizes of trees in which something was proven, and whose edges were not followed beyond the newest of them.
#[derive(Debug)]
pub(crate) struct Edges(Mutex<BTreeSet<u64>>);

/// Under which name the sizes are kept.
pub(crate) fn key(database: &str) -> String {
    format!("{database}/edges")
}

impl Edges {
    /// As an earlier process left them. Blocks on the disk.
    pub(crate) fn read(store: &Store, database: &str) -> Self {
        let kept = cache::read(store, database, &key(database));
        let text = kept.map_or_else(String::new, |answer| {
            String::from_utf8(answer.body).unwrap_or_default()
        });
        let mut sizes: BTreeSet<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        // Its last head may be newer than what it came to note.
        let head = HeadFile::new(store.root(), database).read();
        let head = head
            .ok()
            .flatten()
            .and_then(|note| String::from_utf8(note).ok());
        sizes.extend(head.and_then(|note| note.lines().nth(1)?.parse::<u64>().ok()));
        Self(Mutex::new(sizes))
    }

    /// Whether the edges are those of a tree of this size alone.
    pub(crate) fn are_those_of(&self, size: u64) -> bool {
        self.lock().iter().eq([&size])
    }

    /// The sizes of smaller trees.
    pub(crate) fn before(&self, size: u64) -> Vec<u64> {
        self.lock().range(..size).copied().collect()
    }

    /// Puts `open` in place of all sizes up to `size`, and gives the text to be kept.
    pub(crate) fn replace(&self, size: u64, open: Vec<u64>) -> String {
        let mut sizes = self.lock();
        sizes.retain(|other| *other > size);
        sizes.extend(open);
        let lines: Vec<String> = sizes.iter().map(u64::to_string).collect();
        lines.join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tiles at the right edge of a tree, as they are in a larger one; and the first tile of each level that the smaller
/// one does not have.
pub(crate) fn grown_tiles(old_size: u64, new_size: u64) -> Vec<Tile> {
    let height = Height::STANDARD;
    let full = u64::from(height.full_width());
    let mut tiles = Vec::new();
    let (mut old, mut new) = (old_size, new_size);
    for level in 0.. {
        if new == 0 {
            break;
        }
        let is_partial = old % full != 0;
        if (is_partial || old == 0) && new > old {
            let index = old / full;
            let width = (new - index * full).min(full);
            let width = u32::try_from(width).unwrap_or(u32::MAX);
            tiles.extend(Tile::new(height, TileLevel::Hashes(level), index, width));
        }
        (old, new) = (old / full, new / full);
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_of_a_small_tree_is_followed_into_a_larger_one() {
        let table: [(u64, u64, &[&str]); 7] = [
            (1, 1, &[]),
            (1, 2, &["tile/8/0/000.p/2"]),
            (1, 256, &["tile/8/0/000", "tile/8/1/000.p/1"]),
            (1, 300, &["tile/8/0/000", "tile/8/1/000.p/1"]),
            (256, 300, &[]),
            (300, 301, &["tile/8/0/001.p/45"]),
            (
                300,
                65_536 + 512,
                &["tile/8/0/001", "tile/8/1/000", "tile/8/2/000.p/1"],
            ),
        ];
        for (old, new, expected) in table {
            let tiles = grown_tiles(old, new);
            let paths: Vec<String> = tiles.iter().map(|tile| tile.path()).collect();
            assert_eq!(paths, expected, "{old} to {new}");
        }
        assert_eq!(grown_tiles(u64::MAX - 1, u64::MAX).len(), 1);
        assert!(grown_tiles(9, 3).is_empty());
    }

    #[test]
    fn what_could_not_be_followed_stays_open() {
        let edges = Edges(Mutex::new(BTreeSet::from([3, 5, 9])));
        assert_eq!(edges.before(8), [3, 5]);
        assert!(!edges.are_those_of(9));
        assert_eq!(edges.replace(8, vec![8, 3]), "3\n8\n9");
        assert_eq!(edges.replace(9, vec![9]), "9");
        assert!(edges.are_those_of(9));
    }
}
