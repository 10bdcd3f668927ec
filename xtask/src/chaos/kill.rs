//! A server that is killed while a build runs, and started again.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::build::download;
use super::measure::Build;
use super::report::Shown;
use super::rig::{Rig, Way, go, row};

/// Who is killed, and how clients take it.
struct Kill {
    case: &'static str,
    /// Whether a service manager holds the socket.
    is_held: bool,
    /// Whether clients name the server twice, so that they ask it again.
    is_named_twice: bool,
}

/// Kills the server in the middle of builds, with and without somebody who holds its socket.
pub(super) fn run(rig: &Rig) -> Result<Shown> {
    let (a, b) = (rig.mirror()?, rig.mirror()?);
    let chain = [a.url().to_owned(), b.url().to_owned()];
    let mut shown = Shown::default();
    let mut starts = Vec::new();
    for kill in [
        Kill {
            case: "its own socket",
            is_held: false,
            is_named_twice: false,
        },
        Kill {
            case: "socket held",
            is_held: true,
            is_named_twice: false,
        },
        Kill {
            case: "socket held, `GOPROXY=url\\|url`",
            is_held: true,
            is_named_twice: true,
        },
    ] {
        let mut builds = Vec::new();
        for number in 0..if rig.quick { 1 } else { 5 } {
            let (build, started) = killed_build(rig, &chain, &kill, number)?;
            builds.push(build);
            starts.push(started);
        }
        shown.rows.push(row(kill.case, Way::Through, &builds));
    }
    let slowest = starts.iter().max().context("no start")?;
    shown.notes.push(format!(
        "Ready again after at most {} ms.",
        slowest.as_millis()
    ));
    Ok(shown)
}

/// A build in the middle of which modkeep is killed, and how long the next process took to be ready.
fn killed_build(
    rig: &Rig,
    chain: &[String],
    kill: &Kill,
    number: u64,
) -> Result<(Build, Duration)> {
    let data = rig.data()?;
    let socket = Arc::new(TcpListener::bind("127.0.0.1:0")?);
    let start = |listen: &str| {
        let command = rig.modkeep(chain, data.path()).listen(listen);
        let command = if kill.is_held {
            command.socket(&socket)
        } else {
            command
        };
        command
            .try_start()
            .map_err(|exit| anyhow::anyhow!("modkeep did not start: {}", exit.stderr))
    };
    let first = start("127.0.0.1:0")?;
    let (url, address) = (first.url().to_owned(), first.authority().to_owned());
    let folder = rig.data()?;
    for name in ["go.mod", "go.sum", "main.go"] {
        fs::copy(rig.project().join(name), folder.path().join(name))?;
    }
    let (attempts, second) = thread::scope(|scope| {
        let killer = scope.spawn(|| {
            thread::sleep(Duration::from_millis(700 + 400 * number));
            first.kill();
            start(&address)
        });
        let client = if kill.is_named_twice {
            go(&format!("{url}|{url}"))
        } else {
            go(&url)
        };
        let mut attempts = Vec::new();
        while attempts.len() < 3 {
            let attempt = download(&client, folder.path(), Duration::from_secs(150))?;
            let success = attempt.success;
            attempts.push(attempt);
            if success {
                break;
            }
        }
        let second = killer
            .join()
            .map_err(|_| anyhow::anyhow!("killing panicked"))??;
        anyhow::Ok((attempts, second))
    })?;
    let started = second.started_in();
    ensure!(
        second.terminate().code == Some(0),
        "modkeep did not end well"
    );
    Ok((Build { attempts }, started))
}
