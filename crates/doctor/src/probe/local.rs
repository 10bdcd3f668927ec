//! What can be seen of the machine without asking the network: interfaces, local filters, denials.

use std::path::Path;

use fault::Hop;

use super::report::{Check, Probe};

/// The network interfaces with a way out, and filters that may stand in it, where they can be read.
pub(crate) fn machine(root: &Path) -> Probe {
    let interfaces = up_interfaces();
    let mut probe = Probe::new(Check::Machine, Hop::ClientEnv, std::env::consts::OS);
    if !interfaces.is_empty() {
        let named: Vec<String> = interfaces.iter().map(|name| with_size(name)).collect();
        probe = probe.fact("interfaces", named.join(" "));
    }
    for (name, file) in [
        ("SELinux", "/sys/fs/selinux/enforce"),
        ("AppArmor", "/sys/module/apparmor/parameters/enabled"),
    ] {
        if let Some(state) = read(file) {
            let enforcing = matches!(state.as_str(), "1" | "Y");
            probe = probe.fact(
                "security-module",
                format!("{name} {}", if enforcing { "on" } else { "off" }),
            );
        }
    }
    if let Some(tables) = read("/proc/net/ip_tables_names").filter(|tables| !tables.is_empty()) {
        probe = probe.fact(
            "firewall",
            format!(
                "iptables {}",
                tables.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
        );
    }
    for denial in denials(root) {
        probe = probe.fact("denied", denial);
    }
    probe
}

/// Where Linux keeps what `SELinux` and `AppArmor` refused.
const LOGS: [&str; 4] = [
    "var/log/audit/audit.log",
    "var/log/kern.log",
    "var/log/syslog",
    "var/log/messages",
];
/// So much at the end of a log is read, in bytes.
const TAIL: u64 = 256 << 10;
/// Programs that a download runs.
const PROGRAMS: [&str; 6] = [
    "go",
    "git",
    "git-remote-http",
    "git-remote-https",
    "ssh",
    "modkeep",
];
/// Most denials that are told.
const MOST_DENIALS: usize = 3;

/// The last refusals of the security modules that concern a download, as far as the logs can be read.
fn denials(root: &Path) -> Vec<String> {
    let mut denials: Vec<String> = Vec::new();
    for log in LOGS {
        let Some(text) = tail(&root.join(log)) else {
            continue;
        };
        for line in text.lines().rev().filter(|line| is_denial(line)) {
            let line: String = line.chars().filter(|c| !c.is_control()).take(300).collect();
            if denials.len() < MOST_DENIALS && !denials.contains(&line) {
                denials.push(line);
            }
        }
    }
    denials
}

fn is_denial(line: &str) -> bool {
    let is_refusal = line.contains("apparmor=\"DENIED\"")
        || (line.contains("avc:") && line.contains("denied") && !line.contains("permissive=1"));
    let program = || {
        let (_, rest) = line.split_once("comm=\"")?;
        Some(rest.split_once('"')?.0)
    };
    is_refusal && program().is_some_and(|program| PROGRAMS.contains(&program))
}

fn tail(path: &Path) -> Option<String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// What Linux counts of the interfaces of this network namespace; `/sys` may show those of another.
const DEVICES: &str = "/proc/self/net/dev";
/// The packet size of Ethernet. Links with less, as tunnels have, are where big packets get lost.
const USUAL_SIZE: u32 = 1500;

/// Interfaces besides loopback that carry traffic.
fn up_interfaces() -> Vec<String> {
    let mut names: Vec<String> = devices()
        .into_iter()
        .filter(|name| name != "lo" && is_up(name))
        .collect();
    names.sort();
    names
}

fn devices() -> Vec<String> {
    let text = std::fs::read_to_string(DEVICES).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

/// Without `/sys` it cannot be told, and what is there counts as up.
fn is_up(name: &str) -> bool {
    let state = read(&format!("/sys/class/net/{name}/operstate"));
    state.is_none_or(|state| matches!(state.as_str(), "up" | "unknown"))
}

/// `wg0 (mtu 1420)` where packets must be smaller than usual.
fn with_size(name: &str) -> String {
    let size: Option<u32> =
        read(&format!("/sys/class/net/{name}/mtu")).and_then(|size| size.parse().ok());
    match size {
        Some(size) if size < USUAL_SIZE => format!("{name} (mtu {size})"),
        _ => name.to_owned(),
    }
}

/// True where it is certain that nothing but this machine can be reached: a sandbox without a network.
pub(crate) fn has_no_network() -> bool {
    Path::new(DEVICES).is_file() && up_interfaces().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_the_security_modules_are_told_when_they_concern_a_download() {
        let root = tempfile::tempdir().unwrap();
        let logs = root.path().join("var/log/audit");
        std::fs::create_dir_all(&logs).unwrap();
        let selinux = "type=AVC msg=audit(1.2:3): avc:  denied  { name_connect } for  pid=9 comm=\"go\" dest=443 permissive=0";
        let permissive = selinux.replace("permissive=0", "permissive=1");
        let other = selinux.replace("comm=\"go\"", "comm=\"httpd\"");
        let text = format!("{other}\n{permissive}\n{selinux}\n");
        std::fs::write(logs.join("audit.log"), text).unwrap();
        let apparmor = "kernel: audit: apparmor=\"DENIED\" operation=\"connect\" profile=\"x\" pid=7 comm=\"git\"";
        std::fs::write(root.path().join("var/log/kern.log"), apparmor).unwrap();
        assert_eq!(denials(root.path()), [selinux, apparmor]);
        assert!(denials(Path::new("/nonexistent")).is_empty());
    }
}
