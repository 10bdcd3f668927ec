//! Whether the cache still holds what was downloaded. Rules: Go's `modcmd/verify.go`.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gomod::ModuleVersion;
use modzip::{Workers, dir, hash_go_mod, hash_zip};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use crate::{Extracted, ModuleCache, SumFiles};

/// What is wrong with a version in the cache. In the words of `go mod verify` where that has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is something of it, and no record of its hash.
    MissingZipHash(String),
    /// The zip has another hash than when it was downloaded.
    ZipModified(PathBuf),
    /// The directory has another hash than the zip when that was downloaded.
    DirModified {
        /// The directory.
        directory: PathBuf,
        /// Which files differ from the zip, where the zip is there and sound.
        differences: Vec<String>,
    },
    /// The zip or the directory could not be hashed.
    Unreadable(String),
    /// go.sum, or another file of its kind, has another hash.
    SumMismatch {
        /// `go.mod`, or nothing for the zip.
        is_go_mod: bool,
        /// The hash in the cache.
        cached: String,
        /// The file with the other hash: go.sum, or in a workspace one of several.
        file: String,
        /// The first hash there.
        listed: String,
    },
}

/// What was found out about a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The version.
    pub module: ModuleVersion,
    /// Whether there was something of it to verify.
    pub in_cache: bool,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl Problem {
    /// A line (with go.sum: lines) for people about a problem of this module.
    pub fn describe(&self, module: &ModuleVersion) -> String {
        let name = format!("{} {}", module.path(), module.version());
        match self {
            Self::MissingZipHash(why) => format!("{name}: missing ziphash: {why}"),
            Self::ZipModified(path) => {
                format!("{name}: zip has been modified ({})", path.display())
            }
            Self::DirModified { directory, .. } => {
                format!("{name}: dir has been modified ({})", directory.display())
            }
            Self::Unreadable(why) => format!("{name}: {why}"),
            Self::SumMismatch {
                is_go_mod,
                cached,
                file,
                listed,
            } => {
                let part = if *is_go_mod { "/go.mod" } else { "" };
                format!(
                    "verifying {module}{part}: checksum mismatch\n\tdownloaded: {cached}\n\t{file}:     {listed}"
                )
            }
        }
    }

    /// A name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MissingZipHash(_) => "missing-ziphash",
            Self::ZipModified(_) => "zip-modified",
            Self::DirModified { .. } => "dir-modified",
            Self::Unreadable(_) => "unreadable",
            Self::SumMismatch { .. } => "go-sum-mismatch",
        }
    }
}

/// Verifies versions with so many threads (0: one for each processor), and gives the verdicts in the same order. Versions
/// of which nothing is in the cache have nothing to verify. With `sums`, the hashes that the cache has recorded must be
/// those of these files, too.
pub fn verify(
    cache: &ModuleCache,
    modules: &[ModuleVersion],
    sums: Option<&SumFiles>,
    threads: usize,
) -> Vec<Verdict> {
    let Ok(pool) = ThreadPoolBuilder::new().num_threads(threads).build() else {
        let workers = Workers::calling_thread();
        let verify = |module| verify_one(cache, module, sums, &workers);
        return modules.iter().map(verify).collect();
    };
    let pool = Arc::new(pool);
    let workers = Workers::sharing(pool.clone());
    let verify = |module| verify_one(cache, module, sums, &workers);
    pool.install(|| modules.par_iter().with_max_len(1).map(verify).collect())
}

fn verify_one(
    cache: &ModuleCache,
    module: &ModuleVersion,
    sums: Option<&SumFiles>,
    workers: &Workers,
) -> Verdict {
    let mut problems = Vec::new();
    let zip = cache.file(module, "zip");
    let zip_exists = zip.exists();
    let extracted = cache.extracted(module);
    let in_cache = zip_exists || !matches!(extracted, Ok(Extracted::Absent));
    match fs::read_to_string(cache.file(module, "ziphash")) {
        Ok(recorded) => {
            let recorded = recorded.trim();
            if let Some(sums) = sums {
                problems.extend(against_sums(sums, module, recorded, false));
            }
            let zip = zip_exists.then_some(zip.as_path());
            let found = match extracted {
                Ok(extracted) => check(module, recorded, zip, &extracted, workers),
                Err(error) => vec![Problem::Unreadable(error.to_string())],
            };
            problems.extend(found);
        }
        Err(_) if !in_cache => {}
        Err(error) => {
            let path = cache.file(module, "ziphash");
            let why = format!("open {}: {}", path.display(), words(&error));
            problems.push(Problem::MissingZipHash(why));
        }
    }
    if let Some(sums) = sums
        && let Ok(text) = fs::read(cache.file(module, "mod"))
    {
        let hash = hash_go_mod(&text).to_string();
        problems.extend(against_sums(sums, module, &hash, true));
    }
    Verdict {
        module: module.clone(),
        in_cache,
        problems,
    }
}

fn check(
    module: &ModuleVersion,
    recorded: &str,
    zip: Option<&Path>,
    extracted: &Extracted,
    workers: &Workers,
) -> Vec<Problem> {
    // One pass over both, which is all it takes when nothing was modified.
    if let (Some(zip), Extracted::Present(directory)) = (zip, extracted)
        && let Ok(found) = open(zip).and_then(|(file, size)| {
            dir::compare(&file, size, module, directory, workers).map_err(|error| error.to_string())
        })
    {
        let is_recorded = found.hash.to_string() == recorded;
        if is_recorded && found.differences.is_empty() {
            return Vec::new();
        }
        if is_recorded {
            let differences = found.differences.iter().map(ToString::to_string).collect();
            return vec![Problem::DirModified {
                directory: directory.clone(),
                differences,
            }];
        }
    }
    let mut problems = Vec::new();
    if let Some(zip) = zip {
        let hash = open(zip).and_then(|(file, size)| {
            hash_zip(&file, size, workers).map_err(|error| error.to_string())
        });
        match hash {
            Ok(hash) if hash.to_string() == recorded => {}
            Ok(_) => problems.push(Problem::ZipModified(zip.into())),
            Err(why) => return vec![Problem::Unreadable(why)],
        }
    }
    if let Extracted::Present(directory) = extracted {
        match dir::hash_dir(directory, module, workers) {
            Ok(hash) if hash.to_string() == recorded => {}
            Ok(_) => problems.push(Problem::DirModified {
                directory: directory.clone(),
                differences: Vec::new(),
            }),
            Err(error) => problems.push(Problem::Unreadable(error.to_string())),
        }
    }
    problems
}

fn against_sums(
    sums: &SumFiles,
    module: &ModuleVersion,
    hash: &str,
    is_go_mod: bool,
) -> impl Iterator<Item = Problem> {
    let suffix = if is_go_mod { "/go.mod" } else { "" };
    let version = format!("{}{suffix}", module.version());
    let found = sums.contradictions(module.path().as_str(), &version, hash);
    let cached = hash.to_owned();
    found.into_iter().map(move |found| Problem::SumMismatch {
        is_go_mod,
        cached: cached.clone(),
        file: found.file,
        listed: found.listed,
    })
}

fn open(path: &Path) -> Result<(File, u64), String> {
    let opened = File::open(path).and_then(|file| file.metadata().map(|found| (file, found.len())));
    opened.map_err(|error| format!("open {}: {}", path.display(), words(&error)))
}

/// The system's words without its number, as Go has them.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.describe(&self.module))?;
        }
        Ok(())
    }
}
