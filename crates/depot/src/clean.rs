//! Making room: when the disk gets full, zips that were not served for long leave it, if they can be had again.
//!
//! Only zips go. The `.info`, the `.mod` and the hash of the zip stay, so that module graphs are still answered from the
//! store, and what is fetched in place of the zip must be the same bytes. What could be lost for ever stays: private
//! modules, what came from a repository (which may be gone or rewritten), what an operator has accepted or wants to
//! keep, and what nobody has checked yet. And nothing goes while no upstream could give it back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use goenv::private::Patterns;
use gomod::ModuleVersion;
use jiff::Timestamp;
use store::{
    Event, EventKind, FileKind, FirstSightReason, Provenance, Source, UsedZip, Verification,
};
use upstream::BreakerState;

use crate::files::SMALL;
use crate::{Depot, DepotError};

/// Zips looked at in one round.
const MOST: usize = 20_000;
/// How often the room on the disk is looked at, if nobody says that there is none.
const LOOK: Duration = Duration::from_secs(30);
/// No sooner again after a round: what it could not free, it will not free a moment later.
const PAUSE: Duration = Duration::from_secs(10);

/// When room is made, and of what.
#[derive(Clone, Debug)]
pub struct Cleaning {
    /// Room is made when less than so many bytes are free, until a quarter more is.
    pub min_free: u64,
    /// What was served within this time stays.
    pub min_age: Duration,
    /// Modules that stay.
    pub keep: Patterns,
}

/// What was removed to make room since the start.
#[derive(Debug, Default)]
pub struct CleanTotals {
    /// Zips.
    pub files: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
}

/// How an attempt to make room ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleaned {
    /// There was enough.
    NotNeeded,
    /// There is enough now; so many bytes were removed.
    Enough(u64),
    /// So many bytes were removed, and no more could be.
    NotEnough(u64),
    /// Nothing was, because no upstream could give it back at this time.
    NobodyToAsk,
}

impl Depot {
    /// Makes room whenever that is needed, until it is dropped.
    pub async fn clean_regularly(&self, cleaning: &Cleaning) {
        let mut last = Cleaned::NotNeeded;
        loop {
            let full = self.shared.losses.no_room();
            let _either = tokio::time::timeout(LOOK, full).await;
            let cleaned = match self.clean(cleaning).await {
                Ok(cleaned) => cleaned,
                Err(error) => {
                    tracing::error!(%error, "no room could be made");
                    continue;
                }
            };
            match cleaned {
                Cleaned::NotNeeded => {}
                Cleaned::Enough(bytes) => {
                    tracing::info!(
                        bytes,
                        "zips that were not used for long were removed to make room"
                    );
                }
                _ if std::mem::discriminant(&cleaned) == std::mem::discriminant(&last) => {}
                Cleaned::NotEnough(bytes) => {
                    tracing::warn!(
                        bytes,
                        "the disk gets full, and all that is stored is private, kept, unchecked or in use: enlarge it, or change the settings clean.keep and clean.min-age"
                    );
                }
                Cleaned::NobodyToAsk => {
                    tracing::warn!(
                        "the disk gets full; nothing is removed while no upstream could give it back"
                    );
                }
            }
            last = cleaned;
            if cleaned != Cleaned::NotNeeded {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Makes room if that is needed.
    ///
    /// # Errors
    /// When the disk cannot be looked at, or the records do not answer: what nobody knows is not removed.
    pub async fn clean(&self, cleaning: &Cleaning) -> Result<Cleaned, DepotError> {
        let space = self.shared.on_disk(store::Store::space).await?;
        if space.free >= cleaning.min_free {
            return Ok(Cleaned::NotNeeded);
        }
        if !self.can_ask() {
            return Ok(Cleaned::NobodyToAsk);
        }
        let wanted = cleaning.min_free.saturating_add(cleaning.min_free / 4);
        let missing = wanted.saturating_sub(space.free);
        let mut removed = 0;
        for zip in self.candidates(cleaning).await? {
            if removed >= missing {
                break;
            }
            let Ok(version) = zip.key.module_version() else {
                continue;
            };
            let known = self.shared.records.provenance(&version).await?;
            if known.is_some_and(|known| can_be_had_again(&known))
                && self.remove(version, &zip).await?
            {
                removed += zip.len;
            }
        }
        Ok(if removed >= missing {
            Cleaned::Enough(removed)
        } else {
            Cleaned::NotEnough(removed)
        })
    }

    /// What was removed to make room since the start.
    pub fn clean_totals(&self) -> &CleanTotals {
        &self.shared.cleaned
    }

    /// Whether there is an upstream that could be asked at this moment.
    fn can_ask(&self) -> bool {
        let chain = self.chain().status();
        let mut upstreams = chain.into_iter();
        !self.is_offline() && upstreams.any(|upstream| upstream.breaker == BreakerState::Closed)
    }

    async fn candidates(&self, cleaning: &Cleaning) -> Result<Vec<UsedZip>, DepotError> {
        let (private, no_sumdb) = {
            let settings = self.shared.settings.load();
            (settings.private.clone(), settings.no_sumdb.clone())
        };
        let keep = cleaning.keep.clone();
        let before = SystemTime::now()
            .checked_sub(cleaning.min_age)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        self.shared
            .on_disk(move |store| {
                // Small ones are served from memory without their use being noted, and weigh little.
                store.least_used_zips(SMALL, before, MOST, |key| {
                    ![&private, &no_sumdb, &keep]
                        .iter()
                        .any(|patterns| patterns.matches(&key.module))
                })
            })
            .await
    }

    async fn remove(&self, module: ModuleVersion, zip: &UsedZip) -> Result<bool, DepotError> {
        let shared = &self.shared;
        let removing = zip.clone();
        if !shared
            .on_disk(move |store| store.remove_zip(&removing))
            .await?
        {
            return Ok(false);
        }
        tracing::info!(file = %zip.key, bytes = zip.len, "removed to make room");
        shared.cleaned.files.fetch_add(1, Ordering::Relaxed);
        shared.cleaned.bytes.fetch_add(zip.len, Ordering::Relaxed);
        let less = |counter: &AtomicU64, by: u64| {
            let _always = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                Some(count.saturating_sub(by))
            });
        };
        less(&shared.stored_files, 1);
        less(&shared.stored_bytes, zip.len);
        shared.records.forget(&zip.key).await?;
        let (time, what) = (Timestamp::now(), EventKind::Cleaned { file: zip.key.kind });
        shared.records.event(Event { module, time, what }).await;
        Ok(true)
    }
}

/// Whether the zip of a version is held to a hash that anybody can have confirmed, and came from where it can be had
/// again.
fn can_be_had_again(known: &Provenance) -> bool {
    let source = known
        .files
        .iter()
        .find(|file| file.kind == FileKind::Zip)
        .map(|file| file.source.as_ref());
    let Some((zip, source)) = known.zip.as_ref().zip(source) else {
        return false;
    };
    match (&zip.verification, source) {
        (_, Some(Source::Repository { .. })) => false,
        // The world's checksum database has it: whoever has the version at all has these bytes.
        (Verification::Proven { .. }, _) => true,
        (
            Verification::FirstSight {
                reason: FirstSightReason::SumdbOff,
                ..
            },
            source,
        ) => source.is_some(),
        _ => false,
    }
}
