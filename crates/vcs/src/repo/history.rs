//! What came before a commit: the history of all branches and tags, without their files where the server allows it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::fetch::{init, is_refusal};
use super::mirrors::{Mirror, Writing};
use super::{GitRepository, ObjectId, Refs, Snapshot, Work};
use crate::error::Error;
use crate::runner::{Access, Sink};

/// What a history was fetched with, the least first. The name is written into the repository.
const LEVELS: [(&str, &str); 3] = [
    ("commits", "--filter=tree:0"),
    ("trees", "--filter=blob:none"),
    (EVERYTHING, "--no-filter"),
];
const EVERYTHING: &str = "everything";

/// Bytes of a list of commits: enough for 25 million.
const COMMIT_LIST: u64 = 1 << 30;
/// Bytes of a list of first commits: more than anybody has.
const FIRST_COMMITS: u64 = 1 << 20;

impl Snapshot {
    /// The commit whose hash starts with `digits`, if a branch or tag leads to it.
    pub(crate) async fn commit_by_hash(&self, digits: &str) -> Result<Option<ObjectId>, Error> {
        healing!(
            self,
            directory = self.history(),
            self.commit_by_hash_in(&directory, digits)
        )
    }

    async fn commit_by_hash_in(
        &self,
        directory: &Path,
        digits: &str,
    ) -> Result<Option<ObjectId>, Error> {
        let output = self
            .runner()
            .git(Some(directory))
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .args([format!("{digits}^{{commit}}")])
            .output_or(&[1])
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        match ObjectId::parse(text.trim()) {
            Some(commit) if self.is_reachable(directory, &commit).await? => Ok(Some(commit)),
            _ => Ok(None),
        }
    }

    /// Whether a ref of this snapshot leads to `commit`. The repository on disk may have commits that only branches
    /// led to which are gone.
    async fn is_reachable(&self, directory: &Path, commit: &ObjectId) -> Result<bool, Error> {
        let excluded = self.refs.iter().map(|(_, tip)| format!("^{tip}\n"));
        let input: String = std::iter::once(format!("{commit}\n"))
            .chain(excluded)
            .collect();
        let output = self
            .runner()
            .git(Some(directory))
            .args(["rev-list", "--max-count=1", "--ignore-missing", "--stdin"])
            .input(input.into_bytes())
            .output()
            .await?;
        Ok(output.stdout.trim_ascii().is_empty())
    }

    /// The tags of this snapshot on `commit` and before it that `wanted` holds for, in no order.
    pub(crate) async fn tags_before(
        &self,
        commit: &ObjectId,
        wanted: &[(String, ObjectId)],
    ) -> Result<Vec<String>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        healing!(
            self,
            directory = self.history(),
            self.tags_before_in(&directory, commit, wanted)
        )
    }

    async fn tags_before_in(
        &self,
        directory: &Path,
        commit: &ObjectId,
        wanted: &[(String, ObjectId)],
    ) -> Result<Vec<String>, Error> {
        let mut by_commit: HashMap<&str, Vec<&String>> = HashMap::new();
        for (tag, tagged) in wanted {
            by_commit.entry(tagged.as_str()).or_default().push(tag);
        }
        let mut found = Vec::new();
        let mut take = |line: &[u8]| {
            let tags = std::str::from_utf8(line)
                .ok()
                .and_then(|line| by_commit.get(line));
            found.extend(tags.into_iter().flatten().map(|&tag| tag.clone()));
            ControlFlow::Continue(())
        };
        self.runner()
            .git(Some(directory))
            .args(["rev-list", "--end-of-options", commit.as_str(), "--"])
            .max_output(COMMIT_LIST)
            .output_to(Sink::Lines(&mut take), &[])
            .await?;
        Ok(found)
    }

    /// Whether `ancestor` is `commit` or came before it.
    pub(crate) async fn descends_from(
        &self,
        commit: &ObjectId,
        ancestor: &ObjectId,
    ) -> Result<bool, Error> {
        if commit == ancestor {
            return Ok(true);
        }
        healing!(
            self,
            directory = self.history(),
            self.descends_in(&directory, commit, ancestor)
        )
    }

    async fn descends_in(
        &self,
        directory: &Path,
        commit: &ObjectId,
        ancestor: &ObjectId,
    ) -> Result<bool, Error> {
        // A tag of something that is no commit comes before nothing.
        if !self.repository.has_commit(directory, ancestor).await? {
            return Ok(false);
        }
        let output = self
            .runner()
            .git(Some(directory))
            .args(["merge-base", "--is-ancestor", "--"])
            .args([ancestor.as_str(), commit.as_str()])
            .output_or(&[1])
            .await?;
        Ok(output.code == Some(0))
    }

    async fn history(&self) -> Result<PathBuf, Error> {
        let mirror = Arc::clone(self.mirror().await?);
        let (repository, refs) = (Arc::clone(&self.repository), Arc::clone(&self.refs));
        self.repository
            .fetches
            .join(Work::History(self.refs.repo_sum()), || async move {
                let fetched = repository.history(&mirror, &refs, false).await;
                repository.workshop.evict();
                fetched
            })
            .await
            .ok_or(Error::Lost)?
    }
}

impl GitRepository {
    /// A repository with the history of `refs`; with all files too if `files` are wanted.
    pub(super) async fn history(
        &self,
        mirror: &Mirror,
        refs: &Refs,
        files: bool,
    ) -> Result<PathBuf, Error> {
        let directory = mirror.history();
        if is_synced(&directory, refs, files) {
            return Ok(directory);
        }
        match self.sync(mirror, refs, files).await {
            Err(error) if self.heal(mirror, &directory, &error).await? => {
                self.sync(mirror, refs, files).await?;
            }
            synced => synced?,
        }
        Ok(directory)
    }

    async fn sync(&self, mirror: &Mirror, refs: &Refs, files: bool) -> Result<(), Error> {
        let access = self.workshop.runner.access(&self.way()).await?;
        let (_turn, writing) = self.write(mirror).await?;
        let directory = mirror.history();
        if is_synced(&directory, refs, files) {
            writing.finish();
            return Ok(());
        }
        let level = level_of(&directory);
        if files && level.is_some_and(|level| level != EVERYTHING) {
            // What was left out cannot be added to what is there.
            writing.discard(&directory)?;
        }
        let sha256 = refs.iter().any(|(_, commit)| commit.is_sha256());
        init(&directory, sha256, &writing)?;
        let lowest = if files { Some(EVERYTHING) } else { level };
        let skipped = LEVELS
            .iter()
            .position(|(name, _)| Some(*name) == lowest)
            .unwrap_or(0);
        let mut refusal = None;
        for (name, filter) in &LEVELS[skipped..] {
            match self
                .fetch_history(&directory, refs, filter, &access, &writing)
                .await
            {
                Ok(filtered) => {
                    let name = if filtered { name } else { EVERYTHING };
                    record(&directory, "level", name)?;
                    record(&directory, "synced", &refs.repo_sum())?;
                    writing.finish();
                    self.learn_first_commits(&directory, refs).await;
                    return Ok(());
                }
                Err(error) if is_refusal(&error) => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or(Error::Lost))
    }

    /// By them one repository is told from another. Nothing that is served depends on them.
    async fn learn_first_commits(&self, directory: &Path, refs: &Refs) {
        let Some(head) = refs.head() else {
            return;
        };
        let mut first = Vec::new();
        let mut take = |line: &[u8]| {
            first.extend(std::str::from_utf8(line).ok().map(str::to_owned));
            ControlFlow::Continue(())
        };
        let listed = self
            .workshop
            .runner
            .git(Some(directory))
            .args(["rev-list", "--max-parents=0", "--end-of-options"])
            .args([head.as_str(), "--"])
            .max_output(FIRST_COMMITS)
            .output_to(Sink::Lines(&mut take), &[])
            .await;
        match listed {
            Ok(_) => {
                let mut known = self
                    .first_commits
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *known = first;
            }
            Err(error) => tracing::debug!(%error, "the first commits were not found"),
        }
    }

    /// False when the server ignored the filter.
    async fn fetch_history(
        &self,
        directory: &Path,
        refs: &Refs,
        filter: &str,
        access: &Access,
        writing: &Writing,
    ) -> Result<bool, Error> {
        let mut refspecs = vec!["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        let detached = refs.head().is_some_and(|head| {
            !refs
                .iter()
                .any(|(name, commit)| name != "HEAD" && commit == head)
        });
        if detached {
            refspecs.push("+HEAD:refs/detached/head");
        }
        let output = self
            .workshop
            .runner
            .git(Some(directory))
            .args([
                "fetch",
                "--quiet",
                "--force",
                "--no-tags",
                "--prune",
                "--no-write-fetch-head",
                filter,
                "--end-of-options",
                "origin",
            ])
            .args(refspecs)
            .network(access)
            .lock(writing.share()?)
            .disk(directory, self.workshop.limits.repository)
            .output()
            .await?;
        let messages = String::from_utf8_lossy(&output.stderr).to_lowercase();
        Ok(!messages.contains("filtering not recognized"))
    }
}

fn is_synced(directory: &Path, refs: &Refs, files: bool) -> bool {
    read(directory, "synced").is_some_and(|sum| sum == refs.repo_sum())
        && (!files || level_of(directory) == Some(EVERYTHING))
}

fn level_of(directory: &Path) -> Option<&'static str> {
    let written = read(directory, "level")?;
    LEVELS
        .iter()
        .map(|(name, _)| *name)
        .find(|name| *name == written)
}

fn read(directory: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(directory.join(format!("modkeep-{name}"))).ok()
}

fn record(directory: &Path, name: &str, text: &str) -> Result<(), Error> {
    let write = || {
        let file = tempfile::Builder::new()
            .prefix("tmp-")
            .tempfile_in(directory)?;
        std::fs::write(file.path(), text)?;
        file.persist(directory.join(format!("modkeep-{name}")))
            .map_err(|error| error.error)
    };
    write()
        .map(drop)
        .map_err(Error::io(format!("writing to {}", directory.display())))
}
