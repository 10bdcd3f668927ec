//! Minimal version selection over the module graph, by the rules of the `go` command.
//!
//! A [`Graph`] is what is known so far: nodes are modules at versions, edges are requirements, and of
//! each module the highest version that anything requires is selected. It grows in any order.
//!
//! A [`Loader`] walks the graph of [`MainModules`] (one go.mod file, or a go.work file and its
//! members) as `go` does: graph pruning from go 1.17 on, replacements, exclusions, the go lines as
//! requirements. It reads nothing itself: it says which go.mod files it wants, is fed with them in any
//! order, and tells when it wants no more.
//!
//! What retract directives say does not matter here; they count when a version is looked for.
//!
//! Rules: protocol reference "MVS" and "Graph pruning and lazy loading"; Go's `internal/modload`
//! (`buildlist.go`, `modfile.go`, `init.go`) and `internal/mvs` (`graph.go`).

mod graph;
mod load;
mod mains;
mod node;
mod outcome;
mod replace;
mod summary;
#[cfg(test)]
pub(crate) mod tests;

pub use graph::{Graph, NodeId};
pub use load::{Limits, Loader, Scope};
pub use mains::{MainError, MainModules, Member};
pub use node::{Node, NodeVersion};
pub use outcome::{Cause, Failure, Outcome};
pub use replace::Source;
pub use summary::{Requirement, Summary};
