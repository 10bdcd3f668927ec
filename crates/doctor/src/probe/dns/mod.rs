//! From a name to addresses, asked of every resolver of the system at once and judged as Go's resolver would.

pub(crate) mod config;
pub(crate) mod others;
pub(crate) mod public;
pub(crate) mod wire;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fault::{Hop, Label, Subjects};
use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::report::{Check, Failure, Phases, Probe};
use config::{HostsFile, ResolvConf};
use wire::{Family, Reply, Said, ask};

/// How long a second answer to one question is waited for when answers are held against each other.
pub(crate) const LINGER: Duration = Duration::from_millis(120);

/// What the machine knows about a name.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    /// The addresses, in the order they are tried; or why there are none.
    pub(crate) result: Result<Vec<IpAddr>, Failure>,
    /// The place in the hosts file that has them.
    pub(crate) hosts_entry: Option<String>,
    /// What each resolver said.
    pub(crate) views: Vec<View>,
    /// Until the answer that counts was there.
    pub(crate) took: Duration,
}

/// What one resolver said about a name.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The resolver.
    pub(crate) server: SocketAddr,
    pub(crate) said: Said,
    /// How long it took.
    pub(crate) took: Duration,
    /// Addresses of a second answer that contradicts the first.
    pub(crate) contradicted: Option<Vec<IpAddr>>,
}

impl View {
    /// The addresses, if the resolver gave any.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        match &self.said {
            Said::Addresses(addresses) => addresses,
            _ => &[],
        }
    }

    /// True when the answer counts: addresses, or that there is no such name.
    pub(crate) fn is_usable(&self) -> bool {
        matches!(self.said, Said::Addresses(_) | Said::NoSuchName)
    }
}

/// Asks for names and remembers the answers for the time of a run.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) conf: ResolvConf,
    pub(crate) hosts: HostsFile,
    pub(crate) pins: HashMap<String, IpAddr>,
    pub(crate) limit: Duration,
    known: Mutex<HashMap<String, Arc<OnceCell<Arc<Looked>>>>>,
}

impl Resolver {
    pub(crate) fn new(
        conf: ResolvConf,
        hosts: HostsFile,
        pins: HashMap<String, IpAddr>,
        limit: Duration,
    ) -> Self {
        Self {
            conf,
            hosts,
            pins,
            limit,
            known: Mutex::default(),
        }
    }

    /// What is known of a name; each name is asked for once.
    pub(crate) async fn look_up(&self, name: &str) -> Arc<Looked> {
        let cell = match self.known.lock() {
            Ok(mut known) => Arc::clone(known.entry(name.to_lowercase()).or_default()),
            Err(_) => Arc::default(),
        };
        let looked = cell.get_or_init(|| async { Arc::new(self.ask_all(name).await) });
        Arc::clone(looked.await)
    }

    async fn ask_all(&self, name: &str) -> Looked {
        let without_asking = |addresses, hosts_entry| Looked {
            result: Ok(addresses),
            hosts_entry,
            views: Vec::new(),
            took: Duration::ZERO,
        };
        if let Ok(ip) = name.trim_matches(['[', ']']).parse() {
            return without_asking(vec![ip], None);
        }
        if let Some(ip) = self.pins.get(&name.to_lowercase()) {
            return without_asking(vec![*ip], None);
        }
        if let Some((addresses, place)) = self.hosts.lookup(name) {
            return without_asking(addresses, Some(place));
        }
        // RFC 6761: a name that no resolver is asked for.
        if name.eq_ignore_ascii_case("localhost") {
            return without_asking(vec![IpAddr::from([127, 0, 0, 1])], None);
        }
        let start = Instant::now();
        let mut views = Vec::new();
        for candidate in self.conf.candidates(name) {
            views = join_all(
                self.conf
                    .servers
                    .iter()
                    .map(|server| self.view(*server, &candidate)),
            )
            .await;
            let decisive = views.iter().find(|view| view.is_usable());
            if decisive.is_none_or(|view| !view.addresses().is_empty()) {
                break;
            }
        }
        let took = views
            .iter()
            .find(|view| view.is_usable())
            .map_or_else(|| start.elapsed(), |view| view.took);
        Looked {
            result: self.judge(name, &views),
            hosts_entry: None,
            views,
            took,
        }
    }

    /// Both families at once, as Go asks.
    async fn view(&self, server: SocketAddr, name: &str) -> View {
        let (v4, v6) = tokio::join!(
            ask(server, name, Family::V4, self.limit, LINGER),
            ask(server, name, Family::V6, self.limit, Duration::ZERO)
        );
        joined(server, v4, v6)
    }

    /// The answer that counts, as Go's resolver takes it: the first usable one, "no such name" included.
    fn judge(&self, name: &str, views: &[View]) -> Result<Vec<IpAddr>, Failure> {
        let decisive = views.iter().find(|view| view.is_usable());
        match decisive {
            Some(view) if !view.addresses().is_empty() => Ok(view.addresses().to_vec()),
            Some(view) => Err(about(
                Failure::new(
                    Label::DnsNxdomain,
                    format!("dial tcp: lookup {name} on {}: no such host", view.server),
                ),
                name,
                view.server,
            )),
            None => Err(self.why_nothing(name, views)),
        }
    }

    fn why_nothing(&self, name: &str, views: &[View]) -> Failure {
        let Some(view) = views
            .iter()
            .find(|view| matches!(view.said, Said::Unusable(_)))
            .or_else(|| views.first())
        else {
            return Failure::new(Label::DnsNoResolver, format!("lookup {name}: no resolver"));
        };
        let server = view.server;
        let lookup = format!("dial tcp: lookup {name} on {server}");
        let failure = match &view.said {
            Said::Unusable(what) => Failure::new(
                Label::DnsServfail,
                format!("{lookup}: server misbehaving ({what})"),
            ),
            Said::Unreachable(kind, words) => {
                let words = format!("{lookup}: read udp: {words}");
                Failure::new(self.unreachable_label(*kind, views), words)
            }
            _ => Failure::new(Label::DnsTimeout, format!("{lookup}: i/o timeout")),
        };
        let others = views.iter().filter(|other| other.server != server);
        let failure = others.fold(failure, |failure, other| failure.because(other.line(name)));
        about(failure, name, server)
    }

    fn unreachable_label(&self, kind: ErrorKind, views: &[View]) -> Label {
        let refused_here = |view: &View| {
            view.server.ip().is_loopback()
                && matches!(
                    view.said,
                    Said::Unreachable(ErrorKind::ConnectionRefused, _)
                )
        };
        if self.conf.is_default || views.iter().all(refused_here) {
            return Label::DnsNoResolver;
        }
        let is_route = matches!(
            kind,
            ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::InvalidInput
        );
        if is_route && views.iter().all(|view| view.server.is_ipv6()) {
            return Label::DnsIpv6Resolver;
        }
        Label::DnsTimeout
    }
}

fn joined(server: SocketAddr, v4: Reply, v6: Reply) -> View {
    let took = v4.took.max(v6.took);
    let said = match (v4.said, v6.said) {
        (Said::Addresses(mut first), Said::Addresses(second)) => {
            first.extend(second);
            Said::Addresses(first)
        }
        // One family that is answered badly does not keep Go from using the other.
        (Said::Addresses(first), _) if !first.is_empty() => Said::Addresses(first),
        (_, Said::Addresses(second)) if !second.is_empty() => Said::Addresses(second),
        (Said::NoSuchName, _) | (_, Said::NoSuchName) => Said::NoSuchName,
        (Said::Addresses(_), other) | (other, _) => other,
    };
    View {
        server,
        said,
        took,
        contradicted: v4.contradicted,
    }
}

fn about(mut failure: Failure, name: &str, server: SocketAddr) -> Failure {
    failure.subjects = Box::new(Subjects {
        host: Some(name.to_owned()),
        resolver: Some(server.to_string()),
        ..Subjects::default()
    });
    failure
}

impl View {
    /// One line about what it said.
    pub(crate) fn line(&self, name: &str) -> String {
        let said = match &self.said {
            Said::Addresses(addresses) if addresses.is_empty() => "no address".to_owned(),
            Said::Addresses(addresses) => list(addresses),
            Said::NoSuchName => "no such host".to_owned(),
            Said::Unusable(what) => format!("server misbehaving ({what})"),
            Said::Silence => "i/o timeout".to_owned(),
            Said::Unreachable(_, words) => words.clone(),
        };
        format!("lookup {name} on {}: {said}", self.server)
    }

    /// The same as a probe.
    pub(crate) fn probe(&self, name: &str) -> Probe {
        let probe = Probe::new(
            Check::Resolver,
            Hop::Dns,
            format!("{name} @{}", self.server),
        )
        .took(Phases {
            dns: Some(self.took),
            ..Phases::default()
        });
        let failed = |label| {
            probe.clone().failed(about(
                Failure::new(label, self.line(name)),
                name,
                self.server,
            ))
        };
        match &self.said {
            Said::Addresses(addresses) if addresses.is_empty() => failed(Label::DnsNxdomain),
            Said::Addresses(addresses) => {
                let probe = probe.clone().fact("addresses", list(addresses));
                match &self.contradicted {
                    Some(second) => probe.fact(
                        "answered-by",
                        format!("{} != {}", list(addresses), list(second)),
                    ),
                    None => probe,
                }
            }
            Said::NoSuchName => failed(Label::DnsNxdomain),
            Said::Unusable(_) => failed(Label::DnsServfail),
            Said::Silence | Said::Unreachable(..) => failed(Label::DnsTimeout),
        }
    }
}

/// Addresses for reading.
pub(crate) fn list(addresses: &[IpAddr]) -> String {
    let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    words.join(" ")
}
