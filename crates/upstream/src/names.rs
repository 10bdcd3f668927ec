//! Where names lead, by the word of the system or of resolvers of one's own choice.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use goenv::http_proxy::HttpProxyRules;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::Instant;
use url::Host;

use crate::dns::{Family, Query, Said, Trouble, over_https, over_tls, over_udp};
use crate::guard::LookupError;
use crate::name_servers::{NameServer, NameServers};

/// An answer is used again for as long as it says, and no longer than this.
const LONGEST_KEPT: Duration = Duration::from_hours(1);
/// Names whose addresses are kept.
const MOST_KEPT: usize = 256;
/// How long one resolver is waited for before the next is asked beside it.
const HEAD_START: Duration = Duration::from_millis(300);
/// For a whole answer of one resolver, connection included.
const LIMIT: Duration = Duration::from_secs(5);
/// How much longer than the addresses of one family those of the other are waited for: some servers never answer a
/// question for what they do not have.
const OTHER_FAMILY: Duration = Duration::from_millis(250);

/// The resolvers, at work.
pub(crate) struct Names {
    config: NameServers,
    http_proxies: HttpProxyRules,
    /// Hosts of HTTP proxies: they are in the own network.
    proxies: HashSet<String>,
    answers: Mutex<HashMap<String, (Vec<SocketAddr>, Instant)>>,
    /// Made at first use, which reads the certificates of the system.
    https: OnceLock<Result<reqwest::Client, String>>,
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Names").field(&self.config).finish()
    }
}

impl Names {
    pub(crate) fn new(config: NameServers, http_proxies: HttpProxyRules) -> Self {
        let proxies = http_proxies.proxies();
        let proxies = proxies
            .filter_map(|proxy| proxy.host_str().map(str::to_ascii_lowercase))
            .collect();
        Self {
            config,
            http_proxies,
            proxies,
            answers: Mutex::default(),
            https: OnceLock::new(),
            tls: OnceLock::new(),
        }
    }

    /// Where `host`, in lower case, leads. The next resolver is asked when one fails or is slow, not when it says that
    /// there is no such name.
    pub(crate) async fn ask(&self, host: &str) -> Result<Vec<SocketAddr>, LookupError> {
        if self.proxies.contains(host) || self.config.is_internal(host) {
            return ask_system(host).await;
        }
        if let Some((addresses, until)) = self.answers().get(host)
            && Instant::now() < *until
        {
            return Ok(addresses.clone());
        }
        let mut under_way = FuturesUnordered::new();
        let mut waiting = self.config.servers.iter();
        let mut first_failure = None;
        loop {
            let next = waiting.next();
            under_way.extend(
                next.map(|server| async move { (server, self.ask_one(server, host).await) }),
            );
            let answered = match next {
                None => under_way.next().await,
                Some(_) => match tokio::time::timeout(HEAD_START, under_way.next()).await {
                    Ok(answered) => answered,
                    Err(_) => continue,
                },
            };
            match answered {
                Some((
                    server,
                    Err(error @ (LookupError::Failed(..) | LookupError::Silent(..))),
                )) => {
                    tracing::debug!(host, resolver = %server, %error, "a resolver failed");
                    first_failure.get_or_insert(error);
                }
                Some((_, answer)) => return answer,
                None => break,
            }
        }
        Err(first_failure.unwrap_or_else(|| LookupError::NoSuchHost(host.to_owned())))
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, (Vec<SocketAddr>, Instant)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_one(
        &self,
        server: &NameServer,
        host: &str,
    ) -> Result<Vec<SocketAddr>, LookupError> {
        let no_such_host = || Err(LookupError::NoSuchHost(host.to_owned()));
        if *server == NameServer::System {
            return ask_system(host).await;
        }
        let name = host.trim_end_matches('.');
        let (Some(v6), Some(v4)) = (Query::new(name, Family::V6), Query::new(name, Family::V4))
        else {
            return no_such_host();
        };
        let both = async {
            let v6 = std::pin::pin!(self.exchange(server, &v6));
            let v4 = std::pin::pin!(self.exchange(server, &v4));
            match select(v6, v4).await {
                Either::Left((v6, v4)) => [Some(v6.clone()), beside(&v6, v4).await],
                Either::Right((v4, v6)) => [beside(&v4, v6).await, Some(v4)],
            }
        };
        let Ok(said) = tokio::time::timeout(LIMIT, both).await else {
            return Err(LookupError::Silent(host.to_owned(), server.to_string()));
        };
        let (mut found, mut good_for) = (Vec::new(), LONGEST_KEPT);
        let mut trouble = None;
        for said in said.into_iter().flatten() {
            match said {
                Ok(Said::Addresses(addresses, ttl)) if !addresses.is_empty() => {
                    good_for = good_for.min(ttl);
                    found.extend(
                        addresses
                            .into_iter()
                            .map(|address| SocketAddr::new(address, 0)),
                    );
                }
                Ok(Said::Addresses(..) | Said::NoSuchName) => {}
                Err(error) => trouble = Some(error),
            }
        }
        match trouble {
            _ if !found.is_empty() => {
                self.keep(host, &found, good_for);
                Ok(found)
            }
            None => no_such_host(),
            Some(Trouble::Silence) => Err(LookupError::Silent(host.to_owned(), server.to_string())),
            Some(Trouble::Unusable(words)) => {
                Err(LookupError::Failed(format!("{host} on {server}"), words))
            }
        }
    }

    /// What was said of a host is not used again: it cannot be reached there.
    pub(crate) fn forget(&self, host: &str) {
        self.answers().remove(host);
    }

    fn keep(&self, host: &str, found: &[SocketAddr], good_for: Duration) {
        let mut answers = self.answers();
        if answers.len() >= MOST_KEPT && !answers.contains_key(host) {
            answers.clear();
        }
        answers.insert(host.to_owned(), (found.to_vec(), Instant::now() + good_for));
    }

    async fn exchange(&self, server: &NameServer, query: &Query) -> Result<Said, Trouble> {
        match server {
            // Asked in another way.
            NameServer::System => Err(Trouble::Silence),
            NameServer::Plain(address) => over_udp(*address, query).await,
            NameServer::Tls { host, port } => {
                let unusable = |error: &dyn fmt::Display| Trouble::Unusable(error.to_string());
                let name = match host {
                    Host::Domain(name) => {
                        ServerName::try_from(name.clone()).map_err(|error| unusable(&error))?
                    }
                    Host::Ipv4(ip) => ServerName::IpAddress(IpAddr::V4(*ip).into()),
                    Host::Ipv6(ip) => ServerName::IpAddress(IpAddr::V6(*ip).into()),
                };
                let config = self.tls.get_or_init(tls_config);
                let config = config.as_ref().map_err(|error| unusable(error))?.clone();
                let servers = addresses_of(host, *port).await?;
                over_tls(&servers, name, config, query).await
            }
            NameServer::Https(url) => {
                let client = self.https.get_or_init(|| https_client(&self.http_proxies));
                let client = client
                    .as_ref()
                    .map_err(|reason| Trouble::Unusable(reason.clone()))?;
                over_https(client, url, query).await
            }
        }
    }
}

/// The answer for the other family of addresses, once one family's is there.
async fn beside<F>(one: &Result<Said, Trouble>, other: F) -> Option<Result<Said, Trouble>>
where
    F: Future<Output = Result<Said, Trouble>>,
{
    match one {
        Ok(Said::Addresses(addresses, _)) if !addresses.is_empty() => {
            tokio::time::timeout(OTHER_FAMILY, other).await.ok()
        }
        Ok(_) | Err(_) => Some(other.await),
    }
}

/// The name of a resolver's host is asked of the system, who else.
async fn addresses_of(host: &Host, port: u16) -> Result<Vec<SocketAddr>, Trouble> {
    let found = match host {
        Host::Ipv4(ip) => return Ok(vec![(*ip, port).into()]),
        Host::Ipv6(ip) => return Ok(vec![(*ip, port).into()]),
        Host::Domain(name) => ask_system(name).await,
    };
    let found = found.map_err(|error| Trouble::Unusable(error.to_string()))?;
    Ok(found
        .into_iter()
        .map(|address| SocketAddr::new(address.ip(), port))
        .collect())
}

/// Certificates are judged as the HTTP client judges them.
fn tls_config() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_no_client_auth()))
}

/// A client for resolvers alone: it looks their hosts up with the system's resolver.
#[expect(
    clippy::disallowed_methods,
    reason = "resolvers cannot be asked by the client that asks for them"
)]
fn https_client(proxies: &HttpProxyRules) -> Result<reqwest::Client, String> {
    let proxies = proxies.clone();
    reqwest::Client::builder()
        .user_agent(concat!("modkeep/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .proxy(reqwest::Proxy::custom(move |url| {
            let proxy = proxies.for_url(url).ok().flatten();
            proxy.map(|proxy| proxy.as_url().clone())
        }))
        .build()
        .map_err(|error| error.to_string())
}

async fn ask_system(host: &str) -> Result<Vec<SocketAddr>, LookupError> {
    tokio::net::lookup_host((host, 0))
        .await
        .map(Iterator::collect)
        .map_err(|error| system_error(host, &error))
}

/// The system's resolver tells its reasons in words only.
fn system_error(host: &str, error: &std::io::Error) -> LookupError {
    let words = error.to_string();
    if words.contains("not known")
        || words.contains("No address associated")
        || words.contains("nodename nor servname")
    {
        LookupError::NoSuchHost(host.to_owned())
    } else if words.contains("Temporary failure") {
        LookupError::Failed(host.to_owned(), "server misbehaving".to_owned())
    } else {
        LookupError::Failed(host.to_owned(), words)
    }
}
