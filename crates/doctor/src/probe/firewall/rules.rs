//! Rules in the form that both syntaxes are read into, and what they do to a packet.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// How deep chains may call each other.
const DEPTH: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// The first packet of a connection to somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) protocol: Protocol,
    pub(super) to: SocketAddr,
}

impl Packet {
    pub(super) const fn new(protocol: Protocol, to: SocketAddr) -> Self {
        Self { protocol, to }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.protocol.as_str(), self.to)
    }
}

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Protocol(String),
    /// Whether the packet is of this version of IP.
    Version(u8),
    Ports {
        protocol: Option<Protocol>,
        ranges: Vec<RangeInclusive<u16>>,
    },
    To(Vec<Network>),
    /// Leaves by the loopback interface.
    Loopback,
    /// Of a connection that begins with it.
    New,
    /// Of one that stands already.
    Established,
    /// Sent by a process of this user.
    User(u32),
    Not(Box<Self>),
    /// What is not understood: may be so or not.
    Unknown,
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// `192.0.2.0/24`, or one address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(whole);
        (bits <= whole).then_some(Self { address, bits })
    }

    fn holds(self, ip: IpAddr) -> bool {
        let number = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)), 32),
            IpAddr::V6(ip) => (u128::from(ip), 128),
        };
        let ((own, width), (other, its_width)) = (number(self.address), number(ip));
        let away = width - u32::from(self.bits);
        width == its_width && (away >= width || own >> away == other >> away)
    }
}

impl Match {
    /// Whether the packet meets it; `None` when that cannot be told.
    fn meets(&self, packet: &Packet) -> Option<bool> {
        Some(match self {
            Self::Protocol(name) => match name.as_str() {
                "all" | "ip" => true,
                name => name == packet.protocol.as_str(),
            },
            Self::Version(version) => packet.to.is_ipv4() == (*version == 4),
            Self::Ports { protocol, ranges } => {
                protocol.is_none_or(|protocol| protocol == packet.protocol)
                    && ranges.iter().any(|range| range.contains(&packet.to.port()))
            }
            Self::To(networks) => networks.iter().any(|network| network.holds(packet.to.ip())),
            Self::Loopback => packet.to.ip().is_loopback(),
            Self::New => true,
            Self::Established => false,
            Self::User(user) => goenv::report::effective_user()? == *user,
            Self::Not(inner) => !inner.meets(packet)?,
            Self::Unknown => return None,
        })
    }
}

/// What happens to a packet that meets a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Stop,
    Return,
    Jump(String),
    Goto(String),
    /// The next rule is asked.
    Continue,
    Unknown,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// As it is written.
    pub(super) text: String,
    pub(super) matches: Vec<Match>,
    pub(super) verdict: Verdict,
}

/// The rules of one table, by chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) name: String,
    /// Packets of these versions of IP come here; 0 for both.
    pub(super) version: u8,
    pub(super) chains: HashMap<String, Vec<Rule>>,
    /// Chains where packets that leave come in, and whether those that nobody decides about are stopped.
    pub(super) bases: Vec<(String, bool)>,
}

/// All tables of one filter.
#[derive(Clone, Debug, Default)]
pub(super) struct Ruleset {
    /// Where they were read.
    pub(super) place: String,
    pub(super) tables: Vec<Table>,
}

/// What came of a chain.
enum End {
    Accepted,
    Stopped(String),
    /// Nobody has decided.
    Open,
    /// Cannot be told.
    Unknown,
}

impl Ruleset {
    /// The rule that keeps a packet from leaving, and where it stands; `None` when none does for certain.
    pub(super) fn stops(&self, packet: &Packet) -> Option<String> {
        self.tables
            .iter()
            .filter(|table| match table.version {
                4 => packet.to.is_ipv4(),
                6 => packet.to.is_ipv6(),
                _ => true,
            })
            .find_map(|table| {
                table.bases.iter().find_map(|(base, stops)| {
                    let rule = match table.run(base, packet, 0) {
                        End::Stopped(rule) => rule,
                        End::Open if *stops => "policy drop".to_owned(),
                        _ => return None,
                    };
                    Some(format!("{rule} ({}, {}, {base})", self.place, table.name))
                })
            })
    }
}

impl Table {
    fn run(&self, chain: &str, packet: &Packet, depth: usize) -> End {
        let Some(rules) = self.chains.get(chain).filter(|_| depth < DEPTH) else {
            return End::Open;
        };
        for rule in rules {
            let mut unsure = false;
            let mut met = true;
            for condition in &rule.matches {
                match condition.meets(packet) {
                    Some(true) => {}
                    Some(false) => met = false,
                    None => unsure = true,
                }
            }
            if !met {
                continue;
            }
            let end = match &rule.verdict {
                Verdict::Continue => continue,
                Verdict::Accept => End::Accepted,
                Verdict::Stop => End::Stopped(rule.text.clone()),
                Verdict::Return => End::Open,
                Verdict::Unknown => End::Unknown,
                Verdict::Jump(to) => match self.run(to, packet, depth + 1) {
                    End::Open => continue,
                    end => end,
                },
                Verdict::Goto(to) => self.run(to, packet, depth + 1),
            };
            if unsure {
                // It may or may not come here: nothing that follows is certain.
                return End::Unknown;
            }
            return end;
        }
        End::Open
    }
}

/// `443`, `80-90`, `80:90`.
pub(super) fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| match text {
        "https" => Some(443),
        "http" => Some(80),
        "domain" => Some(53),
        "ssh" => Some(22),
        "git" => Some(9418),
        number => number.parse().ok(),
    };
    match text.split_once(['-', ':']) {
        Some((from, to)) => Some(port(from)?..=port(to)?),
        None => port(text).map(|port| port..=port),
    }
}
