//! What happens with one hop left out: a server without the HTTP proxy, the repository without a server. It changes no
//! verdict; it tells on which side of the hop the fault is.

use fault::{Hop, Lang};
use goenv::goproxy::Target;
use goenv::trace::{Standing, Trace};
use tokio::time::timeout;

use super::words::word;
use super::{Case, Step};
use crate::probe::connect::proxy_for;
use crate::probe::dns::public::is_public_domain;
use crate::probe::goproxy::probe_goproxy;
use crate::probe::report::{Check, Failure, Probe};
use crate::probe::{Ground, Limits, Net, vcs};

/// Nothing is tried with less of the time left than this part.
const LEAST: f64 = 0.15;

/// Tries it when nothing has answered; what comes of it becomes evidence of the steps concerned.
pub(super) async fn bypass(
    ground: &Ground,
    net: &Net,
    case: &Case<'_>,
    trace: &Trace,
    route: &mut [Step],
) -> Vec<Probe> {
    let is_answered = |step: &Step| step.is_reached && step.is_asked && step.failure.is_none();
    let total = case.request.limits.total;
    let left = net.left();
    if route.iter().any(is_answered) || left < total.mul_f64(LEAST) {
        return Vec::new();
    }
    let mut straight = Net::new(ground, Limits::within(left));
    straight.bypass_proxy = true;
    let mut probes = Vec::new();
    let mut has_failed_server = false;
    for step in &trace.steps {
        let (Target::Url(url), Some(place), Standing::Asked(_)) =
            (&step.target, step.entry, step.standing)
        else {
            continue;
        };
        let Some(reached) = route.iter_mut().find(|one| one.place == Some(place)) else {
            continue;
        };
        let Some(failure) = reached
            .failure
            .as_mut()
            .filter(|failure| !failure.is_absence())
        else {
            continue;
        };
        has_failed_server = true;
        if matches!(proxy_for(net, url.as_url()), Ok(Some(_))) {
            let request = case.request;
            let report =
                probe_goproxy(&straight, url, &request.module, request.revision.as_ref()).await;
            probes.push(told(url.to_string(), "no-proxy", report.failure, failure));
        }
    }
    let host = case
        .request
        .module
        .as_str()
        .split('/')
        .next()
        .unwrap_or_default();
    let is_direct_asked = route
        .iter()
        .any(|step| step.entry == "direct" && step.is_asked);
    // Private names go to nobody that go would not ask.
    if has_failed_server && !is_direct_asked && is_public_domain(host) {
        let asked = timeout(net.left(), vcs::probe(net, &case.request.module)).await;
        let reached = route
            .iter_mut()
            .find_map(|step| step.failure.as_mut().filter(|one| !one.is_absence()));
        if let (Ok((_, other)), Some(failure)) = (asked, reached) {
            probes.push(told("direct".to_owned(), "direct", other, failure));
        }
    }
    probes
}

/// The probe, and a line of evidence for the failure.
fn told(target: String, key: &str, other: Option<Failure>, failure: &mut Failure) -> Probe {
    // Evidence is in the words of the tools, which speak English.
    let words = word(Lang::En, "bypass", key);
    let probe = Probe::new(Check::Bypass, Hop::Goproxy, target);
    match other {
        None => {
            let line = word(Lang::En, "bypass", "answers").replace("{}", words);
            failure.evidence.push(line);
            probe
        }
        Some(other) => {
            let line = word(Lang::En, "bypass", "fails").replace("{}", words);
            failure.evidence.push(format!("{line} {}", other.label));
            probe.failed(other)
        }
    }
}
