//! From probes to one verdict: the first broken hop that explains the rest.
//!
//! [`diagnose`] runs the probes that a download of one module would need, side by side and within a time, then takes
//! the way `go` would take through the answers ([`Step`]). What is broken on that way is the verdict; what failed
//! elsewhere is a symptom or does not matter.

mod json;
mod remedy;
mod run;
mod settings;
mod text;
mod trace;
mod verdict;

use fault::{Hop, Label};
use goenv::GoEnv;
use gomod::{ModulePath, Revision};

use crate::probe::report::{Failure, Probe};
use crate::probe::{Ground, Limits};

pub use remedy::{Remedy, Shell};
pub use run::diagnose;
pub use text::{Layout, words_are_complete};
pub use trace::TraceForm;
pub use verdict::{Health, Verdict};

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
}

/// Everything that was found out.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The module that was asked for.
    pub module: ModulePath,
    /// The settings `go` would use.
    pub settings: GoEnv,
    /// The measurements, in the order of the request path.
    pub hops: Vec<Probe>,
    /// What became of each entry of the chain, in the order `go` asks them.
    pub route: Vec<Step>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// One entry of the chain, as `go` would meet it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The entry, without secrets: a URL, `direct` or `off`.
    pub entry: String,
    /// Whether `go` gets as far as this.
    pub is_reached: bool,
    /// Whether any failure leads on to the next one, not just absence.
    pub falls_through: bool,
    /// Why it did not answer; `None` when it did, or was not asked.
    pub failure: Option<Failure>,
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
pub struct Finding {
    /// The cause.
    pub failure: Failure,
    /// True when `go` fails because of it, false when it only makes things slower or less safe.
    pub is_fatal: bool,
}

impl Finding {
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
    pub(crate) ground: &'a Ground,
    pub(crate) request: &'a Request,
    pub(crate) settings: &'a GoEnv,
}
