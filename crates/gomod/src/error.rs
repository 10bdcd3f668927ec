//! The errors of this crate, worded as the `go` command words them.

use std::fmt;

use bstr::BString;
use thiserror::Error;

use crate::modfile::{EditError, ParseErrors};
use crate::text::{quote, quote_rune};

/// Any error of this crate, for callers that need not tell them apart.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A module, import or file path is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A version is malformed or does not fit.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A module path and a version do not go together.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// A go.mod or go.work file cannot be read.
    #[error(transparent)]
    ModFile(#[from] ParseErrors),
    /// A go.mod or go.work file cannot be changed as asked.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A go.sum file cannot be read.
    #[error(transparent)]
    GoSum(#[from] crate::gosum::GoSumErrors),
    /// An `.info` document cannot be read.
    #[error(transparent)]
    Info(#[from] crate::info::InfoError),
}

/// Which set of naming rules a path was checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// A module path, the strictest kind.
    Module,
    /// A package import path.
    Import,
    /// The path of a file inside a module.
    File,
}

impl fmt::Display for PathKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Module => "module",
            Self::Import => "import",
            Self::File => "file",
        })
    }
}

/// Why a path, or the escaped form of one, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// The path breaks a naming rule.
    #[error("malformed {kind} path {}: {fault}", quote(path))]
    Malformed {
        /// The rules it was checked against.
        kind: PathKind,
        /// The path as given, which need not be UTF-8.
        path: BString,
        /// The rule it breaks.
        fault: PathFault,
    },
    /// An escaped path is not the escaped form of anything.
    #[error("invalid escaped module path {}", quote(escaped))]
    Escape {
        /// The text that cannot be unescaped.
        escaped: String,
    },
    /// An escaped path stands for a malformed one.
    #[error("invalid escaped module path {}: {source}", quote(escaped))]
    EscapedMalformed {
        /// The escaped text.
        escaped: String,
        /// What is wrong with the path it stands for.
        source: Box<Self>,
    },
}

/// The naming rule that a path breaks (x/mod `module/module.go`).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathFault {
    /// Not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// Nothing at all.
    #[error("empty string")]
    Empty,
    /// The path begins with a dash, as an option would.
    #[error("leading dash")]
    LeadingDash,
    /// Two slashes in a row.
    #[error("double slash")]
    DoubleSlash,
    /// A slash at the end.
    #[error("trailing slash")]
    TrailingSlash,
    /// An element without characters.
    #[error("empty path element")]
    EmptyElement,
    /// An element of dots only.
    #[error("invalid path element {}", quote(.0))]
    DotElement(String),
    /// An element of a module path begins with a dot.
    #[error("leading dot in path element")]
    LeadingDot,
    /// An element ends in a dot.
    #[error("trailing dot in path element")]
    TrailingDot,
    /// A character outside the permitted set.
    #[error("invalid char {}", quote_rune(*.0))]
    InvalidChar(char),
    /// A device name on Windows.
    #[error("{} disallowed as path element component on Windows", quote(.0))]
    WindowsName(String),
    /// An element that looks like a Windows short name.
    #[error("trailing tilde and digits in path element")]
    WindowsShortName,
    /// The first element, which must be a domain name, is empty.
    #[error("leading slash")]
    LeadingSlash,
    /// The first element has no dot.
    #[error("missing dot in first path element")]
    MissingDot,
    /// A character that a domain name cannot have.
    #[error("invalid char {} in first path element", quote_rune(*.0))]
    InvalidDomainChar(char),
    /// The major version suffix is not one a module may have.
    #[error("invalid version")]
    InvalidMajor,
}

/// Why a version, or the escaped form of one, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VersionError {
    /// The version breaks a rule.
    #[error("{} {} invalid: {fault}", noun(*pseudo), quote(version))]
    Invalid {
        /// The version as given.
        version: String,
        /// True when it was expected to be a pseudo-version.
        pseudo: bool,
        /// The rule it breaks.
        fault: VersionFault,
    },
    /// An escaped version is not the escaped form of anything.
    #[error("invalid escaped version {}", quote(escaped))]
    Escape {
        /// The text that cannot be unescaped.
        escaped: String,
    },
    /// An escaped version stands for something that cannot be a file name.
    #[error("invalid escaped version {}: {fault}", quote(version))]
    EscapedMalformed {
        /// The unescaped text.
        version: String,
        /// The rule it breaks.
        fault: PathFault,
    },
}

impl VersionError {
    pub(crate) fn new(version: impl Into<String>, fault: VersionFault) -> Self {
        Self::Invalid {
            version: version.into(),
            pseudo: false,
            fault,
        }
    }

    pub(crate) fn pseudo(version: impl Into<String>, fault: VersionFault) -> Self {
        Self::Invalid {
            version: version.into(),
            pseudo: true,
            fault,
        }
    }
}

fn noun(pseudo: bool) -> &'static str {
    if pseudo { "pseudo-version" } else { "version" }
}

/// The rule that a version breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VersionFault {
    /// No semantic version at all.
    #[error("not a semantic version")]
    NotSemver,
    /// Not in canonical form.
    #[error("must be of the form {major}.2.3")]
    NotCanonical {
        /// The major version an example should have: `v1`, or that of the module path.
        major: String,
    },
    /// The major version contradicts the module path.
    #[error("should be {want}, not {got}")]
    WrongMajor {
        /// What the path asks for: `v2`, or `v0 or v1`.
        want: Box<str>,
        /// The major version given.
        got: Box<str>,
    },
    /// The major version asks for `+incompatible` or for another module path; the text tells how
    /// these would be spelled.
    #[error("should be {0}")]
    NeedsIncompatible(String),
    /// A character that a file name or a URL cannot carry.
    #[error("disallowed version string")]
    Disallowed,
    /// Not of the form of a pseudo-version.
    #[error("syntax error")]
    PseudoSyntax,
    /// The time stamp of a pseudo-version is no time.
    #[error("malformed time {}", quote(.0))]
    MalformedTime(String),
    /// A pseudo-version without base version but with build metadata.
    #[error("lacks base version, but has build metadata {}", quote(.0))]
    BuildWithoutBase(String),
    /// A pseudo-version for the patch release after none.
    #[error("version before {0} would have negative patch number")]
    NegativePatch(String),
    /// A version in a go.mod file is not spelled as a string should be.
    #[error("{0}")]
    Spelling(crate::modfile::StringFault),
}

/// A module path and a version that do not go together (Go's `module.ModuleError`).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.message())]
pub struct ModuleError {
    /// The module path.
    pub path: String,
    /// What is wrong with the version.
    pub source: VersionError,
}

impl ModuleError {
    fn message(&self) -> String {
        match &self.source {
            VersionError::Invalid {
                version,
                pseudo,
                fault,
            } => format!(
                "{}@{version}: invalid {}: {fault}",
                self.path,
                noun(*pseudo)
            ),
            other => format!("module {}: {other}", self.path),
        }
    }
}
