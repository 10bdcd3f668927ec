//! What can be seen of the machine without asking the network: interfaces, local filters, denials.

use std::path::Path;

use fault::Hop;

use super::report::{Check, Probe};

/// The network interfaces with a way out, and filters that may stand in it, where they can be read.
pub(crate) fn machine() -> Probe {
    let interfaces = up_interfaces();
    let mut probe = Probe::new(Check::Machine, Hop::ClientEnv, std::env::consts::OS);
    if !interfaces.is_empty() {
        probe = probe.fact("interfaces", interfaces.join(" "));
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
    probe
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Interfaces besides loopback that carry traffic.
fn up_interfaces() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name != "lo" && is_up(name))
        .collect();
    names.sort();
    names
}

fn is_up(name: &str) -> bool {
    let state = read(&format!("/sys/class/net/{name}/operstate"));
    state.is_some_and(|state| matches!(state.as_str(), "up" | "unknown"))
}

/// True where it is certain that nothing but this machine can be reached: a sandbox without a network.
pub(crate) fn has_no_network() -> bool {
    Path::new("/sys/class/net").is_dir() && up_interfaces().is_empty()
}
