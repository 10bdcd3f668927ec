//! How soon a server with much in its store is there again, whatever ended the one before.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::{Modkeep, Tree, http};

use super::Context;
use super::report::{Table, figure, median};

/// Longer than any start takes.
const PATIENCE: Duration = Duration::from_mins(5);

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let versions = if context.quick { 2_000 } else { 100_000 };
    eprintln!("writing a store of {versions} versions");
    let data = context.data()?;
    let paths = Tree::at(data.path().join("tree")).add_tiny_modules(versions);
    let rebuilt = Command::new(&context.binary)
        .args(["store", "rebuild", "--data"])
        .arg(data.path())
        .output()
        .context("starting modkeep")?;
    ensure!(
        rebuilt.status.success(),
        "modkeep store rebuild: {}",
        String::from_utf8_lossy(&rebuilt.stderr)
    );
    let bench = Bench {
        context,
        data: data.path(),
        paths: &paths,
    };
    let endings: [(&str, Ending); 3] = [
        ("SIGTERM", |modkeep, _| {
            ensure!(
                modkeep.terminate().code == Some(0),
                "modkeep did not end well"
            );
            Ok(())
        }),
        ("kill -9 under load", |modkeep, _| {
            modkeep.kill();
            Ok(())
        }),
        (
            "kill -9 under load, and its records removed",
            |modkeep, data| {
                modkeep.kill();
                for name in ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"] {
                    match fs::remove_file(data.join(name)) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(error).context("removing records");
                        }
                        _ => {}
                    }
                }
                Ok(())
            },
        ),
    ];
    // The first one fills the system's memory with what a start reads.
    bench.start()?.modkeep.terminate();
    let mut rows = Vec::new();
    for (name, end) in endings {
        let (mut ready, mut answered) = (Vec::new(), Vec::new());
        for turn in 0..context.turns() {
            let before = bench.start()?;
            bench.end_under_load(before.modkeep, turn, |modkeep| end(modkeep, data.path()))?;
            let started = bench.start()?;
            ready.push(started.ready_ms);
            answered.push(started.answered_ms);
            started.modkeep.terminate();
        }
        eprintln!("{name}: ready after {ready:?} ms, first answer after {answered:?} ms");
        rows.push(vec![
            name.to_owned(),
            figure(median(&answered)),
            figure(median(&ready)),
            figure(ready.iter().copied().fold(0.0, f64::max)),
        ]);
    }
    Ok(vec![Table {
        intro: format!(
            "A store of {versions} versions, one of each module, with its records. From exec of the next process; {} runs each.",
            context.turns()
        ),
        head: vec![
            "the process before ended by",
            "first answer from the store, median, ms",
            "`/readyz` says ready, median, ms",
            "slowest, ms",
        ],
        rows,
    }])
}

/// Ends a server; what is done to its data then.
type Ending = fn(Modkeep, &Path) -> Result<()>;

struct Bench<'a> {
    context: &'a Context,
    data: &'a Path,
    paths: &'a [String],
}

struct Started {
    modkeep: Modkeep,
    answered_ms: f64,
    ready_ms: f64,
}

impl Bench<'_> {
    /// Lets clients read the store while the server ends.
    fn end_under_load(
        &self,
        modkeep: Modkeep,
        turn: usize,
        end: impl FnOnce(Modkeep) -> Result<()>,
    ) -> Result<()> {
        let url = modkeep.url().to_owned();
        thread::scope(|scope| {
            for client in 0..4 {
                let url = url.as_str();
                scope.spawn(move || {
                    let skipped = (turn * 4 + client) * 997 % self.paths.len();
                    for path in self.paths.iter().cycle().skip(skipped).step_by(61) {
                        for kind in ["info", "mod", "zip"] {
                            if http::get(&format!("{url}/{path}/@v/v1.0.0.{kind}")).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
            thread::sleep(Duration::from_millis(300));
            end(modkeep)
        })
    }

    fn start(&self) -> Result<Started> {
        let began = Instant::now();
        let modkeep = (self.context.modkeep())
            .data(self.data)
            .upstream("off")
            .start();
        let path = &self.paths[self.paths.len() / 2];
        let reply = http::get(&format!("{}/{path}/@v/v1.0.0.info", modkeep.url()))?;
        ensure!(reply.status == 200, "{path}: {}", reply.status);
        let answered_ms = 1e3 * began.elapsed().as_secs_f64();
        loop {
            let reply = http::get(&format!("{}/readyz", modkeep.url()))?;
            if reply.text().contains("\"status\":\"ready\"") {
                break;
            }
            ensure!(began.elapsed() < PATIENCE, "not ready: {}", reply.text());
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Started {
            modkeep,
            answered_ms,
            ready_ms: 1e3 * began.elapsed().as_secs_f64(),
        })
    }
}
