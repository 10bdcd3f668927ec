//! The rules as `nft list ruleset` prints them, and as people write them in nftables.conf.

use std::collections::HashMap;

use super::rules::{Match, Network, Protocol, Rule, Ruleset, Table, Verdict, port_range};

pub(super) fn parse(text: &str, place: &str) -> Ruleset {
    let mut set = Ruleset {
        place: place.to_owned(),
        tables: Vec::new(),
    };
    let mut chain: Option<String> = None;
    // Sets, maps and flow tables are passed over.
    let mut skipping = 0_usize;
    for line in text.lines() {
        let line = line.split(" # ").next().unwrap_or(line).trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if skipping > 0 {
            skipping =
                (skipping + line.matches('{').count()).saturating_sub(line.matches('}').count());
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), set.tables.last_mut()) {
            (["table", family, name, "{"], _) => set.tables.push(table(family, name)),
            (["table", name, "{"], _) => set.tables.push(table("ip", name)),
            (["chain", name, "{"], Some(table)) => {
                table.chains.entry((*name).to_owned()).or_default();
                chain = Some((*name).to_owned());
            }
            (["set" | "map" | "flowtable" | "ct" | "counter", .., "{"], _) if chain.is_none() => {
                skipping = 1;
            }
            (["}"], _) => chain = None,
            (["type", kind, "hook", hook, ..], Some(table)) => {
                if let Some(name) = &chain
                    && *kind == "filter"
                    && matches!(*hook, "output" | "postrouting")
                {
                    table
                        .bases
                        .push((name.clone(), line.contains("policy drop")));
                }
            }
            (_, Some(table)) => {
                if let Some(rules) = chain.as_ref().and_then(|name| table.chains.get_mut(name)) {
                    rules.push(rule(line));
                }
            }
            _ => {}
        }
    }
    set
}

fn table(family: &str, name: &str) -> Table {
    Table {
        name: format!("{family} {name}"),
        version: match family {
            "ip" => 4,
            "ip6" => 6,
            _ => 0,
        },
        chains: HashMap::new(),
        bases: Vec::new(),
    }
}

/// One line: conditions, statements and at the end a verdict.
fn rule(line: &str) -> Rule {
    let text = line.trim_end_matches(';').to_owned();
    let spaced = text
        .replace('{', " { ")
        .replace('}', " } ")
        .replace(',', " , ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let mut matches = Vec::new();
    let mut verdict = Verdict::Continue;
    while let Some((first, after)) = rest.split_first() {
        rest = match (*first, after) {
            ("counter", ["packets", _, "bytes", _, after @ ..] | after) => after,
            ("comment", [_, ..]) => &[],
            ("log", after) => {
                let end = after.iter().position(|word| is_verdict(word));
                after.get(end.unwrap_or(after.len())..).unwrap_or_default()
            }
            ("accept", after) => {
                verdict = Verdict::Accept;
                after
            }
            ("drop" | "reject", _) => {
                verdict = Verdict::Stop;
                &[]
            }
            ("return", after) => {
                verdict = Verdict::Return;
                after
            }
            ("jump", [to, after @ ..]) => {
                verdict = Verdict::Jump((*to).to_owned());
                after
            }
            ("goto", [to, after @ ..]) => {
                verdict = Verdict::Goto((*to).to_owned());
                after
            }
            (first, after) => {
                let (condition, after) = condition(first, after);
                matches.push(condition);
                after
            }
        };
    }
    if matches.contains(&Match::Unknown) && verdict == Verdict::Continue {
        // A statement that is not known, and decides nothing that is known.
        let decides = words
            .iter()
            .any(|word| matches!(*word, "queue" | "vmap" | "tproxy"));
        verdict = if decides {
            Verdict::Unknown
        } else {
            Verdict::Continue
        };
    }
    Rule {
        text,
        matches,
        verdict,
    }
}

fn is_verdict(word: &str) -> bool {
    matches!(
        word,
        "accept" | "drop" | "reject" | "return" | "jump" | "goto" | "counter"
    )
}

/// A condition, and the words behind it. What is not known ends at the next word that is.
fn condition<'a>(first: &str, after: &'a [&'a str]) -> (Match, &'a [&'a str]) {
    let read = match (first, after) {
        ("tcp", ["dport", rest @ ..]) => ports(Some(Protocol::Tcp), rest),
        ("udp", ["dport", rest @ ..]) => ports(Some(Protocol::Udp), rest),
        ("th", ["dport", rest @ ..]) => ports(None, rest),
        ("ip" | "ip6", ["daddr", rest @ ..]) => values(rest).and_then(|(not, values, rest)| {
            let networks = values.iter().map(|value| Network::parse(value));
            let networks: Option<Vec<Network>> = networks.collect();
            Some((negated(not, Match::To(networks?)), rest))
        }),
        ("meta", ["l4proto", rest @ ..])
        | ("ip", ["protocol", rest @ ..])
        | ("ip6", ["nexthdr", rest @ ..]) => {
            values(rest).and_then(|(not, values, rest)| match values.as_slice() {
                [one] => Some((negated(not, Match::Protocol((*one).to_owned())), rest)),
                _ => None,
            })
        }
        ("meta", ["nfproto", "ipv4", rest @ ..]) => Some((Match::Version(4), rest)),
        ("meta", ["nfproto", "ipv6", rest @ ..]) => Some((Match::Version(6), rest)),
        ("meta", ["skuid", rest @ ..]) => {
            values(rest).and_then(|(not, values, rest)| match values.as_slice() {
                [one] => Some((negated(not, Match::User(one.parse().ok()?)), rest)),
                _ => None,
            })
        }
        ("oif" | "oifname", rest) => {
            values(rest).and_then(|(not, values, rest)| match values.as_slice() {
                [one] if one.trim_matches('"') == "lo" => {
                    Some((negated(not, Match::Loopback), rest))
                }
                _ => None,
            })
        }
        ("ct", ["state", rest @ ..]) => values(rest).map(|(not, values, rest)| {
            let state = if values.contains(&"new") {
                Match::New
            } else {
                Match::Established
            };
            (negated(not, state), rest)
        }),
        _ => None,
    };
    read.unwrap_or_else(|| {
        let end = after.iter().position(|word| is_verdict(word));
        (
            Match::Unknown,
            after.get(end.unwrap_or(after.len())..).unwrap_or_default(),
        )
    })
}

fn negated(not: bool, condition: Match) -> Match {
    if not {
        Match::Not(Box::new(condition))
    } else {
        condition
    }
}

fn ports<'a>(protocol: Option<Protocol>, rest: &'a [&'a str]) -> Option<(Match, &'a [&'a str])> {
    let (not, values, rest) = values(rest)?;
    let ranges = values.iter().map(|value| port_range(value));
    let ranges: Option<Vec<_>> = ranges.collect();
    Some((
        negated(
            not,
            Match::Ports {
                protocol,
                ranges: ranges?,
            },
        ),
        rest,
    ))
}

/// `[!=] VALUE`, `{ VALUE, VALUE }` or `VALUE,VALUE`; a named set has no values that stand here.
fn values<'a>(rest: &'a [&'a str]) -> Option<(bool, Vec<&'a str>, &'a [&'a str])> {
    let (not, rest) = match rest {
        ["!=", rest @ ..] => (true, rest),
        ["==", rest @ ..] | rest => (false, rest),
    };
    let (first, after) = rest.split_first()?;
    if first.starts_with('@') {
        return None;
    }
    if *first == "{" {
        let end = after.iter().position(|word| *word == "}")?;
        let values = after
            .get(..end)?
            .iter()
            .copied()
            .filter(|word| *word != ",");
        return Some((not, values.collect(), after.get(end + 1..)?));
    }
    let mut values = vec![*first];
    let mut rest = after;
    while let [",", next, after @ ..] = rest {
        values.push(*next);
        rest = after;
    }
    Some((not, values, rest))
}

#[cfg(test)]
mod tests {
    use super::super::rules::Packet;
    use super::*;

    fn stops(rules: &str, policy: &str, protocol: Protocol, to: &str) -> Option<String> {
        let text = format!(
            "table inet filter {{\n\tset bad {{\n\t\ttype ipv4_addr\n\t\telements = {{ 192.0.2.9 }}\n\t}}\n\tchain helper {{\n\t\tip daddr 198.51.100.0/24 reject with icmp port-unreachable\n\t}}\n\tchain output {{\n\t\ttype filter hook output priority filter; policy {policy};\n\t\t{}\n\t}}\n}}\n",
            rules.replace('|', "\n\t\t")
        );
        parse(&text, "nft").stops(&Packet::new(protocol, to.parse().unwrap()))
    }

    #[test]
    fn only_what_is_stopped_for_certain_is_told() {
        let tcp = Protocol::Tcp;
        for (rules, policy, to, stopped) in [
            ("tcp dport 443 drop", "accept", "192.0.2.1:443", true),
            ("tcp dport 443 drop", "accept", "192.0.2.1:80", false),
            (
                "tcp dport { 80, 443 } counter packets 3 bytes 180 reject",
                "accept",
                "[2001:db8::1]:443",
                true,
            ),
            ("tcp dport 400-500 drop", "accept", "192.0.2.1:443", true),
            (
                "ip daddr 192.0.2.0/24 drop",
                "accept",
                "192.0.2.1:443",
                true,
            ),
            (
                "ip daddr 192.0.2.0/24 drop",
                "accept",
                "[2001:db8::1]:443",
                false,
            ),
            (
                "ip daddr != 192.0.2.0/24 drop",
                "accept",
                "192.0.2.1:443",
                false,
            ),
            ("udp dport 443 drop", "accept", "192.0.2.1:443", false),
            (
                "tcp dport 443 accept|drop",
                "accept",
                "192.0.2.1:443",
                false,
            ),
            (
                "oifname \"lo\" accept|ct state established,related accept|tcp dport 22 accept",
                "drop",
                "192.0.2.1:443",
                true,
            ),
            ("oifname \"lo\" accept", "drop", "127.0.0.1:443", false),
            ("ip daddr @bad accept", "drop", "192.0.2.1:443", false),
            ("ip daddr @bad drop", "accept", "192.0.2.9:443", false),
            ("meta cgroup 7 drop", "accept", "192.0.2.1:443", false),
            ("jump helper|accept", "drop", "198.51.100.7:443", true),
            ("jump helper|accept", "drop", "192.0.2.1:443", false),
            (
                "log prefix \"x\" level info drop",
                "accept",
                "192.0.2.1:443",
                true,
            ),
            (
                "meta skuid != 4000000000 tcp dport 443 drop",
                "accept",
                "192.0.2.1:443",
                true,
            ),
            (
                "meta l4proto tcp ip daddr 192.0.2.1 tcp dport https drop comment \"why\"",
                "accept",
                "192.0.2.1:443",
                true,
            ),
        ] {
            let found = stops(rules, policy, tcp, to);
            assert_eq!(
                found.is_some(),
                stopped,
                "{rules} / {policy} / {to}: {found:?}"
            );
        }
        assert_eq!(
            stops("tcp dport 443 drop", "accept", tcp, "192.0.2.1:443").unwrap(),
            "tcp dport 443 drop (nft, inet filter, output)"
        );
        assert_eq!(
            stops("", "drop", tcp, "192.0.2.1:443").unwrap(),
            "policy drop (nft, inet filter, output)"
        );
    }
}
