//! What can go wrong on the way to a repository: finding it, being allowed to use it, running a program.

use std::io;
use std::sync::Arc;

use fault::Label;
use gomod::quote;

use super::io_label;
use crate::outbound::Refused;
use crate::system::VersionControl;

/// Why the repository of an import path was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryFault {
    /// A path that no host of its first element could serve.
    #[error("invalid {host} import path {}", quote(.path))]
    InvalidHostPath {
        /// The well-known host.
        host: String,
        /// The import path.
        path: String,
    },
    /// `github.com/x/y.git` and the like.
    #[error("invalid version control suffix in {host}/ path")]
    VcsSuffix {
        /// The well-known host.
        host: String,
    },
    /// A path that starts with a URL scheme.
    #[error("{} not allowed in import path", quote(.0))]
    SchemeInPath(String),
    /// A first element without a dot.
    #[error("unrecognized import path {}: import path does not begin with hostname", quote(.0))]
    NoHost(String),
    /// The page has no tag for the path.
    #[error("unrecognized import path {}: parse {url}: no go-import meta tags ({details})", quote(.path))]
    NoTag {
        /// The import path.
        path: String,
        /// The page.
        url: String,
        /// Which tags it has for other paths.
        details: String,
    },
    /// The page has several.
    #[error(
        "unrecognized import path {}: parse {url}: multiple meta tags match import path {}",
        quote(.path), quote(.path)
    )]
    SeveralTags {
        /// The import path.
        path: String,
        /// The page.
        url: String,
    },
    /// The page of the root says something else than the page of the path.
    #[error("unrecognized import path {}: {page} and {root_page} disagree about go-import for {prefix}", quote(.path))]
    Disagree {
        /// The import path.
        path: String,
        /// Its page.
        page: String,
        /// The page of the root.
        root_page: String,
        /// The root that is claimed.
        prefix: String,
    },
    /// The tag is not usable.
    #[error("unrecognized import path {}: {url}: {reason}", quote(.path))]
    BadTag {
        /// The import path.
        path: String,
        /// The page.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The host answers that there is no such page.
    #[error("unrecognized import path {}: reading {url}: {status}", quote(.path))]
    Status {
        /// The import path.
        path: String,
        /// The page.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The page could not be had.
    #[error("unrecognized import path {}: https fetch: {detail}", quote(.path))]
    Fetch {
        /// The import path.
        path: String,
        /// At which hop.
        label: Label,
        /// What happened.
        detail: String,
    },
    /// No scheme works for a path that names its system.
    #[error("no {}protocol found for repository{detail}", if *.secure { "secure " } else { "" })]
    NoProtocol {
        /// Whether only secure ones were tried.
        secure: bool,
        /// Why https (else the first one) failed.
        label: Label,
        /// The same in words, after a colon.
        detail: String,
    },
    /// The module is served by a GOPROXY server, not by version control.
    #[error("{path} is served by the module proxy {url}")]
    ServedByProxy {
        /// The module path.
        path: String,
        /// Base of the GOPROXY protocol.
        url: String,
    },
}

/// What the settings forbid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Blocked {
    /// GOVCS.
    #[error("GOVCS disallows using {system} for {} {root}; see 'go help vcs'", if *.private { "private" } else { "public" })]
    Govcs {
        /// The system.
        system: VersionControl,
        /// Import path of the repository root.
        root: String,
        /// Whether it counts as private.
        private: bool,
    },
    /// A system whose program is not installed.
    #[error("{root} is a repository of {system}, and the program {system} is not installed here")]
    Unsupported {
        /// The system.
        system: VersionControl,
        /// Import path of the repository root.
        root: String,
    },
    /// A repository address without encryption.
    #[error("{url}: refusing insecure scheme {}; GOINSECURE can allow it", quote(.scheme))]
    Insecure {
        /// The address, without credentials.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// A repository address that must not reach a program.
    #[error("{url}: unusable repository address: {reason}")]
    Address {
        /// The address, without credentials.
        url: String,
        /// Why.
        reason: &'static str,
    },
    /// A server whose keys are not those that were pinned.
    #[error("{host}: none of its ssh host keys has the pinned fingerprint; it has {found}")]
    HostKey {
        /// The server.
        host: String,
        /// The fingerprints of the keys it has.
        found: String,
    },
    /// A host that leads to an address which must not be reached.
    #[error(transparent)]
    Destination(#[from] Refused),
}

/// A program that could not do its work.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolFault {
    /// It is not installed.
    #[error("exec: {}: executable file not found in $PATH", quote(.tool))]
    Missing {
        /// The program.
        tool: String,
    },
    /// It is too old to be run safely.
    #[error("{tool} {found} is too old: {needed} or newer is needed")]
    TooOld {
        /// The program.
        tool: &'static str,
        /// Its version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// The program or file that has the credentials did not give them. Without anything it printed.
    #[error("{what}: {reason}")]
    Credentials {
        /// Which.
        what: String,
        /// What happened.
        reason: String,
    },
    /// It could not be started.
    #[error("starting {tool}: {source}")]
    Start {
        /// The program.
        tool: String,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
    /// It did not finish in time and was killed.
    #[error("{what}: killed after {seconds} s")]
    Timeout {
        /// What it was doing.
        what: String,
        /// The limit in seconds.
        seconds: u64,
        /// Whether it was talking to a server.
        network: bool,
    },
    /// It wrote more than was to be read and was killed.
    #[error("{what}: output is larger than {limit} bytes")]
    OutputTooLarge {
        /// What it was doing.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The repository on disk outgrew its limit, and the program was killed.
    #[error("{what}: repository is larger than {limit} bytes")]
    DiskLimit {
        /// What it was doing.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// It ended with an error.
    #[error("{what}: {}{}", status, indented(.stderr))]
    Failed {
        /// What it was doing.
        what: String,
        /// How it ended: `exit status 128`.
        status: String,
        /// At which hop, as far as its messages tell.
        label: Label,
        /// The end of its messages, without secrets.
        stderr: String,
    },
}

fn indented(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(":\n\t{}", stderr.replace('\n', "\n\t"))
    }
}

impl DiscoveryFault {
    pub(super) fn label(&self) -> Label {
        match self {
            Self::InvalidHostPath { .. }
            | Self::VcsSuffix { .. }
            | Self::SchemeInPath(_)
            | Self::NoHost(_)
            | Self::NoTag { .. }
            | Self::SeveralTags { .. }
            | Self::Disagree { .. }
            | Self::BadTag { .. }
            | Self::ServedByProxy { .. } => Label::ModGoImportMissing,
            Self::Status { status, .. } => match status {
                401 | 403 | 407 => Label::AuthHttpsNoCredential,
                408 | 429 | 500.. => Label::GitTransferBroken,
                _ => Label::ModGoImportMissing,
            },
            Self::Fetch { label, .. } | Self::NoProtocol { label, .. } => *label,
        }
    }
}

impl Blocked {
    pub(super) fn label(&self) -> Label {
        match self {
            Self::Govcs { .. } => Label::VcsGovcsDisallowed,
            // Final here, and no reason for a client not to ask the repository itself.
            Self::Unsupported { .. } => Label::ModRepoGone,
            Self::Insecure { .. } => Label::VcsInsecureHttp,
            Self::Address { .. } => Label::ModGoImportMissing,
            Self::HostKey { .. } => Label::AuthSshHostkey,
            Self::Destination(_) => Label::DnsPoisoned,
        }
    }
}

impl ToolFault {
    pub(crate) fn label(&self) -> Label {
        match self {
            Self::Missing { .. } | Self::TooOld { .. } => Label::VcsGitMissing,
            Self::Credentials { .. } => Label::AuthHttpsNoCredential,
            Self::Start { source, .. } => io_label(source),
            Self::Timeout { network: true, .. } => Label::GitTransferBroken,
            Self::Timeout { network: false, .. } => Label::OsResourceLimit,
            Self::OutputTooLarge { .. } | Self::DiskLimit { .. } => Label::ModZipTooLarge,
            Self::Failed { label, .. } => *label,
        }
    }
}
