//! An hour without any upstream, and the first build after it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use testkit::Modkeep;

use super::build::{Attempt, download};
use super::measure::Build;
use super::report::Shown;
use super::rig::{Rig, Way, go, row};
use super::soak::hurried;
use super::trouble::Order;

/// How often somebody tries a build in the hour.
const TRIED: u32 = 12;

/// Cuts both mirrors off for an hour, and measures the builds that begin when they are back.
pub(super) fn run(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let order = |order| {
        [&a, &b]
            .iter()
            .try_for_each(|one| one.order(order).map(drop))
    };
    let chain = [a.url().to_owned(), b.url().to_owned()];
    let hour = Duration::from_secs(if rig.quick { 6 } else { 60 });
    let mut shown = Shown::default();
    for way in Way::ALL {
        let mut builds = Vec::new();
        for _ in 0..if rig.quick { 1 } else { 3 } {
            let data = rig.data()?;
            let server = (way == Way::Through)
                .then(|| serve(rig, &chain, &data, hour))
                .transpose()?;
            let proxy = match (&server, way) {
                (Some(modkeep), _) => modkeep.url().to_owned(),
                (None, Way::Pipe) => format!("{}|direct", chain.join("|")),
                (None, _) => format!("{},direct", chain.join(",")),
            };
            if server.is_some() {
                order(Order::Down)?;
                sit_out(rig, &proxy, hour)?;
                order(Order::Up)?;
            }
            let mut attempts = Vec::new();
            while attempts.len() < rig.attempts() {
                let attempt = try_once(rig, &proxy)?;
                let success = attempt.success;
                attempts.push(attempt);
                if success {
                    break;
                }
            }
            builds.push(Build { attempts });
        }
        shown.rows.push(row("after an hour", way, &builds));
    }
    Ok(shown)
}

fn serve(rig: &Rig, chain: &[String], data: &TempDir, hour: Duration) -> Result<Modkeep> {
    let command = hurried(hour * 24)
        .into_iter()
        .fold(rig.modkeep(chain, data.path()), |command, (name, value)| {
            command.env(name, value)
        });
    command
        .try_start()
        .map_err(|exit| anyhow::anyhow!("modkeep did not start: {}", exit.stderr))
}

/// Tries builds, in vain, until the hour is over.
fn sit_out(rig: &Rig, proxy: &str, hour: Duration) -> Result<()> {
    let began = Instant::now();
    for number in 1..=TRIED {
        ensure!(
            !try_once(rig, proxy)?.success,
            "a build succeeded without any upstream"
        );
        let rest = (hour * number / TRIED).saturating_sub(began.elapsed());
        thread::sleep(rest);
    }
    Ok(())
}

/// One build in a new folder and with an empty module cache.
fn try_once(rig: &Rig, proxy: &str) -> Result<Attempt> {
    let folder = rig.data()?;
    for name in ["go.mod", "go.sum", "main.go"] {
        fs::copy(rig.project().join(name), folder.path().join(name))
            .with_context(|| format!("copying {name}"))?;
    }
    download(&go(proxy), folder.path(), Duration::from_secs(150))
}
