//! The same check again and again: a mirror is up when a module can be downloaded from it, not when its front page loads.

use std::io;
use std::time::Duration;

use fault::Label;
use futures_util::future::join_all;
use gomod::Revision;
use jiff::Timestamp;

use super::candidates::Candidate;
use super::history::{History, Record};
use super::json::milliseconds;
use super::proof::Database;
use super::sample::Sample;
use crate::probe::goproxy::probe_goproxy;
use crate::probe::report::{Failure, Phases};
use crate::probe::{Ground, Limits, Net};

/// What to watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The mirrors.
    pub candidates: Vec<Candidate>,
    /// What is downloaded in each check: list, info, go.mod and zip.
    pub sample: Sample,
    /// The database that each mirror is asked about.
    pub database: Database,
    /// Most time for one check.
    pub total: Duration,
    /// From the beginning of one check to that of the next.
    pub interval: Duration,
    /// How many checks are made; without it, no end.
    pub rounds: Option<usize>,
}

/// Checks until the rounds are over or `stopped` ends, and takes everything down in `history`. `tell` gets every record,
/// those of one round together.
pub async fn watch(
    ground: &Ground,
    watch: &Watch,
    history: &mut History,
    mut tell: impl FnMut(&[Record]),
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut ticks = tokio::time::interval(watch.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut left = watch.rounds;
    tokio::pin!(stopped);
    while left != Some(0) {
        let round = async {
            ticks.tick().await;
            let net = Net::new(ground, Limits::within(watch.total));
            join_all(
                watch
                    .candidates
                    .iter()
                    .map(|candidate| check(&net, watch, candidate)),
            )
            .await
        };
        let results = tokio::select! {
            results = round => results,
            () = &mut stopped => return Ok(()),
        };
        let now = Timestamp::now();
        let mut records = Vec::new();
        for (candidate, result) in watch.candidates.iter().zip(results) {
            let result = result
                .as_ref()
                .map(|latency| milliseconds(*latency))
                .map_err(|label| label.as_str());
            records.push(history.add(now, &candidate.shown(), result)?);
        }
        tell(&records);
        left = left.map(|left| left.saturating_sub(1));
    }
    Ok(())
}

/// Downloads the sample; the time of the first answer, or why it did not work.
async fn check(net: &Net, watch: &Watch, candidate: &Candidate) -> Result<Duration, Label> {
    let revision = watch
        .sample
        .version
        .as_ref()
        .and_then(|version| Revision::new(version.as_str()).ok());
    let report = probe_goproxy(net, &candidate.url, &watch.sample.module, revision.as_ref()).await;
    if let Some(Failure { label, .. }) = report.failure {
        return Err(label);
    }
    if !watch.database.is_pinned()
        && let Err(failure) = watch.database.is_relayed(net, candidate.url.as_url()).await
    {
        return Err(failure.label);
    }
    let first = report
        .probes
        .iter()
        .map(|probe| probe.phases)
        .find(|phases| *phases != Phases::default());
    Ok(first.map(|phases| phases.total()).unwrap_or_default())
}
