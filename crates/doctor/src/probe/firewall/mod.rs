//! The packet filter of this machine itself: whether it keeps a connection from leaving.
//!
//! It is read only when something failed, as far as this user may read it: the rules in force (`nft list ruleset`,
//! `iptables-save`), else the files they are loaded from. What a rule says is believed only where every word of it is
//! understood, so that nobody is sent to a filter that is none.

mod iptables;
mod nft;
mod rules;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fault::Hop;
use tokio::process::Command;
use tokio::time::timeout;

use super::report::{Check, Probe};
use rules::{Packet, Protocol, Ruleset};

/// How long one program may take that lists rules.
const PATIENCE: Duration = Duration::from_millis(700);
/// Where rules are loaded from at the start, for those who may not list them.
const FILES: [(&str, Syntax); 5] = [
    ("etc/nftables.conf", Syntax::Nft),
    ("etc/sysconfig/nftables.conf", Syntax::Nft),
    ("etc/iptables/rules.v4", Syntax::Iptables),
    ("etc/sysconfig/iptables", Syntax::Iptables),
    ("etc/ufw/user.rules", Syntax::Iptables),
];
/// So much of a list of rules is read, in bytes.
const MOST: usize = 4 << 20;

#[derive(Clone, Copy)]
enum Syntax {
    Nft,
    Iptables,
}

/// What the filter does to a connection that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// The hop at which it failed.
    pub(crate) hop: Hop,
    /// What shows it: the rule, and where it stands.
    pub(crate) line: String,
}

/// Holds the connections that failed against the rules of this machine.
pub(crate) async fn look(root: &Path, hops: &[Probe]) -> Vec<Stopped> {
    let packets: Vec<(Hop, Packet)> = hops.iter().flat_map(packets).collect();
    if packets.is_empty() || !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let rulesets = rulesets(root).await;
    let mut found: Vec<Stopped> = Vec::new();
    for (hop, packet) in &packets {
        let stops = rulesets.iter().find_map(|rules| rules.stops(packet));
        if let Some(rule) = stops {
            let line = format!("this machine's own packet filter stops {packet}: {rule}");
            let stopped = Stopped { hop: *hop, line };
            if !found.contains(&stopped) {
                found.push(stopped);
            }
        }
    }
    found
}

/// What a failed probe has sent.
fn packets(probe: &Probe) -> Vec<(Hop, Packet)> {
    if probe.failure().is_none() {
        return Vec::new();
    }
    let word = |prefix: char| {
        let mut words = probe.target.split_whitespace().rev();
        words.find_map(|word| word.trim_start_matches(prefix).parse::<SocketAddr>().ok())
    };
    match probe.check {
        Check::Address => word(' ')
            .map(|to| (Hop::Tcp, Packet::new(Protocol::Tcp, to)))
            .into_iter()
            .collect(),
        Check::Resolver => word('@')
            .map(|to| (Hop::Dns, Packet::new(Protocol::Udp, to)))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

async fn rulesets(root: &Path) -> Vec<Ruleset> {
    let mut found = Vec::new();
    if root == Path::new("/") {
        let (nft, four, six) = tokio::join!(
            listed("nft", &["list", "ruleset"]),
            listed("iptables-save", &[]),
            listed("ip6tables-save", &[]),
        );
        found.extend(nft.map(|text| nft::parse(&text, "nft")));
        // A filter made by iptables stands in nft's list too, unless it is of the old kind.
        found.extend(four.map(|text| iptables::parse(&text, "iptables")));
        found.extend(six.map(|text| iptables::parse(&text, "ip6tables")));
        if !found.is_empty() {
            return found;
        }
    }
    for (file, syntax) in FILES {
        let path = root.join(file);
        if let Ok(text) = std::fs::read_to_string(&path) {
            let place = path.display().to_string();
            found.push(match syntax {
                Syntax::Nft => nft::parse(&text, &place),
                Syntax::Iptables => iptables::parse(&text, &place),
            });
        }
    }
    found
}

/// What a program prints; `None` when it is not there, or this user may not see the rules.
async fn listed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = ["", "/usr/sbin/", "/sbin/"]
        .into_iter()
        .find_map(|directory| {
            Command::new(format!("{directory}{program}"))
                .args(arguments)
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .ok()
        })?
        .wait_with_output();
    let output = timeout(PATIENCE, output).await.ok()?.ok()?;
    let text = output.stdout.get(..MOST.min(output.stdout.len()))?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::report::Failure;
    use fault::Label;

    fn failed(check: Check, target: &str, label: Label) -> Probe {
        Probe::new(check, label.hop(), target).failed(Failure::new(label, "x"))
    }

    #[tokio::test]
    async fn rules_in_files_are_held_against_what_failed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/iptables")).unwrap();
        std::fs::write(
            root.path().join("etc/nftables.conf"),
            "table inet filter {\n\tchain output {\n\t\ttype filter hook output priority 0; policy accept;\n\t\ttcp dport { 80, 443 } drop\n\t}\n}\n",
        )
        .unwrap();
        std::fs::write(
            root.path().join("etc/iptables/rules.v4"),
            "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp -m udp --dport 53 -j REJECT\nCOMMIT\n",
        )
        .unwrap();
        let hops = [
            failed(Check::Address, "a.example 192.0.2.1:443", Label::TcpTimeout),
            failed(
                Check::Address,
                "a.example 192.0.2.1:8443",
                Label::TcpTimeout,
            ),
            failed(
                Check::Resolver,
                "a.example @192.0.2.53:53",
                Label::DnsTimeout,
            ),
            Probe::new(Check::Address, Hop::Tcp, "b.example 192.0.2.2:443"),
        ];
        let found = look(root.path(), &hops).await;
        let lines: Vec<(Hop, String)> = found
            .into_iter()
            .map(|one| {
                (
                    one.hop,
                    one.line.replace(&format!("{}/", root.path().display()), ""),
                )
            })
            .collect();
        assert_eq!(
            lines,
            [
                (
                    Hop::Tcp,
                    "this machine's own packet filter stops tcp to 192.0.2.1:443: tcp dport { 80, 443 } drop (etc/nftables.conf, inet filter, output)".to_owned()
                ),
                (
                    Hop::Dns,
                    "this machine's own packet filter stops udp to 192.0.2.53:53: -A OUTPUT -p udp -m udp --dport 53 -j REJECT (etc/iptables/rules.v4, filter, OUTPUT)".to_owned()
                ),
            ]
        );
    }
}
