//! Repositories behind a real ssh server, with pinned host keys.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say how much was tested"
)]

#[path = "support/harm.rs"]
mod harm;
mod support;

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fault::Label;
use goenv::netrc::Secret;
use harm::{large, zip};
use support::{Forge, Pages, Workplace};
use testkit::Port;
use vcs::{KnownHosts, RemoteOptions, SshOptions};

struct Sshd {
    child: Child,
    folder: tempfile::TempDir,
    _reserved: Port,
    port: u16,
    user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Sshd {
    /// `None` where there is no sshd, or it cannot be started.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "user", "stranger"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status();
            if !made.is_ok_and(|status| status.success()) {
                return None;
            }
        }
        let reserved = Port::reserve();
        let port = reserved.address().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n",
            at("host").display(),
            at("user.pub").display()
        );
        std::fs::write(at("config"), config).unwrap();
        let _needs_root = std::fs::create_dir_all("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let name = Command::new("id").arg("-un").output().ok()?.stdout;
        let server = Self {
            child,
            _reserved: reserved,
            port,
            user: String::from_utf8(name).ok()?.trim().to_owned(),
            folder,
        };
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }

    fn key(&self, name: &str) -> Secret {
        Secret::new(std::fs::read_to_string(self.folder.path().join(name)).unwrap())
    }

    fn fingerprint(&self) -> String {
        let shown = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.folder.path().join("host.pub"))
            .output()
            .unwrap();
        let text = String::from_utf8(shown.stdout).unwrap();
        text.split_whitespace().nth(1).unwrap().to_owned()
    }

    fn workplace(&self, forge: &Forge, key: &str, known_hosts: KnownHosts) -> Workplace {
        let ssh = SshOptions {
            key: Some(self.key(key)),
            agent: None,
            known_hosts,
        };
        let (user, port) = (&self.user, self.port);
        let root = forge.root.path().display();
        let url = format!("ssh://{user}@127.0.0.1:{port}{root}/x/.git");
        forge.vcs_with(Pages::default(), |settings| {
            settings.configuration = Arc::new(move |_, _| RemoteOptions {
                url: Some(url.clone()),
                ssh: ssh.clone(),
                ..RemoteOptions::default()
            });
        })
    }
}

/// Files below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[tokio::test]
async fn a_pinned_fingerprint_lets_in_one_server_only() {
    let Some(server) = Sshd::start() else {
        testkit::skipped("ssh with a real server (no /usr/sbin/sshd that starts)");
        return;
    };
    let forge = Forge::new();
    large(&forge, "x", 1000);
    let pinned = KnownHosts::Pinned(vec![server.fingerprint()]);
    let workplace = server.workplace(&forge, "user", pinned.clone());
    zip(&workplace, "x", "v1.0.0").await.unwrap();
    let home = workplace.directory.path().join("home");
    assert_eq!(files(&home), Vec::<PathBuf>::new(), "no key stays behind");

    let stranger = server.workplace(&forge, "stranger", pinned);
    let error = zip(&stranger, "x", "v1.0.0").await.unwrap_err();
    assert_eq!(error.label(), Label::AuthSshPublickey, "{error}");

    let other = KnownHosts::Pinned(vec!["SHA256:AAAA".to_owned()]);
    let impostor = server.workplace(&forge, "user", other);
    let error = zip(&impostor, "x", "v1.0.0").await.unwrap_err();
    assert_eq!(error.label(), Label::AuthSshHostkey, "{error}");

    let empty = server.folder.path().join("known_hosts");
    std::fs::write(&empty, "").unwrap();
    let unknown = server.workplace(&forge, "user", KnownHosts::File(empty));
    let error = zip(&unknown, "x", "v1.0.0").await.unwrap_err();
    assert_eq!(error.label(), Label::AuthSshHostkey, "{error}");
}
