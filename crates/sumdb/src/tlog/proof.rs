//! Inclusion and consistency proofs, in the order of RFC 6962: the sibling nearest to the leaf comes first.
//!
//! Both kinds walk from the root towards a place at the bottom. At each step the tree splits at a power of two; the
//! half that is left behind is a sibling, and its hash is a line of the proof.

use std::ops::Range;

use super::frontier::fold_subtrees;
use super::node::complete_subtrees;
use super::{HashReader, Node, TreeHead, read_exactly};
use crate::error::Error;
use crate::hash::Hash;

/// The proof that a record is in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof(Vec<Hash>);

impl InclusionProof {
    /// A proof received from elsewhere.
    pub fn from_hashes(hashes: Vec<Hash>) -> Self {
        Self(hashes)
    }

    /// The hashes of the proof, the sibling of the leaf first.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// Proves that record `index` is in the tree of size `size`.
    pub fn prove(index: u64, size: u64, reader: &impl HashReader) -> Result<Self, Error> {
        let siblings = inclusion_path(index, size)?;
        read_siblings(siblings.iter(), reader).map(Self)
    }

    /// Checks that the record `index` of the tree has this leaf hash.
    pub fn verify(&self, index: u64, leaf: Hash, head: &TreeHead) -> Result<(), Error> {
        let path = inclusion_path(index, head.size())?;
        if path.len() != self.0.len() {
            return Err(Error::ProofFailed);
        }
        let steps = path.iter().zip(&self.0);
        let root = steps.fold(leaf, |hash, (sibling, &other)| sibling.join(hash, other));
        if root == head.root() {
            Ok(())
        } else {
            Err(Error::ProofFailed)
        }
    }
}

/// The proof that a tree is the beginning of a bigger one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof(Vec<Hash>);

impl ConsistencyProof {
    /// A proof received from elsewhere.
    pub fn from_hashes(hashes: Vec<Hash>) -> Self {
        Self(hashes)
    }

    /// The hashes of the proof in the order of RFC 6962.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// Proves that the tree of size `older` is the beginning of the tree of size `newer`. The empty tree needs no
    /// proof and is refused, as is a size beyond `newer`.
    pub fn prove(older: u64, newer: u64, reader: &impl HashReader) -> Result<Self, Error> {
        let path = consistency_path(older, newer)?;
        read_siblings(path.start.iter().chain(&path.siblings), reader).map(Self)
    }

    /// The nodes [`Self::prove`] will read.
    pub(crate) fn nodes(older: u64, newer: u64) -> Result<Vec<Node>, Error> {
        let path = consistency_path(older, newer)?;
        let siblings = path.start.iter().chain(&path.siblings);
        Ok(siblings
            .flat_map(|sibling| complete_subtrees(sibling.records.clone()))
            .collect())
    }

    /// Checks that `older` is the beginning of `newer`.
    pub fn verify(&self, older: &TreeHead, newer: &TreeHead) -> Result<(), Error> {
        let path = consistency_path(older.size(), newer.size())?;
        let (start, others) = match (&path.start, self.0.split_first()) {
            (None, _) => (older.root(), self.0.as_slice()),
            (Some(_), Some((&start, others))) => (start, others),
            (Some(_), None) => return Err(Error::ProofFailed),
        };
        if others.len() != path.siblings.len() {
            return Err(Error::ProofFailed);
        }

        let (mut old_root, mut new_root) = (start, start);
        for (sibling, &hash) in path.siblings.iter().zip(others) {
            // What lies to the right is not in the older tree.
            if sibling.side == Side::Left {
                old_root = sibling.join(old_root, hash);
            }
            new_root = sibling.join(new_root, hash);
        }
        let proven = old_root == older.root() && new_root == newer.root();
        if proven {
            Ok(())
        } else {
            Err(Error::ProofFailed)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The half of a split that the walk did not enter.
struct Sibling {
    side: Side,
    records: Range<u64>,
}

impl Sibling {
    fn join(&self, hash: Hash, sibling: Hash) -> Hash {
        match self.side {
            Side::Left => Hash::of_node(sibling, hash),
            Side::Right => Hash::of_node(hash, sibling),
        }
    }
}

/// The siblings on the way to a leaf, the lowest first.
fn inclusion_path(index: u64, size: u64) -> Result<Vec<Sibling>, Error> {
    if index >= size {
        return Err(Error::OutsideTree {
            position: index,
            size,
        });
    }
    let mut siblings = Vec::new();
    let mut records = 0..size;
    while records.end - records.start > 1 {
        let (sibling, rest) = descend(records, |middle| index < middle);
        siblings.push(sibling);
        records = rest;
    }
    siblings.reverse();
    Ok(siblings)
}

/// The way to the end of an older tree within a newer one.
struct ConsistencyPath {
    /// The subtree both trees share where the walk ends, unless that is the whole older tree.
    start: Option<Sibling>,
    siblings: Vec<Sibling>,
}

fn consistency_path(older: u64, newer: u64) -> Result<ConsistencyPath, Error> {
    if older == 0 || older > newer {
        return Err(Error::OutsideTree {
            position: older,
            size: newer,
        });
    }
    let mut siblings = Vec::new();
    let mut records = 0..newer;
    while records.end != older {
        let (sibling, rest) = descend(records, |middle| older <= middle);
        siblings.push(sibling);
        records = rest;
    }
    siblings.reverse();
    let start = (records.start > 0).then_some(Sibling {
        side: Side::Left,
        records,
    });
    Ok(ConsistencyPath { start, siblings })
}

/// Splits the range as the tree does and goes left or right.
fn descend(records: Range<u64>, go_left: impl Fn(u64) -> bool) -> (Sibling, Range<u64>) {
    let width = records.end - records.start;
    let middle = records.start + (1 << (width - 1).ilog2());
    let (left, right) = (records.start..middle, middle..records.end);
    if go_left(middle) {
        (
            Sibling {
                side: Side::Right,
                records: right,
            },
            left,
        )
    } else {
        (
            Sibling {
                side: Side::Left,
                records: left,
            },
            right,
        )
    }
}

/// Reads the hashes of all siblings at once.
fn read_siblings<'s>(
    siblings: impl Iterator<Item = &'s Sibling>,
    reader: &impl HashReader,
) -> Result<Vec<Hash>, Error> {
    let subtrees: Vec<Vec<Node>> = siblings
        .map(|sibling| complete_subtrees(sibling.records.clone()))
        .collect();
    let hashes = read_exactly(&subtrees.concat(), reader)?;
    let mut hashes = hashes.as_slice();
    let mut proof = Vec::with_capacity(subtrees.len());
    for nodes in subtrees {
        let (own, rest) = hashes.split_at(nodes.len());
        proof.extend(fold_subtrees(own));
        hashes = rest;
    }
    Ok(proof)
}
