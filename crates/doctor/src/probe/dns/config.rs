//! What the system says about name resolution: resolv.conf and the hosts file, read as Go's resolver reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The resolvers of a machine and what is appended to names (`net/dnsconfig_unix.go`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers in the order they are asked. Go uses the first three.
    pub servers: Vec<SocketAddr>,
    /// Suffixes for names that do not stand alone, without a leading dot.
    pub search: Vec<String>,
    /// So many dots make a name be tried alone first.
    pub ndots: usize,
    /// True when no name server is configured, so that the servers are Go's default: this machine itself.
    pub is_default: bool,
}

const MOST_SERVERS: usize = 3;

impl ResolvConf {
    /// Reads a file; one that cannot be read configures nothing.
    pub fn load(path: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(path).unwrap_or_default())
    }

    /// Reads the text of resolv.conf.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            is_default: false,
        };
        for line in text.lines() {
            if line.starts_with([';', '#']) {
                continue;
            }
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < MOST_SERVERS => {
                    conf.servers.extend(words.next().and_then(server));
                }
                Some("domain") => conf.search = words.next().map(suffix).into_iter().collect(),
                Some("search") => {
                    conf.search = words.map(suffix).filter(|name| !name.is_empty()).collect();
                }
                Some("options") => {
                    for option in words {
                        if let Some(dots) = option.strip_prefix("ndots:") {
                            conf.ndots = dots.parse().unwrap_or(conf.ndots).min(15);
                        }
                    }
                }
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.is_default = true;
            conf.servers = vec![
                (Ipv4Addr::LOCALHOST, 53).into(),
                (Ipv6Addr::LOCALHOST, 53).into(),
            ];
        }
        conf
    }

    /// The same machine with other resolvers.
    #[must_use]
    pub fn asking(mut self, servers: Vec<SocketAddr>) -> Self {
        self.servers = servers;
        self.is_default = false;
        self
    }

    /// The names tried for `name`, in order (`net/dnsclient_unix.go`, `nameList`).
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(rooted) = name.strip_suffix('.') {
            return vec![rooted.to_owned()];
        }
        let suffixed = self.search.iter().map(|suffix| format!("{name}.{suffix}"));
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        if dots >= self.ndots {
            std::iter::once(name.to_owned()).chain(suffixed).collect()
        } else {
            suffixed.chain([name.to_owned()]).collect()
        }
    }
}

fn suffix(word: &str) -> String {
    word.trim_end_matches('.').to_owned()
}

/// An address, which for IPv6 may have a zone.
fn server(word: &str) -> Option<SocketAddr> {
    if let Ok(ip) = word.parse::<IpAddr>() {
        return Some((ip, 53).into());
    }
    let (ip, zone) = word.split_once('%')?;
    let ip: Ipv6Addr = ip.parse().ok()?;
    let scope = zone.parse().ok().or_else(|| interface_index(zone))?;
    Some(std::net::SocketAddrV6::new(ip, 53, 0, scope).into())
}

/// The number of a network interface, on Linux.
fn interface_index(name: &str) -> Option<u32> {
    if name.contains(['/', '.']) {
        return None;
    }
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok()?;
    text.trim().parse().ok()
}

/// Names that this machine knows without asking anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsFile {
    path: PathBuf,
    entries: Vec<(String, IpAddr, usize)>,
}

impl HostsFile {
    /// Reads a file; one that cannot be read knows no names.
    pub fn load(path: &Path) -> Self {
        Self::parse(path, &std::fs::read_to_string(path).unwrap_or_default())
    }

    /// Reads the text of a hosts file.
    pub fn parse(path: &Path, text: &str) -> Self {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse().ok()) else {
                continue;
            };
            entries.extend(words.map(|name| (key(name), ip, index + 1)));
        }
        Self {
            path: path.to_owned(),
            entries,
        }
    }

    /// The addresses of `name` in order, with the place of the first.
    pub fn lookup(&self, name: &str) -> Option<(Vec<IpAddr>, String)> {
        let name = key(name);
        let found: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| entry.0 == name)
            .collect();
        let line = found.first()?.2;
        Some((
            found.iter().map(|entry| entry.1).collect(),
            format!("{}:{line}", self.path.display()),
        ))
    }
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_go_reads_it() {
        let conf = ResolvConf::parse(
            "# comment\n; comment\nnameserver 10.0.0.1\nnameserver not-an-address\nnameserver fe80::1%3\n\
             search corp.example. lab.example\noptions timeout:1 ndots:2\nnameserver 1.1.1.1\nnameserver 9.9.9.9\n",
        );
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "[fe80::1%3]:53", "1.1.1.1:53"]);
        assert_eq!(conf.ndots, 2);
        assert!(!conf.is_default);
        for (name, expected) in [
            ("a", ["a.corp.example", "a.lab.example", "a"].as_slice()),
            (
                "a.b.c",
                &["a.b.c", "a.b.c.corp.example", "a.b.c.lab.example"],
            ),
            ("a.", &["a"]),
        ] {
            assert_eq!(conf.candidates(name), expected, "{name}");
        }
    }

    #[test]
    fn without_a_name_server_this_machine_is_asked() {
        let conf = ResolvConf::parse("search x\n");
        assert!(conf.is_default);
        assert_eq!(conf.servers.len(), 2);
        assert!(conf.servers.iter().all(|server| server.ip().is_loopback()));
    }

    #[test]
    fn the_hosts_file_tells_where_a_name_stands() {
        let hosts = HostsFile::parse(
            Path::new("/etc/hosts"),
            "127.0.0.1 localhost # here\nbad line\n::1 LocalHost\n10.0.0.9 proxy.golang.org other\n",
        );
        let (addresses, place) = hosts.lookup("localhost.").unwrap();
        assert_eq!(addresses.len(), 2);
        assert_eq!(place, "/etc/hosts:1");
        assert_eq!(hosts.lookup("Proxy.Golang.Org").unwrap().1, "/etc/hosts:4");
        assert_eq!(hosts.lookup("golang.org"), None);
    }
}
