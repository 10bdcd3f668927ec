//! Many clients at once.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use testkit::http::Connection;

use super::measure::percentile;
use super::report::Shown;
use super::rig::Rig;
use super::trouble::Order;

/// Lets every client ask for every file of a small project at the same time.
pub(super) fn run(rig: &Rig) -> Result<Shown> {
    let clients = if rig.quick { 50 } else { 500 };
    let mirror = rig.mirror()?;
    mirror.order(Order::Forget)?;
    let data = rig.data()?;
    let modkeep = rig
        .modkeep(&[mirror.url().to_owned()], data.path())
        .try_start()
        .map_err(|exit| anyhow::anyhow!("modkeep did not start: {}", exit.stderr))?;
    let files = rig.files_of(1)?;
    let gate = Barrier::new(clients);
    let began = Instant::now();
    let results = thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    gate.wait();
                    client(modkeep.authority(), &files)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a client panicked"))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let took = began.elapsed();
    let failed = results.iter().filter(|result| result.is_err()).count();
    let example = results
        .iter()
        .find_map(|result| result.as_ref().err())
        .map(|error| format!(" ({error:#})"))
        .unwrap_or_default();
    let mut waits: Vec<Duration> = results.into_iter().flatten().flatten().collect();
    waits.sort();
    let (_, most) = mirror.counts()?;
    #[expect(clippy::cast_precision_loss, reason = "shown without decimal places")]
    let memory = modkeep.memory().peak as f64 / f64::from(1 << 20);
    Ok(Shown {
        rows: Vec::new(),
        notes: vec![format!(
            "{clients} clients, {} files each: {failed} clients failed{example}; each upstream file was fetched at most \
             {most} times; p50 {} ms, p99 {} ms; all were served after {:.1} s; memory at most {memory:.0} MiB.",
            files.len(),
            percentile(&waits, 50).as_millis(),
            percentile(&waits, 99).as_millis(),
            took.as_secs_f64(),
        )],
    })
}

fn client(authority: &str, files: &[String]) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(authority)?;
    connection.set_patience(Duration::from_mins(2))?;
    let mut waits = Vec::with_capacity(files.len());
    for file in files {
        let asked = Instant::now();
        connection.request("GET", authority, file, &[])?;
        let reply = connection.reply(false).with_context(|| file.clone())?;
        anyhow::ensure!(
            reply.status == 200 && reply.complete,
            "{file}: {} {}",
            reply.status,
            reply.text()
        );
        waits.push(asked.elapsed());
    }
    Ok(waits)
}
