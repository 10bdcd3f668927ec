//! Which versions are wanted, as files of projects say it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::gosum::{GoSum, Verdict};
use gomod::modfile::{ModFile, WorkFile};
use gomod::{ModulePath, ModuleVersion, Version};
use modzip::H1;

use crate::BundleError;
use crate::graph::Project;

/// Something that says which versions are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A go.sum file: versions with a line of their own whole, of the others the go.mod file.
    GoSum(PathBuf),
    /// A go.mod file: what its go.sum says; without one, what its module graph needs.
    GoMod(PathBuf),
    /// A go.work file: what the go.sum files of the workspace say; without one, what its module graph needs.
    GoWork(PathBuf),
    /// A list: `module@version` on each line, `#` before what is none.
    List(PathBuf),
    /// A version.
    Version(ModuleVersion),
}

impl Source {
    /// Takes an argument for a version, or for a file of the kind that its name says.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let path = PathBuf::from(text);
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        Ok(match name {
            "go.work.sum" => Self::GoSum(path),
            _ if name.ends_with(".sum") => Self::GoSum(path),
            "go.mod" => Self::GoMod(path),
            "go.work" => Self::GoWork(path),
            _ if text.contains('@') && !path.exists() => {
                Self::Version(version(text).map_err(|reason| selection(text, reason))?)
            }
            _ => Self::List(path),
        })
    }
}

/// The versions that are wanted.
#[derive(Debug, Default)]
pub struct Selection {
    /// Those of which everything is wanted.
    pub(crate) whole: BTreeSet<ModuleVersion>,
    /// Those of which `go` needs the go.mod file.
    pub(crate) go_mods: BTreeSet<ModuleVersion>,
    /// Those that were named: the go.mod files of what they require are wanted, too.
    pub(crate) named: BTreeSet<ModuleVersion>,
    /// Projects whose module graph says what is wanted.
    pub(crate) projects: Vec<Project>,
    /// What the hashes must be.
    sums: Vec<(PathBuf, GoSum)>,
}

impl Selection {
    /// Reads all sources. Blocks on the disk.
    pub fn read(sources: &[Source]) -> Result<Self, BundleError> {
        let mut selection = Self::default();
        for source in sources {
            match source {
                Source::GoSum(path) => selection.add_go_sum(path)?,
                Source::GoMod(path) => selection.add_go_mod(path)?,
                Source::GoWork(path) => selection.add_go_work(path)?,
                Source::List(path) => selection.add_list(path)?,
                Source::Version(module) => drop(selection.named.insert(module.clone())),
            }
        }
        Ok(selection)
    }

    fn add_go_sum(&mut self, path: &Path) -> Result<(), BundleError> {
        let data = read(path)?;
        let sums = GoSum::parse(&path.display().to_string(), &data)
            .map_err(|error| selection("go.sum", error))?;
        for (module, version, _) in sums.iter() {
            let (version, is_go_mod) = match version.strip_suffix("/go.mod") {
                Some(version) => (version, true),
                None => (version, false),
            };
            let module = module_version(module, version)
                .map_err(|reason| selection(path.display(), reason))?;
            let wanted = if is_go_mod {
                &mut self.go_mods
            } else {
                &mut self.whole
            };
            wanted.insert(module);
        }
        self.sums.push((path.to_path_buf(), sums));
        Ok(())
    }

    fn add_go_mod(&mut self, path: &Path) -> Result<(), BundleError> {
        let sums = path.with_file_name("go.sum");
        if sums.is_file() {
            return self.add_go_sum(&sums);
        }
        let project = Project::single(path, &read_go_mod(path)?)?;
        self.projects.push(project);
        Ok(())
    }

    fn add_go_work(&mut self, path: &Path) -> Result<(), BundleError> {
        let work = WorkFile::parse(&path.display().to_string(), &read(path)?)
            .map_err(|error| selection(path.display(), error))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let directories: Vec<String> = work
            .uses()
            .iter()
            .map(|directive| directive.path.clone())
            .collect();
        let mut sums = vec![path.with_file_name("go.work.sum")];
        sums.extend(
            directories
                .iter()
                .map(|directory| base.join(directory).join("go.sum")),
        );
        sums.retain(|file| file.is_file());
        for file in &sums {
            self.add_go_sum(file)?;
        }
        if sums.is_empty() {
            let mut members = Vec::new();
            for directory in directories {
                let file = read_go_mod(&base.join(&directory).join("go.mod"))?;
                members.push((directory, file));
            }
            self.projects
                .push(Project::workspace(path, &work, &members)?);
        }
        Ok(())
    }

    fn add_list(&mut self, path: &Path) -> Result<(), BundleError> {
        let text = read(path)?;
        let text = String::from_utf8_lossy(&text);
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let module = version(line).map_err(|reason| {
                selection(format_args!("{}:{}", path.display(), number + 1), reason)
            })?;
            self.named.insert(module);
        }
        Ok(())
    }

    /// What a file of a version hashes to must be what the go.sum files say.
    pub(crate) fn check_sum(
        &self,
        module: &ModuleVersion,
        is_go_mod: bool,
        name: &str,
        found: H1,
    ) -> Result<(), BundleError> {
        let suffix = if is_go_mod { "/go.mod" } else { "" };
        let (path, version) = (
            module.path().as_str(),
            format!("{}{suffix}", module.version()),
        );
        for (file, sums) in &self.sums {
            if sums.verify(path, &version, &found.to_string()) == Verdict::Mismatch {
                return Err(BundleError::Mismatch {
                    name: name.to_owned(),
                    found,
                    expected: sums.lookup(path, &version).join(" and "),
                    authority: file.display().to_string(),
                });
            }
        }
        Ok(())
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
            && self.go_mods.is_empty()
            && self.named.is_empty()
            && self.projects.is_empty()
    }
}

/// `module@version` or `module version`.
fn version(text: &str) -> Result<ModuleVersion, String> {
    let (module, version) = text
        .split_once('@')
        .or_else(|| text.split_once(char::is_whitespace))
        .ok_or_else(|| format!("{text:?} is no module@version"))?;
    module_version(module.trim(), version.trim())
}

fn module_version(module: &str, version: &str) -> Result<ModuleVersion, String> {
    let path = ModulePath::new(module).map_err(|error| error.to_string())?;
    let version = Version::new(version).map_err(|error| {
        format!("{error}; a bundle needs a version such as v1.2.3, not a branch or latest")
    })?;
    ModuleVersion::new(path, version).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    fs::read(path).map_err(BundleError::io("read", path))
}

pub(crate) fn read_go_mod(path: &Path) -> Result<ModFile, BundleError> {
    ModFile::parse(&path.display().to_string(), &read(path)?)
        .map_err(|error| selection(path.display(), error))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers hand over what they have: a path, an error, a text"
)]
pub(crate) fn selection(place: impl ToString, reason: impl ToString) -> BundleError {
    BundleError::Selection {
        place: place.to_string(),
        reason: reason.to_string(),
    }
}

/// The file if it is there.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
