//! Which addresses a request may go to, whatever name led there.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use fault::Label;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A name that led to no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// The resolver says that there is no such name.
    NoSuchHost(String),
    /// The resolver did not answer usefully.
    Failed(String, String),
    /// The name leads to addresses that a redirect must not reach.
    Forbidden(String),
}

impl LookupError {
    pub(crate) fn label(&self) -> Label {
        match self {
            Self::NoSuchHost(_) => Label::DnsNxdomain,
            Self::Failed(..) => Label::DnsServfail,
            Self::Forbidden(_) => Label::DnsPoisoned,
        }
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchHost(host) => write!(f, "lookup {host}: no such host"),
            Self::Failed(host, words) => write!(f, "lookup {host}: {words}"),
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

/// Resolves names with the system's resolver. Names that are not configured (so: from a redirect) lead to no
/// link-local address.
#[derive(Clone, Debug)]
pub(crate) struct GuardedResolver {
    configured: Arc<HashSet<String>>,
}

impl GuardedResolver {
    pub(crate) fn new(configured: HashSet<String>) -> Self {
        Self {
            configured: Arc::new(configured),
        }
    }

    async fn lookup(self, host: String) -> Result<Vec<SocketAddr>, LookupError> {
        let found = tokio::net::lookup_host((host.as_str(), 0))
            .await
            .map_err(|error| lookup_error(&host, &error))?;
        let trusted = self.configured.contains(&host);
        let addresses: Vec<SocketAddr> = found
            .filter(|address| trusted || !is_link_local(address.ip()))
            .collect();
        if addresses.is_empty() {
            Err(LookupError::Forbidden(host))
        } else {
            Ok(addresses)
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.clone().lookup(name.as_str().to_ascii_lowercase());
        Box::pin(async move {
            let addresses = lookup.await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The system's resolver tells its reasons in words only.
fn lookup_error(host: &str, error: &std::io::Error) -> LookupError {
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
