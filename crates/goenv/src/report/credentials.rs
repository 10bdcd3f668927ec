//! netrc and ssh: what is there, never what it holds.

use std::path::PathBuf;

use super::machine::{Machine, read_text};
use crate::netrc::Netrc;

/// The netrc file.
#[derive(Clone, Debug, Default)]
pub struct NetrcFile {
    /// Where go looks for it; none without a home.
    pub path: Option<PathBuf>,
    /// True when it exists.
    pub exists: bool,
    /// Permission bits, where the system has such.
    pub mode: Option<u32>,
    /// Why it cannot be read.
    pub error: Option<String>,
    /// Its usable entries.
    pub entries: Netrc,
    /// Lines that begin an entry go cannot use, because login or password is missing: line and
    /// machine.
    pub incomplete: Vec<(usize, String)>,
    /// Lines with a `default` entry, which go does not use.
    pub default_line: Option<usize>,
}

impl NetrcFile {
    /// Looks at the file.
    pub fn read(machine: &Machine) -> Self {
        let Ok(path) = Netrc::path(&machine.environment) else {
            return Self::default();
        };
        let mut file = Self {
            exists: path.exists(),
            mode: super::directories::mode(&path),
            ..Self::default()
        };
        match Netrc::load(&machine.environment) {
            Ok(entries) => file.entries = entries,
            Err(error) => file.error = Some(error.to_string()),
        }
        if let Some(text) = read_text(&path) {
            file.scan(&text);
        }
        file.path = Some(path);
        file
    }

    fn scan(&mut self, text: &str) {
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "machine" => {
                        let Some(machine) = words.next() else { break };
                        let usable = self.entries.entries().iter().any(|e| e.machine == machine);
                        if !usable {
                            self.incomplete.push((at + 1, machine.to_owned()));
                        }
                    }
                    "default" => {
                        self.default_line.get_or_insert(at + 1);
                    }
                    // Its words are no entries.
                    "macdef" => return,
                    _ => {
                        words.next();
                    }
                }
            }
        }
    }
}

/// What is there for ssh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssh {
    /// Private keys with ssh's own names or named in the configuration, with their permission bits.
    pub keys: Vec<(PathBuf, Option<u32>)>,
    /// True when an agent is announced (`SSH_AUTH_SOCK`).
    pub has_agent: bool,
    /// The user's `known_hosts`, when it exists.
    pub known_hosts: Option<PathBuf>,
    /// The user's configuration, when it exists.
    pub config: Option<PathBuf>,
    /// Hosts in `known_hosts` that are written in clear.
    hosts: Vec<String>,
    /// True when some are hashed, so that nothing can be said about a host that is not found.
    has_hashed_hosts: bool,
}

impl Ssh {
    /// Looks at the user's ssh directory.
    pub fn read(machine: &Machine) -> Self {
        let mut ssh = Self {
            has_agent: machine.environment.non_empty("SSH_AUTH_SOCK").is_some(),
            ..Self::default()
        };
        let Some(home) = machine.home() else {
            return ssh;
        };
        let directory = home.join(".ssh");
        let mut keys: Vec<PathBuf> = [
            "id_rsa",
            "id_ecdsa",
            "id_ed25519",
            "id_ecdsa_sk",
            "id_ed25519_sk",
        ]
        .iter()
        .map(|name| directory.join(name))
        .collect();
        let existing = |path: PathBuf| path.is_file().then_some(path);
        ssh.config = existing(directory.join("config"));
        if let Some(text) = ssh.config.as_deref().and_then(read_text) {
            keys.extend(text.lines().filter_map(|line| {
                let mut words = line.split_whitespace();
                let name = words.next()?;
                let file = words
                    .next()
                    .filter(|_| name.eq_ignore_ascii_case("IdentityFile"))?;
                Some(
                    file.strip_prefix("~/")
                        .map_or_else(|| PathBuf::from(file), |rest| home.join(rest)),
                )
            }));
        }
        keys.sort();
        keys.dedup();
        let keys = keys.into_iter().filter(|key| key.is_file());
        ssh.keys = keys
            .map(|key| (key.clone(), super::directories::mode(&key)))
            .collect();
        ssh.known_hosts = existing(directory.join("known_hosts"));
        ssh.read_known_hosts(&machine.system("/etc/ssh/ssh_known_hosts"));
        if let Some(path) = ssh.known_hosts.clone() {
            ssh.read_known_hosts(&path);
        }
        ssh
    }

    fn read_known_hosts(&mut self, path: &std::path::Path) {
        for line in read_text(path).unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            let names = match words.next() {
                Some(mark) if mark.starts_with('@') => words.next(),
                other => other,
            };
            for name in names.unwrap_or_default().split(',') {
                if name.starts_with("|1|") {
                    self.has_hashed_hosts = true;
                } else {
                    self.hosts.push(name.to_lowercase());
                }
            }
        }
    }

    /// Whether ssh knows the key of `host`; `None` when that cannot be told.
    pub fn knows(&self, host: &str) -> Option<bool> {
        let host = host.to_lowercase();
        let known = self.hosts.iter().any(|name| {
            *name == host
                || name
                    .strip_prefix('[')
                    .is_some_and(|rest| rest.starts_with(&format!("{host}]")))
                || gomod::glob::matches(name, &host).unwrap_or(false)
        });
        match (known, self.has_hashed_hosts) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        }
    }

    /// True when there is something to log in with.
    pub fn can_log_in(&self) -> bool {
        self.has_agent || !self.keys.is_empty()
    }
}
