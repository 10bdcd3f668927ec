//! Module versions in one file, for machines that no network reaches.
//!
//! A bundle is a tar archive with the files of chosen versions and everything that proves them: the records of the
//! checksum database, its signed head, and the tiles between the two. Whoever applies it believes none of it: each file
//! is held against its record, each record against the head, the head against the database's key and against the head
//! that was known before. Afterwards the store answers `go` as if it had fetched everything itself, checksum database
//! included.
//!
//! - [`Selection`]: which versions, from go.sum, go.mod, go.work, a list.
//! - [`create()`]: gathers them through a depot, and writes the same bytes for the same input.
//! - [`Bundle`]: an archive, opened: its [`Manifest`], and where each entry lies.
//! - [`apply()`]: checks everything, then publishes.

mod apply;
mod archive;
mod blocking;
mod check;
mod create;
mod entry;
mod error;
mod gather;
mod graph;
mod manifest;
mod open;
mod proofs;
mod select;

pub use apply::{Advance, Applied, apply};
pub use create::{CreateOptions, Created, create};
pub use entry::{EntryName, Proof};
pub use error::BundleError;
pub use manifest::{Continued, DatabaseEntry, FileEntry, Manifest, Trust, VersionEntry};
pub use open::Bundle;
pub use select::{Selection, Source};
