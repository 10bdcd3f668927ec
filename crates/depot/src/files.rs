//! Immutable files: from the store for ever, fetched once.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use store::{Draft, FileKey, FileKind, Found, StoredFile};
use tokio::sync::watch;
use upstream::{Expect, Reply, Request, Small, ZipReply};

use crate::flight::Landing;
use crate::growing::{GrowingFile, HELD_BACK, Progress};
use crate::reply::{FileReply, SmallFile};
use crate::shared::{Origin, Shared, name_of};
use crate::{Context, Depot, DepotError, FetchMode};

/// Stored files up to this many bytes are handed out in memory.
const SMALL: u64 = 64 * 1024;
/// Fetched bytes are written to disk in pieces of about this size.
const PIECE: usize = 256 * 1024;

impl Depot {
    /// One of a version's files.
    pub async fn file(
        &self,
        key: &FileKey,
        mode: FetchMode,
        context: &Context,
    ) -> Result<FileReply, DepotError> {
        if let Some(reply) = self.shared.stored_file(key).await? {
            return Ok(reply);
        }
        let what = name_of(&key.module, key.version.as_str());
        if mode == FetchMode::CachedOnly {
            return Err(DepotError::NotCached { what: what.into() });
        }
        self.shared.check_may_leave(&key.module, &what)?;
        if let Some(absence) = self.shared.known_absence(&key.url_path()) {
            return Err(absence);
        }
        let (shared, fetch_key, context) = (self.shared.clone(), key.clone(), context.clone());
        let fetched = self
            .shared
            .files
            .join(key, move |landing| {
                fetch(shared, fetch_key, context, landing)
            })
            .await;
        fetched.unwrap_or(Err(DepotError::Lost))
    }
}

impl Shared {
    /// The file if it is stored and sound.
    async fn stored_file(self: &Arc<Self>, key: &FileKey) -> Result<Option<FileReply>, DepotError> {
        let key = key.clone();
        match self.store.try_open_file(&key)? {
            Found::Known(None) => Ok(None),
            // Just opened from memory: small bytes are there too, or arrive with one read.
            Found::Known(Some(stored)) if stored.len() <= SMALL => {
                Ok(load(&self.store, &key, stored)?)
            }
            Found::Known(Some(stored)) => Ok(Some(FileReply::Stored(stored))),
            Found::MustWait => {
                self.on_disk(move |store| match store.open_file(&key)? {
                    Some(stored) => load(store, &key, stored),
                    None => Ok(None),
                })
                .await
            }
        }
    }
}

fn load(
    store: &store::Store,
    key: &FileKey,
    stored: StoredFile,
) -> Result<Option<FileReply>, store::StoreError> {
    if stored.len() > SMALL {
        return Ok(Some(FileReply::Stored(stored)));
    }
    let bytes = store.read_small(key, &stored)?;
    Ok(bytes.map(|bytes| {
        FileReply::Small(
            SmallFile {
                body: bytes.into(),
                etag: stored.etag().clone(),
            },
            true,
        )
    }))
}

type FileLanding = Landing<FileKey, Result<FileReply, DepotError>>;

async fn fetch(shared: Arc<Shared>, key: FileKey, context: Context, landing: FileLanding) {
    let path = key.url_path();
    // Whoever looked into the store just before an earlier fetch was done comes too late to join it.
    let known = match shared.stored_file(&key).await {
        Ok(stored) => stored.map(Ok).or(shared.known_absence(&path).map(Err)),
        Err(error) => Some(Err(error)),
    };
    if let Some(known) = known {
        return landing.give(known);
    }
    let request = Request {
        path,
        expect: match key.kind {
            FileKind::Info => Expect::Info(Some(key.version.clone())),
            FileKind::Mod => Expect::Mod,
            FileKind::Zip => Expect::Zip,
        },
        revalidate: None,
        traceparent: context.traceparent,
    };
    let chain = shared.chain.load_full();
    let error = if key.kind == FileKind::Zip {
        match chain.fetch_zip(&request).await {
            Ok(reply) => return receive_zip(&shared, key, reply, &landing).await,
            Err(error) => error,
        }
    } else {
        match chain.fetch_small(&request).await {
            Ok(Small::Body(reply)) => return receive_small(&shared, key, reply, &landing).await,
            // Cannot be: nothing was to be revalidated.
            Ok(Small::NotModified(_)) => return landing.give(Err(DepotError::Lost)),
            Err(error) => error,
        }
    };
    let error = DepotError::from_chain(error, &name_of(&key.module, key.version.as_str()));
    shared.negatives.learn(&request.path, &error);
    landing.give(Err(error));
}

/// Hands out the bytes at once, then keeps them. A store that cannot keep them is no reason to withhold them.
async fn receive_small(shared: &Arc<Shared>, key: FileKey, reply: Reply, landing: &FileLanding) {
    let digest = store::Digest::of(&reply.body);
    let etag = format!("\"{}\"", &digest.to_string()[..32]).into();
    let small = SmallFile {
        body: reply.body.clone(),
        etag,
    };
    landing.give(Ok(FileReply::Small(small, false)));
    let from = Origin {
        source: reply.source,
        etag: reply.validators.etag,
    };
    let publish_key = key.clone();
    match shared
        .on_disk(move |store| store.publish_bytes(&reply.body, &publish_key))
        .await
    {
        Ok(published) => shared.note_stored(key, &published, from).await,
        Err(error) => tracing::error!(file = %key, %error, "served, but could not be stored"),
    }
}

/// Writes the zip as it comes in while everyone who waits reads along, and publishes it when it is whole.
async fn receive_zip(
    shared: &Arc<Shared>,
    key: FileKey,
    mut reply: ZipReply,
    landing: &FileLanding,
) {
    let announced = reply.len.unwrap_or_default();
    let room = move |store: &store::Store| {
        let draft = store.create_draft()?;
        draft.reserve(announced).map(|()| draft)
    };
    let draft = match shared.on_disk(room).await {
        Ok(draft) => draft,
        Err(error) => return landing.give(Err(error)),
    };
    let (progress, watch) = watch::channel(Progress::Growing(0));
    landing.give(Ok(FileReply::Growing(GrowingFile::new(
        draft.file().clone(),
        reply.len,
        watch,
    ))));
    let from = Origin {
        source: reply.source.clone(),
        etag: reply.etag.clone(),
    };
    let result = async {
        let draft = write_down(shared, draft, &mut reply, &progress).await?;
        let len = draft.len();
        check_whole(&draft, &reply)?;
        // From here on every byte may be read. Those who wait need not wait for the disk.
        progress.send_replace(Progress::Complete(len));
        let publish_key = key.clone();
        shared
            .on_disk(move |store| store.publish(draft, &publish_key))
            .await
    }
    .await;
    match result {
        Ok(published) => shared.note_stored(key, &published, from).await,
        Err(error) => {
            tracing::error!(file = %key, %error, "a fetch failed; nothing of it was kept");
            progress.send_if_modified(|progress| {
                let is_open = matches!(progress, Progress::Growing(_));
                if is_open {
                    *progress = Progress::Failed(error);
                }
                is_open
            });
        }
    }
}

async fn write_down(
    shared: &Arc<Shared>,
    mut draft: Draft,
    reply: &mut ZipReply,
    progress: &watch::Sender<Progress>,
) -> Result<Draft, DepotError> {
    let mut waiting = BytesMut::new();
    let mut more = true;
    while more {
        match reply.body.next().await {
            Some(piece) => waiting.extend_from_slice(
                &piece.map_err(|failure| DepotError::Upstream([failure].into()))?,
            ),
            None => more = false,
        }
        // The first bytes go out as they come; later ones in pieces that are worth a write.
        if waiting.len() >= PIECE || !more || draft.len() < HELD_BACK * 4 {
            let piece = waiting.split().freeze();
            draft = shared
                .on_disk(move |_| draft.append(&piece).map(|()| draft))
                .await?;
            progress.send_replace(Progress::Growing(readable(draft.len(), reply.len)));
        }
    }
    Ok(draft)
}

/// How many of `written` bytes clients may have before the whole is checked.
fn readable(written: u64, announced: Option<u64>) -> u64 {
    match announced {
        Some(len) => written.min(len.saturating_sub(HELD_BACK)),
        None => written.saturating_sub(HELD_BACK),
    }
}

/// Whether what came in is as long as announced and ends as a zip does.
fn check_whole(draft: &Draft, reply: &ZipReply) -> Result<(), DepotError> {
    let failed = |label, detail: String| {
        DepotError::Upstream(
            [upstream::Failure {
                source: reply.source.clone(),
                label,
                detail,
                retry_after: None,
            }]
            .into(),
        )
    };
    if let Some(announced) = reply.len.filter(|announced| *announced != draft.len()) {
        return Err(failed(
            fault::Label::GoproxyTruncated,
            format!(
                "{}: unexpected EOF: {} of {announced} bytes of the zip came",
                reply.source,
                draft.len()
            ),
        ));
    }
    match draft.ends_like_a_zip() {
        Ok(true) => Ok(()),
        Ok(false) => Err(failed(
            fault::Label::GoproxyCorrupt,
            format!(
                "{}: zip: not a valid zip file (it does not end as one)",
                reply.source
            ),
        )),
        Err(error) => Err(DepotError::Store(Arc::new(store::StoreError::Io {
            action: "read back",
            path: std::path::PathBuf::from("a temporary file"),
            source: error,
        }))),
    }
}

#[cfg(test)]
mod tests {
    use store::Store;

    use super::*;
    use crate::Settings;

    /// A depot that can ask nobody: whatever it answers, it has.
    fn depot(folder: &std::path::Path) -> Depot {
        let chain = upstream::Chain::new(upstream::ChainOptions {
            list: goenv::goproxy::ProxyList::parse("off").unwrap(),
            http_proxies: goenv::http_proxy::HttpProxyRules::from_environment(
                &goenv::Environment::from_pairs([("", ""); 0]),
            ),
            netrc: goenv::netrc::Netrc::default(),
            limits: upstream::Limits::default(),
            first_is_authoritative: false,
            observer: Arc::new(Nobody),
        });
        Depot::new(
            Store::open(folder).unwrap(),
            chain.unwrap(),
            Settings::default(),
        )
    }

    struct Nobody;

    impl upstream::Observer for Nobody {
        fn exchange(&self, _: &str, _: upstream::Outcome, _: std::time::Duration) {}
    }

    #[tokio::test]
    async fn a_fetch_that_begins_just_after_another_was_done_asks_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let shared = depot(folder.path()).shared;
        let key = FileKey {
            module: gomod::ModulePath::new("example.com/m").unwrap(),
            version: gomod::Version::new("v1.0.0").unwrap(),
            kind: FileKind::Mod,
        };
        let begin = async || {
            let (fetching, wanted) = (shared.clone(), key.clone());
            let begun = shared.files.join(&key, move |landing| {
                fetch(fetching, wanted, Context::default(), landing)
            });
            begun.await.unwrap()
        };
        let error = begin().await.unwrap_err();
        assert!(matches!(error, DepotError::FetchOff { .. }), "{error}");

        let absent = DepotError::Absent {
            gone: false,
            reason: "no such module".into(),
        };
        shared.negatives.learn(&key.url_path(), &absent);
        assert!(begin().await.unwrap_err().is_absence());

        shared.store.publish_bytes(b"module m\n", &key).unwrap();
        let stored = begin().await.unwrap();
        assert!(matches!(stored, FileReply::Small(_, true)), "{stored:?}");
    }
}
