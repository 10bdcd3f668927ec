use gomod::ModuleVersion;

use crate::error::{BoxError, Error};
use crate::hash::Hash;
use crate::note::Note;
use crate::tlog::{HashReader, Node, RecordText, TreeHead};

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The module version it is about; the log's index leads from here to the record's number.
    pub module: ModuleVersion,
    /// The text.
    pub text: RecordText,
}

/// A signed tree head in both its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The note a Go client reads at `/latest`. Cosignatures of its text may be added to it.
    pub go: String,
    /// The note of the C2SP checkpoint of the same tree, read at `/checkpoint`. Cosignatures may be added to it.
    pub checkpoint: String,
}

impl Heads {
    /// The tree head as the Go note states it, without looking at signatures: for heads from one's own store.
    pub fn tree(&self) -> Result<TreeHead, Error> {
        TreeHead::parse(Note::parse(self.go.as_bytes())?.text())
    }
}

/// How much a store holds durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The number of records.
    pub records: u64,
    /// The number of hashes.
    pub hashes: u64,
}

/// Reads a log. Calls may run while the log grows; what was read once never changes.
pub trait LogReader {
    /// The published head. `None` before the log was first opened for writing.
    fn published(&self) -> Result<Option<Heads>, BoxError>;

    /// The numbers of the records about these module versions, in their order, published or not.
    fn find(&self, modules: &[ModuleVersion]) -> Result<Vec<Option<u64>>, BoxError>;

    /// The texts of `count` records from number `first`. All of them or an error.
    fn read_records(&self, first: u64, count: usize) -> Result<Vec<RecordText>, BoxError>;

    /// The hashes at these positions of the linear order of storage, in their order. All of them or an error.
    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, BoxError>;
}

/// Stores a log for its one writer. What a call has written must be durable when it returns.
pub trait LogStore: LogReader {
    /// How much is stored. After a crash these may be any part of what was being written, as long as every record and
    /// hash counted is whole and in its place.
    fn sizes(&self) -> Result<Sizes, BoxError>;

    /// Appends records from number `first` and indexes them by module version, atomically for each record. Must fail
    /// without a change if `first` is not the number of records stored: then there is another writer.
    fn append_records(&mut self, first: u64, records: &[LogRecord]) -> Result<(), BoxError>;

    /// Writes hashes from this position on. After a crash some may be there already; they are the same.
    fn write_hashes(&mut self, first: u64, hashes: &[Hash]) -> Result<(), BoxError>;

    /// The last signed head. It should be kept apart from the records, so that restoring a backup of them cannot take
    /// it back.
    fn signed(&self) -> Result<Option<Heads>, BoxError>;

    /// Replaces the last signed head in one atomic step if it still is `old`. False if it is another.
    fn swap_signed(&mut self, old: Option<&Heads>, new: &Heads) -> Result<bool, BoxError>;

    /// Lets readers see this head.
    fn publish(&mut self, heads: &Heads) -> Result<(), BoxError>;
}

/// Reads the hashes of nodes from linear storage.
pub(super) struct StoredHashes<'s, S: ?Sized>(pub(super) &'s S);

impl<S: LogReader + ?Sized> HashReader for StoredHashes<'_, S> {
    fn read_hashes(&self, nodes: &[Node]) -> Result<Vec<Hash>, Error> {
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        let positions: Vec<u64> = nodes.iter().map(|node| node.stored_index()).collect();
        self.0.read_hashes(&positions).map_err(Error::Store)
    }
}
