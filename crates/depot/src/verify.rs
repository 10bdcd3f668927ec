//! Every `.mod` and `.zip` that comes in is checked here before anybody can have the whole of it.
//!
//! What a file must be is found out while it is on its way ([`Judging`]), and says nothing about where it comes from.
//! A version that the checksum database does not know is refused rather than called absent: somebody has bytes for it,
//! and nobody can say whether they are right.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fault::Label;
use gomod::{ModulePath, ModuleVersion};
use modzip::{Archive, Blame, H1, Workers};
use store::{Draft, FileKey, FileKind};
use sumdb::record::Part;
use tokio::task::JoinHandle;
use trust::{Basis, Database, Disbelief, Standing, TrustError};
use upstream::Failure;

use crate::error::Mismatched;
use crate::shared::{Shared, name_of};
use crate::{DepotError, VerifyMode};

/// The module under whose name Go distributes itself. `go` checks it whatever GONOSUMDB says (Go's modfetch
/// `useSumDB`).
const TOOLCHAIN: &str = "golang.org/toolchain";

/// A look-up under way.
pub(crate) struct Judging {
    what: Arc<str>,
    module: ModuleVersion,
    part: Part,
    basis: JoinHandle<Result<Basis, TrustError>>,
}

impl Shared {
    /// The database that must have a module's hashes, if one must.
    pub(crate) fn database_of(&self, module: &ModulePath) -> Option<Database> {
        let settings = self.settings.load();
        let is_exempt = settings.private.matches(module)
            || (settings.no_sumdb.matches(module) && module.as_str() != TOOLCHAIN);
        let databases = self.databases.load();
        databases
            .first()
            .filter(|_| !is_exempt)
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
        let basis = tokio::spawn(async move {
            let Some(database) = database else {
                return Ok(Basis::Uncovered);
            };
            match database.lookup(&wanted).await {
                Ok(proven) => Ok(Basis::Record {
                    database: database.name().into(),
                    proven,
                }),
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
        }))
    }
}

impl Shared {
    pub(crate) fn count_standing(&self, standing: &Standing) {
        if *standing == Standing::Unchecked {
            self.unverified_files.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Judging {
    /// Whether a go.mod file is what it must be.
    pub(crate) async fn judge_mod(
        &mut self,
        body: &[u8],
        source: &str,
    ) -> Result<Standing, DepotError> {
        self.judge(modzip::hash_go_mod(body), source).await
    }

    /// Whether a zip is a sound zip of this version, and is what it must be. It is hashed where waiting is allowed.
    pub(crate) async fn judge_zip(
        &mut self,
        draft: &Draft,
        workers: &Workers,
        source: &str,
    ) -> Result<Standing, DepotError> {
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
        let standing = self.judge(hash, source).await?;
        fit.map_err(|error| unsound(&error, source))?;
        Ok(standing)
    }

    async fn judge(&mut self, found: H1, source: &str) -> Result<Standing, DepotError> {
        let basis = match (&mut self.basis).await {
            Ok(Ok(basis)) => basis,
            Ok(Err(error)) => return Err(self.unverified(error)),
            Err(_) => return Err(DepotError::Lost),
        };
        let judged = basis.judge(self.part, found);
        // Asked again if another upstream is tried.
        self.basis = tokio::spawn(std::future::ready(Ok(basis)));
        judged.map_err(|disbelief| match disbelief {
            Disbelief::Mismatch(mismatch) => DepotError::Mismatch(Arc::new(Mismatched {
                what: self.what.clone(),
                file: match self.part {
                    Part::Zip => FileKind::Zip,
                    Part::GoMod => FileKind::Mod,
                },
                from: source.to_owned(),
                mismatch,
            })),
            Disbelief::NoWord(error) => self.unverified(error),
        })
    }

    fn unverified(&self, error: TrustError) -> DepotError {
        DepotError::Unverified {
            what: self.what.clone(),
            error,
        }
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
