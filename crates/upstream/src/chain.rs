use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use goenv::RedactedUrl;
use goenv::goproxy::{ProxyList, Target};
use goenv::http_proxy::HttpProxyRules;
use goenv::netrc::Netrc;
use url::{Host, Url};

use crate::breaker::BreakerState;
use crate::campaign::{Entrant, Terms, run};
use crate::client::{Client, Limits, Network};
use crate::guard::{AddressRule, GuardedResolver};
use crate::health::{Counts, Kind};
use crate::http::{HttpUpstream, NoAnswer};
use crate::names::Names;
use crate::observe::{Observer, Outcome};
use crate::order::{Fare, Order, defer, improve};
use crate::probe::Prober;
use crate::resume::resumable;
use crate::routes::SumdbRoutes;
use crate::tally::Tally;
use crate::upstream::{Server, Upstream};
use crate::{ChainError, Failure, NameServers, Request, Small, Via, ZipReply};

/// What a chain is made from.
pub struct ChainOptions {
    /// The upstreams, in GOPROXY's syntax and order.
    pub list: ProxyList,
    /// Which HTTP proxy leads to which URL.
    pub http_proxies: HttpProxyRules,
    /// Credentials for upstreams whose URL carries none.
    pub netrc: Netrc,
    /// Which resolvers are asked where upstreams are.
    pub names: NameServers,
    /// How long an upstream may take.
    pub limits: Limits,
    /// Whether the first upstream's "not found" is believed although a later one could not be asked.
    pub first_is_authoritative: bool,
    /// Who is asked first.
    pub order: Order,
    /// How often an upstream is asked only to see whether it answers, while anybody is interested.
    pub probe_interval: Duration,
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

/// How one upstream fares.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamStatus {
    /// The upstream, without credentials.
    pub source: String,
    /// The last failure, unless it has answered since.
    pub failure: Option<Failure>,
    /// Whether requests go there.
    pub breaker: BreakerState,
    /// What an answer takes, as a moving average.
    pub average: Option<Duration>,
    /// What 19 of 20 answers stay below, small files only.
    pub p95: Option<Duration>,
    /// What was done about trouble with it.
    pub counts: Counts,
}

/// How every upstream fares, in the order of the chain.
pub type ChainStatus = Vec<UpstreamStatus>;

/// Nobody counts what strangers' servers do: there may be any number of them.
struct Unobserved;

impl Observer for Unobserved {
    fn exchange(&self, _source: &str, _outcome: Outcome, _elapsed: Duration) {}
}

/// Where answers come from that are not stored.
pub struct Chain {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    /// What ends the chain when no server is left.
    end: End,
    first_is_authoritative: bool,
    ranking: Mutex<Ranking>,
    pub(crate) network: Network,
    netrc: Netrc,
    pub(crate) sumdb_routes: SumdbRoutes,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) prober: Prober,
    pub(crate) is_quiet: AtomicBool,
    pub(crate) databases: Mutex<Vec<Arc<Upstream>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Nothing,
    Direct,
    Off,
}

/// What is remembered of the order in which upstreams were asked.
enum Ranking {
    Configured {
        /// Which are far slower than another.
        sluggish: Vec<bool>,
    },
    Fastest {
        order: Vec<usize>,
    },
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources: Vec<&str> = self
            .inner
            .upstreams
            .iter()
            .map(|upstream| upstream.source())
            .collect();
        f.debug_struct("Chain")
            .field("upstreams", &sources)
            .field("end", &self.inner.end)
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
        let mut end = End::Nothing;
        let mut hosts = HashSet::new();
        let mut urls = Vec::new();
        for entry in &options.list.entries {
            match &entry.target {
                Target::Direct => end = End::Direct,
                Target::Off => end = End::Off,
                Target::Url(url) => {
                    hosts.extend(check_http_proxy(&options.http_proxies, url.as_url())?);
                    hosts.extend(url.as_url().host_str().map(str::to_ascii_lowercase));
                    urls.push(url);
                }
            }
        }
        let names = Names::new(options.names, options.http_proxies.clone());
        let network = Network {
            limits: options.limits,
            proxies: options.http_proxies,
            resolver: GuardedResolver::new(hosts, names),
        };
        let upstreams = urls
            .into_iter()
            .map(|url| {
                Upstream::new(url, &options.netrc, &network, &options.observer).map(Arc::new)
            })
            .collect::<Result<Vec<_>, String>>()?;
        let ranking = match options.order {
            Order::Configured => Ranking::Configured {
                sluggish: Vec::new(),
            },
            Order::Fastest => Ranking::Fastest {
                order: (0..upstreams.len()).collect(),
            },
        };
        Ok(Self {
            inner: Arc::new(Inner {
                upstreams,
                end,
                first_is_authoritative: options.first_is_authoritative,
                ranking: Mutex::new(ranking),
                network,
                netrc: options.netrc,
                sumdb_routes: SumdbRoutes::default(),
                observer: options.observer,
                prober: Prober::new(options.probe_interval),
                is_quiet: AtomicBool::new(false),
                databases: Mutex::default(),
            }),
        })
    }

    /// A chain of one server that nobody has configured: the page of a module names it in place of a repository. It is
    /// asked with the limits, proxies and credentials of this chain, at addresses that `rule` permits, and nobody is
    /// told how it fares.
    ///
    /// # Errors
    /// With the reason, when the URL cannot be used.
    pub fn beside(&self, url: &Url, rule: AddressRule) -> Result<Self, String> {
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => Some(v4.into()),
            Some(Host::Ipv6(v6)) => Some(v6.into()),
            Some(Host::Domain(_)) | None => None,
        };
        let host = url.host_str().unwrap_or_default();
        if address.is_some_and(|address| !rule(host, address)) {
            return Err(format!(
                "{host} is a private, loopback or link-local address, which is refused"
            ));
        }
        let observer: Arc<dyn Observer> = Arc::new(Unobserved);
        let network = Network {
            resolver: self.inner.network.resolver.with_rule(rule),
            ..self.inner.network.clone()
        };
        let url = RedactedUrl::new(url.clone());
        let upstream = Upstream::new(&url, &self.inner.netrc, &network, &observer)?;
        Ok(Self {
            inner: Arc::new(Inner {
                upstreams: vec![Arc::new(upstream)],
                end: End::Nothing,
                first_is_authoritative: false,
                ranking: Mutex::new(Ranking::Configured {
                    sluggish: Vec::new(),
                }),
                network,
                netrc: self.inner.netrc.clone(),
                sumdb_routes: SumdbRoutes::default(),
                observer,
                prober: Prober::new(self.inner.prober.interval()),
                is_quiet: AtomicBool::new(true),
                databases: Mutex::default(),
            }),
        })
    }

    /// Asks the upstreams for a small file until one has a usable answer.
    pub async fn fetch_small(&self, request: &Request) -> Result<Small, ChainError> {
        let inner = &self.inner;
        inner.prober.wake(inner, request);
        let entrants = inner.entrants(request, |upstream| upstream.fetch_small(request).boxed());
        run(&entrants, inner.terms(Kind::Small), outcome_of_small)
            .await
            .map_err(|tally| inner.verdict(tally, &request.via))
    }

    /// Asks the upstreams for a zip until one begins to answer with one. If it breaks off, the same or another upstream
    /// is asked for the rest.
    pub async fn fetch_zip(&self, request: &Request) -> Result<ZipReply, ChainError> {
        let inner = &self.inner;
        inner.prober.wake(inner, request);
        let entrants = inner.entrants(request, |upstream| upstream.fetch_zip(request).boxed());
        run(&entrants, inner.terms(Kind::Zip), |_| Outcome::Answered)
            .await
            .map(|reply| resumable(reply, inner.clone(), request.clone()))
            .map_err(|tally| inner.verdict(tally, &request.via))
    }

    /// Tells that what came from an upstream was found to be wrong later: it counts against it.
    pub fn blame(&self, failure: &Failure) {
        if let Some(upstream) = self
            .inner
            .upstreams
            .iter()
            .find(|upstream| upstream.source() == failure.source)
        {
            upstream.health.blame(failure, tokio::time::Instant::now());
        }
    }

    /// While it is quiet, no upstream is asked just to see whether it answers. Requests are put to them as ever.
    pub fn set_quiet(&self, quiet: bool) {
        self.inner.is_quiet.store(quiet, Ordering::Relaxed);
    }

    /// Whether it was told to be quiet.
    pub fn is_quiet(&self) -> bool {
        self.inner.is_quiet.load(Ordering::Relaxed)
    }

    /// How every upstream fares.
    pub fn status(&self) -> ChainStatus {
        let status = |upstream: &Arc<Upstream>| {
            let snapshot = upstream.health.snapshot();
            UpstreamStatus {
                source: upstream.source().to_owned(),
                failure: snapshot.last_failure,
                breaker: snapshot.breaker,
                average: snapshot.average,
                p95: snapshot.p95,
                counts: snapshot.counts,
            }
        };
        self.inner.upstreams.iter().map(status).collect()
    }
}

pub(crate) fn outcome_of_small(small: &Small) -> Outcome {
    match small {
        Small::Body(_) => Outcome::Answered,
        Small::NotModified(_) => Outcome::NotModified,
    }
}

impl Inner {
    pub(crate) fn terms(&self, kind: Kind) -> Terms {
        Terms {
            kind,
            deadline: self.network.limits.deadline,
            outage: self.network.limits.outage,
        }
    }

    /// The upstreams in the order in which they are to be asked, each with the way to ask.
    pub(crate) fn entrants<'a, T, F>(&'a self, request: &Request, ask: F) -> Vec<Entrant<'a, T>>
    where
        F: Fn(&'a Upstream) -> BoxFuture<'a, Result<T, NoAnswer>> + Send + Sync + Copy + 'a,
    {
        self.ranked()
            .into_iter()
            .filter_map(|index| Some((index, self.upstreams.get(index)?)))
            .filter(|(_, upstream)| request.may_ask(upstream.source()))
            .map(|(index, upstream)| Entrant {
                health: &upstream.health,
                is_authority: self.first_is_authoritative && index == 0,
                ask: Box::new(move || ask(upstream)),
            })
            .collect()
    }

    fn ranked(&self) -> Vec<usize> {
        let fares: Vec<Fare> = self
            .upstreams
            .iter()
            .map(|upstream| {
                let snapshot = upstream.health.snapshot();
                Fare {
                    average: snapshot.average,
                    failing: snapshot.failing,
                }
            })
            .collect();
        let mut ranking = self.ranking.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *ranking {
            Ranking::Configured { sluggish } => defer(sluggish, &fares),
            Ranking::Fastest { order } => {
                improve(order, &fares);
                order.clone()
            }
        }
    }

    pub(crate) fn http_upstreams(&self) -> impl Iterator<Item = (&Upstream, &HttpUpstream)> {
        self.upstreams
            .iter()
            .filter_map(|upstream| match &upstream.server {
                Server::Http(http) => Some((&**upstream, &**http)),
                Server::File(_) => None,
            })
    }

    /// The server of a checksum database, which is remembered with its health.
    pub(crate) fn database(&self, base: &Url) -> Arc<Upstream> {
        let client = Client::new(&self.network, base);
        let server = HttpUpstream::new(base, None, client, self.observer.clone());
        let mut databases = self
            .databases
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = databases
            .iter()
            .find(|known| known.source() == server.source())
        {
            return known.clone();
        }
        let database = Arc::new(Upstream::from_http(server, &self.observer));
        databases.push(database.clone());
        database
    }

    /// Absent only if nobody who could know was out of reach. Who is asked in a circle knows no more than who asks: where
    /// the request began, that counts for nothing; on the way it is told on, because there may be others to ask.
    fn verdict(&self, mut tally: Tally, via: &Via) -> ChainError {
        let is_settled = tally.is_settled;
        let circles = std::mem::take(&mut tally.circles);
        let is_told_on = !circles.is_empty() && !via.is_empty() && !is_settled;
        let ends_here = !circles.is_empty() && self.end != End::Direct;
        let said = match tally.absence() {
            Ok(_) if is_told_on => Some(ChainError::Circle(circles)),
            Ok(absence) => Some(ChainError::Absent(absence)),
            Err(failures) if !failures.is_empty() => Some(ChainError::Trouble(failures)),
            Err(_) if is_told_on || ends_here => Some(ChainError::Circle(circles)),
            Err(_) => None,
        };
        match (said, self.end) {
            (Some(said), End::Direct) if !is_settled => ChainError::Direct(Some(Box::new(said))),
            (Some(said), _) => said,
            (None, End::Off) => ChainError::Off,
            (None, End::Direct | End::Nothing) => ChainError::Direct(None),
        }
    }
}

/// The proxy host that leads to `url`, if any.
fn check_http_proxy(rules: &HttpProxyRules, url: &Url) -> Result<Option<String>, String> {
    let proxy = rules.for_url(url).map_err(|error| error.to_string())?;
    Ok(proxy.and_then(|proxy| proxy.as_url().host_str().map(str::to_ascii_lowercase)))
}
