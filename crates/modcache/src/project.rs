use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::gosum::GoSumErrors;
use gomod::modfile::{Directive, ModFile, ParseErrors, Replace, Replacement, WorkFile};
use gomod::mvs::{Cause, Limits, Loader, MainError, MainModules, Member, Node, Scope, Source};
use gomod::{ModulePath, ModuleVersion, Version};

use crate::{ModuleCache, SumFiles};

/// What the files of a project tell about its modules: go.mod and go.sum, or those of all members of a workspace.
#[derive(Clone, Debug)]
pub struct Project {
    /// The directory with the go.mod file; of a workspace, with the go.work file.
    pub directory: PathBuf,
    /// The modules that a go.mod file requires or that have a hash, sorted.
    pub modules: Vec<ModuleVersion>,
    /// The go.mod file in the directory. The directory of a workspace may have none.
    pub go_mod: Option<ModFile>,
    /// The hashes.
    pub sums: SumFiles,
    /// Modules that come from directories, which nothing vouches for.
    pub unverifiable: Vec<Unverifiable>,
    mains: MainModules,
}

/// A module that is replaced by a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// go.mod or go.work has errors.
    #[error(transparent)]
    GoMod(#[from] ParseErrors),
    /// There is no telling which modules are in use.
    #[error("{}: {source}", path.display())]
    Mains {
        /// The go.mod or go.work file.
        path: PathBuf,
        /// Why.
        source: MainError,
    },
    /// go.sum has errors.
    #[error(transparent)]
    GoSum(#[from] GoSumErrors),
}

impl Project {
    /// Reads the project that `start` is in; with a go.work file, the workspace.
    pub fn find(start: &Path, work_file: Option<&Path>) -> Result<Self, ProjectError> {
        if let Some(work_file) = work_file {
            return Self::read_workspace(work_file);
        }
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
        let mut loader = Loader::new(self.mains.clone(), Scope::All, Limits::default());
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
        let path = directory.join("go.mod");
        let file = read_go_mod(&path)?;
        let mains =
            MainModules::single(&file).map_err(|source| ProjectError::Mains { path, source })?;
        let sums = SumFiles::of_module(directory)?;
        Ok(Self {
            directory: directory.into(),
            modules: modules(std::slice::from_ref(&file), &sums),
            unverifiable: file.replace().iter().filter_map(unverifiable).collect(),
            go_mod: Some(file),
            sums,
            mains,
        })
    }

    fn read_workspace(path: &Path) -> Result<Self, ProjectError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let work = WorkFile::parse(&path.to_string_lossy(), &read_file(path)?)?;
        // As messages show them: without the dot of `./member`.
        let directories: Vec<PathBuf> = work
            .uses()
            .iter()
            .map(|used| directory.join(&used.path).components().collect())
            .collect();
        let files: Vec<ModFile> = directories
            .iter()
            .map(|directory| read_go_mod(&directory.join("go.mod")))
            .collect::<Result<_, _>>()?;
        let members: Vec<Member<'_>> = work
            .uses()
            .iter()
            .zip(&files)
            .map(|(used, file)| Member {
                directory: &used.path,
                file,
            })
            .collect();
        let mains = MainModules::workspace(&work, &members).map_err(|source| {
            let path = path.to_path_buf();
            ProjectError::Mains { path, source }
        })?;
        let sums = SumFiles::of_workspace(path, directories)?;
        let replaced = files.iter().flat_map(ModFile::replace);
        let unverifiable: BTreeSet<Unverifiable> = work
            .replace()
            .iter()
            .chain(replaced)
            .filter_map(unverifiable)
            .collect();
        let own = directory.join("go.mod");
        Ok(Self {
            directory: directory.into(),
            modules: modules(&files, &sums),
            go_mod: own.is_file().then(|| read_go_mod(&own)).transpose()?,
            sums,
            unverifiable: unverifiable.into_iter().collect(),
            mains,
        })
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, ProjectError> {
    fs::read(path).map_err(|source| ProjectError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn read_go_mod(path: &Path) -> Result<ModFile, ProjectError> {
    Ok(ModFile::parse(&path.to_string_lossy(), &read_file(path)?)?)
}

/// What go.mod files require or a file with hashes has the hash of, sorted.
fn modules(files: &[ModFile], sums: &SumFiles) -> Vec<ModuleVersion> {
    let required = files
        .iter()
        .flat_map(ModFile::require)
        .filter_map(|require| named(&require.path, require.version.as_str()));
    let sums = sums.all();
    let listed = sums
        .iter()
        .filter(|(_, version, _)| !version.ends_with("/go.mod"))
        .filter_map(|(path, version, _)| named(path, version));
    let modules: BTreeSet<ModuleVersion> = required.chain(listed).collect();
    modules.into_iter().collect()
}

fn unverifiable(replace: &Directive<Replace>) -> Option<Unverifiable> {
    match &replace.by {
        Replacement::Directory(directory) => Some(Unverifiable {
            module: replace.path.clone(),
            directory: directory.clone(),
        }),
        Replacement::Module { .. } => None,
    }
}

/// `None`: what can be in no cache.
fn named(path: &str, version: &str) -> Option<ModuleVersion> {
    let (path, version) = (ModulePath::new(path).ok()?, Version::new(version).ok()?);
    ModuleVersion::new(path, version).ok()
}
