//! Name resolution: Go's look-ups with their resolver, and the words of git, curl, ssh and dig.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::net::{Failure, Lookup};
use crate::explain::url::{self, Purpose};
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    if !case.may_be_about_modules() {
        return Verdicts::new();
    }
    let rules = [lookups, other_words, wrong_address, tools];
    let verdicts = rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default();
    surroundings(case, verdicts)
}

/// The label of one failed look-up by its failure and resolver.
pub(crate) fn label(case: &Case, lookup: &Lookup) -> Label {
    let resolver = lookup.resolver.as_deref().unwrap_or_default();
    let local = is_local(resolver);
    let v6 = resolver.starts_with('[') && !local;
    match lookup.failure {
        Failure::Refused if local || resolver.is_empty() => Label::DnsNoResolver,
        Failure::InvalidArgument | Failure::NoRoute | Failure::Unreachable if v6 => {
            Label::DnsIpv6Resolver
        }
        Failure::Timeout | Failure::Reset if is_dead_v6(resolver) => Label::DnsIpv6Resolver,
        Failure::Unreachable | Failure::Denied => Label::EnvNoNetwork,
        Failure::Misbehaving => Label::DnsServfail,
        Failure::NoSuchHost if imported_host(case, &lookup.host) => Label::ModImportHostGone,
        Failure::NoSuchHost => Label::DnsNxdomain,
        Failure::InvalidArgument if local => Label::DnsNoResolver,
        _ => Label::DnsTimeout,
    }
}

/// Go's own look-ups.
fn lookups(case: &Case) -> Verdicts {
    let Some((at, lookup)) = case.lookup().filter(|(_, lookup)| !lookup.of_proxy) else {
        return Verdicts::new();
    };
    if lookup.failure == Failure::Unknown && lookup.resolver.is_none() {
        return Verdicts::new();
    }
    let label = label(case, lookup);
    let words = format!("lookup {}", lookup.host);
    let verdicts = found(label, 0.95, *at, &words);
    match label {
        Label::DnsTimeout
            if lookup
                .resolver
                .as_deref()
                .is_some_and(|r| r.starts_with('[') && !is_local(r)) =>
        {
            found(label, 0.75, *at, &words).or(Label::DnsIpv6Resolver, 0.45)
        }
        Label::DnsTimeout if lookup.failure == Failure::Refused => {
            found(label, 0.75, *at, &words).or(Label::DnsServfail, 0.4)
        }
        Label::DnsTimeout => verdicts.or(Label::EnvNoNetwork, 0.25),
        Label::ModImportHostGone => found(label, 0.9, *at, &words).or(Label::DnsNxdomain, 0.4),
        Label::DnsNxdomain => verdicts.or(Label::DnsPoisoned, 0.15),
        Label::DnsNoResolver => verdicts.or(Label::EnvNoNetwork, 0.4),
        Label::EnvNoNetwork => found(label, 0.88, *at, &words).or(Label::DnsTimeout, 0.4),
        _ => verdicts,
    }
}

/// git, curl and ssh do not say which resolver was asked.
fn other_words(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "could not resolve host",
        "could not resolve hostname",
        "couldn't resolve host",
        "unable to look up",
        "unable to resolve host",
    ];
    let client = &case.client;
    let Some((at, words)) = client.any(WORDS) else {
        return Verdicts::new();
    };
    match Failure::read(client.after(words).unwrap_or_default()) {
        Failure::TemporaryName | Failure::Timeout => {
            found(Label::DnsTimeout, 0.9, at, words).or(Label::EnvNoNetwork, 0.35)
        }
        Failure::Misbehaving => {
            found(Label::DnsServfail, 0.85, at, words).or(Label::DnsTimeout, 0.4)
        }
        Failure::NoSuchHost => found(Label::DnsNxdomain, 0.9, at, words).or(Label::DnsTimeout, 0.3),
        _ => found(Label::DnsNxdomain, 0.75, at, words).or(Label::DnsTimeout, 0.45),
    }
}

/// A station of the chain with an address that cannot be its own, in the words of nslookup, dig, host or ping.
fn wrong_address(case: &Case) -> Verdicts {
    let client = &case.client;
    if !client.sockets.is_empty() {
        return Verdicts::new();
    }
    let named = [
        "proxy.golang.org",
        "sum.golang.org",
        "golang.org",
        "storage.googleapis.com",
        "github.com",
    ];
    let about = named.iter().any(|host| client.has(host));
    let wrong = client
        .lower()
        .enumerate()
        .find(|(_, text)| answered_address(text).is_some_and(super::tcp::is_bogus));
    match wrong.filter(|_| about) {
        Some((at, text)) => found(
            Label::DnsPoisoned,
            0.8,
            at,
            answered_address(text).unwrap_or_default(),
        ),
        None => Verdicts::new(),
    }
}

/// The address that a resolver's answer gives in this line.
fn answered_address(lower: &str) -> Option<&str> {
    let marks = [
        "has address ",
        "address: ",
        "address:\t",
        " in a ",
        "\tin\ta\t",
        "ping proxy.golang.org (",
        "ping golang.org (",
    ];
    let rest = marks
        .iter()
        .find_map(|mark| lower.split_once(mark).map(|(_, rest)| rest))?;
    rest.trim_start()
        .split([' ', ')', '#', '\t'])
        .next()
        .filter(|word| word.parse::<std::net::IpAddr>().is_ok())
}

/// The answers of dig and nslookup, and addresses that cannot be right.
fn tools(case: &Case) -> Verdicts {
    let client = &case.client;
    if let Some((at, words)) = client.any(&[
        "status: servfail",
        "server failed",
        ": servfail",
        "status: refused",
    ]) {
        return found(Label::DnsServfail, 0.85, at, words);
    }
    if let Some((at, words)) = client.any(&["status: nxdomain", ": nxdomain"]) {
        return found(Label::DnsNxdomain, 0.85, at, words);
    }
    if let Some((at, words)) = client.any(&[
        "no servers could be reached",
        "communications error to",
        "no nameservers",
    ]) {
        return found(Label::DnsTimeout, 0.85, at, words);
    }
    if let Some((at, words)) = client.any(&["temporary failure in name resolution"]) {
        return found(Label::DnsTimeout, 0.85, at, words).or(Label::EnvNoNetwork, 0.4);
    }
    if let Some((at, words)) = client
        .any(&["no such host", "name or service not known"])
        .filter(|_| case.log.fragment)
    {
        return found(Label::DnsNxdomain, 0.7, at, words);
    }
    if let Some((at, words)) = client.any(&["server misbehaving"]) {
        return found(Label::DnsServfail, 0.85, at, words);
    }
    Verdicts::new()
}

/// What the rest of the log makes of a failed look-up.
fn surroundings(case: &Case, verdicts: Verdicts) -> Verdicts {
    let Some(first) = verdicts.first().cloned() else {
        return verdicts;
    };
    let resolving = matches!(
        first.label,
        Label::DnsTimeout
            | Label::DnsNoResolver
            | Label::DnsNxdomain
            | Label::DnsServfail
            | Label::EnvNoNetwork
            | Label::DnsIpv6Resolver
    );
    if !resolving {
        return verdicts;
    }
    if case.log.preload {
        return found(Label::EnvProxyBypassed, 0.9, first.at, &first.words).or(first.label, 0.45);
    }
    let public = case
        .lookup()
        .is_none_or(|(_, lookup)| !url::looks_private(&lookup.host));
    if case.log.sandbox && public && first.label != Label::DnsServfail {
        return found(Label::EnvNoNetwork, 0.88, first.at, &first.words).or(first.label, 0.45);
    }
    verdicts
}

fn is_local(resolver: &str) -> bool {
    resolver.starts_with("[::1]")
        || resolver.starts_with("127.")
        || resolver.starts_with("localhost")
        || resolver.starts_with("0.0.0.0")
}

/// IPv6 resolvers that nobody can reach: old site-local ones, and link-local ones.
fn is_dead_v6(resolver: &str) -> bool {
    resolver.starts_with("[fec0:") || resolver.starts_with("[fe80:")
}

/// Whether the name that does not resolve is the host of an import path, as opposed to a station of the chain.
fn imported_host(case: &Case, host: &str) -> bool {
    let discovery = case
        .client
        .urls
        .iter()
        .any(|(_, url)| url.purpose == Purpose::Discovery && url.host == host);
    // The page may have led to another host, whose URL has nothing of the question any more.
    let redirected = case.client.has_any(&["https fetch: ", "http fetch: "])
        && case.client.has("unrecognized import path")
        && case.client.urls.iter().any(|(_, url)| url.host == host);
    (discovery || redirected) && !url::is_chain_host(host)
}
