use std::fmt;
use std::time::Duration;

use fault::Label;

/// Why one upstream could not answer a request. Says nothing about whether the module exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The upstream, without credentials.
    pub source: String,
    /// What kind of failure, and at which hop.
    pub label: Label,
    /// What happened, in the words of the `go` command where it has words for it.
    pub detail: String,
    /// How long the upstream asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Whether the upstream did not answer in time, rather than answering with an error.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.label,
            Label::DnsTimeout | Label::TcpTimeout | Label::TlsHandshakeTimeout | Label::GoproxySlow
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.detail)
    }
}

impl std::error::Error for Failure {}

/// An upstream's word that something does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The upstream, without credentials.
    pub source: String,
    /// Whether it said 410 (known to be gone) rather than 404.
    pub gone: bool,
    /// Its reason, in its own words, without the leading `not found: `; at most a few lines.
    pub reason: String,
}

/// What came out of asking a whole chain, when it is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Every upstream that could know says that there is no such thing.
    #[error("not found: {}", .0.reason)]
    Absent(Absence),
    /// At least one upstream could not be asked, so that nothing is known.
    #[error("{}", describe(.0))]
    Trouble(Vec<Failure>),
    /// Upstreams ask each other in a circle that this request went through, and nobody outside of it has an answer. Says
    /// nothing about existence: whoever began may have others to ask.
    #[error("the upstreams ask each other in a circle: {}", describe(.0))]
    Circle(Vec<Failure>),
    /// The chain is `off`.
    #[error("module lookup disabled by GOPROXY=off")]
    Off,
    /// `direct` comes next: the repositories themselves are to be asked, which is not this crate's work. With what the
    /// servers before it said, if there were any: that nothing exists, or trouble.
    #[error("{}the repositories themselves are next to be asked", before(.0.as_deref()))]
    Direct(Option<Box<Self>>),
}

fn before(said: Option<&ChainError>) -> String {
    said.map_or_else(String::new, |said| format!("{said}; "))
}

fn describe(failures: &[Failure]) -> String {
    failures
        .iter()
        .map(Failure::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl ChainError {
    /// Whether the same request may succeed later although nobody changed anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Trouble(failures) => failures.iter().any(|failure| failure.label.is_retryable()),
            Self::Direct(Some(said)) => said.is_retryable(),
            Self::Absent(_) | Self::Circle(_) | Self::Off | Self::Direct(None) => false,
        }
    }
}
