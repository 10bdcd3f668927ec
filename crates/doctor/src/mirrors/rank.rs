//! From measurements to an order, with the reasons for it.

use std::cmp::Ordering;
use std::time::Duration;

use fault::Label;

use super::candidates::Candidate;
use super::catalogue::Basis;
use super::remark::{Kind, Remark};
use super::survey::{Relay, Seen, Tally};
use super::{Mirror, measure};
use super::{Provenance, Spread};
use crate::probe::report::Failure;

/// A module of usual size, in bytes: what speed is judged by, together with latency.
const USUAL_MODULE: u32 = 500 << 10;
/// Files that `go` asks for to get one module.
const FILES: u32 = 3;
/// Throughput that is taken for a mirror of which none was measured, in bytes a second.
const UNMEASURED_RATE: u64 = 1 << 20;
/// So few repeats say little.
const FEW: usize = 5;

/// Whether a mirror is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may be used; the best has 1.
    Ranked(usize),
    /// It may not be used, whatever its speed: its remarks say why.
    Refused,
}

/// Puts the mirrors in order, and says why.
pub(crate) fn rank<'a>(
    mut mirrors: Vec<Mirror>,
    dead: impl Iterator<Item = &'a Candidate>,
) -> Vec<Mirror> {
    for mirror in &mut mirrors {
        mirror.latency = Spread::of(&mirror.times.whole);
        mirror.served = Spread::of(&mirror.times.served);
        mirror.bytes_per_second = measure::throughput(&mirror.fetches);
        let refusals = refusals(mirror);
        if refusals.is_empty() {
            mirror.standing = Standing::Ranked(0);
            mirror.remarks = remarks(mirror);
        } else {
            mirror.remarks = refusals;
        }
    }
    mirrors.sort_by(order);
    let ranked = mirrors
        .iter()
        .filter(|mirror| mirror.standing != Standing::Refused)
        .count();
    for (at, mirror) in mirrors.iter_mut().take(ranked).enumerate() {
        mirror.standing = Standing::Ranked(at + 1);
    }
    compare_neighbours(&mut mirrors, ranked);
    mirrors.extend(dead.map(|candidate| {
        let mut mirror = Mirror::new(candidate.clone(), &unseen());
        mirror.remarks.push(Remark::new(Kind::Dead));
        mirror
    }));
    mirrors
}

fn unseen() -> Seen {
    Seen {
        known: Vec::new(),
        relay: Relay::NotAsked,
        tally: Tally::default(),
        protocol: None,
    }
}

/// Why a mirror must not be used.
fn refusals(mirror: &Mirror) -> Vec<Remark> {
    let mut refusals = Vec::new();
    if let Some(failure) = &mirror.contradiction {
        refusals.push(Remark::failed(Kind::Contradicted, failure));
    }
    for (freshness, module) in mirror.freshness.iter().zip(&mirror.modules) {
        if let Some((version, failure)) = &freshness.invented {
            let remark = Remark::failed(Kind::Invented, failure);
            refusals.push(
                remark
                    .with("module", module)
                    .with("version", version.as_str()),
            );
        }
    }
    if !mirror.is_up() {
        let failure = mirror.failures().first();
        let unknown = Failure::new(Label::GoproxySlow, "no answer");
        refusals.push(Remark::failed(
            Kind::Unreachable,
            failure.unwrap_or(&unknown),
        ));
        return refusals;
    }
    if !mirror.lacking.is_empty() && mirror.lacking.len() == mirror.freshness.len() {
        refusals.push(Remark::new(Kind::LacksAll));
        return refusals;
    }
    if let Relay::Broken(failure) = &mirror.relay {
        refusals.push(Remark::failed(Kind::RelayBroken, failure));
    } else if let Some(failure) = mirror
        .proof
        .as_ref()
        .filter(|_| mirror.contradiction.is_none())
    {
        refusals.push(Remark::failed(Kind::Unprotected, failure));
    }
    if !mirror.fetches.iter().any(|fetch| fetch.failure.is_none()) {
        let failures = mirror
            .fetches
            .iter()
            .filter_map(|fetch| fetch.failure.as_ref());
        let failure = failures.chain(mirror.failures()).next();
        let unknown = Failure::new(Label::GoproxySlow, "out of time");
        refusals.push(Remark::failed(
            Kind::CannotServe,
            failure.unwrap_or(&unknown),
        ));
    } else if mirror
        .fetches
        .iter()
        .all(|fetch| fetch.zip.is_none() && fetch.go_mod.is_none())
    {
        // Nothing was held against the database.
        let unknown = Failure::new(Label::GoproxyCorrupt, "nothing could be hashed");
        refusals.push(Remark::failed(Kind::CannotServe, &unknown));
    }
    refusals
}

/// What is worth knowing about a mirror that may be used.
fn remarks(mirror: &Mirror) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let failed = mirror.failures().len();
    if let Some(failure) = mirror.failures().first() {
        let remark = Remark::new(Kind::Flaky).with("failed", failed.to_string());
        remarks.push(
            remark
                .with("asked", mirror.asked().to_string())
                .with("label", failure.label.as_str()),
        );
    }
    for (freshness, module) in mirror.freshness.iter().zip(&mirror.modules) {
        let version = |version: &Option<gomod::Version>| {
            version
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string)
        };
        if let Some(behind) = freshness.behind.filter(|behind| *behind > 0) {
            let remark = Remark::new(Kind::Lags)
                .with("module", module)
                .with("count", behind.to_string());
            remarks.push(
                remark
                    .with("newest", version(&freshness.newest))
                    .with("best", version(&freshness.best)),
            );
        }
        if freshness.is_unproven {
            let remark = Remark::new(Kind::Unproven).with("module", module);
            remarks.push(remark.with("version", version(&freshness.newest)));
        }
    }
    remarks.extend(
        mirror
            .lacking
            .iter()
            .map(|module| Remark::new(Kind::Lacks).with("module", module)),
    );
    if mirror
        .candidate
        .listed
        .is_some_and(|listed| listed.basis == Basis::Usage)
        && mirror.candidate.from == Provenance::Catalogue
    {
        remarks.push(Remark::new(Kind::Unconfirmed));
    }
    remarks.push(Remark::new(match mirror.relay {
        Relay::Yes => Kind::Relays,
        _ => Kind::NoRelay,
    }));
    if let Some(spread) = mirror.latency.filter(|spread| spread.count < FEW) {
        remarks.push(Remark::new(Kind::Few).with("count", spread.count.to_string()));
    }
    remarks
}

/// Refused ones last; then by failures, by lag, by what is missing, and by the time a usual module takes.
fn order(a: &Mirror, b: &Mirror) -> Ordering {
    let key = |mirror: &Mirror| {
        (
            mirror.standing == Standing::Refused,
            failing(mirror),
            mirror.lacking.len(),
            mirror.behind().unwrap_or(0) > 0,
            cost(mirror),
        )
    };
    key(a).cmp(&key(b))
}

/// 0 without failures, 1 for up to a tenth, 2 for more.
pub(super) fn failing(mirror: &Mirror) -> u8 {
    match mirror.failures().len() {
        0 => 0,
        failed if failed * 10 <= mirror.asked() => 1,
        _ => 2,
    }
}

/// The time that a module of usual size takes. Connections are reused, so that one full latency counts, and what the server
/// takes for each file.
fn cost(mirror: &Mirror) -> Duration {
    let (Some(latency), Some(served)) = (mirror.latency, mirror.served) else {
        return Duration::MAX;
    };
    let rate = mirror.bytes_per_second.unwrap_or(UNMEASURED_RATE).max(1);
    let transfer = Duration::from_micros(u64::from(USUAL_MODULE).saturating_mul(1_000_000) / rate);
    latency.median + served.median * (FILES - 1) + transfer
}

/// Says of each mirror whether the next one is measurably slower. Only those are compared that differ in nothing but speed.
fn compare_neighbours(mirrors: &mut [Mirror], ranked: usize) {
    for at in 1..ranked {
        let (before, behind) = mirrors.split_at_mut(at);
        let (Some(faster), Some(slower)) = (before.last_mut(), behind.first()) else {
            return;
        };
        let grade = |mirror: &Mirror| {
            (
                failing(mirror),
                mirror.lacking.len(),
                mirror.behind().unwrap_or(0) > 0,
            )
        };
        let (Some(a), Some(b)) = (faster.latency, slower.latency) else {
            continue;
        };
        if grade(faster) != grade(slower) {
            continue;
        }
        let other = slower.candidate.shown();
        let remark = if a.overlaps(&b) {
            Remark::new(Kind::NoDifference).with("other", other)
        } else if a.median < b.median {
            let time = format!(
                "{:.0} ms",
                b.median.saturating_sub(a.median).as_secs_f64() * 1000.0
            );
            Remark::new(Kind::Faster)
                .with("other", other)
                .with("time", time)
        } else {
            continue;
        };
        faster.remarks.push(remark);
    }
}
