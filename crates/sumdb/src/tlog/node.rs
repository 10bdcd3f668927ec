use std::ops::Range;

use crate::text::MAX_NUMBER;

/// The greatest number of records in a tree: 2⁶³−1, as in Go.
pub const MAX_SIZE: u64 = MAX_NUMBER;

/// A complete subtree: the one over the records `index·2^level ..< (index+1)·2^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    level: u8,
    index: u64,
}

impl Node {
    /// The node, unless it lies beyond the greatest possible tree.
    pub fn new(level: u8, index: u64) -> Option<Self> {
        let last = index.checked_add(1)?;
        let fits = level < 63 && last <= MAX_SIZE >> level;
        fits.then_some(Self { level, index })
    }

    /// The leaf of a record. `None` beyond the greatest possible tree.
    pub fn leaf(index: u64) -> Option<Self> {
        Self::new(0, index)
    }

    /// The height of the subtree; 0 is a record.
    pub fn level(self) -> u8 {
        self.level
    }

    /// The position among the nodes of its level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The number of records from the beginning of the log to the end of this subtree.
    pub fn end(self) -> u64 {
        (self.index + 1) << self.level
    }

    /// The position of the hash in the linear order of storage, where each record's leaf is followed by the subtrees
    /// it completes (Go's `StoredHashIndex`).
    pub fn stored_index(self) -> u64 {
        let last_leaf = self.end() - 1;
        stored_hash_count(last_leaf) + u64::from(self.level)
    }

    /// The node whose hash is stored at this position. `None` beyond the greatest possible tree.
    pub fn from_stored_index(position: u64) -> Option<Self> {
        // The last leaf stored at or before the position: record n's leaf is at 2n − popcount(n), so n is little more
        // than half of the position.
        let mut leaf = position / 2;
        while leaf < MAX_SIZE && stored_hash_count(leaf + 1) <= position {
            leaf += 1;
        }
        let level = u8::try_from(position - stored_hash_count(leaf)).ok()?;
        Self::new(level, leaf.checked_shr(u32::from(level))?)
    }
}

/// The number of hashes in linear storage for `size` records (Go's `StoredHashCount`): one for each complete subtree.
pub fn stored_hash_count(size: u64) -> u64 {
    // The sum of size/2^i over all levels i.
    2 * size - u64::from(size.count_ones())
}

/// The fewest complete subtrees that cover the records of the range, from left to right. The range must be one that
/// splitting a tree at powers of two makes; then every subtree is aligned.
pub(crate) fn complete_subtrees(records: Range<u64>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut start = records.start;
    while start < records.end {
        let level = (records.end - start).ilog2();
        debug_assert_eq!(
            start.trailing_zeros().min(level),
            level,
            "{records:?} is not aligned"
        );
        let index = start >> level;
        start += 1 << level;
        // Levels are below 63, because sizes are.
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        nodes.push(Node { level, index });
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_stored_in_the_order_records_complete_them() {
        let mut position = 0;
        for record in 0..2000_u64 {
            for level in 0..=record.trailing_ones() {
                let level = u8::try_from(level).expect("small");
                let node = Node::new(level, record >> level).expect("in range");
                assert_eq!(node.stored_index(), position, "{node:?}");
                assert_eq!(Node::from_stored_index(position), Some(node));
                position += 1;
            }
            assert_eq!(stored_hash_count(record + 1), position);
        }
    }

    #[test]
    fn the_arithmetic_reaches_the_greatest_tree() {
        let last = Node::leaf(MAX_SIZE - 1).expect("in range");
        assert_eq!(Node::from_stored_index(last.stored_index()), Some(last));
        assert_eq!(Node::leaf(MAX_SIZE), None);
        assert_eq!(Node::leaf(u64::MAX), None);
        assert_eq!(Node::new(62, 0).map(Node::end), Some(1 << 62));
        assert_eq!(Node::new(62, 1), None);
        assert_eq!(Node::new(63, 0), None);
        assert_eq!(Node::from_stored_index(u64::MAX), None);
    }

    #[test]
    fn a_range_is_covered_by_its_binary_digits() {
        let levels = |range| {
            complete_subtrees(range)
                .iter()
                .map(|node| node.level())
                .collect::<Vec<_>>()
        };
        assert!(levels(0..0).is_empty());
        assert_eq!(levels(0..13), [3, 2, 0]);
        assert_eq!(levels(8..13), [2, 0]);
        assert_eq!(levels(0..MAX_SIZE).len(), 63);
    }
}
