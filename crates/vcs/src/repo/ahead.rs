//! New versions are fetched before anybody asks for them.
//!
//! Modules of one server are often released together, and taken into use together. So when a repository turns out to
//! have a version that it did not have before, the others that were in use lately on the same server are listed anew,
//! behind the answer, and what is new in them is fetched. A repository whose host announces a push is listed anew at
//! once, for the same.
//!
//! Nothing depends on it: whoever asks meanwhile waits for the same work, and what was not fetched is fetched as usual.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bstr::ByteSlice as _;
use futures_util::StreamExt as _;
use tokio::time::Instant;
use url::Url;

use super::{ABSENCE_FRESH, GitRepository, ObjectId, Refs};
use crate::error::Error;

/// How long after a version of it was wanted a repository counts as in use.
const IN_USE: Duration = Duration::from_hours(24);
/// How often a repository is listed for this, at most.
const REST: Duration = Duration::from_mins(1);
/// How many repositories are listed at the same time.
const AT_ONCE: usize = 4;
/// How many modules of a repository count.
const MOST_MODULES: usize = 64;

/// What is known about the use of a repository.
#[derive(Debug, Default)]
pub(super) struct Use(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By what their tags begin with: the files that tell about a module.
    modules: BTreeMap<String, Vec<String>>,
    last: Option<Instant>,
    looked: Option<Instant>,
    has_news: bool,
}

impl Use {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self) -> bool {
        let known = self.known();
        known.last.is_some_and(|last| last.elapsed() < IN_USE)
            && known.looked.is_none_or(|looked| looked.elapsed() >= REST)
    }
}

impl GitRepository {
    /// Somebody wants a version of the module whose tags begin with `tag_prefix`, and which `files` tell about.
    pub(crate) fn in_use(&self, tag_prefix: &str, files: &[String]) {
        let mut known = self.usage.known();
        known.last = Some(Instant::now());
        if known.modules.len() < MOST_MODULES && !known.modules.contains_key(tag_prefix) {
            known.modules.insert(tag_prefix.to_owned(), files.to_vec());
        }
    }

    /// Whether a version came with the last listing that was not there before. True once.
    pub(crate) fn take_news(&self) -> bool {
        std::mem::take(&mut self.usage.known().has_news)
    }

    /// Compares two listings that follow each other.
    pub(super) fn compare(&self, before: &Refs, now: &Refs) {
        let mut known = self.usage.known();
        let has_news = known
            .modules
            .keys()
            .any(|prefix| newest(before, now, prefix).is_some());
        known.has_news |= has_news;
    }

    /// Lists the refs anew, and fetches the newest of what is new for the modules in use.
    pub(crate) async fn look_ahead(self: &Arc<Self>) -> Result<(), Error> {
        let Some(before) = self.last_refs() else {
            return Ok(());
        };
        let modules = {
            let mut known = self.usage.known();
            known.looked = Some(Instant::now());
            known.modules.clone()
        };
        self.forget_listing();
        let snapshot = self.snapshot().await?;
        // This was for all of them.
        self.take_news();
        for (prefix, files) in modules {
            if let Some(commit) = newest(&before, snapshot.refs(), &prefix) {
                let commit = commit.clone();
                let snapshot = snapshot.clone().wanting(files);
                snapshot.commit(&commit, None).await?;
            }
        }
        Ok(())
    }

    /// Whether it is in use and was not looked at for a while; `server` is the one it is on.
    fn is_due_on(&self, server: &str) -> bool {
        let is_old = |listed: &super::Listed| listed.asked.elapsed() >= ABSENCE_FRESH;
        self.usage.is_due()
            && self.server().as_deref() == Some(server)
            && self.last_listing().as_ref().is_some_and(is_old)
    }

    pub(super) fn server(&self) -> Option<String> {
        let url = Url::parse(self.remote.fetch_url()).ok()?;
        Some(format!(
            "{}://{}:{}",
            url.scheme(),
            url.host_str()?,
            url.port_or_known_default().unwrap_or_default()
        ))
    }
}

/// Looks at a repository whose host has announced a push, unless nobody has asked for it yet.
pub(crate) fn look_at(pushed: Arc<GitRepository>) {
    if !pushed.was_listed() {
        return;
    }
    tokio::spawn(async move {
        if let Err(error) = pushed.look_ahead().await {
            tracing::debug!(%error, "a repository was not looked at after a push");
        }
    });
}

/// Looks at those of `others` that are on the server of `news` and in use, `most` of them.
pub(crate) fn look_around(news: &GitRepository, others: Vec<Arc<GitRepository>>, most: usize) {
    let Some(server) = news.server() else {
        return;
    };
    let mut due: Vec<(Option<Instant>, Arc<GitRepository>)> = others
        .into_iter()
        .filter(|other| !std::ptr::eq(Arc::as_ptr(other), news) && other.is_due_on(&server))
        .map(|other| {
            let last = other.usage.known().last;
            (last, other)
        })
        .collect();
    due.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
    due.truncate(most);
    if due.is_empty() {
        return;
    }
    tokio::spawn(async move {
        let looks = due.into_iter().map(|(_, other)| async move {
            if let Err(error) = other.look_ahead().await {
                tracing::debug!(%error, "a repository was not looked at ahead of time");
            }
        });
        futures_util::stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    });
}

/// The highest version among the tags below `prefix` that are `now` and were not `before`.
fn newest<'a>(before: &Refs, now: &'a Refs, prefix: &str) -> Option<&'a ObjectId> {
    let old: std::collections::HashSet<_> = before.tags(prefix).map(|(tag, _)| tag).collect();
    let mut newest: Option<(&str, &ObjectId)> = None;
    for (tag, commit) in now.tags(prefix) {
        let version = tag.to_str().ok().and_then(|tag| tag.strip_prefix(prefix));
        let Some(version) = version.filter(|version| {
            !old.contains(tag) && gomod::semver::canonical(version).as_deref() == Some(version)
        }) else {
            continue;
        };
        if newest.is_none_or(|(highest, _)| gomod::semver::compare(highest, version).is_lt()) {
            newest = Some((version, commit));
        }
    }
    newest.map(|(_, commit)| commit)
}

#[cfg(test)]
mod tests {
    use super::super::refs::Listing;
    use super::*;

    fn refs(tags: &[(&str, char)]) -> Refs {
        let mut listing = Listing::new(100);
        for (tag, digit) in tags {
            let id = digit.to_string().repeat(40);
            listing.take(format!("{id}\trefs/tags/{tag}").as_bytes());
        }
        listing.finish().unwrap()
    }

    #[test]
    fn the_highest_of_the_new_versions_is_wanted() {
        let before = refs(&[("v1.9.0", '1'), ("sub/v0.1.0", '2')]);
        let now = refs(&[
            ("v1.9.0", '1'),
            ("v1.10.0", 'a'),
            ("v1.2.0", 'b'),
            ("v2", 'c'),
            ("nightly", 'd'),
            ("sub/v0.1.0", '2'),
            ("sub/v0.2.0", 'e'),
        ]);
        let found =
            |prefix: &str| newest(&before, &now, prefix).map(|id| id.as_str().chars().next());
        assert_eq!(found(""), Some(Some('a')));
        assert_eq!(found("sub/"), Some(Some('e')));
        assert_eq!(found("other/"), None);
        assert!(newest(&now, &now, "").is_none());
    }
}
