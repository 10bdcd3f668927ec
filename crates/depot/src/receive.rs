//! What comes in: handed out while it does, all but the tail of a zip; believed when it is what it must be; then kept.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use modzip::{HELD_BACK, ReleaseGate};
use store::{Draft, FileKey};
use tokio::sync::watch;
use upstream::{Reply, Request, ZipReply};

use crate::DepotError;
use crate::degraded::in_memory;
use crate::flight::Landing;
use crate::growing::{GrowingFile, Progress};
use crate::passed_over::PassedOver;
use crate::reply::{FileReply, SmallFile};
use crate::shared::{Origin, Shared};
use crate::verify::{Judging, RefusedBytes};

/// Fetched bytes are written to disk in pieces of about this size.
const PIECE: usize = 256 * 1024;

/// Where a fetched file is handed out.
pub(crate) type FileLanding = Landing<FileKey, Result<FileReply, DepotError>>;

/// One fetch: what is asked, and of whom no more.
pub(crate) struct Fetching {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: FileKey,
    pub(crate) landing: FileLanding,
    pub(crate) judging: Option<Judging>,
    pub(crate) request: Request,
    pub(crate) passed_over: PassedOver,
    /// For the evidence.
    pub(crate) request_id: String,
}

/// Bytes that were not believed, or did not come whole.
pub(crate) struct Refused {
    pub(crate) source: String,
    pub(crate) error: DepotError,
    /// Whether those who wait have a part of them already, so that no other bytes are of use to them.
    pub(crate) is_given: bool,
}

impl Fetching {
    /// Checks a small file, hands it out and keeps it. A store that cannot keep it is no reason to withhold it.
    pub(crate) async fn receive_small(&mut self, reply: Reply) -> Result<(), Refused> {
        let Self {
            shared,
            key,
            landing,
            judging,
            passed_over,
            request_id,
            ..
        } = self;
        let mut other = None;
        if let Some(judging) = judging {
            match judging.judge_mod(&reply.body, &reply.source).await {
                Ok(judged) => {
                    other = judged.other;
                    shared.pin(judged.pin).await;
                }
                Err(error) => {
                    if !passed_over.knows(&error) {
                        let bytes = RefusedBytes::Small(reply.body);
                        shared.set_aside(key, bytes, &error, request_id).await;
                    }
                    return Err(Refused {
                        source: reply.source,
                        error,
                        is_given: false,
                    });
                }
            }
        }
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
        let published = shared
            .on_disk(move |store| store.publish_bytes(&reply.body, &publish_key))
            .await;
        shared.note_write(&published);
        match published {
            Ok(published) => shared.note_stored(key.clone(), &published, from).await,
            Err(error) => {
                tracing::error!(file = %key, %error, "served, but could not be stored");
            }
        }
        if let Some(other) = other {
            shared.pin_other(other).await;
        }
        Ok(())
    }

    /// Writes the zip as it comes in while everyone who waits reads along, all but its tail; and publishes it when it
    /// is whole and found to be what it must be.
    pub(crate) async fn receive_zip(&mut self, mut reply: ZipReply) -> Result<(), Refused> {
        let (shared, key) = (self.shared.clone(), self.key.clone());
        let source = reply.source.clone();
        let refused = |error, is_given| Refused {
            source: source.clone(),
            error,
            is_given,
        };
        let announced = reply.len.unwrap_or_default();
        let room = move |store: &store::Store| {
            let draft = store.create_draft()?;
            draft.reserve(announced).map(|()| draft)
        };
        let draft = shared.on_disk(room).await;
        shared.note_write(&draft);
        let (draft, room) = match draft {
            Ok(draft) => (draft, None),
            Err(error) => match in_memory(&shared, &error, reply.len) {
                Some((draft, room)) => (draft, Some(room)),
                None => return Err(refused(error, false)),
            },
        };
        let (progress, watch) = watch::channel(Progress::Growing(0));
        let growing = GrowingFile::new(draft.file().clone(), reply.len, watch, room);
        let mut outflow = Outflow {
            landing: &self.landing,
            progress,
            waiting: Some(growing),
        };
        let from = Origin {
            source: reply.source.clone(),
            etag: reply.etag.clone(),
        };
        let received = async {
            let draft = write_down(&shared, draft, &mut reply, &mut outflow).await?;
            check_whole(&draft, &reply)?;
            Ok(draft)
        };
        let draft = match received.await {
            Ok(draft) => draft,
            Err(error) => {
                let is_given = outflow.fail(&error);
                return Err(refused(error, is_given));
            }
        };
        let judged = match &mut self.judging {
            Some(judging) => judging
                .judge_zip(&draft, &shared.workers, &reply.source)
                .await
                .map(Some),
            None => Ok(None),
        };
        let judged = match judged {
            Ok(judged) => judged,
            Err(error) => {
                let is_given = outflow.fail(&error);
                let bytes = RefusedBytes::Draft(draft);
                shared
                    .set_aside(&key, bytes, &error, &self.request_id)
                    .await;
                return Err(refused(error, is_given));
            }
        };
        let (publish_key, mut hash, mut other) = (key.clone(), None, None);
        if let Some(judged) = judged {
            hash = Some(judged.pin.hash);
            other = judged.other;
            shared.pin(judged.pin).await;
        }
        // From here on every byte may be read. Those who wait need not wait for the disk.
        outflow.complete(draft.len());
        let published = shared
            .on_disk(move |store| match hash {
                Some(hash) => store.publish_pinned(draft, &publish_key, hash),
                None => store.publish(draft, &publish_key),
            })
            .await;
        shared.note_write(&published);
        match published {
            Ok(published) => shared.note_stored(key, &published, from).await,
            Err(error) => {
                tracing::error!(file = %key, %error, "served, but could not be stored");
            }
        }
        if let Some(other) = other {
            shared.pin_other(other).await;
        }
        Ok(())
    }
}

/// What those who wait may have of a zip.
struct Outflow<'a> {
    landing: &'a FileLanding,
    progress: watch::Sender<Progress>,
    /// Handed out with the first byte: until then another upstream can still take over.
    waiting: Option<GrowingFile>,
}

impl Outflow<'_> {
    fn grow(&mut self, readable: u64) {
        self.progress.send_replace(Progress::Growing(readable));
        if readable > 0 {
            self.give();
        }
    }

    fn complete(&mut self, len: u64) {
        self.progress.send_replace(Progress::Complete(len));
        self.give();
    }

    /// Cuts off whoever reads. True if somebody could.
    fn fail(&mut self, error: &DepotError) -> bool {
        self.progress.send_replace(Progress::Failed(error.clone()));
        self.waiting.is_none()
    }

    fn give(&mut self) {
        if let Some(growing) = self.waiting.take() {
            self.landing.give(Ok(FileReply::Growing(growing)));
        }
    }
}

async fn write_down(
    shared: &Arc<Shared>,
    mut draft: Draft,
    reply: &mut ZipReply,
    outflow: &mut Outflow<'_>,
) -> Result<Draft, DepotError> {
    let mut gate = ReleaseGate::new(reply.len);
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
            let readable = gate.receive(&piece);
            draft = shared
                .on_disk(move |_| draft.append(&piece).map(|()| draft))
                .await?;
            outflow.grow(readable);
        }
    }
    Ok(draft)
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
