//! The zip of a module in the cache, as a vendor directory is compared with it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Write};
use std::path::Path;

use gomod::ModuleVersion;
use modzip::Archive;

use crate::ModuleCache;

pub(super) struct Zipped {
    archive: Archive<File>,
    /// The names below `module@version/`, with their places in the zip.
    names: BTreeMap<String, usize>,
}

/// Why there is none.
pub(super) enum Trouble {
    NotInCache,
    Unreadable(String),
}

impl Zipped {
    pub(super) fn open(cache: &ModuleCache, module: &ModuleVersion) -> Result<Self, Trouble> {
        let path = cache.file(module, "zip");
        let unreadable =
            |why: &dyn fmt::Display| Trouble::Unreadable(format!("{}: {why}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Trouble::NotInCache);
            }
            Err(error) => return Err(unreadable(&error)),
        };
        let size = file.metadata().map_err(|error| unreadable(&error))?.len();
        let archive = Archive::open(file, size).map_err(|error| unreadable(&error))?;
        let prefix = format!("{module}/");
        let names = archive
            .entries()
            .enumerate()
            .filter(|(_, entry)| !entry.is_dir())
            .filter_map(|(place, entry)| {
                let name = std::str::from_utf8(entry.name()).ok()?;
                Some((name.strip_prefix(&prefix)?.to_owned(), place))
            })
            .collect();
        Ok(Self { archive, names })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The names of the files below a directory ("" or ending in a slash), without the part that names it.
    pub(super) fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = &'a str> {
        self.names
            .range(directory.to_owned()..)
            .map_while(move |(name, _)| name.strip_prefix(directory))
    }

    /// The content of a file.
    pub(super) fn content(&self, name: &str) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        self.copy(name, &mut content).then_some(content)
    }

    /// Whether a file on disk has the content of one in the zip.
    pub(super) fn is_same(&self, name: &str, path: &Path) -> io::Result<bool> {
        let mut comparison = Comparison {
            found: BufReader::new(File::open(path)?),
            buffer: Vec::new(),
        };
        if !self.copy(name, &mut comparison) {
            return Ok(false);
        }
        Ok(comparison.found.read(&mut [0])? == 0)
    }

    fn copy(&self, name: &str, sink: &mut dyn Write) -> bool {
        let entry = self
            .names
            .get(name)
            .and_then(|&place| self.archive.entries().nth(place));
        entry.is_some_and(|entry| self.archive.copy(entry, sink).is_ok())
    }
}

/// Takes only what the file goes on with.
struct Comparison {
    found: BufReader<File>,
    buffer: Vec<u8>,
}

impl Write for Comparison {
    fn write(&mut self, expected: &[u8]) -> io::Result<usize> {
        self.buffer.resize(expected.len(), 0);
        self.found.read_exact(&mut self.buffer)?;
        if self.buffer == expected {
            Ok(expected.len())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
