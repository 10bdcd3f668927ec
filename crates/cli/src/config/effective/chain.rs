//! Which upstreams are asked, and which first.

use std::net::{IpAddr, SocketAddr};

use goenv::goproxy::{ProxyList, Target};
use url::{Host, Url};

use super::{Checker, one_of};
use crate::config::Origin;

/// What is asked when nothing else is set: Go's own default.
const DEFAULT_CHAIN: &str = "https://proxy.golang.org,direct";

impl Checker<'_> {
    /// The upstreams, and what of them was left out as this server's own address. `None` only after an error was noted.
    pub(super) fn chain(&mut self, listen: Option<SocketAddr>) -> Option<(ProxyList, Vec<String>)> {
        let mut chain = self.parse("upstream", |text| {
            ProxyList::parse(text).map_err(|error| error.to_string())
        })?;
        let is_own = |target: &Target| match (target, listen) {
            (Target::Url(url), Some(listen)) => is_address_of(url.as_url(), listen),
            _ => false,
        };
        let own: Vec<String> = chain
            .entries
            .iter()
            .filter(|entry| is_own(&entry.target))
            .map(|entry| entry.target.to_string())
            .collect();
        if own.is_empty() {
            return Some((chain, own));
        }
        if !matches!(self.resolved.get("upstream").origin, Origin::Go(_)) {
            self.fail(
                "upstream",
                &format!("{} is this server's own address", own.join(", ")),
            );
            return None;
        }
        chain.entries.retain(|entry| !is_own(&entry.target));
        if !chain
            .entries
            .iter()
            .any(|entry| matches!(entry.target, Target::Url(_) | Target::Off))
        {
            chain = ProxyList::parse(DEFAULT_CHAIN).ok()?;
        }
        Some((chain, own))
    }

    /// `None` only after an error was noted.
    pub(super) fn upstream_order(&mut self) -> Option<upstream::Order> {
        self.parse("upstreams.order", upstream_order)
    }
}

/// Whether a request for a URL would arrive at this server's own listener.
fn is_address_of(url: &Url, listen: SocketAddr) -> bool {
    if url.port_or_known_default() != Some(listen.port()) {
        return false;
    }
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => {
            return listen.ip().is_loopback() || listen.ip().is_unspecified();
        }
        Some(Host::Domain(_)) | None => return false,
    };
    ip == listen.ip() || (listen.ip().is_unspecified() && ip.is_loopback())
}

fn upstream_order(text: &str) -> Result<upstream::Order, String> {
    match text {
        "configured" => Ok(upstream::Order::Configured),
        "fastest" => Ok(upstream::Order::Fastest),
        _ => Err(one_of("configured, fastest", text)),
    }
}
