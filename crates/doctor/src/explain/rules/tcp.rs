//! Connections: Go's sockets with their address, and the words of curl, git, ssh and Java.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::net::{Failure, Socket};
use crate::explain::url::{self, Purpose};
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    if !case.may_be_about_modules() {
        return Verdicts::new();
    }
    let rules = [sockets, transport, bare];
    let verdicts = rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default();
    surroundings(case, verdicts)
}

fn sockets(case: &Case) -> Verdicts {
    let sockets: Vec<_> = case
        .client
        .sockets
        .iter()
        .filter(|(_, socket)| !socket.of_proxy)
        .collect();
    let Some((at, socket)) = sockets.first() else {
        return Verdicts::new();
    };
    if case.client.has_any(&["rpc failed", "early eof"]) {
        return Verdicts::new();
    }
    let words = format!("{} ", if socket.dialling { "dial tcp" } else { "tcp" });
    let both = sockets.iter().any(|(_, other)| !other.is_ipv6());
    if socket.is_ipv6() && !both && !matches!(socket.failure, Failure::Reset | Failure::Eof) {
        let plain = by_failure(socket.failure).unwrap_or(Label::TcpTimeout);
        let refused = socket.failure == Failure::Refused;
        return found(
            Label::TcpIpv6Broken,
            if refused { 0.75 } else { 0.92 },
            *at,
            &words,
        )
        .or(plain, 0.4);
    }
    if let Some(poisoned) = poisoned(case, *at, socket) {
        return poisoned;
    }
    insecure(case, *at, socket).unwrap_or_else(|| plain_socket(case, *at, socket, &words))
}

fn plain_socket(case: &Case, at: usize, socket: &Socket, words: &str) -> Verdicts {
    match socket.failure {
        Failure::Timeout if !socket.dialling => {
            found(Label::TcpTimeout, 0.75, at, words).or(Label::TcpReset, 0.35)
        }
        Failure::Timeout => {
            found(Label::TcpTimeout, 0.85, at, words).or(Label::TcpBlockedRegion, 0.4)
        }
        Failure::Refused => found(Label::TcpRefused, 0.95, at, words),
        Failure::Reset => found(Label::TcpReset, 0.92, at, words).or(Label::TcpBlockedRegion, 0.3),
        Failure::Eof => found(Label::TcpReset, 0.7, at, words).or(Label::GoproxyTruncated, 0.4),
        Failure::NoRoute | Failure::Unreachable => {
            found(Label::TcpNoRoute, 0.93, at, words).or(Label::EnvNoNetwork, 0.25)
        }
        Failure::Denied => found(Label::EnvNoNetwork, 0.8, at, words).or(Label::TcpRefused, 0.4),
        _ if case.client.has_any(&["x509", "tls:"]) => Verdicts::new(),
        _ => found(Label::TcpTimeout, 0.5, at, words).or(Label::TcpRefused, 0.35),
    }
}

fn by_failure(failure: Failure) -> Option<Label> {
    match failure {
        Failure::Timeout => Some(Label::TcpTimeout),
        Failure::Refused => Some(Label::TcpRefused),
        Failure::Reset | Failure::Eof => Some(Label::TcpReset),
        Failure::NoRoute | Failure::Unreachable => Some(Label::TcpNoRoute),
        _ => None,
    }
}

/// A public name that led to an address which cannot be its own.
fn poisoned(case: &Case, at: usize, socket: &Socket) -> Option<Verdicts> {
    let host = case.url().map(|url| url.host.clone())?;
    let address = url::host_of(&socket.address);
    if !url::is_chain_host(&host) || host == address {
        return None;
    }
    let bogus = url::is_private_address(address)
        && !address.starts_with("10.")
        && !address.starts_with("192.168.")
        && !address.starts_with("172.");
    let foreign = url::is_google_host(&host) && is_poison(address);
    (bogus || foreign).then(|| {
        let second = by_failure(socket.failure).unwrap_or(Label::TcpTimeout);
        found(Label::DnsPoisoned, 0.82, at, &socket.address).or(second, 0.45)
    })
}

/// Whether a public name cannot have this address: this machine itself, or a network known from poisoned answers.
pub(crate) fn is_bogus(address: &str) -> bool {
    let own = address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified());
    own || is_poison(address)
}

/// Addresses that poisoned answers are known to carry: other companies' networks that never serve Go.
fn is_poison(address: &str) -> bool {
    const NETWORKS: &[&str] = &[
        "31.13.",
        "69.171.",
        "157.240.",
        "173.252.",
        "66.220.",
        "69.63.",
        "199.59.1",
        "199.16.15",
        "104.244.4",
        "8.7.198.",
        "37.61.54.",
        "46.82.174.",
        "59.24.3.",
        "78.16.49.",
        "93.46.8.",
        "203.98.7.",
        "243.185.187.",
        "128.242.",
        "162.125.",
        "108.160.16",
        "75.126.",
        "67.228.",
        "50.87.93.",
        "4.36.66.",
        "64.33.88.",
        "185.45.",
        "118.184.",
        "198.18.",
    ];
    NETWORKS.iter().any(|network| address.starts_with(network))
}

/// https refused by a company host during discovery: it offers http only.
fn insecure(case: &Case, at: usize, socket: &Socket) -> Option<Verdicts> {
    let discovery = case.client.url_for(Purpose::Discovery)?;
    let private = url::looks_private(&discovery.host)
        || url::is_private_address(url::host_of(&socket.address));
    let refused = socket.failure == Failure::Refused && socket.address.ends_with(":443");
    (private && refused)
        .then(|| found(Label::VcsInsecureHttp, 0.78, at, "dial tcp").or(Label::TcpRefused, 0.45))
}

/// The words of curl, git and ssh.
fn transport(case: &Case) -> Verdicts {
    let client = &case.client;
    if client.has_any(&["rpc failed", "early eof", "index-pack"]) {
        return Verdicts::new();
    }
    if let Some(at) = client.line_with("connect to host ") {
        return ssh(client.after("connect to host ").unwrap_or_default(), at);
    }
    let words = [
        "failed to connect to",
        "couldn't connect to server",
        "could not connect to",
        "connection to ",
        "failed connect to",
    ];
    if let Some((at, words)) = client.any(&words) {
        let text = client
            .lower()
            .find(|text| text.contains(words))
            .unwrap_or_default();
        return match Failure::read(text) {
            Failure::Unknown if words != "connection to " => connected_in(text, at, words),
            failure => by_failure(failure).map_or_else(Verdicts::new, |label| {
                found(label, 0.92, at, words).or(Label::TcpBlockedRegion, 0.3)
            }),
        };
    }
    if let Some((at, words)) =
        client.any(&["recv failure", "send failure", "empty reply from server"])
    {
        return found(Label::TcpReset, 0.88, at, words).or(Label::TcpBlockedRegion, 0.3);
    }
    if let Some((at, words)) =
        client.any(&["kex_exchange_identification", "ssh_exchange_identification"])
    {
        return found(Label::VcsSshBlocked, 0.75, at, words).or(Label::TcpReset, 0.45);
    }
    if let Some((at, words)) = client
        .any(&["connection timed out", "operation timed out"])
        .filter(|_| client.has("unable to access"))
    {
        return found(Label::TcpTimeout, 0.85, at, words).or(Label::TcpBlockedRegion, 0.4);
    }
    Verdicts::new()
}

fn ssh(text: &str, at: usize) -> Verdicts {
    let words = "connect to host ";
    match Failure::read(text) {
        Failure::Timeout => {
            found(Label::VcsSshBlocked, 0.95, at, words).or(Label::TcpTimeout, 0.35)
        }
        Failure::Refused => {
            found(Label::TcpRefused, 0.75, at, words).or(Label::VcsSshBlocked, 0.49)
        }
        Failure::NoRoute | Failure::Unreachable => {
            found(Label::TcpNoRoute, 0.85, at, words).or(Label::VcsSshBlocked, 0.4)
        }
        Failure::Reset => found(Label::VcsSshBlocked, 0.7, at, words).or(Label::TcpReset, 0.45),
        _ => found(Label::VcsSshBlocked, 0.6, at, words).or(Label::TcpRefused, 0.4),
    }
}

/// Newer curl says only how long it tried: an answer within moments is a refusal.
fn connected_in(text: &str, at: usize, words: &str) -> Verdicts {
    let waited = text
        .split_once(" after ")
        .and_then(|(_, rest)| rest.split(' ').next())
        .and_then(|ms| ms.parse::<u32>().ok());
    match waited {
        Some(ms) if ms < 4000 => {
            found(Label::TcpRefused, 0.7, at, words).or(Label::TcpTimeout, 0.45)
        }
        _ => found(Label::TcpTimeout, 0.8, at, words).or(Label::TcpBlockedRegion, 0.4),
    }
}

/// Timeouts and closed connections without an address.
fn bare(case: &Case) -> Verdicts {
    const SLOW: &[&str] = &[
        "timeout awaiting response headers",
        "while awaiting headers",
        "context deadline exceeded",
        "i/o timeout",
        "client.timeout",
        "connection timed out",
        "operation timed out",
        "context canceled",
    ];
    const CUT: &[&str] = &[
        "connection reset by peer",
        "connection was reset",
        "forcibly closed",
        "broken pipe",
        "server closed idle connection",
        "http: server closed",
        "connection was aborted",
        "use of closed network connection",
        "transport connection broken",
        "client connection lost",
        "client connection force closed",
    ];
    let client = &case.client;
    let about_url = client
        .urls
        .iter()
        .any(|(_, url)| url.purpose != Purpose::Other || url::is_chain_host(&url.host));
    let in_go =
        about_url || client.has_any(&["unrecognized import path", "go: ", "failed to fetch"]);
    let java = client
        .any(&[
            "sockettimeoutexception",
            "connect timed out",
            "connectexception: connection refused",
        ])
        .filter(|_| case.log.fragment);
    if let Some((at, words)) = java {
        let label = if words.contains("refused") {
            Label::TcpRefused
        } else {
            Label::TcpTimeout
        };
        return found(label, 0.75, at, words);
    }
    if !in_go {
        return fragment(case);
    }
    if let Some((at, words)) = client.any(SLOW) {
        let reading = matches!(
            words,
            "timeout awaiting response headers" | "while awaiting headers"
        );
        let (label, other) = if reading && !client.has("waiting for connection") {
            (Label::TcpTimeout, Label::GoproxySlow)
        } else {
            (Label::TcpTimeout, Label::TcpBlockedRegion)
        };
        return found(label, 0.75, at, words).or(other, 0.45);
    }
    if let Some((at, words)) = client.any(CUT) {
        return found(Label::TcpReset, 0.88, at, words);
    }
    // Not of modules whose names have such words in them.
    if client.has_any(&["zip file", "unexpected eof", "rpc failed", " json", "json:"]) {
        return Verdicts::new();
    }
    match client
        .lower()
        .position(|text| text.trim_end().ends_with(": eof"))
        .filter(|_| about_url)
    {
        Some(at) => found(Label::TcpReset, 0.75, at, "eof").or(Label::GoproxyTruncated, 0.35),
        None => fragment(case),
    }
}

/// The bare words of an operating system, pasted without the command.
fn fragment(case: &Case) -> Verdicts {
    const WORDS: &[(&str, Label)] = &[
        ("connection refused", Label::TcpRefused),
        ("actively refused", Label::TcpRefused),
        ("connection reset by peer", Label::TcpReset),
        ("forcibly closed", Label::TcpReset),
        ("no route to host", Label::TcpNoRoute),
        ("network is unreachable", Label::TcpNoRoute),
        ("i/o timeout", Label::TcpTimeout),
        ("connection timed out", Label::TcpTimeout),
        ("did not properly respond", Label::TcpTimeout),
    ];
    let client = &case.client;
    if !case.log.fragment || client.has_any(&["rpc failed", "early eof", "fatal: "]) {
        return Verdicts::new();
    }
    let hit = WORDS
        .iter()
        .find_map(|(words, label)| client.line_with(words).map(|at| (at, *words, *label)));
    hit.map_or_else(Verdicts::new, |(at, words, label)| {
        found(label, 0.6, at, words)
    })
}

/// What the rest of the log makes of a failed connection.
fn surroundings(case: &Case, verdicts: Verdicts) -> Verdicts {
    let Some(first) = verdicts.first().cloned() else {
        return verdicts;
    };
    let silent = matches!(
        first.label,
        Label::TcpTimeout | Label::TcpReset | Label::TcpNoRoute | Label::TcpRefused
    );
    if silent && case.log.preload {
        return found(Label::EnvProxyBypassed, 0.85, first.at, &first.words).or(first.label, 0.45);
    }
    if case.log.sandbox && first.label == Label::TcpNoRoute {
        return found(Label::EnvNoNetwork, 0.8, first.at, &first.words).or(first.label, 0.45);
    }
    if case.log.mtu && matches!(first.label, Label::TcpTimeout | Label::TcpReset) {
        return found(Label::TcpMtu, 0.8, first.at, &first.words).or(first.label, 0.45);
    }
    let google = case
        .client
        .urls
        .iter()
        .any(|(_, url)| url::is_google_host(&url.host));
    if google
        && case.log.china
        && matches!(
            first.label,
            Label::TcpTimeout | Label::TcpReset | Label::TcpRefused
        )
    {
        return found(Label::TcpBlockedRegion, 0.8, first.at, &first.words).or(first.label, 0.49);
    }
    verdicts
}
