//! What the probes come to.

use fault::Label;

use super::Cause;
use super::found::Found;
use super::settings::{self, Weight, lacks_proxy, weight};
use super::sweep::Requirement;
use crate::probe::dns::public::is_google_host;
use crate::probe::local::has_no_network;
use crate::probe::report::{Check, Failure, Outcome};

/// How a download would end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It succeeds, and nothing is in its way.
    Healthy,
    /// It succeeds, but something on the way is broken.
    Degraded,
    /// It fails.
    Broken,
}

impl Health {
    /// The name used in machine output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Broken => "broken",
        }
    }
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How a download would end.
    pub health: Health,
    /// What is wrong, the one that explains the rest first.
    pub causes: Vec<Cause>,
    /// The entry of the chain that would answer.
    pub answered_by: Option<String>,
}

impl Verdict {
    /// Modules of the project that cannot be had keep it from being built, whatever the module that was looked at.
    pub(super) fn add_requirements(&mut self, requirements: &[Requirement]) {
        let mut new: Vec<Cause> = Vec::new();
        for requirement in requirements {
            let Some(failure) = requirement.failure() else {
                continue;
            };
            self.health = Health::Broken;
            let line = format!("{}: {}", requirement.module, failure.label);
            let known = self
                .causes
                .iter_mut()
                .chain(&mut new)
                .find(|cause| cause.label() == failure.label);
            match known {
                Some(cause) => {
                    cause.is_fatal = true;
                    cause.failure.evidence.push(line);
                }
                None => new.push(Cause {
                    failure: failure.clone().because(line),
                    is_fatal: true,
                    findings: Vec::new(),
                    chain: None,
                    proxy: None,
                }),
            }
        }
        self.causes.extend(new);
        self.causes.sort_by_key(|cause| !cause.is_fatal);
    }
}

/// Takes the way `go` would take.
pub(crate) fn judge(found: &mut Found) -> Verdict {
    let mut fatal: Vec<Failure> = found.refusal.take().into_iter().collect();
    let answered = found
        .route
        .iter()
        .find(|step| step.is_reached && step.is_asked && step.failure.is_none());
    let answered_by = answered.map(|step| step.entry.clone());
    if answered_by.is_none() && !found.route.is_empty() {
        fatal.extend(decisive(found));
    }
    // Without a download there is nothing to check, and whatever keeps the module away often keeps the database away.
    if answered_by.is_some() || found.route.is_empty() {
        fatal.extend(found.sumdb.take());
    }
    let mut risks = std::mem::take(&mut found.risks);
    if answered_by.is_some() {
        // An entry that fails in front of the one that answers: every request waits for it.
        let passed = found
            .route
            .iter()
            .filter(|step| step.is_reached && step.falls_through);
        risks.extend(
            passed
                .filter_map(|step| step.failure.clone())
                .filter(|failure| !failure.is_absence()),
        );
    }
    if let Some(skew) = risks
        .iter()
        .find(|risk| risk.label == Label::TlsClockSkew)
        .cloned()
    {
        for failure in fatal
            .iter_mut()
            .filter(|failure| failure.label == Label::TlsCertExpired)
        {
            *failure = std::mem::replace(failure, skew.clone()).relabelled(Label::TlsClockSkew);
        }
    }
    let mut fatal: Vec<Failure> = fatal
        .into_iter()
        .map(|failure| closer(failure, found))
        .collect();
    for finding in &found.findings {
        match weight(finding, found) {
            Weight::Fatal => fatal.push(settings::failure(finding)),
            Weight::Degrading => risks.push(settings::failure(finding)),
            Weight::Aside => {}
        }
    }
    let health = if !fatal.is_empty() {
        Health::Broken
    } else if !risks.is_empty() {
        Health::Degraded
    } else {
        Health::Healthy
    };
    Verdict {
        health,
        causes: ordered(fatal, risks, &found.findings),
        answered_by,
    }
}

/// The failure that `go` would report: that of the direct way before that of a server, a server's trouble before its
/// absence (modfetch/proxy.go, `TryProxies`). For a diagnosis the trouble of an earlier server comes first all the
/// same, since with it repaired the later entries are not asked.
fn decisive(found: &Found) -> Option<Failure> {
    let reached: Vec<&Failure> = found
        .route
        .iter()
        .filter(|step| step.is_reached)
        .filter_map(|step| step.failure.as_ref())
        .collect();
    let trouble = reached.iter().find(|failure| !failure.is_absence());
    trouble
        .or_else(|| reached.last())
        .map(|failure| (*failure).clone())
}

/// What more is known of a failure than the exchange itself could tell.
fn closer(failure: Failure, found: &Found) -> Failure {
    let mut failure = relabelled(failure, found);
    let hop = failure.label.hop();
    let stopped = found.stopped.iter().filter(|one| one.hop == hop);
    failure.evidence.extend(stopped.map(|one| one.line.clone()));
    failure
}

fn relabelled(failure: Failure, found: &Found) -> Failure {
    if let Some(explained) = found.auto_configs.explain(&failure) {
        return explained;
    }
    if lacks_proxy(failure.label, &found.findings) {
        return failure.relabelled(Label::HttpproxyHttpsUnset);
    }
    match failure.label {
        Label::DnsTimeout | Label::DnsServfail | Label::TcpNoRoute | Label::DnsIpv6Resolver
            if nothing_leaves(found) && has_no_network() =>
        {
            failure
                .relabelled(Label::EnvNoNetwork)
                .because("no network interface but the loopback is up")
        }
        Label::TcpTimeout | Label::TcpReset | Label::TlsHandshakeTimeout | Label::TcpRefused
            if failure.subjects.host.as_deref().is_some_and(is_google_host)
                && others_answer(found) =>
        {
            failure
                .relabelled(Label::TcpBlockedRegion)
                .because("other hosts answer from here")
        }
        _ => failure,
    }
}

/// No connection to anywhere came about.
fn nothing_leaves(found: &Found) -> bool {
    !found.hops.iter().any(|probe| {
        matches!(probe.check, Check::Address | Check::Resolver) && probe.outcome == Outcome::Fine
    })
}

fn others_answer(found: &Found) -> bool {
    found.hops.iter().any(|probe| {
        let host = probe.target.split(' ').next().unwrap_or_default();
        probe.check == Check::Address && probe.outcome == Outcome::Fine && !is_google_host(host)
    })
}

/// Fatal ones in the order of the request path, then the others; each label once, with what was read about it.
fn ordered(
    mut fatal: Vec<Failure>,
    mut risks: Vec<Failure>,
    findings: &[goenv::Finding],
) -> Vec<Cause> {
    fatal.sort_by_key(|failure| failure.label.hop());
    risks.sort_by_key(|failure| failure.label.hop());
    let mut causes: Vec<Cause> = Vec::new();
    let all = fatal
        .into_iter()
        .map(|failure| (failure, true))
        .chain(risks.into_iter().map(|failure| (failure, false)));
    for (failure, is_fatal) in all {
        if let Some(same) = causes
            .iter_mut()
            .find(|cause| cause.label() == failure.label)
        {
            let more = failure.evidence.into_iter();
            let new: Vec<String> = more
                .filter(|line| !same.failure.evidence.contains(line))
                .collect();
            same.failure.evidence.extend(new);
            continue;
        }
        let read = findings
            .iter()
            .filter(|finding| finding.severity.is_warning() && finding.label() == failure.label);
        causes.push(Cause {
            findings: read.cloned().collect(),
            failure,
            is_fatal,
            chain: None,
            proxy: None,
        });
    }
    causes
}
