//! Putting one module of the module cache right: what is damaged is moved aside, downloaded anew by the `go` command
//! and checked; when that fails everything is as it was.
//!
//! The rules of the cache are those of `go` (cmd/go/internal/modfetch/cache.go, fetch.go): `@v/VERSION.lock` is held
//! while files of a version are moved, and it stays; files are written by `go` only, so that go.sum and the checksum
//! database are asked as always.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fault::Risk;
use goenv::cache::ModuleCache;
use goenv::fix::{Applied, ApplyError, Change, Fix, Plan, Scope};
use goenv::{Environment, Finding, GoEnv, Key};
use gomod::gosum::GoSum;
use gomod::{ModulePath, ModuleVersion, Version};
use tokio::process::Command;

/// Endings of the files of a version. The lock stays, and `.partial` is removed by go.
const FILES: [&str; 5] = ["info", "mod", "zip", "ziphash", "partial"];
/// How often a lock that is held is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Why a module could not be repaired. Everything is as it was then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// There is no module cache.
    #[error("module cache not found: neither GOMODCACHE nor GOPATH nor $HOME are defined")]
    NoCache,
    /// Without `go` nothing can be downloaded by its rules.
    #[error("exec: \"go\": executable file not found in $PATH")]
    NoGo,
    /// Another process works on this version.
    #[error("{path} is locked: another go command works on this version")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// `go mod download` failed, in its words.
    #[error("go mod download {module}: {words}")]
    Download {
        /// What was to be downloaded.
        module: ModuleVersion,
        /// What go said.
        words: String,
    },
    /// What was downloaded is damaged, too.
    #[error("{module} is still damaged: {words}")]
    StillDamaged {
        /// Which.
        module: ModuleVersion,
        /// How.
        words: String,
    },
    /// Somebody stopped it.
    #[error("interrupted")]
    Interrupted,
    /// Something could not be moved, or not be moved back.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The operating system did not do something else.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// One version that is to be put right.
#[derive(Clone, Debug)]
pub struct Repair {
    /// The version.
    pub module: ModuleVersion,
    /// The damage that is known; none where somebody wants it all the same.
    pub damage: Vec<Finding>,
    /// What will be removed.
    pub paths: Vec<PathBuf>,
}

/// A module cache, and how `go` would fill it.
#[derive(Debug)]
pub struct Workshop {
    root: PathBuf,
    environment: Environment,
    sums: GoSum,
    go_sum: Option<Vec<u8>>,
    flags: String,
}

impl Workshop {
    /// The module cache of these settings, with the go.sum of the project that `directory` lies in.
    ///
    /// # Errors
    ///
    /// There is no module cache.
    pub fn new(environment: &Environment, directory: &Path) -> Result<Self, RepairError> {
        let go = GoEnv::load(environment);
        let root = PathBuf::from(go.value(Key::GOMODCACHE));
        if !root.is_absolute() {
            return Err(RepairError::NoCache);
        }
        let project = directory
            .ancestors()
            .find(|directory| directory.join("go.mod").is_file());
        let go_sum = project.and_then(|project| std::fs::read(project.join("go.sum")).ok());
        let sums = go_sum
            .as_deref()
            .and_then(|text| GoSum::parse("go.sum", text).ok());
        // The cache shall be as writable as the user wants it.
        let flags = go.value(Key::GOFLAGS).split_whitespace();
        let flags = flags.filter(|flag| flag.trim_start_matches('-') == "modcacherw");
        Ok(Self {
            root,
            environment: environment.clone(),
            sums: sums.unwrap_or_default(),
            go_sum,
            flags: flags.collect::<Vec<_>>().join(" "),
        })
    }

    /// What is to be put right of a module: the version that is named, else every version in the cache that is damaged.
    pub fn repairs(&self, module: &ModulePath, version: Option<&Version>) -> Vec<Repair> {
        let modules = match version {
            Some(version) => ModuleVersion::new(module.clone(), version.clone())
                .into_iter()
                .collect(),
            None => self.versions(module),
        };
        let repairs = modules.into_iter().map(|module| Repair {
            damage: self.damage(&module),
            paths: self.paths(&module),
            module,
        });
        repairs
            .filter(|repair| version.is_some() || !repair.damage.is_empty())
            .collect()
    }

    /// Removes and downloads one version. `stop` ends it early.
    ///
    /// # Errors
    ///
    /// The version could not be downloaded, or not whole; then what was there is there again.
    pub async fn carry_out(
        &self,
        repair: &Repair,
        patience: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<(), RepairError> {
        let go = self.environment.look_path("go").ok_or(RepairError::NoGo)?;
        let fix = Fix::new(
            Change::Remove {
                paths: repair.paths.clone(),
            },
            Scope::User,
            Risk::Low,
        );
        let lock = self.lock(&repair.module, patience).await?;
        let applied = Plan::of(&fix, &self.environment, &self.root)?.apply()?;
        // go takes the lock itself.
        drop(lock);
        let aside = Aside {
            workshop: self,
            repair,
            applied: Some(applied),
        };
        let done = tokio::select! {
            biased;
            () = stop => Err(RepairError::Interrupted),
            done = self.download(&go, &repair.module) => done,
        };
        match done.and_then(|()| self.check(&repair.module)) {
            Ok(()) => aside.keep(),
            Err(error) => {
                let lock = self.lock(&repair.module, patience).await;
                aside.put_back()?;
                drop(lock);
                Err(error)
            }
        }
    }

    fn versions(&self, module: &ModulePath) -> Vec<ModuleVersion> {
        let directory = self.directory(module);
        let entries = std::fs::read_dir(directory).into_iter().flatten();
        let names = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut versions: Vec<ModuleVersion> = names
            .filter_map(|name| {
                let (version, ending) = name.rsplit_once('.')?;
                let version = Version::unescape(version).ok()?;
                let module = ModuleVersion::new(module.clone(), version).ok()?;
                FILES.contains(&ending).then_some(module)
            })
            .collect();
        versions.sort();
        versions.dedup();
        versions
    }

    fn damage(&self, module: &ModuleVersion) -> Vec<Finding> {
        let deadline = Instant::now() + Duration::from_hours(1);
        let cache = ModuleCache::new(self.root.clone());
        cache
            .scan(std::slice::from_ref(module), &self.sums, deadline)
            .findings
    }

    /// Everything of a version, but its lock.
    fn paths(&self, module: &ModuleVersion) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = FILES
            .iter()
            .map(|ending| self.file(module, ending))
            .collect();
        let (path, version) = (module.path().escaped(), module.version().escaped());
        paths.push(self.root.join(format!("{path}@{version}")));
        paths.retain(|path| path.symlink_metadata().is_ok());
        paths
    }

    /// What a download that was cut off leaves behind. `go` removes it under the same lock (`downloadZip`).
    fn unfinished(&self, module: &ModuleVersion) -> Vec<PathBuf> {
        let beginning = format!("{}.zip", module.version().escaped());
        let entries = std::fs::read_dir(self.directory(module.path()));
        let paths = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        paths
            .filter(|path| {
                let name = path.file_name().and_then(std::ffi::OsStr::to_str);
                name.and_then(|name| name.strip_prefix(&beginning))
                    .is_some_and(|rest| rest.ends_with(".tmp"))
            })
            .collect()
    }

    fn directory(&self, module: &ModulePath) -> PathBuf {
        self.root
            .join(format!("cache/download/{}/@v", module.escaped()))
    }

    fn file(&self, module: &ModuleVersion, ending: &str) -> PathBuf {
        let version = module.version().escaped();
        self.directory(module.path())
            .join(format!("{version}.{ending}"))
    }

    /// The lock that `go` takes to download this version (`lockVersion`).
    async fn lock(&self, module: &ModuleVersion, patience: Duration) -> Result<File, RepairError> {
        let path = self.file(module, "lock");
        let io = |source| RepairError::Io {
            path: path.clone(),
            source,
        };
        let directory = self.directory(module.path());
        std::fs::create_dir_all(&directory).map_err(io)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(TryLockError::WouldBlock) => return Err(RepairError::Locked { path }),
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
    }

    /// `go mod download`, in a module of its own that has the hashes of the project, so that neither go.mod nor go.sum
    /// of the project can change.
    async fn download(&self, go: &Path, module: &ModuleVersion) -> Result<(), RepairError> {
        let scratch = tempfile::tempdir().map_err(|source| RepairError::Io {
            path: std::env::temp_dir(),
            source,
        })?;
        let write = |name: &str, bytes: &[u8]| {
            let path = scratch.path().join(name);
            std::fs::write(&path, bytes).map_err(|source| RepairError::Io { path, source })
        };
        write("go.mod", b"module repair\n")?;
        write("go.sum", self.go_sum.as_deref().unwrap_or_default())?;
        let names = self.environment.names();
        let variables = names.filter_map(|name| Some((name, self.environment.get(name)?)));
        let output = Command::new(go)
            .args(["mod", "download", &module.to_string()])
            .current_dir(scratch.path())
            .env_clear()
            .envs(variables)
            .env("PWD", scratch.path())
            .env("GOFLAGS", &self.flags)
            .env("GOWORK", "off")
            .env("GO111MODULE", "on")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| RepairError::Io {
                path: go.to_owned(),
                source,
            })?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(RepairError::Download {
            module: module.clone(),
            words: words.trim().to_owned(),
        })
    }

    fn check(&self, module: &ModuleVersion) -> Result<(), RepairError> {
        let still = |words: String| RepairError::StillDamaged {
            module: module.clone(),
            words,
        };
        if let Some(finding) = self.damage(module).first() {
            return Err(still(finding.sentence(fault::Lang::En)));
        }
        for ending in ["mod", "zip", "ziphash"] {
            let file = self.file(module, ending);
            if !file.is_file() {
                return Err(still(format!("{} is missing", file.display())));
            }
        }
        Ok(())
    }
}

/// What was moved aside, put back unless it is not wanted any more.
struct Aside<'a> {
    workshop: &'a Workshop,
    repair: &'a Repair,
    applied: Option<Applied>,
}

impl Aside<'_> {
    fn keep(mut self) -> Result<(), RepairError> {
        Ok(self.applied.take().map_or(Ok(()), Applied::keep)?)
    }

    fn put_back(mut self) -> Result<(), RepairError> {
        self.restore()
    }

    fn restore(&mut self) -> Result<(), RepairError> {
        let Some(applied) = self.applied.take() else {
            return Ok(());
        };
        // What go has begun to write stands in the way of what was there.
        let module = &self.repair.module;
        let unfinished = self.workshop.unfinished(module);
        for path in self.workshop.paths(module).into_iter().chain(unfinished) {
            goenv::fix::remove(&path).map_err(|source| RepairError::Io { path, source })?;
        }
        Ok(applied.roll_back()?)
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        // Whoever dropped it cannot be told.
        let _unheard = self.restore();
    }
}
