//! Host keys by fingerprint: ssh wants whole keys, people pin fingerprints.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::Runner;
use super::access::SshHost;
use super::relay::Relay;
use crate::error::{Blocked, Error, ToolFault};
use fault::Label;

const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Host keys that were found to have pinned fingerprints.
#[derive(Default)]
pub(super) struct Pins(Mutex<HashMap<(SshHost, Vec<String>), String>>);

impl Pins {
    /// Lines for a file of known hosts: the keys of `host` that have one of `fingerprints`.
    ///
    /// Whoever answers cannot fake them: ssh makes the server prove afterwards that it has the key.
    pub(super) async fn known_hosts(
        &self,
        runner: &Runner,
        host: &SshHost,
        fingerprints: &[String],
        relay: Option<&Relay>,
    ) -> Result<String, Error> {
        let mut found = self.0.lock().await;
        let key = (host.clone(), fingerprints.to_vec());
        if let Some(lines) = found.get(&key) {
            return Ok(lines.clone());
        }
        let scanned = scan(runner, host, relay).await?;
        let lines = pinned_lines(&scanned, fingerprints);
        if lines.is_empty() {
            let keys = scanned.lines().filter(|line| !line.starts_with('#'));
            let mut keys: Vec<String> = keys.filter_map(fingerprint_of).collect();
            keys.sort_unstable();
            return Err(Blocked::HostKey {
                host: host.name.clone(),
                found: keys.join(" and "),
            }
            .into());
        }
        found.insert(key, lines.clone());
        Ok(lines)
    }
}

/// The keys that a server shows, a line each.
async fn scan(runner: &Runner, host: &SshHost, relay: Option<&Relay>) -> Result<String, Error> {
    let (name, port) = match relay {
        Some(relay) => (relay.address.ip().to_string(), Some(relay.address.port())),
        None => (host.name.clone(), host.port),
    };
    let mut arguments = vec!["-T".to_owned(), "15".to_owned()];
    if let Some(port) = port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["--".to_owned(), name]);
    let scan = runner
        .program("ssh-keyscan")
        .args(arguments)
        .time(TIME_LIMIT)
        .output()
        .await?;
    let mut scanned = String::from_utf8_lossy(&scan.stdout).into_owned();
    if relay.is_some() {
        scanned = renamed(&scanned, &host.alias());
    }
    if scanned.trim().is_empty() {
        return Err(ToolFault::Failed {
            what: "ssh-keyscan".to_owned(),
            status: "no answer".to_owned(),
            label: Label::VcsSshBlocked,
            stderr: super::messages::presentable(&scan.stderr, &[]),
        }
        .into());
    }
    Ok(scanned)
}

/// The fingerprints of the keys that a server shows, for the message that none of them is known.
pub(super) async fn shown_fingerprints(
    runner: &Runner,
    host: &SshHost,
    relay: Option<&Relay>,
) -> Option<String> {
    let scanned = scan(runner, host, relay).await.ok()?;
    let keys = scanned.lines().filter(|line| !line.starts_with('#'));
    let mut found: Vec<String> = keys.filter_map(fingerprint_of).collect();
    found.sort_unstable();
    (!found.is_empty()).then(|| found.join(" and "))
}

/// The same keys under another name: they were asked for where the way to their server begins.
fn renamed(scanned: &str, name: &str) -> String {
    let mut text = String::new();
    let keys = scanned.lines().filter(|line| !line.starts_with('#'));
    for (_, key) in keys.filter_map(|line| line.split_once(' ')) {
        text.push_str(name);
        text.push(' ');
        text.push_str(key);
        text.push('\n');
    }
    text
}

fn pinned_lines(scanned: &str, fingerprints: &[String]) -> String {
    let is_pinned = |line: &&str| {
        fingerprint_of(line).is_some_and(|found| {
            fingerprints
                .iter()
                .any(|pinned| pinned.trim_end_matches('=') == found)
        })
    };
    let keys = scanned.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<&str> = keys.filter(is_pinned).chain([""]).collect();
    lines.join("\n")
}

/// The fingerprint of a line `host type key`.
fn fingerprint_of(line: &str) -> Option<String> {
    let key = STANDARD.decode(line.split_whitespace().nth(2)?).ok()?;
    Some(format!(
        "SHA256:{}",
        STANDARD_NO_PAD.encode(Sha256::digest(key))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_with_a_pinned_fingerprint_are_known() {
        let scanned = "# h:22 SSH-2.0-OpenSSH\nh ssh-ed25519 AAAA\nh ssh-rsa BBBB\nh broken\n";
        let ed25519 = fingerprint_of("h ssh-ed25519 AAAA").unwrap();
        assert_eq!(
            pinned_lines(scanned, std::slice::from_ref(&ed25519)),
            "h ssh-ed25519 AAAA\n"
        );
        assert_eq!(
            pinned_lines(scanned, &[format!("{ed25519}=")]),
            "h ssh-ed25519 AAAA\n"
        );
        assert_eq!(pinned_lines(scanned, &["SHA256:x".to_owned()]), "");
        assert_eq!(
            renamed("# x\n[127.0.0.1]:9 ssh-rsa BBBB\n", "[h]:22"),
            "[h]:22 ssh-rsa BBBB\n"
        );
    }
}
