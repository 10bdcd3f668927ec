//! Finds the broken hop between the `go` command and its modules, and says what to do about it.
//!
//! Everything here speaks the labels of [`fault`]. [`explain`](explain()) reads what a person pastes: the output of go,
//! git, ssh or curl, bare or wrapped by a CI system, an editor or a container build. [`probe`] asks the hops themselves,
//! and [`diagnose`] puts what they say together to one verdict. [`mend`] carries a fix out and takes it back if it did
//! not help; [`repair`] puts one module of the module cache right. [`mirrors`] compares the servers that could answer.

pub mod diagnose;
pub mod explain;
pub mod mend;
pub mod mirrors;
pub mod probe;
pub mod repair;

pub use explain::{Cause, Evidence, Explanation, Options, Remedy, explain};
