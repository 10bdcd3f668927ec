//! Tags that were moved and repositories that became others: what was served stays as it was, and whoever runs this
//! server is told once.
//!
//! A version is bound to a commit by the first of its files: the others are made from the same one, so that a tag that
//! moves in between cannot give a version two faces.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use goenv::redact::redact_text;
use gomod::info::{Origin, RevInfo};
use gomod::{ModulePath, ModuleVersion, Version};
use jiff::Timestamp;
use store::{Event, EventKind, FileKey, FileKind, Store};
use vcs::{RepositoryChange, TagNow, Vcs, VersionFiles};

use crate::shared::Shared;
use crate::source::is_hash;

/// How much is remembered of what was looked at and told; what is forgotten is looked at again.
const MOST: usize = 20_000;

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The tags that were looked at last, as their sum, by module.
    looked_at: Mutex<HashMap<ModulePath, String>>,
    /// Tags and the commits to which they were found to be moved.
    told: Mutex<HashSet<(ModuleVersion, String)>>,
    moved_tags: AtomicU64,
    moved_repositories: AtomicU64,
}

impl Watch {
    pub(crate) fn moved_tags(&self) -> u64 {
        self.moved_tags.load(Ordering::Relaxed)
    }

    pub(crate) fn moved_repositories(&self) -> u64 {
        self.moved_repositories.load(Ordering::Relaxed)
    }

    /// Whether the tags of a module are others than at the last look.
    fn is_news(&self, module: &ModulePath, tag_sum: &str) -> bool {
        let mut looked_at = self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        make_room(looked_at.len(), || looked_at.clear());
        looked_at
            .insert(module.clone(), tag_sum.to_owned())
            .is_none_or(|last| last != tag_sum)
    }

    /// Another version of the module is about to be stored: it was not among those that were looked at.
    pub(crate) fn look_again(&self, module: &ModulePath) {
        self.looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(module);
    }

    /// True the first time.
    fn tell(&self, version: &ModuleVersion, commit: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(told.len(), || told.clear());
        told.insert((version.clone(), commit.to_owned()))
    }
}

fn make_room(len: usize, clear: impl FnOnce()) {
    if len >= MOST {
        clear();
    }
}

impl Shared {
    /// The commit that other files of a version were made from.
    pub(crate) async fn bound(self: &Arc<Self>, key: &FileKey) -> Option<String> {
        let info = FileKey {
            kind: FileKind::Info,
            ..key.clone()
        };
        let of_info = if key.kind == FileKind::Info {
            None
        } else {
            let read = self.on_disk(move |store| Ok(origin_of(store, &info)));
            read.await.ok().flatten()
        };
        if let Some(origin) = of_info {
            return Some(origin.hash);
        }
        let version = key.module_version().ok()?;
        match self.records.revision(&version).await {
            Ok(revision) => revision.filter(|revision| is_hash(revision)),
            Err(error) => {
                tracing::warn!(%version, %error, "it is not known which commit other files of the version were made from");
                None
            }
        }
    }

    /// Looks whether the tag of a version still names the commit that its files are made from.
    pub(crate) async fn look_at_tag(self: &Arc<Self>, key: &FileKey, files: &VersionFiles) {
        if let (Some(tag), Ok(version)) = (files.tag(), key.module_version())
            && tag.commit != files.commit()
        {
            let (was, repository) = (files.commit().to_owned(), files.repository().to_owned());
            self.tell_moved(version, tag, was, &repository).await;
        }
    }

    /// Looks, behind the answer, whether the tags of stored versions still name the same commits. `tag_sum` says
    /// whether any tag changed since the last look.
    pub(crate) fn look_at_tags(self: &Arc<Self>, vcs: &Vcs, module: &ModulePath, tag_sum: &str) {
        let changes = vcs.take_changes();
        let is_news = !tag_sum.is_empty() && self.watch.is_news(module, tag_sum);
        if !is_news && changes.is_empty() {
            return;
        }
        let (shared, vcs, module) = (Arc::clone(self), vcs.clone(), module.clone());
        let under_way = self.rechecks.begin();
        tokio::spawn(async move {
            // Given back in the reverse order: first the depot, then the word that it is still in use.
            let _under_way = under_way;
            let shared = shared;
            let wanted = module.clone();
            let stored = shared.on_disk(move |store| origins(store, &wanted));
            let stored = match stored.await {
                Ok(stored) => stored,
                Err(error) => {
                    tracing::warn!(%module, %error, "tags were not compared with stored versions");
                    return;
                }
            };
            for change in &changes {
                shared.tell_changed(&module, &stored, change).await;
            }
            if is_news {
                shared.compare_tags(&vcs, &module, stored).await;
            }
        });
    }

    async fn compare_tags(
        self: &Arc<Self>,
        vcs: &Vcs,
        module: &ModulePath,
        stored: Vec<(Version, Origin)>,
    ) {
        let versions: Vec<Version> = stored.iter().map(|(version, _)| version.clone()).collect();
        let tags = match vcs.tags(module, &versions).await {
            Ok(tags) => tags,
            Err(error) => {
                tracing::debug!(%module, %error, "tags were not compared with stored versions");
                return;
            }
        };
        let mut stored: HashMap<Version, Origin> = stored.into_iter().collect();
        for tag in tags {
            let Some(origin) = stored.remove(&tag.version) else {
                continue;
            };
            if let Ok(version) = ModuleVersion::new(module.clone(), tag.version.clone())
                && origin.hash != tag.commit
            {
                self.tell_moved(version, tag, origin.hash, &origin.url)
                    .await;
            }
        }
    }

    async fn tell_moved(&self, version: ModuleVersion, tag: TagNow, was: String, repository: &str) {
        if !self.watch.tell(&version, &tag.commit) {
            return;
        }
        let what = EventKind::MovedTag {
            tag: tag.tag,
            old_commit: was,
            new_commit: tag.commit,
            repository: redact_text(repository),
        };
        if !self.is_on_record(&version, &what).await {
            tracing::warn!(%version, "{what}; the version stays as it was served first");
            self.watch.moved_tags.fetch_add(1, Ordering::Relaxed);
            self.note(version, what).await;
        }
    }

    async fn tell_changed(
        &self,
        module: &ModulePath,
        stored: &[(Version, Origin)],
        change: &RepositoryChange,
    ) {
        let what = EventKind::MovedRepository {
            root: change.root.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
        };
        tracing::warn!(%module, "{what}; stored versions stay as they were served first");
        self.watch
            .moved_repositories
            .fetch_add(1, Ordering::Relaxed);
        for (version, _) in stored {
            if let Ok(version) = ModuleVersion::new(module.clone(), version.clone())
                && !self.is_on_record(&version, &what).await
            {
                self.note(version, what.clone()).await;
            }
        }
    }

    async fn is_on_record(&self, version: &ModuleVersion, what: &EventKind) -> bool {
        let events = self.records.events(version).await;
        events.is_ok_and(|events| events.iter().any(|event| event.what == *what))
    }

    async fn note(&self, module: ModuleVersion, what: EventKind) {
        let time = Timestamp::now();
        self.records.event(Event { module, time, what }).await;
    }
}

/// What the stored `.info` says of the commit; only what git says is understood.
fn origin_of(store: &Store, key: &FileKey) -> Option<Origin> {
    let stored = store.open_file(key).ok()??;
    let bytes = store.read_small(key, &stored).ok()??;
    let origin = RevInfo::parse(&bytes).ok()?.origin?;
    (origin.vcs == "git" && is_hash(&origin.hash)).then_some(origin)
}

/// The stored versions of a module that came from a repository.
fn origins(
    store: &Store,
    module: &ModulePath,
) -> Result<Vec<(Version, Origin)>, store::StoreError> {
    let versions = store.versions(module)?;
    let with_origin = versions.into_iter().filter_map(|version| {
        let key = FileKey {
            module: module.clone(),
            version: version.clone(),
            kind: FileKind::Info,
        };
        Some((version, origin_of(store, &key)?))
    });
    Ok(with_origin.collect())
}
