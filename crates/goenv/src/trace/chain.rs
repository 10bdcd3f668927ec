//! The walk along GOPROXY (modfetch: `proxyList`, `TryProxies`, `lookup`).

use gomod::ModulePath;

use super::{Outcome, Outcomes, Rules};
use crate::goproxy::{Entry, Fallback, Target};
use crate::http_proxy::Route;
use crate::redact::RedactedUrl;

/// One entry on the way.
#[derive(Clone, Debug)]
pub struct Step {
    /// The place of the entry in GOPROXY, from 0. None for the step that go puts before the list
    /// when GONOPROXY is set.
    pub entry: Option<usize>,
    /// Where to ask.
    pub target: Target,
    /// Which failure leads on.
    pub fallback: Fallback,
    /// What becomes of it.
    pub standing: Standing,
    /// How requests to a server travel; the error says why none can.
    pub route: Option<Result<Route, String>>,
    /// Where credentials for a server come from.
    pub credential: Option<super::Credential>,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is asked, and this comes of it.
    Asked(Outcome),
    /// It is asked; what comes of it is not known.
    Next,
    /// It may be asked, depending on what comes of the entries before it.
    Maybe,
    /// go passes over it as if it did not have the module.
    Skipped(Skip),
    /// go stops before it.
    NotReached,
}

/// Why go passes over an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// GONOPROXY matches the module, and this is a proxy.
    NoProxy,
    /// GONOPROXY does not match the module, and this is the step for those it matches.
    NotPrivate,
    /// The entry is `off`.
    Off,
}

/// How the walk ends. Steps are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This step has the module.
    Answered(usize),
    /// This step fails, and go does not go on.
    Stopped(usize),
    /// Nobody has it. go reports what this step said.
    Exhausted(usize),
    /// What comes of this step is not known.
    Open(usize),
    /// go refuses GOPROXY, in these words.
    Refused(String),
    /// go looks nothing up: `-mod=vendor` in GOFLAGS.
    VendorMode,
    /// go ignores GOPROXY: GO111MODULE is off.
    GopathMode,
}

/// How helpful go finds an error; the most helpful one is reported.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NotExist,
    Proxy,
    Direct,
}

pub(super) fn walk(rules: &Rules, module: &ModulePath, outcomes: &Outcomes) -> (Vec<Step>, Ending) {
    if rules.is_gopath_mode {
        return (Vec::new(), Ending::GopathMode);
    }
    if rules.is_vendor_mode {
        return (Vec::new(), Ending::VendorMode);
    }
    let list = match &rules.list {
        Ok(list) => list,
        Err(reason) => return (Vec::new(), Ending::Refused(reason.clone())),
    };
    let before = (!rules.no_proxy.is_empty() && rules.goproxy != "direct").then(|| {
        let entry = Entry {
            target: Target::Direct,
            fallback: Fallback::OnAbsent,
        };
        (None, entry)
    });
    let entries = list.entries.iter().cloned().enumerate();
    let entries = entries.map(|(at, entry)| (Some(at), entry));
    let mut walk = Walk {
        rules,
        is_private: rules.no_proxy.matches(module),
        outcomes,
        steps: Vec::new(),
        ending: None,
        is_open: false,
        reported: (Rank::NotExist, 0),
    };
    for (at, entry) in before.into_iter().chain(entries) {
        walk.step(at, entry);
    }
    let ending = walk.ending.unwrap_or(Ending::Exhausted(walk.reported.1));
    (walk.steps, ending)
}

struct Walk<'a> {
    rules: &'a Rules,
    is_private: bool,
    outcomes: &'a Outcomes,
    steps: Vec<Step>,
    ending: Option<Ending>,
    is_open: bool,
    reported: (Rank, usize),
}

impl Walk<'_> {
    fn step(&mut self, at: Option<usize>, entry: Entry) {
        let here = self.steps.len();
        let skip = self.skip(at, &entry.target);
        let standing = match (&self.ending, skip) {
            (Some(_), _) if !self.is_open => Standing::NotReached,
            (_, Some(skip)) => Standing::Skipped(skip),
            _ if self.is_open => Standing::Maybe,
            _ => match self.outcome(at, &entry.target) {
                Some(outcome) => Standing::Asked(outcome),
                None => Standing::Next,
            },
        };
        match standing {
            Standing::Asked(outcome) => self.came_to(here, &entry, outcome),
            Standing::Next => {
                self.ending = Some(Ending::Open(here));
                self.is_open = true;
            }
            _ => {}
        }
        let (route, credential) = match &entry.target {
            Target::Url(url) => (self.route(url), self.rules.credential(url.as_url())),
            Target::Direct | Target::Off => (None, None),
        };
        self.steps.push(Step {
            entry: at,
            target: entry.target,
            fallback: entry.fallback,
            standing,
            route,
            credential,
        });
    }

    fn skip(&self, at: Option<usize>, target: &Target) -> Option<Skip> {
        match target {
            Target::Direct if at.is_none() && !self.is_private => Some(Skip::NotPrivate),
            Target::Direct => None,
            _ if self.is_private => Some(Skip::NoProxy),
            Target::Off => Some(Skip::Off),
            Target::Url(_) => None,
        }
    }

    fn outcome(&self, at: Option<usize>, target: &Target) -> Option<Outcome> {
        match (target, at) {
            (Target::Url(_), Some(at)) => self.outcomes.of_server(at),
            _ => self.outcomes.direct,
        }
    }

    fn came_to(&mut self, here: usize, entry: &Entry, outcome: Outcome) {
        if outcome == Outcome::Ok {
            self.ending = Some(Ending::Answered(here));
            return;
        }
        let is_direct = entry.target == Target::Direct;
        let rank = match outcome {
            _ if is_direct => Rank::Direct,
            Outcome::Absent => Rank::NotExist,
            _ => Rank::Proxy,
        };
        // Among equals go reports the last one.
        if rank >= self.reported.0 {
            self.reported = (rank, here);
        }
        if outcome == Outcome::Failed && entry.fallback == Fallback::OnAbsent {
            self.ending = Some(Ending::Stopped(here));
        }
    }

    fn route(&self, url: &RedactedUrl) -> Option<Result<Route, String>> {
        (url.as_url().scheme() != "file").then(|| {
            self.rules
                .http
                .route(url.as_url())
                .map_err(|e| e.to_string())
        })
    }
}
