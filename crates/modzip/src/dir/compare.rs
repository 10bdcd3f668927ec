//! Whether an extracted module is still what its zip holds.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice as _};
use gomod::ModuleVersion;
use sha2::{Digest as _, Sha256};

use super::{open_regular, slash_path, walk, walking};
use crate::archive::Archive;
use crate::check_zip::prefix;
use crate::error::Error;
use crate::h1::H1;
use crate::read_at::ReadAt;
use crate::scan::Origin;
use crate::workers::Workers;

/// What [`compare`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The h1 hash of the zip.
    pub hash: H1,
    /// Where the directory differs from the zip, sorted by path.
    pub differences: Vec<Difference>,
}

/// A file that is not the same in the directory and in the zip.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Path relative to the directory, with slashes.
    pub path: BString,
    /// In what it differs.
    pub kind: DifferenceKind,
}

/// In what a file of the directory differs from the zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// It is in the directory only.
    Added,
    /// Its content is another one.
    Changed,
    /// It is in the zip only.
    Missing,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DifferenceKind::Added => "added",
            DifferenceKind::Changed => "changed",
            DifferenceKind::Missing => "missing",
        };
        write!(f, "{}: {kind}", self.path)
    }
}

/// Hashes the zip of `size` bytes and compares `dir`, into which it was extracted, with it byte by byte.
///
/// Does in one pass what `go mod verify` does with two hashes, and says which files differ. Directory
/// entries of the zip are passed over: extracting does not make empty directories.
///
/// It is for the zips of a module cache, which `go` has verified and unpacked before. Needs, besides the central directory,
/// about 5 MiB of memory for each thread, whatever the zip.
pub fn compare<S: ReadAt + ?Sized>(
    source: &S,
    size: u64,
    module: &ModuleVersion,
    dir: &Path,
    workers: &Workers,
) -> Result<Comparison, Error> {
    let archive = Archive::open(source, size)?;
    let prefix = prefix(module);
    let extracted = files(dir)?;
    let results = archive.scan(
        workers,
        Origin::ModuleCache,
        Vec::new,
        |buf, entry, content| {
            let path = entry.name().strip_prefix(prefix.as_bytes());
            let mut hasher = Sha256::new();
            let mut twin = match path.and_then(|path| extracted.get(path)) {
                _ if entry.is_dir() => Twin::Same,
                Some(file) => Twin::open(file, entry.size()),
                None => Twin::Different(DifferenceKind::Missing),
            };
            content.send_to(&mut |bytes| {
                hasher.update(bytes);
                twin.compare(bytes, buf);
                Ok(())
            })?;
            let doing = || format!("compare {} with {}", dir.display(), entry.name());
            let kind = twin.finish().map_err(|error| Error::io(doing())(error))?;
            Ok((path, kind, (entry.name(), hasher.finalize().into())))
        },
    )?;

    let mut digests = Vec::with_capacity(results.len());
    let mut differences = Vec::new();
    let mut zipped = HashSet::with_capacity(results.len());
    for (path, kind, digest) in results {
        // An entry of another module keeps its whole name.
        let shown = path.unwrap_or(digest.0.as_bytes());
        differences.extend(kind.map(|kind| Difference {
            path: shown.into(),
            kind,
        }));
        zipped.extend(path);
        digests.push(digest);
    }
    let added = extracted
        .into_keys()
        .filter(|path| !zipped.contains(path.as_bytes()));
    differences.extend(added.map(|path| Difference {
        path,
        kind: DifferenceKind::Added,
    }));
    differences.sort_unstable();
    Ok(Comparison {
        hash: H1::of_files(digests)?,
        differences,
    })
}

/// The file in the directory that should be the same as an entry, on the way through both.
enum Twin {
    /// The same up to here.
    Open(File),
    /// A directory entry, which has no file.
    Same,
    Different(DifferenceKind),
    Failed(io::Error),
}

impl Twin {
    /// `size` is that of the entry, in bytes: a file of another size need not be read.
    fn open(path: &Path, size: u64) -> Self {
        match open_regular(path) {
            Ok((_, len)) if len != size => Self::Different(DifferenceKind::Changed),
            Ok((file, _)) => Self::Open(file),
            Err(error) => Self::Failed(error),
        }
    }

    /// Takes the next `bytes` of the entry. `buf` is for those of the file; it only ever grows, to what is sent at once.
    fn compare(&mut self, bytes: &[u8], buf: &mut Vec<u8>) {
        let Self::Open(file) = self else {
            return;
        };
        if buf.len() < bytes.len() {
            buf.resize(bytes.len(), 0);
        }
        let (read, _) = buf.split_at_mut(bytes.len());
        match file.read_exact(read) {
            Ok(()) if read == bytes => {}
            Ok(()) => *self = Self::Different(DifferenceKind::Changed),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                *self = Self::Different(DifferenceKind::Changed);
            }
            Err(error) => *self = Self::Failed(error),
        }
    }

    /// The difference, when all of the entry has passed.
    fn finish(self) -> io::Result<Option<DifferenceKind>> {
        match self {
            Self::Open(_) | Self::Same => Ok(None),
            Self::Different(kind) => Ok(Some(kind)),
            Self::Failed(error) => Err(error),
        }
    }
}

/// All files below `dir`, by their paths with slashes.
fn files(dir: &Path) -> Result<HashMap<BString, PathBuf>, Error> {
    let mut files = HashMap::new();
    for entry in walk(dir)? {
        let entry = entry.map_err(walking(dir))?;
        if !entry.file_type().is_dir() {
            files.insert(slash_path(dir, &entry), entry.into_path());
        }
    }
    Ok(files)
}
