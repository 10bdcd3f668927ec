//! What was found out about repositories, kept for the next process: where they are, so that a host that is down makes
//! no module unreachable; and which they are, so that another one in the same place is noticed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use goenv::redact::redact_text;
use serde::{Deserialize, Serialize};

use crate::address::is_same;
use crate::discovery::Root;

/// How many changes are kept for whoever asks for them.
const MOST_CHANGES: usize = 1000;
/// How many first commits are told of a repository.
const MOST_SHOWN: usize = 3;

/// An import path leads to another repository than it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryChange {
    /// The import path of the repository's root.
    pub root: String,
    /// What it was: its URL without credentials, or its first commits.
    pub old: String,
    /// What it is now.
    pub new: String,
}

/// Which repository it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Identity {
    /// Its URL, without credentials.
    repository: String,
    /// The commits without parents that HEAD goes back to; empty while nobody needed the history.
    first_commits: Vec<String>,
}

/// Everything that is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// What discovery has to say.
    roots: Vec<(String, Root)>,
    /// By import path of the root.
    repositories: BTreeMap<String, Identity>,
}

/// The file, and what goes into it.
#[derive(Debug)]
pub(crate) struct Memory {
    file: PathBuf,
    identities: Mutex<BTreeMap<String, Identity>>,
    changes: Mutex<Vec<RepositoryChange>>,
    /// Counts what was learned.
    learned: AtomicU64,
    written: AtomicU64,
}

impl Memory {
    /// Opens the file in `directory`, and tells what an earlier process had found. A file that cannot be read is none:
    /// everything in it can be found out again.
    pub(crate) fn open(directory: &Path) -> (Self, Vec<(String, Root)>) {
        let file = directory.join("memory.json");
        let kept = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(file = %file.display(), %error, "what was known about repositories is found out again");
                Kept::default()
            }),
            Err(_) => Kept::default(),
        };
        let memory = Self {
            file,
            identities: Mutex::new(kept.repositories),
            changes: Mutex::default(),
            learned: AtomicU64::new(0),
            written: AtomicU64::new(0),
        };
        (memory, kept.roots)
    }

    /// Takes note of the repository that a root was found to have, and of its first commits if they are known.
    pub(crate) fn observe(&self, root: &str, repository: Option<&str>, first_commits: &[String]) {
        let repository = repository.map(redact_text).unwrap_or_default();
        let mut identities = self
            .identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = identities.entry(root.to_owned()).or_default();
        if known.repository == repository
            && (first_commits.is_empty() || known.first_commits == first_commits)
        {
            return;
        }
        let mut changes = Vec::new();
        if ![&known.repository, &repository].contains(&&String::new())
            && known.repository != repository
        {
            changes.push((known.repository.clone(), repository.clone()));
        }
        // A merge of something else adds first commits and takes none away.
        let are_others = !known.first_commits.is_empty()
            && !first_commits.is_empty()
            && !known
                .first_commits
                .iter()
                .any(|first| first_commits.contains(first));
        if are_others {
            changes.push((shown(&known.first_commits), shown(first_commits)));
        }
        known.repository = repository;
        if !first_commits.is_empty() {
            known.first_commits = first_commits.to_vec();
        }
        drop(identities);
        self.learned();
        let mut waiting = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        for (old, new) in changes {
            if waiting.len() < MOST_CHANGES {
                let root = root.to_owned();
                waiting.push(RepositoryChange { root, old, new });
            }
        }
    }

    /// The roots whose repository is at `address`.
    pub(crate) fn roots_at(&self, address: &str) -> Vec<String> {
        let identities = self
            .identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        identities
            .iter()
            .filter(|(_, identity)| is_same(&identity.repository, address))
            .map(|(root, _)| root.clone())
            .collect()
    }

    /// Something is to be written.
    pub(crate) fn learned(&self) {
        self.learned.fetch_add(1, Ordering::Relaxed);
    }

    /// The changes since the last call.
    pub(crate) fn take_changes(&self) -> Vec<RepositoryChange> {
        std::mem::take(&mut self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether something was learned that is not written yet. Whoever gets `true` is to call [`Self::write`].
    pub(crate) fn begin_writing(&self) -> bool {
        let learned = self.learned.load(Ordering::Relaxed);
        self.written.swap(learned, Ordering::Relaxed) != learned
    }

    /// Writes everything down. Blocks on the disk.
    pub(crate) fn write(&self, roots: Vec<(String, Root)>) {
        let repositories = self
            .identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let kept = Kept {
            roots,
            repositories,
        };
        let directory = self.file.parent().unwrap_or(&self.file);
        let write = || {
            let mut file = tempfile::Builder::new()
                .prefix("memory.")
                .tempfile_in(directory)?;
            file.write_all(&serde_json::to_vec(&kept)?)?;
            file.persist(&self.file).map_err(|error| error.error)
        };
        if let Err(error) = write() {
            tracing::warn!(file = %self.file.display(), %error, "what is known about repositories was not kept");
        }
    }
}

fn shown(commits: &[String]) -> String {
    let some: Vec<&str> = commits
        .iter()
        .take(MOST_SHOWN)
        .map(String::as_str)
        .collect();
    format!("the repository that begins with commit {}", some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(memory: &Memory, repository: &str, first: &[&str]) -> Vec<RepositoryChange> {
        let first: Vec<String> = first.iter().map(|&commit| commit.to_owned()).collect();
        memory.observe("a.example/x", Some(repository), &first);
        memory.take_changes()
    }

    #[test]
    fn another_address_and_another_beginning_are_changes_and_a_restart_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let (memory, roots) = Memory::open(directory.path());
        assert!(roots.is_empty() && !memory.begin_writing());
        assert!(observed(&memory, "https://h/x", &[]).is_empty());
        assert!(observed(&memory, "https://h/x", &["a", "b"]).is_empty());
        assert!(observed(&memory, "https://h/x", &["b", "c"]).is_empty());
        assert!(memory.begin_writing() && !memory.begin_writing());
        memory.write(Vec::new());

        let (memory, _) = Memory::open(directory.path());
        assert!(observed(&memory, "https://h/x", &[]).is_empty());
        let moved = observed(&memory, "https://u:hush@h/y", &[]);
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].old, "https://h/x");
        assert!(!moved[0].new.contains("hush"), "{moved:?}");
        let replaced = observed(&memory, "https://u:hush@h/y", &["d"]);
        assert_eq!(replaced.len(), 1, "{replaced:?}");
        assert!(replaced[0].new.ends_with('d'), "{replaced:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("memory.json"), "{torn").unwrap();
        let (memory, roots) = Memory::open(directory.path());
        assert!(roots.is_empty());
        assert!(observed(&memory, "https://h/x", &[]).is_empty());
        memory.write(Vec::new());
        let text = std::fs::read_to_string(directory.path().join("memory.json")).unwrap();
        assert!(text.contains("https://h/x"), "{text}");
    }
}
