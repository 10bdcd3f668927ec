//! Git repositories as a source of modules: what they contain is fetched as it is needed, as little as possible.
//!
//! To know a version one commit is needed, not its history: it is fetched alone (`--depth=1`), into a repository that
//! grows by the differences only. To know what came before a commit the history is needed, not its files: it is
//! fetched without them (`--filter=tree:0`), into another one. Where a server cannot do the one or the other, all of
//! it is fetched.
//!
//! Every answer follows from one listing of refs (a [`Snapshot`]), so that it cannot mix what was before and after a
//! push; and nothing is served that no branch and no tag of that listing leads to.

/// Works in a directory; when that fails because the repository in it is broken, once more with a new one.
macro_rules! healing {
    ($snapshot:ident, $directory:ident = $open:expr, $work:expr) => {{
        let mut healed = false;
        loop {
            let $directory = $open.await?;
            match $work.await {
                Err(error) if !healed && $snapshot.heal(&$directory, &error).await? => {
                    healed = true;
                }
                result => break result,
            }
        }
    }};
}

mod ahead;
mod create;
mod early;
mod fetch;
mod gather;
mod history;
mod mirrors;
mod objects;
mod refs;
mod seen;
mod wired;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fault::Label;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::address::is_same;
use crate::discovery::{Trust, Web};
use crate::error::{Error, ToolFault};
use crate::flight::Flights;
use crate::keyring::Attempt;
use crate::options::Remote;
use crate::runner::{Runner, Sink};
use crate::wire::Wire;
use ahead::Use;
pub(crate) use ahead::{look_around, look_at};
pub(crate) use mirrors::{Mirror, Mirrors, Writing};
pub(crate) use objects::CommitTime;
use refs::Listing;
pub(crate) use refs::{Named, ObjectId, Refs};
use seen::Seen;
use wired::Fitness;

/// What repositories may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many refs a repository may have.
    pub refs: usize,
    /// How many bytes a server may send to list them.
    pub listing: u64,
    /// How long a listing is used without asking again.
    pub listing_fresh: Duration,
    /// How many bytes one repository may have on disk. Twice as much may be in use: files and history apart.
    pub repository: u64,
    /// How many bytes all repositories may have on disk; those not used for the longest time go first.
    pub cache: u64,
    /// How many repositories are looked at when another one on their server has a new version; 0 for none, and then
    /// nothing is fetched after a push, either, before somebody asks.
    pub ahead: usize,
    /// How many bytes the files of one module may have together before those are left out that do not belong to it.
    pub archive: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            refs: 500_000,
            listing: 128 << 20,
            listing_fresh: Duration::from_secs(10),
            repository: 8 << 30,
            cache: 20 << 30,
            ahead: 64,
            archive: 4 << 30,
        }
    }
}

/// How often the size of all repositories is looked at.
const EVICTION_INTERVAL: Duration = Duration::from_mins(1);

/// What all repositories have in common.
pub(crate) struct Workshop {
    pub(crate) runner: Runner,
    pub(crate) limits: Limits,
    pub(crate) web: Arc<dyn Web>,
    pub(crate) mirrors: Mirrors,
    wire: Wire,
    seen: Seen,
    last_eviction: Mutex<Option<Instant>>,
}

impl Workshop {
    pub(crate) fn new(runner: Runner, limits: Limits, web: Arc<dyn Web>, mirrors: Mirrors) -> Self {
        Self {
            runner,
            limits,
            web,
            mirrors,
            wire: Wire::default(),
            seen: Seen::default(),
            last_eviction: Mutex::new(None),
        }
    }

    /// Makes room, now and then, in the background.
    pub(crate) fn evict(&self) {
        let mut last = self
            .last_eviction
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < EVICTION_INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        let (mirrors, budget) = (self.mirrors.clone(), self.limits.cache);
        // Nobody waits for it.
        drop(tokio::task::spawn_blocking(move || {
            for removed in mirrors.evict(budget) {
                tracing::info!(repository = %removed.display(), "removed from the cache of repositories");
            }
        }));
    }
}

/// What is fetched once for all who want it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    Content(ObjectId),
    /// Of the refs with this sum.
    History(String),
}

/// The refs, and when they were asked for: freshness counts from the question, not from the answer.
#[derive(Clone)]
struct Listed {
    asked: Instant,
    refs: Arc<Refs>,
}

/// How old a listing may be to say that something does not exist: whoever has just pushed a tag wants it at once.
pub(crate) const ABSENCE_FRESH: Duration = Duration::from_secs(1);

/// How often a listing is begun anew because something was pushed meanwhile.
const MOST_LISTINGS: usize = 3;

/// A git repository somewhere else.
pub(crate) struct GitRepository {
    workshop: Arc<Workshop>,
    /// Tells what was seen here from what was seen in other repositories.
    seen_as: u64,
    remote: Remote,
    moved: Mutex<Option<String>>,
    listing: Mutex<Option<Listed>>,
    /// What was listed before this moment does not count.
    outdated: Mutex<Option<Instant>>,
    listings: Arc<Flights<(), Result<Listed, Error>>>,
    fetches: Arc<Flights<Work, Result<PathBuf, Error>>>,
    writing: Arc<tokio::sync::Mutex<()>>,
    /// The commits that the history begins with; empty while it was not needed.
    first_commits: Mutex<Vec<String>>,
    fitness: Fitness,
    usage: Use,
}

/// A repository at one moment.
#[derive(Clone)]
pub(crate) struct Snapshot {
    repository: Arc<GitRepository>,
    asked: Instant,
    refs: Arc<Refs>,
    mirror: Arc<OnceCell<Arc<Mirror>>>,
    /// Files of commits that will be wanted, and are read together.
    wanted: Arc<[String]>,
}

impl GitRepository {
    pub(crate) fn new(workshop: Arc<Workshop>, remote: Remote) -> Self {
        Self {
            seen_as: workshop.seen.newcomer(),
            workshop,
            remote,
            moved: Mutex::new(None),
            listing: Mutex::new(None),
            outdated: Mutex::new(None),
            listings: Arc::default(),
            fetches: Arc::default(),
            writing: Arc::default(),
            first_commits: Mutex::default(),
            fitness: Fitness::default(),
            usage: Use::default(),
        }
    }

    /// The commits without parents that HEAD goes back to, if the history was fetched.
    pub(crate) fn first_commits(&self) -> Vec<String> {
        self.first_commits
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The repository as it is now, or was a moment ago.
    pub(crate) async fn snapshot(self: &Arc<Self>) -> Result<Snapshot, Error> {
        let listed = match self.recent_listing() {
            Some(listed) => listed,
            None => self.new_listing().await?,
        };
        Ok(Snapshot {
            repository: Arc::clone(self),
            asked: listed.asked,
            refs: listed.refs,
            mirror: Arc::default(),
            wanted: Arc::default(),
        })
    }

    /// Whether this is the repository at `address`.
    pub(crate) fn is_at(&self, address: &str) -> bool {
        is_same(&self.remote.url, address) || is_same(self.remote.fetch_url(), address)
    }

    /// Something was pushed: what was listed so far does not count any more.
    pub(crate) fn forget_listing(&self) {
        let mut outdated = self.outdated.lock().unwrap_or_else(PoisonError::into_inner);
        *outdated = Some(Instant::now());
    }

    fn is_outdated(&self, listed: &Listed) -> bool {
        let outdated = self.outdated.lock().unwrap_or_else(PoisonError::into_inner);
        outdated.is_some_and(|since| listed.asked <= since)
    }

    fn was_listed(&self) -> bool {
        self.last_listing().is_some()
    }

    fn last_listing(&self) -> Option<Listed> {
        let listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        listing.clone()
    }

    fn last_refs(&self) -> Option<Arc<Refs>> {
        self.last_listing().map(|listed| listed.refs)
    }

    fn recent_listing(&self) -> Option<Listed> {
        let listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = listing.as_ref()?;
        let fresh = self.workshop.limits.listing_fresh;
        (listed.asked.elapsed() < fresh && !self.is_outdated(listed)).then(|| listed.clone())
    }

    async fn new_listing(self: &Arc<Self>) -> Result<Listed, Error> {
        for _ in 1..MOST_LISTINGS {
            let listed = self.next_listing().await?;
            // One that was under way when something was pushed may be from before.
            if !self.is_outdated(&listed) {
                return Ok(listed);
            }
        }
        self.next_listing().await
    }

    async fn next_listing(self: &Arc<Self>) -> Result<Listed, Error> {
        let this = Arc::clone(self);
        self.listings
            .join((), || async move {
                let asked = Instant::now();
                let refs = Arc::new(this.list().await?);
                let listed = Listed { asked, refs };
                let before = {
                    let mut listing = this.listing.lock().unwrap_or_else(PoisonError::into_inner);
                    listing.replace(listed.clone())
                };
                if let Some(before) = before {
                    this.compare(&before.refs, &listed.refs);
                }
                Ok(listed)
            })
            .await
            .ok_or(Error::Lost)?
    }

    async fn list(&self) -> Result<Refs, Error> {
        let error = match self.list_as(Attempt::First).await {
            Ok(refs) => {
                self.judge_credentials(true).await;
                return Ok(refs);
            }
            Err(error) => error,
        };
        let refused = is_refused(&error);
        if is_wrong(&error) {
            self.judge_credentials(false).await;
        }
        let error = if refused && self.remote.options.keyring.is_some() {
            match self.list_as(Attempt::Refused).await {
                Ok(refs) => {
                    self.judge_credentials(true).await;
                    return Ok(refs);
                }
                Err(error) => {
                    if is_wrong(&error) {
                        self.judge_credentials(false).await;
                    }
                    error
                }
            }
        } else if self.was_redirected(&error).await {
            match self.list_as(Attempt::First).await {
                Ok(refs) => return Ok(refs),
                Err(error) => error,
            }
        } else {
            error
        };
        Err(self.explained(error).await)
    }

    async fn judge_credentials(&self, are_good: bool) {
        if let Some(keyring) = &self.remote.options.keyring {
            keyring.judged(self.way().fetch_url(), are_good).await;
        }
    }

    async fn list_as(&self, attempt: Attempt) -> Result<Refs, Error> {
        if let Some(refs) = self.list_wired(attempt).await? {
            return Ok(refs);
        }
        let workshop = &self.workshop;
        let access = workshop.runner.access_again(&self.way(), attempt).await?;
        let mut listing = Listing::new(workshop.limits.refs);
        let mut take = |line: &[u8]| {
            if listing.take(line) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let listed = workshop
            .runner
            .git(None)
            .args(["ls-remote", "--quiet", "--end-of-options"])
            .args([access.url.as_str()])
            .network(&access)
            .time(workshop.runner.settings().listing_time)
            .max_output(workshop.limits.listing)
            .output_to(Sink::Lines(&mut take), &[])
            .await;
        let refs = listing.finish()?;
        listed.map(|_| refs)
    }

    /// The remote at the address to which it has moved, if it has.
    pub(crate) fn way(&self) -> Remote {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut remote = self.remote.clone();
        if let Some(address) = &*moved {
            remote.options.url = Some(address.clone());
        }
        remote
    }

    /// Follows a redirect that git was not allowed to follow, because it might lead anywhere. True when it leads to
    /// another address that may be used.
    async fn was_redirected(&self, error: &Error) -> bool {
        const SERVICE: &str = "/info/refs?service=git-upload-pack";
        let is_redirect = matches!(
            error,
            Error::Tool(ToolFault::Failed { stderr, .. }) if stderr.contains("returned error: 30")
        );
        let base = self.remote.fetch_url().trim_end_matches('/').to_owned();
        let Ok(asked) = url::Url::parse(&format!("{base}{SERVICE}")) else {
            return false;
        };
        if !is_redirect || self.remote.options.outbound.is_none() {
            return false;
        }
        let Ok(page) = self.workshop.web.get(&asked, Trust::Verified).await else {
            return false;
        };
        match page.url.as_str().strip_suffix(SERVICE) {
            Some(address) if address != base && page.status == 200 => {
                let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
                *moved = Some(address.to_owned());
                true
            }
            _ => false,
        }
    }

    /// A host that wants a password for what does not exist (so that strangers cannot tell what does) tells it by
    /// its web page. Only anonymous access to a repository without configuration is taken for absence.
    async fn explained(&self, error: Error) -> Error {
        if let Error::Tool(ToolFault::Failed {
            what,
            status,
            label: Label::AuthSshHostkey,
            stderr,
        }) = &error
            && let Some(keys) = self.workshop.runner.fingerprints(&self.way()).await
        {
            return ToolFault::Failed {
                what: what.clone(),
                status: status.clone(),
                label: Label::AuthSshHostkey,
                stderr: format!("{stderr}\nthe server's host key has the fingerprint {keys}"),
            }
            .into();
        }
        let anonymous = self.remote.options.credentials.is_none()
            && self.remote.options.keyring.is_none()
            && self.remote.options.client_certificate.is_none()
            && self.remote.options.url.is_none();
        let Error::Tool(ToolFault::Failed {
            what,
            status,
            label: Label::AuthHttpsNoCredential | Label::ModRepoGone,
            stderr,
        }) = &error
        else {
            return error;
        };
        let label = match url::Url::parse(self.remote.fetch_url()) {
            Ok(url) if anonymous && matches!(url.scheme(), "http" | "https") => {
                match self.workshop.web.get(&url, Trust::Verified).await {
                    Ok(page) if matches!(page.status, 404 | 410) => Label::ModRepoGone,
                    _ => Label::AuthHttpsNoCredential,
                }
            }
            _ if anonymous => return error,
            _ => Label::AuthRepoNotFound,
        };
        ToolFault::Failed {
            what: what.clone(),
            status: status.clone(),
            label,
            stderr: stderr.clone(),
        }
        .into()
    }
}

fn is_refused(error: &Error) -> bool {
    matches!(
        error.label(),
        Label::AuthHttpsNoCredential | Label::AuthTokenRejected | Label::AuthRepoNotFound
    )
}

/// Whether it is about the credentials: what does not exist, or is not shown, may be asked for with the right ones.
fn is_wrong(error: &Error) -> bool {
    matches!(
        error.label(),
        Label::AuthHttpsNoCredential | Label::AuthTokenRejected
    )
}

impl Snapshot {
    pub(crate) fn refs(&self) -> &Refs {
        &self.refs
    }

    /// Whether what it does not know may have come meanwhile. If so, the next snapshot is a new one.
    pub(crate) fn outlive(&self) -> bool {
        let is_old = self.asked.elapsed() >= ABSENCE_FRESH;
        if is_old {
            self.repository.forget_listing();
        }
        is_old
    }

    /// The address that answers name as their origin.
    pub(crate) fn url(&self) -> &str {
        &self.repository.remote.url
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.repository.workshop.limits
    }

    /// Where temporary files go.
    pub(crate) fn scratch(&self) -> &std::path::Path {
        &self.runner().settings().directory
    }

    fn runner(&self) -> &Runner {
        &self.repository.workshop.runner
    }

    async fn mirror(&self) -> Result<&Arc<Mirror>, Error> {
        let open = || async {
            let mirrors = &self.repository.workshop.mirrors;
            let url = self.repository.remote.fetch_url();
            mirrors.open("git", url).await.map(Arc::new)
        };
        self.mirror.get_or_try_init(open).await
    }
}
