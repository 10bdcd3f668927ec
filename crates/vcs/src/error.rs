//! What can go wrong between a module path and its files, and whose fault it is.

mod access;
mod version;

use std::io;
use std::sync::Arc;

use fault::Label;
use gomod::{VersionError, quote};

pub use access::{Blocked, DiscoveryFault, ToolFault};
pub use version::{LayoutFault, PseudoFault, VersionRefusal};

use crate::govcs::GovcsError;

/// Why there is no answer. Cheap to clone: everyone who waited for the same work gets it.
///
/// Messages that Go prints too are in Go's words.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A version of a module that does not exist or is not valid.
    #[error("{module}@{version}: invalid {}: {cause}", if *.pseudo { "pseudo-version" } else { "version" })]
    Version {
        /// The module path.
        module: String,
        /// The version or revision asked for, or the version that it would have become.
        version: String,
        /// Whether it was refused as a pseudo-version.
        pseudo: bool,
        /// Why.
        cause: Box<Self>,
    },
    /// A module as a whole.
    #[error("module {module}: {cause}")]
    Module {
        /// The module path.
        module: String,
        /// What is wrong.
        cause: Box<Self>,
    },
    /// No tag, branch or reachable commit has this name.
    #[error("unknown revision {0}")]
    UnknownRevision(String),
    /// The beginning of more than one commit hash.
    #[error("ambiguous revision {0}")]
    AmbiguousRevision(String),
    /// The repository is empty.
    #[error("no commits")]
    NoCommits,
    /// A version does not fit its module.
    #[error(transparent)]
    Refused(#[from] VersionRefusal),
    /// A pseudo-version does not agree with the commit it names.
    #[error(transparent)]
    Pseudo(#[from] PseudoFault),
    /// The module is not where its path says.
    #[error(transparent)]
    Layout(Box<LayoutFault>),
    /// Not the text of a version.
    #[error("{0}")]
    Syntax(Box<VersionError>),
    /// The repository of a path could not be found.
    #[error(transparent)]
    Discovery(Box<DiscoveryFault>),
    /// The settings forbid it.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// GOVCS is malformed.
    #[error(transparent)]
    Govcs(#[from] GovcsError),
    /// A program failed.
    #[error(transparent)]
    Tool(#[from] ToolFault),
    /// The files do not make a module zip.
    #[error("create zip: {0}")]
    Zip(Arc<modzip::Error>),
    /// A file of the repository is larger than it may be.
    #[error("{what} is too large (more than {limit} bytes)")]
    FileTooLarge {
        /// Which file.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The repository has more refs than are read.
    #[error("repository has more than {limit} branches and tags, which is more than are read")]
    TooManyRefs {
        /// The limit.
        limit: usize,
    },
    /// Not what `git archive` writes.
    #[error("unexpected output of git archive: {0}")]
    Archive(&'static str),
    /// What another program answered cannot be understood.
    #[error("unexpected response from {tool}: {}", quote(.output))]
    Unexpected {
        /// The program.
        tool: &'static str,
        /// The beginning of what it wrote.
        output: String,
    },
    /// Reading or writing failed on this machine.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, for people.
        doing: String,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// No version fits a query.
    #[error(transparent)]
    Query(#[from] crate::query::QueryError),
    /// The work ended without a result, which is a fault of this program.
    #[error("internal: the work on the repository ended without a result")]
    Lost,
}

impl Error {
    /// The class of the failure.
    pub fn label(&self) -> Label {
        match self {
            Self::Version { cause, .. } | Self::Module { cause, .. } => cause.label(),
            Self::UnknownRevision(_)
            | Self::AmbiguousRevision(_)
            | Self::NoCommits
            | Self::Pseudo(_)
            | Self::Syntax(_)
            | Self::Query(_)
            | Self::Refused(VersionRefusal::ResolvesTo { .. } | VersionRefusal::NotCanonical(_)) => {
                Label::ModUnknownRevision
            }
            Self::Refused(VersionRefusal::Moved { .. }) => Label::ModRetagged,
            Self::Refused(_) => Label::ModMajorSuffix,
            Self::Layout(fault) => fault.label(),
            Self::Discovery(fault) => fault.label(),
            Self::Blocked(fault) => fault.label(),
            Self::Govcs(_) => Label::VcsGovcsDisallowed,
            Self::Tool(fault) => fault.label(),
            Self::Zip(error) => zip_label(error),
            Self::FileTooLarge { .. } => Label::ModZipTooLarge,
            Self::TooManyRefs { .. } | Self::Lost => Label::OsResourceLimit,
            Self::Archive(_) => Label::DiskCacheCorrupt,
            Self::Unexpected { .. } => Label::GitTransferBroken,
            Self::Io { source, .. } => io_label(source),
        }
    }

    /// Whether it means that there is no such module or version, finally: a GOPROXY server says 404.
    pub fn is_absence(&self) -> bool {
        self.label().means_absent()
    }

    /// Whether there is no such revision, as far as the last listing says.
    pub(crate) fn is_unknown_revision(&self) -> bool {
        match self {
            Self::Version { cause, .. } | Self::Module { cause, .. } => cause.is_unknown_revision(),
            error => matches!(error, Self::UnknownRevision(_)),
        }
    }

    /// Whether a server did not let this one see a repository. That there is one must not show to strangers.
    pub fn is_without_rights(&self) -> bool {
        let hidden = |label| {
            matches!(
                label,
                Label::AuthHttpsNoCredential | Label::AuthTokenRejected | Label::AuthRepoNotFound
            )
        };
        match self {
            Self::Version { cause, .. } | Self::Module { cause, .. } => cause.is_without_rights(),
            Self::Tool(ToolFault::Failed { label, .. }) => hidden(*label),
            Self::Discovery(fault) => hidden(fault.label()),
            _ => false,
        }
    }

    /// Whether the same request may succeed later although nobody changed anything.
    pub fn is_retryable(&self) -> bool {
        self.label().is_retryable()
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing: doing.into(),
            source: Arc::new(source),
        }
    }

    /// The error as one about a module.
    #[must_use]
    pub(crate) fn of_module(self, module: &str) -> Self {
        match self {
            Self::Version { .. } | Self::Module { .. } => self,
            cause => Self::Module {
                module: module.to_owned(),
                cause: Box::new(cause),
            },
        }
    }

    /// The error as one about a version of a module.
    #[must_use]
    pub(crate) fn of_version(self, module: &str, version: &str, pseudo: bool) -> Self {
        match self {
            Self::Version { .. } => self,
            cause => Self::Version {
                module: module.to_owned(),
                version: version.to_owned(),
                pseudo,
                cause: Box::new(cause),
            },
        }
    }
}

impl From<LayoutFault> for Error {
    fn from(fault: LayoutFault) -> Self {
        Self::Layout(Box::new(fault))
    }
}

impl From<DiscoveryFault> for Error {
    fn from(fault: DiscoveryFault) -> Self {
        Self::Discovery(Box::new(fault))
    }
}

impl From<VersionError> for Error {
    fn from(error: VersionError) -> Self {
        Self::Syntax(Box::new(error))
    }
}

impl From<modzip::Error> for Error {
    fn from(error: modzip::Error) -> Self {
        Self::Zip(Arc::new(error))
    }
}

fn zip_label(error: &modzip::Error) -> Label {
    use modzip::Error as Zip;
    match error {
        Zip::ZipTooLarge { .. } | Zip::ContentTooLarge => Label::ModZipTooLarge,
        Zip::Unfit(report) if report.size_error.is_some() => Label::ModZipTooLarge,
        Zip::Unfit(_) | Zip::NewlineInName => Label::ModZipBadFile,
        Zip::Io { source, .. } => io_label(source),
        _ => Label::DiskCacheCorrupt,
    }
}

fn io_label(error: &io::Error) -> Label {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Label::DiskFull,
        Kind::ReadOnlyFilesystem => Label::DiskReadonly,
        Kind::PermissionDenied => Label::DiskPermission,
        Kind::OutOfMemory | Kind::WouldBlock => Label::OsResourceLimit,
        _ => Label::DiskCacheCorrupt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_errors_read_like_gos() {
        let error =
            Error::UnknownRevision("v9.9.9".to_owned()).of_version("x.y/z", "v9.9.9", false);
        assert_eq!(
            error.to_string(),
            "x.y/z@v9.9.9: invalid version: unknown revision v9.9.9"
        );
        assert!(error.is_absence() && !error.is_retryable());
        let error = Error::from(PseudoFault::UnbasedV1).of_version("x.y/z", "v1.0.0-x", true);
        assert_eq!(
            error.to_string(),
            "x.y/z@v1.0.0-x: invalid pseudo-version: major version without preceding tag must be v0, not v1"
        );
        assert_eq!(
            Error::NoCommits.of_module("x.y/z").to_string(),
            "module x.y/z: no commits"
        );
    }

    #[test]
    fn trouble_is_not_absence() {
        let trouble = [
            Error::Tool(ToolFault::Missing {
                tool: "git".to_owned(),
            }),
            Error::Tool(ToolFault::Timeout {
                what: "git fetch".to_owned(),
                seconds: 1,
                network: true,
            }),
            Error::from(DiscoveryFault::Status {
                path: "x.y".to_owned(),
                url: "https://x.y?go-get=1".to_owned(),
                status: 503,
            }),
            Error::Lost,
        ];
        for error in trouble {
            assert!(!error.is_absence(), "{error}");
        }
    }
}
