//! Reading stored files again, to find what the disk or somebody has done to them.
//!
//! A pass goes through the tree in a fixed order and at a limited rate. What is not what was stored leaves the tree
//! first, so that nobody gets it whatever happens next; then it is fetched anew as a client would have it fetched, and is
//! held to what the checksum database, the pin of the version or the record of the file asks for. If no sound copy can be
//! had now, the bytes stay in quarantine with what is known against them, and the next client's request tries again.

mod examine;
mod heal;
mod observe;
mod pace;
mod schedule;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gomod::ModuleVersion;
use jiff::Timestamp;
use store::{
    AsFound, Check, CheckResult, Event, EventKind, Evidence, FileKey, FileRecord, QuarantineId,
    QuarantineReason, Source,
};

pub use observe::{ScrubFinding, ScrubObserver, ScrubOutcome, ScrubReport, ScrubTotals};
pub use schedule::ScrubSchedule;

use crate::shared::Shared;
use crate::{Depot, DepotError};
use examine::{Examined, Sound, Suspicion};
use pace::Pace;

/// So many names are read from the tree at a time.
const NAMES: usize = 256;

/// How a pass goes.
#[derive(Clone, Debug)]
pub struct ScrubOptions {
    /// Bytes to read in a second, on average.
    pub rate: NonZeroU64,
    /// The file behind which to begin, as [`FileKey::url_path`] has it.
    pub after: Option<String>,
}

impl Depot {
    /// Reads every stored file once, and replaces or sets aside what is damaged. Can be dropped at any point.
    ///
    /// # Errors
    /// When the tree cannot be read. Trouble with single files is no error; it is in the report.
    pub async fn scrub(
        &self,
        options: &ScrubOptions,
        observer: &dyn ScrubObserver,
    ) -> Result<ScrubReport, DepotError> {
        let mut pass = Pass {
            depot: self,
            shared: &self.shared,
            observer,
            pace: Pace::new(options.rate),
            report: ScrubReport::default(),
        };
        let mut walk = self.shared.store.walk(options.after.as_deref());
        loop {
            let (names, rest) = self
                .shared
                .on_disk(move |_| {
                    let names: Result<Vec<FileKey>, _> = walk.by_ref().take(NAMES).collect();
                    names.map(|names| (names, walk))
                })
                .await?;
            if names.is_empty() {
                break;
            }
            for key in names {
                pass.look_at(&key).await;
                observer.passed(&key, &pass.report);
            }
            walk = rest;
        }
        self.shared.records.flush().await;
        Ok(pass.report)
    }

    /// What all passes since the start have seen.
    pub fn scrub_totals(&self) -> &ScrubTotals {
        &self.shared.scrubbed
    }
}

struct Pass<'a> {
    depot: &'a Depot,
    shared: &'a Arc<Shared>,
    observer: &'a dyn ScrubObserver,
    pace: Pace,
    report: ScrubReport,
}

impl Pass<'_> {
    async fn look_at(&mut self, key: &FileKey) {
        let examined = match self.examine(key).await {
            Ok(Some(examined)) => examined,
            // Gone in the meantime.
            Ok(None) => return,
            Err(error) => return self.give_up(key, &error).await,
        };
        self.report.files += 1;
        self.report.bytes += examined.found.len();
        let totals = &self.shared.scrubbed;
        totals.files.fetch_add(1, Ordering::Relaxed);
        totals
            .bytes
            .fetch_add(examined.found.len(), Ordering::Relaxed);
        match examined.judge(key) {
            Ok(sound) => self.keep(key, &examined, sound).await,
            Err(suspicion) => self.replace(key, &examined, &suspicion).await,
        }
    }

    /// A sound file; what was missing about it is written down.
    async fn keep(&mut self, key: &FileKey, examined: &Examined, sound: Sound) {
        if sound.lacks_stamp {
            self.report.stamped += 1;
            let (found, digest) = (examined.found.clone(), examined.digest);
            let stamped = self.shared.on_disk(move |_| {
                found.stamp(digest);
                Ok(())
            });
            let _without = stamped.await;
        }
        if sound.lacks_record {
            self.shared
                .records
                .add(FileRecord {
                    key: key.clone(),
                    size: examined.found.len(),
                    digest: examined.digest,
                    source: None,
                    etag: None,
                    stored: Timestamp::now(),
                })
                .await;
        }
        if let Some(pin) = sound.pin {
            self.shared.records.pin(pin).await;
        }
        if let Some(hash) = sound.zip_hash {
            let wanted = key.clone();
            let kept = self
                .shared
                .on_disk(move |store| store.keep_zip_hash(&wanted, hash));
            if let Err(error) = kept.await {
                tracing::warn!(file = %key, %error, "the hash of a zip could not be written beside it");
            }
        }
        self.checked(key, CheckResult::Good).await;
    }

    /// A file that is not what was stored: out of the tree with it, and then a sound one in its place if there is one.
    async fn replace(&mut self, key: &FileKey, examined: &Examined, suspicion: &Suspicion) {
        let id = match self.set_aside(key, &examined.found, suspicion).await {
            Ok(Some(id)) => id,
            // Somebody else has replaced it or set it aside since it was read.
            Ok(None) => return,
            Err(error) => return self.give_up(key, &error).await,
        };
        let detail = suspicion.detail.clone();
        self.report.damaged += 1;
        self.shared.scrubbed.damaged.fetch_add(1, Ordering::Relaxed);
        self.checked(key, CheckResult::Bad(detail.clone())).await;
        match self.heal(key, examined).await {
            Ok(source) => {
                self.report.healed += 1;
                self.shared.scrubbed.healed.fetch_add(1, Ordering::Relaxed);
                let from = source.as_ref().map(tracing::field::display);
                tracing::warn!(file = %key, source = from, "a damaged file was replaced by a sound one");
                let what = EventKind::Healed {
                    file: key.kind,
                    source: source.clone(),
                };
                self.event(key, what).await;
                if suspicion.reason == QuarantineReason::Damaged {
                    self.forget(key, id).await;
                }
                self.find(key, detail, ScrubOutcome::Healed { source });
            }
            Err(why_not) => {
                self.report.quarantined += 1;
                tracing::error!(file = %key, quarantine = %id, reason = why_not, "no sound copy of a damaged file could be had");
                let what = EventKind::Quarantined {
                    id: id.clone(),
                    file: key.kind,
                    reason: detail.clone(),
                };
                self.event(key, what).await;
                self.find(key, detail, ScrubOutcome::Quarantined { id, why_not });
            }
        }
    }

    /// A file that can neither be read nor moved stays where it is.
    async fn give_up(&mut self, key: &FileKey, error: &DepotError) {
        self.report.unreadable += 1;
        let totals = &self.shared.scrubbed;
        totals.unreadable.fetch_add(1, Ordering::Relaxed);
        tracing::error!(file = %key, %error, "a stored file could not be read or moved");
        self.checked(key, CheckResult::Impossible(error.to_string()))
            .await;
        self.find(key, error.to_string(), ScrubOutcome::Unreadable);
    }

    async fn set_aside(
        &self,
        key: &FileKey,
        found: &AsFound,
        suspicion: &Suspicion,
    ) -> Result<Option<QuarantineId>, DepotError> {
        let evidence = Evidence {
            key: key.clone(),
            reason: suspicion.reason,
            detail: suspicion.detail.clone(),
            found: suspicion.found.clone(),
            expected: suspicion.expected.clone(),
            source: self.source_of(key).await,
            time: Timestamp::now(),
            request_id: None,
        };
        let found = found.clone();
        self.shared
            .on_disk(move |store| store.quarantine_found(&found, &evidence))
            .await
    }

    /// Where the file came from when it was stored.
    async fn source_of(&self, key: &FileKey) -> Option<Source> {
        let module = key.module_version().ok()?;
        let provenance = self.shared.records.provenance(&module).await.ok()??;
        let mut files = provenance.files.into_iter();
        files.find(|file| file.kind == key.kind)?.source
    }

    /// Bytes that the disk has spoilt are of no use once there are sound ones.
    async fn forget(&self, key: &FileKey, id: QuarantineId) {
        let removed = self
            .shared
            .on_disk(move |store| store.remove_quarantined(&id));
        if let Err(error) = removed.await {
            tracing::warn!(file = %key, %error, "what was replaced stays in quarantine");
        }
    }

    async fn checked(&self, key: &FileKey, result: CheckResult) {
        let what = EventKind::Checked {
            check: Check::Scrub,
            file: Some(key.kind),
            result,
        };
        self.event(key, what).await;
    }

    async fn event(&self, key: &FileKey, what: EventKind) {
        if let Some(module) = version_of(key) {
            let time = Timestamp::now();
            self.shared
                .records
                .event(Event { module, time, what })
                .await;
        }
    }

    fn find(&self, key: &FileKey, detail: String, outcome: ScrubOutcome) {
        self.observer.found(&ScrubFinding {
            key: key.clone(),
            detail,
            outcome,
        });
    }
}

/// `None`: the tree has a file of a version that cannot be.
fn version_of(key: &FileKey) -> Option<ModuleVersion> {
    key.module_version().ok()
}
