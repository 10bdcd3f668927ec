//! The way through GOPROXY: asking the entries, and what `go` makes of the answers.

use std::collections::BTreeMap;

use fault::{Hop, Label};
use futures_util::future::join_all;
use goenv::goproxy::{Fallback, ProxyList, Target};
use goenv::redact::RedactedUrl;
use goenv::trace::{Ending, Outcome as Told, Outcomes, Skip, Standing, Trace};
use tokio::time::timeout;

use super::{Case, Watcher};
use crate::probe::goproxy::{EntryReport, probe_goproxy};
use crate::probe::report::{Check, Failure, Outcome, Probe, Reason};
use crate::probe::{Net, vcs};

/// One entry of the chain, as `go` would meet it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The entry, without secrets: a URL, `direct` or `off`.
    pub entry: String,
    /// Its place in GOPROXY, from 0; none for the step that GONOPROXY puts before the list.
    pub place: Option<usize>,
    /// Whether `go` gets as far as this.
    pub is_reached: bool,
    /// Whether any failure leads on to the next one, not just absence.
    pub falls_through: bool,
    /// Whether it was asked: servers are even when `go` does not get that far.
    pub is_asked: bool,
    /// Why it did not answer; `None` when it did, or was not asked.
    pub failure: Option<Failure>,
}

/// What became of one entry.
pub(super) struct Asked {
    pub(super) probes: Vec<Probe>,
    pub(super) failure: Option<Failure>,
    pub(super) report: Option<EntryReport>,
}

/// The entries that were asked, by their place among the steps of the trace.
#[derive(Default)]
pub(super) struct Way {
    pub(super) asked: BTreeMap<usize, Asked>,
    pub(super) outcomes: Outcomes,
}

impl Way {
    /// Asks all servers for the module, side by side.
    pub(super) async fn ask_servers(
        &mut self,
        net: &Net,
        case: &Case<'_>,
        open: &Trace,
        watcher: &dyn Watcher,
    ) {
        let servers = open.steps.iter().enumerate().filter_map(|(at, step)| {
            let skipped = matches!(step.standing, Standing::Skipped(_));
            match &step.target {
                Target::Url(url) if !skipped => Some((at, step.entry, url)),
                _ => None,
            }
        });
        let asked = join_all(servers.map(|(at, entry, url)| async move {
            let asked = ask_server(net, case, url).await;
            asked.probes.iter().for_each(|probe| watcher.ended(probe));
            (at, entry, asked)
        }))
        .await;
        for (at, entry, asked) in asked {
            if let Some(entry) = entry {
                self.note(asked.failure.as_ref(), |outcomes, told| {
                    outcomes.server(entry, told)
                });
            }
            self.asked.insert(at, asked);
        }
    }

    /// Asks the repository, if `go` gets as far.
    pub(super) async fn ask_repository(
        &mut self,
        net: &Net,
        case: &Case<'_>,
        watcher: &dyn Watcher,
    ) {
        let trace = self.trace(case);
        let Ending::Open(at) = trace.ending else {
            return;
        };
        if trace.steps.get(at).map(|step| &step.target) != Some(&Target::Direct) {
            return;
        }
        let asked = ask_repository(net, case).await;
        asked.probes.iter().for_each(|probe| watcher.ended(probe));
        self.note(asked.failure.as_ref(), Outcomes::direct);
        self.asked.insert(at, asked);
    }

    fn note(&mut self, failure: Option<&Failure>, put: impl FnOnce(Outcomes, Told) -> Outcomes) {
        let told = match failure {
            None => Told::Ok,
            Some(failure) if failure.is_absence() => Told::Absent,
            Some(_) => Told::Failed,
        };
        self.outcomes = put(std::mem::take(&mut self.outcomes), told);
    }

    /// The way, with what is known by now.
    pub(super) fn trace(&self, case: &Case<'_>) -> Trace {
        let version = case.version();
        case.rules
            .trace(&case.request.module, version.as_deref(), &self.outcomes)
    }

    /// What became of each entry that counts for this module.
    pub(super) fn steps(&self, trace: &Trace) -> Vec<Step> {
        let mut is_over = false;
        let mut steps = Vec::new();
        for (at, step) in trace.steps.iter().enumerate() {
            let passed = matches!(
                step.standing,
                Standing::Skipped(Skip::NotPrivate | Skip::NoProxy)
            );
            let asked = self.asked.get(&at);
            if !passed {
                let failure = match step.standing {
                    Standing::Skipped(Skip::Off) => Some(off()),
                    _ => asked.and_then(|asked| asked.failure.clone()),
                };
                steps.push(Step {
                    entry: match &step.target {
                        Target::Url(url) => url.to_string(),
                        Target::Direct => "direct".to_owned(),
                        Target::Off => "off".to_owned(),
                    },
                    place: step.entry,
                    is_reached: !is_over && step.standing != Standing::NotReached,
                    falls_through: step.fallback == Fallback::OnAny,
                    is_asked: asked.is_some(),
                    failure,
                });
            }
            is_over = is_over
                || matches!(trace.ending, Ending::Answered(end) | Ending::Stopped(end) if end == at);
        }
        steps
    }

    /// What a server sent, if one had it all.
    pub(super) fn downloaded(&self) -> Option<&EntryReport> {
        let reports = self
            .asked
            .values()
            .filter_map(|asked| asked.report.as_ref());
        reports.into_iter().find(|report| report.failure.is_none())
    }
}

async fn ask_server(net: &Net, case: &Case<'_>, url: &RedactedUrl) -> Asked {
    let request = case.request;
    let report = probe_goproxy(net, url, &request.module, request.revision.as_ref()).await;
    Asked {
        probes: report.probes.clone(),
        failure: report.failure.clone(),
        report: Some(report),
    }
}

async fn ask_repository(net: &Net, case: &Case<'_>) -> Asked {
    let module = &case.request.module;
    if let Ok((probes, failure)) = timeout(net.left(), vcs::probe(net, module)).await {
        return Asked {
            probes,
            failure,
            report: None,
        };
    }
    let probe = Probe::new(Check::Repository, Hop::Vcs, module.to_string());
    Asked {
        probes: vec![probe.ended(Outcome::Skipped(Reason::OutOfTime))],
        failure: Some(Failure::new(Label::TcpTimeout, "no answer in time")),
        report: None,
    }
}

/// Why `go` asks nobody at all, if it does not.
pub(super) fn refusal(case: &Case<'_>, open: &Trace) -> Option<Failure> {
    let setting = |key| case.report.go.get(key).to_string();
    match &open.ending {
        Ending::Refused(reason) => {
            let value = case.report.go.value(goenv::Key::GOPROXY);
            let label = match ProxyList::parse(value) {
                Err(goenv::Error::GoproxyEmpty) => Label::CfgGoproxyEmpty,
                _ => Label::CfgGoproxySyntax,
            };
            Some(Failure::new(label, reason).because(setting(goenv::Key::GOPROXY)))
        }
        Ending::VendorMode => Some(
            Failure::new(
                Label::CfgGoflagsMod,
                "cannot query module due to -mod=vendor",
            )
            .because(setting(goenv::Key::GOFLAGS)),
        ),
        Ending::GopathMode => Some(
            Failure::new(Label::CfgGopathMode, "GOPATH mode: GOPROXY is ignored")
                .because(setting(goenv::Key::GO111MODULE)),
        ),
        Ending::Exhausted(_) if open.asked().next().is_none() => {
            Some(off().because(setting(goenv::Key::GOPROXY)))
        }
        _ => None,
    }
}

fn off() -> Failure {
    Failure::new(
        Label::CfgGoproxyOff,
        "module lookup disabled by GOPROXY=off",
    )
}
