//! Refs and commits over a connection that is kept, in place of runs of `git` that open their own.
//!
//! What arrives is judged as what `git` fetches is: the pack by `git index-pack`, which computes the hash of every
//! object in it, and the refs by the same reader.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::fetch::{KEPT, mark};
use super::refs::Listing;
use super::{GitRepository, ObjectId, Refs};
use crate::error::{Error, ToolFault};
use crate::keyring::Attempt;
use crate::runner::directory_size;
use crate::wire::{Ask, PackRequest, Received, RefsRequest, WireError};

/// How long a repository is left to git that could not be reached in this way.
const DOUBT: Duration = Duration::from_mins(10);
/// How many commits that are here are named to the server.
const MOST_HAVES: usize = 16;

/// Whether a repository is fit to be asked in this way.
#[derive(Debug, Default)]
pub(super) struct Fitness(Mutex<Option<Instant>>);

impl Fitness {
    /// For a while it is not.
    pub(super) fn doubt(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_doubted(&self) -> bool {
        let since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < DOUBT)
    }
}

impl GitRepository {
    /// Whether it is asked over a connection that is kept.
    pub(super) fn is_wired(&self) -> bool {
        !self.fitness.is_doubted() && self.workshop.wire.knows(self.way().fetch_url())
    }

    /// Lists the refs; `None` when git has to.
    pub(super) async fn list_wired(&self, attempt: Attempt) -> Result<Option<Refs>, Error> {
        if self.fitness.is_doubted() {
            return Ok(None);
        }
        let workshop = &self.workshop;
        let access = workshop.runner.http_access(&self.way(), attempt).await?;
        let Some(access) = access else {
            return Ok(None);
        };
        let ask = Ask {
            what: "git ls-remote",
            access: &access,
            time: workshop.runner.settings().listing_time,
        };
        let wire = &workshop.wire;
        let was_known = wire.knows(access.url.as_str());
        let _turn = workshop.runner.network_turn().await?;
        match self.refs_wired(&ask).await {
            Ok(refs) => Ok(Some(refs)),
            // What is right for one repository of a server need not be right for another.
            Err(WireError::Unfit { lasting: true, .. }) if was_known => {
                wire.forget(access.url.as_str());
                match self.refs_wired(&ask).await {
                    Ok(refs) => Ok(Some(refs)),
                    Err(error) => self.unwired(error, "listed").map(|()| None),
                }
            }
            Err(error) => self.unwired(error, "listed").map(|()| None),
        }
    }

    async fn refs_wired(&self, ask: &Ask<'_>) -> Result<Refs, WireError> {
        let limits = &self.workshop.limits;
        let mut listing = Listing::new(limits.refs);
        let mut request = RefsRequest {
            limit: limits.listing,
            take: &mut |line| listing.take(line),
        };
        self.workshop.wire.refs(ask, &mut request).await?;
        Ok(listing.finish()?)
    }

    /// Fetches `commit` with its files and without what came before it. False when git has to.
    pub(super) async fn fetch_wired(&self, tip: &Path, commit: &ObjectId) -> Result<bool, Error> {
        // The listing was the first to greet the server.
        if !self.is_wired() || commit.is_sha256() {
            return Ok(false);
        }
        let workshop = &self.workshop;
        let way = self.way();
        let access = workshop.runner.http_access(&way, Attempt::First).await?;
        let Some(access) = access else {
            return Ok(false);
        };
        let ask = Ask {
            what: "git fetch",
            access: &access,
            time: workshop.runner.settings().network_time,
        };
        let scratch = &workshop.runner.settings().directory;
        let pack =
            tempfile::tempfile_in(scratch).map_err(Error::io("creating a temporary file"))?;
        let request = PackRequest {
            commit: commit.as_str(),
            have: &complete(tip),
            shallow: &shallow(tip),
            limit: workshop
                .limits
                .repository
                .saturating_sub(directory_size(tip)),
        };
        let _turn = workshop.runner.network_turn().await?;
        let (received, pack) = match workshop.wire.pack(&ask, &request, pack).await {
            Ok(received) => received,
            Err(error) => return self.unwired(error, "fetched").map(|()| false),
        };
        let indexed = workshop
            .runner
            .git(Some(tip))
            .args(["index-pack", "--stdin", "--fix-thin"])
            .input_file(pack)
            .disk(tip, workshop.limits.repository)
            .output()
            .await;
        match indexed {
            Ok(_) => {}
            Err(Error::Tool(fault @ ToolFault::Failed { .. })) => {
                let error = WireError::Unfit {
                    why: fault.to_string(),
                    lasting: true,
                };
                return self.unwired(error, "fetched").map(|()| false);
            }
            Err(error) => return Err(error),
        }
        settle(tip, commit, &received)
            .map_err(Error::io(format!("writing to {}", tip.display())))?;
        Ok(true)
    }

    fn unwired(&self, error: WireError, done: &str) -> Result<(), Error> {
        match error {
            WireError::Failed(error) => Err(error),
            WireError::Unfit { why, lasting } => {
                tracing::debug!(repository = %goenv::redact::redact_text(&self.remote.url), why, "to be {done} by git");
                if lasting {
                    self.fitness.doubt();
                }
                Ok(())
            }
        }
    }
}

/// Marks `commit`, whose pack has arrived, as complete, and notes where the history ends.
fn settle(tip: &Path, commit: &ObjectId, received: &Received) -> io::Result<()> {
    let mut boundary = shallow(tip);
    boundary.retain(|commit| !received.unshallow.contains(commit));
    boundary.extend(received.shallow.iter().cloned());
    boundary.sort_unstable();
    boundary.dedup();
    if !boundary.is_empty() {
        let text = boundary.join("\n");
        write_whole(&tip.join("shallow"), &format!("{text}\n"))?;
    }
    let mark = tip.join(mark(commit));
    if let Some(folder) = mark.parent() {
        fs::create_dir_all(folder)?;
    }
    write_whole(&mark, &format!("{commit}\n"))
}

/// Writes a small file so that it is there whole or as it was.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new()
        .prefix("tmp-")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// The commits that are here without what came before them.
fn shallow(tip: &Path) -> Vec<String> {
    let text = fs::read_to_string(tip.join("shallow")).unwrap_or_default();
    let commits = text.lines().filter_map(ObjectId::parse);
    commits.map(|commit| commit.to_string()).collect()
}

/// The commits that are here with all their files, the newest first, as far as a server need know.
fn complete(tip: &Path) -> Vec<String> {
    let entries = fs::read_dir(tip.join(KEPT)).into_iter().flatten().flatten();
    let mut commits: Vec<(SystemTime, String)> = entries
        .filter_map(|entry| {
            let commit = ObjectId::parse(entry.file_name().to_str()?)?;
            let since = entry.metadata().and_then(|file| file.modified());
            Some((since.unwrap_or(SystemTime::UNIX_EPOCH), commit.to_string()))
        })
        .collect();
    commits.sort_unstable_by(|one, other| other.cmp(one));
    let newest = commits.into_iter().take(MOST_HAVES);
    newest.map(|(_, commit)| commit).collect()
}
