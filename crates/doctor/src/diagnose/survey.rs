//! What is seen of the hosts beside the requests themselves: resolvers, addresses, loss, clocks.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fault::{Hop, Label};
use futures_util::future::join_all;
use goenv::goproxy::Target;
use goenv::redact::RedactedUrl;
use goenv::trace::{Standing, Trace};
use url::Url;

use super::Case;
use super::found::Found;
use crate::probe::connect::proxy_for;
use crate::probe::dns::View;
use crate::probe::dns::others::compare;
use crate::probe::goproxy::probe_goproxy;
use crate::probe::report::{Check, Failure, Probe};
use crate::probe::{Net, Other, tcp};

/// The clock counts as wrong from so many seconds on: certificates, and so everything else, are judged by it.
const CLOCK_TOLERANCE: u64 = 300;

/// The servers that may be asked for the module.
fn servers(open: &Trace) -> impl Iterator<Item = &RedactedUrl> {
    open.steps.iter().filter_map(|step| match &step.target {
        Target::Url(url) if !matches!(step.standing, Standing::Skipped(_)) => Some(url),
        _ => None,
    })
}

/// What is seen of the hosts beside the requests themselves.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) probes: Vec<Probe>,
    pub(super) risks: Vec<Failure>,
}

pub(super) async fn survey(net: &Net, open: &Trace, others: &[Other]) -> Survey {
    let urls = servers(open)
        .map(|url| url.as_url().clone())
        .filter(|url| url.scheme() != "file");
    let mut hosts: BTreeSet<(String, u16)> = BTreeSet::new();
    for url in urls {
        // Behind an HTTP proxy it is the proxy that resolves and connects.
        let target = match proxy_for(net, &url) {
            Ok(None) => Some(url),
            Ok(Some(proxy)) => Some(proxy.as_url().clone()),
            Err(_) => None,
        };
        hosts.extend(target.as_ref().and_then(host_and_port));
    }
    let mut survey = Survey::default();
    let looks = join_all(
        hosts
            .iter()
            .map(|(host, port)| look_at(net, host, *port, others)),
    )
    .await;
    for (probes, risks) in looks {
        survey.probes.extend(probes);
        survey.risks.extend(risks);
    }
    survey
}

fn host_and_port(url: &Url) -> Option<(String, u16)> {
    let port = url.port_or_known_default().unwrap_or(1080);
    Some((url.host_str()?.trim_matches(['[', ']']).to_owned(), port))
}

/// Every resolver's answer for a host, and every address of it.
async fn look_at(net: &Net, host: &str, port: u16, others: &[Other]) -> (Vec<Probe>, Vec<Failure>) {
    let looked = net.resolver.look_up(host).await;
    let mut probes: Vec<Probe> = looked.views.iter().map(|view| view.probe(host)).collect();
    let mut risks = Vec::new();
    if let Some(place) = &looked.hosts_entry {
        probes.push(Probe::new(Check::Resolver, Hop::Dns, host).fact("hosts-file", place.clone()));
    }
    if !others.is_empty() {
        let (told, suspicion) = compare(net, others, host, &looked).await;
        probes.extend(told);
        risks.extend(suspicion);
    }
    if looked.result.is_ok() {
        let first_usable = looked
            .views
            .iter()
            .position(View::is_usable)
            .unwrap_or_default();
        // Go asks the resolvers one after the other: each that is silent costs seconds for every name.
        for probe in probes.iter().take(first_usable) {
            risks.extend(probe.failure().cloned());
        }
    }
    let addresses = looked.result.clone().unwrap_or_default();
    let limit = net.limits.connect.min(net.left());
    let attempts = join_all(
        addresses
            .iter()
            .take(8)
            .map(|ip| tcp::try_address(SocketAddr::new(*ip, port), limit)),
    )
    .await;
    let v4_works = attempts
        .iter()
        .any(|attempt| attempt.address.is_ipv4() && attempt.error.is_none());
    for attempt in attempts.iter().filter(|attempt| !attempt.has_no_family()) {
        let probe = attempt.probe(host);
        if let Some(failure) = probe.failure()
            && attempt.address.is_ipv6()
            && v4_works
        {
            let mut failure = failure.clone().relabelled(Label::TcpIpv6Broken);
            failure.subjects.host = Some(host.to_owned());
            failure.subjects.address = Some(attempt.address.to_string());
            risks.push(failure.clone());
            probes.push(probe.failed(failure));
        } else {
            probes.push(probe);
        }
    }
    (probes, risks)
}

/// The same small request several times, to tell loss now and then from an outage.
pub(super) async fn repeat(net: &Net, case: &Case<'_>, open: &Trace, found: &mut Found) {
    let times = case.request.repeat.saturating_sub(1);
    let Some(url) = servers(open).next().filter(|_| times > 0) else {
        return;
    };
    let mut failures = Vec::new();
    let mut made = 0;
    for _ in 0..times {
        if net.left().is_zero() {
            break;
        }
        made += 1;
        let report = probe_goproxy(
            net,
            url,
            &case.request.module,
            case.request.revision.as_ref(),
        )
        .await;
        failures.extend(report.failure.filter(|failure| !failure.is_absence()));
    }
    let probe = Probe::new(Check::Repeat, Hop::Goproxy, url.to_string())
        .fact("failures", format!("{}/{made}", failures.len()));
    match failures.into_iter().next() {
        Some(failure) => {
            found.risks.push(failure.clone());
            found.hops.push(probe.failed(failure));
        }
        None => found.hops.push(probe),
    }
}

/// Servers that agree among themselves that it is another time than here.
pub(super) fn clock(found: &mut Found) {
    let Some(offset) = found
        .clocks
        .iter()
        .copied()
        .min_by_key(|offset| offset.unsigned_abs())
    else {
        return;
    };
    let probe = Probe::new(Check::Clock, Hop::Tls, "Date").fact("offset", format!("{offset} s"));
    if offset.unsigned_abs() <= CLOCK_TOLERANCE {
        found.hops.push(probe);
        return;
    }
    let failure = Failure::new(
        Label::TlsClockSkew,
        format!("the servers' clocks are {offset} s ahead of the one of this machine"),
    );
    found.risks.push(failure.clone());
    found.hops.push(probe.failed(failure));
}
