use crate::fork::Fork;
use crate::note::name::KeyId;

/// The error of a driver or store, kept as it came.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why something of a checksum database was refused or could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A note breaks the rules of C2SP signed-note.
    #[error("malformed note: {0}")]
    MalformedNote(&'static str),
    /// A known key is named on a signature line, but the signature is not its.
    #[error("invalid signature for key {0}")]
    InvalidSignature(KeyId),
    /// No known key has signed the note.
    #[error("note has no verifiable signatures")]
    UnverifiedNote,
    /// A cosignature's time is out of range.
    #[error("malformed cosignature")]
    MalformedCosignature,
    /// The text of a verifier or signer key cannot be read.
    #[error("malformed key: {0}")]
    MalformedKey(&'static str),
    /// The key is of a signature type this crate does not implement.
    #[error("unknown signature type {0:#04x}")]
    UnknownAlgorithm(u8),
    /// The hash in the text of a key is not the hash of that key.
    #[error("key hash does not belong to the key")]
    KeyHashMismatch,
    /// Two different keys have the same name and hash.
    #[error("ambiguous key {0}")]
    AmbiguousKey(KeyId),
    /// The key cannot be used here: it is of another signature type.
    #[error("key {0} has the wrong signature type")]
    WrongKeyType(KeyId),
    /// The cryptography library failed at this.
    #[error("cryptography failed: {0}")]
    Crypto(&'static str),

    /// The text of a tree head or checkpoint cannot be read.
    #[error("malformed tree head")]
    MalformedTreeHead,
    /// A record's text, or the text around it, cannot be read.
    #[error("malformed record: {0}")]
    MalformedRecord(&'static str),
    /// A tile path cannot be read.
    #[error("malformed tile path {0:?}")]
    MalformedTilePath(String),
    /// A request path names nothing a checksum database serves.
    #[error("malformed request: {0}")]
    MalformedRequest(&'static str),
    /// A position lies outside of the tree.
    #[error("position {position} is outside of a tree of size {size}")]
    OutsideTree {
        /// The position asked for.
        position: u64,
        /// The number of records in the tree.
        size: u64,
    },
    /// A proof does not prove what it should.
    #[error("invalid transparency proof")]
    ProofFailed,

    /// A tile has the wrong number of bytes. Empty and short tiles are answers of broken servers and caches.
    #[error("tile {tile} has {actual} bytes instead of {expected}")]
    TileLength {
        /// The path of the tile.
        tile: String,
        /// The length in bytes its path promises.
        expected: usize,
        /// The length in bytes it had.
        actual: usize,
    },
    /// Tiles do not hash to their parent or to the signed root.
    #[error("inconsistent tile {tile}")]
    InconsistentTile {
        /// The path of the tile, or of the first of several tiles of which one is wrong.
        tile: String,
    },
    /// The record served is not the one in the tree at its number.
    #[error("cannot authenticate record {id}: it is not the one in the signed tree")]
    RecordMismatch {
        /// The number the record was served with.
        id: u64,
    },
    /// The proven record says nothing about what was asked.
    #[error("no entry for {0} in the proven record")]
    MissingEntry(String),
    /// The proven record holds two different hashes for what was asked.
    #[error("contradictory entries for {0} in one record")]
    ContradictoryEntries(String),
    /// Two signed tree heads exclude each other.
    #[error("{0}")]
    Fork(Box<Fork>),

    /// The server's answer could not be had.
    #[error("reading {path}: {source}")]
    Remote {
        /// The path asked for, below the database's address.
        path: String,
        /// Whether the server said that there is no such thing (404 or 410).
        absent: bool,
        /// What the driver reported.
        source: BoxError,
    },
    /// The latest tree head could not be read from or written to where the client keeps it.
    #[error("keeping the latest tree head: {0}")]
    Keeping(#[source] BoxError),
    /// Other writers changed the kept tree head on every attempt.
    #[error("the kept tree head changed too often while it was being updated")]
    Contended,
    /// A driver answered a request with an answer of another kind.
    #[error("driver answered {0} with an answer of another kind")]
    WrongAnswer(&'static str),

    /// The store of a log failed.
    #[error("log store: {0}")]
    Store(#[source] BoxError),
    /// The store of a log broke its contract; the log stops rather than sign what may be wrong.
    #[error("log store is inconsistent: {0}")]
    InconsistentStore(&'static str),
    /// The store holds less than what was signed already, as after restoring a backup.
    #[error("log store holds {stored} records but a head of size {signed} was signed")]
    StoreBehindSigned {
        /// The number of records in the store.
        stored: u64,
        /// The size of the last signed head.
        signed: u64,
    },
    /// The head to be signed does not extend the last signed head.
    #[error("tree of size {size} does not extend the last signed tree of size {signed}")]
    NotAnExtension {
        /// The size of the tree to be signed.
        size: u64,
        /// The size of the last signed head.
        signed: u64,
    },
    /// The log has no such record or tile.
    #[error("not found: {0}")]
    NotFound(String),
    /// The log has the record, but no published head covers it yet; it soon will.
    #[error("record {id} is not published yet")]
    Unpublished {
        /// The number of the record.
        id: u64,
    },
}

impl Error {
    /// Whether the database said that it does not know what was asked for (404 or 410), as opposed to failing.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Remote { absent: true, .. } | Self::NotFound(_))
    }

    /// Whether the error shows forged, altered or contradictory data rather than something unavailable: a security
    /// event, which must not be retried in silence.
    pub fn is_misbehaviour(&self) -> bool {
        matches!(
            self,
            Self::Fork(_)
                | Self::InvalidSignature(_)
                | Self::UnverifiedNote
                | Self::InconsistentTile { .. }
                | Self::RecordMismatch { .. }
                | Self::MissingEntry(_)
                | Self::ContradictoryEntries(_)
                | Self::ProofFailed
        )
    }
}
