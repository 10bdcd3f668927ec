//! What a probe found, in a form that text and JSON are made from.

use std::time::Duration;

use fault::{Hop, Label, Subjects};

/// How long each phase of an exchange took. A phase that did not happen has no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Name resolution.
    pub dns: Option<Duration>,
    /// The TCP connection.
    pub tcp: Option<Duration>,
    /// The tunnel through an HTTP or SOCKS proxy.
    pub proxy: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the request to the head of the answer.
    pub first_byte: Option<Duration>,
    /// The body.
    pub transfer: Option<Duration>,
}

impl Phases {
    /// The phases by their names, in order.
    pub fn named(&self) -> [(&'static str, Option<Duration>); 6] {
        [
            ("dns", self.dns),
            ("tcp", self.tcp),
            ("proxy", self.proxy),
            ("tls", self.tls),
            ("first_byte", self.first_byte),
            ("transfer", self.transfer),
        ]
    }

    /// All phases together.
    pub fn total(&self) -> Duration {
        self.named().iter().filter_map(|(_, time)| *time).sum()
    }
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// A setting, read.
    Settings,
    /// The machine: network interfaces, local filters.
    Machine,
    /// A name, asked of one resolver.
    Resolver,
    /// A connection to one address.
    Address,
    /// The certificate of a server.
    Certificate,
    /// An HTTP or SOCKS proxy.
    Tunnel,
    /// A proxy auto-configuration file.
    AutoConfig,
    /// The local clock against that of servers.
    Clock,
    /// `@v/list` of a GOPROXY entry.
    List,
    /// `.info` or `@latest` of a GOPROXY entry.
    Info,
    /// `.mod` of a GOPROXY entry.
    GoMod,
    /// `.zip` of a GOPROXY entry.
    Zip,
    /// Whether a GOPROXY entry relays the checksum database.
    SumdbRelay,
    /// A record of the checksum database.
    SumdbLookup,
    /// The page that tells where a module's repository is.
    Discovery,
    /// `git ls-remote` of the repository.
    Repository,
    /// The same with one hop left out.
    Bypass,
    /// One request repeated.
    Repeat,
    /// A module of the project.
    Requirement,
    /// A file or directory.
    Disk,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Settings,
        Self::Machine,
        Self::Resolver,
        Self::Address,
        Self::Certificate,
        Self::Tunnel,
        Self::AutoConfig,
        Self::Clock,
        Self::List,
        Self::Info,
        Self::GoMod,
        Self::Zip,
        Self::SumdbRelay,
        Self::SumdbLookup,
        Self::Discovery,
        Self::Repository,
        Self::Bypass,
        Self::Repeat,
        Self::Requirement,
        Self::Disk,
    ];

    /// The name used in machine output, in kebab case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Machine => "machine",
            Self::Resolver => "resolver",
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Tunnel => "tunnel",
            Self::AutoConfig => "auto-config",
            Self::Clock => "clock",
            Self::List => "list",
            Self::Info => "info",
            Self::GoMod => "mod",
            Self::Zip => "zip",
            Self::SumdbRelay => "sumdb-relay",
            Self::SumdbLookup => "sumdb-lookup",
            Self::Discovery => "discovery",
            Self::Repository => "repository",
            Self::Bypass => "bypass",
            Self::Repeat => "repeat",
            Self::Requirement => "requirement",
            Self::Disk => "disk",
        }
    }
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The cause.
    pub label: Label,
    /// What shows it, in the words of `go` where it has words for it; without secrets.
    pub evidence: Vec<String>,
    /// What it is about.
    pub subjects: Box<Subjects>,
}

impl Failure {
    /// A failure shown by one line.
    pub fn new(label: Label, evidence: impl Into<String>) -> Self {
        Self {
            label,
            evidence: vec![evidence.into()],
            subjects: Box::default(),
        }
    }

    /// Adds a line of evidence.
    #[must_use]
    pub fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// The same cause with another name for it.
    #[must_use]
    pub fn relabelled(mut self, label: Label) -> Self {
        self.label = label;
        self
    }

    /// True when the answer was that there is no such module, which leads `go` on along any chain.
    pub fn is_absence(&self) -> bool {
        matches!(self.label, Label::Goproxy404 | Label::Goproxy410)
    }
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Fine,
    /// It failed.
    Failed(Failure),
    /// Nothing was tried, for this reason: another probe, or a setting.
    Skipped(Reason),
}

/// Why a probe was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// What it needs has failed already.
    Blocked,
    /// The settings say that go does not ask there.
    NotNeeded,
    /// The time of the run was over.
    OutOfTime,
    /// A program that it needs is not there.
    NoProgram,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Blocked,
        Self::NotNeeded,
        Self::OutOfTime,
        Self::NoProgram,
    ];

    /// The name used in machine output, in kebab case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::NotNeeded => "not-needed",
            Self::OutOfTime => "out-of-time",
            Self::NoProgram => "no-program",
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What was tried.
    pub check: Check,
    /// The hop it is about.
    pub hop: Hop,
    /// Host, address, URL or path; without secrets.
    pub target: String,
    /// How long it took, by phase.
    pub phases: Phases,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen: names of facts (see [`FACTS`]) with their values.
    pub facts: Vec<(&'static str, String)>,
}

/// The names that facts have; each has words in the message files.
pub const FACTS: &[&str] = &[
    "addresses",
    "alpn",
    "answered-by",
    "browsers",
    "bytes",
    "bytes-per-second",
    "credentials",
    "credentials-from",
    "denied",
    "expires",
    "failures",
    "firewall",
    "go",
    "goauth",
    "hosts-file",
    "intercepted-by",
    "interfaces",
    "issuer",
    "low-bandwidth",
    "offset",
    "proof",
    "protocol",
    "redirect",
    "repository",
    "security-module",
    "set-in",
    "status",
    "unreadable",
    "versions",
    "via",
];

impl Probe {
    /// A probe that went well so far.
    pub fn new(check: Check, hop: Hop, target: impl Into<String>) -> Self {
        Self {
            check,
            hop,
            target: target.into(),
            phases: Phases::default(),
            outcome: Outcome::Fine,
            facts: Vec::new(),
        }
    }

    /// The same with an outcome.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The same, failed. The hop becomes that of the failure.
    #[must_use]
    pub fn failed(mut self, failure: Failure) -> Self {
        self.hop = failure.label.hop();
        self.outcome = Outcome::Failed(failure);
        self
    }

    /// The same with times.
    #[must_use]
    pub fn took(mut self, phases: Phases) -> Self {
        self.phases = phases;
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// The failure, if it failed.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Fine | Outcome::Skipped(_) => None,
        }
    }
}
