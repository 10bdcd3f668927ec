//! A trace for people: as a tree, and as a flow chart.

use std::fmt::Write as _;

use fault::{Lang, Phrase};

use super::{Credential, Ending, Outcome, Skip, Standing, Step, SumdbReason, SumdbWay, Trace};
use crate::goproxy::{Fallback, Target};
use crate::http_proxy::Route;
use crate::redact::redact_text;

pub(super) fn tree(trace: &Trace, lang: Lang) -> String {
    let mut out = title(trace);
    out.push('\n');
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for step in &trace.steps {
        // For a module that GONOPROXY does not match, this step is no step.
        if step.standing != Standing::Skipped(Skip::NotPrivate) {
            lines.push((step_line(step, trace, lang), details(step, trace, lang)));
        }
    }
    lines.push((ending_line(trace, lang), Vec::new()));
    lines.push((sumdb_line(trace, lang), Vec::new()));
    let last = lines.len().saturating_sub(1);
    for (at, (line, below)) in lines.into_iter().enumerate() {
        let (branch, stem) = if at == last {
            ("└─", "  ")
        } else {
            ("├─", "│ ")
        };
        let _ = writeln!(out, "{branch} {line}");
        for detail in below {
            let _ = writeln!(out, "{stem}   {detail}");
        }
    }
    out
}

pub(super) fn mermaid(trace: &Trace, lang: Lang) -> String {
    let mut out = String::from("flowchart TD\n");
    let _ = writeln!(out, "  start[\"{}\"]", label(&title(trace)));
    let mut before = "start".to_owned();
    let mut links = Vec::new();
    for (at, step) in trace.steps.iter().enumerate() {
        if step.standing == Standing::Skipped(Skip::NotPrivate) {
            continue;
        }
        let node = format!("s{at}");
        let text = format!("{}<br/>{}", target(step), standing(step, trace, lang));
        let _ = writeln!(out, "  {node}[\"{}\"]", label(&text));
        let taken = matches!(
            step.standing,
            Standing::Asked(_) | Standing::Next | Standing::Skipped(_)
        );
        links.push((before, node.clone(), taken));
        before = node;
    }
    let _ = writeln!(out, "  finish([\"{}\"])", label(&ending_line(trace, lang)));
    let from = match trace.ending {
        Ending::Answered(at) | Ending::Stopped(at) | Ending::Open(at) => format!("s{at}"),
        _ => before,
    };
    links.push((from, "finish".to_owned(), true));
    for (from, to, taken) in links {
        let arrow = if taken { "==>" } else { "-.->" };
        let _ = writeln!(out, "  {from} {arrow} {to}");
    }
    let _ = writeln!(out, "  sumdb[\"{}\"]", label(&sumdb_line(trace, lang)));
    out.push_str("  finish --- sumdb\n");
    out
}

fn title(trace: &Trace) -> String {
    match &trace.version {
        Some(version) => format!("{}@{version}", trace.module),
        None => trace.module.to_string(),
    }
}

/// What may stand between the quotes of a Mermaid label.
fn label(text: &str) -> String {
    text.replace('"', "#quot;").replace('|', "#124;")
}

fn target(step: &Step) -> String {
    match &step.target {
        Target::Direct => "direct".to_owned(),
        // An empty path says nothing.
        other => other.to_string().trim_end_matches('/').to_owned(),
    }
}

fn step_line(step: &Step, trace: &Trace, lang: Lang) -> String {
    format!("{}: {}", target(step), standing(step, trace, lang))
}

fn standing(step: &Step, trace: &Trace, lang: Lang) -> String {
    let glob = trace.private_glob.as_deref().unwrap_or_default();
    match (step.standing, step.fallback) {
        (Standing::Asked(Outcome::Ok), _) => Phrase::AskedOk.text(lang).to_owned(),
        (Standing::Asked(Outcome::Absent), _) => Phrase::AskedAbsent.text(lang).to_owned(),
        (Standing::Asked(Outcome::Failed), Fallback::OnAny) => {
            Phrase::AskedFailedOn.text(lang).to_owned()
        }
        (Standing::Asked(Outcome::Failed), Fallback::OnAbsent) => {
            Phrase::AskedFailedStop.text(lang).to_owned()
        }
        (Standing::Next, Fallback::OnAny) => Phrase::NextAny.text(lang).to_owned(),
        (Standing::Next, Fallback::OnAbsent) => Phrase::NextAbsent.text(lang).to_owned(),
        (Standing::Maybe, _) => Phrase::Maybe.text(lang).to_owned(),
        (Standing::Skipped(Skip::NoProxy), _) => Phrase::SkippedNoProxy.with(lang, glob),
        (Standing::Skipped(Skip::NotPrivate), _) => String::new(),
        (Standing::Skipped(Skip::Off), _) => Phrase::SkippedOff.text(lang).to_owned(),
        (Standing::NotReached, _) => Phrase::NotReached.text(lang).to_owned(),
    }
}

fn details(step: &Step, trace: &Trace, lang: Lang) -> Vec<String> {
    if !matches!(step.standing, Standing::Asked(_) | Standing::Next) {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let (route, credential) = match step.target {
        Target::Direct => {
            let access = &trace.access;
            if let Some(page) = &access.discovery {
                lines.push(Phrase::Discovery.with(lang, page));
            }
            if let Some(repository) = access.rewritten.as_ref().or(access.repository.as_ref()) {
                lines.push(Phrase::Repository.with(lang, &redact_text(repository)));
            }
            match &access.git_allowed {
                Ok(true) => {}
                Ok(false) => lines.push(Phrase::GitForbidden.text(lang).to_owned()),
                Err(reason) => lines.push(reason.clone()),
            }
            if access.is_insecure {
                lines.push(Phrase::Insecure.text(lang).to_owned());
            }
            (&access.route, &access.credential)
        }
        _ => (&step.route, &step.credential),
    };
    match route {
        Some(Ok(Route::Proxy(proxy))) => {
            lines.push(Phrase::ThroughProxy.with(lang, &format!("{proxy} ({})", proxy.origin())));
        }
        Some(Err(reason)) => lines.push(reason.clone()),
        _ => {}
    }
    match credential {
        Some(Credential::Netrc { machine, .. }) => {
            lines.push(Phrase::CredentialNetrc.with(lang, machine));
        }
        Some(Credential::InUrl) => lines.push(Phrase::CredentialUrl.text(lang).to_owned()),
        Some(Credential::GoauthCommand(command)) => {
            lines.push(Phrase::CredentialCommand.with(lang, command));
        }
        None => {}
    }
    lines
}

fn ending_line(trace: &Trace, lang: Lang) -> String {
    let name = |at: usize| trace.steps.get(at).map(target).unwrap_or_default();
    match &trace.ending {
        Ending::Answered(at) => Phrase::EndAnswered.with(lang, &name(*at)),
        Ending::Stopped(at) => Phrase::EndStopped.with(lang, &name(*at)),
        Ending::Exhausted(at) => Phrase::EndExhausted.with(lang, &name(*at)),
        Ending::Open(at) => Phrase::EndOpen.with(lang, &name(*at)),
        Ending::Refused(reason) => Phrase::EndRefused.with(lang, reason),
        Ending::VendorMode => Phrase::EndVendor.text(lang).to_owned(),
        Ending::GopathMode => Phrase::EndGopath.text(lang).to_owned(),
    }
}

fn sumdb_line(trace: &Trace, lang: Lang) -> String {
    let name = |entry: usize| {
        let step = trace.steps.iter().find(|step| step.entry == Some(entry));
        step.map(target).unwrap_or_default()
    };
    match &trace.sumdb {
        SumdbWay::NotAsked(SumdbReason::Off) => Phrase::SumdbOff.text(lang).to_owned(),
        SumdbWay::NotAsked(SumdbReason::NoSumdb(glob)) => Phrase::SumdbNoSumdb.with(lang, glob),
        SumdbWay::NotAsked(SumdbReason::ToolchainFromFile) => {
            Phrase::SumdbFile.text(lang).to_owned()
        }
        SumdbWay::Refused(reason) => Phrase::SumdbRefused.with(lang, reason),
        SumdbWay::OwnUrl(url) | SumdbWay::Direct(url) => Phrase::SumdbDirect.with(lang, url),
        SumdbWay::Through(entry) => Phrase::SumdbThrough.with(lang, &name(*entry)),
        SumdbWay::Unavailable(entry) => Phrase::SumdbUnavailable.with(lang, &name(*entry)),
        SumdbWay::Open(entry) => Phrase::SumdbOpen.with(lang, &name(*entry)),
    }
}
