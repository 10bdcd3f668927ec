//! The module cache of the `go` command (`GOMODCACHE`), read beside it.
//!
//! The cache holds what was downloaded (`cache/download`, the layout of a GOPROXY tree with a `.ziphash` beside each
//! zip) and the directories it was extracted to. Reading it takes no lock: writers make new files and rename them.
//!
//! - [`ModuleCache`] knows where things are.
//! - [`Project`] tells which modules a project or a workspace uses, as far as go.mod, go.work and the files with hashes
//!   ([`SumFiles`]) tell.
//! - [`verify()`] does what `go mod verify` does, and compares with go.sum.
//! - [`verify_vendor`] compares a vendor directory with go.mod and with the zips of the cache.

mod cache;
mod project;
mod sums;
mod vendor;
mod verify;

pub use cache::{Extracted, ModuleCache};
pub use project::{Project, ProjectError, Unverifiable};
pub use sums::SumFiles;
pub use vendor::{Unvouched, UnvouchedReason, VendorProblem, VendorReport, verify_vendor};
pub use verify::{Problem, Verdict, verify};
