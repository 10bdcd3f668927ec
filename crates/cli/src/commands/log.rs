use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use goenv::Environment;
use goenv::goproxy::ProxyList;
use goenv::gosumdb::SUM_GOLANG_ORG_KEY;
use goenv::http_proxy::HttpProxyRules;
use goenv::netrc::Netrc;
use serde::Serialize;
use sumdb::BoxError;
use sumdb::client::RemoteError;
use sumdb::note::VerifierKey;
use sumdb::tile::{Tile, TileLevel};
use sumlog::{AuditOptions, AuditOutcome, Fetch, Kept, KeptFile};
use upstream::{Chain, ChainError, ChainOptions, Expect, Observer, Outcome, Request, Small};
use url::Url;

use super::{CannotDo, Status};
use crate::args::{AuditArguments, Format, LogCommand};
use crate::output;

/// How often something is asked for before it counts as out of reach.
const ATTEMPTS: u32 = 4;
/// The pause after the first failure; it doubles with each.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the progress line is renewed.
const RENEWAL: Duration = Duration::from_millis(200);

pub(super) fn run(environment: &Environment, command: &LogCommand) -> Result<Status, CannotDo> {
    match command {
        LogCommand::Audit(arguments) => audit(environment, arguments),
    }
}

fn audit(environment: &Environment, arguments: &AuditArguments) -> Result<Status, CannotDo> {
    let base = address(&arguments.url)?;
    let key = key_of(arguments, &base)?;
    let kept = StateFile(arguments.from.as_ref().map(KeptFile::new));
    let _provider_was_set = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let database = Database {
        name: key.id().name.to_string(),
        chain: chain(environment)?,
        base,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CannotDo::new)?;
    let options = AuditOptions {
        parallel: arguments.parallel.get(),
    };
    let mut progress = Progress::new();
    let outcome = runtime.block_on(sumlog::audit(
        key,
        Arc::new(database),
        &kept,
        options,
        |checked, size| progress.show(checked, size),
    ));
    progress.clear();
    let outcome = outcome
        .map_err(|error| CannotDo::new(format!("{} cannot be audited: {error}", arguments.url)))?;
    print(&arguments.url, &outcome, arguments.format)
}

/// What an audit came to, for programs.
#[derive(Serialize)]
struct Audited<'a> {
    url: &'a str,
    sound: bool,
    records: Option<u64>,
    root: Option<String>,
    tiles: Option<u64>,
    findings: Vec<String>,
    more_findings: u64,
    /// Both notes of a fork.
    #[serde(skip_serializing_if = "Option::is_none")]
    fork: Option<[&'a str; 2]>,
}

fn print(url: &str, outcome: &AuditOutcome, format: Format) -> Result<Status, CannotDo> {
    let is_sound = matches!(outcome, AuditOutcome::Complete(report) if report.is_sound());
    match format {
        Format::Human => output::result(outcome),
        Format::Json => {
            let (report, fork) = match outcome {
                AuditOutcome::Complete(report) => (Some(report), None),
                AuditOutcome::Fork(fork) => {
                    (None, Some([fork.older.as_str(), fork.newer.as_str()]))
                }
                AuditOutcome::Misbehaviour(_) => (None, None),
            };
            let audited = Audited {
                url,
                sound: is_sound,
                records: report.map(|report| report.tree.size()),
                root: report.map(|report| report.tree.root().to_string()),
                tiles: report.map(|report| report.tiles),
                findings: report.map_or_else(
                    || vec![outcome.to_string()],
                    |report| report.findings.iter().map(ToString::to_string).collect(),
                ),
                more_findings: report.map_or(0, |report| report.more_findings),
                fork,
            };
            output::result(serde_json::to_string(&audited).map_err(CannotDo::new)?);
        }
    }
    Ok(if is_sound {
        Status::Done
    } else {
        Status::Findings
    })
}

/// A bare name is one of an HTTPS server, as in GOSUMDB.
fn address(text: &str) -> Result<Url, CannotDo> {
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&with_scheme)
        .map_err(|error| CannotDo::new(format!("{text:?} is no address: {error}")))?;
    let usable = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    usable
        .then_some(url)
        .ok_or_else(|| CannotDo::new(format!("{text:?} is no address of an HTTP server")))
}

fn key_of(arguments: &AuditArguments, base: &Url) -> Result<VerifierKey, CannotDo> {
    let is_public = matches!(
        base.host_str(),
        Some("sum.golang.org" | "sum.golang.google.cn")
    );
    let text = match &arguments.key {
        Some(key) => key.as_str(),
        None if is_public => SUM_GOLANG_ORG_KEY,
        None => {
            return Err(CannotDo::new(
                "whose signature counts? name the database's verifier key with --key",
            ));
        }
    };
    VerifierKey::parse(text).map_err(|error| CannotDo::new(format!("--key: {error}")))
}

struct NobodyCounts;

impl Observer for NobodyCounts {
    fn exchange(&self, _source: &str, _outcome: Outcome, _elapsed: Duration) {}
}

/// No upstream is asked; the chain has the one HTTP client of the program, with its limits and proxies.
fn chain(environment: &Environment) -> Result<Chain, CannotDo> {
    let options = ChainOptions {
        list: ProxyList::parse("off").map_err(CannotDo::new)?,
        http_proxies: HttpProxyRules::from_environment(environment),
        netrc: Netrc::load(environment).map_err(CannotDo::new)?,
        names: upstream::NameServers::default(),
        limits: upstream::Limits::default(),
        first_is_authoritative: false,
        order: upstream::Order::Configured,
        probe_interval: Duration::from_secs(5),
        observer: Arc::new(NobodyCounts),
    };
    Chain::new(options).map_err(CannotDo::new)
}

/// The database that is audited.
struct Database {
    name: String,
    base: Url,
    chain: Chain,
}

impl Fetch for Database {
    async fn fetch(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let path = path.trim_start_matches('/');
        let request = Request {
            path: path.to_owned(),
            expect: expectation(path),
            revalidate: None,
            without: Vec::new(),
            traceparent: None,
            via: upstream::Via::default(),
        };
        let mut pause = PAUSE;
        for attempt in 1.. {
            let answer = self
                .chain
                .fetch_sumdb(&self.name, &request, &self.base, false);
            match answer.await {
                Ok(Small::Body(reply)) => return Ok(reply.body.to_vec()),
                Ok(Small::NotModified(_)) => break,
                Err(ChainError::Absent(absence)) => {
                    return Err(RemoteError::Absent(absence.reason));
                }
                Err(error) if attempt >= ATTEMPTS || !error.is_retryable() => {
                    return Err(RemoteError::Failed(error.into()));
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = pause.saturating_mul(2);
        }
        Err(RemoteError::Failed(
            "an answer to a question that was not asked".into(),
        ))
    }
}

fn expectation(path: &str) -> Expect {
    match Tile::parse_path(path) {
        Ok(tile) if tile.level() != TileLevel::Data => Expect::Hashes(tile.byte_length() as u64),
        _ => Expect::Text,
    }
}

/// The head of an earlier audit, in a file; or nowhere.
struct StateFile(Option<KeptFile>);

impl Kept for StateFile {
    fn read(&self) -> Result<Option<Vec<u8>>, BoxError> {
        self.0.as_ref().map_or(Ok(None), Kept::read)
    }

    fn replace(&self, note: &[u8]) -> Result<(), BoxError> {
        self.0.as_ref().map_or(Ok(()), |file| file.replace(note))
    }
}

/// One line on a terminal that is written over again and again; nothing elsewhere.
struct Progress {
    shown: Option<Instant>,
    on_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            shown: None,
            on_terminal: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, checked: u64, size: u64) {
        let is_due = self.shown.is_none_or(|shown| shown.elapsed() >= RENEWAL);
        if self.on_terminal && is_due {
            let percent = checked.saturating_mul(100) / size.max(1);
            let _gone = write!(io::stderr(), "\r{checked} of {size} records ({percent} %)");
            self.shown = Some(Instant::now());
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            let _gone = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
