//! Module zips and their hashes: checks, makes and unpacks them by the rules of the `go` command.
//!
//! A module version is distributed as one zip, and everything that vouches for it (go.sum, the checksum
//! database) vouches for the `h1:` hash of the names and contents of its files. So two programs must agree to
//! the byte on which files a module has and on what a zip contains. The first is Go's `x/mod/zip` and
//! `sumdb/dirhash`, whose rules and words this crate follows. The second is decided here more strictly than Go
//! does: an [`Archive`] that could be read in two ways is refused, so that what was hashed is what every client
//! will unpack.
//!
//! - What belongs in a zip: [`check_files()`], [`check_zip()`], [`dir::check_dir`], with a [`Checked`] report
//! - The zip itself: [`create()`], [`Archive`], [`dir::create_from_dir`], [`dir::unzip`]
//! - Hashes: [`H1`], [`hash_zip`], [`hash_go_mod`], [`dir::hash_dir`], [`dir::compare`]
//! - Passing on a zip that is not verified yet: [`ReleaseGate`]
//!
//! Nothing here does input or output but through what it is given ([`ReadAt`], [`SourceFile`], writers), except
//! [`dir`], which is about directories.

mod archive;
mod check_files;
mod check_zip;
mod clean;
mod collisions;
mod create;
pub mod dir;
mod directory;
mod end;
mod entry;
mod error;
mod fields;
mod fold;
mod h1;
mod hash;
mod hold;
mod limits;
mod read_at;
mod report;
mod scan;
mod source;
mod unpack;
mod vendored;
mod whole;
mod workers;
mod zip64;
mod zip_writer;

pub use archive::Archive;
pub use check_files::check_files;
pub use check_zip::check_zip;
pub use create::{Created, create};
pub use entry::Entry;
pub use error::{Blame, EntryFlaw, Error};
pub use h1::{H1, hash_go_mod};
pub use hash::hash_zip;
pub use hold::{HELD_BACK, ReleaseGate, releasable};
pub use limits::{MAX_DIRECTORY, MAX_GO_MOD, MAX_LICENSE, MAX_ZIP};
pub use read_at::ReadAt;
pub use report::{Checked, Invalid, InvalidReason, OmitReason, Omitted, SizeError};
pub use source::{FileKind, MemoryFile, Metadata, SourceFile};
pub use vendored::VendorRule;
pub use workers::Workers;
