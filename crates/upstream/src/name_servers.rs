//! Which resolvers are to be asked, as they are configured.

use std::fmt;
use std::net::SocketAddr;

use goenv::private::Patterns;
use url::{Host, Url};

/// Where DNS over HTTPS is found if the URL does not say (RFC 8484, section 4.1).
const DNS_QUERY: &str = "/dns-query";

/// Top-level names that the public DNS does not have: they mean something on one network only (RFC 6762, 8375, the
/// special-use names registry, and what ICANN keeps out of the root).
const SPECIAL: [&str; 13] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "test",
    "invalid",
    "onion",
];

/// Which resolvers are asked, and about which names only the system's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServers {
    pub(crate) servers: Vec<NameServer>,
    internal: Patterns,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NameServer {
    /// The one that this machine is set up with.
    System,
    /// Over UDP, and TCP for what does not fit.
    Plain(SocketAddr),
    /// Over TLS (RFC 7858).
    Tls { host: Host, port: u16 },
    /// Over HTTPS (RFC 8484).
    Https(Url),
}

impl Default for NameServers {
    fn default() -> Self {
        Self {
            servers: vec![NameServer::System],
            internal: Patterns::default(),
        }
    }
}

impl NameServers {
    /// Reads resolvers, separated by commas, in the order in which they are asked: `system`, `udp://ADDRESS`,
    /// `tls://HOST`, `https://HOST/dns-query`. A port may follow each host.
    ///
    /// # Errors
    /// With the reason, for the first that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim);
        let servers: Vec<NameServer> = entries
            .filter(|entry| !entry.is_empty())
            .map(name_server)
            .collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            servers,
            internal: Patterns::default(),
        })
    }

    /// Also keeps hosts that match these globs from all but the system's resolver.
    #[must_use]
    pub fn with_internal(self, internal: Patterns) -> Self {
        Self { internal, ..self }
    }

    /// Whether only the network around this machine is to hear of a name.
    pub(crate) fn is_internal(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        let is_below = |special: &&str| {
            let rest = host.strip_suffix(*special);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        !host.contains('.') || SPECIAL.iter().any(is_below) || self.internal.matches_text(host)
    }
}

/// As it is named in errors and logs: a path may say who asks.
impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Plain(address) => write!(f, "udp://{address}"),
            Self::Tls { host, port } => write!(f, "tls://{host}:{port}"),
            Self::Https(url) => f.write_str(&url.origin().ascii_serialization()),
        }
    }
}

fn name_server(text: &str) -> Result<NameServer, String> {
    if text == "system" {
        return Ok(NameServer::System);
    }
    let wrong = || {
        format!(
            "{text:?} is no resolver; write system, udp://ADDRESS, tls://HOST or https://HOST/dns-query"
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    // Read as an https: URL, whose hosts are understood: those of unknown schemes are not.
    let url = Url::parse(&format!("https://{rest}")).map_err(|_| wrong())?;
    let host = url.host().ok_or_else(wrong)?.to_owned();
    let has_more = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    let is_bare = matches!(url.path(), "" | "/");
    // That a port was left out cannot be told from the usual port of https: in the URL itself.
    let port = |usual: u16| match url.port() {
        Some(port) => port,
        None if rest.trim_end_matches('/').ends_with(":443") => 443,
        None => usual,
    };
    match (scheme, host) {
        _ if has_more => Err(wrong()),
        ("udp", Host::Ipv4(ip)) if is_bare => Ok(NameServer::Plain((ip, port(53)).into())),
        ("udp", Host::Ipv6(ip)) if is_bare => Ok(NameServer::Plain((ip, port(53)).into())),
        ("tls", host) if is_bare => Ok(NameServer::Tls {
            host,
            port: port(853),
        }),
        ("https", _) => {
            let mut url = url;
            if is_bare {
                url.set_path(DNS_QUERY);
            }
            Ok(NameServer::Https(url))
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_with_their_usual_ports() {
        for (text, expected) in [
            ("", "system"),
            (" system ", "system"),
            ("udp://192.0.2.1", "udp://192.0.2.1:53"),
            ("udp://192.0.2.1:5353", "udp://192.0.2.1:5353"),
            ("udp://192.0.2.1:443", "udp://192.0.2.1:443"),
            ("udp://[2001:db8::1]", "udp://[2001:db8::1]:53"),
            ("tls://dns.example.com", "tls://dns.example.com:853"),
            ("tls://192.0.2.1:443", "tls://192.0.2.1:443"),
            ("https://dns.example.com", "https://dns.example.com"),
            ("https://192.0.2.1:8443/q/x", "https://192.0.2.1:8443"),
        ] {
            let read = NameServers::parse(text).unwrap();
            assert_eq!(read.servers[0].to_string(), expected, "{text}");
        }
        for (text, expected) in [
            (
                "https://dns.example.com",
                "https://dns.example.com/dns-query",
            ),
            (
                "https://dns.example.com/",
                "https://dns.example.com/dns-query",
            ),
            ("https://192.0.2.1:8443/q/x", "https://192.0.2.1:8443/q/x"),
        ] {
            let url = NameServer::Https(expected.parse().unwrap());
            assert_eq!(NameServers::parse(text).unwrap().servers, [url], "{text}");
        }
        let read = NameServers::parse("tls://a.example,system,").unwrap();
        assert_eq!(read.servers.len(), 2);
        for text in [
            "192.0.2.1",
            "udp://dns.example.com",
            "udp://192.0.2.1/x",
            "tcp://192.0.2.1",
            "tls://",
            "tls://dns.example.com/path",
            "https://user:secret@dns.example.com/dns-query",
            "https://dns.example.com/dns-query?x",
            "system,nobody",
        ] {
            assert!(NameServers::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_the_own_network_stay_there() {
        let servers = NameServers::parse("udp://192.0.2.1")
            .unwrap()
            .with_internal(Patterns::parse("*.corp.example.com,git.example.org"));
        for (host, expected) in [
            ("goproxy", true),
            ("localhost", true),
            ("printer.local", true),
            ("goproxy.", true),
            ("goproxy.corp", true),
            ("goproxy.corp.", true),
            ("router.home.arpa", true),
            ("a.b.corp.example.com", true),
            ("git.example.org", true),
            ("corp.example.com", false),
            ("proxy.golang.org", false),
            ("notlocal.example", false),
            ("xlocal", true),
            ("example.xlocal", false),
        ] {
            assert_eq!(servers.is_internal(host), expected, "{host}");
        }
    }
}
