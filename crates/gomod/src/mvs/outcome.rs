//! What a walk ends with.

use super::graph::{Graph, NodeId};
use super::node::Node;
use super::replace::Source;

/// What a walk ends with: a build list in any case, and what could not be read.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub(super) graph: Graph,
    pub(super) failures: Vec<Failure>,
    pub(super) raised: Vec<(Node, Node)>,
    pub(super) only_roots: bool,
}

/// A go.mod file that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Whose file it is.
    pub node: Node,
    /// From a main module to the node, both included.
    pub chain: Vec<Node>,
    /// Where the file was to come from; `None` when nothing could be asked for.
    pub from: Option<Source>,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with a go.mod file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It could not be had; the text is the caller's.
    #[error("{0}")]
    Unavailable(String),
    /// It could not be read.
    #[error("parsing go.mod: {0}")]
    Malformed(String),
    /// It does not say which module it is about.
    #[error("parsing go.mod: missing module line")]
    NoModuleLine,
    /// It is about another module.
    #[error("module declares its path as: {declared} but was required as: {required}")]
    OtherModule {
        /// The path it declares.
        declared: String,
        /// The path it was asked for under.
        required: String,
    },
    /// Path and version are not those of a module that can be downloaded.
    #[error("malformed module path or version, and no replacement")]
    NotAModule,
    /// Members of a workspace want different things in its place.
    #[error("conflicting replacements in workspace modules")]
    ConflictingReplacements,
    /// The graph has more modules or requirements than are read.
    #[error("the module graph is too large")]
    TooLarge,
}

impl Outcome {
    /// The graph as far as it was read; the roots are the main modules, in a workspace also its go and
    /// toolchain lines.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The selected version of every module, the main modules first; the go and toolchain lines are
    /// among them.
    pub fn build_list(&self) -> Vec<&Node> {
        self.graph.build_list()
    }

    /// Every requirement in the order in which `go mod graph` prints them.
    pub fn edges(&self) -> impl Iterator<Item = (&Node, &Node)> {
        self.graph
            .breadth_first()
            .into_iter()
            .flat_map(move |from| {
                let requires: &[NodeId] = self.graph.requires(from).unwrap_or_default();
                requires
                    .iter()
                    .filter_map(move |to| Some((self.graph.node(from)?, self.graph.node(*to)?)))
            })
    }

    /// The go.mod files that could not be used. The versions that they would have required are
    /// missing in the build list.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Requirements of the main module's go.mod file that others raise, and to what: `go` says
    /// "updates to go.mod needed" unless it may change the file.
    pub fn raised(&self) -> &[(Node, Node)] {
        &self.raised
    }

    /// True when lazy loading did with the requirements of the main module alone.
    pub fn only_roots(&self) -> bool {
        self.only_roots
    }
}
