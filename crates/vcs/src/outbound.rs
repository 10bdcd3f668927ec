//! Which addresses may be reached, whatever name led there.
//!
//! Names come out of import paths and of pages on other people's servers. Without a policy anybody could make this
//! server send requests into the network that it stands in. Names are resolved here, and connections go to the
//! addresses that were judged, so that a name cannot mean something else a moment later.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use gomod::glob;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::{Blocked, Error, ToolFault};
use fault::Label;

/// The rules. The default reaches public addresses only, and asks the system where they are.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    allow: Vec<IpNet>,
    hosts: Vec<String>,
    names: Option<Arc<dyn Lookup>>,
}

/// Knows where hosts are, in place of the system's resolver.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The addresses of a host, in lower case.
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupFault>>;
}

/// A name that led to no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lookup {what}: {reason}")]
pub struct LookupFault {
    /// The host, and the resolver if it is that which failed.
    pub what: String,
    /// Why, in Go's words.
    pub reason: String,
    /// The class of the failure.
    pub label: Label,
}

/// What kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    Public,
    /// This machine, or a network of its operator's.
    Private,
    /// Only of meaning on one link (as cloud metadata services), or no host at all.
    LinkLocal,
}

impl Outbound {
    /// Allows the addresses of `allow`, whatever their names.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self {
            allow,
            ..Self::default()
        }
    }

    /// Asks `names` where hosts are, but for those that the operator has named: what they are called is nobody else's
    /// business.
    #[must_use]
    pub fn asking(self, names: Arc<dyn Lookup>) -> Self {
        Self {
            names: Some(names),
            ..self
        }
    }

    /// Lets hosts that match one of these globs have private addresses: the operator has named them.
    #[must_use]
    pub fn trusting(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts
            .extend(hosts.into_iter().map(|host| host.to_ascii_lowercase()));
        self
    }

    /// Whether the host was named by the operator.
    pub fn trusts(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts
            .iter()
            .any(|pattern| glob::matches(pattern, &host) == Ok(true))
    }

    /// Whether `host` may be reached at `address`.
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        self.allow
            .iter()
            .any(|network| network.contains(&address) || network.contains(&plain))
            || match range_of(address) {
                Range::Public => true,
                Range::Private => self.trusts(host),
                Range::LinkLocal => false,
            }
    }

    /// The addresses of `host` that may be reached.
    pub(crate) async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse() {
            Ok(address) => vec![address],
            Err(_) => self.lookup(bare).await?,
        };
        Ok(self.permitted(bare, found).map_err(Blocked::Destination)?)
    }

    /// Where a name leads, whether that may be reached or not.
    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, LookupFault> {
        match &self.names {
            Some(names) if !self.trusts(host) => names.lookup(&host.to_ascii_lowercase()).await,
            _ => ask_system(host).await,
        }
    }

    fn permitted(&self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Refused> {
        let permitted: Vec<IpAddr> = found
            .into_iter()
            .filter(|address| self.permits(host, *address))
            .collect();
        if permitted.is_empty() {
            return Err(Refused(host.to_owned()));
        }
        Ok(permitted)
    }
}

/// A host whose addresses may not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lookup {}: it leads to a private, loopback or link-local address, which is refused; outbound.allow can allow it",
            self.0
        )
    }
}

impl std::error::Error for Refused {}

impl From<LookupFault> for Error {
    fn from(fault: LookupFault) -> Self {
        let LookupFault {
            what,
            reason,
            label,
        } = fault;
        ToolFault::Failed {
            what: format!("lookup {what}"),
            status: reason,
            label,
            stderr: String::new(),
        }
        .into()
    }
}

async fn ask_system(host: &str) -> Result<Vec<IpAddr>, LookupFault> {
    match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => Ok(found.map(|address| address.ip()).collect()),
        Err(error) => Err(system_fault(host, &error)),
    }
}

/// The system's resolver tells its reasons in words only.
fn system_fault(host: &str, error: &std::io::Error) -> LookupFault {
    let words = error.to_string();
    let gone = words.contains("not known") || words.contains("No address associated");
    let (reason, label) = if gone {
        ("no such host".to_owned(), Label::DnsNxdomain)
    } else {
        (words, Label::DnsServfail)
    };
    LookupFault {
        what: host.to_owned(),
        reason,
        label,
    }
}

fn range_of(address: IpAddr) -> Range {
    match address {
        IpAddr::V4(v4) => range_of_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => range_of_v4(v4),
            None if v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast() => {
                Range::LinkLocal
            }
            None if v6.is_loopback() || v6.is_unique_local() || is_site_local(v6) => Range::Private,
            None => Range::Public,
        },
    }
}

fn range_of_v4(v4: Ipv4Addr) -> Range {
    let [a, b, c, _] = v4.octets();
    match (a, b, c) {
        _ if v4.is_link_local() || v4.is_multicast() => Range::LinkLocal,
        // "This network", and what was never given out.
        (0 | 240.., _, _) => Range::LinkLocal,
        _ if v4.is_loopback() || v4.is_private() => Range::Private,
        // Shared address space, protocol assignments, benchmarks (RFC 6598, 6890, 2544).
        (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _) => Range::Private,
        _ => Range::Public,
    }
}

fn is_site_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfec0
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, translated (RFC 6052), or of 6to4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let join = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

/// Resolves names for HTTP requests, and gives permitted addresses only.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver(pub(crate) Arc<Outbound>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let outbound = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found = outbound.lookup(host).await?;
            let permitted = outbound.permitted(host, found)?;
            // The port is that of the request.
            let addresses = permitted.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_inside_are_told_from_those_of_the_outside() {
        for (address, range) in [
            ("93.184.216.34", Range::Public),
            ("2606:2800:220:1::1", Range::Public),
            ("127.0.0.1", Range::Private),
            ("10.1.2.3", Range::Private),
            ("172.31.0.1", Range::Private),
            ("172.32.0.1", Range::Public),
            ("192.168.0.1", Range::Private),
            ("100.64.0.1", Range::Private),
            ("100.128.0.1", Range::Public),
            ("198.19.0.1", Range::Private),
            ("169.254.169.254", Range::LinkLocal),
            ("0.0.0.0", Range::LinkLocal),
            ("224.0.0.1", Range::LinkLocal),
            ("255.255.255.255", Range::LinkLocal),
            ("::1", Range::Private),
            ("::", Range::LinkLocal),
            ("fe80::1", Range::LinkLocal),
            ("fd00::1", Range::Private),
            ("fec0::1", Range::Private),
            ("::ffff:127.0.0.1", Range::Private),
            ("::ffff:169.254.169.254", Range::LinkLocal),
            ("64:ff9b::a9fe:a9fe", Range::LinkLocal),
            ("2002:7f00:1::", Range::Private),
            ("::10.0.0.1", Range::Private),
        ] {
            assert_eq!(range_of(address.parse().unwrap()), range, "{address}");
        }
    }

    #[test]
    fn private_addresses_are_for_hosts_that_the_operator_named() {
        let outbound = Outbound::new(vec!["10.9.0.0/16".parse().unwrap()])
            .trusting(["*.corp.example".to_owned()]);
        let permits = |host: &str, address: &str| outbound.permits(host, address.parse().unwrap());
        assert!(permits("Git.Corp.example", "10.0.0.1"));
        assert!(!permits("git.corp.example", "169.254.169.254"));
        assert!(!permits("evil.example", "10.0.0.1"));
        assert!(permits("evil.example", "10.9.0.1"));
        assert!(permits("evil.example", "::ffff:10.9.0.1"));
        assert!(permits("evil.example", "1.1.1.1"));
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let outbound = Outbound::default();
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let error = outbound.resolve(host).await.unwrap_err();
            assert!(error.to_string().contains("refused"), "{error}");
            assert!(!error.is_absence());
        }
        let trusting = outbound.trusting(["localhost".to_owned()]);
        assert!(!trusting.resolve("localhost").await.unwrap().is_empty());
    }
    /// Knows one address of every host.
    #[derive(Debug)]
    struct All(IpAddr);

    impl Lookup for All {
        fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupFault>> {
            let found = match host {
                "nowhere.example" => Err(LookupFault {
                    what: host.to_owned(),
                    reason: "no such host".to_owned(),
                    label: Label::DnsNxdomain,
                }),
                _ => Ok(vec![self.0]),
            };
            Box::pin(std::future::ready(found))
        }
    }

    #[tokio::test]
    async fn names_lead_where_who_is_asked_says_and_no_further_than_the_rules_allow() {
        let (public, inside) = ([192, 0, 2, 7].into(), [10, 0, 0, 7].into());
        let asking = |address| Outbound::default().asking(Arc::new(All(address)));
        let found = asking(public).resolve("Forge.example").await.unwrap();
        assert_eq!(found, [public]);
        let error = asking(inside).resolve("forge.example").await.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
        let error = asking(public).resolve("nowhere.example").await.unwrap_err();
        assert_eq!(error.to_string(), "lookup nowhere.example: no such host");
        assert_eq!(error.label(), Label::DnsNxdomain);
        // Of the system, which knows where that is.
        let named = asking(public).trusting(["localhost".to_owned()]);
        let found = named.resolve("localhost").await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    }
}
