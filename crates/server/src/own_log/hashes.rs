//! The hashes of a version as the depot has it: those of the public database where it covers the module, else what came
//! first.

use depot::{Context, Depot, DepotError, FetchMode, FileReply, Progress};
use gomod::ModuleVersion;
use modzip::{Workers, hash_go_mod, hash_zip};
use store::{FileKey, FileKind};
use sumdb::record::ModuleHashes;
use sumdb::tlog::parse_record;
use sumlog::HashSource;

/// The module under whose name Go distributes itself. It is looked up whatever is exempt (Go's modfetch `useSumDB`).
const TOOLCHAIN: &str = "golang.org/toolchain";

/// Why there are no hashes that could enter the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// The files cannot be had.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The public database cannot be asked, so that nobody vouches for a public module.
    #[error("{0}")]
    Unverified(String),
    /// The public database does not know a module that is not private.
    #[error("{0}")]
    Unknown(String),
    /// The public database has another hash.
    #[error("{module}: the stored files have\n{ours}and {database} has\n{theirs}")]
    Mismatch {
        /// The module version.
        module: String,
        /// The record of the stored files.
        ours: String,
        /// The record in the database.
        theirs: String,
        /// The name of the database.
        database: String,
    },
    /// What is stored is no module.
    #[error("{0}")]
    Unusable(String),
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

    async fn go_mod(&self, module: &ModuleVersion) -> Result<String, HashError> {
        let key = key(module, FileKind::Mod);
        let bytes = match self
            .depot
            .file(&key, self.mode, &Context::default())
            .await?
        {
            FileReply::Small(file, _) => file.body,
            FileReply::Stored(file) => {
                let read = tokio::task::spawn_blocking(move || file.read_small()).await;
                let read = read.map_err(|_| DepotError::Lost)?;
                let read = read.map_err(|error| unusable(&key, &error))?;
                read.map_err(|damage| unusable(&key, &damage))?.into()
            }
            FileReply::Growing(_) => return Err(DepotError::Lost.into()),
        };
        Ok(hash_go_mod(&bytes).to_string())
    }

    async fn zip(&self, module: &ModuleVersion) -> Result<String, HashError> {
        let key = key(module, FileKind::Zip);
        let (file, len) = match self
            .depot
            .file(&key, self.mode, &Context::default())
            .await?
        {
            FileReply::Stored(file) => (file.file().clone(), file.len()),
            FileReply::Growing(mut growing) => match growing.wait_for(u64::MAX).await {
                Progress::Complete(len) => (growing.file().clone(), len),
                Progress::Failed(error) => return Err(error.into()),
                Progress::Growing(_) => return Err(DepotError::Lost.into()),
            },
            FileReply::Small(small, _) => {
                let hash = hash_zip(
                    &*small.body,
                    small.body.len() as u64,
                    &Workers::calling_thread(),
                );
                return hash
                    .map(|hash| hash.to_string())
                    .map_err(|error| unusable(&key, &error));
            }
        };
        let hash =
            tokio::task::spawn_blocking(move || hash_zip(&*file, len, &Workers::calling_thread()));
        let hash = hash.await.map_err(|_| DepotError::Lost)?;
        hash.map(|hash| hash.to_string())
            .map_err(|error| unusable(&key, &error))
    }

    /// The name of the database that covers a module, and its record, proven. `None` for a module that is exempt, about
    /// which nobody is asked.
    async fn public_record(
        &self,
        module: &ModuleVersion,
    ) -> Result<Option<(String, String)>, HashError> {
        let settings = self.depot.settings();
        let is_exempt = settings.private.matches(module.path())
            || (settings.no_sumdb.matches(module.path()) && module.path().as_str() != TOOLCHAIN);
        if is_exempt {
            return Ok(None);
        }
        let Some(route) = settings.sumdbs.first() else {
            return Err(HashError::Unverified(format!(
                "{module} is not private, and there is no public database to verify it against; set sumdb, or private"
            )));
        };
        let (path, version) = (module.path().escaped(), module.version().escaped());
        let asked = format!("lookup/{path}@{version}");
        let reply = match self.depot.sumdb(route, &asked, FetchMode::Allowed).await {
            Ok(reply) => reply,
            // There are files of it, or there may be: nobody vouches for them, which is not absence.
            Err(DepotError::Absent { reason, .. }) => {
                return Err(HashError::Unknown(format!(
                    "{} does not know it: {reason}",
                    route.name
                )));
            }
            Err(error) => return Err(error.into()),
        };
        let (_, record, _) = parse_record(&reply.body)
            .map_err(|error| HashError::Unverified(format!("{module}: {}: {error}", route.name)))?;
        Ok(Some((route.name.clone(), record.to_string())))
    }
}

impl HashSource for DepotHashes {
    type Error = HashError;

    async fn hashes(&self, module: &ModuleVersion) -> Result<ModuleHashes, HashError> {
        if self.mode == FetchMode::CachedOnly {
            // Nobody is asked about what is not there.
            self.go_mod(module).await?;
            self.depot
                .file(&key(module, FileKind::Zip), self.mode, &Context::default())
                .await?;
        }
        let public = self.public_record(module).await?;
        let go_mod = self.go_mod(module).await?;
        let zip = self.zip(module).await?;
        let hashes = ModuleHashes::new(module.clone(), &zip, &go_mod)
            .map_err(|error| HashError::Unusable(format!("{module}: {error}")))?;
        let Some((database, theirs)) = public else {
            return Ok(hashes);
        };
        // Every line of ours must be one of theirs; theirs may have hashes of later algorithms, too.
        let vouched = |line: &str| theirs.lines().any(|other| other == line);
        if hashes.record().lines().all(vouched) {
            return Ok(hashes);
        }
        Err(HashError::Mismatch {
            module: module.to_string(),
            ours: hashes.record().to_string(),
            theirs,
            database,
        })
    }
}

fn key(module: &ModuleVersion, kind: FileKind) -> FileKey {
    FileKey {
        module: module.path().clone(),
        version: module.version().clone(),
        kind,
    }
}

fn unusable(key: &FileKey, error: &dyn std::fmt::Display) -> HashError {
    HashError::Unusable(format!("{}: {error}", key.url_path()))
}
