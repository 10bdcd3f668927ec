//! From probes to one verdict: the first broken hop that explains the rest.
//!
//! [`diagnose`] reads the settings ([`goenv::report`], [`goenv::lint`]), runs the probes that a download of one module
//! would need, side by side and within a time, then takes the way `go` would take through the answers
//! ([`goenv::trace`]). What is broken on that way is the verdict; what failed elsewhere is a symptom or does not matter.

mod anonymous;
mod auto_config;
mod bypass;
mod found;
mod json;
mod origin;
mod page;
mod remedy;
mod run;
mod settings;
mod spell;
mod survey;
mod sweep;
mod text;
mod verdict;
mod way;
mod words;

use std::sync::Arc;

use fault::{Hop, Label};
use goenv::report::Report;
use goenv::trace::{Rules, Trace};
use gomod::{ModulePath, Revision};

use crate::probe::report::{Failure, Probe};
use crate::probe::{Limits, Other};

pub use anonymous::{Form, write_report};
pub use remedy::{ChainFix, Remedy};
pub use run::{diagnose, diagnose_project};
pub use sweep::{Requirement, State};
pub use text::Layout;
pub use verdict::{Health, Verdict};
pub use way::Step;
pub use words::{word, words_are_complete};

/// What to diagnose, and how thoroughly.
#[derive(Clone, Debug)]
pub struct Request {
    /// The module asked for.
    pub module: ModulePath,
    /// The version or revision; the newest if there is none.
    pub revision: Option<Revision>,
    /// How long the phases may take.
    pub limits: Limits,
    /// How often each entry is asked, to tell loss now and then from an outage.
    pub repeat: usize,
    /// How much counts for the verdict.
    pub breadth: Breadth,
    /// Resolvers whose answers about public names are held against those of the system.
    pub others: Vec<Other>,
    /// Proxy auto-configuration files, by URL or path, beside those that this machine has set.
    pub auto_configs: Vec<String>,
}

/// How much counts for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// What the requests meet, and what is to be read in the settings of `go`, the project and the caches.
    Everything,
    /// What the requests meet: for a server with settings of its own, and for trying a setting out.
    Requests,
}

/// Everything that was found out.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The module that was asked for.
    pub module: ModulePath,
    /// The settings `go` would use, and the files around them.
    pub report: Arc<Report>,
    /// What is to be seen by reading settings and files, the gravest first.
    pub findings: Vec<goenv::Finding>,
    /// The measurements, in the order of the request path.
    pub hops: Vec<Probe>,
    /// The way `go` takes, by its rules and the answers.
    pub trace: Trace,
    /// What became of each entry of the chain, in the order `go` asks them.
    pub route: Vec<Step>,
    /// What became of each module of the project, where one was looked at.
    pub requirements: Vec<Requirement>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// Told of each probe as it ends; for progress on a terminal.
pub trait Watcher: Send + Sync {
    /// A probe has ended.
    fn ended(&self, probe: &Probe);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn ended(&self, _probe: &Probe) {}
}

/// A cause, where it sits, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What was met.
    pub failure: Failure,
    /// True when `go` fails because of it, false when it only makes things slower or less safe.
    pub is_fatal: bool,
    /// What is to be read in settings and files about the same cause.
    pub findings: Vec<goenv::Finding>,
    /// Another order of the servers in GOPROXY under which the module is found.
    pub chain: Option<ChainFix>,
    /// The variables that send `go` through the proxy that browsers use.
    pub proxy: Option<goenv::fix::Fix>,
}

impl Cause {
    /// Its label.
    pub fn label(&self) -> Label {
        self.failure.label
    }

    /// Its hop.
    pub fn hop(&self) -> Hop {
        self.failure.label.hop()
    }
}

/// The machine and the request together.
pub(crate) struct Case<'a> {
    pub(crate) request: &'a Request,
    pub(crate) report: &'a Report,
    pub(crate) rules: &'a Rules,
}

impl Case<'_> {
    /// The version asked for, as written.
    pub(crate) fn version(&self) -> Option<String> {
        self.request.revision.as_ref().map(ToString::to_string)
    }
}
