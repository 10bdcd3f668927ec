//! What is to be warmed: files, directories with projects, single modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::gosum::{GoSum, GoSumErrors};
use gomod::modfile::{ModFile, ParseErrors, WorkFile};
use gomod::mvs::{MainError, MainModules, Member};
use gomod::{ModulePath, ModuleVersion, Revision, Version};

/// What go.sum says of a go.mod file stands behind this ending of the version.
const GO_MOD: &str = "/go.mod";

/// Directories in which projects do not lie.
const SKIPPED: [&str; 3] = ["vendor", "testdata", "node_modules"];

/// Why nothing can be read out of a target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// It is no file, and no module either.
    #[error("{0}: there is no such file or directory, and it is not written as MODULE@VERSION")]
    Unknown(String),
    /// The name says nothing about what is in the file.
    #[error("{}: name a go.mod, go.work or go.sum file, or a directory", .0.display())]
    OtherFile(PathBuf),
    /// There is no project in the directory.
    #[error("{}: there is no go.mod, go.work or go.sum in it or below it", .0.display())]
    Empty(PathBuf),
    /// It could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A go.mod or go.work file has errors.
    #[error(transparent)]
    Malformed(#[from] ParseErrors),
    /// A go.sum file has errors.
    #[error(transparent)]
    Sums(#[from] GoSumErrors),
    /// Main modules that do not go together.
    #[error("{}: {source}", path.display())]
    Mains {
        /// The go.mod or go.work file.
        path: PathBuf,
        /// What is wrong.
        source: MainError,
    },
    /// A module that cannot be asked for.
    #[error("{0}")]
    Module(String),
}

/// A project whose module graph is to be walked.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// What directories in its replace directives are relative to.
    pub(crate) directory: PathBuf,
    pub(crate) mains: MainModules,
}

/// What is to be warmed.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    pub(crate) projects: BTreeMap<PathBuf, Project>,
    /// Versions in go.sum files; `true` if the module's files are needed, not only its go.mod file.
    pub(crate) sums: BTreeMap<ModuleVersion, bool>,
    pub(crate) modules: BTreeSet<(ModulePath, Revision)>,
}

impl Targets {
    /// Adds a go.mod, go.work or go.sum file, a directory with projects, or `MODULE@VERSION`. Blocks on the disk.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn add(&mut self, target: &str) -> Result<(), TargetError> {
        let path = Path::new(target);
        if path.is_dir() {
            return self.add_tree(path);
        }
        if path.is_file() {
            return self.add_file(path);
        }
        let (module, revision) = target
            .split_once('@')
            .filter(|(module, _)| !module.starts_with(['/', '.']))
            .ok_or_else(|| TargetError::Unknown(target.to_owned()))?;
        let malformed = |error: String| TargetError::Module(format!("{target}: {error}"));
        let module = ModulePath::new(module).map_err(|error| malformed(error.to_string()))?;
        let revision = Revision::new(revision).map_err(|error| malformed(error.to_string()))?;
        self.modules.insert((module, revision));
        Ok(())
    }

    /// True when there is nothing to be warmed.
    pub fn is_empty(&self) -> bool {
        self.projects.is_empty() && self.sums.is_empty() && self.modules.is_empty()
    }

    fn add_file(&mut self, path: &Path) -> Result<(), TargetError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match name.rsplit_once('.') {
            Some((_, "sum")) => self.add_sums(path),
            Some((_, "work")) => self.add_workspace(path).map(drop),
            Some((_, "mod")) => self.add_module(path),
            _ => Err(TargetError::OtherFile(path.into())),
        }
    }

    fn add_module(&mut self, path: &Path) -> Result<(), TargetError> {
        let file = ModFile::parse(&path.display().to_string(), &read(path)?)?;
        let mains = MainModules::single(&file).map_err(|source| TargetError::Mains {
            path: path.into(),
            source,
        })?;
        self.add_project(path, mains);
        Ok(())
    }

    /// Gives back the directories of the members.
    fn add_workspace(&mut self, path: &Path) -> Result<Vec<PathBuf>, TargetError> {
        let work = WorkFile::parse(&path.display().to_string(), &read(path)?)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        for used in work.uses() {
            let file = base.join(&used.path).join("go.mod");
            files.push(ModFile::parse(&file.display().to_string(), &read(&file)?)?);
        }
        let members: Vec<Member<'_>> = work
            .uses()
            .iter()
            .zip(&files)
            .map(|(used, file)| Member {
                directory: &used.path,
                file,
            })
            .collect();
        let mains =
            MainModules::workspace(&work, &members).map_err(|source| TargetError::Mains {
                path: path.into(),
                source,
            })?;
        self.add_project(path, mains);
        Ok(work
            .uses()
            .iter()
            .map(|used| base.join(&used.path))
            .collect())
    }

    fn add_project(&mut self, path: &Path, mains: MainModules) {
        let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
        self.projects
            .insert(path.to_path_buf(), Project { directory, mains });
    }

    fn add_sums(&mut self, path: &Path) -> Result<(), TargetError> {
        let sums = GoSum::parse(&path.display().to_string(), &read(path)?)?;
        for (module, version, _) in sums.iter() {
            let (version, whole) = match version.strip_suffix(GO_MOD) {
                Some(version) => (version, false),
                None => (version, true),
            };
            let known = ModulePath::new(module).ok().zip(Version::new(version).ok());
            let known =
                known.and_then(|(module, version)| ModuleVersion::new(module, version).ok());
            let Some(known) = known else {
                return Err(TargetError::Module(format!(
                    "{}: {module}@{version} is no module that can be downloaded",
                    path.display()
                )));
            };
            *self.sums.entry(known).or_default() |= whole;
        }
        Ok(())
    }

    /// Adds every project in a directory and below it.
    fn add_tree(&mut self, root: &Path) -> Result<(), TargetError> {
        let mut found = false;
        let mut members: BTreeSet<PathBuf> = BTreeSet::new();
        let mut modules: Vec<PathBuf> = Vec::new();
        let mut open = vec![root.to_path_buf()];
        while let Some(directory) = open.pop() {
            let failed = |source| TargetError::Io {
                path: directory.clone(),
                source,
            };
            for entry in fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let (name, path) = (entry.file_name(), entry.path());
                let name = name.to_string_lossy();
                if entry.file_type().map_err(failed)?.is_dir() {
                    if !name.starts_with(['.', '_']) && !SKIPPED.contains(&&*name) {
                        open.push(path);
                    }
                    continue;
                }
                match &*name {
                    "go.mod" => modules.push(path),
                    "go.work" => {
                        for member in self.add_workspace(&path)? {
                            members.extend(member.canonicalize().ok());
                        }
                    }
                    "go.sum" | "go.work.sum" => self.add_sums(&path)?,
                    _ => continue,
                }
                found = true;
            }
        }
        if !found {
            return Err(TargetError::Empty(root.into()));
        }
        for path in modules {
            let directory = path.parent().and_then(|parent| parent.canonicalize().ok());
            // A member of a workspace is built as such.
            if directory.is_none_or(|directory| !members.contains(&directory)) {
                self.add_module(&path)?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TargetError> {
    fs::read(path).map_err(|source| TargetError::Io {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_directory_is_searched_for_projects() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "one/go.mod", "module one\n");
        put(
            root,
            "one/go.sum",
            "example.com/m v1.0.0/go.mod h1:x\nexample.com/m v1.0.0 h1:y\nexample.com/n v1.0.0/go.mod h1:z\n",
        );
        put(root, "work/go.work", "go 1.22\nuse ./member\n");
        put(root, "work/member/go.mod", "module member\n");
        put(root, "work/alone/go.mod", "module alone\n");
        for skipped in ["vendor/v", "testdata/t", ".git/g", "_old"] {
            put(root, &format!("{skipped}/go.mod"), "module skipped\n");
        }
        let mut targets = Targets::default();
        targets.add(root.to_str().unwrap()).unwrap();
        let found: Vec<_> = targets
            .projects
            .keys()
            .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(found, ["one/go.mod", "work/alone/go.mod", "work/go.work"]);
        let sums: Vec<_> = targets
            .sums
            .iter()
            .map(|(m, whole)| (m.to_string(), *whole))
            .collect();
        assert_eq!(
            sums,
            [
                ("example.com/m@v1.0.0".to_owned(), true),
                ("example.com/n@v1.0.0".to_owned(), false)
            ]
        );
    }

    #[test]
    fn what_cannot_be_warmed_is_said() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "main.go", "package main\n");
        put(folder.path(), "bad/go.mod", "module x\nrequire\n");
        let name = |name: &str| folder.path().join(name).display().to_string();
        for (target, error) in [
            (name("absent"), "there is no such file or directory"),
            (name("main.go"), "name a go.mod, go.work or go.sum file"),
            (name("bad"), "go.mod:2"),
            (
                "example.com/M@main/x".to_owned(),
                "disallowed version string",
            ),
            (
                "nodot@v1.0.0".to_owned(),
                "missing dot in first path element",
            ),
        ] {
            let told = Targets::default().add(&target).unwrap_err().to_string();
            assert!(told.contains(error), "{target}: {told}");
        }
        put(folder.path(), "bad/go.mod", "module x\n");
        assert!(Targets::default().add(&name("bad")).is_ok());
        fs::remove_file(folder.path().join("bad/go.mod")).unwrap();
        let told = Targets::default()
            .add(&name("bad"))
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("there is no go.mod, go.work or go.sum"),
            "{told}"
        );
    }
}
