//! One commit with its files and nothing else, or everything where a server cannot do that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bstr::{BStr, BString, ByteSlice as _};
use fault::Label;

use super::create::{create, is_kind};
use super::early::early_ref;
use super::mirrors::{Mirror, Writing};
use super::refs::is_plain_name;
use super::{GitRepository, ObjectId, Refs, Snapshot, Work};
use crate::error::{Error, ToolFault};
use crate::runner::Access;

/// Where the marks are.
pub(super) const KEPT: &str = "refs/keep";
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
pub(super) fn mark(commit: &ObjectId) -> String {
    format!("{KEPT}/{commit}")
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
        let (_turn, writing) = repository.write(&self.mirror).await?;
        let tip = self.mirror.tip();
        if is_complete(&tip, &self.commit) {
            writing.finish();
            return Ok(true);
        }
        init(&tip, self.commit.is_sha256(), &writing)?;
        if self.has_come_early(&tip).await? {
            repository.tidy(&tip, &writing).await;
            writing.finish();
            return Ok(true);
        }
        if repository.fetch_wired(&tip, &self.commit).await? {
            repository.tidy(&tip, &writing).await;
            writing.finish();
            return Ok(true);
        }
        let access = repository.workshop.runner.access(&repository.way()).await?;
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
        let incoming = format!("refs/incoming/{}", self.commit);
        self.repository
            .fetch_one(tip, source, &incoming, access, writing)
            .await?;
        self.take(tip, &incoming).await
    }

    /// Whether the commit has arrived while the refs were being listed.
    async fn has_come_early(&self, tip: &Path) -> Result<bool, Error> {
        let Some(early) = self.via.as_ref().map(|name| early_ref(name.as_bstr())) else {
            return Ok(false);
        };
        if !tip.join(&early).is_file() {
            return Ok(false);
        }
        Ok(matches!(self.take(tip, &early).await?, Arrival::Here))
    }

    /// Marks the commit as complete if the ref `incoming` leads to it. The ref is gone then.
    async fn take(&self, tip: &Path, incoming: &str) -> Result<Arrival, Error> {
        if self.renamed(tip, incoming) {
            return Ok(Arrival::Here);
        }
        let workshop = &self.repository.workshop;
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

    /// Most tags are no objects of their own: what arrived is then the commit itself, and git need not be asked what
    /// it leads to.
    fn renamed(&self, tip: &Path, incoming: &str) -> bool {
        let (from, to) = (tip.join(incoming), tip.join(mark(&self.commit)));
        let is_it = std::fs::read(&from)
            .is_ok_and(|content| content.trim_ascii() == self.commit.as_str().as_bytes());
        let folder = to.parent().unwrap_or(tip);
        is_it && std::fs::create_dir_all(folder).is_ok() && std::fs::rename(&from, &to).is_ok()
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

/// Makes an empty repository at `directory` unless there is one for objects of this kind.
pub(super) fn init(directory: &Path, sha256: bool, writing: &Writing) -> Result<(), Error> {
    if directory.is_dir() {
        if is_kind(directory, sha256) {
            return Ok(());
        }
        writing.discard(directory)?;
    }
    create(directory, sha256)
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
            // By git itself, whose own checks then say what is wrong with what the server gives.
            self.fitness.doubt();
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
