//! Where a module's repository is, and whether it answers: the way `direct` goes.

use std::process::Stdio;
use std::time::Duration;

use ::vcs::VersionControl;
use ::vcs::discovery::{Outline, outline_of_page, outline_of_path};
use fault::{Hop, Label, Lang};
use gomod::ModulePath;
use tokio::process::Command;
use tokio::time::{Instant, timeout};
use url::Url;

use super::Net;
use super::fetch::{Part, fetch};
use super::goproxy::described;
use super::report::{Check, Failure, Outcome, Phases, Probe, Reason};
use crate::explain::{Options, explain, redacted};

/// How much of a page is read, as in Go.
const LARGEST_PAGE: usize = 1 << 20;

/// Asks where the repository of `module` is, then the repository itself. The last element is the failure, if any.
pub(crate) async fn probe(net: &Net, module: &ModulePath) -> (Vec<Probe>, Option<Failure>) {
    let mut probes = Vec::new();
    let outline = match outline_of_path(module.as_str()) {
        Some(outline) => outline,
        None => match discover(net, module).await {
            (probe, Ok(outline)) => {
                probes.push(probe);
                outline
            }
            (probe, Err(failure)) => {
                probes.push(probe.failed(failure.clone()));
                return (probes, Some(failure));
            }
        },
    };
    let (probe, failure) = ask(net, module, &outline).await;
    probes.push(probe);
    (probes, failure)
}

async fn discover(net: &Net, module: &ModulePath) -> (Probe, Result<Outline, Failure>) {
    let address = format!("https://{module}?go-get=1");
    let Ok(url) = Url::parse(&address) else {
        let failure = Failure::new(Label::ModGoImportMissing, format!("{address}: not a URL"));
        return (
            Probe::new(Check::Discovery, Hop::Vcs, address),
            Err(failure),
        );
    };
    let fetched = fetch(net, &url, Part::Whole, LARGEST_PAGE).await;
    let probe = described(Check::Discovery, Hop::Vcs, &fetched);
    let shown = fetched.url.clone();
    let found = match fetched.result {
        Ok(answer) => {
            let page = String::from_utf8_lossy(&answer.body);
            outline_of_page(&page, module.as_str()).ok_or_else(|| {
                Failure::new(
                    Label::ModGoImportMissing,
                    format!("unrecognized import path \"{module}\": reading {shown}: {} and no go-import meta tags", answer.status),
                )
            })
        }
        Err(failure) if failure.label == Label::DnsNxdomain => {
            Err(failure.relabelled(Label::ModImportHostGone))
        }
        Err(failure) => Err(failure),
    };
    let found = found.map_err(|mut failure| {
        failure.subjects.module = Some(module.to_string());
        failure
    });
    (probe, found)
}

async fn ask(net: &Net, module: &ModulePath, outline: &Outline) -> (Probe, Option<Failure>) {
    let mut probe = Probe::new(Check::Repository, Hop::Vcs, outline.root.clone());
    if outline.system != VersionControl::Git {
        return (probe.ended(Outcome::Skipped(Reason::NoProgram)), None);
    }
    // As in Go the first address counts when none answers.
    let mut first = None;
    for address in &outline.addresses {
        let start = Instant::now();
        let result = ls_remote(net, address).await;
        probe = probe.took(Phases {
            first_byte: Some(start.elapsed()),
            ..Phases::default()
        });
        match result {
            Ok(()) => return (probe.fact("repository", address.clone()), None),
            Err(failure) => {
                first.get_or_insert(failure);
            }
        }
    }
    match first {
        Some(mut failure) => {
            failure.subjects.module = Some(module.to_string());
            (probe.failed(failure.clone()), Some(failure))
        }
        None => (probe, None),
    }
}

/// Asks a repository for its references, as `go` does: no prompt of any kind, and for ssh no question.
async fn ls_remote(net: &Net, address: &str) -> Result<(), Failure> {
    let Some(git) = net.environment.look_path("git") else {
        return Err(Failure::new(
            Label::VcsGitMissing,
            "exec: \"git\": executable file not found in $PATH",
        ));
    };
    let limit = net.left().min(net.limits.total.mul_f64(0.6));
    let mut command = Command::new(git);
    command
        .args(["ls-remote", "-q", "--end-of-options", address])
        .env_clear()
        .envs(
            net.environment
                .names()
                .filter_map(|name| Some((name, net.environment.get(name)?))),
        )
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "false")
        .env("SSH_ASKPASS", "false")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env("GCM_INTERACTIVE", "never")
        .env("LC_ALL", "C")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if net.environment.non_empty("GIT_SSH").is_none()
        && net.environment.non_empty("GIT_SSH_COMMAND").is_none()
    {
        command.env("GIT_SSH_COMMAND", ssh_command(limit));
    }
    let output = match timeout(limit, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(Failure::new(
                Label::VcsGitMissing,
                format!("exec: \"git\": {error}"),
            ));
        }
        Err(_) => {
            let label = if address.starts_with("http") {
                Label::TcpTimeout
            } else {
                Label::VcsSshBlocked
            };
            return Err(Failure::new(
                label,
                format!(
                    "git ls-remote {}: no answer in {:.0} s",
                    redacted(address),
                    limit.as_secs_f64()
                ),
            ));
        }
    };
    if output.status.success() {
        return Ok(());
    }
    Err(by_words(address, &String::from_utf8_lossy(&output.stderr)))
}

/// Go's own, with a limit for the connection.
fn ssh_command(limit: Duration) -> String {
    format!(
        "ssh -o ControlMaster=no -o BatchMode=yes -o ConnectTimeout={}",
        limit.as_secs().max(1)
    )
}

/// What git and ssh said, read as a pasted log is.
fn by_words(address: &str, words: &str) -> Failure {
    let log = format!(
        "go: git ls-remote -q {} in a module cache: exit status 128:\n\t{}",
        redacted(address),
        words.replace('\n', "\n\t")
    );
    let options = Options {
        lang: Lang::En,
        limit: 1,
    };
    let cause = explain(&log, &options).causes.into_iter().next();
    let mut failure = Failure::new(
        cause
            .as_ref()
            .map_or(Label::GitTransferBroken, |cause| cause.label),
        format!("git ls-remote {}:", redacted(address)),
    );
    failure.evidence.extend(
        words
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(6)
            .map(redacted),
    );
    if let Some(cause) = cause {
        failure.subjects = Box::new(cause.subjects);
    }
    failure
}
