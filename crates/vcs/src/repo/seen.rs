//! What was read of commits, which never change: of the three files of a version the second and third need not start
//! git again to find out the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::{CommitTime, ObjectId};

/// Bytes of all files that are kept.
const MOST_BYTES: u64 = 16 << 20;
/// What an entry takes beside its file, in bytes.
const OVERHEAD: u64 = 200;
/// How many commits are kept.
const MOST_COMMITS: usize = 20_000;
/// A guess that sizes the table; it grows as needed.
const EXPECTED_FILES: usize = 1024;

/// A file of a commit of a repository: one repository does not tell what is in another.
type FileName = (u64, ObjectId, Box<str>);

/// `None` where there is no file.
type Content = Option<Arc<[u8]>>;

pub(crate) struct Seen {
    files: Cache<FileName, Content, ByLength>,
    times: Cache<(u64, ObjectId), CommitTime>,
    repositories: AtomicU64,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<FileName, Content> for ByLength {
    fn weight(&self, (_, _, path): &FileName, content: &Content) -> u64 {
        let bytes = content.as_ref().map_or(0, |content| content.len());
        (path.len() as u64)
            .saturating_add(bytes as u64)
            .saturating_add(OVERHEAD)
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            files: Cache::with_weighter(EXPECTED_FILES, MOST_BYTES, ByLength),
            times: Cache::new(MOST_COMMITS),
            repositories: AtomicU64::new(0),
        }
    }
}

impl Seen {
    /// What a repository is called here.
    pub(super) fn newcomer(&self) -> u64 {
        self.repositories.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn time(&self, repository: u64, commit: &ObjectId) -> Option<CommitTime> {
        self.times.get(&(repository, commit.clone()))
    }

    pub(super) fn keep_time(&self, repository: u64, commit: CommitTime) {
        self.times.insert((repository, commit.id.clone()), commit);
    }

    pub(super) fn file(&self, repository: u64, commit: &ObjectId, path: &str) -> Option<Content> {
        self.files.get(&(repository, commit.clone(), path.into()))
    }

    pub(super) fn keep_file(
        &self,
        repository: u64,
        commit: &ObjectId,
        path: &str,
        content: Content,
    ) {
        self.files
            .insert((repository, commit.clone(), path.into()), content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_do_not_see_each_others_files_and_memory_is_bounded() {
        let seen = Seen::default();
        let (one, other) = (seen.newcomer(), seen.newcomer());
        let commit = ObjectId::parse(&"a".repeat(40)).unwrap();
        seen.keep_file(one, &commit, "go.mod", Some(b"module x".as_slice().into()));
        seen.keep_file(one, &commit, "LICENSE", None);
        assert_eq!(seen.file(one, &commit, "go.mod").unwrap().unwrap().len(), 8);
        assert_eq!(seen.file(one, &commit, "LICENSE"), Some(None));
        assert_eq!(seen.file(other, &commit, "go.mod"), None);
        for index in 0..100 {
            let content: Arc<[u8]> = vec![0; 1 << 20].into();
            seen.keep_file(one, &commit, &index.to_string(), Some(content));
        }
        assert!(seen.files.weight() <= MOST_BYTES);
    }
}
