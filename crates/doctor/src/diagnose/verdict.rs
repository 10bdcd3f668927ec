//! What the probes come to.

use fault::Label;

use super::Finding;
use super::run::Found;
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
    pub causes: Vec<Finding>,
    /// The entry of the chain that would answer.
    pub answered_by: Option<String>,
}

/// Takes the way `go` would take.
pub(crate) fn judge(found: &mut Found) -> Verdict {
    let mut fatal: Vec<Failure> = std::mem::take(&mut found.faults);
    let answered = found
        .route
        .iter()
        .find(|step| step.is_reached && step.failure.is_none());
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
    let fatal: Vec<Failure> = fatal
        .into_iter()
        .map(|failure| closer(failure, found))
        .collect();
    let health = if !fatal.is_empty() {
        Health::Broken
    } else if !risks.is_empty() {
        Health::Degraded
    } else {
        Health::Healthy
    };
    Verdict {
        health,
        causes: ordered(fatal, risks),
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

/// Fatal ones in the order of the request path, then the others; each label once.
fn ordered(mut fatal: Vec<Failure>, mut risks: Vec<Failure>) -> Vec<Finding> {
    fatal.sort_by_key(|failure| failure.label.hop());
    risks.sort_by_key(|failure| failure.label.hop());
    let mut causes: Vec<Finding> = Vec::new();
    let all = fatal
        .into_iter()
        .map(|failure| (failure, true))
        .chain(risks.into_iter().map(|failure| (failure, false)));
    for (failure, is_fatal) in all {
        if causes.iter().all(|cause| cause.label() != failure.label) {
            causes.push(Finding { failure, is_fatal });
        }
    }
    causes
}
