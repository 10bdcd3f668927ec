use super::node::{MAX_SIZE, complete_subtrees};
use super::{HashReader, read_exactly};
use crate::error::Error;
use crate::hash::Hash;

/// The right edge of a tree: the hashes of the complete subtrees its size is made of. That is all a log must know to
/// grow: 64 hashes at most, however many records there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// From left to right, the biggest subtree first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The edge of the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the edge of the tree of the first `size` records.
    pub fn read(size: u64, reader: &impl HashReader) -> Result<Self, Error> {
        if size > MAX_SIZE {
            return Err(Error::OutsideTree {
                position: size,
                size: MAX_SIZE,
            });
        }
        let subtrees = read_exactly(&complete_subtrees(0..size), reader)?;
        Ok(Self { size, subtrees })
    }

    /// The number of records in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        fold_subtrees(&self.subtrees).unwrap_or_else(Hash::of_empty_tree)
    }

    /// Adds a leaf and pushes the hashes that are to be stored for it, in linear order: the leaf itself and every
    /// subtree it completes (Go's `StoredHashesForRecordHash`).
    pub fn append(&mut self, leaf: Hash, stored: &mut Vec<Hash>) -> Result<(), Error> {
        if self.size >= MAX_SIZE {
            return Err(Error::OutsideTree {
                position: self.size,
                size: MAX_SIZE,
            });
        }
        stored.push(leaf);
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            hash = Hash::of_node(left, hash);
            stored.push(hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
        Ok(())
    }
}

/// The hash over neighbouring subtrees given from left to right. `None` for none.
pub(super) fn fold_subtrees(subtrees: &[Hash]) -> Option<Hash> {
    let (&last, others) = subtrees.split_last()?;
    Some(
        others
            .iter()
            .rfold(last, |right, &left| Hash::of_node(left, right)),
    )
}
