//! Which mirror serves this place best: measured, not believed.
//!
//! [`compare`] asks every [`Candidate`] for the same public modules. A mirror is only ranked when what it serves is what
//! the checksum database has on record, proven; then by failures, by how far it lags behind the others, and by speed.
//! [`Comparison::advice`] makes one GOPROXY out of the ranking, with the right separators and the reasons for them;
//! [`apply()`] writes it, tries it, and takes it back if it does not work. [`watch()`] asks again and again and keeps a
//! history.

mod advice;
mod apply;
mod candidates;
mod catalogue;
mod freshness;
mod history;
mod json;
mod measure;
mod proof;
mod rank;
mod remark;
mod sample;
mod stats;
mod survey;
mod text;
mod watch;

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use gomod::ModuleVersion;
use sumdb::record::Part;
use url::Url;

pub use advice::{Advice, Blocked, Surroundings};
pub use apply::{ApplyFailure, apply};
pub use candidates::{Candidate, Provenance, candidates, read_list, read_url};
pub use catalogue::{Basis, Listed, Region, catalogue};
pub use freshness::Freshness;
pub use history::{Availability, History, Record, State};
pub use proof::Database;
pub use rank::Standing;
pub use remark::{Kind, Remark, words_are_complete};
pub use sample::{Sample, SampleError, defaults};
pub use stats::Spread;
pub use survey::Relay;
pub use text::Layout;
pub use watch::{Watch, watch};

use crate::diagnose::Watcher;
use crate::probe::report::Failure;
use crate::probe::{Ground, Limits, Net};
use measure::{Fetch, Times};
use proof::Proof;
use survey::{Seen, Tally};

/// What to compare, and how thoroughly.
#[derive(Clone, Debug)]
pub struct Request {
    /// The mirrors.
    pub candidates: Vec<Candidate>,
    /// The modules to measure with; checked before ([`Sample::check`]).
    pub samples: Vec<Sample>,
    /// The database that what they serve is held against.
    pub database: Database,
    /// Most time for the whole run.
    pub total: Duration,
    /// How often the small request is repeated.
    pub repeat: usize,
}

/// What was found out about one mirror.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// The mirror.
    pub candidate: Candidate,
    /// Whether it is ranked, and where; the best has 1.
    pub standing: Standing,
    /// What there is to say about it, the gravest first.
    pub remarks: Vec<Remark>,
    /// How long a small request takes, connection included.
    pub latency: Option<Spread>,
    /// What of that the server takes, once the connection stands.
    pub served: Option<Spread>,
    /// Bytes of zips in a second.
    pub bytes_per_second: Option<u64>,
    /// The version of HTTP that it speaks.
    pub protocol: Option<&'static str>,
    /// Whether it relays the checksum database.
    pub relay: Relay,
    /// Its versions against everybody else's, in the order of the samples.
    pub freshness: Vec<Freshness>,
    pub(crate) tally: Tally,
    pub(crate) times: Times,
    pub(crate) fetches: Vec<Fetch>,
    pub(crate) proof: Option<Failure>,
    pub(crate) contradiction: Option<Failure>,
    /// Samples that it says it does not have.
    pub(crate) lacking: Vec<String>,
    /// The samples' paths, in the order of [`Self::freshness`].
    pub(crate) modules: Vec<String>,
}

impl Mirror {
    fn new(candidate: Candidate, seen: &Seen) -> Self {
        Self {
            candidate,
            standing: Standing::Refused,
            remarks: Vec::new(),
            latency: None,
            served: None,
            bytes_per_second: None,
            protocol: seen.protocol,
            relay: seen.relay.clone(),
            freshness: Vec::new(),
            tally: seen.tally.clone(),
            times: Times::default(),
            fetches: Vec::new(),
            proof: None,
            contradiction: None,
            lacking: Vec::new(),
            modules: Vec::new(),
        }
    }

    /// Whether it has answered at all.
    pub fn is_up(&self) -> bool {
        self.tally.answered() > 0
    }

    /// How many requests were made.
    pub fn asked(&self) -> usize {
        self.tally.asked
    }

    /// The requests that failed, in order. That a module does not exist is no failure.
    pub fn failures(&self) -> &[Failure] {
        &self.tally.failures
    }

    /// How many newer versions it does not know, over all samples; `None` if there was nothing to compare with.
    pub fn behind(&self) -> Option<usize> {
        let known = self
            .freshness
            .iter()
            .filter_map(|freshness| freshness.behind);
        known.fold(None, |sum, behind| Some(sum.unwrap_or(0) + behind))
    }
}

/// The whole comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// When it was made.
    pub at: SystemTime,
    /// What was measured with: the samples, with the version that was fetched where there was one.
    pub samples: Vec<Sample>,
    /// How often the small request was repeated.
    pub repeat: usize,
    /// The database that everything was held against.
    pub database: String,
    /// The mirrors, the best first, those that are not ranked last.
    pub mirrors: Vec<Mirror>,
}

impl Comparison {
    /// Whether a mirror that GOPROXY names fails, lags behind, or must not be used.
    pub fn has_findings(&self) -> bool {
        let named = self
            .mirrors
            .iter()
            .filter(|mirror| mirror.candidate.from == Provenance::Goproxy);
        named.into_iter().any(|mirror| {
            mirror.standing == Standing::Refused
                || !mirror.failures().is_empty()
                || mirror.behind().is_some_and(|behind| behind > 0)
        })
    }
}

/// Compares the mirrors of `request`. It never fails: what cannot be found out is said in the result.
pub async fn compare(ground: &Ground, request: &Request, watcher: &dyn Watcher) -> Comparison {
    let at = SystemTime::now();
    let share = |part: f64| Net::new(ground, Limits::within(request.total.mul_f64(part)));
    let alive: Vec<&Candidate> = request
        .candidates
        .iter()
        .filter(|one| !one.is_dead())
        .collect();

    let net = share(0.3);
    let looks = alive
        .iter()
        .map(|one| survey::look(&net, one, &request.samples, &request.database));
    let seen = join_all(looks).await;
    let samples: Vec<Sample> = request
        .samples
        .iter()
        .enumerate()
        .map(|(at, sample)| Sample {
            module: sample.module.clone(),
            version: measure::version(sample, &known(&seen, at)),
        })
        .collect();
    let mut mirrors: Vec<Mirror> = alive
        .iter()
        .zip(&seen)
        .map(|(one, seen)| Mirror::new((*one).clone(), seen))
        .collect();

    fetch_all(ground, request, &samples, &mut mirrors, watcher).await;
    prove_all(&share(0.15), &request.database, &samples, &mut mirrors).await;

    let net = share(0.1);
    let bases = bases(&request.database, &mirrors);
    for (at, sample) in samples.iter().enumerate() {
        let known = known(&seen, at);
        let compared =
            freshness::compare(&net, &request.database, &bases, &sample.module, &known).await;
        for ((mirror, freshness), known) in mirrors.iter_mut().zip(compared).zip(known) {
            mirror.freshness.push(freshness);
            mirror.modules.push(sample.module.to_string());
            if known.is_absent {
                mirror.lacking.push(sample.module.to_string());
            }
        }
    }
    if let Some(module) = samples.iter().find_map(versioned) {
        measure::repeat(&share(0.15), &mut mirrors, &module, request.repeat).await;
    }
    let dead = request.candidates.iter().filter(|one| one.is_dead());
    let mirrors = rank::rank(mirrors, dead);
    Comparison {
        at,
        samples,
        repeat: request.repeat,
        database: request.database.name().to_owned(),
        mirrors,
    }
}

fn known(seen: &[Seen], at: usize) -> Vec<&survey::Known> {
    seen.iter().filter_map(|seen| seen.known.get(at)).collect()
}

fn versioned(sample: &Sample) -> Option<ModuleVersion> {
    ModuleVersion::new(sample.module.clone(), sample.version.clone()?).ok()
}

/// Fetches the samples, one mirror after the other, so that they do not share the line.
async fn fetch_all(
    ground: &Ground,
    request: &Request,
    samples: &[Sample],
    mirrors: &mut [Mirror],
    watcher: &dyn Watcher,
) {
    let up = mirrors.iter().filter(|mirror| mirror.is_up()).count();
    let share = request
        .total
        .mul_f64(0.3)
        .div_f64(f64::from(u32::try_from(up.max(1)).unwrap_or(u32::MAX)));
    for mirror in mirrors.iter_mut().filter(|mirror| mirror.is_up()) {
        let net = Net::new(ground, Limits::within(share));
        for module in samples.iter().filter_map(versioned) {
            let fetched =
                measure::fetch(&net, &mirror.candidate, &module, watcher, &mut mirror.tally).await;
            mirror.fetches.extend(fetched);
        }
    }
}

/// Where the database can be asked: itself, then the mirrors that relay it.
fn bases(database: &Database, mirrors: &[Mirror]) -> Vec<Url> {
    let relays = mirrors.iter().filter(|mirror| mirror.relay == Relay::Yes);
    let relays = relays.map(|mirror| database.below(mirror.candidate.url.as_url()));
    relays.chain(database.direct().cloned()).collect()
}

/// Has the database prove the samples: once through each mirror that relays it, once directly for those that do not; then
/// holds what was fetched against the records.
async fn prove_all(net: &Net, database: &Database, samples: &[Sample], mirrors: &mut [Mirror]) {
    let modules: Vec<ModuleVersion> = samples.iter().filter_map(versioned).collect();
    let Some(first) = modules.first() else { return };
    let direct = async {
        let needs = mirrors
            .iter()
            .any(|mirror| mirror.is_up() && mirror.relay != Relay::Yes);
        match database.direct() {
            Some(url) if needs => Some(database.look_up(net, url, first).await),
            _ => None,
        }
    };
    let relayed = join_all(mirrors.iter().map(|mirror| async {
        if mirror.relay != Relay::Yes {
            return None;
        }
        Some(
            database
                .look_up(net, &database.below(mirror.candidate.url.as_url()), first)
                .await,
        )
    }));
    let (direct, relayed) = futures_util::future::join(direct, relayed).await;
    let mut records = Vec::new();
    for (mirror, relayed) in mirrors.iter_mut().zip(relayed) {
        match relayed.as_ref().or(direct.as_ref()) {
            Some(Proof::Proven(record)) => records.push((**record).clone()),
            Some(Proof::Absent(failure) | Proof::Failed(failure)) => {
                mirror.proof = Some(failure.clone());
            }
            None => mirror.proof = mirror.tally.failures.first().cloned(),
        }
    }
    let bases = bases(database, mirrors);
    for module in modules.iter().skip(1) {
        for base in &bases {
            if let Proof::Proven(record) = database.look_up(net, base, module).await {
                records.push(*record);
                break;
            }
        }
    }
    for mirror in mirrors.iter_mut() {
        mirror.contradiction = mirror.fetches.iter().find_map(|fetch| {
            let record = records
                .iter()
                .find(|record| *record.module() == fetch.module)?;
            let hashes = [
                (Part::Zip, fetch.zip.map(|hash| hash.to_string())),
                (Part::GoMod, fetch.go_mod.map(|hash| hash.to_string())),
            ];
            proof::contradiction(record, hashes)
        });
    }
}
