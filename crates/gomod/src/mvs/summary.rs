//! [`Summary`]: what the graph needs to know of a go.mod file.

use std::sync::Arc;

use super::node::Node;
use crate::gover;
use crate::modfile::{ModFile, ParseErrors};
use crate::version::Version;

/// The Go version from which on a go.mod file lists everything its packages need, so that the
/// requirements of its requirements need not be read (Go's `gover.ExplicitIndirectVersion`).
const PRUNING: &str = "1.17";

/// The Go version from which on the go line is a requirement (Go's `gover.GoStrictVersion`).
pub(super) const STRICT: &str = "1.21";

/// What the graph needs to know of a go.mod file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    module: Option<String>,
    go: Option<String>,
    requires: Vec<Requirement>,
}

/// One line of a require directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The module path as written.
    pub path: Arc<str>,
    /// The least version that will do.
    pub version: Version,
    /// Marked `// indirect`.
    pub indirect: bool,
}

impl Summary {
    /// Reads the go.mod file of a dependency.
    pub fn parse(go_mod: &[u8]) -> Result<Self, ParseErrors> {
        ModFile::parse_lax("go.mod", go_mod).map(|file| Self::of(&file))
    }

    /// Takes what counts out of a file.
    pub fn of(file: &ModFile) -> Self {
        Self {
            module: file
                .module()
                .map(|module| module.path.clone())
                .filter(|path| !path.is_empty()),
            go: file.go().map(|go| go.version.clone()),
            requires: file
                .require()
                .iter()
                .map(|require| Requirement {
                    path: require.path.as_str().into(),
                    version: require.version.clone(),
                    indirect: require.indirect,
                })
                .collect(),
        }
    }

    /// The path that the module line declares.
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// What the go line says.
    pub fn go(&self) -> Option<&str> {
        self.go.as_deref()
    }

    /// The requirements, in the order of the file.
    pub fn requires(&self) -> &[Requirement] {
        &self.requires
    }

    /// True when the file lists everything that the module's packages need.
    pub fn is_pruned(&self) -> bool {
        self.go.as_deref().is_some_and(is_pruned)
    }

    /// The go line as a requirement, if it is one.
    pub(super) fn go_node(&self) -> Option<Node> {
        self.go
            .as_deref()
            .filter(|go| gover::compare(go, STRICT).is_ge())
            .map(Node::go)
    }
}

impl Requirement {
    /// The node that is required.
    pub fn node(&self) -> Node {
        Node::release(Arc::clone(&self.path), self.version.clone())
    }
}

/// True when modules of this Go version take part in graph pruning.
pub(super) fn is_pruned(go: &str) -> bool {
    gover::compare(go, PRUNING).is_ge()
}
