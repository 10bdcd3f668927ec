//! Every `.mod` and `.zip` that comes in is checked here before anybody can have the whole of it.
//!
//! What a file must be is found out while it is on its way ([`Judging`]), and says nothing about where it comes from.
//! A version that the checksum database does not know is refused rather than called absent: somebody has bytes for it,
//! and nobody can say whether they are right.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fault::Label;
use gomod::{ModulePath, ModuleVersion};
use jiff::Timestamp;
use modzip::{Archive, Blame, H1, Workers};
use store::{
    Claim, Draft, Event, EventKind, Evidence, FileKey, FileKind, FirstSightReason, Pin, PinnedFile,
    QuarantineReason, Records, UncheckedReason, Verification,
};
use sumdb::record::Part;
use tokio::task::JoinHandle;
use trust::{Basis, Database, Disbelief, Mismatch, Standing, TrustError};
use upstream::Failure;

use crate::error::Mismatched;
use crate::shared::{Shared, name_of};
use crate::{DepotError, VerifyMode};

/// A look-up under way.
pub(crate) struct Judging {
    what: Arc<str>,
    module: ModuleVersion,
    part: Part,
    basis: JoinHandle<Result<Basis, TrustError>>,
    records: Records,
    /// Why no database is asked.
    exemption: FirstSightReason,
}

impl Shared {
    /// The database that must have a module's hashes, if one must.
    pub(crate) fn database_of(&self, module: &ModulePath) -> Option<Database> {
        let settings = self.settings.load();
        let covering = settings.database_of(module)?;
        let databases = self.databases.load();
        databases
            .iter()
            .find(|(route, _)| route == covering)
            .map(|(_, database)| database.clone())
    }

    /// Begins to find out what a file must be. `None`: nothing vouches for files of this kind.
    pub(crate) fn begin_judging(
        self: &Arc<Self>,
        key: &FileKey,
    ) -> Result<Option<Judging>, DepotError> {
        let part = match key.kind {
            FileKind::Info => return Ok(None),
            FileKind::Mod => Part::GoMod,
            FileKind::Zip => Part::Zip,
        };
        let what: Arc<str> = name_of(&key.module, key.version.as_str()).into();
        let module = ModuleVersion::new(key.module.clone(), key.version.clone());
        let module = module.map_err(|error| DepotError::Absent {
            gone: false,
            reason: format!("{what}: {error}").into(),
        })?;
        let database = self.database_of(&key.module);
        let may_wait = self.settings.load().verify == VerifyMode::WhenReachable;
        let wanted = module.clone();
        let rechecks = self.rechecks.clone();
        let basis = tokio::spawn(async move {
            let Some(database) = database else {
                return Ok(Basis::Uncovered);
            };
            match database.lookup(&wanted).await {
                Ok(proven) => {
                    if proven.fetched {
                        rechecks.database_answers();
                    }
                    Ok(Basis::Record {
                        database: database.name().into(),
                        proven,
                    })
                }
                Err(error @ TrustError::OutOfReach { .. }) if may_wait => {
                    Ok(Basis::Unchecked(error))
                }
                Err(error) => Err(error),
            }
        });
        Ok(Some(Judging {
            what,
            module,
            part,
            basis,
            records: self.records.clone(),
            exemption: self.settings.load().exemption_of(&key.module),
        }))
    }
}

impl Shared {
    /// Remembers what a file was, so that it must be that for ever.
    pub(crate) async fn pin(&self, pin: Pin) {
        let is_owed = matches!(pin.verification, Verification::Unchecked { .. });
        if is_owed {
            self.unverified_files.fetch_add(1, Ordering::Relaxed);
        }
        self.records.pin(pin).await;
        if is_owed {
            self.rechecks.owe();
        }
    }

    /// Remembers what the record of a version states about its other file, which may not be here yet. Where that one
    /// is held to another hash, what is stored is to be checked first.
    pub(crate) async fn pin_other(&self, pin: Pin) {
        match self.records.expected(&pin.module).await {
            Ok(expected) if expected.hash(pin.file).is_none_or(|hash| hash == pin.hash) => {
                self.records.pin(pin).await;
            }
            Ok(_) => self.rechecks.owe(),
            // The look-up of the other file will pin it.
            Err(_) => {}
        }
    }

    /// Keeps bytes that were refused, with both hashes, for whoever wants to know.
    pub(crate) async fn set_aside(
        self: &Arc<Self>,
        key: &FileKey,
        refused: RefusedBytes,
        error: &DepotError,
        request_id: &str,
    ) {
        let DepotError::Mismatch(report) = error else {
            return;
        };
        let evidence = Evidence {
            source: Some(crate::source::recorded(&report.from)),
            request_id: Some(request_id.to_owned()).filter(|id| !id.is_empty()),
            ..evidence_of(key, report)
        };
        let kept = self
            .on_disk(move |store| match refused {
                RefusedBytes::Draft(draft) => store.quarantine_draft(draft, &evidence),
                RefusedBytes::Small(bytes) => store.quarantine_bytes(&bytes, &evidence),
            })
            .await;
        let module = key.module_version();
        match (kept, module) {
            (Ok(id), Ok(module)) => {
                let what = EventKind::Quarantined {
                    id,
                    file: key.kind,
                    reason: report.to_string(),
                };
                let time = Timestamp::now();
                self.records.event(Event { module, time, what }).await;
            }
            (Err(error), _) => {
                tracing::error!(file = %key, %error, "what was refused could not be kept as evidence");
            }
            (Ok(_), Err(_)) => {}
        }
    }
}

/// What is known against bytes that have another hash than they must have.
pub(crate) fn evidence_of(key: &FileKey, report: &Mismatched) -> Evidence {
    Evidence {
        key: key.clone(),
        reason: QuarantineReason::HashMismatch,
        detail: report.to_string(),
        found: Some(Claim {
            hash: report.mismatch.found.to_string(),
            from: report.from.clone(),
        }),
        expected: Some(Claim {
            hash: report.mismatch.expected.to_string(),
            from: report.mismatch.authority.clone(),
        }),
        source: None,
        time: Timestamp::now(),
        request_id: None,
    }
}

/// What a file was found to be.
pub(crate) struct Judged {
    /// To be remembered of it before anybody has the whole.
    pub(crate) pin: Pin,
    /// What the same record states about the other file of the version.
    pub(crate) other: Option<Pin>,
}

/// Bytes that were refused.
pub(crate) enum RefusedBytes {
    Draft(Draft),
    Small(bytes::Bytes),
}

impl Judging {
    /// Whether a go.mod file is what it must be.
    pub(crate) async fn judge_mod(
        &mut self,
        body: &[u8],
        source: &str,
    ) -> Result<Judged, DepotError> {
        self.judge(modzip::hash_go_mod(body), source).await
    }

    /// Whether a zip is a sound zip of this version, and is what it must be. It is hashed where waiting is allowed.
    pub(crate) async fn judge_zip(
        &mut self,
        draft: &Draft,
        workers: &Workers,
        source: &str,
    ) -> Result<Judged, DepotError> {
        let (file, len) = (draft.file().clone(), draft.len());
        let (module, workers) = (self.module.clone(), workers.clone());
        let hashing = tokio::task::spawn_blocking(move || {
            let archive = Archive::open(file, len)?;
            let hash = archive.hash(&workers)?;
            Ok((hash, archive.check(&module).fit()))
        });
        let (hash, fit) = hashing
            .await
            .map_err(|_| DepotError::Lost)?
            .map_err(|error| unsound(&error, source))?;
        // First what the database says: that a zip is another module's is told by its hash, too.
        let judged = self.judge(hash, source).await?;
        fit.map_err(|error| unsound(&error, source))?;
        Ok(judged)
    }

    /// Whether a file with this hash is what it must be.
    pub(crate) async fn judge(&mut self, found: H1, source: &str) -> Result<Judged, DepotError> {
        let Ok(basis) = (&mut self.basis).await else {
            return Err(DepotError::Lost);
        };
        // Asked again if another upstream is tried.
        self.basis = tokio::spawn(std::future::ready(basis.clone()));
        let basis = match basis {
            Ok(basis) => basis,
            Err(error) => return self.judge_without(error, found, source).await,
        };
        let standing = basis
            .judge(self.part, found)
            .map_err(|disbelief| match disbelief {
                Disbelief::Mismatch(mismatch) => self.mismatch(mismatch, source),
                Disbelief::NoWord(error) => self.unverified(error),
            })?;
        let time = Timestamp::now();
        let verification = match standing {
            Standing::Proven {
                database,
                record,
                tree_size,
            } => {
                let verification = Verification::Proven {
                    database: database.to_string(),
                    record,
                    tree_size,
                    time,
                };
                let pin = self.pin(self.part, found, verification.clone());
                let other = self.other_part();
                let stated = basis.hash(other);
                let other = stated.map(|hash| self.pin(other, hash, verification));
                return Ok(Judged { pin, other });
            }
            Standing::Uncovered => Verification::FirstSight {
                reason: self.exemption.clone(),
                time,
            },
            Standing::Unchecked => Verification::Unchecked {
                reason: UncheckedReason::DatabaseUnreachable(match &basis {
                    Basis::Unchecked(error) => error.to_string(),
                    Basis::Record { .. } | Basis::Uncovered => String::new(),
                }),
                time,
            },
        };
        // What no database has proven now must be what it was when it was first seen.
        let earlier = self.records.expected(&self.module).await?;
        let pin = match earlier.of(pinned(self.part)) {
            Some(earlier) if earlier.hash != found => {
                return Err(self.mismatch(against(earlier, found), source));
            }
            Some(earlier) if is_vouched(earlier) => earlier.clone(),
            Some(_) | None => self.pin(self.part, found, verification),
        };
        Ok(Judged { pin, other: None })
    }

    /// A file of which the database can say nothing now: what it has proven before still holds, and so does what an
    /// operator has decided.
    async fn judge_without(
        &self,
        error: TrustError,
        found: H1,
        source: &str,
    ) -> Result<Judged, DepotError> {
        if error.is_misbehaviour() {
            return Err(self.unverified(error));
        }
        let earlier = self.records.expected(&self.module).await?;
        match earlier.of(pinned(self.part)) {
            Some(earlier) if is_vouched(earlier) && earlier.hash == found => Ok(Judged {
                pin: earlier.clone(),
                other: None,
            }),
            Some(earlier) if is_vouched(earlier) => {
                Err(self.mismatch(against(earlier, found), source))
            }
            _ => Err(self.unverified(error)),
        }
    }

    fn pin(&self, part: Part, hash: H1, verification: Verification) -> Pin {
        Pin {
            module: self.module.clone(),
            file: pinned(part),
            hash,
            verification,
        }
    }

    fn other_part(&self) -> Part {
        match self.part {
            Part::Zip => Part::GoMod,
            Part::GoMod => Part::Zip,
        }
    }

    fn mismatch(&self, mismatch: Mismatch, source: &str) -> DepotError {
        DepotError::Mismatch(Arc::new(Mismatched {
            what: self.what.clone(),
            file: match self.part {
                Part::Zip => FileKind::Zip,
                Part::GoMod => FileKind::Mod,
            },
            from: source.to_owned(),
            mismatch,
        }))
    }

    fn unverified(&self, error: TrustError) -> DepotError {
        DepotError::Unverified {
            what: self.what.clone(),
            error,
        }
    }
}

fn pinned(part: Part) -> PinnedFile {
    match part {
        Part::Zip => PinnedFile::Zip,
        Part::GoMod => PinnedFile::GoMod,
    }
}

/// Whether more stands behind a pin than that it was seen here.
fn is_vouched(pin: &Pin) -> bool {
    matches!(
        pin.verification,
        Verification::Proven { .. } | Verification::Released { .. }
    )
}

fn against(earlier: &Pin, found: H1) -> Mismatch {
    let authority = match &earlier.verification {
        Verification::Proven {
            database, record, ..
        } => format!("checksum database {database}, record {record}"),
        Verification::Released { quarantine, .. } => {
            format!("the operator who released {quarantine} from quarantine")
        }
        Verification::FirstSight { .. } | Verification::Unchecked { .. } => {
            "the hash pinned when it was first seen".to_owned()
        }
    };
    Mismatch {
        found,
        expected: earlier.hash,
        authority,
    }
}

/// A zip that cannot be hashed or is no module's.
fn unsound(error: &modzip::Error, source: &str) -> DepotError {
    if error.blame() == Blame::Host {
        return DepotError::Store(Arc::new(store::StoreError::Io {
            action: "hash",
            path: std::path::PathBuf::from("a temporary file"),
            source: std::io::Error::other(error.to_string()),
        }));
    }
    // A report may have a line for each of many files.
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let failure = Failure {
        source: source.to_owned(),
        label: Label::GoproxyCorrupt,
        detail: format!("{source}: {first}"),
        retry_after: None,
    };
    DepotError::Upstream([failure].into())
}
