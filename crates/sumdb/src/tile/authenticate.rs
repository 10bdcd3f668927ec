//! Which tiles a reader needs for some hashes of a signed tree, and the proof that the tiles received are that tree's.
//!
//! Every tile is either full or at the right edge of its level. The hashes of the edge tiles are exactly those that
//! make up the root, so the edge tiles are checked together against the signed head. The root of every other tile is
//! a hash in its parent, so it is checked against its parent, and parents are checked first. A tile nothing vouches
//! for cannot be in a set, and no hash is given out before all tiles of the set are checked.

use std::collections::{HashMap, HashSet};

use super::{Height, Tile, TileLevel, fold, hashes_at_level};
use crate::error::Error;
use crate::hash::Hash;
use crate::tlog::{HashReader, MAX_SIZE, Node, TreeHead};

/// The tiles that hold the hashes of some nodes of a tree, with all tiles needed to authenticate them.
#[derive(Clone, Debug)]
pub struct TileSet {
    head: TreeHead,
    height: Height,
    /// The tiles at the right edge, lowest level first.
    edge: Vec<Tile>,
    /// All other tiles, every one after its parent.
    inner: Vec<Tile>,
}

/// The tiles do not belong to the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distrust {
    /// The tiles of which at least one is wrong.
    pub suspects: Vec<Tile>,
}

impl TileSet {
    /// The tiles for the hashes of these nodes. All nodes must be in the tree.
    pub fn new(head: TreeHead, height: Height, nodes: &[Node]) -> Result<Self, Error> {
        let edge = edge_tiles(height, head.size());
        let mut set = Self {
            head,
            height,
            edge,
            inner: Vec::new(),
        };
        let mut known: HashSet<Tile> = set.edge.iter().copied().collect();
        for &node in nodes {
            let tile = Tile::holding(node, height, head.size());
            let tile = tile.ok_or(Error::OutsideTree {
                position: node.end() - 1,
                size: head.size(),
            })?;
            set.include(tile, &mut known);
        }
        Ok(set)
    }

    /// Adds a tile and its ancestors, parents first.
    fn include(&mut self, tile: Tile, known: &mut HashSet<Tile>) {
        let mut missing = Vec::new();
        let mut next = Some(tile);
        while let Some(tile) = next.filter(|&tile| known.insert(tile)) {
            missing.push(tile);
            next = parent(tile, self.head.size());
        }
        self.inner.extend(missing.into_iter().rev());
    }

    /// The tiles to be read.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        self.edge.iter().chain(&self.inner).copied()
    }

    /// Checks the bytes of all tiles against the signed head.
    pub fn authenticate(&self, data: &HashMap<Tile, Vec<u8>>) -> Result<AuthenticTiles, Distrust> {
        let mut hashes = HashMap::new();
        for tile in self.tiles() {
            let bytes = data.get(&tile).map(Vec::as_slice).unwrap_or_default();
            let tile_hashes = tile.hashes(bytes).map_err(|_| Distrust {
                suspects: vec![tile],
            })?;
            hashes.insert(tile, tile_hashes);
        }
        let tiles = AuthenticTiles {
            height: self.height,
            size: self.head.size(),
            hashes,
        };

        if edge_root(&self.edge, &tiles.hashes) != Some(self.head.root()) {
            return Err(Distrust {
                suspects: self.edge.clone(),
            });
        }
        for &tile in &self.inner {
            if tiles
                .vouched_root(tile)
                .is_none_or(|root| Some(root) != tiles.root_of(tile))
            {
                return Err(Distrust {
                    suspects: vec![tile],
                });
            }
        }
        Ok(tiles)
    }
}

/// Tiles that are proven to belong to a signed tree, and the hashes they hold.
#[derive(Clone, Debug)]
pub struct AuthenticTiles {
    height: Height,
    size: u64,
    hashes: HashMap<Tile, Vec<Hash>>,
}

impl AuthenticTiles {
    /// The hash of a node, if its tile is among these.
    pub fn hash(&self, node: Node) -> Option<Hash> {
        let tile = Tile::holding(node, self.height, self.size)?;
        let hashes = self.hashes.get(&tile)?;
        // A node within a tile stands above a run of the tile's hashes.
        let depth = node.level() % self.height.get();
        let first_in_row = tile.index() << (self.height.get() - depth);
        let start = usize::try_from((node.index() - first_in_row) << depth).ok()?;
        fold(hashes.get(start..start.checked_add(1 << depth)?)?)
    }

    /// The root of the tile, computed from its hashes.
    fn root_of(&self, tile: Tile) -> Option<Hash> {
        fold(self.hashes.get(&tile)?)
    }

    /// The root the parent of the tile states for it.
    fn vouched_root(&self, tile: Tile) -> Option<Hash> {
        let parent = parent(tile, self.size)?;
        let position = tile.index() % u64::from(self.height.full_width());
        self.hashes
            .get(&parent)?
            .get(usize::try_from(position).ok()?)
            .copied()
    }
}

impl HashReader for AuthenticTiles {
    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Error> {
        let outside = |node: &Node| Error::OutsideTree {
            position: node.end() - 1,
            size: self.size,
        };
        nodes
            .iter()
            .map(|node| self.hash(*node).ok_or_else(|| outside(node)))
            .collect()
    }
}

/// The partial tiles of a tree, lowest level first.
fn edge_tiles(height: Height, size: u64) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for level in 0..64 {
        let hashes = hashes_at_level(height, level, size);
        if hashes == 0 {
            break;
        }
        if !hashes.is_multiple_of(u64::from(height.full_width())) {
            tiles.extend(Tile::in_tree(height, level, hashes >> height.get(), size));
        }
    }
    tiles
}

/// The tile that holds the root of this one. `None` for tiles that are not full and where no tree could be so big.
fn parent(tile: Tile, size: u64) -> Option<Tile> {
    let TileLevel::Hashes(level) = tile.level() else {
        return None;
    };
    debug_assert!(size <= MAX_SIZE);
    let index = tile.index() >> tile.height().get();
    tile.is_full()
        .then(|| Tile::in_tree(tile.height(), level + 1, index, size))
        .flatten()
}

/// The root of the tree, computed from its edge tiles. `None` if one of them is missing or too short.
fn edge_root(edge: &[Tile], hashes: &HashMap<Tile, Vec<Hash>>) -> Option<Hash> {
    let mut root: Option<Hash> = None;
    for tile in edge {
        let mut rest = hashes.get(tile)?.as_slice();
        // The tile's complete subtrees, one for each binary digit of its width, from right to left.
        while !rest.is_empty() {
            let (others, subtree) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
            let left = fold(subtree)?;
            root = Some(root.map_or(left, |right| Hash::of_node(left, right)));
            rest = others;
        }
    }
    Some(root.unwrap_or_else(Hash::of_empty_tree))
}
