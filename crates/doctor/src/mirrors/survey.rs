//! The first look at every mirror, side by side: is it there, which versions does it know, does it relay the database.

use fault::Label;
use futures_util::future::{join, join_all};
use gomod::info::RevInfo;
use gomod::{ModulePath, Version};

use super::candidates::Candidate;
use super::proof::Database;
use super::sample::Sample;
use crate::probe::Net;
use crate::probe::fetch::{Part, fetch};
use crate::probe::fetched::{Answer, Fetched};
use crate::probe::goproxy::join as below;
use crate::probe::report::{Failure, Phases};

/// Most bytes of a list.
const LARGEST: usize = 4 << 20;

/// Whether a mirror relays the checksum database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// It says so.
    Yes,
    /// It says that it does not; `go` asks the database itself then.
    No,
    /// GOSUMDB names an address, so that `go` asks no mirror for it.
    NotAsked,
    /// It fails when asked, which stops `go`.
    Broken(Failure),
}

/// What a mirror knows of one module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The list, as far as it holds versions.
    pub(crate) listed: Option<Vec<Version>>,
    /// What `@latest` says.
    pub(crate) latest: Option<Version>,
    /// It says that there is no such module.
    pub(crate) is_absent: bool,
}

/// What the first look at a mirror brought.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) known: Vec<Known>,
    pub(crate) relay: Relay,
    pub(crate) tally: Tally,
    pub(crate) protocol: Option<&'static str>,
}

/// Requests and how many of them failed. Absence is an answer, no failure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) asked: usize,
    pub(crate) failures: Vec<Failure>,
}

impl Tally {
    pub(crate) fn add(&mut self, failure: Option<&Failure>) {
        self.asked += 1;
        self.failures
            .extend(failure.filter(|failure| !failure.is_absence()).cloned());
    }

    pub(crate) fn answered(&self) -> usize {
        self.asked.saturating_sub(self.failures.len())
    }
}

/// Looks at one mirror.
pub(crate) async fn look(
    net: &Net,
    candidate: &Candidate,
    samples: &[Sample],
    database: &Database,
) -> Seen {
    let base = candidate.url.as_url();
    let modules = join_all(samples.iter().map(|sample| async move {
        let list = get(net, candidate, &sample.module, "@v/list");
        let latest = get(net, candidate, &sample.module, "@latest");
        join(list, latest).await
    }));
    let relay = async {
        if database.is_pinned() {
            return Relay::NotAsked;
        }
        match database.is_relayed(net, base).await {
            Ok(true) => Relay::Yes,
            Ok(false) => Relay::No,
            Err(failure) => Relay::Broken(failure),
        }
    };
    let (modules, relay) = join(modules, relay).await;
    let mut tally = Tally::default();
    let mut protocol = None;
    let mut known = Vec::new();
    for (list, latest) in modules {
        let mut one = Known::default();
        let mut take = |asked: Asked| match asked.result {
            Ok(answer) => {
                protocol.get_or_insert(if answer.is_h2 { "HTTP/2" } else { "HTTP/1.1" });
                tally.add(None);
                Some(answer)
            }
            Err(failure) => {
                one.is_absent |= failure.is_absence();
                tally.add(Some(&failure));
                None
            }
        };
        let list = take(list);
        let latest = take(latest);
        one.listed = list.map(|answer| versions(&answer.body));
        one.latest = latest.and_then(|answer| {
            let info = RevInfo::parse(&answer.body).ok()?;
            Version::new(&info.version).ok()
        });
        // A module without releases has an empty list or none, and a `@latest`.
        one.is_absent &= one.listed.is_none() && one.latest.is_none();
        known.push(one);
    }
    Seen {
        known,
        relay,
        tally,
        protocol,
    }
}

fn versions(list: &[u8]) -> Vec<Version> {
    let text = String::from_utf8_lossy(list);
    let lines = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    lines
        .filter_map(|version| Version::new(version).ok())
        .collect()
}

/// A small request and how long it took.
pub(crate) struct Asked {
    pub(crate) phases: Phases,
    pub(crate) result: Result<Answer, Failure>,
}

/// Asks a mirror for a small file of a module.
pub(crate) async fn get(
    net: &Net,
    candidate: &Candidate,
    module: &ModulePath,
    path: &str,
) -> Asked {
    let url = below(
        candidate.url.as_url(),
        &format!("{}/{path}", module.escaped()),
    );
    let Fetched {
        phases,
        result,
        url,
        ..
    } = fetch(net, &url, Part::Whole, LARGEST).await;
    let result = result.and_then(|mut answer| {
        if let Some(broken) = answer.broken.take() {
            return Err(broken);
        }
        let label = match answer.status {
            200..=299 if answer.is_html() => Label::GoproxyHtml,
            200..=299 => return Ok(answer),
            401 => Label::Goproxy401,
            403 => Label::Goproxy403,
            404 => Label::Goproxy404,
            410 => Label::Goproxy410,
            429 => Label::Goproxy429,
            400..=499 => Label::Goproxy4xx,
            _ => Label::Goproxy5xx,
        };
        let mut failure = Failure::new(label, format!("reading {url}: {}", answer.status));
        if let Some(line) = answer.first_line() {
            failure = failure.because(format!("server response: {line}"));
        }
        Err(failure)
    });
    Asked { phases, result }
}
