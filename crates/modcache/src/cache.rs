use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gomod::{ModulePath, ModuleVersion, Version};
use walkdir::WalkDir;

/// A module cache.
#[derive(Clone, Debug)]
pub struct ModuleCache {
    root: PathBuf,
    /// Where the downloaded files are, below the root.
    downloads: PathBuf,
    has_extracted: bool,
}

/// The directory that a module was extracted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extracted {
    /// There is none, or it is not complete, so that the `go` command would extract it anew.
    Absent,
    /// It is there.
    Present(PathBuf),
}

impl ModuleCache {
    /// The cache in `root`, the value of `GOMODCACHE`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            downloads: root.join("cache").join("download"),
            root,
            has_extracted: true,
        }
    }

    /// The store of a modkeep in `root`: the downloaded files as in a cache, and nothing extracted.
    pub fn of_store(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            downloads: root.join("tree"),
            root,
            has_extracted: false,
        }
    }

    /// The directory of the cache.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file of a version with this ending (`zip`, `ziphash`, `mod`, `info`, `partial`) is, if it is there
    /// (Go's `modfetch.CachePath`).
    pub fn file(&self, module: &ModuleVersion, ending: &str) -> PathBuf {
        let (path, version) = (module.path().escaped(), module.version().escaped());
        self.downloads.join(format!("{path}/@v/{version}.{ending}"))
    }

    /// The directory of an extracted version (Go's `modfetch.DownloadDir`).
    ///
    /// # Errors
    /// When something other than a directory is in its place, or it cannot be looked at.
    pub fn extracted(&self, module: &ModuleVersion) -> io::Result<Extracted> {
        if !self.has_extracted {
            return Ok(Extracted::Absent);
        }
        let (path, version) = (module.path().escaped(), module.version().escaped());
        let directory = self.root.join(format!("{path}@{version}"));
        match fs::metadata(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Extracted::Absent),
            Err(error) => Err(error),
            Ok(found) if !found.is_dir() => Ok(Extracted::Absent),
            // An extraction under way or cut short, or of nobody knows what.
            Ok(_) if self.file(module, "partial").exists() => Ok(Extracted::Absent),
            Ok(_) if !self.file(module, "ziphash").exists() => Ok(Extracted::Absent),
            Ok(_) => Ok(Extracted::Present(directory)),
        }
    }

    /// Every version of which a zip or its hash is in the cache, sorted.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn versions(&self) -> io::Result<Vec<ModuleVersion>> {
        let downloads = &self.downloads;
        let mut versions = Vec::new();
        for entry in WalkDir::new(downloads) {
            let entry = entry?;
            let relative = entry.path().strip_prefix(downloads).ok();
            versions.extend(relative.and_then(Path::to_str).and_then(version_of));
        }
        versions.sort();
        versions.dedup();
        Ok(versions)
    }
}

fn version_of(relative: &str) -> Option<ModuleVersion> {
    let (path, file) = relative.rsplit_once("/@v/")?;
    let version = file
        .strip_suffix(".zip")
        .or_else(|| file.strip_suffix(".ziphash"))?;
    let (path, version) = (ModulePath::unescape(path), Version::unescape(version));
    ModuleVersion::new(path.ok()?, version.ok()?).ok()
}
