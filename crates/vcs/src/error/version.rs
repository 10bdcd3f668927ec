//! What can be wrong with a version, and with the place of a module in a commit.

use fault::Label;
use gomod::{VersionFault, quote};

/// Why a version does not go with a module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionRefusal {
    /// The request was for a canonical version, and the revision is another one.
    #[error("resolves to version {resolved} ({asked} is not a tag)")]
    ResolvesTo {
        /// The version that the revision has.
        resolved: String,
        /// The version asked for, without `+incompatible`.
        asked: String,
    },
    /// The path says another major version.
    #[error("module path includes a major version suffix, so major version must match")]
    MajorMustMatch,
    /// A version of v2 or more, of a module that has a go.mod file.
    #[error(
        "module contains a go.mod file, so module path must match major version ({})",
        quote(.path)
    )]
    HasGoMod {
        /// The path it would have to have.
        path: String,
    },
    /// `+incompatible` where nothing is incompatible.
    #[error("+incompatible suffix not allowed: major version {major} is compatible")]
    NotIncompatible {
        /// The major version.
        major: String,
    },
    /// A version was needed, and this is none.
    #[error("version {0} is not canonical")]
    NotCanonical(String),
    /// Parts of the version were served already, and the commit they were made from is gone.
    #[error(
        "it was made from commit {was}, which the repository has no more (its tag names {now})"
    )]
    Moved {
        /// The commit it was made from.
        was: String,
        /// What its tag names now.
        now: String,
    },
}

/// Why a pseudo-version is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PseudoFault {
    /// Not the text of a pseudo-version.
    #[error("{0}")]
    Syntax(VersionFault),
    /// Too many digits of the commit hash.
    #[error("revision is longer than canonical (expected {0})")]
    RevisionTooLong(String),
    /// Too few.
    #[error("revision is shorter than canonical (expected {0})")]
    RevisionTooShort(String),
    /// Other digits.
    #[error("does not match short name of revision (expected {0})")]
    OtherRevision(String),
    /// Not the time of the commit.
    #[error("does not match version-control timestamp (expected {0})")]
    OtherTime(String),
    /// v1 without a tag.
    #[error("major version without preceding tag must be v0, not v1")]
    UnbasedV1,
    /// The commit has the tag itself.
    #[error(
        "tag ({tag}) found on revision {rev} is already canonical, so should not be replaced with a pseudo-version derived from that tag"
    )]
    Tagged {
        /// The tag.
        tag: String,
        /// The short hash of the commit.
        rev: String,
    },
    /// There is no such tag.
    #[error("preceding tag ({0}) not found")]
    NoTag(String),
    /// There is, but not before the commit.
    #[error("revision {rev} is not a descendent of preceding tag ({tag})")]
    NotDescendant {
        /// The short hash of the commit.
        rev: String,
        /// The tag.
        tag: String,
    },
}

/// Why no directory of a commit is the module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutFault {
    /// Discovery found a repository for another path.
    #[error("mismatched repo: found {root} for {module}")]
    MismatchedRoot {
        /// Import path of the repository root.
        root: String,
        /// The module path.
        module: String,
    },
    /// The root of the repository lies below the module's directory.
    #[error("repository rooted at {root} cannot contain module {module}")]
    RootBelowModule {
        /// Import path of the repository root.
        root: String,
        /// The module path.
        module: String,
    },
    /// Neither the directory nor its `vN` subdirectory may be preferred.
    #[error(
        "{prefix}/{file} and ...{major}/go.mod both have ...{major} module paths at revision {rev}"
    )]
    Both {
        /// Module path without major version.
        prefix: String,
        /// The go.mod outside of the `vN` directory.
        file: String,
        /// `/vN`.
        major: String,
        /// The revision.
        rev: String,
    },
    /// The go.mod in the `vN` directory says nothing.
    #[error("{root}/{file} is missing module path at revision {rev}")]
    SubMissingPath {
        /// Import path of the repository root.
        root: String,
        /// The go.mod in the `vN` directory.
        file: String,
        /// The revision.
        rev: String,
    },
    /// The go.mod in the `vN` directory is of another major version.
    #[error("{root}/{file} has non-...{major} module path {} at revision {rev}", quote(.declared))]
    SubOtherMajor {
        /// Import path of the repository root.
        root: String,
        /// The go.mod in the `vN` directory.
        file: String,
        /// `/vN`.
        major: String,
        /// What it says.
        declared: String,
        /// The revision.
        rev: String,
    },
    /// The go.mod says nothing.
    #[error("{file} is missing module path{} at revision {rev}", sub(.absent_sub.as_ref()))]
    MissingPath {
        /// The go.mod.
        file: String,
        /// `/vN`, when there could have been a go.mod in that directory.
        absent_sub: Option<String>,
        /// The revision.
        rev: String,
    },
    /// The go.mod is of another major version.
    #[error(
        "{file} has non-...{major} module path {}{} at revision {rev}",
        quote(.declared), sub(.absent_sub.as_ref())
    )]
    OtherMajor {
        /// The go.mod.
        file: String,
        /// Major version suffix of the module path.
        major: String,
        /// What the go.mod says.
        declared: String,
        /// `/vN`, when there could have been a go.mod in that directory.
        absent_sub: Option<String>,
        /// The revision.
        rev: String,
    },
    /// The go.mod has a path that no module can have.
    #[error("{file} has malformed module path {} at revision {rev}", quote(.declared))]
    MalformedPath {
        /// The go.mod.
        file: String,
        /// What it says.
        declared: String,
        /// The revision.
        rev: String,
    },
    /// The go.mod is of v2 or more.
    #[error("{file} has post-{major} module path {} at revision {rev}", quote(.declared))]
    PostMajor {
        /// The go.mod.
        file: String,
        /// `v0` or `v1`.
        major: String,
        /// What it says.
        declared: String,
        /// The revision.
        rev: String,
    },
    /// There is no go.mod where there must be one.
    #[error("missing {prefix}/go.mod{} at revision {rev}", and_sub(.absent_sub.as_ref()))]
    Missing {
        /// Module path without major version.
        prefix: String,
        /// `/vN`, when there could have been a go.mod in that directory.
        absent_sub: Option<String>,
        /// The revision.
        rev: String,
    },
}

fn sub(major: Option<&String>) -> String {
    major.map_or_else(String::new, |major| {
        format!(" (and ...{major}/go.mod does not exist)")
    })
}

fn and_sub(major: Option<&String>) -> String {
    major.map_or_else(String::new, |major| format!(" and ...{major}/go.mod"))
}

impl LayoutFault {
    pub(super) fn label(&self) -> Label {
        match self {
            Self::MismatchedRoot { .. } | Self::RootBelowModule { .. } => Label::ModPathMismatch,
            Self::Missing {
                absent_sub: None, ..
            } => Label::ModUnknownRevision,
            Self::SubMissingPath { .. } | Self::MissingPath { .. } | Self::MalformedPath { .. } => {
                Label::ModPathMismatch
            }
            Self::Both { .. }
            | Self::SubOtherMajor { .. }
            | Self::OtherMajor { .. }
            | Self::PostMajor { .. }
            | Self::Missing { .. } => Label::ModMajorSuffix,
        }
    }
}
