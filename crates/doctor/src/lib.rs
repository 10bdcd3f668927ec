//! Finds the broken hop between the `go` command and its modules, and says what to do about it.
//!
//! Everything here speaks the labels of [`fault`]. [`explain`](explain()) reads what a person pastes: the output of go,
//! git, ssh or curl, bare or wrapped by a CI system, an editor or a container build.

pub mod explain;

pub use explain::{Cause, Evidence, Explanation, Options, Remedy, explain};
