//! [`Node`]: a module at a version, as the graph knows it.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::gover;
use crate::path::ModulePath;
use crate::version::{ModuleVersion, Version};

/// The name that go lines have in the graph.
const GO: &str = "go";

/// The name that toolchain lines have in the graph.
const TOOLCHAIN: &str = "toolchain";

/// A module at a version. Cloning is cheap.
///
/// The path is text: that of a main module, and that of a module replaced by a directory, need not be
/// one that can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    path: Arc<str>,
    version: NodeVersion,
}

/// The version of a [`Node`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NodeVersion {
    /// A main module, which has no version and is above all others.
    Main,
    /// A version of a module.
    Release(Version),
    /// What a go line says, without prefix.
    Go(Arc<str>),
    /// What a toolchain line says.
    Toolchain(Arc<str>),
}

impl Node {
    /// A main module.
    pub fn main(path: &str) -> Self {
        Self {
            path: path.into(),
            version: NodeVersion::Main,
        }
    }

    /// A version of a module.
    pub fn release(path: impl Into<Arc<str>>, version: Version) -> Self {
        Self {
            path: path.into(),
            version: NodeVersion::Release(version),
        }
    }

    /// The Go version `version`, without prefix.
    pub fn go(version: &str) -> Self {
        Self {
            path: GO.into(),
            version: NodeVersion::Go(version.into()),
        }
    }

    /// The toolchain `name`, such as `go1.21.3`.
    pub fn toolchain(name: &str) -> Self {
        Self {
            path: TOOLCHAIN.into(),
            version: NodeVersion::Toolchain(name.into()),
        }
    }

    /// The path: that of a module, or `go`, or `toolchain`.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn shared_path(&self) -> &Arc<str> {
        &self.path
    }

    /// The version.
    pub fn version(&self) -> &NodeVersion {
        &self.version
    }

    /// The version of a module that is neither a main module nor Go itself.
    pub fn release_version(&self) -> Option<&Version> {
        match &self.version {
            NodeVersion::Release(version) => Some(version),
            _ => None,
        }
    }

    /// True for the nodes that stand for go and toolchain lines.
    pub fn is_toolchain(&self) -> bool {
        matches!(self.version, NodeVersion::Go(_) | NodeVersion::Toolchain(_))
    }

    /// The module that can be asked for, if path and version are fit for that.
    pub fn module_version(&self) -> Option<ModuleVersion> {
        let path = ModulePath::new(&self.path).ok()?;
        ModuleVersion::new(path, self.release_version()?.clone()).ok()
    }

    /// Compares the versions of two nodes of one path (Go's `cmpVersion`, `gover.ModCompare`).
    pub(super) fn compare_version(&self, other: &Self) -> Ordering {
        self.version.compare(&other.version)
    }

    /// Order by path, then by version (Go's `gover.ModSort`).
    pub(super) fn sort_order(&self, other: &Self) -> Ordering {
        self.path
            .cmp(&other.path)
            .then_with(|| self.compare_version(other))
    }
}

impl NodeVersion {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Release(a), Self::Release(b)) => a.cmp(b),
            (Self::Go(a), Self::Go(b)) => gover::compare(a, b),
            (Self::Toolchain(a), Self::Toolchain(b)) => {
                gover::compare(toolchain_version(a), toolchain_version(b))
            }
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Toolchain(_) => 0,
            Self::Go(_) => 1,
            Self::Release(_) => 2,
            Self::Main => 3,
        }
    }
}

fn toolchain_version(name: &str) -> &str {
    if gover::is_valid(name) {
        name
    } else {
        gover::from_toolchain(name).unwrap_or_default()
    }
}

impl fmt::Display for Node {
    /// As `go mod graph` prints it: `path@version`, the path alone for a main module.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            NodeVersion::Main => f.write_str(&self.path),
            NodeVersion::Release(version) => write!(f, "{}@{version}", self.path),
            NodeVersion::Go(version) | NodeVersion::Toolchain(version) => {
                write!(f, "{}@{version}", self.path)
            }
        }
    }
}
