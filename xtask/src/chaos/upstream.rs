//! A simulated upstream, or a server that only breaks TLS, as a process of its own. It takes orders from standard input.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use testkit::UpstreamServer;

use super::trouble::{GATEWAY_PATIENCE, Order, every_kind};
use crate::chaos::mirror::tls;

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flaw {
    /// It has expired.
    Expired,
    /// It is for another host.
    WrongName,
    /// Nobody knows who signed it.
    UnknownCa,
}

/// What a simulated upstream is to be.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The tree to serve.
    #[arg(long)]
    tree: PathBuf,
    /// Speak TLS with a certificate that is no good, and nothing else. The authority's certificate is written beside.
    #[arg(long)]
    flaw: Option<Flaw>,
    /// Where to write the certificate of the authority.
    #[arg(long, default_value = "authority.pem")]
    authority: PathBuf,
}

/// Serves until standard input ends. The first line of standard output is the base URL; each order is answered by a line.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(flaw) = options.flaw {
        return tls::serve(flaw, &options.authority);
    }
    let mut server = UpstreamServer::serve(&options.tree);
    server.set_patience(Some(GATEWAY_PATIENCE));
    say(&server.url())?;
    let (sender, orders) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut flapping: Option<Flapping> = None;
    loop {
        let line = match &flapping {
            None => orders.recv().map_err(|_| ()).map(Some),
            Some(flapping) => match orders.recv_timeout(flapping.current()) {
                Ok(line) => Ok(Some(line)),
                Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
                Err(mpsc::RecvTimeoutError::Disconnected) => Err(()),
            },
        };
        match (line, &mut flapping) {
            (Err(()), _) => return Ok(()),
            (Ok(None), Some(flapping)) => flapping.turn(&mut server),
            (Ok(None), None) => bail!("a time to turn without flapping"),
            (Ok(Some(line)), _) => {
                let order: Order = line.parse()?;
                flapping = match order {
                    Order::Flap { up, down } => Some(Flapping {
                        up: Duration::from_millis(up),
                        down: Duration::from_millis(down),
                        is_up: true,
                    }),
                    Order::Count | Order::Forget => flapping,
                    _ => None,
                };
                let answer = obey(&mut server, order);
                say(&answer)?;
            }
        }
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("answering an order")
}

struct Flapping {
    up: Duration,
    down: Duration,
    is_up: bool,
}

impl Flapping {
    fn current(&self) -> Duration {
        if self.is_up { self.up } else { self.down }
    }

    fn turn(&mut self, server: &mut UpstreamServer) {
        self.is_up = !self.is_up;
        if self.is_up {
            server.start();
        } else {
            server.stop();
        }
    }
}

fn obey(server: &mut UpstreamServer, order: Order) -> String {
    match order {
        Order::Heal => {
            server.start();
            server.heal();
        }
        Order::Delay(ms) => server.set_delay(Duration::from_millis(ms)),
        Order::Mix { share, seed } => server.fail_some(share, seed, "*", &every_kind()),
        Order::Drip { bytes, every } => server.fail(
            "*",
            testkit::Fault::Drip {
                bytes,
                every: Duration::from_millis(every),
            },
        ),
        Order::Down => server.stop(),
        Order::Up | Order::Flap { .. } => server.start(),
        Order::Forget => server.forget(),
        Order::Count => {
            let counts = server.counts();
            let most = counts
                .iter()
                .filter(|(path, _)| {
                    [".info", ".mod", ".zip"]
                        .iter()
                        .any(|end| path.ends_with(end))
                })
                .map(|(_, count)| *count)
                .max()
                .unwrap_or_default();
            return format!("{} {most}", counts.values().sum::<usize>());
        }
    }
    "done".to_owned()
}
