//! Whether a vendor directory is what go.mod asks for, and whether its files are those of the module zips in the cache.

mod copied;
mod zipped;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::modfile::ModFile;
use gomod::vendor::{ModulesTxt, VendoredModule};
use gomod::{ModulePath, ModuleVersion, Version};
use walkdir::WalkDir;

use self::copied::Rules;
use self::zipped::{Trouble, Zipped};
use crate::ModuleCache;

const MODULES_TXT: &str = "modules.txt";

/// Something wrong with a vendor directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendorProblem {
    /// modules.txt and go.mod contradict each other: `go build` refuses to go on. In its words.
    Inconsistent(String),
    /// A file has another content than in the zip of its module.
    Modified(String),
    /// The zip of its module has no such file.
    Added(String),
    /// The zip of the module has this file, and `go mod vendor` would have copied it.
    Missing(String),
    /// It, or the zip it should be from, could not be read.
    Unreadable(String),
}

impl VendorProblem {
    /// A name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Inconsistent(_) => "vendor-inconsistent",
            Self::Modified(_) => "vendor-modified",
            Self::Added(_) => "vendor-added",
            Self::Missing(_) => "vendor-missing",
            Self::Unreadable(_) => "vendor-unreadable",
        }
    }

    /// A line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Inconsistent(words) => format!("inconsistent vendoring: {words}"),
            Self::Modified(path) => format!("{path} has been modified"),
            Self::Added(path) => format!("{path} is in no module zip: it was added"),
            Self::Missing(path) => format!("{path} is missing: its module zip has it"),
            Self::Unreadable(why) => why.clone(),
        }
    }
}

/// What was found out about a vendor directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VendorReport {
    /// Files that were compared with those of a zip.
    pub files: usize,
    /// What is wrong, in the order of the names.
    pub problems: Vec<VendorProblem>,
    /// Modules whose files nothing in the cache vouches for.
    pub unverifiable: Vec<Unvouched>,
    /// The modules that the files are from, replacements in the place of what they replace.
    pub modules: Vec<ModuleVersion>,
}

/// Something in a vendor directory that nothing in the cache vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unvouched {
    /// The module.
    pub module: String,
    /// Why.
    pub reason: UnvouchedReason,
}

/// Why nothing in the cache vouches for a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnvouchedReason {
    /// This directory replaces it.
    Directory(String),
    /// Its zip is not in the cache, but can be had.
    NotInCache(ModuleVersion),
    /// modules.txt names it with a path or a version that no module can have.
    Malformed(String),
}

impl fmt::Display for UnvouchedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => write!(f, "it is replaced by the directory {directory}"),
            Self::NotInCache(version) => write!(f, "the zip of {version} is not in the cache"),
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

/// Verifies the vendor directory of the project in `directory`. `None`: it has none.
///
/// What is compared: modules.txt with go.mod, as a build with `-mod=vendor` does; every file with the zip of the module it
/// is from; and, for each package in modules.txt, whether a file is missing that `go mod vendor` copies. Of a directory
/// that `go work vendor` made, or where there is no go.mod file, all but the first.
///
/// # Errors
/// When the vendor directory cannot be read.
pub fn verify_vendor(
    cache: &ModuleCache,
    directory: &Path,
    go_mod: Option<&ModFile>,
) -> io::Result<Option<VendorReport>> {
    let root = directory.join("vendor");
    if !root.is_dir() {
        return Ok(None);
    }
    let text = match fs::read(root.join(MODULES_TXT)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let listed = ModulesTxt::parse(&text);
    let mut report = VendorReport::default();
    let rules = match go_mod {
        Some(go_mod) if !listed.is_of_workspace() => {
            let found = listed.inconsistencies(go_mod);
            let words = found
                .iter()
                .map(|found| VendorProblem::Inconsistent(found.to_string()));
            report.problems.extend(words);
            Rules::of_module(go_mod.go().map_or("", |go| go.version.as_str()))
        }
        Some(_) | None => Rules::of_workspace(),
    };
    let mut comparing = Comparing {
        root,
        listed,
        rules,
        sources: BTreeMap::new(),
        report,
    };
    comparing.open_sources(cache);
    comparing.compare_files()?;
    comparing.look_for_missing();
    Ok(Some(comparing.report))
}

struct Comparing {
    root: PathBuf,
    listed: ModulesTxt,
    rules: Rules,
    /// By the path under which the module is vendored. `None`: nothing vouches for its files.
    sources: BTreeMap<String, Option<Zipped>>,
    report: VendorReport,
}

impl Comparing {
    fn open_sources(&mut self, cache: &ModuleCache) {
        for module in self.listed.modules().to_vec() {
            let source = self.open_source(cache, &module);
            self.sources.insert(module.path, source);
        }
    }

    fn open_source(&mut self, cache: &ModuleCache, module: &VendoredModule) -> Option<Zipped> {
        let version = match self.zip_of(module) {
            Ok(version) => version,
            Err(reason) => return self.unvouched(module, reason),
        };
        let source = Zipped::open(cache, &version);
        self.report.modules.push(version.clone());
        match source {
            Ok(source) => Some(source),
            Err(Trouble::NotInCache) => {
                self.unvouched(module, UnvouchedReason::NotInCache(version))
            }
            Err(Trouble::Unreadable(why)) => {
                self.report.problems.push(VendorProblem::Unreadable(why));
                None
            }
        }
    }

    fn unvouched<T>(&mut self, module: &VendoredModule, reason: UnvouchedReason) -> Option<T> {
        let module = module.to_string();
        self.report.unverifiable.push(Unvouched { module, reason });
        None
    }

    /// The version whose zip has the files of a vendored module.
    fn zip_of(&self, module: &VendoredModule) -> Result<ModuleVersion, UnvouchedReason> {
        let all_versions = VendoredModule {
            path: module.path.clone(),
            version: String::new(),
        };
        let replacement = self.listed.replacement(module);
        let from = replacement
            .or_else(|| self.listed.replacement(&all_versions))
            .unwrap_or(module);
        if from.version.is_empty() {
            return Err(UnvouchedReason::Directory(from.path.clone()));
        }
        let named = || {
            let path = ModulePath::new(&from.path).map_err(|error| error.to_string())?;
            let version = Version::new(&from.version).map_err(|error| error.to_string())?;
            ModuleVersion::new(path, version).map_err(|error| error.to_string())
        };
        named().map_err(UnvouchedReason::Malformed)
    }

    fn compare_files(&mut self) -> io::Result<()> {
        for entry in WalkDir::new(&self.root).sort_by_file_name() {
            let entry = entry?;
            let relative = entry
                .path()
                .strip_prefix(&self.root)
                .unwrap_or(Path::new(""));
            if entry.file_type().is_dir() || relative == Path::new(MODULES_TXT) {
                continue;
            }
            let Some(name) = relative.to_str().map(ToOwned::to_owned) else {
                let path = entry.path().display().to_string();
                self.report.problems.push(VendorProblem::Added(path));
                continue;
            };
            self.compare_file(&name, entry.file_type().is_file(), entry.path());
        }
        Ok(())
    }

    fn compare_file(&mut self, name: &str, is_file: bool, path: &Path) {
        let shown = format!("vendor/{name}");
        let mut problem = Some(VendorProblem::Added(shown.clone()));
        for (module, source) in self.owners(name) {
            let Some(source) = source else {
                // It may be from there, which nobody can tell.
                return;
            };
            let below = name.get(module.len() + 1..).unwrap_or_default();
            if !source.has(below) {
                continue;
            }
            problem = match source.is_same(below, path) {
                Ok(true) if is_file => None,
                Err(error) if is_file => {
                    Some(VendorProblem::Unreadable(format!("{shown}: {error}")))
                }
                _ => Some(VendorProblem::Modified(shown)),
            };
            break;
        }
        self.report.files += 1;
        self.report.problems.extend(problem);
    }

    /// The modules that a file below the vendor directory may be from, that with the longest path first.
    fn owners<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, Option<&'a Zipped>)> {
        let ends = name.rmatch_indices('/').map(|(end, _)| end);
        ends.filter_map(move |end| {
            let (module, source) = self.sources.get_key_value(name.get(..end)?)?;
            Some((module.as_str(), source.as_ref()))
        })
    }

    fn look_for_missing(&mut self) {
        let mut missing = BTreeSet::new();
        for (package, module) in self.listed.packages() {
            let Some(Some(source)) = self.sources.get(&module.path) else {
                continue;
            };
            let Some(directory) = package.strip_prefix(module.path.as_str()) else {
                continue;
            };
            for name in self.rules.copied(source, directory.trim_start_matches('/')) {
                let name = format!("{}/{name}", module.path);
                if fs::symlink_metadata(self.root.join(&name)).is_err() {
                    missing.insert(format!("vendor/{name}"));
                }
            }
        }
        let missing = missing.into_iter().map(VendorProblem::Missing);
        self.report.problems.extend(missing);
    }
}
