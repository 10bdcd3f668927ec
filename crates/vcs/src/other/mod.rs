//! Repositories of other systems than git, for what is public: as the `go` command uses them
//! (cmd/go/internal/modfetch/codehost, `vcsRepo`), which is less than they can do.
//!
//! All of a repository is copied (of a Subversion server nothing is), and what is asked of it is asked of the copy. What
//! go does not list is not listed here either: it finds no tags in Subversion and Fossil. A tag of Fossil that is asked
//! for by its name is a version, though.
//!
//! In two cases go has an answer that is of no use, and another one is given here. Of a module in a directory of a
//! Bazaar or Fossil repository go packs nothing but the licence, because it looks for the files under other names than
//! their program has packed them. And where a Subversion repository has symbolic links go fails, because it compares the
//! length of the file where one leads with that of the link; here, as with git, links are left out.

mod bzr;
mod fossil;
mod hg;
mod svn;

use std::collections::HashMap;
use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bstr::{BString, ByteSlice as _};
use tokio::time::Instant;

use crate::address::is_same;
use crate::error::{Blocked, Error, ToolFault};
use crate::flight::Flights;
use crate::options::Remote;
use crate::repo::{CommitTime, Limits, Mirror, Named, ObjectId, Refs, Workshop, Writing};
use crate::runner::{Gate, Run, Runner, is_allowed};
use crate::system::VersionControl;

/// How many commits and files are remembered of one repository.
const MOST_SEEN: usize = 1000;
/// Most bytes of a file that is read as a whole.
const FILE_LIMIT: u64 = 16 << 20;
/// Bytes of a list of commits or names.
const LIST_LIMIT: u64 = 256 << 20;

/// A repository somewhere else.
pub(crate) struct OtherRepository {
    workshop: Arc<Workshop>,
    system: VersionControl,
    /// Import path of its root, for messages.
    root: String,
    remote: Remote,
    state: Mutex<State>,
    listings: Arc<Flights<(), Result<Listed, Error>>>,
}

#[derive(Default)]
struct State {
    listed: Option<Listed>,
    /// What was listed before does not count.
    outdated: Option<Instant>,
    times: HashMap<ObjectId, CommitTime>,
    files: HashMap<(ObjectId, String), Option<Arc<[u8]>>>,
}

#[derive(Clone)]
struct Listed {
    asked: Instant,
    refs: Arc<Refs>,
    sum: Option<Arc<str>>,
}

/// What a repository has.
struct Known {
    refs: Refs,
    /// The sum over all that has a name, where go makes one.
    sum: Option<String>,
}

impl From<Refs> for Known {
    fn from(refs: Refs) -> Self {
        Self { refs, sum: None }
    }
}

/// A repository at one moment.
#[derive(Clone)]
pub(crate) struct Snapshot {
    repository: Arc<OtherRepository>,
    listed: Listed,
}

/// What runs of a system's program need to know.
struct Place<'a> {
    runner: &'a Runner,
    remote: &'a Remote,
    limits: &'a Limits,
    /// Where the copy is.
    copy: &'a Path,
    /// The way to servers.
    gate: Option<&'a Gate>,
}

impl OtherRepository {
    pub(crate) fn new(
        workshop: Arc<Workshop>,
        system: VersionControl,
        root: &str,
        remote: Remote,
    ) -> Self {
        Self {
            workshop,
            system,
            root: root.to_owned(),
            remote,
            state: Mutex::default(),
            listings: Arc::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the repository at `address`.
    pub(crate) fn is_at(&self, address: &str) -> bool {
        is_same(&self.remote.url, address) || is_same(self.remote.fetch_url(), address)
    }

    /// Something was pushed: what was listed so far does not count any more.
    pub(crate) fn forget_listing(&self) {
        self.state().outdated = Some(Instant::now());
    }

    /// The repository as it is now, or was a moment ago.
    pub(crate) async fn snapshot(self: &Arc<Self>) -> Result<Snapshot, Error> {
        let recent = {
            let state = self.state();
            let fresh = self.workshop.limits.listing_fresh;
            let listed = state.listed.clone();
            listed.filter(|listed| {
                listed.asked.elapsed() < fresh
                    && state.outdated.is_none_or(|since| listed.asked > since)
            })
        };
        let listed = if let Some(listed) = recent {
            listed
        } else {
            let this = Arc::clone(self);
            let listing = self.listings.join((), || async move { this.list().await });
            listing.await.ok_or(Error::Lost)??
        };
        Ok(Snapshot {
            repository: Arc::clone(self),
            listed,
        })
    }

    async fn list(&self) -> Result<Listed, Error> {
        is_allowed(&self.remote, self.system)?;
        self.check_scheme()?;
        let asked = Instant::now();
        let known = self.refresh().await;
        let known = known.map_err(|error| self.explained(error))?;
        let listed = Listed {
            asked,
            refs: Arc::new(known.refs),
            sum: known.sum.map(Into::into),
        };
        self.state().listed = Some(listed.clone());
        Ok(listed)
    }

    /// Only where all connections go through a [`Gate`] can it be judged where they lead, and only there is nobody ever
    /// asked for a password. Of what the operator has named himself there is nothing to judge.
    fn check_scheme(&self) -> Result<(), Error> {
        let url = self.remote.fetch_url();
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let is_judged = matches!(scheme, "http" | "https" | "file");
        let is_named = scheme == "svn" && self.remote.options.outbound.is_none();
        if is_judged || is_named {
            return Ok(());
        }
        Err(Blocked::Address {
            url: goenv::redact::redact_text(url),
            reason: "repositories of other systems than git are reached over http and https only",
        }
        .into())
    }

    /// Brings the copy up to date, and lists what it has.
    async fn refresh(&self) -> Result<Known, Error> {
        let mirror = self.mirror().await?;
        let writing = mirror
            .write(self.workshop.runner.settings().network_time)
            .await?;
        let copy = mirror.copy();
        // There unless a program was changing the copy when all of this ended.
        let whole = copy.with_extension("whole");
        let is_whole = whole.exists();
        let mut result = self.update(&copy, &whole, is_whole, &writing).await;
        if is_whole && matches!(&result, Err(Error::Tool(ToolFault::Failed { .. }))) {
            // Perhaps it is the copy.
            result = self.update(&copy, &whole, false, &writing).await;
        }
        if result.is_ok() {
            writing.finish();
        }
        self.workshop.evict();
        result
    }

    async fn update(
        &self,
        copy: &Path,
        whole: &Path,
        is_whole: bool,
        writing: &Writing,
    ) -> Result<Known, Error> {
        let doing = || format!("preparing {}", copy.display());
        if !is_whole {
            writing.discard(copy)?;
            std::fs::create_dir_all(copy).map_err(Error::io(doing()))?;
        } else if whole.exists() {
            std::fs::remove_file(whole).map_err(Error::io(doing()))?;
        }
        let gate = self.gate().await?;
        let place = self.place(copy, Some(&gate));
        let known = match self.system {
            VersionControl::Mercurial => hg::update(&place, !is_whole, writing).await?,
            VersionControl::Subversion => svn::update(&place).await?.into(),
            VersionControl::Bazaar => bzr::update(&place, !is_whole, writing).await?.into(),
            VersionControl::Fossil => fossil::update(&place, !is_whole, writing).await?.into(),
            VersionControl::Git | VersionControl::Mod => return Err(Error::Lost),
        };
        std::fs::write(whole, "").map_err(Error::io(doing()))?;
        Ok(known)
    }

    async fn mirror(&self) -> Result<Mirror, Error> {
        let url = self.remote.fetch_url();
        self.workshop.mirrors.open(self.system.command(), url).await
    }

    async fn gate(&self) -> Result<Gate, Error> {
        Gate::open(&self.remote).await
    }

    fn place<'a>(&'a self, copy: &'a Path, gate: Option<&'a Gate>) -> Place<'a> {
        Place {
            runner: &self.workshop.runner,
            remote: &self.remote,
            limits: &self.workshop.limits,
            copy,
            gate,
        }
    }

    /// That the program is missing is a reason not to have the module, as it is for everybody without it.
    fn explained(&self, error: Error) -> Error {
        match error {
            Error::Tool(ToolFault::Missing { .. }) => Blocked::Unsupported {
                system: self.system,
                root: self.root.clone(),
            }
            .into(),
            error => error,
        }
    }
}

impl Place<'_> {
    fn url(&self) -> &str {
        self.remote.fetch_url()
    }

    /// A run of a program on the copy.
    fn local(&self, name: &'static str) -> Run<'_> {
        self.runner
            .program(name)
            .directory(self.copy)
            .max_output(LIST_LIMIT)
    }

    /// A run of a program that talks to the server.
    fn online(&self, name: &'static str) -> Run<'_> {
        let mut run = self
            .local(name)
            .online()
            .disk(self.copy, self.limits.repository);
        if let Some(proxy) = self.gate.and_then(Gate::address) {
            for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
                run = run.variable(variable, format!("http://{proxy}/"));
            }
        }
        if let Some(file) = &self.remote.options.ca_file {
            run = run.variable("SSL_CERT_FILE", file.as_os_str());
        }
        run
    }
}

impl Snapshot {
    pub(crate) fn system(&self) -> VersionControl {
        self.repository.system
    }

    pub(crate) fn refs(&self) -> &Refs {
        &self.listed.refs
    }

    /// The sum over all that has a name, where go makes one.
    pub(crate) fn sum(&self) -> Option<&str> {
        self.listed.sum.as_deref()
    }

    pub(crate) fn url(&self) -> &str {
        &self.repository.remote.url
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.repository.workshop.runner.settings().directory
    }

    /// Whether what it does not know may have come meanwhile. If so, the next snapshot is a new one.
    pub(crate) fn outlive(&self) -> bool {
        let is_old = self.listed.asked.elapsed() >= crate::repo::ABSENCE_FRESH;
        if is_old {
            self.repository.forget_listing();
        }
        is_old
    }

    /// What `revision` names, as far as the listing tells.
    pub(crate) fn lookup(&self, revision: &str) -> Result<Named, Error> {
        if let Some(head) = self.refs().head()
            && (head.as_str() == revision || revision == newest(self.system()))
        {
            return Ok(Named::Ref {
                name: BString::from("HEAD"),
                commit: head.clone(),
                tag: false,
            });
        }
        match self.refs().lookup(revision)? {
            Named::Unknown if is_name(self.system(), revision) => Ok(Named::Hash),
            named => Ok(named),
        }
    }

    /// The commit that `name` stands for, which is no ref of the listing.
    pub(crate) async fn commit_by_name(&self, name: &str) -> Result<Option<ObjectId>, Error> {
        if !is_name(self.system(), name) {
            return Ok(None);
        }
        let found = self.stat(name).await?;
        Ok(found.map(|found| self.keep(found)))
    }

    pub(crate) async fn commit(&self, commit: &ObjectId) -> Result<CommitTime, Error> {
        if let Some(known) = self.repository.state().times.get(commit) {
            return Ok(known.clone());
        }
        let found = self.stat(commit.as_str()).await?;
        let found = found.ok_or_else(|| Error::UnknownRevision(commit.to_string()))?;
        self.keep(found.clone());
        Ok(found)
    }

    fn keep(&self, found: CommitTime) -> ObjectId {
        let mut state = self.repository.state();
        if state.times.len() >= MOST_SEEN {
            state.times.clear();
        }
        let id = found.id.clone();
        state.times.insert(id.clone(), found);
        id
    }

    async fn stat(&self, revision: &str) -> Result<Option<CommitTime>, Error> {
        let (mirror, gate) = self.open().await?;
        let copy = mirror.copy();
        let place = self.repository.place(&copy, Some(&gate));
        let found = match self.system() {
            VersionControl::Mercurial => hg::stat(&place, revision).await,
            VersionControl::Subversion => svn::stat(&place, revision).await,
            VersionControl::Bazaar => bzr::stat(&place, revision).await,
            VersionControl::Fossil => fossil::stat(&place, revision).await,
            VersionControl::Git | VersionControl::Mod => Err(Error::Lost),
        };
        found.map_err(|error| self.repository.explained(error))
    }

    /// The bytes of the file at `path` of `commit`; `None` when there is no file.
    pub(crate) async fn file(
        &self,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Option<Arc<[u8]>>, Error> {
        if path.starts_with("../") || path.chars().any(char::is_control) {
            return Ok(None);
        }
        let key = (commit.clone(), path.to_owned());
        if let Some(known) = self.repository.state().files.get(&key) {
            return Ok(known.clone());
        }
        let (mirror, gate) = self.open().await?;
        let copy = mirror.copy();
        let place = self.repository.place(&copy, Some(&gate));
        let read = match self.system() {
            VersionControl::Mercurial => hg::file(&place, commit, path).await,
            VersionControl::Subversion => svn::file(&place, commit, path).await,
            VersionControl::Bazaar => bzr::file(&place, commit, path).await,
            VersionControl::Fossil => fossil::file(&place, commit, path).await,
            VersionControl::Git | VersionControl::Mod => Err(Error::Lost),
        };
        let content: Option<Arc<[u8]>> = match read {
            Ok(content) => content.map(Into::into),
            Err(Error::Tool(ToolFault::OutputTooLarge { limit, .. })) => {
                return Err(Error::FileTooLarge {
                    what: path.to_owned(),
                    limit,
                });
            }
            Err(error) => return Err(self.repository.explained(error)),
        };
        let mut state = self.repository.state();
        if state.files.len() >= MOST_SEEN {
            state.files.clear();
        }
        state.files.insert(key, content.clone());
        Ok(content)
    }

    /// The tags that `commit` or a commit before it has, of those that are `wanted`.
    pub(crate) async fn tags_before(
        &self,
        commit: &ObjectId,
        wanted: &[(String, ObjectId)],
    ) -> Result<Vec<String>, Error> {
        if wanted.is_empty() || self.system() != VersionControl::Mercurial {
            return Ok(Vec::new());
        }
        let (mirror, _gate) = self.open().await?;
        let copy = mirror.copy();
        let tagged = hg::tagged_before(&self.repository.place(&copy, None), commit).await?;
        let before = wanted.iter().filter(|(_, at)| tagged.contains(at));
        Ok(before.map(|(tag, _)| tag.clone()).collect())
    }

    /// Whether `ancestor` is `commit` or came before it. Only of Mercurial go asks that; with the others nothing does.
    pub(crate) async fn descends_from(
        &self,
        commit: &ObjectId,
        ancestor: &ObjectId,
    ) -> Result<bool, Error> {
        if self.system() != VersionControl::Mercurial {
            return Ok(false);
        }
        let (mirror, _gate) = self.open().await?;
        let copy = mirror.copy();
        hg::descends(&self.repository.place(&copy, None), commit, ancestor).await
    }

    /// Writes the files of `commit` to `archive`, as a tar archive with `prefix/` before their names.
    pub(crate) async fn archive(&self, commit: &ObjectId, archive: &File) -> Result<(), Error> {
        let (mirror, gate) = self.open().await?;
        let copy = mirror.copy();
        let place = self.repository.place(&copy, Some(&gate));
        match self.system() {
            VersionControl::Mercurial => hg::archive(&place, commit, archive).await,
            VersionControl::Subversion => svn::archive(&place, commit, archive).await,
            VersionControl::Bazaar => bzr::archive(&place, commit, archive).await,
            VersionControl::Fossil => fossil::archive(&place, commit, archive).await,
            VersionControl::Git | VersionControl::Mod => Err(Error::Lost),
        }
    }

    async fn open(&self) -> Result<(Mirror, Gate), Error> {
        let mirror = self.repository.mirror().await?;
        if !mirror.copy().is_dir() {
            // It was removed to make room.
            drop(mirror);
            self.repository.refresh().await?;
            return Ok((
                self.repository.mirror().await?,
                self.repository.gate().await?,
            ));
        }
        Ok((mirror, self.repository.gate().await?))
    }
}

/// What go calls the newest commit.
fn newest(system: VersionControl) -> &'static str {
    match system {
        VersionControl::Mercurial => "tip",
        VersionControl::Bazaar => "revno:-1",
        VersionControl::Fossil => "trunk",
        _ => "latest",
    }
}

/// Whether the program may be asked for `name`: what is not a number, a hash or a plain name might mean anything to it.
fn is_name(system: VersionControl, name: &str) -> bool {
    let all = |allowed: fn(&u8) -> bool| !name.is_empty() && name.as_bytes().iter().all(allowed);
    match system {
        VersionControl::Mercurial => (7..=40).contains(&name.len()) && all(u8::is_ascii_hexdigit),
        VersionControl::Subversion | VersionControl::Bazaar => {
            name.len() <= 18 && all(u8::is_ascii_digit)
        }
        VersionControl::Fossil => {
            name.len() <= 100
                && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && all(|byte| byte.is_ascii_alphanumeric() || b"._-+/".contains(byte))
        }
        VersionControl::Git | VersionControl::Mod => false,
    }
}

/// Names with their commits, one a line and with a tab between, as refs of one kind.
fn named(text: &[u8], kind: &str) -> Vec<(BString, ObjectId)> {
    let lines = text.lines().filter_map(|line| {
        let (name, id) = line.rsplit_once_str("\t")?;
        let id = ObjectId::parse(id.to_str().ok()?)?;
        let is_plain = !name.is_empty() && !name.chars().any(char::is_whitespace);
        is_plain.then(|| (BString::from([kind.as_bytes(), name].concat()), id))
    });
    lines.collect()
}

/// What a program answered that cannot be understood.
fn unexpected(tool: &'static str, output: &[u8]) -> Error {
    Error::Unexpected {
        tool,
        output: output.to_str_lossy().chars().take(200).collect(),
    }
}

/// A directory for the files of one run, on the same disk.
fn scratch(place: &Place<'_>) -> Result<tempfile::TempDir, Error> {
    let parent: PathBuf = place.runner.settings().directory.clone();
    let made = tempfile::Builder::new().prefix("tmp-").tempdir_in(parent);
    made.map_err(Error::io("creating a temporary directory"))
}

/// The archive from its beginning, without what an earlier try left in it.
fn emptied(archive: &File) -> Result<File, Error> {
    let begin = || {
        let mut file = archive.try_clone()?;
        file.set_len(0)?;
        file.rewind()?;
        Ok(file)
    };
    begin().map_err(Error::io("writing an archive"))
}
