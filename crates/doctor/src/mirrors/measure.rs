//! The measurements proper: files fetched whole and held against each other, then a small request repeated.

use std::time::Duration;

use futures_util::future::join_all;
use gomod::{ModuleVersion, Revision, Version};
use modzip::H1;

use super::Mirror;
use super::candidates::Candidate;
use super::sample::Sample;
use super::survey::{Known, Tally, get};
use crate::diagnose::Watcher;
use crate::probe::Net;
use crate::probe::goproxy::{EntryReport, probe_goproxy};
use crate::probe::report::{Check, Failure, Phases};

/// Bodies below this say nothing about throughput.
const TELLING: usize = 32 << 10;

/// One sample, fetched from one mirror.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    pub(crate) module: ModuleVersion,
    pub(crate) go_mod: Option<H1>,
    pub(crate) zip: Option<H1>,
    pub(crate) failure: Option<Failure>,
    /// Bytes of the zip that were read, and how long that took.
    pub(crate) transfer: Option<(usize, Duration)>,
}

/// The version to fetch: the one asked for, else the newest that every mirror lists which lists any.
pub(crate) fn version(sample: &Sample, known: &[&Known]) -> Option<Version> {
    if sample.version.is_some() {
        return sample.version.clone();
    }
    let lists: Vec<&Vec<Version>> = known
        .iter()
        .filter_map(|known| known.listed.as_ref())
        .filter(|listed| !listed.is_empty())
        .collect();
    let common = lists
        .first()?
        .iter()
        .filter(|version| lists.iter().all(|list| list.contains(version)));
    let common: Vec<&Version> = common.collect();
    let releases = common
        .iter()
        .filter(|version| !version.is_prerelease() && !version.is_incompatible());
    releases
        .max()
        .or_else(|| common.iter().max())
        .map(|version| (*version).clone())
}

/// Fetches one sample from one mirror: list, info, go.mod and zip, as `go` does.
pub(crate) async fn fetch(
    net: &Net,
    candidate: &Candidate,
    module: &ModuleVersion,
    watcher: &dyn Watcher,
    tally: &mut Tally,
) -> Option<Fetch> {
    let revision = Revision::new(module.version().as_str()).ok()?;
    let report = probe_goproxy(net, &candidate.url, module.path(), Some(&revision)).await;
    for probe in &report.probes {
        watcher.ended(probe);
    }
    for probe in report
        .probes
        .iter()
        .filter(|probe| probe.phases != Phases::default())
    {
        tally.add(probe.failure());
    }
    Some(Fetch {
        module: module.clone(),
        go_mod: report.go_mod,
        zip: report.zip,
        transfer: transfer(&report),
        failure: report.failure,
    })
}

fn transfer(report: &EntryReport) -> Option<(usize, Duration)> {
    let zip = report
        .probes
        .iter()
        .find(|probe| probe.check == Check::Zip && probe.failure().is_none())?;
    let (_, bytes) = zip.facts.iter().find(|(name, _)| *name == "bytes")?;
    Some((bytes.parse().ok()?, zip.phases.transfer?))
}

/// Bytes in a second over all transfers that are big enough; `None` if none was.
pub(crate) fn throughput(fetches: &[Fetch]) -> Option<u64> {
    let telling = fetches
        .iter()
        .filter_map(|fetch| fetch.transfer)
        .filter(|(bytes, _)| *bytes >= TELLING);
    let (bytes, time) = telling.fold((0_u64, Duration::ZERO), |(bytes, time), (more, took)| {
        (bytes.saturating_add(more as u64), time + took)
    });
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    (bytes > 0).then(|| bytes.saturating_mul(1_000_000) / micros)
}

/// The times of the repeated request: with a new connection each, and what of it the server took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    pub(crate) whole: Vec<Duration>,
    pub(crate) served: Vec<Duration>,
}

/// Asks each mirror for the same small file, `rounds` times, all mirrors in each round side by side.
pub(crate) async fn repeat(
    net: &Net,
    mirrors: &mut [Mirror],
    module: &ModuleVersion,
    rounds: usize,
) {
    let path = format!("@v/{}.info", module.version().escaped());
    for _ in 0..rounds {
        if net.left().is_zero() {
            return;
        }
        let asked = join_all(mirrors.iter().map(|mirror| async {
            if !mirror.is_up() {
                return None;
            }
            Some(get(net, &mirror.candidate, module.path(), &path).await)
        }))
        .await;
        if net.left().is_zero() {
            // What the end of the run cut off says nothing about the mirrors.
            return;
        }
        for (mirror, asked) in mirrors.iter_mut().zip(asked) {
            let Some(asked) = asked else { continue };
            mirror.tally.add(asked.result.as_ref().err());
            if asked.result.is_ok() {
                let phases = asked.phases;
                mirror.times.whole.push(phases.total());
                let served = [phases.first_byte, phases.transfer]
                    .into_iter()
                    .flatten()
                    .sum();
                mirror.times.served.push(served);
            }
        }
    }
}
