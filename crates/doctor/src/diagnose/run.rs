//! The course of one diagnosis.

use std::sync::Arc;
use std::time::Instant;

use fault::{Hop, Label};
use goenv::Key;
use goenv::goproxy::{Entry, ProxyList};
use goenv::gosumdb::SumdbSetting;
use goenv::report::{Machine, Report};
use goenv::trace::SumdbWay;
use gomod::{ModuleVersion, Revision};

use super::auto_config;
use super::bypass::bypass;
use super::found::Found;
use super::survey::{clock, repeat, survey};
use super::sweep::{Requirement, State, cache_damage, sweep};
use super::verdict::judge;
use super::way::{Way, refusal};
use super::{Breadth, Case, Diagnosis, Request, Watcher, remedy, settings};
use crate::probe::report::{Check, Failure, Outcome, Probe, Reason};
use crate::probe::sumdb::{Downloaded, Relay};
use crate::probe::{Ground, Limits, Net, firewall, local, sumdb};

/// How much of the time goes to asking for the modules of a project.
const SWEEP_SHARE: f64 = 0.45;

/// Diagnoses the download of one module. It never fails: what cannot be found out is said in the result.
pub async fn diagnose(ground: &Ground, request: &Request, watcher: &dyn Watcher) -> Diagnosis {
    let report = Arc::new(collect(ground, request.limits).await);
    let findings = match request.breadth {
        Breadth::Everything => settings::findings(&report),
        Breadth::Requests => Vec::new(),
    };
    Box::pin(examine(ground, request, report, findings, watcher)).await
}

/// Diagnoses the project that the ground's directory lies in: asks for every module that it requires, looks at what the
/// module cache has of them, then diagnoses the download of the first that fails; `request` says which module when none
/// does.
pub async fn diagnose_project(
    ground: &Ground,
    request: &Request,
    watcher: &dyn Watcher,
) -> Diagnosis {
    let start = Instant::now();
    let total = request.limits.total;
    let report = Arc::new(collect(ground, request.limits).await);
    let mut findings = settings::findings(&report);
    let of_cache = Arc::clone(&report);
    let damage = tokio::task::spawn_blocking(move || cache_damage(&of_cache, total));
    let net = Net::new(ground, Limits::within(total.mul_f64(SWEEP_SHARE)));
    let requirements = Box::pin(sweep(&net, &report, &report.rules(), watcher)).await;
    findings.extend(damage.await.unwrap_or_default());
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let failed = requirements.iter().find(|one| one.failure().is_some());
    let had = || {
        let answered = |one: &&Requirement| matches!(one.state, State::Answered(_));
        requirements.iter().find(answered)
    };
    let mut request = Request {
        limits: Limits::within(total.saturating_sub(start.elapsed())),
        ..request.clone()
    };
    if let Some(one) = failed.or_else(had) {
        request.module = one.module.path().clone();
        request.revision = Revision::new(one.module.version().as_str()).ok();
    }
    let mut diagnosis = Box::pin(examine(ground, &request, report, findings, watcher)).await;
    diagnosis.hops.extend(
        requirements
            .iter()
            .filter(|one| one.failure().is_some())
            .map(Requirement::probe),
    );
    diagnosis.verdict.add_requirements(&requirements);
    diagnosis.requirements = requirements;
    diagnosis
}

async fn examine(
    ground: &Ground,
    request: &Request,
    report: Arc<Report>,
    findings: Vec<goenv::Finding>,
    watcher: &dyn Watcher,
) -> Diagnosis {
    let net = Net::new(ground, request.limits);
    let rules = report.rules();
    let case = Case {
        request,
        report: &report,
        rules: &rules,
    };
    let mut found = Found {
        hops: vec![local::machine(&ground.root)],
        findings,
        ..Found::default()
    };
    let mut way = Way::default();
    let open = way.trace(&case);
    found.refusal = refusal(&case, &open);
    if found.refusal.is_none() {
        let look = auto_config::look(ground, &net, &case, &open);
        let (auto_configs, ()) =
            tokio::join!(look, ask(&net, &case, &mut way, &mut found, watcher));
        found.auto_configs = auto_configs;
        found.hops.append(&mut found.auto_configs.probes);
        let trace = way.trace(&case);
        let tried = bypass(ground, &net, &case, &trace, &mut found.route).await;
        found.hops.extend(tried);
    }
    let trace = way.trace(&case);
    for asked in std::mem::take(&mut way.asked).into_values() {
        found.hops.extend(asked.probes);
    }
    found.stopped = firewall::look(&ground.root, &found.hops).await;
    let mut verdict = judge(&mut found);
    found.hops.extend(settings::probes(&verdict));
    found.hops.sort_by_key(|probe| (probe.check, probe.hop));
    if let Some(cause) = verdict.causes.first_mut()
        && request.breadth == Breadth::Everything
    {
        cause.chain = remedy::ChainFix::find(&case, &found.route);
        if cause.label() == Label::HttpproxyHttpsUnset {
            cause.proxy = found
                .auto_configs
                .fix(&cause.failure, &report.machine.environment);
        }
    }
    Diagnosis {
        module: request.module.clone(),
        findings: found.findings,
        hops: found.hops,
        route: found.route,
        trace,
        requirements: Vec::new(),
        verdict,
        report,
    }
}

/// Reads settings and files, beside the asynchronous work, since git is run for it.
async fn collect(ground: &Ground, limits: Limits) -> Report {
    let machine = Machine {
        environment: ground.environment.clone(),
        directory: ground.directory.clone(),
        root: ground.root.clone(),
        process: ground.process,
        patience: limits.total.mul_f64(0.2),
    };
    let other = machine.clone();
    match tokio::task::spawn_blocking(move || Report::collect(machine)).await {
        Ok(report) => report,
        Err(_) => Report::collect(other),
    }
}

async fn ask(net: &Net, case: &Case<'_>, way: &mut Way, found: &mut Found, watcher: &dyn Watcher) {
    let open = way.trace(case);
    let list = ProxyList::parse(case.report.go.value(Key::GOPROXY));
    let entries = list.map(|list| list.entries).unwrap_or_default();
    let database = database(case, &open.sumdb, found);
    let base = base(net, database.as_ref(), &entries);
    let survey = survey(net, &open, &case.request.others);
    let servers = way.ask_servers(net, case, &open, watcher);
    let ((), relay, survey) = tokio::join!(servers, base, survey);
    way.ask_repository(net, case, watcher).await;
    for (entry, told) in relay.told {
        way.outcomes = std::mem::take(&mut way.outcomes).sumdb(entry, told);
    }
    found.hops.extend(relay.probes);
    if let (Some(setting), Some(base)) = (&database, relay.base) {
        let place = Place { net, case, setting };
        found.sumdb = place.check(base, way, &mut found.hops).await;
    }
    let reports = way.asked.values().filter_map(|asked| asked.report.as_ref());
    found
        .clocks
        .extend(reports.filter_map(|report| report.clock_offset));
    found.route = way.steps(&way.trace(case));
    for probe in &survey.probes {
        watcher.ended(probe);
    }
    found.hops.extend(survey.probes);
    found.risks.extend(survey.risks);
    repeat(net, case, &open, found).await;
    clock(found);
}

/// The checksum database that is asked about the module; `None` when it is not checked.
fn database(case: &Case<'_>, way: &SumdbWay, found: &mut Found) -> Option<SumdbSetting> {
    match way {
        SumdbWay::NotAsked(_) => None,
        SumdbWay::Refused(reason) => {
            let setting = case.report.go.get(Key::GOSUMDB).to_string();
            found.sumdb = Some(Failure::new(Label::SumdbUnreachable, reason).because(setting));
            None
        }
        _ => SumdbSetting::parse(case.report.go.value(Key::GOSUMDB)).ok(),
    }
}

async fn base(net: &Net, setting: Option<&SumdbSetting>, entries: &[Entry]) -> Relay {
    match setting {
        Some(setting) => sumdb::base(net, setting, entries).await,
        None => Relay::default(),
    }
}

/// A look into the checksum database.
struct Place<'a> {
    net: &'a Net,
    case: &'a Case<'a>,
    setting: &'a SumdbSetting,
}

impl Place<'_> {
    async fn check(
        &self,
        base: Result<sumdb::Base, Failure>,
        way: &Way,
        hops: &mut Vec<Probe>,
    ) -> Option<Failure> {
        let base = match base {
            Ok(base) => base,
            Err(failure) => return Some(failure),
        };
        let downloaded = way.downloaded();
        let request = self.case.request;
        let asked_for = request.revision.as_ref().and_then(Revision::canonical);
        let version = downloaded
            .and_then(|report| report.version.clone())
            .or(asked_for);
        let module =
            version.and_then(|version| ModuleVersion::new(request.module.clone(), version).ok());
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
        let probe = sumdb::look_up(self.net, self.setting, &base, &module, hashes).await;
        let failure = probe.failure().cloned();
        hops.push(if base.is_relayed {
            probe.fact("via", "GOPROXY")
        } else {
            probe
        });
        failure
    }
}
