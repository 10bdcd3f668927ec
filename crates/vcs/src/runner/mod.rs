//! The one place where programs are run: with an environment of their own, without a shell, without prompts, within
//! limits.

mod access;
mod command;
mod gate;
mod http;
mod messages;
mod pins;
mod process;
mod relay;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::error::{Error, ToolFault};
use crate::keyring::Attempt;
use crate::options::{KnownHosts, Remote};
use access::SshHost;
pub(crate) use access::{Access, is_allowed};
pub(crate) use command::Run;
pub(crate) use gate::Gate;
pub(crate) use http::{HttpAccess, refused};
use pins::Pins;
pub(crate) use process::{Broken, Input, RunLimits, Sink, directory_size, run};
use relay::Relay;

/// The oldest git with all that is relied on: settings by environment (2.31), `--end-of-options` in every command.
const OLDEST_GIT: (u32, u32) = (2, 31);
const OLDEST_GIT_TEXT: &str = "2.31";

/// How programs are run.
#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// The program `git`, found in [`Self::path`] unless it is a path.
    pub git: PathBuf,
    /// The variable PATH of programs: where they find ssh and their own helpers.
    pub path: OsString,
    /// An existing directory, for the programs' home and temporary files.
    pub directory: PathBuf,
    /// How many programs may talk to servers at the same time.
    pub network_runs: usize,
    /// How many may work on local repositories at the same time.
    pub local_runs: usize,
    /// How long a program may talk to a server.
    pub network_time: Duration,
    /// How long it may take to list refs.
    pub listing_time: Duration,
    /// How long it may work locally.
    pub local_time: Duration,
    /// How many bytes of memory a program may allocate (Linux).
    pub memory: u64,
}

impl RunnerSettings {
    /// Settings with the usual limits.
    pub fn new(path: impl Into<OsString>, directory: impl Into<PathBuf>) -> Self {
        Self {
            git: PathBuf::from("git"),
            path: path.into(),
            directory: directory.into(),
            network_runs: 8,
            local_runs: 8,
            network_time: Duration::from_mins(15),
            listing_time: Duration::from_mins(1),
            local_time: Duration::from_mins(5),
            memory: 4 << 30,
        }
    }
}

/// Runs programs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runner(Arc<Inner>);

struct Inner {
    settings: RunnerSettings,
    home: PathBuf,
    git_version: OnceCell<String>,
    pins: Pins,
    network: Semaphore,
    local: Semaphore,
}

impl Runner {
    pub(crate) fn new(settings: RunnerSettings) -> Result<Self, Error> {
        use std::os::unix::fs::DirBuilderExt as _;
        let home = settings.directory.join("home");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&home)
            .map_err(Error::io(format!("creating {}", home.display())))?;
        Ok(Self(Arc::new(Inner {
            network: Semaphore::new(settings.network_runs.max(1)),
            local: Semaphore::new(settings.local_runs.max(1)),
            git_version: OnceCell::new(),
            pins: Pins::default(),
            settings,
            home,
        })))
    }

    pub(crate) fn settings(&self) -> &RunnerSettings {
        &self.0.settings
    }

    /// Waits until a server may be talked to, as a program that does so would have to.
    pub(crate) async fn network_turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.0.network.acquire().await.map_err(|_| Error::Lost)
    }

    /// A run of git, in the repository `directory` or outside of any.
    pub(crate) fn git(&self, directory: Option<&Path>) -> Run<'_> {
        Run::git(self, directory)
    }

    /// A run of another program.
    pub(crate) fn program(&self, name: &'static str) -> Run<'_> {
        Run::program(self, name)
    }

    /// Access to a server; for pinned fingerprints it is asked for its keys first.
    pub(crate) async fn access(&self, remote: &Remote) -> Result<Access, Error> {
        self.access_again(remote, Attempt::First).await
    }

    /// The fingerprints of the keys that the ssh server of `remote` shows, if it is one.
    pub(crate) async fn fingerprints(&self, remote: &Remote) -> Option<String> {
        let host = access::ssh_host(remote).ok()??;
        let relay = relay_to(remote, &host).await.ok()?;
        pins::shown_fingerprints(self, &host, relay.as_ref()).await
    }

    /// As [`Self::access`], perhaps after a refusal.
    pub(crate) async fn access_again(
        &self,
        remote: &Remote,
        attempt: Attempt,
    ) -> Result<Access, Error> {
        let host = access::ssh_host(remote)?;
        let relay = match &host {
            Some(host) => relay_to(remote, host).await?,
            None => None,
        };
        let pinned = match (&remote.options.ssh.known_hosts, &host) {
            (KnownHosts::Pinned(fingerprints), Some(host)) => {
                let known = self
                    .0
                    .pins
                    .known_hosts(self, host, fingerprints, relay.as_ref());
                Some(known.await?)
            }
            _ => None,
        };
        let mut remote = remote.clone();
        let url = remote.fetch_url().to_owned();
        if let Some(keyring) = remote.options.keyring.clone()
            && url.starts_with("https://")
        {
            remote.options.credentials = keyring.credentials(&url, attempt).await?;
        }
        let mut access = access::prepare(&remote, pinned.as_deref(), &self.0.home)?;
        if let Some(outbound) = &remote.options.outbound {
            access.confine(&remote, outbound).await?;
        }
        if let (Some(relay), Some(host)) = (relay, host) {
            access.relay_through(relay, &host);
        }
        Ok(access)
    }

    /// The version of git; fails when it is missing or too old.
    pub(crate) async fn git_version(&self) -> Result<&str, Error> {
        self.0
            .git_version
            .get_or_try_init(|| async {
                let output = Run::unchecked_git(self).args(["version"]).output().await?;
                let text = String::from_utf8_lossy(&output.stdout);
                let version = text
                    .split_whitespace()
                    .nth(2)
                    .unwrap_or_default()
                    .to_owned();
                match release(&version) {
                    Some(found) if found >= OLDEST_GIT => Ok(version),
                    _ => Err(ToolFault::TooOld {
                        tool: "git",
                        found: version,
                        needed: OLDEST_GIT_TEXT,
                    }
                    .into()),
                }
            })
            .await
            .map(String::as_str)
    }
}

/// The way to an ssh server through the proxy that was configured for it, if there is one.
async fn relay_to(remote: &Remote, host: &SshHost) -> Result<Option<Relay>, Error> {
    match &remote.options.proxy {
        Some(proxy) => Relay::open(proxy, host).await.map(Some),
        None => Ok(None),
    }
}

fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?;
    let digits = minor
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(minor.len());
    Some((major, minor.get(..digits)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn releases_are_told_from_version_texts() {
        for (text, want) in [
            ("2.39.5", Some((2, 39))),
            ("2.31.0.windows.1", Some((2, 31))),
            ("2.50-rc0", Some((2, 50))),
            ("3.0", Some((3, 0))),
            ("", None),
            ("2", None),
            ("two.one", None),
        ] {
            assert_eq!(release(text), want, "{text}");
        }
    }
}
