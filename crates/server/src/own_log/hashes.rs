//! The hashes of a version as the depot has it: those of the public database where it covers the module, else what came
//! first.

use depot::{Depot, DepotError, FetchMode, Vouched};
use gomod::ModuleVersion;
use store::{FirstSightReason, Pin, Verification};
use sumdb::record::{ModuleHashes, Part};
use sumlog::HashSource;
use trust::TrustError;

/// Why there are no hashes that could enter the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// The files cannot be had, or are not what they must be.
    #[error(transparent)]
    Depot(DepotError),
    /// Nobody vouches for a public module now.
    #[error("{0}")]
    Unverified(String),
    /// The public database does not know a module that is not private.
    #[error("{0}")]
    Unknown(DepotError),
    /// The hashes make no record.
    #[error("{0}")]
    Unusable(String),
}

impl From<DepotError> for HashError {
    fn from(error: DepotError) -> Self {
        match error {
            // There are files of it: that nobody vouches for them is not absence.
            DepotError::Unverified {
                error: TrustError::Unknown { .. },
                ..
            } => Self::Unknown(error),
            error => Self::Depot(error),
        }
    }
}

/// Hashes from a depot.
#[derive(Clone, Debug)]
pub(crate) struct DepotHashes {
    depot: Depot,
    mode: FetchMode,
}

impl DepotHashes {
    pub(crate) fn new(depot: Depot) -> Self {
        let mode = FetchMode::Allowed;
        Self { depot, mode }
    }

    /// The same, but of files that are stored already.
    pub(crate) fn of_stored(&self) -> Self {
        Self {
            mode: FetchMode::CachedOnly,
            ..self.clone()
        }
    }

    /// A log says for ever what it says: for a public module the public database must vouch, now or before.
    fn check(&self, pin: &Pin) -> Result<(), HashError> {
        let module = &pin.module;
        let covering = self.depot.settings();
        let covering = covering.database_of(module.path());
        match (&pin.verification, covering) {
            (Verification::Proven { .. }, _)
            | (
                Verification::FirstSight {
                    reason: FirstSightReason::Pattern(_),
                    ..
                }
                | Verification::Released { .. },
                None,
            ) => Ok(()),
            (verification, Some(route)) => Err(HashError::Unverified(format!(
                "{module}: {} has not vouched for it yet: {verification}",
                route.name
            ))),
            (_, None) => Err(HashError::Unverified(format!(
                "{module} is not private, and there is no public database to verify it against; set sumdb, or private"
            ))),
        }
    }

    fn record(&self, module: &ModuleVersion, vouched: &Vouched) -> Result<ModuleHashes, HashError> {
        let Vouched { go_mod, zip } = vouched;
        self.check(go_mod)?;
        self.check(zip)?;
        hashes_of(module, &go_mod.hash.to_string(), &zip.hash.to_string())
    }

    /// Both hashes as the public database states them, if it covers the module, can be asked, and proves that.
    async fn of_database(&self, module: &ModuleVersion) -> Option<ModuleHashes> {
        let (_, proven) = self.depot.proven(module).await.ok()??;
        let hash = |part| proven.hash(part).map(|hash| hash.to_string()).ok();
        hashes_of(module, &hash(Part::GoMod)?, &hash(Part::Zip)?).ok()
    }
}

fn hashes_of(module: &ModuleVersion, go_mod: &str, zip: &str) -> Result<ModuleHashes, HashError> {
    ModuleHashes::new(module.clone(), zip, go_mod)
        .map_err(|error| HashError::Unusable(format!("{module}: {error}")))
}

impl HashSource for DepotHashes {
    type Error = HashError;

    /// What is stored is held to what vouches for it. For what is not, the public database is enough: `go` looks up the
    /// go.mod files of many versions it never builds, and no zip is fetched for their sake.
    async fn hashes(&self, module: &ModuleVersion) -> Result<ModuleHashes, HashError> {
        match self.depot.vouched(module, FetchMode::CachedOnly).await {
            Err(DepotError::NotCached { .. }) if self.mode == FetchMode::Allowed => {}
            stored => return self.record(module, &stored?),
        }
        if let Some(hashes) = self.of_database(module).await {
            return Ok(hashes);
        }
        self.record(module, &self.depot.vouched(module, self.mode).await?)
    }
}
