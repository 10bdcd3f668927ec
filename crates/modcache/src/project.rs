use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::gosum::{GoSum, GoSumErrors};
use gomod::modfile::{ModFile, ParseErrors, Replacement};
use gomod::mvs::{Cause, Limits, Loader, MainModules, Node, Scope, Source};
use gomod::{ModulePath, ModuleVersion, Version};

use crate::ModuleCache;

/// What go.mod and go.sum tell about the modules of a project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The directory with the go.mod file.
    pub directory: PathBuf,
    /// The modules that go.mod requires or go.sum has the hash of, sorted.
    pub modules: Vec<ModuleVersion>,
    /// Its go.mod file.
    pub go_mod: ModFile,
    /// The hashes of go.sum.
    pub sums: GoSum,
    /// Modules that come from directories, which nothing vouches for.
    pub unverifiable: Vec<Unverifiable>,
}

/// A module that is replaced by a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverifiable {
    /// The path of the module.
    pub module: String,
    /// The directory as written.
    pub directory: String,
}

/// Why a project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no go.mod in the directory or above it.
    #[error("there is no go.mod in {} or above it; say which modules to verify: run it in a project, or with --all", .0.display())]
    NoProject(PathBuf),
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// go.mod has errors.
    #[error(transparent)]
    GoMod(#[from] ParseErrors),
    /// go.sum has errors.
    #[error(transparent)]
    GoSum(#[from] GoSumErrors),
}

impl Project {
    /// Reads the project that `start` is in.
    pub fn find(start: &Path) -> Result<Self, ProjectError> {
        let directory = start
            .ancestors()
            .find(|directory| directory.join("go.mod").is_file())
            .ok_or_else(|| ProjectError::NoProject(start.into()))?;
        Self::read(directory)
    }

    /// With the modules of the build list, as far as the go.mod files in the cache tell which they are: `go mod verify`
    /// verifies those, also where go.sum has no hash of their zips.
    #[must_use]
    pub fn with_build_list(mut self, cache: &ModuleCache) -> Self {
        let Ok(mains) = MainModules::single(&self.go_mod) else {
            return self;
        };
        let mut loader = Loader::new(mains, Scope::All, Limits::default());
        loop {
            let wanted = loader.take_wanted();
            if wanted.is_empty() {
                break;
            }
            for source in wanted {
                match self.read_go_mod(cache, &source) {
                    Ok(text) => loader.feed_text(&source, &text),
                    Err(error) => {
                        loader.feed(&source, Err(Cause::Unavailable(error.to_string())));
                    }
                }
            }
        }
        let outcome = loader.finish();
        let selected = outcome.build_list().into_iter();
        let mut modules: BTreeSet<ModuleVersion> =
            selected.filter_map(Node::module_version).collect();
        modules.extend(self.modules);
        self.modules = modules.into_iter().collect();
        self
    }

    fn read_go_mod(&self, cache: &ModuleCache, source: &Source) -> io::Result<Vec<u8>> {
        match source {
            Source::Module(module) => fs::read(cache.file(module, "mod")),
            Source::Directory(directory) => fs::read(self.directory.join(directory).join("go.mod")),
        }
    }

    fn read(directory: &Path) -> Result<Self, ProjectError> {
        let (go_mod, go_sum) = (directory.join("go.mod"), directory.join("go.sum"));
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ProjectError::Io { path, source }
        };
        let text = fs::read(&go_mod).map_err(failed(&go_mod))?;
        let file = ModFile::parse(&go_mod.to_string_lossy(), &text)?;
        let sums = match fs::read(&go_sum) {
            Ok(text) => GoSum::parse(&go_sum.to_string_lossy(), &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => GoSum::default(),
            Err(error) => return Err(failed(&go_sum)(error)),
        };
        let required = file
            .require()
            .iter()
            .filter_map(|require| named(&require.path, require.version.as_str()));
        let listed = sums
            .iter()
            .filter(|(_, version, _)| !version.ends_with("/go.mod"))
            .filter_map(|(path, version, _)| named(path, version));
        let modules: BTreeSet<ModuleVersion> = required.chain(listed).collect();
        let unverifiable = file
            .replace()
            .iter()
            .filter_map(|replace| match &replace.by {
                Replacement::Directory(directory) => Some(Unverifiable {
                    module: replace.path.clone(),
                    directory: directory.clone(),
                }),
                Replacement::Module { .. } => None,
            })
            .collect();
        Ok(Self {
            directory: directory.into(),
            modules: modules.into_iter().collect(),
            go_mod: file,
            sums,
            unverifiable,
        })
    }
}

/// `None`: what can be in no cache.
fn named(path: &str, version: &str) -> Option<ModuleVersion> {
    let (path, version) = (ModulePath::new(path).ok()?, Version::new(version).ok()?);
    ModuleVersion::new(path, version).ok()
}
