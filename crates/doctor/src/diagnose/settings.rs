//! What settings and files have to do with the download: which findings keep it from working.

use fault::{Hop, Label, Rule, Severity, Subjects};
use goenv::report::Report;
use goenv::{Finding, lint, project};

use super::Verdict;
use super::found::Found;
use crate::probe::report::{Check, Failure, Probe};

/// What is to be seen by reading, the gravest first.
pub(super) fn findings(report: &Report) -> Vec<Finding> {
    let mut findings = lint::findings(report);
    findings.extend(project::findings(report));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// The causes that were read, as measurements beside the others.
pub(super) fn probes(verdict: &Verdict) -> Vec<Probe> {
    let read = verdict
        .causes
        .iter()
        .filter(|cause| !cause.findings.is_empty() || cause.hop() == Hop::Config);
    read.map(|cause| {
        let subject = cause.findings.first().map(subject);
        let target = subject.unwrap_or_else(|| cause.label().to_string());
        let check = match cause.hop() {
            Hop::Disk => Check::Disk,
            Hop::Project => Check::Requirement,
            _ => Check::Settings,
        };
        Probe::new(check, cause.hop(), target).failed(cause.failure.clone())
    })
    .collect()
}

/// The setting or the place that a finding is about.
fn subject(finding: &Finding) -> String {
    match (&finding.place, finding.settings.first()) {
        (_, Some(setting)) => setting.clone(),
        (Some(place), None) => place.to_string(),
        (None, None) => finding.rule.to_string(),
    }
}

/// What a finding has to do with the download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It fails because of it.
    Fatal,
    /// It works, but not because of this.
    Degrading,
    /// It is told beside the verdict.
    Aside,
}

/// A fault that was read is a cause unless the requests have shown that it is none.
pub(super) fn weight(finding: &Finding, found: &Found) -> Weight {
    if finding.severity != Severity::Fault {
        return Weight::Aside;
    }
    let is_answered = found
        .route
        .iter()
        .any(|step| step.is_reached && step.is_asked && step.failure.is_none());
    let asks_repository = found
        .route
        .iter()
        .any(|step| step.is_reached && step.entry == "direct");
    match finding.rule {
        // These only matter to whoever asks a repository.
        Rule::GitCaMissing
        | Rule::GitProxyMalformed
        | Rule::GitConfigBroken
        | Rule::GovcsInvalid
            if is_answered || !asks_repository =>
        {
            Weight::Aside
        }
        Rule::GosumdbInvalid if found.sumdb.is_none() => Weight::Aside,
        Rule::ProxyMalformed | Rule::ProxyScheme if is_answered => Weight::Degrading,
        Rule::GoproxyCleartextPassword | Rule::GoproxyFileMissing | Rule::NetrcUnreadable
            if is_answered =>
        {
            Weight::Aside
        }
        _ => Weight::Fatal,
    }
}

/// A finding in the form of what a probe meets.
pub(super) fn failure(finding: &Finding) -> Failure {
    let mut failure = Failure::new(finding.label(), finding.sentence(fault::Lang::En));
    if let Some(place) = &finding.place {
        failure = failure.because(place.to_string());
    }
    let fact = |name| finding.fact(name).map(str::to_owned);
    failure.subjects = Box::new(Subjects {
        module: fact("module"),
        version: fact("version"),
        host: fact("host"),
        path: finding
            .place
            .as_ref()
            .map(|place| place.path.to_string_lossy().into_owned()),
        ..Subjects::default()
    });
    failure
}

/// Whether a request that failed would have gone through an HTTP proxy, had its address stood where `go` looks.
pub(super) fn lacks_proxy(label: Label, findings: &[Finding]) -> bool {
    let is_network = matches!(label.hop(), Hop::Dns | Hop::Tcp) || label == Label::EnvNoNetwork;
    let overlooked = |finding: &Finding| {
        matches!(finding.rule, Rule::ProxyHttpOnly | Rule::ProxyAllOnly)
            && finding.severity.is_warning()
    };
    is_network && findings.iter().any(overlooked)
}
