//! `NO_PROXY`: which hosts are reached without the HTTP proxy (golang.org/x/net/http/httpproxy,
//! `init` and `useProxy`).

use std::net::{IpAddr, Ipv6Addr};

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use ipnet::IpNet;

/// The entries of a `NO_PROXY` list. Entries that make no sense are dropped: there is no error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    text: String,
    matcher: Matcher,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Matcher {
    All,
    Network(IpNet),
    Ip {
        ip: IpAddr,
        port: String,
    },
    /// `suffix` begins with a dot; `apex` when the host without that dot matches, too.
    Domain {
        suffix: String,
        port: String,
        apex: bool,
    },
}

/// Where a request goes, in the form `NO_PROXY` is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: String,
    ip: Option<IpAddr>,
    is_localhost: bool,
}

impl Address {
    /// `host` without brackets. `None` when host and port cannot be told apart again, as in a host
    /// with a bracket inside.
    pub(crate) fn new(host: &str, port: &str) -> Option<Self> {
        let host = ascii_host(host);
        let joined = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let (host, port) = split_host_port(&joined)?;
        Some(Self {
            host: lower(host.trim()),
            port: port.to_owned(),
            ip: parse_ip_with_zone(host),
            is_localhost: host == "localhost",
        })
    }

    /// True for `localhost` and loopback addresses, which are never proxied.
    pub(crate) fn is_loopback(&self) -> bool {
        self.is_localhost || self.ip.is_some_and(|ip| ip.is_loopback())
    }
}

impl NoProxy {
    /// Reads a list. `*` as an entry of its own stands for every host and makes the others
    /// meaningless.
    pub(crate) fn parse(setting: &str) -> Self {
        let mut entries = Vec::new();
        for text in setting.split(',') {
            let text = lower(text.trim());
            if text == "*" {
                return Self {
                    entries: vec![Entry {
                        text,
                        matcher: Matcher::All,
                    }],
                };
            }
            if let Some(matcher) = Matcher::parse(&text) {
                entries.push(Entry { text, matcher });
            }
        }
        Self { entries }
    }

    /// The first entry, in lower case, that `address` matches.
    pub(crate) fn entry_for(&self, address: &Address) -> Option<&str> {
        self.entries
            .iter()
            .find(|entry| entry.matcher.matches(address))
            .map(|entry| entry.text.as_str())
    }
}

impl Matcher {
    fn parse(entry: &str) -> Option<Self> {
        if let Some(network) = parse_network(entry) {
            return Some(Self::Network(network));
        }
        let (host, port) = split_host_port(entry).unwrap_or((entry, ""));
        if host.is_empty() {
            return None;
        }
        let port = port.to_owned();
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Self::Ip {
                ip: ip.to_canonical(),
                port,
            });
        }
        let host = if host.starts_with("*.") {
            host.get(1..)?
        } else {
            host
        };
        let apex = !host.starts_with('.');
        let suffix = ascii_host(&if apex {
            format!(".{host}")
        } else {
            host.to_owned()
        });
        Some(Self::Domain { suffix, port, apex })
    }

    fn matches(&self, address: &Address) -> bool {
        let same_port = |port: &str| port.is_empty() || port == address.port;
        match self {
            Self::All => true,
            Self::Network(network) => address.ip.is_some_and(|ip| network.contains(&ip)),
            Self::Ip { ip, port } => address.ip == Some(*ip) && same_port(port),
            Self::Domain { suffix, port, apex } => {
                let is_apex = *apex && suffix.strip_prefix('.') == Some(&address.host);
                address.ip.is_none()
                    && (is_apex || address.host.ends_with(suffix.as_str()))
                    && same_port(port)
            }
        }
    }
}

/// `address/bits` (net.ParseCIDR). A network of IPv4 addresses written as IPv6 ones is an IPv4
/// network.
fn parse_network(text: &str) -> Option<IpNet> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    // `parse` alone would take a plus sign, too.
    let bits: u8 = bits
        .parse()
        .ok()
        .filter(|_| bits.bytes().all(|digit| digit.is_ascii_digit()))?;
    let network = IpNet::new(address, bits).ok()?.trunc();
    match network.addr().to_canonical() {
        IpAddr::V4(address) if network.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), bits.checked_sub(96)?).ok()
        }
        _ => Some(network),
    }
}

/// An address for comparison: IPv4 addresses in IPv6 clothes are IPv4, and zones do not count
/// (netip.ParseAddr).
fn parse_ip_with_zone(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        Some((_, "")) => None,
        Some((ip, _)) => ip.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
    .map(|ip: IpAddr| ip.to_canonical())
}

/// Splits `host:port` or `[host]:port` (net.SplitHostPort).
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (before, port) = text.rsplit_once(':')?;
    let host = match before.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if before.contains(':') => return None,
        None => before,
    };
    let is_whole = !host.contains(['[', ']']) && !port.contains(['[', ']']);
    is_whole.then_some((host, port))
}

/// Internationalized names as DNS has them; what is none is left alone (idna.Lookup.ToASCII).
fn ascii_host(host: &str) -> String {
    if host.is_ascii() {
        return host.to_owned();
    }
    let ascii = Uts46::new().to_ascii(
        host.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::Check,
        DnsLength::Ignore,
    );
    ascii.map_or_else(|_| host.to_owned(), std::borrow::Cow::into_owned)
}

/// Lower case letter by letter, as Go does it: no letter depends on its neighbours.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry_for(list: &str, host: &str, port: &str) -> Option<String> {
        let address = Address::new(host, port).unwrap();
        NoProxy::parse(list).entry_for(&address).map(str::to_owned)
    }

    #[test]
    fn entries_match_hosts() {
        let rows = [
            ("", "a.com", "443", false),
            ("*", "a.com", "443", true),
            ("*", "10.0.0.1", "443", true),
            ("x,*", "a.com", "443", true),
            ("a.com", "a.com", "443", true),
            ("a.com", "b.a.com", "443", true),
            ("a.com", "ba.com", "443", false),
            ("A.com", "B.A.COM", "443", true),
            (".a.com", "a.com", "443", false),
            (".a.com", "b.a.com", "443", true),
            ("*.a.com", "a.com", "443", false),
            ("*.a.com", "b.a.com", "443", true),
            ("*a.com", "ba.com", "443", false),
            (" a.com , ,b.com", "b.com", "80", true),
            ("a.com:8080", "a.com", "443", false),
            ("a.com:8080", "b.a.com", "8080", true),
            ("a.com:", "a.com", "443", true),
            (":8080", "a.com", "8080", false),
            ("10.0.0.1", "10.0.0.1", "443", true),
            ("10.0.0.1:80", "10.0.0.1", "443", false),
            ("10.0.0.1", "::ffff:10.0.0.1", "443", true),
            ("10.0.0.0/8", "10.200.0.1", "443", true),
            ("10.1.2.3/8", "10.200.0.1", "443", true),
            ("10.0.0.0/08", "10.200.0.1", "443", true),
            ("0.0.0.0/00", "8.8.8.8", "443", true),
            ("10.0.0.0/33", "10.0.0.0", "443", false),
            ("10.0.0.0/", "10.0.0.0", "443", false),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "443", true),
            ("::/0", "10.9.9.9", "443", false),
            ("::/0", "2001:db8::1", "443", true),
            ("2001:db8::/32", "2001:db8::1", "443", true),
            ("[2001:db8::1]:443", "2001:db8::1", "443", true),
            ("[2001:db8::1]", "2001:db8::1", "443", false),
            ("2001:db8::1", "2001:db8::1%eth0", "443", true),
            ("0.1", "10.0.0.1", "443", false),
            ("bücher.example", "www.xn--bcher-kva.example", "443", true),
            ("xn--bcher-kva.example", "bücher.example", "443", true),
            ("com", "a.com", "443", true),
            (".", "a.com.", "443", true),
            ("a.com", "a.com.", "443", false),
        ];
        for (list, host, port, expected) in rows {
            assert_eq!(
                entry_for(list, host, port).is_some(),
                expected,
                "{list:?} {host}:{port}"
            );
        }
    }

    #[test]
    fn the_entry_that_matched_is_told() {
        assert_eq!(
            entry_for("x.com, .A.com ,b.a.com", "b.a.com", "443").as_deref(),
            Some(".a.com")
        );
    }

    #[test]
    fn loopback_is_recognized_in_all_its_forms() {
        for host in [
            "localhost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "::1%lo",
        ] {
            assert!(Address::new(host, "80").unwrap().is_loopback(), "{host}");
        }
        for host in ["LOCALHOST", "a.localhost", "128.0.0.1", "::2", "127.1", ""] {
            assert!(!Address::new(host, "80").unwrap().is_loopback(), "{host}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(list in "\\PC{0,40}", host in "\\PC{0,20}", port in "[0-9]{0,5}") {
            if let Some(address) = Address::new(&host, &port) {
                let _ = NoProxy::parse(&list).entry_for(&address);
            }
        }
    }
}
