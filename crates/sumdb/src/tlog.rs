//! The transparency log: an append-only list of records under a Merkle tree (RFC 6962 shape; Go's `sumdb/tlog`).
//!
//! Everything here is arithmetic on [`struct@Hash`]es. Where hashes come from is said by a [`HashReader`].

mod frontier;
mod head;
mod node;
mod proof;
mod record;

pub use crate::hash::Hash;
pub use frontier::Frontier;
pub use head::TreeHead;
pub use node::{MAX_SIZE, Node, stored_hash_count};
pub use proof::{ConsistencyProof, InclusionProof};
pub(crate) use record::split_records;
pub use record::{RecordText, format_record, parse_record};

use crate::error::Error;

/// Where the hashes of a tree's complete subtrees are read from.
pub trait HashReader {
    /// The hashes of these nodes, in their order. All of them or an error.
    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Error>;
}

/// The root of the tree of the first `size` records.
pub fn tree_root(size: u64, reader: &impl HashReader) -> Result<Hash, Error> {
    Ok(Frontier::read(size, reader)?.root())
}

/// The nodes whose hashes make up the root of the tree of the first `size` records.
pub(crate) fn tree_nodes(size: u64) -> Vec<Node> {
    node::complete_subtrees(0..size)
}

/// The nodes that prove to a reader of the bigger tree that the smaller one is its beginning: those that make up its
/// root, and those of the [`ConsistencyProof`].
pub fn consistency_nodes(older: u64, newer: u64) -> Result<Vec<Node>, Error> {
    let mut nodes = tree_nodes(older);
    nodes.extend(ConsistencyProof::nodes(older, newer)?);
    Ok(nodes)
}

/// Reads hashes and holds the reader to its contract.
pub(crate) fn read_exactly(nodes: &[Node], reader: &impl HashReader) -> Result<Vec<Hash>, Error> {
    let hashes = reader.read_hashes(nodes)?;
    if hashes.len() != nodes.len() {
        return Err(Error::InconsistentStore("wrong number of hashes read"));
    }
    Ok(hashes)
}
