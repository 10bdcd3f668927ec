//! Checks stored files that nobody has proven, behind the requests: what was served while the checksum database could
//! not be asked, what was found in the tree, what was believed at first sight and is covered by a database now.
//!
//! A file that agrees is proven from then on. One that does not goes to the quarantine with the evidence, and is fetched
//! anew by whoever asks for it next. One that the database does not know stays, and is asked for again later: the
//! database may learn of it, and a module that is private and not declared so must not vanish.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use modzip::{H1, Workers};
use store::{
    Check, CheckResult, Event, EventKind, FileKey, FileKind, Pin, PinnedFile, Store, StoreError,
    Verification,
};
use sumdb::record::Part;
use tokio::sync::Notify;
use trust::{Basis, Database, Disbelief, Mismatch, TrustError};

use crate::error::Mismatched;
use crate::shared::{Shared, name_of};
use crate::verify::evidence_of;

/// The pause after each file for which the database was asked or the disk was read: what is served goes first.
const PAUSE: Duration = Duration::from_millis(50);
/// Pins read from the records at a time.
const PAGE: u32 = 200;
/// The pauses while the database cannot be asked.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The pause before the database is asked again for what it does not know.
const LATER: Duration = Duration::from_hours(1);

/// What the checks and those who cause them tell each other.
#[derive(Debug, Default)]
pub(crate) struct Rechecks {
    wake: Notify,
    /// Whether the database could not be asked the last time, so that it is left alone for a while.
    is_out_of_reach: AtomicBool,
    is_stopped: AtomicBool,
    under_way: AtomicUsize,
}

impl Rechecks {
    /// There is something to check.
    pub(crate) fn owe(&self) {
        if !self.is_out_of_reach.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }

    /// The database has just answered somebody: this is the time for what waits for it.
    pub(crate) fn database_answers(&self) {
        if self.is_out_of_reach.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }

    /// Begins nothing any more.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Checks under way at this moment.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// Counts work behind the requests as under way until what is returned is dropped, so that a depot that is closed
    /// waits for it.
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }
}

/// Work behind the requests.
pub(crate) struct UnderWay(Arc<Rechecks>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Checks whenever something is owed, until the depot is gone.
pub(crate) fn start(shared: &Arc<Shared>) {
    let (weak, rechecks) = (Arc::downgrade(shared), shared.rechecks.clone());
    tokio::spawn(async move {
        let mut pause = None;
        loop {
            let woken = rechecks.wake.notified();
            match pause {
                Some(pause) => drop(tokio::time::timeout(pause, woken).await),
                None => woken.await,
            }
            if rechecks.is_stopped() {
                return;
            }
            rechecks.is_out_of_reach.store(false, Ordering::Release);
            pause = match round(&weak).await {
                Ended::Gone => return,
                Ended::Done => None,
                Ended::SomeUnknown => Some(LATER),
                Ended::OutOfReach => {
                    rechecks.is_out_of_reach.store(true, Ordering::Release);
                    Some(next_pause(pause))
                }
            };
        }
    });
}

fn next_pause(pause: Option<Duration>) -> Duration {
    match pause {
        Some(pause) if pause < LATER => (pause * 2).min(LONGEST_PAUSE),
        Some(_) | None => FIRST_PAUSE,
    }
}

/// How a walk through all pins ended.
enum Ended {
    Done,
    /// The database does not know some of them.
    SomeUnknown,
    /// The database or the records did not answer.
    OutOfReach,
    /// The depot is closed.
    Gone,
}

async fn round(weak: &Weak<Shared>) -> Ended {
    let mut last: Option<Pin> = None;
    let mut ended = Ended::Done;
    loop {
        // Between two checks nothing keeps the depot, and with it the store.
        let Some(records) = weak.upgrade().map(|shared| shared.records.clone()) else {
            return Ended::Gone;
        };
        let after = last.as_ref().map(|pin| (&pin.module, pin.file));
        let page = match records.unproven(after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::debug!(%error, "what is to be checked could not be read");
                return Ended::OutOfReach;
            }
        };
        if page.is_empty() {
            return ended;
        }
        for pin in &page {
            let Some(shared) = weak
                .upgrade()
                .filter(|shared| !shared.rechecks.is_stopped())
            else {
                return Ended::Gone;
            };
            if shared.is_offline() {
                return Ended::OutOfReach;
            }
            let under_way = shared.rechecks.begin();
            let checked = shared.recheck(pin).await;
            drop(shared);
            drop(under_way);
            match checked {
                Checked::Nothing => continue,
                Checked::Settled => {}
                Checked::Unknown => ended = Ended::SomeUnknown,
                Checked::OutOfReach => return Ended::OutOfReach,
            }
            tokio::time::sleep(PAUSE).await;
        }
        last = page.into_iter().last();
    }
}

/// What came of the check of one pin.
enum Checked {
    /// There was nothing to do.
    Nothing,
    Settled,
    Unknown,
    OutOfReach,
}

impl Shared {
    async fn recheck(self: &Arc<Self>, pin: &Pin) -> Checked {
        let key = FileKey::of(&pin.module, pin.file.kind());
        let database = self.database_of(pin.module.path());
        if database.is_none() && matches!(pin.verification, Verification::FirstSight { .. }) {
            return Checked::Nothing;
        }
        let basis = match self.basis_of(pin, database.as_ref()).await {
            Ok(basis) => basis,
            Err(checked) => return checked,
        };
        let hashed = {
            let (key, workers) = (key.clone(), self.workers.clone());
            self.on_disk(move |store| hash_stored(store, &key, &workers))
                .await
        };
        let found = match hashed {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(file = %key, %error, "a stored file could not be checked");
                return Checked::Unknown;
            }
        };
        match compare(pin, &basis, found) {
            Ok(verification) => {
                let hash = basis.hash(part_of(pin.file)).unwrap_or(pin.hash);
                self.settle(pin, hash, verification, CheckResult::Good)
                    .await;
                Checked::Settled
            }
            Err(Disbelief::Mismatch(mismatch)) => self.withdraw(pin, &key, &basis, mismatch).await,
            Err(Disbelief::NoWord(error)) => self.impossible(pin, &error).await,
        }
    }

    async fn basis_of(&self, pin: &Pin, database: Option<&Database>) -> Result<Basis, Checked> {
        let Some(database) = database else {
            return Ok(Basis::Uncovered);
        };
        match database.lookup(&pin.module).await {
            Ok(proven) => Ok(Basis::Record {
                database: database.name().into(),
                proven,
            }),
            Err(TrustError::OutOfReach { .. } | TrustError::Keeping { .. }) => {
                Err(Checked::OutOfReach)
            }
            Err(error) => Err(self.impossible(pin, &error).await),
        }
    }

    /// Notes that nobody could tell.
    async fn impossible(&self, pin: &Pin, error: &TrustError) -> Checked {
        tracing::warn!(module = %pin.module, file = pin.file.kind().extension(), %error, "a stored file is served unverified");
        let result = CheckResult::Impossible(error.to_string());
        self.note_check(pin, result).await;
        Checked::Unknown
    }

    /// Takes a stored file away that is not what it must be.
    async fn withdraw(
        self: &Arc<Self>,
        pin: &Pin,
        key: &FileKey,
        basis: &Basis,
        mismatch: Mismatch,
    ) -> Checked {
        let report = Mismatched {
            what: name_of(&key.module, key.version.as_str()).into(),
            file: key.kind,
            from: "the store".to_owned(),
            mismatch,
        };
        let (evidence, expected) = (evidence_of(key, &report), report.mismatch.expected);
        let taken = self.on_disk(move |store| store.quarantine_stored(&evidence));
        let id = match taken.await {
            Ok(id) => id,
            Err(error) => {
                tracing::error!(file = %key, %error, "a stored file is not what it must be, and could not be taken away");
                return Checked::Unknown;
            }
        };
        self.refused_files.fetch_add(1, Ordering::Relaxed);
        tracing::error!(file = %key, label = %fault::Label::SumdbMismatch, error = %report, "a stored file is not what it must be; it was taken away");
        let reason = report.to_string();
        if let Some(id) = id {
            let what = EventKind::Quarantined {
                id,
                file: key.kind,
                reason: reason.clone(),
            };
            self.happened(pin, what).await;
        }
        let verification = proven(basis).unwrap_or_else(|| pin.verification.clone());
        self.settle(pin, expected, verification, CheckResult::Bad(reason))
            .await;
        Checked::Settled
    }

    async fn settle(&self, pin: &Pin, hash: H1, verification: Verification, result: CheckResult) {
        let verification = match verification {
            Verification::FirstSight { time, .. } => Verification::FirstSight {
                reason: self.settings.load().exemption_of(pin.module.path()),
                time,
            },
            other => other,
        };
        self.records
            .pin(Pin {
                hash,
                verification,
                ..pin.clone()
            })
            .await;
        self.note_check(pin, result).await;
    }

    async fn note_check(&self, pin: &Pin, result: CheckResult) {
        let what = EventKind::Checked {
            check: Check::Database,
            file: Some(pin.file.kind()),
            result,
        };
        self.happened(pin, what).await;
    }

    async fn happened(&self, pin: &Pin, what: EventKind) {
        let (module, time) = (pin.module.clone(), Timestamp::now());
        self.records.event(Event { module, time, what }).await;
    }
}

/// How a pin stands when the stored file hashes to `found`. `None`: it is not stored.
fn compare(pin: &Pin, basis: &Basis, found: Option<H1>) -> Result<Verification, Disbelief> {
    if let Some(verification) = proven(basis) {
        let part = part_of(pin.file);
        // What is not stored cannot be wrong: it is held to the record from now on.
        let stated = basis.hash(part).unwrap_or(pin.hash);
        basis.judge(part, found.unwrap_or(stated))?;
        return Ok(verification);
    }
    match found {
        Some(found) if found != pin.hash => Err(Disbelief::Mismatch(Mismatch {
            found,
            expected: pin.hash,
            authority: "the hash pinned when it was first seen".to_owned(),
        })),
        Some(_) | None => Ok(Verification::FirstSight {
            reason: store::FirstSightReason::SumdbOff,
            time: pin.verification.time(),
        }),
    }
}

fn proven(basis: &Basis) -> Option<Verification> {
    let Basis::Record { database, proven } = basis else {
        return None;
    };
    Some(Verification::Proven {
        database: database.to_string(),
        record: proven.number(),
        tree_size: proven.tree_size(),
        time: Timestamp::now(),
    })
}

fn part_of(file: PinnedFile) -> Part {
    match file {
        PinnedFile::GoMod => Part::GoMod,
        PinnedFile::Zip => Part::Zip,
    }
}

/// What a stored file hashes to; a zip that cannot be hashed is damaged, and set aside as such. `None`: it is not
/// stored. Blocks on the disk.
pub(crate) fn hash_stored(
    store: &Store,
    key: &FileKey,
    workers: &Workers,
) -> Result<Option<H1>, StoreError> {
    let Some(stored) = store.open_file(key)? else {
        return Ok(None);
    };
    match key.kind {
        FileKind::Info => Ok(None),
        FileKind::Mod => Ok(store
            .read_small(key, &stored)?
            .map(|bytes| modzip::hash_go_mod(&bytes))),
        FileKind::Zip => match modzip::hash_zip(&**stored.file(), stored.len(), workers) {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if error.blame() == modzip::Blame::Host => Err(StoreError::Io {
                action: "hash",
                path: store.tree_directory().join(key.url_path()),
                source: std::io::Error::other(error.to_string()),
            }),
            Err(_) => {
                store.quarantine(key, &store::Damage::Content)?;
                Ok(None)
            }
        },
    }
}
