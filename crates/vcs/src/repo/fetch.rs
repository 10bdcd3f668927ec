//! One commit with its files and nothing else, or everything where a server cannot do that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice as _};
use fault::Label;

use super::mirrors::{Mirror, Writing};
use super::refs::is_plain_name;
use super::{GitRepository, ObjectId, Refs, Snapshot, Work};
use crate::error::{Error, ToolFault};
use crate::runner::Access;

/// From so many packs on they are put together.
const MANY_PACKS: usize = 50;

impl Snapshot {
    /// A repository on disk that has `commit` with all its files. `via` is a ref that leads to it.
    pub(super) async fn content(
        &self,
        commit: &ObjectId,
        via: Option<&BStr>,
    ) -> Result<PathBuf, Error> {
        let mirror = Arc::clone(self.mirror().await?);
        if is_complete(&mirror.tip(), commit) {
            return Ok(mirror.tip());
        }
        let fetch = Fetch {
            repository: Arc::clone(&self.repository),
            refs: Arc::clone(&self.refs),
            via: via.map_or_else(|| self.ref_of(commit), |name| Some(name.to_owned())),
            commit: commit.clone(),
            mirror,
        };
        self.repository
            .fetches
            .join(Work::Content(commit.clone()), || async move {
                let fetched = fetch.run().await;
                fetch.repository.workshop.evict();
                fetched
            })
            .await
            .ok_or(Error::Lost)?
    }

    fn ref_of(&self, commit: &ObjectId) -> Option<BString> {
        self.refs
            .iter()
            .find(|(name, target)| *target == commit && *name != "HEAD")
            .map(|(name, _)| name.to_owned())
    }

    /// Whether `repository`, which did not do what it should have, is broken. If it is, it is put away.
    pub(super) async fn heal(&self, repository: &Path, error: &Error) -> Result<bool, Error> {
        let mirror = self.mirror().await?;
        self.repository.heal(mirror, repository, error).await
    }
}

/// The mark that a commit has arrived with everything that belongs to it.
fn mark(commit: &ObjectId) -> String {
    format!("refs/keep/{commit}")
}

fn is_complete(tip: &Path, commit: &ObjectId) -> bool {
    // Refs of this kind are never packed.
    std::fs::read(tip.join(mark(commit)))
        .is_ok_and(|content| content.trim_ascii() == commit.as_str().as_bytes())
}

struct Fetch {
    repository: Arc<GitRepository>,
    refs: Arc<Refs>,
    mirror: Arc<Mirror>,
    commit: ObjectId,
    via: Option<BString>,
}

/// How a fetch went that ended in good order.
enum Arrival {
    Here,
    /// The ref leads to another commit by now.
    Moved,
    /// What the refs lead to is no commit.
    NotACommit,
}

impl Fetch {
    async fn run(&self) -> Result<PathBuf, Error> {
        let tip = self.mirror.tip();
        let first = match self.attempt().await {
            Err(error) if self.repository.heal(&self.mirror, &tip, &error).await? => {
                self.attempt().await
            }
            first => first,
        };
        match first {
            Ok(true) => Ok(tip),
            Ok(false) => self.everything().await,
            Err(error) => Err(error),
        }
    }

    /// False when the server gives no single commits.
    async fn attempt(&self) -> Result<bool, Error> {
        let repository = &self.repository;
        let access = repository.workshop.runner.access(&repository.way()).await?;
        let (_turn, writing) = repository.write(&self.mirror).await?;
        let tip = self.mirror.tip();
        if is_complete(&tip, &self.commit) {
            writing.finish();
            return Ok(true);
        }
        repository.init(&tip, self.commit.is_sha256()).await?;
        let mut sources = Vec::new();
        if let Some(name) = self.via.as_ref().and_then(|name| name.to_str().ok())
            && is_plain_name(name.into())
        {
            sources.push(name.to_owned());
        }
        sources.push(self.commit.as_str().to_owned());
        for source in sources {
            match self.fetch(&tip, &source, &access, &writing).await {
                Ok(Arrival::Here) => {
                    repository.tidy(&tip, &writing).await;
                    writing.finish();
                    return Ok(true);
                }
                Ok(Arrival::NotACommit) => {
                    writing.finish();
                    return Err(Error::UnknownRevision(source));
                }
                Ok(Arrival::Moved) => {}
                Err(error) if is_refusal(&error) => {}
                Err(error) => return Err(error),
            }
        }
        writing.finish();
        Ok(false)
    }

    async fn fetch(
        &self,
        tip: &Path,
        source: &str,
        access: &Access,
        writing: &Writing,
    ) -> Result<Arrival, Error> {
        let workshop = &self.repository.workshop;
        let incoming = format!("refs/incoming/{}", self.commit);
        workshop
            .runner
            .git(Some(tip))
            .args([
                "fetch",
                "--quiet",
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--depth=1",
                "--end-of-options",
                "origin",
            ])
            .args([format!("+{source}:{incoming}")])
            .network(access)
            .lock(writing.share()?)
            .disk(tip, workshop.limits.repository)
            .output()
            .await?;
        let resolved = workshop
            .runner
            .git(Some(tip))
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .args([format!("{incoming}^{{commit}}")])
            .output_or(&[1, 128])
            .await?;
        let arrived = resolved.stdout.trim_ascii() == self.commit.as_str().as_bytes();
        let mut update = format!("delete {incoming}\n");
        if arrived {
            update = format!("{update}update {} {}\n", mark(&self.commit), self.commit);
        }
        workshop
            .runner
            .git(Some(tip))
            .args(["update-ref", "--stdin"])
            .input(update.into_bytes())
            .output()
            .await?;
        Ok(match (arrived, resolved.code) {
            (true, _) => Arrival::Here,
            (false, Some(0)) => Arrival::Moved,
            (false, _) => Arrival::NotACommit,
        })
    }

    async fn everything(&self) -> Result<PathBuf, Error> {
        let directory = self
            .repository
            .history(&self.mirror, &self.refs, true)
            .await?;
        if self.repository.has_commit(&directory, &self.commit).await? {
            Ok(directory)
        } else {
            Err(Error::UnknownRevision(self.commit.to_string()))
        }
    }
}

/// Whether the server answered and did not want to do just this. Everything else (a connection that breaks, a wrong
/// password) would fail again.
pub(super) fn is_refusal(error: &Error) -> bool {
    const BROKEN: [&str; 8] = [
        "early eof",
        "rpc failed",
        "unexpected disconnect",
        "hung up unexpectedly",
        "returned error:",
        "operation too slow",
        "index-pack failed",
        "timed out",
    ];
    match error {
        Error::Tool(ToolFault::Failed {
            label: Label::GitTransferBroken | Label::ModRepoGone | Label::AuthRepoNotFound,
            stderr,
            ..
        }) => {
            let stderr = stderr.to_lowercase();
            !BROKEN.iter().any(|sign| stderr.contains(sign))
        }
        _ => false,
    }
}

impl GitRepository {
    /// The right to change the mirror: among the tasks of this process first, then among processes.
    pub(super) async fn write(
        &self,
        mirror: &Mirror,
    ) -> Result<(tokio::sync::OwnedMutexGuard<()>, Writing), Error> {
        let turn = Arc::clone(&self.writing).lock_owned().await;
        let patience = self.workshop.runner.settings().network_time;
        let writing = mirror.write(patience).await?;
        Ok((turn, writing))
    }

    /// Makes an empty repository at `directory` unless there is one. It is either there whole or not at all.
    pub(super) async fn init(&self, directory: &Path, sha256: bool) -> Result<(), Error> {
        let doing = || format!("creating {}", directory.display());
        if directory.is_dir() {
            return Ok(());
        }
        let parent = directory.parent().unwrap_or(directory);
        let draft = tempfile::Builder::new()
            .prefix("git.new-")
            .tempdir_in(parent)
            .map_err(Error::io(doing()))?;
        let format = if sha256 { "sha256" } else { "sha1" };
        self.workshop
            .runner
            .git(Some(draft.path()))
            .args(["init", "--bare", "--quiet", "--template="])
            .args([format!("--object-format={format}")])
            .output()
            .await?;
        let finish = || {
            let info = draft.path().join("info");
            std::fs::create_dir_all(&info)?;
            // Or else the files of a module would depend on what `git archive` was asked for.
            std::fs::write(info.join("attributes"), "* -export-subst -export-ignore\n")?;
            std::fs::rename(draft.path(), directory)
        };
        finish().map_err(Error::io(doing()))?;
        // It has moved.
        let _gone = draft.keep();
        Ok(())
    }

    /// Puts packs together when there are many: each lookup goes through all of them.
    async fn tidy(&self, directory: &Path, writing: &Writing) {
        let packs = std::fs::read_dir(directory.join("objects/pack"))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "pack"))
            .count();
        if packs < MANY_PACKS {
            return;
        }
        let Ok(lock) = writing.share() else {
            return;
        };
        let repacked = self
            .workshop
            .runner
            .git(Some(directory))
            .args(["repack", "-a", "-d", "-q"])
            .lock(lock)
            .output()
            .await;
        if let Err(error) = repacked {
            tracing::warn!(%error, "packs were not put together");
        }
    }

    pub(super) async fn has_commit(
        &self,
        directory: &Path,
        commit: &ObjectId,
    ) -> Result<bool, Error> {
        let output = self
            .workshop
            .runner
            .git(Some(directory))
            .args(["cat-file", "--batch-check"])
            .input(format!("{commit}\n").into_bytes())
            .output()
            .await?;
        // What is missing is said on standard output; what is broken, as an error.
        if !output.stderr.trim_ascii().is_empty() {
            return Err(ToolFault::Failed {
                what: "git cat-file".to_owned(),
                status: "exit status 0".to_owned(),
                label: Label::DiskCacheCorrupt,
                stderr: String::from_utf8_lossy(&output.stderr)
                    .chars()
                    .take(1000)
                    .collect(),
            }
            .into());
        }
        Ok(output.stdout.contains_str(" commit "))
    }

    /// See [`Snapshot::heal`].
    pub(super) async fn heal(
        &self,
        mirror: &Mirror,
        repository: &Path,
        error: &Error,
    ) -> Result<bool, Error> {
        let Error::Tool(ToolFault::Failed {
            label: Label::GitTransferBroken | Label::DiskCacheCorrupt,
            ..
        }) = error
        else {
            return Ok(false);
        };
        if !repository.is_dir() || self.is_sound(repository).await {
            return Ok(false);
        }
        let (_turn, writing) = self.write(mirror).await?;
        // Somebody may have been faster.
        if !self.is_sound(repository).await {
            tracing::warn!(repository = %repository.display(), %error, "a cached repository is broken and is fetched again");
            writing.discard(repository)?;
        }
        writing.finish();
        Ok(true)
    }

    async fn is_sound(&self, repository: &Path) -> bool {
        let runner = &self.workshop.runner;
        let connected = runner
            .git(Some(repository))
            .args([
                "fsck",
                "--connectivity-only",
                "--no-dangling",
                "--no-progress",
            ])
            .output()
            .await;
        if connected.is_err() {
            return false;
        }
        let indexes: Vec<PathBuf> = std::fs::read_dir(repository.join("objects/pack"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "idx"))
            .collect();
        if indexes.is_empty() {
            return true;
        }
        runner
            .git(Some(repository))
            .args(["verify-pack", "--"])
            .args(indexes)
            .output()
            .await
            .is_ok()
    }
}
