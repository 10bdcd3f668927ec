//! The probes of one diagnosis, side by side.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fault::{Hop, Label};
use futures_util::future::join_all;
use goenv::GoEnv;
use goenv::goproxy::{Entry, Fallback, ProxyList, Target};
use goenv::gosumdb::SumdbSetting;
use gomod::ModuleVersion;
use tokio::time::timeout;
use url::Url;

use super::settings;
use super::verdict::judge;
use super::{Case, Diagnosis, Request, Step, Watcher};
use crate::probe::dns::View;
use crate::probe::fetch::proxy_for;
use crate::probe::goproxy::{EntryReport, probe_goproxy};
use crate::probe::report::{Check, Failure, Outcome, Probe, Reason};
use crate::probe::sumdb::Downloaded;
use crate::probe::{Ground, Net, local, sumdb, tcp, vcs};

/// The clock counts as wrong from so many seconds on: certificates, and so everything else, are judged by it.
const CLOCK_TOLERANCE: u64 = 300;

/// Diagnoses the download of one module. It never fails: what cannot be found out is said in the result.
pub async fn diagnose(ground: &Ground, request: &Request, watcher: &dyn Watcher) -> Diagnosis {
    let go_env = GoEnv::load(&ground.environment);
    let case = Case {
        ground,
        request,
        settings: &go_env,
    };
    let mut found = Found {
        hops: vec![local::machine()],
        faults: settings::faults(&case),
        risks: settings::ignored(&case),
        ..Found::default()
    };
    let chain = match settings::chain(&case) {
        Ok(chain) => chain,
        Err(failure) => {
            found.faults.push(failure);
            ProxyList {
                entries: Vec::new(),
                unreachable: Vec::new(),
            }
        }
    };
    let database = settings::sumdb(&case).unwrap_or_else(|failure| {
        found.faults.push(failure);
        None
    });
    for failure in &found.faults {
        found.hops.push(
            Probe::new(Check::Settings, Hop::Config, failure.label.as_str())
                .failed(failure.clone()),
        );
    }
    if !chain.entries.is_empty() {
        let net = Net::new(ground, request.limits);
        ask(&net, &case, &chain, database.as_ref(), &mut found, watcher).await;
    }
    found.hops.sort_by_key(|probe| (probe.check, probe.hop));
    let verdict = judge(&mut found);
    Diagnosis {
        module: request.module.clone(),
        hops: found.hops,
        route: found.route,
        verdict,
        settings: go_env,
    }
}

/// What the probes brought.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) hops: Vec<Probe>,
    /// Settings that keep everything from working.
    pub(crate) faults: Vec<Failure>,
    pub(crate) route: Vec<Step>,
    pub(crate) sumdb: Option<Failure>,
    /// Things that work, but not as they should.
    pub(crate) risks: Vec<Failure>,
    /// Offsets of the servers' clocks in seconds.
    pub(crate) clocks: Vec<i64>,
}

/// What became of one entry.
struct Asked {
    probes: Vec<Probe>,
    failure: Option<Failure>,
    report: Option<EntryReport>,
}

async fn ask(
    net: &Net,
    case: &Case<'_>,
    chain: &ProxyList,
    database: Option<&SumdbSetting>,
    found: &mut Found,
    watcher: &dyn Watcher,
) {
    let servers = chain
        .entries
        .iter()
        .filter(|entry| matches!(entry.target, Target::Url(_)));
    let entries = join_all(servers.map(|entry| async move {
        let asked = ask_entry(net, case, entry).await;
        asked.probes.iter().for_each(|probe| watcher.ended(probe));
        asked
    }));
    let base = async {
        match database {
            Some(setting) => sumdb::base(net, setting, &chain.entries).await,
            None => (Vec::new(), None),
        }
    };
    let survey = survey(net, chain);
    let (mut entries, (relay_probes, base), survey) = tokio::join!(entries, base, survey);
    if let Some(last) = chain.entries.get(entries.len())
        && !is_answered(&route(chain, &entries))
    {
        entries.push(ask_entry(net, case, last).await);
    }
    found.hops.extend(relay_probes);
    let downloaded = entries.iter().find_map(|asked| {
        asked
            .report
            .as_ref()
            .filter(|report| report.failure.is_none())
    });
    if let Some(setting) = database {
        found.sumdb = check_sum(net, case, setting, base, downloaded, &mut found.hops).await;
    }
    found.clocks.extend(
        entries
            .iter()
            .filter_map(|asked| asked.report.as_ref()?.clock_offset),
    );
    found.route = route(chain, &entries);
    for asked in entries {
        found.hops.extend(asked.probes);
    }
    for probe in &survey.probes {
        watcher.ended(probe);
    }
    found.hops.extend(survey.probes);
    found.risks.extend(survey.risks);
    repeat(net, case, chain, found).await;
    clock(found);
}

/// Asks one entry. The repository itself is asked only when `go` would get as far.
async fn ask_entry(net: &Net, case: &Case<'_>, entry: &Entry) -> Asked {
    match &entry.target {
        Target::Url(url) => {
            let report = probe_goproxy(
                net,
                url,
                &case.request.module,
                case.request.revision.as_ref(),
            )
            .await;
            Asked {
                probes: report.probes.clone(),
                failure: report.failure.clone(),
                report: Some(report),
            }
        }
        Target::Direct => ask_repository(net, case).await,
        Target::Off => Asked {
            probes: Vec::new(),
            failure: Some(Failure::new(
                Label::CfgGoproxyOff,
                "module lookup disabled by GOPROXY=off",
            )),
            report: None,
        },
    }
}

async fn ask_repository(net: &Net, case: &Case<'_>) -> Asked {
    if let Ok((probes, failure)) = timeout(net.left(), vcs::probe(net, &case.request.module)).await
    {
        return Asked {
            probes,
            failure,
            report: None,
        };
    }
    let probe = Probe::new(Check::Repository, Hop::Vcs, case.request.module.to_string());
    Asked {
        probes: vec![probe.ended(Outcome::Skipped(Reason::OutOfTime))],
        failure: Some(Failure::new(Label::TcpTimeout, "no answer in time")),
        report: None,
    }
}

/// Whether `go` stops before the end of what was asked: it has the module, or an error it does not pass over.
fn is_answered(steps: &[Step]) -> bool {
    steps.iter().any(|step| {
        step.failure
            .as_ref()
            .is_none_or(|failure| !step.falls_through && !failure.is_absence())
    })
}

/// The way `go` takes: on after absence, and behind a bar after anything.
fn route(chain: &ProxyList, entries: &[Asked]) -> Vec<Step> {
    let mut is_reached = true;
    let mut steps = Vec::new();
    for (entry, asked) in chain.entries.iter().zip(entries) {
        let falls_through = entry.fallback == Fallback::OnAny;
        steps.push(Step {
            entry: match &entry.target {
                Target::Url(url) => url.to_string(),
                Target::Direct => "direct".to_owned(),
                Target::Off => "off".to_owned(),
            },
            is_reached,
            falls_through,
            failure: asked.failure.clone(),
        });
        is_reached = is_reached
            && asked
                .failure
                .as_ref()
                .is_some_and(|failure| falls_through || failure.is_absence());
    }
    steps
}

async fn check_sum(
    net: &Net,
    case: &Case<'_>,
    setting: &SumdbSetting,
    base: Option<Result<sumdb::Base, Failure>>,
    downloaded: Option<&EntryReport>,
    hops: &mut Vec<Probe>,
) -> Option<Failure> {
    let base = match base? {
        Ok(base) => base,
        Err(failure) => return Some(failure),
    };
    let version = downloaded.and_then(|report| report.version.clone());
    let version = version.or_else(|| {
        case.request
            .revision
            .as_ref()
            .and_then(gomod::Revision::canonical)
    });
    let module =
        version.and_then(|version| ModuleVersion::new(case.request.module.clone(), version).ok());
    let Some(module) = module else {
        hops.push(
            Probe::new(Check::SumdbLookup, Hop::Sumdb, base.url.to_string())
                .ended(Outcome::Skipped(Reason::Blocked)),
        );
        return None;
    };
    let hashes = Downloaded {
        go_mod: downloaded.and_then(|report| report.go_mod),
        zip: downloaded.and_then(|report| report.zip),
    };
    let probe = sumdb::look_up(net, setting, &base, &module, hashes).await;
    let failure = probe.failure().cloned();
    hops.push(if base.is_relayed {
        probe.fact("via", "GOPROXY")
    } else {
        probe
    });
    failure
}

/// What is seen of the hosts beside the requests themselves.
#[derive(Default)]
struct Survey {
    probes: Vec<Probe>,
    risks: Vec<Failure>,
}

async fn survey(net: &Net, chain: &ProxyList) -> Survey {
    let urls = chain
        .urls()
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
    let looks = join_all(hosts.iter().map(|(host, port)| look_at(net, host, *port))).await;
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
async fn look_at(net: &Net, host: &str, port: u16) -> (Vec<Probe>, Vec<Failure>) {
    let looked = net.resolver.look_up(host).await;
    let mut probes: Vec<Probe> = looked.views.iter().map(|view| view.probe(host)).collect();
    let mut risks = Vec::new();
    if let Some(place) = &looked.hosts_entry {
        probes.push(Probe::new(Check::Resolver, Hop::Dns, host).fact("hosts-file", place.clone()));
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
async fn repeat(net: &Net, case: &Case<'_>, chain: &ProxyList, found: &mut Found) {
    let times = case.request.repeat.saturating_sub(1);
    let Some(url) = chain.urls().next().filter(|_| times > 0) else {
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
fn clock(found: &mut Found) {
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
