//! What other resolvers say of a name. They are asked only when somebody wants it, and only about names of the public
//! module ecosystem: no private name leaves to them.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use fault::{Hop, Label};
use futures_util::future::join_all;
use tokio::time::Instant;
use url::Url;

use super::public::{is_bogus, is_public_domain};
use super::wire::{Family, Said, answer_in_body, ask, question_in_url};
use super::{LINGER, Looked, joined, list};
use crate::probe::Net;
use crate::probe::fetch::{Part, fetch};
use crate::probe::report::{Check, Failure, Phases, Probe};

/// Another resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// Over UDP and TCP.
    Plain(SocketAddr),
    /// Over HTTPS (RFC 8484).
    Https(Url),
}

/// Resolvers that anybody may ask: Cloudflare, Google, `AliDNS`.
const PUBLIC: [&str; 6] = [
    "1.1.1.1",
    "8.8.8.8",
    "223.5.5.5",
    "https://cloudflare-dns.com/dns-query",
    "https://dns.google/dns-query",
    "https://dns.alidns.com/dns-query",
];

/// Largest answer, as DNS has it.
const LARGEST: usize = 65_535;

impl Other {
    /// The public ones.
    pub fn public() -> Vec<Self> {
        PUBLIC.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

impl FromStr for Other {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("https://") || text.starts_with("http://") {
            return Url::parse(text)
                .map(Self::Https)
                .map_err(|error| format!("{text}: {error}"));
        }
        text.parse::<SocketAddr>()
            .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
            .map(Self::Plain)
            .map_err(|_| format!("{text}: an address or an https:// URL is expected"))
    }
}

impl std::fmt::Display for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(address) => address.fmt(f),
            Self::Https(url) => url.fmt(f),
        }
    }
}

/// Asks the others about a host and holds what they say against what the system knows. The second part is what is
/// suspicious.
pub(crate) async fn compare(
    net: &Net,
    others: &[Other],
    host: &str,
    known: &Looked,
) -> (Vec<Probe>, Option<Failure>) {
    if !is_public_domain(host) {
        return (Vec::new(), None);
    }
    let said = join_all(others.iter().map(|other| async move {
        let start = Instant::now();
        (other, view(net, other, host).await, start.elapsed())
    }))
    .await;
    let mut elsewhere: Vec<IpAddr> = Vec::new();
    let mut probes = Vec::new();
    for (other, said, took) in said {
        let probe =
            Probe::new(Check::Resolver, Hop::Dns, format!("{host} @{other}")).took(Phases {
                dns: Some(took),
                ..Phases::default()
            });
        probes.push(match said {
            Said::Addresses(addresses) if !addresses.is_empty() => {
                let probe = probe.fact("addresses", list(&addresses));
                elsewhere.extend(addresses.into_iter().filter(|ip| !is_bogus(*ip)));
                probe
            }
            other => probe.fact("answered-by", words(&other)),
        });
    }
    elsewhere.sort();
    elsewhere.dedup();
    (probes, suspicion(host, known, &elsewhere))
}

fn words(said: &Said) -> String {
    match said {
        Said::Addresses(_) => "no address".to_owned(),
        Said::NoSuchName => "no such host".to_owned(),
        Said::Unusable(what) => (*what).to_owned(),
        Said::Silence => "i/o timeout".to_owned(),
        Said::Unreachable(_, words) => words.clone(),
    }
}

/// Other addresses are no sign: large sites have many. An address that cannot be the host's is one, and so is a name
/// that does not exist here only.
fn suspicion(host: &str, known: &Looked, elsewhere: &[IpAddr]) -> Option<Failure> {
    if elsewhere.is_empty() {
        return None;
    }
    let there = format!("other resolvers say that {host} is {}", list(elsewhere));
    let mut failure = match &known.result {
        Ok(here) if here.iter().any(|ip| is_bogus(*ip)) => {
            let here = format!("here {host} is {}", list(here));
            Failure::new(Label::DnsPoisoned, here).because(there)
        }
        Ok(_) => return None,
        Err(failure) => failure.clone().because(there),
    };
    failure.subjects.host = Some(host.to_owned());
    Some(failure)
}

/// Both families.
async fn view(net: &Net, other: &Other, host: &str) -> Said {
    let limit = net.limits.dns.min(net.left());
    match other {
        Other::Plain(server) => {
            let (v4, v6) = tokio::join!(
                ask(*server, host, Family::V4, limit, LINGER),
                ask(*server, host, Family::V6, limit, Duration::ZERO)
            );
            joined(*server, v4, v6).said
        }
        Other::Https(url) => {
            let (v4, v6) = tokio::join!(
                over_https(net, url, host, Family::V4),
                over_https(net, url, host, Family::V6)
            );
            match (v4, v6) {
                (Said::Addresses(mut first), Said::Addresses(second)) => {
                    first.extend(second);
                    Said::Addresses(first)
                }
                (said, _) => said,
            }
        }
    }
}

async fn over_https(net: &Net, url: &Url, host: &str, family: Family) -> Said {
    let Some(question) = question_in_url(host, family) else {
        return Said::NoSuchName;
    };
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("dns", &question);
    match fetch(net, &url, Part::Whole, LARGEST).await.result {
        Ok(answer) if answer.status == 200 => answer_in_body(&answer.body, family),
        Ok(_) => Said::Unusable("an HTTP error"),
        Err(failure) => Said::Unreachable(
            std::io::ErrorKind::Other,
            failure.evidence.first().cloned().unwrap_or_default(),
        ),
    }
}
