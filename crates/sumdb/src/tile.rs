//! Tiles: the pieces in which a log's hashes and records are published, stored and cached (Go's `tlog/tile.go`).
//!
//! A tile of height H at level L holds up to 2^H neighbouring hashes of tree level H·L; everything above them, up to
//! the tile's own root, is computed. A tile with fewer hashes is partial and only the last one of a level may be so.

mod authenticate;
mod path;

use std::fmt;

pub use authenticate::{AuthenticTiles, Distrust, TileSet};

use crate::error::Error;
use crate::hash::Hash;
use crate::tlog::{HashReader, MAX_SIZE, Node, read_exactly};

/// The height of the tiles of a log: 1 to 30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Height(u8);

impl Height {
    /// The height the go command and C2SP tlog-tiles use.
    pub const STANDARD: Self = Self(8);

    /// A height of 1 to 30.
    pub fn new(height: u8) -> Option<Self> {
        (1..=30).contains(&height).then_some(Self(height))
    }

    /// The height as a number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The number of hashes in a full tile.
    pub fn full_width(self) -> u32 {
        1 << self.0
    }
}

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TileLevel {
    /// The texts of records.
    Data,
    /// Hashes of tree level H·L, where L (0 to 63) is this number.
    Hashes(u8),
}

/// The coordinates of a tile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    height: Height,
    level: TileLevel,
    index: u64,
    width: u32,
}

impl Tile {
    /// The tile, unless the level is above 63, the width is 0 or more than the height allows, or the index is beyond
    /// 2⁶³−1.
    pub fn new(height: Height, level: TileLevel, index: u64, width: u32) -> Option<Self> {
        let level_fits = !matches!(level, TileLevel::Hashes(64..));
        let width_fits = (1..=height.full_width()).contains(&width);
        (level_fits && width_fits && index <= MAX_SIZE).then_some(Self {
            height,
            level,
            index,
            width,
        })
    }

    /// The tile of a tree of this size that stores or implies the hash of the node, at its width in that tree. `None`
    /// if the node is not in the tree.
    pub fn holding(node: Node, height: Height, size: u64) -> Option<Self> {
        if node.end() > size {
            return None;
        }
        let level = node.level() / height.0;
        let index = node.index() >> (height.0 - node.level() % height.0);
        Self::in_tree(height, level, index, size)
    }

    /// The hash tile at these coordinates as it is in a tree of this size. `None` if the tree has no such tile.
    pub(crate) fn in_tree(height: Height, level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = hashes_at_level(height, level, size);
        let first = index.checked_shl(u32::from(height.0))?;
        let available = hashes.checked_sub(first)?;
        let width = available.min(u64::from(height.full_width()));
        // A width of 0 is refused there.
        Self::new(
            height,
            TileLevel::Hashes(level),
            index,
            u32::try_from(width).ok()?,
        )
    }

    /// The height of the tile.
    pub fn height(self) -> Height {
        self.height
    }

    /// What the tile holds.
    pub fn level(self) -> TileLevel {
        self.level
    }

    /// The position among the tiles of its level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The number of hashes or records in the tile.
    pub fn width(self) -> u32 {
        self.width
    }

    /// Whether the tile has all 2^H hashes or records.
    pub fn is_full(self) -> bool {
        self.width == self.height.full_width()
    }

    /// The full tile at the same place.
    #[must_use]
    pub fn full(self) -> Self {
        let width = self.height.full_width();
        Self { width, ..self }
    }

    /// The tile at the same place of another level.
    #[must_use]
    pub(crate) fn at_level(self, level: TileLevel) -> Self {
        Self { level, ..self }
    }

    /// The length of a hash tile in bytes.
    pub fn byte_length(self) -> usize {
        (self.width as usize).saturating_mul(Hash::SIZE)
    }

    /// The number of the first record the tile spans. `None` if it is beyond every possible tree.
    pub fn first_record(self) -> Option<u64> {
        self.records_before(0)
    }

    /// The number of records from the beginning of the log to the end of the tile: the size of the smallest tree that
    /// has it. `None` if it is beyond every possible tree.
    pub fn end_record(self) -> Option<u64> {
        self.records_before(u64::from(self.width))
    }

    fn records_before(self, offset: u64) -> Option<u64> {
        let level = match self.level {
            TileLevel::Data => 0,
            TileLevel::Hashes(level) => level,
        };
        let position = (u128::from(self.index) << self.height.0) + u128::from(offset);
        let shift = u32::from(level) * u32::from(self.height.0);
        let records = position.checked_mul(1_u128.checked_shl(shift)?)?;
        u64::try_from(records)
            .ok()
            .filter(|&records| records <= MAX_SIZE)
    }

    /// The nodes whose hashes a hash tile stores. `None` for record tiles and beyond every possible tree.
    pub fn nodes(self) -> Option<Vec<Node>> {
        let TileLevel::Hashes(level) = self.level else {
            return None;
        };
        self.end_record()?;
        let level = level.checked_mul(self.height.0)?;
        let first = self.index << self.height.0;
        (first..first + u64::from(self.width))
            .map(|index| Node::new(level, index))
            .collect()
    }

    /// Reads the bytes of a hash tile from a log's hashes.
    pub fn read(self, reader: &impl HashReader) -> Result<Vec<u8>, Error> {
        let nodes = self.nodes().ok_or_else(|| Error::NotFound(self.path()))?;
        let hashes = read_exactly(&nodes, reader)?;
        let bytes: Vec<_> = hashes.iter().map(|hash| *hash.as_bytes()).collect();
        Ok(bytes.into_flattened())
    }

    /// Cuts this partial tile from the bytes of the full one at its place. Refuses bytes that are no full tile.
    pub fn cut(self, full: &[u8]) -> Result<Vec<u8>, Error> {
        self.full().check_length(full)?;
        Ok(full.get(..self.byte_length()).unwrap_or_default().to_vec())
    }

    /// Refuses bytes that are longer or shorter than the tile.
    pub(crate) fn check_length(self, data: &[u8]) -> Result<(), Error> {
        let expected = self.byte_length();
        if data.len() == expected {
            return Ok(());
        }
        let actual = data.len();
        Err(Error::TileLength {
            tile: self.path(),
            expected,
            actual,
        })
    }

    /// Splits the bytes of a hash tile into its hashes.
    pub fn hashes(self, data: &[u8]) -> Result<Vec<Hash>, Error> {
        self.check_length(data)?;
        let (hashes, _) = data.as_chunks::<{ Hash::SIZE }>();
        Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
    }
}

impl fmt::Debug for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// The number of complete subtrees of the height of a tile level in a tree of this size.
fn hashes_at_level(height: Height, level: u8, size: u64) -> u64 {
    let shift = u32::from(height.0) * u32::from(level);
    size.checked_shr(shift).unwrap_or(0)
}

/// The tiles to publish when a tree grows (Go's `NewTiles`): every tile that gained hashes, at its new width.
pub fn new_tiles(height: Height, old_size: u64, new_size: u64) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for level in 0..64 {
        let old_hashes = hashes_at_level(height, level, old_size);
        let new_hashes = hashes_at_level(height, level, new_size);
        if new_hashes == 0 {
            break;
        }
        if old_hashes >= new_hashes {
            continue;
        }
        let first = old_hashes >> height.0;
        let last = (new_hashes - 1) >> height.0;
        tiles.extend(
            (first..=last).filter_map(|index| Tile::in_tree(height, level, index, new_size)),
        );
    }
    tiles
}

/// The hash over 2^k neighbouring hashes. `None` if their number is no power of two.
fn fold(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks::<2>();
        row = pairs
            .iter()
            .map(|&[left, right]| Hash::of_node(left, right))
            .collect();
    }
    row.first().copied()
}
