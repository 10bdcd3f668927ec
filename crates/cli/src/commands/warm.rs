//! `modkeep warm`: what projects need, fetched ahead of time; and the same by the clock in `modkeep serve`.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use depot::Depot;
use goenv::Environment;
use goenv::goproxy::ProxyList;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prefetch::{Failed, Progress, Report, Source, Targets, warm};
use serde::Serialize;
use store::Store;
use upstream::{Chain, UpstreamStatus};

use super::attached::interrupted;
use super::chain::{self, Unobserved};
use super::{CannotDo, Status, load, repositories};
use crate::args::{Format, WarmArguments};
use crate::config::WarmSettings;
use crate::output::{self, counted};

/// How long the last files may take to reach the disk.
const LAST_WRITES: Duration = Duration::from_mins(1);

pub(super) fn run(
    environment: &Environment,
    arguments: &WarmArguments,
) -> Result<Status, CannotDo> {
    let targets = read_targets(&arguments.targets)?;
    let _provider_was_set = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CannotDo::new)?;
    let report = runtime.block_on(async {
        let source = open(environment, arguments)?;
        let interrupted = interrupted();
        let bar = bar();
        let tell = |progress| draw(&bar, progress);
        let done = tokio::select! {
            report = warm(&source, targets, arguments.jobs.get(), &tell) => Some(report),
            () = interrupted => None,
        };
        bar.finish_and_clear();
        match (&source, &done, &arguments.server) {
            (Source::Depot(depot), ..) => depot.close(LAST_WRITES).await,
            (Source::Server { all, cached }, Some(report), Some(server)) => {
                check_was_there(server, &[all, cached], report)?;
            }
            _ => {}
        }
        done.ok_or_else(|| {
            CannotDo::new(
                "interrupted; what was fetched is kept, and the same command fetches the rest",
            )
        })
    })?;
    output::result(match arguments.format {
        Format::Json => {
            serde_json::to_string_pretty(&Printed::from(&report)).map_err(CannotDo::new)?
        }
        Format::Human => render(&report),
    });
    Ok(if report.failed.is_empty() {
        Status::Done
    } else {
        Status::Findings
    })
}

/// A server that never gave an answer has not failed to fetch something: nobody was there to be asked.
fn check_was_there(server: &str, chains: &[&Chain], report: &Report) -> Result<(), CannotDo> {
    let status: Vec<UpstreamStatus> = chains.iter().flat_map(|chain| chain.status()).collect();
    let Some(failure) = status.iter().find_map(|status| status.failure.as_ref()) else {
        return Ok(());
    };
    let has_answered = status.iter().any(|status| status.average.is_some());
    if has_answered || report.failed.is_empty() {
        return Ok(());
    }
    Err(CannotDo::new(format!(
        "--server {server}: it does not answer ({failure}); start modkeep there, or leave --server out to warm a store of this machine"
    )))
}

fn read_targets(names: &[String]) -> Result<Targets, CannotDo> {
    let mut targets = Targets::default();
    let errors: Vec<String> = names
        .iter()
        .filter_map(|name| targets.add(name).err())
        .map(|error| error.to_string())
        .collect();
    if errors.is_empty() {
        Ok(targets)
    } else {
        Err(CannotDo(errors))
    }
}

fn open(environment: &Environment, arguments: &WarmArguments) -> Result<Source, CannotDo> {
    let (_, effective) = load(environment, &arguments.settings)?;
    if let Some(server) = &arguments.server {
        let base = server.trim_end_matches('/');
        let ask = |url: String| {
            let list = ProxyList::parse(&url)
                .map_err(|error| CannotDo::new(format!("--server: {error}")))?;
            chain::open_list(list, &effective, environment, Arc::new(Unobserved))
        };
        return Ok(Source::Server {
            all: ask(base.to_owned())?,
            cached: ask(format!("{base}/cached-only"))?,
        });
    }
    let store = Store::open(&effective.data).map_err(|error| {
        CannotDo::new(format!(
            "{error}; to warm the store of a running server, name it with --server"
        ))
    })?;
    let chain = chain::open(&effective, environment, Arc::new(Unobserved))?;
    let settings = repositories::depot_settings(&effective, environment)?;
    Ok(Source::Depot(Depot::new(store, chain, settings)))
}

/// Warms again and again, for as long as the server runs.
pub(super) async fn by_the_clock(depot: Depot, settings: WarmSettings) {
    let source = Source::Depot(depot);
    while !settings.targets.is_empty() {
        let names = settings.targets.clone();
        let read = tokio::task::spawn_blocking(move || read_targets(&names)).await;
        match read {
            Ok(Ok(targets)) => {
                let report = warm(&source, targets, settings.jobs, &|_| {}).await;
                for Failed { what, cause } in &report.failed {
                    tracing::warn!(what, cause, "could not be warmed");
                }
                tracing::info!(
                    fetched = report.fetched,
                    bytes = report.fetched_bytes,
                    already_there = report.already_there,
                    failed = report.failed.len(),
                    "the configured projects were warmed"
                );
            }
            Ok(Err(CannotDo(lines))) => {
                for line in lines {
                    tracing::error!(problem = line, "the configured projects cannot be warmed");
                }
            }
            Err(_) => tracing::error!("the configured projects cannot be read"),
        }
        tokio::time::sleep(settings.interval).await;
    }
}

#[derive(Serialize)]
struct Printed<'a> {
    fetched: usize,
    fetched_bytes: u64,
    already_there: usize,
    failed: Vec<PrintedFailure<'a>>,
}

#[derive(Serialize)]
struct PrintedFailure<'a> {
    what: &'a str,
    cause: &'a str,
}

impl<'a> From<&'a Report> for Printed<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            fetched: report.fetched,
            fetched_bytes: report.fetched_bytes,
            already_there: report.already_there,
            failed: report
                .failed
                .iter()
                .map(|Failed { what, cause }| PrintedFailure { what, cause })
                .collect(),
        }
    }
}

fn render(report: &Report) -> String {
    let mut lines: Vec<String> = report
        .failed
        .iter()
        .map(|Failed { what, cause }| format!("failed: {what}: {cause}"))
        .collect();
    lines.push(format!(
        "{} fetched ({}), {} already there, {} failed",
        counted(report.fetched, "file"),
        size(report.fetched_bytes),
        report.already_there,
        report.failed.len()
    ));
    lines.join("\n")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

/// How far it is, on the terminal; nothing where stderr is none.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} files  {msg}") {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.known as u64);
    bar.set_position(progress.done as u64);
    bar.set_message(size(progress.bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_what_failed_and_why() {
        let report = Report {
            fetched: 1,
            fetched_bytes: 2_000_000,
            already_there: 3,
            failed: vec![Failed {
                what: "example.com/m@v1.0.0.zip".to_owned(),
                cause: "not found".to_owned(),
            }],
        };
        assert_eq!(
            render(&report),
            "failed: example.com/m@v1.0.0.zip: not found\n1 file fetched (2.0 MB), 3 already there, 1 failed"
        );
    }
}
