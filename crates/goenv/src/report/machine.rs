//! What a report is made from: an environment, a directory, and where the system's files are.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::Environment;

/// Longest file that is read for a report, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The machine a report is about.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The environment `go` would run in.
    pub environment: Environment,
    /// The directory `go` would run in.
    pub directory: PathBuf,
    /// What `/etc` and `/proc` lie below.
    pub root: PathBuf,
    /// The process whose ancestors may have set variables; none outside of Linux.
    pub process: Option<u32>,
    /// How long one program may take that is asked (`git config --list`).
    pub patience: Duration,
}

impl Machine {
    /// This machine, as this process sees it.
    pub fn this(environment: Environment, directory: PathBuf) -> Self {
        Self {
            environment,
            directory,
            root: PathBuf::from("/"),
            process: cfg!(target_os = "linux").then(std::process::id),
            patience: Duration::from_secs(3),
        }
    }

    /// A file of the system, given by its absolute path.
    pub(crate) fn system(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The home directory, if there is one.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.environment.home_dir().ok()
    }
}

/// The text of a regular file of bearable size; `None` when there is none or it cannot be read.
pub(crate) fn read_text(path: &Path) -> Option<String> {
    // A named pipe would keep the reader waiting.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
