//! One run of the real `go mod download`, as its client sees it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use testkit::Go;

/// One request that `go` sent.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// What was asked for, without the server.
    pub(super) file: String,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) is_good: bool,
}

/// One run.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) success: bool,
    pub(super) took: Duration,
    pub(super) exchanges: Vec<Exchange>,
    /// The last that `go` said.
    pub(super) last_words: String,
}

/// Runs `go mod download` in `folder`, and gives up after `limit`.
pub(super) fn download(go: &Go, folder: &Path, limit: Duration) -> Result<Attempt> {
    let began = Instant::now();
    let mut child = go
        .command(folder)
        .args(["mod", "download", "-x"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting go")?;
    let stderr = child.stderr.take().context("its standard error")?;
    let reader = thread::spawn(move || {
        let mut exchanges = Exchanges::default();
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            exchanges.line(&String::from_utf8_lossy(&line), Instant::now());
        }
        exchanges
    });
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for go")? {
            break Some(status);
        }
        if began.elapsed() > limit {
            child.kill().context("ending go")?;
            child.wait().context("waiting for go")?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let took = began.elapsed();
    let exchanges = reader
        .join()
        .map_err(|_| anyhow::anyhow!("reading what go said panicked"))?;
    let (exchanges, last_words) = exchanges.close(Instant::now());
    Ok(Attempt {
        success: status.is_some_and(|status| status.success()),
        took,
        exchanges,
        last_words,
    })
}

/// `go -x` tells of each request when it begins, and of its status when the head of the answer is there.
#[derive(Default)]
struct Exchanges {
    open: BTreeMap<String, Vec<Instant>>,
    done: Vec<Exchange>,
    last_words: String,
}

impl Exchanges {
    fn line(&mut self, line: &str, now: Instant) {
        let Some(rest) = line.strip_prefix("# get ") else {
            if !line.trim().is_empty() && !line.starts_with('#') {
                line.clone_into(&mut self.last_words);
            }
            return;
        };
        match rest.split_once(": ") {
            None => self.open.entry(rest.to_owned()).or_default().push(now),
            Some((url, outcome)) => {
                let began = self.open.get_mut(url).and_then(Vec::pop).unwrap_or(now);
                self.done.push(Exchange {
                    file: file_of(url),
                    began,
                    ended: now,
                    is_good: outcome.starts_with("200 "),
                });
            }
        }
    }

    /// What was still open has failed.
    fn close(mut self, now: Instant) -> (Vec<Exchange>, String) {
        for (url, begins) in std::mem::take(&mut self.open) {
            for began in begins {
                self.done.push(Exchange {
                    file: file_of(&url),
                    began,
                    ended: now,
                    is_good: false,
                });
            }
        }
        (self.done, self.last_words)
    }
}

fn file_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/')
        .map_or(rest, |(_, path)| path)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_tells_of_a_request_becomes_an_exchange() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut exchanges = Exchanges::default();
        for (line, ms) in [
            ("# get http://127.0.0.1:1/a/@v/v1.0.0.info", 0),
            ("# get http://127.0.0.1:1/a/@v/v1.0.0.mod", 1),
            (
                "# get http://127.0.0.1:1/a/@v/v1.0.0.info: 502 Bad Gateway (0.005s)",
                5,
            ),
            ("# get http://127.0.0.1:2/a/@v/v1.0.0.info", 6),
            (
                "# get http://127.0.0.1:2/a/@v/v1.0.0.info: 200 OK (0.003s)",
                9,
            ),
            ("go: a@v1.0.0: nothing doing", 10),
            ("", 11),
        ] {
            exchanges.line(line, at(ms));
        }
        let (done, words) = exchanges.close(at(20));
        let seen: Vec<_> = done
            .iter()
            .map(|one| {
                (
                    one.file.as_str(),
                    (one.ended - one.began).as_millis(),
                    one.is_good,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("a/@v/v1.0.0.info", 5, false),
                ("a/@v/v1.0.0.info", 3, true),
                ("a/@v/v1.0.0.mod", 19, false),
            ]
        );
        assert_eq!(words, "go: a@v1.0.0: nothing doing");
    }
}
