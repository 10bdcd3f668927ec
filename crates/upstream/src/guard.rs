//! Which addresses a request may go to, whatever name led there.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fault::Label;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;
use url::Url;

use crate::names::Names;
use crate::trials::Trials;

/// A name that led to no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// The resolver says that there is no such name.
    NoSuchHost(String),
    /// The resolver did not answer usefully.
    Failed(String, String),
    /// This resolver did not answer.
    Silent(String, String),
    /// The name leads to addresses that a redirect must not reach.
    Forbidden(String),
}

impl LookupError {
    pub(crate) fn label(&self) -> Label {
        match self {
            Self::NoSuchHost(_) => Label::DnsNxdomain,
            Self::Failed(..) => Label::DnsServfail,
            Self::Silent(..) => Label::DnsTimeout,
            Self::Forbidden(_) => Label::DnsPoisoned,
        }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchHost(host) => write!(f, "lookup {host}: no such host"),
            Self::Failed(host, words) => write!(f, "lookup {host}: {words}"),
            Self::Silent(host, resolver) => write!(f, "lookup {host} on {resolver}: i/o timeout"),
            Self::Forbidden(host) => write!(
                f,
                "lookup {host}: it leads to a link-local address, which is refused"
            ),
        }
    }
}

impl std::error::Error for LookupError {}

/// Whether an address only has a meaning on one link, as those of cloud metadata services do. No GOPROXY server has
/// one, so an upstream's redirect that leads there is an attack or a mistake.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_link_local(IpAddr::V4(v4)),
            None => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast(),
        },
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, or translated by NAT64's well-known prefix (RFC 6052).
fn embedded_v4(address: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    if let Some(v4) = address.to_ipv4_mapped() {
        return Some(v4);
    }
    let [prefix @ .., high, low] = address.segments();
    if prefix != [0x64, 0xff9b, 0, 0, 0, 0] {
        return None;
    }
    let ([h1, h2], [l1, l2]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(std::net::Ipv4Addr::new(h1, h2, l1, l2))
}

/// How long a resolver is waited for when the addresses that a name had before are known.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long addresses are remembered for the time when the resolver fails (RFC 8767 recommends one to three days).
const REMEMBERED: Duration = Duration::from_hours(48);
/// Names whose addresses are remembered.
const MOST_NAMES: usize = 256;

tokio::task_local! {
    /// What was offered to the connection that is coming about.
    static OFFERED: Arc<Mutex<Option<Offer>>>;
}

/// Where a connection may go.
struct Offer {
    host: String,
    /// The address that is used first, if there are others.
    first: Option<IpAddr>,
    at: Instant,
}

impl Offer {
    /// Outside of a connection that is watched, nobody hears of it.
    fn tell(self) {
        let _outside = OFFERED.try_with(|offered| {
            *offered.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
        });
    }
}

/// Resolves names. Names that are not configured (so: from a redirect) lead to no link-local address. While the resolver fails or is slow, names lead where they led before; that there is no such
/// name is believed.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    rule: AddressRule,
    names: Arc<Names>,
    remembered: Arc<Remembered>,
    trials: Arc<Trials>,
    /// A host, and the port at which it is reached.
    target: Option<Arc<(String, u16)>>,
}

/// Whether a host may be reached at an address.
pub type AddressRule = Arc<dyn Fn(&str, IpAddr) -> bool + Send + Sync>;

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").finish_non_exhaustive()
    }
}

/// Where names led, and when they did.
#[derive(Debug, Default)]
struct Remembered(Mutex<HashMap<String, (Vec<SocketAddr>, Instant)>>);

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Vec<SocketAddr>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, host: &str) -> Option<Vec<SocketAddr>> {
        let names = self.lock();
        let (addresses, since) = names.get(host)?;
        (since.elapsed() < REMEMBERED).then(|| addresses.clone())
    }

    fn learn(&self, host: &str, answer: &Result<Vec<SocketAddr>, LookupError>) {
        let mut names = self.lock();
        match answer {
            Ok(addresses) => {
                if names.len() >= MOST_NAMES && !names.contains_key(host) {
                    names.clear();
                }
                names.insert(host.to_owned(), (addresses.clone(), Instant::now()));
            }
            Err(LookupError::NoSuchHost(_) | LookupError::Forbidden(_)) => {
                names.remove(host);
            }
            Err(LookupError::Failed(..) | LookupError::Silent(..)) => {}
        }
    }
}

impl GuardedResolver {
    pub(crate) fn new(configured: HashSet<String>, names: Names) -> Self {
        Self {
            rule: Arc::new(move |host, address| {
                configured.contains(host) || !is_link_local(address)
            }),
            names: Arc::new(names),
            remembered: Arc::default(),
            trials: Arc::default(),
            target: None,
        }
    }

    /// One for strangers' hosts, whose addresses follow another rule. The same resolvers are asked.
    pub(crate) fn with_rule(&self, rule: AddressRule) -> Self {
        Self {
            rule,
            remembered: Arc::default(),
            ..self.clone()
        }
    }

    /// One for connections to the host of this URL: at its port, addresses can be tried.
    pub(crate) fn towards(&self, url: &Url) -> Self {
        let host = url.host_str().map(str::to_ascii_lowercase);
        Self {
            target: host.zip(url.port_or_known_default()).map(Arc::new),
            ..self.clone()
        }
    }

    /// Waits for a connection. If it fails, the address that it was to use first is remembered for that, and the
    /// resolver's word does not count any more.
    pub(crate) async fn watch<T, E>(
        &self,
        connecting: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let offered = Arc::default();
        let outcome = OFFERED.scope(Arc::clone(&offered), connecting).await;
        let offer = offered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Offer { host, first, at }) = offer else {
            return outcome;
        };
        match (&outcome, first) {
            (Err(_), first) => {
                self.names.forget(&host);
                if let Some(first) = first {
                    self.trials.failed(first);
                }
            }
            (Ok(_), Some(first)) => self.trials.came_about(first, at.elapsed()),
            (Ok(_), None) => {}
        }
        outcome
    }

    /// Whether `host`, in lower case, may be reached at `address`.
    pub(crate) fn permits(&self, host: &str, address: IpAddr) -> bool {
        (self.rule)(host, address)
    }

    /// Where a name leads, by the word of the resolver or, if that is none in time, by what it said before.
    pub(crate) async fn lookup(self, host: String) -> Result<Vec<SocketAddr>, LookupError> {
        let names = self.names.clone();
        let ask = |host: String| async move { names.ask(&host).await };
        self.lookup_with(host, ask).await
    }

    async fn lookup_with<F>(
        self,
        host: String,
        ask: impl FnOnce(String) -> F,
    ) -> Result<Vec<SocketAddr>, LookupError>
    where
        F: Future<Output = Result<Vec<SocketAddr>, LookupError>> + Send + 'static,
    {
        let before = self.remembered.get(&host);
        let asking = ask(host.clone());
        let (resolver, name) = (self, host.clone());
        // Goes on when it is not waited for any more: what it brings is for those who come next.
        let asked = tokio::spawn(async move {
            let answer = asking
                .await
                .and_then(|addresses| resolver.admitted(&name, addresses));
            resolver.remembered.learn(&name, &answer);
            answer
        });
        let lost = |host: String| LookupError::Failed(host, "the lookup was given up".to_owned());
        let Some(before) = before else {
            return asked.await.unwrap_or_else(|_| Err(lost(host)));
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Err(error @ (LookupError::Failed(..) | LookupError::Silent(..))))) => {
                tracing::warn!(host, %error, "the addresses that the name had before are used");
                Ok(before)
            }
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(lost(host)),
            Err(_) => {
                tracing::warn!(
                    host,
                    "the resolver is slow; the addresses that the name had before are used"
                );
                Ok(before)
            }
        }
    }

    fn admitted(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, LookupError> {
        let addresses: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| self.permits(host, address.ip()))
            .collect();
        if addresses.is_empty() {
            Err(LookupError::Forbidden(host.to_owned()))
        } else {
            Ok(addresses)
        }
    }
}

#[cfg(test)]
impl GuardedResolver {
    /// One that asks the system alone.
    pub(crate) fn of_system(configured: HashSet<String>) -> Self {
        let nothing = goenv::Environment::from_pairs([("", ""); 0]);
        let proxies = goenv::http_proxy::HttpProxyRules::from_environment(&nothing);
        let names = Names::new(crate::NameServers::default(), proxies);
        Self::new(configured, names)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, host) = (self.clone(), name.as_str().to_ascii_lowercase());
        Box::pin(async move {
            let addresses = resolver.clone().lookup(host.clone()).await?;
            let has_others = addresses.len() > 1;
            let offer = |first: Option<IpAddr>| Offer {
                host: host.clone(),
                first: first.filter(|_| has_others),
                at: Instant::now(),
            };
            // It may never come to an order.
            offer(None).tell();
            let target = resolver.target.as_deref();
            let port = target
                .filter(|(name, _)| *name == host)
                .map(|(_, port)| *port);
            let addresses = resolver.trials.in_order(addresses, port).await;
            offer(addresses.first().map(SocketAddr::ip)).tell();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = Result<Vec<SocketAddr>, LookupError>;

    const HOST: &str = "proxy.example.com";

    fn at(last: u8) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([192, 0, 2, last], 0))]
    }

    fn failed() -> Answer {
        Err(LookupError::Failed(
            HOST.to_owned(),
            "server misbehaving".to_owned(),
        ))
    }

    async fn ask(resolver: &GuardedResolver, millis: u64, answer: Answer) -> Answer {
        let asking = |_| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            answer
        };
        resolver.clone().lookup_with(HOST.to_owned(), asking).await
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_resolver_fails_a_name_leads_where_it_led_before() {
        let resolver = GuardedResolver::of_system(HashSet::new());
        assert_eq!(ask(&resolver, 10, failed()).await, failed());
        assert_eq!(ask(&resolver, 10, Ok(at(1))).await, Ok(at(1)));
        assert_eq!(ask(&resolver, 10, failed()).await, Ok(at(1)));
        // The newest word counts, also when nobody waited for it.
        assert_eq!(ask(&resolver, 9_000, Ok(at(2))).await, Ok(at(1)));
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(ask(&resolver, 10, failed()).await, Ok(at(2)));
        assert_eq!(ask(&resolver, 10, Ok(at(3))).await, Ok(at(3)));
        tokio::time::sleep(REMEMBERED).await;
        assert_eq!(ask(&resolver, 10, failed()).await, failed());
    }

    #[tokio::test(start_paused = true)]
    async fn that_there_is_no_such_name_is_believed() {
        let resolver = GuardedResolver::of_system(HashSet::new());
        let none = || Err(LookupError::NoSuchHost(HOST.to_owned()));
        assert_eq!(ask(&resolver, 10, Ok(at(1))).await, Ok(at(1)));
        assert_eq!(ask(&resolver, 10, none()).await, none());
        assert_eq!(ask(&resolver, 10, failed()).await, failed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_refused_is_not_remembered() {
        let metadata: Answer = Ok(vec![SocketAddr::from(([169, 254, 169, 254], 0))]);
        let forbidden = Err(LookupError::Forbidden(HOST.to_owned()));
        let resolver = GuardedResolver::of_system(HashSet::new());
        assert_eq!(ask(&resolver, 10, Ok(at(1))).await, Ok(at(1)));
        assert_eq!(ask(&resolver, 10, metadata.clone()).await, forbidden);
        assert_eq!(ask(&resolver, 10, failed()).await, failed());
        let trusting = GuardedResolver::of_system([HOST.to_owned()].into());
        assert_eq!(ask(&trusting, 10, metadata.clone()).await, metadata);
        assert_eq!(ask(&trusting, 10, failed()).await, metadata);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let remembered = Remembered::default();
        for number in 0..3 * MOST_NAMES {
            remembered.learn(&number.to_string(), &Ok(at(1)));
            assert!(remembered.lock().len() <= MOST_NAMES);
        }
    }
}
