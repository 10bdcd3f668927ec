//! The rules as `iptables-save` prints them.

use std::collections::HashMap;

use super::rules::{Match, Network, Protocol, Rule, Ruleset, Table, Verdict, port_range};

pub(super) fn parse(text: &str, place: &str) -> Ruleset {
    let version = if place.contains("ip6tables") || place.ends_with("v6") {
        6
    } else {
        4
    };
    let mut set = Ruleset {
        place: place.to_owned(),
        tables: Vec::new(),
    };
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            set.tables.push(Table {
                name: name.to_owned(),
                version,
                chains: HashMap::new(),
                bases: Vec::new(),
            });
        }
        let Some(table) = set.tables.last_mut() else {
            continue;
        };
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            let (Some(name), policy) = (words.next(), words.next()) else {
                continue;
            };
            table.chains.entry(name.to_owned()).or_default();
            // The other tables change packets; they stop none as a rule.
            if name == "OUTPUT" && table.name == "filter" {
                table.bases.push((name.to_owned(), policy == Some("DROP")));
            }
        } else if line.starts_with("-A ") {
            let words = words(line);
            if let Some((name, rule)) = rule(line, &words) {
                table.chains.entry(name).or_default().push(rule);
            }
        }
    }
    set
}

/// The words of a line; a comment in quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn rule(line: &str, words: &[String]) -> Option<(String, Rule)> {
    let mut words = words.iter().map(String::as_str).skip(1);
    let chain = words.next()?.to_owned();
    let mut matches = Vec::new();
    let mut verdict = Verdict::Continue;
    let mut protocol = None;
    let mut not = false;
    while let Some(word) = words.next() {
        let condition = match word {
            "!" => {
                not = true;
                continue;
            }
            // Which module reads the next words says nothing; a target's own words neither.
            "-m" | "--comment" | "--reject-with" | "--log-prefix" | "--log-level" => {
                words.next();
                continue;
            }
            "-p" => {
                let name = words.next()?;
                protocol = match name {
                    "tcp" => Some(Protocol::Tcp),
                    "udp" => Some(Protocol::Udp),
                    _ => None,
                };
                Match::Protocol(name.to_owned())
            }
            "-d" => {
                Network::parse(words.next()?).map_or(Match::Unknown, |one| Match::To(vec![one]))
            }
            "--dport" | "--dports" => {
                let ranges = words.next()?.split(',').map(port_range);
                let ranges: Option<Vec<_>> = ranges.collect();
                ranges.map_or(Match::Unknown, |ranges| Match::Ports { protocol, ranges })
            }
            "-o" => match words.next()? {
                "lo" => Match::Loopback,
                _ => Match::Unknown,
            },
            "--ctstate" | "--state" => {
                if words.next()?.split(',').any(|state| state == "NEW") {
                    Match::New
                } else {
                    Match::Established
                }
            }
            "--uid-owner" => words.next()?.parse().map_or(Match::Unknown, Match::User),
            "-j" => {
                verdict = target(words.next()?);
                continue;
            }
            "-g" => {
                verdict = Verdict::Goto(words.next()?.to_owned());
                continue;
            }
            _ => Match::Unknown,
        };
        matches.push(if std::mem::take(&mut not) {
            Match::Not(Box::new(condition))
        } else {
            condition
        });
    }
    let rule = Rule {
        text: line.to_owned(),
        matches,
        verdict,
    };
    Some((chain, rule))
}

fn target(name: &str) -> Verdict {
    match name {
        "ACCEPT" => Verdict::Accept,
        "DROP" | "REJECT" => Verdict::Stop,
        "RETURN" => Verdict::Return,
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TCPMSS" | "AUDIT" => Verdict::Continue,
        "QUEUE" | "NFQUEUE" => Verdict::Unknown,
        chain => Verdict::Jump(chain.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Packet;
    use super::*;

    fn stops(rules: &str, policy: &str, to: &str) -> Option<String> {
        let text = format!(
            "# Generated\n*nat\n:OUTPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT {policy} [0:0]\n:ufw-user-output - [0:0]\n{}\nCOMMIT\n",
            rules.replace('|', "\n")
        );
        parse(&text, "iptables").stops(&Packet::new(Protocol::Tcp, to.parse().unwrap()))
    }

    #[test]
    fn only_what_is_stopped_for_certain_is_told() {
        for (rules, policy, to, stopped) in [
            (
                "-A OUTPUT -p tcp -m tcp --dport 443 -j DROP",
                "ACCEPT",
                "192.0.2.1:443",
                true,
            ),
            (
                "-A OUTPUT -p tcp -m tcp --dport 443 -j DROP",
                "ACCEPT",
                "192.0.2.1:80",
                false,
            ),
            (
                "-A OUTPUT -d 192.0.2.0/24 -p tcp -m multiport --dports 80,443 -m comment --comment \"no web, please\" -j REJECT --reject-with icmp-port-unreachable",
                "ACCEPT",
                "192.0.2.1:443",
                true,
            ),
            (
                "-A OUTPUT -d 192.0.2.0/24 -j DROP",
                "ACCEPT",
                "198.51.100.1:443",
                false,
            ),
            (
                "-A OUTPUT ! -d 192.0.2.0/24 -j DROP",
                "ACCEPT",
                "198.51.100.1:443",
                true,
            ),
            (
                "-A OUTPUT -o lo -j ACCEPT|-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                "DROP",
                "192.0.2.1:443",
                true,
            ),
            (
                "-A OUTPUT -m conntrack --ctstate NEW -j ACCEPT",
                "DROP",
                "192.0.2.1:443",
                false,
            ),
            (
                "-A OUTPUT -j ufw-user-output|-A ufw-user-output -p tcp -m tcp --dport 443 -j ACCEPT",
                "DROP",
                "192.0.2.1:443",
                false,
            ),
            (
                "-A OUTPUT -j ufw-user-output|-A ufw-user-output -p tcp -m tcp --dport 22 -j ACCEPT",
                "DROP",
                "192.0.2.1:443",
                true,
            ),
            (
                "-A OUTPUT -m set --match-set good dst -j ACCEPT",
                "DROP",
                "192.0.2.1:443",
                false,
            ),
            (
                "-A OUTPUT -j LOG --log-prefix \"out \"",
                "ACCEPT",
                "192.0.2.1:443",
                false,
            ),
            (
                "-A OUTPUT -p tcp -j DROP",
                "ACCEPT",
                "[2001:db8::1]:443",
                false,
            ),
        ] {
            let found = stops(rules, policy, to);
            assert_eq!(
                found.is_some(),
                stopped,
                "{rules} / {policy} / {to}: {found:?}"
            );
        }
    }
}
