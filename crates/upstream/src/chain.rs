use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fault::Label;
use goenv::RedactedUrl;
use goenv::goproxy::{ProxyList, Target};
use goenv::http_proxy::HttpProxyRules;
use goenv::netrc::Netrc;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::client::{Client, Limits};
use crate::file::FileUpstream;
use crate::http::{HttpUpstream, NoAnswer};
use crate::routes::SumdbRoutes;
use crate::{ChainError, Failure, Request, Small, ZipReply};

/// How one exchange with an upstream ended, for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer that could be used.
    Answered,
    /// What the caller had still holds.
    NotModified,
    /// The upstream says that there is no such thing.
    Absent,
    /// A failure of this kind.
    Failed(Label),
}

/// Is told of every exchange with an upstream.
pub trait Observer: Send + Sync {
    /// One exchange has ended. `elapsed` runs to the end of a small file, and to the first bytes of a zip.
    fn exchange(&self, source: &str, outcome: Outcome, elapsed: Duration);
}

/// What a chain is made from.
pub struct ChainOptions {
    /// The upstreams, in GOPROXY's syntax and order.
    pub list: ProxyList,
    /// Which HTTP proxy leads to which URL.
    pub http_proxies: HttpProxyRules,
    /// Credentials for upstreams whose URL carries none.
    pub netrc: Netrc,
    /// How long an upstream may take.
    pub limits: Limits,
    /// Whether the first upstream's "not found" is believed although a later one could not be asked.
    pub first_is_authoritative: bool,
    /// Told of every exchange.
    pub observer: Arc<dyn Observer>,
}

impl fmt::Debug for ChainOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainOptions")
            .field("list", &self.list)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What was last heard of one upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// The upstream, without credentials.
    pub source: String,
    /// The last failure, unless it has answered since.
    pub failure: Option<Failure>,
}

/// What was last heard of every upstream, in the order of the chain.
pub type ChainStatus = Vec<UpstreamStatus>;

/// Where answers come from that are not stored.
pub struct Chain {
    upstreams: Vec<Upstream>,
    /// What ends the chain when no server is left.
    end: End,
    first_is_authoritative: bool,
    pub(crate) client: Client,
    pub(crate) sumdb_routes: SumdbRoutes,
    observer: Arc<dyn Observer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Nothing,
    Direct,
    Off,
}

pub(crate) struct Upstream {
    server: Server,
    last_failure: Mutex<Option<Failure>>,
}

enum Server {
    Http(HttpUpstream),
    File(FileUpstream),
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<&str> = self.upstreams.iter().map(Upstream::source).collect();
        f.debug_struct("Chain")
            .field("upstreams", &sources)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Chain {
    /// Makes a chain. Nothing is asked yet.
    ///
    /// # Errors
    /// With the reason, when an entry cannot be used: a `file:` URL that names no directory, or a malformed HTTP proxy
    /// setting.
    pub fn new(options: ChainOptions) -> Result<Self, String> {
        let mut upstreams = Vec::new();
        let mut end = End::Nothing;
        let mut hosts = HashSet::new();
        for entry in &options.list.entries {
            match &entry.target {
                Target::Direct => end = End::Direct,
                Target::Off => end = End::Off,
                Target::Url(url) => {
                    if let Some(proxy) = check_http_proxy(&options.http_proxies, url.as_url())? {
                        hosts.insert(proxy);
                    }
                    hosts.extend(url.as_url().host_str().map(str::to_ascii_lowercase));
                    upstreams.push(Upstream::new(url, &options.netrc)?);
                }
            }
        }
        Ok(Self {
            upstreams,
            end,
            first_is_authoritative: options.first_is_authoritative,
            client: Client::new(options.limits, options.http_proxies, hosts),
            sumdb_routes: SumdbRoutes::default(),
            observer: options.observer,
        })
    }

    /// Asks the upstreams in order for a small file; the first usable answer counts.
    pub async fn fetch_small(&self, request: &Request) -> Result<Small, ChainError> {
        let mut tally = Tally::default();
        for (position, upstream) in self.upstreams.iter().enumerate() {
            if !request.may_ask(upstream.source()) {
                continue;
            }
            let began = Instant::now();
            let answer = upstream.fetch_small(&self.client, request).await;
            self.observe(upstream, &answer, began, |small| {
                matches!(small, Small::NotModified(_))
            });
            match answer {
                Ok(small) => return Ok(small),
                Err(no_answer) => {
                    tally.add(no_answer, self.first_is_authoritative && position == 0);
                }
            }
            if tally.is_settled {
                break;
            }
        }
        Err(tally.verdict(self.end))
    }

    /// Asks the upstreams in order for a zip; the first that begins to answer with one counts.
    pub async fn fetch_zip(&self, request: &Request) -> Result<ZipReply, ChainError> {
        let mut tally = Tally::default();
        for (position, upstream) in self.upstreams.iter().enumerate() {
            if !request.may_ask(upstream.source()) {
                continue;
            }
            let began = Instant::now();
            let answer = upstream.fetch_zip(&self.client, request).await;
            self.observe(upstream, &answer, began, |_| false);
            match answer {
                Ok(reply) => return Ok(reply),
                Err(no_answer) => {
                    tally.add(no_answer, self.first_is_authoritative && position == 0);
                }
            }
            if tally.is_settled {
                break;
            }
        }
        Err(tally.verdict(self.end))
    }

    /// What was last heard of every upstream.
    pub fn status(&self) -> ChainStatus {
        self.upstreams
            .iter()
            .map(|upstream| UpstreamStatus {
                source: upstream.source().to_owned(),
                failure: upstream
                    .last_failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
            })
            .collect()
    }

    pub(crate) fn http_upstreams(&self) -> impl Iterator<Item = (&Upstream, &HttpUpstream)> {
        self.upstreams
            .iter()
            .filter_map(|upstream| match &upstream.server {
                Server::Http(http) => Some((upstream, http)),
                Server::File(_) => None,
            })
    }

    pub(crate) fn observe<T>(
        &self,
        upstream: &Upstream,
        answer: &Result<T, NoAnswer>,
        began: Instant,
        is_not_modified: impl Fn(&T) -> bool,
    ) {
        let (outcome, failure) = match answer {
            Ok(answer) if is_not_modified(answer) => (Outcome::NotModified, None),
            Ok(_) => (Outcome::Answered, None),
            Err(NoAnswer::Absent(_)) => (Outcome::Absent, None),
            Err(NoAnswer::Failed(failure)) => {
                tracing::warn!(upstream = %failure.source, label = %failure.label, detail = %failure.detail, "an upstream failed");
                (Outcome::Failed(failure.label), Some(failure.clone()))
            }
        };
        *upstream
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = failure;
        self.observer
            .exchange(upstream.source(), outcome, began.elapsed());
    }
}

/// The proxy host that leads to `url`, if any.
fn check_http_proxy(rules: &HttpProxyRules, url: &Url) -> Result<Option<String>, String> {
    let proxy = rules.for_url(url).map_err(|error| error.to_string())?;
    Ok(proxy.and_then(|proxy| proxy.as_url().host_str().map(str::to_ascii_lowercase)))
}

impl Upstream {
    fn new(url: &RedactedUrl, netrc: &Netrc) -> Result<Self, String> {
        let server = if url.as_url().scheme() == "file" {
            FileUpstream::new(url.as_url())
                .map(Server::File)
                .ok_or_else(|| format!("{url} does not name a directory of this machine"))?
        } else {
            Server::Http(HttpUpstream::new(
                url.as_url(),
                credentials(url.as_url(), netrc),
            ))
        };
        Ok(Self {
            server,
            last_failure: Mutex::new(None),
        })
    }

    fn source(&self) -> &str {
        match &self.server {
            Server::Http(http) => http.source(),
            Server::File(file) => file.source(),
        }
    }

    async fn fetch_small(&self, client: &Client, request: &Request) -> Result<Small, NoAnswer> {
        match &self.server {
            Server::Http(http) => http.fetch_small(client, request).await,
            Server::File(file) => file.fetch_small(request).await,
        }
    }

    async fn fetch_zip(&self, client: &Client, request: &Request) -> Result<ZipReply, NoAnswer> {
        match &self.server {
            Server::Http(http) => http.fetch_zip(client, request).await,
            Server::File(file) => file.fetch_zip(request).await,
        }
    }
}

/// Basic credentials from the URL, else from netrc and then over https only, as the `go` command has it.
fn credentials(url: &Url, netrc: &Netrc) -> Option<HeaderValue> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if !url.username().is_empty() || url.password().is_some() {
        return basic(
            &decoded(url.username()),
            &decoded(url.password().unwrap_or_default()),
        );
    }
    let entry = netrc.lookup(url).filter(|_| url.scheme() == "https")?;
    basic(&entry.login, entry.password.expose())
}

fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Collects what the upstreams of a chain said until one has an answer.
#[derive(Default)]
struct Tally {
    absence: Option<crate::Absence>,
    failures: Vec<Failure>,
    is_settled: bool,
}

impl Tally {
    fn add(&mut self, no_answer: NoAnswer, is_authority: bool) {
        match no_answer {
            NoAnswer::Absent(absence) => {
                self.is_settled = is_authority;
                self.absence.get_or_insert(absence);
            }
            NoAnswer::Failed(failure) => self.failures.push(failure),
        }
    }

    /// Absent only if nobody who could know was out of reach.
    fn verdict(self, end: End) -> ChainError {
        let said = match self.absence {
            Some(absence) if self.failures.is_empty() || self.is_settled => {
                Some(ChainError::Absent(absence))
            }
            _ if self.failures.is_empty() => None,
            _ => Some(ChainError::Trouble(self.failures)),
        };
        match (said, end) {
            (Some(said), End::Direct) if !self.is_settled => {
                ChainError::Direct(Some(Box::new(said)))
            }
            (Some(said), _) => said,
            (None, End::Off) => ChainError::Off,
            (None, End::Direct | End::Nothing) => ChainError::Direct(None),
        }
    }
}
