//! modkeep's own checksum database: a transparency log that survives whatever happens to the machine.
//!
//! How a log grows is computed by [`sumdb::log`]; this crate stores it and keeps its promises: what was signed once is
//! extended for ever, one module version has one record, and no head is visible whose records could be lost.
//!
//! A log is one directory below the data directory, `sumlog/<name>` with `+` for each `/` of the name:
//!
//! | path | content | durable before |
//! |---|---|---|
//! | `records.sqlite` | records by number and by module version; cosignatures | hashes are computed |
//! | `hashes` | 32 bytes for each complete subtree, in the linear order of Go's `tlog` | a head is signed |
//! | `signed` | the last head that was signed, in both forms | it is published |
//! | `published` | the head that readers see, with cosignatures | anybody is answered from it |
//! | `lock` | held by the one process that writes | - |
//!
//! Records and their index are an SQLite database, because it is the one thing here that must find a key among millions
//! and change two structures in one step; hashes are a file of their own, because they have fixed places and a tile is
//! read with one or a few reads. Tiles are not files: each one, at every width, is cut from these hashes, so there is
//! no partial tile to replace.
//!
//! - [`Log`] is the log of a server: one writer that commits in groups, and readers beside it.
//! - [`LogFiles`] reads a log, also that of another process. [`LogDisk`] is its one writer.
//! - [`KeyRing`] is the private side of the log's name, with the key that is being replaced, if there is one.
//! - [`Witnesses`] are those whose cosignatures are taken.
//! - [`audit()`] checks a whole log from outside, any Go checksum database.

mod audit;
mod block_on;
mod cosign;
mod disk;
mod error;
mod files;
mod hashes;
mod heads;
mod keys;
mod log;
mod name;
mod records;
mod source;
mod witness;
mod writer;

pub use audit::{AuditError, AuditOptions, Fetch, Kept, KeptFile, Outcome as AuditOutcome, audit};
pub use cosign::Cosignature;
pub use disk::LogDisk;
pub use error::SumlogError;
pub use files::LogFiles;
pub use keys::{KeyRing, KeyRingError};
pub use log::{Log, LogOptions, LogTotals};
pub use name::LogName;
pub use source::{HashSource, LookupError};
pub use witness::{CosignatureError, Witness, WitnessError, Witnesses};
