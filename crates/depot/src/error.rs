use std::sync::Arc;
use std::time::Duration;

use fault::Label;
use store::{FileKind, StoreError};
use trust::{Mismatch, TrustError};
use upstream::{ChainError, Failure};

/// Why there is no answer. Cheap to clone: everyone who waited for the same fetch gets it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DepotError {
    /// It does not exist: every upstream that could know says so. The text is without the leading `not found: `.
    #[error("not found: {reason}")]
    Absent {
        /// Whether an upstream knows it to be gone for good (410).
        gone: bool,
        /// Who says so, and in which words.
        reason: Arc<str>,
    },
    /// It is not stored, and whoever asked allowed no fetch.
    #[error("not found: {what}: it is not in the cache, and this request allows no fetch")]
    NotCached {
        /// What was asked for.
        what: Arc<str>,
    },
    /// It is not stored, and nothing is fetched at this time. It may well exist.
    #[error("offline: {what} is not stored here, and fetching is switched off")]
    Offline {
        /// What was asked for.
        what: Arc<str>,
    },
    /// Nothing may be fetched: the upstream chain is `off`.
    #[error("{what}: module lookup disabled by GOPROXY=off")]
    FetchOff {
        /// What was asked for.
        what: Arc<str>,
    },
    /// Only its repository has it, and this depot asks none.
    #[error("{what}: no repository is asked here, and {why}")]
    DirectOff {
        /// What was asked for.
        what: Arc<str>,
        /// Why no GOPROXY server is asked instead.
        why: &'static str,
    },
    /// A private name was about to be sent to a public service.
    #[error(
        "{what} is private (it matches {pattern:?}) and is not looked up in the checksum database {database}; set GONOSUMDB or GOPRIVATE for it"
    )]
    Private {
        /// The module.
        what: Arc<str>,
        /// The setting that makes it private.
        pattern: Arc<str>,
        /// The database that was to be asked.
        database: Arc<str>,
    },
    /// At least one upstream could not be asked, so that nothing is known. Never empty.
    #[error("{}", .0.iter().map(Failure::to_string).collect::<Vec<_>>().join("; "))]
    Upstream(Arc<[Failure]>),
    /// The servers of the chain ask each other in a circle, and nobody outside of it has an answer. Nothing is known.
    #[error(
        "loop: the servers in the chain of upstreams ask each other in a circle; take one of them out of the other's chain: {}",
        .0.iter().map(Failure::to_string).collect::<Vec<_>>().join("; ")
    )]
    Circle(Arc<[Failure]>),
    /// A file is not what it must be. A security event: its bytes are neither served nor stored.
    #[error("{}: {}", Label::SumdbMismatch, .0)]
    Mismatch(Arc<Mismatched>),
    /// There is no word to compare a file with. It may be right; nobody can tell.
    #[error(
        "{}: {what} cannot be verified: {error}{}",
        trust_label(error),
        advice(error)
    )]
    Unverified {
        /// The module version.
        what: Arc<str>,
        /// Why there is none.
        error: TrustError,
    },
    /// The checksum database could not be read, or what came in its name is not to be believed.
    #[error("{}: {_0}", trust_label(_0))]
    Sumdb(TrustError),
    /// The store failed.
    #[error("{}: {}", store_label(.0), .0)]
    Store(Arc<StoreError>),
    /// There is too much to do. Nothing is known of what was asked for.
    #[error("busy: {waiting} fetches wait for their turn already; try again in {} s", .retry_after.as_secs().max(1))]
    Busy {
        /// How many wait.
        waiting: usize,
        /// When there may be room again.
        retry_after: Duration,
    },
    /// The fetch ended without a result, which is a fault of this program.
    #[error("internal: the fetch ended without a result")]
    Lost,
}

impl DepotError {
    pub(crate) fn from_chain(error: ChainError, what: &str) -> Self {
        match error {
            ChainError::Absent(absence) => Self::Absent {
                gone: absence.gone,
                reason: name_first(what, &absence.reason).into(),
            },
            ChainError::Trouble(failures) => Self::Upstream(failures.into()),
            ChainError::Circle(failures) => Self::Circle(failures.into()),
            ChainError::Off => Self::FetchOff { what: what.into() },
            ChainError::Direct(Some(said)) => Self::from_chain(*said, what),
            ChainError::Direct(None) => Self::DirectOff {
                what: what.into(),
                why: "the upstream chain has no GOPROXY server to ask",
            },
        }
    }

    /// Whether it means that there is no such thing, rather than that something went wrong.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }

    /// Whether those whom this request came through are asked for the answer.
    pub(crate) fn is_circle(&self) -> bool {
        matches!(self, Self::Circle(_))
    }

    /// The class of the failure, where it is one of the taxonomy's.
    pub fn label(&self) -> Option<Label> {
        match self {
            Self::Upstream(failures) | Self::Circle(failures) => {
                failures.first().map(|failure| failure.label)
            }
            Self::Store(error) => Some(store_label(error)),
            Self::Mismatch(_) => Some(Label::SumdbMismatch),
            Self::Unverified { error, .. } | Self::Sumdb(error) => Some(trust_label(error)),
            Self::FetchOff { .. } => Some(Label::CfgGoproxyOff),
            Self::Absent { .. }
            | Self::NotCached { .. }
            | Self::Offline { .. }
            | Self::DirectOff { .. }
            | Self::Private { .. }
            | Self::Busy { .. }
            | Self::Lost => None,
        }
    }
}

impl From<StoreError> for DepotError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// A file whose hash is not the one it must have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SECURITY ERROR: {what} {file}: {from} sent {found}, but {authority} has {expected}; the bytes are refused",
    found = .mismatch.found, authority = .mismatch.authority, expected = .mismatch.expected
)]
pub struct Mismatched {
    /// The module version.
    pub what: Arc<str>,
    /// Which of its files.
    pub file: FileKind,
    /// Who sent the bytes, without credentials.
    pub from: String,
    /// Both hashes.
    pub mismatch: Mismatch,
}

fn trust_label(error: &TrustError) -> Label {
    match error {
        TrustError::OutOfReach { .. } => Label::SumdbUnreachable,
        TrustError::Unknown { .. } => Label::Sumdb404,
        TrustError::Misbehaving { .. } | TrustError::Forked { .. } => Label::SumdbMismatch,
        TrustError::Keeping { .. } => Label::DiskCacheCorrupt,
    }
}

/// What may be done about it, where there is something.
fn advice(error: &TrustError) -> &'static str {
    match error {
        TrustError::Unknown { .. } => {
            "; a module that is private belongs into the setting private or no-sumdb"
        }
        _ => "",
    }
}

/// The `go` command shows the text to its user, who wants to see what is missing before why.
pub(crate) fn name_first(what: &str, reason: &str) -> String {
    let name = what.split(' ').next().unwrap_or(what);
    if reason.contains(name) {
        reason.to_owned()
    } else {
        format!("{what}: {reason}")
    }
}

fn store_label(error: &StoreError) -> Label {
    use std::io::ErrorKind as Kind;
    match error.io_kind() {
        Some(Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge) => Label::DiskFull,
        Some(Kind::ReadOnlyFilesystem) => Label::DiskReadonly,
        Some(Kind::PermissionDenied) => Label::DiskPermission,
        _ if is_descriptor_limit(error) => Label::OsResourceLimit,
        _ => Label::DiskCacheCorrupt,
    }
}

fn is_descriptor_limit(error: &StoreError) -> bool {
    let StoreError::Io { source, .. } = error else {
        return false;
    };
    let code = source.raw_os_error();
    code == Some(rustix::io::Errno::MFILE.raw_os_error())
        || code == Some(rustix::io::Errno::NFILE.raw_os_error())
}
