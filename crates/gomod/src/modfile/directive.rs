//! The directives of go.mod and go.work files as values.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::syntax::LineId;
use crate::semver;
use crate::version::Version;

/// A value and the line that states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive<T> {
    value: T,
    line: LineId,
}

impl<T> Directive<T> {
    pub(super) fn new(value: T, line: LineId) -> Self {
        Self { value, line }
    }

    /// The line in the syntax tree of the file.
    pub fn line(&self) -> LineId {
        self.line
    }

    pub(super) fn set_line(&mut self, line: LineId) {
        self.line = line;
    }
}

impl<T> Deref for Directive<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Directive<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// `module path`. The path of a main module need not be one that can be downloaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Module {
    /// The module path as written.
    pub path: String,
    /// The message of a `Deprecated:` comment.
    pub deprecated: Option<String>,
}

/// `go 1.21`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Go {
    /// The version, without prefix.
    pub version: String,
}

/// `toolchain go1.21.3` or `toolchain default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The name of the toolchain.
    pub name: String,
}

/// `godebug key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Godebug {
    /// The name of the setting.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// `require path version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Require {
    /// The module path as written.
    pub path: String,
    /// The least version that will do.
    pub version: Version,
    /// Marked `// indirect`: no package of the main module imports it.
    pub indirect: bool,
}

/// `exclude path version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclude {
    /// The module path as written.
    pub path: String,
    /// The version that must not be used.
    pub version: Version,
}

/// `replace path [version] => replacement`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// The path of the module replaced.
    pub path: String,
    /// The version replaced; `None` for all.
    pub version: Option<Version>,
    /// What stands in for it.
    pub by: Replacement,
}

/// What stands in for a replaced module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// A directory, relative to the file or rooted.
    Directory(String),
    /// Another module.
    Module {
        /// Its path.
        path: String,
        /// Its version.
        version: Version,
    },
}

impl Replacement {
    /// The directory or the module path.
    pub fn path(&self) -> &str {
        match self {
            Self::Directory(path) | Self::Module { path, .. } => path,
        }
    }

    /// The version of a module.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Directory(_) => None,
            Self::Module { version, .. } => Some(version),
        }
    }
}

/// `retract version` or `retract [low, high]`, with the reason given in comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retract {
    /// The versions that must not be used.
    pub interval: VersionInterval,
    /// The comments of the line, or of its block, as text.
    pub rationale: String,
}

/// A range of versions, both ends included, as written: the go.mod file of a dependency may have
/// short or invalid versions here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct VersionInterval {
    /// The lowest version.
    pub low: String,
    /// The highest version, the same as `low` for a single one.
    pub high: String,
}

impl VersionInterval {
    /// A single version.
    pub fn single(version: impl Into<String>) -> Self {
        let low = version.into();
        Self {
            high: low.clone(),
            low,
        }
    }

    /// True when `version` is in the range by semantic precedence.
    pub fn contains(&self, version: &Version) -> bool {
        semver::compare(&self.low, version.as_str()).is_le()
            && semver::compare(version.as_str(), &self.high).is_le()
    }
}

impl fmt::Display for VersionInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            f.write_str(&self.low)
        } else {
            write!(f, "[{}, {}]", self.low, self.high)
        }
    }
}

/// `tool package`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The import path of the command.
    pub path: String,
}

/// `ignore directory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    /// The directory; with `./` in front only below the module root.
    pub path: String,
}

/// `use directory` of a go.work file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The directory of a module, relative to the file or rooted.
    pub path: String,
}
