//! A real ssh server on loopback.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::Port;

pub(crate) struct Sshd {
    child: Child,
    folder: PathBuf,
    _reserved: Port,
    pub(crate) port: u16,
    pub(crate) user: String,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Sshd {
    pub(crate) fn start(folder: &Path) -> Self {
        let folder = folder.join("sshd");
        std::fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        for key in ["host", "user", "other"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status()
                .unwrap_or_else(|error| {
                    panic!("ssh-keygen: {error}; apt-get install openssh-client")
                });
            assert!(made.success());
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
            .unwrap_or_else(|error| {
                panic!("/usr/sbin/sshd: {error}; apt-get install openssh-server")
            });
        let name = Command::new("id").arg("-un").output().unwrap().stdout;
        let server = Self {
            child,
            _reserved: reserved,
            port,
            user: String::from_utf8(name).unwrap().trim().to_owned(),
            folder,
        };
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd does not listen");
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.join("user")
    }

    /// The fingerprint of its host key; of another key for `other`.
    pub(crate) fn fingerprint(&self, key: &str) -> String {
        let shown = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.folder.join(format!("{key}.pub")))
            .output()
            .unwrap();
        let text = String::from_utf8(shown.stdout).unwrap();
        text.split_whitespace().nth(1).unwrap().to_owned()
    }
}
