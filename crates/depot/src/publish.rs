//! Modules that are published here: they come from nowhere else, so that nobody can put another module under their
//! names, and a version that was accepted stays as it is.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fault::Label;
use futures_util::{Stream, StreamExt as _};
use gomod::info::RevInfo;
use gomod::modfile::module_path;
use gomod::{ModulePath, ModuleVersion, Version};
use jiff::Timestamp;
use modzip::{Archive, H1, MAX_GO_MOD, MAX_ZIP};
use store::{
    AnswerKey, Draft, FileKey, FileKind, FirstSightReason, Pin, PinnedFile, PublishedFile, Store,
    Verification,
};

use crate::shared::{Origin, Shared, name_of};
use crate::source::published_here;
use crate::{AnswerReply, Depot, DepotError, Freshness};

/// The zip is written in pieces of about this size.
const PIECE: usize = 256 * 1024;

/// A version that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The hash of its zip.
    pub hash: H1,
    /// False if it was there already, with the same files.
    pub is_new: bool,
}

/// Why a version is not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// The settings do not have the module published here.
    #[error("{0} matches no pattern of the setting publish.modules")]
    NotHere(ModulePath),
    /// It is no zip of this version.
    #[error("{what}: {reason}")]
    Unfit {
        /// The version.
        what: String,
        /// Why not.
        reason: String,
    },
    /// The zip is larger than a module's may be.
    #[error("{what}: the zip has more than {MAX_ZIP} bytes")]
    TooLarge {
        /// The version.
        what: String,
    },
    /// The version is there already, with other files.
    #[error(
        "{what} was published already, with the hash {stored}; this zip has {found}. A version is never replaced: publish the next one"
    )]
    Taken {
        /// The version.
        what: String,
        /// The hash it has.
        stored: H1,
        /// The hash of what was to be published.
        found: H1,
    },
    /// The client did not send all of it.
    #[error("the zip did not come whole: {0}")]
    Cut(String),
    /// This server has trouble.
    #[error(transparent)]
    Depot(#[from] DepotError),
}

impl From<store::StoreError> for PublishError {
    fn from(error: store::StoreError) -> Self {
        Self::Depot(error.into())
    }
}

/// What was found in a zip.
struct Found {
    hash: H1,
    go_mod: Vec<u8>,
}

impl Depot {
    /// Accepts the zip of a version.
    pub async fn publish<S, E>(
        &self,
        version: &ModuleVersion,
        body: S,
    ) -> Result<Published, PublishError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::fmt::Display + Send,
    {
        let shared = &self.shared;
        let pattern = {
            let settings = shared.settings.load();
            let pattern = settings.published.matching_glob(version.path());
            pattern.map(str::to_owned)
        };
        let Some(pattern) = pattern else {
            return Err(PublishError::NotHere(version.path().clone()));
        };
        if version.version().is_pseudo() {
            return Err(unfit(
                version,
                "a pseudo-version names a commit, and none is published",
            ));
        }
        let draft = shared.receive(version, body).await?;
        let found = shared.examine(version, &draft).await?;
        // One after the other: of two that differ, the second is refused whole.
        let _turn = shared.publishing.lock().await;
        let go_mod_hash = modzip::hash_go_mod(&found.go_mod);
        let expected = shared.records.expected(version).await?;
        for (stored, found) in [
            (expected.hash(PinnedFile::Zip), found.hash),
            (expected.hash(PinnedFile::GoMod), go_mod_hash),
        ] {
            if let Some(stored) = stored.filter(|stored| *stored != found) {
                let what = version.to_string();
                return Err(PublishError::Taken {
                    what,
                    stored,
                    found,
                });
            }
        }
        let info = RevInfo {
            version: version.version().to_string(),
            time: Some(Timestamp::now().into()),
            origin: None,
        };
        let of = |kind| FileKey {
            module: version.path().clone(),
            version: version.version().clone(),
            kind,
        };
        let (hash, go_mod) = (found.hash, found.go_mod);
        let (zip_key, mod_key, info_key) =
            (of(FileKind::Zip), of(FileKind::Mod), of(FileKind::Info));
        // The `.info` last: with it the version appears in the list.
        let written = shared
            .on_disk(move |store| {
                let zip = store.publish_pinned(draft, &zip_key, hash)?;
                let go_mod = store.publish_bytes(&go_mod, &mod_key)?;
                let info = store.publish_bytes(info.to_json().as_bytes(), &info_key)?;
                Ok([(zip_key, zip), (mod_key, go_mod), (info_key, info)])
            })
            .await?;
        let is_new = written.iter().any(|(_, published)| published.is_new);
        for (file, hash) in [(PinnedFile::Zip, hash), (PinnedFile::GoMod, go_mod_hash)] {
            let verification = Verification::FirstSight {
                reason: FirstSightReason::Pattern(pattern.clone()),
                time: Timestamp::now(),
            };
            let module = version.clone();
            shared
                .pin(Pin {
                    module,
                    file,
                    hash,
                    verification,
                })
                .await;
        }
        for (key, published) in written {
            shared.note_published(key, &published).await;
        }
        shared.negatives.clear();
        Ok(Published { hash, is_new })
    }
}

impl Shared {
    /// Whether a module is published here, and so comes from nowhere else.
    pub(crate) fn is_published(&self, module: &ModulePath) -> bool {
        self.settings.load().published.matches(module)
    }

    async fn note_published(&self, key: FileKey, published: &PublishedFile) {
        let from = Origin {
            source: published_here(),
            etag: None,
        };
        self.note_stored(key, published, from).await;
    }

    /// Writes down what comes in.
    async fn receive<S, E>(
        self: &Arc<Self>,
        version: &ModuleVersion,
        mut body: S,
    ) -> Result<Draft, PublishError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
        E: std::fmt::Display + Send,
    {
        let mut draft = self.on_disk(Store::create_draft).await?;
        let mut waiting = BytesMut::new();
        let mut more = true;
        while more {
            match body.next().await {
                Some(piece) => waiting.extend_from_slice(
                    &piece.map_err(|error| PublishError::Cut(error.to_string()))?,
                ),
                None => more = false,
            }
            if draft.len().saturating_add(waiting.len() as u64) > MAX_ZIP {
                let what = version.to_string();
                return Err(PublishError::TooLarge { what });
            }
            if waiting.len() >= PIECE || (!more && !waiting.is_empty()) {
                let piece = waiting.split().freeze();
                draft = self
                    .on_disk(move |_| draft.append(&piece).map(|()| draft))
                    .await?;
            }
        }
        Ok(draft)
    }

    /// Checks that it is a zip of this version, as of any zip, and that its go.mod says so, too.
    async fn examine(
        self: &Arc<Self>,
        version: &ModuleVersion,
        draft: &Draft,
    ) -> Result<Found, PublishError> {
        let (file, len, module) = (draft.file().clone(), draft.len(), version.clone());
        let workers = self.workers.clone();
        let examined = tokio::task::spawn_blocking(move || {
            let archive = Archive::open(file, len)?;
            archive.check(&module).fit()?;
            let hash = archive.hash(&workers)?;
            let name = format!("{module}/go.mod");
            let mut go_mod = None;
            for entry in archive.entries() {
                if entry.name() == name.as_bytes() && entry.size() <= MAX_GO_MOD {
                    let mut bytes = Vec::new();
                    archive.copy(entry, &mut bytes)?;
                    go_mod = Some(bytes);
                }
            }
            Ok::<_, modzip::Error>((hash, go_mod))
        });
        let (hash, go_mod) = match examined.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.blame() == modzip::Blame::Host => {
                let source = std::io::Error::other(error.to_string());
                return Err(PublishError::from(store::StoreError::Io {
                    action: "read back",
                    path: "a temporary file".into(),
                    source,
                }));
            }
            Ok(Err(error)) => return Err(unfit(version, &error.to_string())),
            Err(_) => return Err(DepotError::Lost.into()),
        };
        let Some(go_mod) = go_mod else {
            return Err(unfit(version, "it has no go.mod"));
        };
        match module_path(&go_mod) {
            Some(path) if path == version.path().as_str() => Ok(Found { hash, go_mod }),
            path => {
                let says = path.unwrap_or_default();
                Err(unfit(
                    version,
                    &format!("its go.mod declares the module {says:?}"),
                ))
            }
        }
    }

    /// What is published of a module, straight from the stored files.
    pub(crate) async fn published_answer(
        self: &Arc<Self>,
        key: &AnswerKey,
    ) -> Result<AnswerReply, DepotError> {
        let module = match key {
            AnswerKey::List(module) | AnswerKey::Latest(module) | AnswerKey::Query(module, _) => {
                module.clone()
            }
            AnswerKey::Sumdb { .. } => return Err(DepotError::Lost),
        };
        let wanted = key.clone();
        let body = self
            .on_disk(move |store| {
                let versions = store.versions(&module)?;
                match &wanted {
                    AnswerKey::List(_) => Ok((!versions.is_empty()).then(|| list_of(&versions))),
                    AnswerKey::Latest(_) => match newest(&versions) {
                        Some(version) => info_of(store, &module, version),
                        None => Ok(None),
                    },
                    AnswerKey::Query(..) | AnswerKey::Sumdb { .. } => Ok(None),
                }
            })
            .await?;
        match body {
            Some(body) => Ok(AnswerReply {
                body: body.into(),
                freshness: Freshness::Fresh { for_seconds: 0 },
                fetched: false,
            }),
            None => Err(not_published(&crate::shared::describe(key))),
        }
    }
}

/// The module is published here, and this is not.
pub(crate) fn not_published(what: &str) -> DepotError {
    DepotError::Absent {
        gone: false,
        reason: format!("{what}: the module comes from what is published here, and this is not")
            .into(),
    }
}

fn list_of(versions: &[Version]) -> Vec<u8> {
    let listed = versions.iter().filter(|version| !version.is_pseudo());
    let mut text = String::new();
    for version in listed {
        text.push_str(version.as_str());
        text.push('\n');
    }
    text.into_bytes()
}

/// The highest release, else the highest prerelease, else the highest version of another kind.
fn newest(versions: &[Version]) -> Option<&Version> {
    let highest =
        |wanted: &dyn Fn(&Version) -> bool| versions.iter().rfind(|version| wanted(version));
    highest(&|version| !version.is_prerelease())
        .or_else(|| highest(&|version| !version.is_pseudo()))
        .or_else(|| versions.last())
}

fn info_of(
    store: &Store,
    module: &ModulePath,
    version: &Version,
) -> Result<Option<Vec<u8>>, store::StoreError> {
    let key = FileKey {
        module: module.clone(),
        version: version.clone(),
        kind: FileKind::Info,
    };
    match store.open_file(&key)? {
        Some(stored) => store.read_small(&key, &stored),
        None => Ok(None),
    }
}

fn unfit(version: &ModuleVersion, reason: &str) -> PublishError {
    PublishError::Unfit {
        what: name_of(version.path(), version.version().as_str()),
        reason: format!("{}: {reason}", Label::GoproxyCorrupt),
    }
}
