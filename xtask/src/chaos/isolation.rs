//! Namespaces of our own, and what can be done in them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Set in the process that runs in namespaces of its own.
const INSIDE: &str = "MODKEEP_CHAOS_INSIDE";

/// What a scenario needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Packets on loopback can be dropped.
    Loss,
    /// The resolver of this machine can be replaced.
    Resolver,
    /// A file system of a few megabytes can be made.
    SmallDisk,
}

/// What this machine allows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Abilities {
    pub(super) loss: bool,
    pub(super) namespaces: bool,
}

pub(super) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this program again in network and mount namespaces of its own; `None` when the machine allows none.
pub(super) fn go_inside(arguments: &[String]) -> Result<Option<ExitStatus>> {
    let Some(flags) = [
        &["--net", "--mount"][..],
        &["--net", "--mount", "--user", "--map-root-user"][..],
    ]
    .into_iter()
    .find(|flags| quietly("unshare", flags.iter().chain(&["--", "true"]))) else {
        return Ok(None);
    };
    let own = std::env::current_exe().context("looking for this program")?;
    Command::new("unshare")
        .args(flags)
        .arg("--")
        .arg(own)
        .args(arguments)
        .env(INSIDE, "1")
        .status()
        .map(Some)
        .context("starting unshare")
}

impl Abilities {
    /// Tries what can be done; brings loopback up.
    pub(super) fn find() -> Self {
        if !is_inside() || !quietly("ip", ["link", "set", "lo", "up"]) {
            return Self::default();
        }
        Self {
            namespaces: true,
            loss: Loss::of(1, &[9]).is_ok(),
        }
    }

    /// In words, why a scenario with this need cannot be run.
    pub(super) fn lacks(self, need: Need) -> Option<&'static str> {
        match need {
            Need::Loss if !self.loss => Some(
                "packets cannot be dropped here: it takes network namespaces, and nftables with numgen",
            ),
            Need::Resolver if !self.namespaces => {
                Some("the resolver cannot be replaced here: it takes mount namespaces")
            }
            Need::SmallDisk if !self.namespaces => {
                Some("no small disk can be made here: it takes mount namespaces")
            }
            _ => None,
        }
    }
}

fn quietly(program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn must(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// While it lives, a share of the packets to and from ports of loopback is lost.
#[derive(Debug)]
pub(super) struct Loss;

impl Loss {
    /// Loses so many of a hundred packets of these ports, either way.
    pub(super) fn of(percent: u32, ports: &[u16]) -> Result<Self> {
        must("nft", &["add", "table", "inet", "chaos"])?;
        // From here on the table is removed, whatever fails.
        let loss = Self;
        let chain = "{ type filter hook input priority 0; }";
        must("nft", &["add", "chain", "inet", "chaos", "lose", chain])?;
        for port in ports {
            for end in ["dport", "sport"] {
                let rule = format!(
                    "add rule inet chaos lose tcp {end} {port} numgen random mod 100 < {percent} drop"
                );
                must("nft", &[&rule])?;
            }
        }
        Ok(loss)
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        quietly("nft", ["delete", "table", "inet", "chaos"]);
    }
}

/// A file system in memory that holds little.
#[derive(Debug)]
pub(super) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts it on a folder.
    pub(super) fn on(folder: &'a Path, bytes: u64) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let target = folder.to_string_lossy();
        must(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes}"),
                "chaos",
                &target,
            ],
        )?;
        Ok(Self(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        quietly("umount", [OsStr::new("-l"), self.0.as_os_str()]);
    }
}

/// While it lives, this machine asks another resolver.
#[derive(Debug)]
pub(super) struct OtherResolver;

impl OtherResolver {
    /// Asks 127.0.0.1.
    pub(super) fn on_loopback(folder: &Path) -> Result<Self> {
        let file = folder.join("resolv.conf");
        fs::write(
            &file,
            "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n",
        )
        .with_context(|| format!("writing {}", file.display()))?;
        let real = fs::canonicalize("/etc/resolv.conf").context("looking for resolv.conf")?;
        must(
            "mount",
            &["--bind", &file.to_string_lossy(), &real.to_string_lossy()],
        )?;
        Ok(Self)
    }
}

impl Drop for OtherResolver {
    fn drop(&mut self) {
        if let Ok(real) = fs::canonicalize("/etc/resolv.conf") {
            quietly("umount", [OsStr::new("-l"), real.as_os_str()]);
        }
    }
}
