//! Modules as directories of the file system. The only part of the crate that walks and writes one.

mod compare;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use bstr::{BStr, BString};
use gomod::ModuleVersion;
use sha2::{Digest as _, Sha256};
use walkdir::{DirEntry, WalkDir};

use crate::archive::Archive;
use crate::check_files::check_files;
use crate::check_zip::prefix;
use crate::create::{Created, create};
use crate::entry::Entry;
use crate::error::Error;
use crate::h1::{FileDigest, H1};
use crate::read_at::ReadAt;
use crate::report::{Checked, OmitReason, Omitted};
use crate::source::{FileKind, Metadata, SourceFile};
use crate::vendored::VendorRule;
use crate::workers::Workers;

pub use compare::{Comparison, Difference, DifferenceKind, compare};

/// Bytes of a file read at once.
const CHUNK: usize = 64 << 10;

/// How many files one piece of work hashes.
const FILES_AT_ONCE: usize = 32;

/// Sorts the files below `dir` into those that belong in the module zip, those that stay out and those that make
/// the module unfit (x/mod zip `CheckDir`). Paths are relative to `dir`, with slashes; a directory that
/// stays out is listed without its files. Reads the root go.mod and no other file.
pub fn check_dir(dir: &Path) -> Result<Checked, Error> {
    let listing = list(dir)?;
    let mut checked = check_files(&listing.files);
    checked.omitted.extend(listing.omitted);
    Ok(checked)
}

/// Writes the zip of `module` from the files below `dir` to `writer`, as [`create`] does (x/mod zip
/// `CreateFromDir`).
pub fn create_from_dir<W: Write>(
    writer: W,
    module: &ModuleVersion,
    dir: &Path,
) -> Result<Created, Error> {
    let listing = list(dir)?;
    let mut created = create(writer, module, &listing.files)?;
    created.omitted.extend(listing.omitted);
    Ok(created)
}

/// The h1 hash of the files below `dir`, which is an extracted zip of `module` (Go's `dirhash.HashDir`).
///
/// Every file counts, also one that no zip would hold: a file too many is a change. Symbolic links are followed.
pub fn hash_dir(dir: &Path, module: &ModuleVersion, workers: &Workers) -> Result<H1, Error> {
    let prefix = prefix(module);
    let mut files = Vec::new();
    for entry in walk(dir)? {
        let entry = entry.map_err(walking(dir))?;
        if !entry.file_type().is_dir() {
            let mut name = BString::from(prefix.as_bytes());
            name.extend_from_slice(&slash_path(dir, &entry));
            files.push((name, entry.into_path()));
        }
    }
    let batches: Vec<_> = files.chunks(FILES_AT_ONCE).collect();
    let digests = workers.map(
        &batches,
        || vec![0; CHUNK],
        |chunk, batch| {
            let digest_of = |(name, path): &(BString, PathBuf)| {
                let digest =
                    hash_file(path, chunk).map_err(Error::io(format!("read {}", path.display())));
                Ok((name.clone(), digest?))
            };
            batch
                .iter()
                .map(digest_of)
                .collect::<Result<Vec<_>, Error>>()
        },
    )?;
    H1::of_files(digests.into_iter().flatten().collect())
}

/// Extracts the zip of `size` bytes, which must be a valid zip of `module`, into `dir` (x/mod zip `Unzip`).
///
/// `dir` must be empty or not exist; it is made with all its parents. Files are read-only (0444), empty
/// directories are not made. A file is there whole or, after an error, not at all, but files before it stay: extract
/// beside the final place and rename.
pub fn unzip<S: ReadAt + ?Sized>(
    source: &S,
    size: u64,
    module: &ModuleVersion,
    dir: &Path,
) -> Result<(), Error> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::TargetNotEmpty(dir.into()));
    }
    let archive = Archive::open(source, size)?;
    archive.check(module).fit()?;
    make_dir(dir)?;
    let prefix = prefix(module);
    for entry in archive.entries() {
        if entry.is_dir() {
            archive.copy(entry, &mut io::sink())?;
            continue;
        }
        // Names of a fit zip have the prefix, are UTF-8 and stay below the directory.
        let name = String::from_utf8_lossy(entry.name());
        let target = dir.join(name.strip_prefix(prefix.as_str()).unwrap_or(&name));
        extract(&archive, entry, &target)?;
    }
    Ok(())
}

fn extract<S: ReadAt>(archive: &Archive<S>, entry: Entry<'_>, target: &Path) -> Result<(), Error> {
    if let Some(parent) = target.parent() {
        make_dir(parent)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o444);
    let mut file = options
        .open(target)
        .map_err(Error::io(format!("create {}", target.display())))?;
    let done = archive.copy(entry, &mut file);
    drop(file);
    if done.is_err() {
        // The error that is reported is the first one.
        let _ = fs::remove_file(target);
        return done;
    }
    #[cfg(not(unix))]
    set_read_only(target)?;
    done
}

#[cfg(not(unix))]
fn set_read_only(target: &Path) -> Result<(), Error> {
    let doing = || Error::io(format!("make {} read-only", target.display()));
    let mut permissions = fs::metadata(target).map_err(doing())?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(target, permissions).map_err(doing())
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(Error::io(format!("create {}", dir.display())))
}

/// The file at `path` and its size in bytes.
fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    let file = open_at_once(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// Opens what is there; a named pipe, too, without waiting for its writer. What it is, is asked of the open file: its path is
/// followed once.
#[cfg(unix)]
fn open_at_once(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_at_once(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn hash_file(path: &Path, chunk: &mut [u8]) -> io::Result<FileDigest> {
    let (mut file, _) = open_regular(path)?;
    let mut hasher = Sha256::new();
    loop {
        match file.read(chunk) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(read) => hasher.update(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The files below a directory that may belong to its module, and what was left out with whole directories.
struct Listing {
    files: Vec<DirFile>,
    omitted: Vec<Omitted>,
}

fn list(dir: &Path) -> Result<Listing, Error> {
    let vendor = fs::read(dir.join("go.mod")).map_or(VendorRule::Before124, |content| {
        VendorRule::of_go_mod(&content)
    });
    let mut listing = Listing {
        files: Vec::new(),
        omitted: Vec::new(),
    };
    let mut walk = walk(dir)?.sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        let entry = entry.map_err(walking(dir))?;
        let path = slash_path(dir, &entry);
        let reason = if vendor.omits(&path) {
            OmitReason::Vendored
        } else if entry.file_type().is_dir() {
            match other_module_or_repository(&entry) {
                Some(reason) => {
                    walk.skip_current_dir();
                    reason
                }
                None => continue,
            }
        } else if entry.file_type().is_file() {
            let size = entry.metadata().map_err(walking(dir))?.len();
            listing.files.push(DirFile {
                path,
                file: entry.into_path(),
                size,
            });
            continue;
        } else {
            OmitReason::NotRegular
        };
        listing.omitted.push(Omitted { path, reason });
    }
    Ok(listing)
}

fn other_module_or_repository(dir: &DirEntry) -> Option<OmitReason> {
    if [".bzr", ".git", ".hg", ".svn"]
        .iter()
        .any(|&name| dir.file_name() == name)
    {
        return Some(OmitReason::VersionControl);
    }
    let go_mod = fs::symlink_metadata(dir.path().join("go.mod"));
    go_mod
        .is_ok_and(|found| !found.is_dir())
        .then_some(OmitReason::DirectoryInOtherModule)
}

/// Everything below `dir`, each directory before what is in it.
fn walk(dir: &Path) -> Result<WalkDir, Error> {
    let metadata =
        fs::symlink_metadata(dir).map_err(Error::io(format!("read {}", dir.display())))?;
    if !metadata.is_dir() {
        return Err(Error::NotADirectory(dir.into()));
    }
    Ok(WalkDir::new(dir).min_depth(1))
}

fn walking(dir: &Path) -> impl FnOnce(walkdir::Error) -> Error {
    let doing = format!("read {}", dir.display());
    move |error| Error::Io {
        doing,
        source: error.into(),
    }
}

/// Path of `entry` below `dir`, with slashes.
fn slash_path(dir: &Path, entry: &DirEntry) -> BString {
    let below = entry.path().strip_prefix(dir).unwrap_or(entry.path());
    if std::path::MAIN_SEPARATOR == '/' {
        return below.as_os_str().as_encoded_bytes().into();
    }
    let elements = below
        .components()
        .map(|element| element.as_os_str().as_encoded_bytes());
    bstr::join("/", elements).into()
}

struct DirFile {
    path: BString,
    file: PathBuf,
    size: u64,
}

impl SourceFile for DirFile {
    fn path(&self) -> &BStr {
        self.path.as_ref()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata {
            kind: FileKind::Regular,
            size: self.size,
        })
    }

    fn open(&self) -> io::Result<Box<dyn io::Read + '_>> {
        Ok(Box::new(File::open(&self.file)?))
    }
}
