//! What git's configuration says about downloads.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::machine::Machine;
use crate::trace::Rewrite;

/// One value of git's configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct GitValue {
    /// The key: section and name in lower case, the part between as written.
    pub key: String,
    /// The value. It may hold a password.
    pub value: String,
    /// The file it stands in; none when it comes from the environment or the command line.
    pub file: Option<PathBuf>,
}

impl std::fmt::Debug for GitValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitValue")
            .field("key", &crate::redact::redact_text(&self.key))
            .field("value", &crate::redact::redact_text(&self.value))
            .field("file", &self.file)
            .finish()
    }
}

/// git and its configuration.
#[derive(Clone, Debug, Default)]
pub struct Git {
    /// The program, where there is one.
    pub program: Option<PathBuf>,
    /// The values that count for downloads, in the order git reads them: the last one counts.
    pub values: Vec<GitValue>,
    /// What git said when it could not read its configuration.
    pub error: Option<String>,
}

impl Git {
    /// Asks git itself, as only git knows all its rules about files and includes.
    pub fn read(machine: &Machine) -> Self {
        let Some(program) = machine.environment.look_path("git") else {
            return Self::default();
        };
        let mut command = Command::new(&program);
        command
            .args(["config", "--list", "--show-origin", "-z", "--includes"])
            .env_clear()
            .envs(variables(machine))
            .current_dir(&machine.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut git = Self {
            program: Some(program),
            ..Self::default()
        };
        match run(command, machine.patience) {
            Ok(listing) => git.values = parse(&listing, machine),
            Err(reason) => git.error = Some(reason),
        }
        git
    }

    /// The value of a key that counts.
    pub fn get(&self, key: &str) -> Option<&GitValue> {
        self.values.iter().rev().find(|value| value.key == key)
    }

    /// All values of `<section>.<name>`, general and for single URLs.
    pub fn named<'a>(
        &'a self,
        section: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a GitValue> {
        self.values.iter().filter(move |value| {
            let rest = value.key.strip_prefix(section);
            rest.is_some_and(|rest| rest.starts_with('.') && last(rest) == name)
        })
    }

    /// The rules by which git rewrites URLs it fetches from.
    pub fn rewrites(&self) -> Vec<Rewrite> {
        let rules = self.named("url", "insteadof");
        rules
            .filter_map(|value| {
                let base = value.key.strip_prefix("url.")?.strip_suffix(".insteadof")?;
                Some(Rewrite {
                    prefix: value.value.clone(),
                    base: base.to_owned(),
                })
            })
            .collect()
    }
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// git gets what it needs to find its files, and nothing that makes it do something else.
fn variables(machine: &Machine) -> Vec<(String, String)> {
    let environment = &machine.environment;
    let wanted = |name: &&str| {
        matches!(
            *name,
            "HOME" | "PATH" | "XDG_CONFIG_HOME" | "USERPROFILE" | "SystemRoot"
        ) || (name.starts_with("GIT_CONFIG") && *name != "GIT_CONFIG")
    };
    let names = environment.names().filter(wanted);
    names
        .filter_map(|name| Some((name.to_owned(), environment.get(name)?.to_owned())))
        .chain([("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned())])
        .collect()
}

/// Only what concerns downloads is kept.
fn parse(listing: &[u8], machine: &Machine) -> Vec<GitValue> {
    let mut parts = listing.split(|byte| *byte == 0);
    let mut values = Vec::new();
    while let (Some(origin), Some(entry)) = (parts.next(), parts.next()) {
        let (origin, entry) = (
            String::from_utf8_lossy(origin),
            String::from_utf8_lossy(entry),
        );
        // A key without `=` is true.
        let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
        let concerns = [
            "http.",
            "url.",
            "credential.",
            "core.sshcommand",
            "safe.",
            "remote.",
            "ssh.",
        ];
        if !concerns.iter().any(|beginning| key.starts_with(beginning)) {
            continue;
        }
        values.push(GitValue {
            key: key.to_owned(),
            value: value.to_owned(),
            file: origin
                .strip_prefix("file:")
                .map(|file| machine.directory.join(file)),
        });
    }
    values
}

/// Runs a program that prints little, for a limited time.
pub(super) fn run(mut command: Command, patience: Duration) -> Result<Vec<u8>, String> {
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let readers = [
        child.stdout.take().map(|out| reader(Box::new(out))),
        child.stderr.take().map(|err| reader(Box::new(err))),
    ];
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err("no answer in time".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    let [out, err] = readers.map(|reader| {
        let text = reader.and_then(|reader| reader.join().ok());
        text.unwrap_or_default()
    });
    if status.success() {
        Ok(out)
    } else {
        Err(String::from_utf8_lossy(&err).trim().to_owned())
    }
}

fn reader(mut pipe: Box<dyn std::io::Read + Send>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read counts.
        let _ = pipe.by_ref().take(16 * 1024 * 1024).read_to_end(&mut bytes);
        bytes
    })
}
