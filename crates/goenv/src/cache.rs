//! Damage in Go's module cache, found by reading, with exactly what has to go to repair it.
//!
//! Layout and rules: cmd/go/internal/modfetch (cache.go, fetch.go). Lock files are always left behind by go
//! and mean nothing; they are never reported.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fault::{Risk, Rule};
use gomod::gosum::{GoSum, Verdict};
use gomod::{ModulePath, ModuleVersion, Version};
use modzip::{Archive, H1, Workers, hash_go_mod};

use crate::finding::Finding;
use crate::fix::{Change, Fix, Scope};

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// The findings, in the order of the modules.
    pub findings: Vec<Finding>,
    /// How many module versions were looked at.
    pub looked_at: usize,
    /// False when time ran out.
    pub is_complete: bool,
}

/// A module cache.
#[derive(Clone, Debug)]
pub struct ModuleCache {
    root: PathBuf,
}

impl ModuleCache {
    /// The cache in this directory (GOMODCACHE).
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Looks at these module versions until `deadline`. Hashes of zips and go.mod files are compared
    /// with `sums`, too, where those know them.
    pub fn scan(&self, modules: &[ModuleVersion], sums: &GoSum, deadline: Instant) -> Scan {
        let mut scan = Scan {
            is_complete: true,
            ..Scan::default()
        };
        for module in modules {
            if Instant::now() >= deadline {
                scan.is_complete = false;
                break;
            }
            scan.looked_at += 1;
            self.check(module, sums, &mut scan.findings);
        }
        scan
    }

    /// The module versions that go.sum lists with a hash of their zip: those a project builds with.
    pub fn of_project(sums: &GoSum) -> Vec<ModuleVersion> {
        let lines = sums
            .iter()
            .filter(|(_, version, _)| !version.ends_with("/go.mod"));
        let mut modules: Vec<ModuleVersion> = lines
            .filter_map(|(path, version, _)| module(path, version))
            .collect();
        modules.dedup();
        modules
    }

    /// All module versions of which the cache holds any file, until `deadline`.
    pub fn all(&self, deadline: Instant) -> Vec<ModuleVersion> {
        let root = self.root.join("cache/download");
        let mut modules = Vec::new();
        let mut waiting = vec![root.clone()];
        while let Some(directory) = waiting.pop() {
            if Instant::now() >= deadline {
                break;
            }
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory && entry.file_name() == "@v" {
                    modules.extend(versions(&root, &directory));
                } else if is_directory {
                    waiting.push(entry.path());
                }
            }
        }
        modules.sort_by_cached_key(ToString::to_string);
        modules
    }

    fn check(&self, module: &ModuleVersion, sums: &GoSum, found: &mut Vec<Finding>) {
        let (path, version) = (module.path().escaped(), module.version().escaped());
        let base = self
            .root
            .join("cache/download")
            .join(path.as_str())
            .join("@v");
        let file = |ending: &str| base.join(format!("{}.{ending}", version.as_str()));
        let entry = Entry {
            module,
            sums,
            zip: file("zip"),
            ziphash: file("ziphash"),
            go_mod: file("mod"),
            info: file("info"),
            partial: file("partial"),
            directory: self
                .root
                .join(format!("{}@{}", path.as_str(), version.as_str())),
        };
        entry.check_go_mod(found);
        let hash = entry.check_zip(found);
        entry.check_directory(hash, found);
    }
}

/// The files of one module version.
struct Entry<'a> {
    module: &'a ModuleVersion,
    sums: &'a GoSum,
    zip: PathBuf,
    ziphash: PathBuf,
    go_mod: PathBuf,
    info: PathBuf,
    partial: PathBuf,
    directory: PathBuf,
}

impl Entry<'_> {
    fn check_go_mod(&self, found: &mut Vec<Finding>) {
        match std::fs::read(&self.go_mod) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => found.push(self.unreadable(&self.go_mod, &error)),
            Ok(bytes) => {
                let key = format!("{}/go.mod", self.module.version());
                let verdict = self.verdict(&key, hash_go_mod(&bytes));
                if bytes.is_empty() {
                    found.push(self.damaged(&self.go_mod, "empty", &[&self.go_mod, &self.info]));
                } else if verdict == Verdict::Mismatch {
                    found.push(self.mismatch(&self.go_mod, "go.sum", &[&self.go_mod, &self.info]));
                }
            }
        }
    }

    /// Checks the zip; returns its hash when it is whole.
    fn check_zip(&self, found: &mut Vec<Finding>) -> Option<H1> {
        let paths = [&self.zip, &self.ziphash];
        let hash = match read_zip(&self.zip) {
            Ok(hash) => hash,
            Err(ZipFault::Missing) => return None,
            Err(ZipFault::Unreadable(error)) => {
                found.push(self.unreadable(&self.zip, &error));
                return None;
            }
            Err(ZipFault::Damaged(reason)) => {
                found.push(self.damaged(&self.zip, &reason, &paths));
                return None;
            }
        };
        // Text that is no hash is made again by go.
        let recorded = std::fs::read_to_string(&self.ziphash).unwrap_or_default();
        let recorded = recorded.trim();
        if recorded.starts_with("h1:") && recorded != hash.to_string() {
            found.push(self.mismatch(&self.zip, "ziphash", &paths));
            return None;
        }
        if self.verdict(self.module.version().as_str(), hash) == Verdict::Mismatch {
            found.push(self.mismatch(&self.zip, "go.sum", &paths));
            return None;
        }
        Some(hash)
    }

    fn check_directory(&self, of_zip: Option<H1>, found: &mut Vec<Finding>) {
        if self.partial.exists() {
            found.push(
                Finding::new(Rule::CacheLeftover)
                    .at(&self.partial, None)
                    .with("module", self.module.to_string()),
            );
            return;
        }
        let Some(of_zip) = of_zip.filter(|_| self.directory.is_dir()) else {
            return;
        };
        let workers = Workers::calling_thread();
        let is_same = modzip::dir::hash_dir(&self.directory, self.module, &workers)
            .is_ok_and(|hash| hash == of_zip);
        if !is_same {
            found.push(
                Finding::new(Rule::CacheDirChanged)
                    .at(&self.directory, None)
                    .with("module", self.module.to_string())
                    .fixes(self.repair(&[&self.directory])),
            );
        }
    }

    fn verdict(&self, version: &str, hash: H1) -> Verdict {
        self.sums
            .verify(self.module.path().as_str(), version, &hash.to_string())
    }

    fn damaged(&self, file: &Path, reason: &str, paths: &[&PathBuf]) -> Finding {
        Finding::new(Rule::CacheFileDamaged)
            .at(file, None)
            .with("module", self.module.to_string())
            .with("detail", reason)
            .fixes(self.repair(paths))
    }

    fn mismatch(&self, file: &Path, other: &str, paths: &[&PathBuf]) -> Finding {
        Finding::new(Rule::CacheHashMismatch)
            .at(file, None)
            .with("module", self.module.to_string())
            .with("other", other)
            .fixes(self.repair(paths))
    }

    fn unreadable(&self, file: &Path, error: &io::Error) -> Finding {
        Finding::new(Rule::CacheUnreadable)
            .at(file, None)
            .with("module", self.module.to_string())
            .with("detail", error.to_string())
    }

    /// What is damaged goes, and is fetched and checked again.
    fn repair(&self, paths: &[&PathBuf]) -> Vec<Fix> {
        let paths = paths.iter().filter(|path| path.symlink_metadata().is_ok());
        let remove = Change::Remove {
            paths: paths.map(|path| (*path).clone()).collect(),
        };
        let download = ["go", "mod", "download", &self.module.to_string()].map(str::to_owned);
        let download = Change::Run {
            command: download.to_vec(),
            undo: None,
        };
        vec![
            Fix::new(remove, Scope::User, Risk::Low),
            Fix::new(download, Scope::User, Risk::None),
        ]
    }
}

enum ZipFault {
    Missing,
    Unreadable(io::Error),
    Damaged(String),
}

fn read_zip(path: &Path) -> Result<H1, ZipFault> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ZipFault::Missing,
        _ => ZipFault::Unreadable(error),
    })?;
    let size = file.metadata().map_err(ZipFault::Unreadable)?.len();
    if size == 0 {
        return Err(ZipFault::Damaged("empty".to_owned()));
    }
    let archive =
        Archive::open(file, size).map_err(|error| ZipFault::Damaged(error.to_string()))?;
    let hash = archive.hash(&Workers::calling_thread());
    hash.map_err(|error| ZipFault::Damaged(error.to_string()))
}

fn module(path: &str, version: &str) -> Option<ModuleVersion> {
    ModuleVersion::new(ModulePath::new(path).ok()?, Version::new(version).ok()?).ok()
}

/// The versions in the `@v` directory of a module, by the names of their files.
fn versions(root: &Path, directory: &Path) -> Vec<ModuleVersion> {
    let path = directory.strip_prefix(root).ok().and_then(Path::to_str);
    let Some(path) = path.and_then(|escaped| ModulePath::unescape(escaped).ok()) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(directory.join("@v"))
        .into_iter()
        .flatten();
    let mut versions: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (version, ending) = name.rsplit_once('.')?;
            matches!(ending, "zip" | "mod" | "partial").then(|| version.to_owned())
        })
        .collect();
    versions.sort();
    versions.dedup();
    let of = |escaped: String| {
        let version = Version::unescape(&escaped).ok()?;
        ModuleVersion::new(path.clone(), version).ok()
    };
    versions.into_iter().filter_map(of).collect()
}
