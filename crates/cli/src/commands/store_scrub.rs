//! `modkeep store scrub`, and what the server does of it by itself.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use depot::{
    Depot, ScrubFinding, ScrubObserver, ScrubOptions, ScrubOutcome, ScrubReport, ScrubSchedule,
};
use goenv::Environment;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;
use store::{FileKey, ScrubState, Scrubber, Store};
use tokio::task::JoinHandle;

use super::attached::{interrupted, runtime};
use super::chain::{self, Unobserved};
use super::{CannotDo, Status, load, repositories};
use crate::args::{Format, ScrubArguments};
use crate::config::parse_rate;
use crate::output;

/// How often it is written down how far a pass has come.
const NOTED: Duration = Duration::from_secs(1);
/// How long fetches may go on that somebody else began.
const LAST_FETCHES: Duration = Duration::from_secs(5);

/// The passes a server makes by itself. They end with this.
#[derive(Debug, Default)]
pub(super) struct RegularScrub {
    schedule: Option<ScrubSchedule>,
    task: Option<JoinHandle<()>>,
}

impl RegularScrub {
    /// Keeps to another schedule from now on. A pass under way goes on where it is.
    pub(super) fn follow(&mut self, depot: &Depot, schedule: Option<ScrubSchedule>) {
        if self.schedule == schedule {
            return;
        }
        self.stop();
        self.schedule = schedule;
        self.task = schedule.map(|schedule| {
            let depot = depot.clone();
            tokio::spawn(async move { depot.scrub_regularly(schedule).await })
        });
    }

    /// Makes no more passes.
    pub(super) fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Scrubs a store beside the server that may use it.
pub(super) fn run(
    environment: &Environment,
    arguments: &ScrubArguments,
) -> Result<Status, CannotDo> {
    let (_, effective) = load(environment, &arguments.settings)?;
    let rate = match &arguments.rate {
        Some(rate) => {
            parse_rate(rate).map_err(|reason| CannotDo::new(format!("--rate: {reason}")))?
        }
        None => effective.scrub_rate,
    };
    let _provider_was_set = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let store = Store::attach(&effective.data)
        .map_err(|error| CannotDo::new(format!("{error}; name the store with --data")))?;
    let chain = chain::open(&effective, environment, Arc::new(Unobserved))?;
    let settings = repositories::depot_settings(&effective, environment)?;
    let found = runtime()?.block_on(async {
        let depot = Depot::new(store, chain, settings);
        let interrupted = interrupted();
        let pass = Pass::new(&depot, arguments).await;
        let options = ScrubOptions {
            rate,
            after: pass.state().after.clone(),
        };
        let done = tokio::select! {
            done = depot.scrub(&options, &pass) => Some(done.map_err(CannotDo::new)),
            () = interrupted => None,
        };
        let result = match done {
            Some(Ok(report)) => pass.finish(&report),
            Some(Err(error)) => Err(error),
            None => Err(pass.break_off()),
        };
        depot.close(LAST_FETCHES).await;
        result
    })?;
    Ok(if found {
        Status::Findings
    } else {
        Status::Done
    })
}

/// A pass that somebody watches.
struct Pass<'a> {
    store: &'a Store,
    format: Format,
    /// On a terminal.
    bar: ProgressBar,
    progress: Mutex<Progress>,
}

struct Progress {
    state: ScrubState,
    noted: Instant,
    findings: Vec<ScrubFinding>,
}

impl<'a> Pass<'a> {
    async fn new(depot: &'a Depot, arguments: &ScrubArguments) -> Self {
        let store: &Store = depot.store();
        let kept = store.scrub_state(Scrubber::Command);
        let kept = kept.filter(|_| !arguments.restart);
        let state = kept.unwrap_or(ScrubState {
            after: None,
            since: Timestamp::now(),
        });
        if let Some(after) = &state.after {
            output::note(format!("going on behind {after}"));
        }
        let pass = Self {
            store,
            format: arguments.format,
            bar: ProgressBar::hidden(),
            progress: Mutex::new(Progress {
                state,
                noted: Instant::now(),
                findings: Vec::new(),
            }),
        };
        if std::io::stderr().is_terminal() {
            // How much there is to come behind the middle is not known without looking.
            let totals = depot.records().totals().await;
            let whole = totals.ok().filter(|_| pass.state().after.is_none());
            pass.show(whole.map(|totals| totals.bytes));
        }
        pass
    }

    fn show(&self, whole: Option<u64>) {
        let template = match whole {
            Some(bytes) => {
                self.bar.set_length(bytes);
                "{bar:30} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} to go  {msg}"
            }
            None => "{spinner} {bytes}, {binary_bytes_per_sec}  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }

    fn state(&self) -> ScrubState {
        self.lock().state.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, state: &ScrubState) {
        if let Err(error) = self.store.keep_scrub_state(Scrubber::Command, state) {
            self.bar.suspend(|| {
                output::note(format!(
                    "modkeep: {error}; after an interruption the pass begins anew"
                ));
            });
        }
    }

    /// Says what was found. True if something was.
    fn finish(&self, report: &ScrubReport) -> Result<bool, CannotDo> {
        self.bar.finish_and_clear();
        self.note(&ScrubState {
            after: None,
            since: Timestamp::now(),
        });
        let findings = std::mem::take(&mut self.lock().findings);
        output::result(match self.format {
            Format::Json => to_json(report, &findings)?,
            Format::Human => format!(
                "{} ({} bytes) read: {} damaged, of which {} were replaced and {} are in quarantine; {} could not be read",
                output::counted(report.files, "file"),
                report.bytes,
                report.damaged,
                report.healed,
                report.quarantined,
                report.unreadable
            ),
        });
        Ok(!findings.is_empty())
    }

    fn break_off(&self) -> CannotDo {
        self.bar.finish_and_clear();
        let state = self.state();
        self.note(&state);
        CannotDo::new(match &state.after {
            Some(after) => {
                format!(
                    "interrupted; the same command goes on behind {after}, --restart begins anew"
                )
            }
            None => "interrupted before the first file was read".to_owned(),
        })
    }
}

impl ScrubObserver for Pass<'_> {
    fn passed(&self, key: &FileKey, so_far: &ScrubReport) {
        self.bar.set_position(so_far.bytes);
        if so_far.damaged > 0 {
            self.bar.set_message(format!("{} damaged", so_far.damaged));
        }
        let mut progress = self.lock();
        progress.state.after = Some(key.url_path());
        if progress.noted.elapsed() >= NOTED {
            progress.noted = Instant::now();
            self.note(&progress.state);
        }
    }

    fn found(&self, finding: &ScrubFinding) {
        if self.format == Format::Human {
            self.bar.suspend(|| output::result(words(finding)));
        }
        self.lock().findings.push(finding.clone());
    }
}

fn words(finding: &ScrubFinding) -> String {
    let ScrubFinding {
        key,
        detail,
        outcome,
    } = finding;
    let became = match outcome {
        ScrubOutcome::Healed {
            source: Some(source),
        } => format!("replaced by a sound one from {source}"),
        ScrubOutcome::Healed { source: None } => "replaced by a sound one".to_owned(),
        ScrubOutcome::Quarantined { id, why_not } => {
            format!("in quarantine as {id}; no sound one could be had: {why_not}")
        }
        ScrubOutcome::Unreadable => "it stays where it is".to_owned(),
    };
    format!("{key}: {detail}: {became}")
}

#[derive(Serialize)]
struct Shown<'a> {
    files: u64,
    bytes: u64,
    damaged: u64,
    healed: u64,
    quarantined: u64,
    unreadable: u64,
    findings: Vec<ShownFinding<'a>>,
}

#[derive(Serialize)]
struct ShownFinding<'a> {
    module: &'a str,
    version: &'a str,
    file: store::FileKind,
    detail: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a store::Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<&'a store::QuarantineId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<&'a str>,
}

impl<'a> From<&'a ScrubFinding> for ShownFinding<'a> {
    fn from(finding: &'a ScrubFinding) -> Self {
        let (outcome, source, quarantine, why_not) = match &finding.outcome {
            ScrubOutcome::Healed { source } => ("healed", source.as_ref(), None, None),
            ScrubOutcome::Quarantined { id, why_not } => {
                ("quarantined", None, Some(id), Some(why_not.as_str()))
            }
            ScrubOutcome::Unreadable => ("unreadable", None, None, None),
        };
        Self {
            module: finding.key.module.as_str(),
            version: finding.key.version.as_str(),
            file: finding.key.kind,
            detail: &finding.detail,
            outcome,
            source,
            quarantine,
            why_not,
        }
    }
}

fn to_json(report: &ScrubReport, findings: &[ScrubFinding]) -> Result<String, CannotDo> {
    let shown = Shown {
        files: report.files,
        bytes: report.bytes,
        damaged: report.damaged,
        healed: report.healed,
        quarantined: report.quarantined,
        unreadable: report.unreadable,
        findings: findings.iter().map(ShownFinding::from).collect(),
    };
    serde_json::to_string_pretty(&shown).map_err(CannotDo::new)
}
