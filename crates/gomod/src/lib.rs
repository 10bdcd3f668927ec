//! Go's module vocabulary without any input or output: what module paths, versions, go.mod, go.work
//! and go.sum files mean, and how they are spelled; and what `go` reads of the Go files in a module.
//!
//! Every other part of modkeep speaks in the types of this crate, so that a name which reaches a
//! store or an upstream has been checked before.

#[cfg(test)]
mod conformance;
mod decimal;
mod error;
mod escape;
pub mod glob;
pub mod gofile;
pub mod gosum;
pub mod gover;
pub mod info;
pub mod modfile;
pub mod mvs;
pub mod path;
pub mod pseudo;
pub mod semver;
mod text;
pub mod vendor;
mod version;

pub use error::{Error, ModuleError, PathError, PathFault, PathKind, VersionError, VersionFault};
pub use escape::{EscapedPath, EscapedVersion};
pub use path::ModulePath;
pub use text::{quote, quote_rune};
pub use version::{ModuleVersion, Revision, Version, check, check_path_major};
