use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use modzip::ReadAt;
use store::Hasher;

use crate::archive::{self, BLOCK_LEN, END, MANIFEST, MANIFEST_DIGEST};
use crate::manifest::{MAX_MANIFEST, Manifest};
use crate::{BundleError, EntryName, FileEntry};

/// Contents are read in pieces of so many bytes.
const PIECE: usize = 256 * 1024;
/// The most bytes of an entry that is read into memory whole.
const MAX_SMALL: u64 = 16 << 20;

/// A bundle, opened: every header was found where the manifest says that it is, and nothing between them. What the
/// contents are is another question ([`Self::check_contents`]).
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    file: File,
    len: u64,
    manifest: Manifest,
    digest: String,
    /// Where the content of each entry begins, and which it is in the manifest.
    offsets: HashMap<EntryName, (u64, usize)>,
}

impl Bundle {
    /// Opens a file. Blocks on the disk; memory is bounded by the manifest, which is limited.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(BundleError::io("open", path))?;
        let metadata = file.metadata().map_err(BundleError::io("read", path))?;
        if !metadata.is_file() {
            return Err(BundleError::NoBundle("it is no regular file".to_owned()));
        }
        let mut bundle = Self {
            path: path.to_path_buf(),
            file,
            len: metadata.len(),
            manifest: Manifest::new(Vec::new(), Vec::new(), Vec::new(), None),
            digest: String::new(),
            offsets: HashMap::new(),
        };
        let json = bundle.read_manifest()?;
        bundle.digest = store::Digest::of(&json).to_string();
        let line = archive::digest_line(&bundle.digest);
        let mut position = bundle.entry_end(0, MANIFEST, json.len() as u64)?;
        let begin = bundle.check_header(position, MANIFEST_DIGEST, line.len() as u64)?;
        if bundle.read(begin, line.len() as u64, MANIFEST_DIGEST)? != line.as_bytes() {
            return Err(BundleError::entry(
                MANIFEST,
                format!("its digest is not the one in {MANIFEST_DIGEST}"),
            ));
        }
        position = bundle.entry_end(position, MANIFEST_DIGEST, line.len() as u64)?;
        bundle.manifest = Manifest::parse(&json)?;
        bundle.walk(position)?;
        Ok(bundle)
    }

    fn read_manifest(&self) -> Result<Vec<u8>, BundleError> {
        let mut block = [0; BLOCK_LEN];
        if self.file.read_exact_at(&mut block, 0).is_err() {
            return Err(BundleError::NoBundle("it is too short".to_owned()));
        }
        let header = tar::Header::from_byte_slice(&block);
        let is_manifest = *header.path_bytes() == *MANIFEST.as_bytes();
        let size = header.size().ok().filter(|_| is_manifest);
        let Some(size) = size else {
            return Err(BundleError::NoBundle(format!(
                "it begins with {} and not with {MANIFEST}",
                archive::describe(&block)
            )));
        };
        if size > MAX_MANIFEST {
            return Err(BundleError::Manifest(format!(
                "it has {size} bytes, and {MAX_MANIFEST} are the most"
            )));
        }
        let begin = self.check_header(0, MANIFEST, size)?;
        self.read(begin, size, MANIFEST)
    }

    /// Finds every entry where it must be, and the end behind the last.
    fn walk(&mut self, mut position: u64) -> Result<(), BundleError> {
        let mut offsets = HashMap::with_capacity(self.manifest.files.len());
        for (index, entry) in self.manifest.files.iter().enumerate() {
            let name = entry.name.to_string();
            let begin = self.check_header(position, &name, entry.size)?;
            position = self.entry_end(position, &name, entry.size)?;
            offsets.insert(entry.name.clone(), (begin, index));
        }
        let rest = self.len.saturating_sub(position);
        let end = self.read(position, rest.min(END), "the end of the archive")?;
        if end.iter().any(|byte| *byte != 0) {
            let found = archive::describe(end.get(..BLOCK_LEN).unwrap_or(&end));
            return Err(BundleError::entry(found, "it is not in the manifest"));
        }
        if rest != END {
            return Err(BundleError::NoBundle(format!(
                "{rest} bytes follow its last entry in place of {END}"
            )));
        }
        self.offsets = offsets;
        Ok(())
    }

    /// Compares a header with what it must be, and gives the place behind it.
    fn check_header(&self, position: u64, name: &str, size: u64) -> Result<u64, BundleError> {
        let expected = archive::header(name, size)?;
        let end = position + expected.len() as u64;
        let available = self.len.saturating_sub(position).min(expected.len() as u64);
        let found = self.read(position, available, name)?;
        if found == expected {
            return Ok(end);
        }
        let block = found.get(..BLOCK_LEN).unwrap_or_default();
        Err(BundleError::entry(
            name,
            format!(
                "the manifest has {size} bytes of it here, and there is {}",
                archive::describe(block)
            ),
        ))
    }

    /// The place behind an entry. What fills its last block must be zeros.
    fn entry_end(&self, position: u64, name: &str, size: u64) -> Result<u64, BundleError> {
        let header = archive::header(name, size)?.len() as u64;
        let padding = archive::padding(size);
        let content_end = position
            .checked_add(header)
            .and_then(|begin| begin.checked_add(size))
            .filter(|end| end.checked_add(padding).is_some_and(|end| end <= self.len));
        let content_end =
            content_end.ok_or_else(|| BundleError::entry(name, "the file ends within it"))?;
        let fill = self.read(content_end, padding, name)?;
        if fill.iter().any(|byte| *byte != 0) {
            return Err(BundleError::entry(name, "bytes follow its end"));
        }
        Ok(content_end + padding)
    }

    fn read(&self, position: u64, len: u64, name: &str) -> Result<Vec<u8>, BundleError> {
        if position.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(BundleError::entry(name, "the file ends within it"));
        }
        let len = usize::try_from(len)
            .ok()
            .filter(|_| len <= MAX_MANIFEST)
            .ok_or_else(|| BundleError::entry(name, "it is too long"))?;
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, position)
            .map_err(BundleError::io("read", &self.path))?;
        Ok(bytes)
    }

    /// What is in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The SHA-256 digest of its manifest, in hexadecimal: whoever knows it knows every byte of the bundle.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes; a bundle always has some.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Compares the contents of all entries with their digests. Blocks on the disk.
    pub fn check_contents(&self) -> Result<(), BundleError> {
        for entry in &self.manifest.files {
            self.copy(entry, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Hands out the content of an entry, piece by piece, and compares it with its digest at the end.
    pub(crate) fn copy(
        &self,
        entry: &FileEntry,
        mut take: impl FnMut(&[u8]) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        let source = self.content(&entry.name)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; PIECE];
        let mut position = 0;
        while position < source.len {
            let wanted =
                usize::try_from(source.len - position).map_or(PIECE, |left| left.min(PIECE));
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            source
                .read_exact_at(piece, position)
                .map_err(BundleError::io("read", &self.path))?;
            hasher.update(piece);
            take(piece)?;
            position += wanted as u64;
        }
        if hasher.finish().to_string() == entry.sha256 {
            Ok(())
        } else {
            Err(BundleError::entry(
                &entry.name,
                "its bytes are not those that the manifest has the digest of",
            ))
        }
    }

    /// The bytes of a small entry. `None`: the bundle has none of this name.
    pub(crate) fn small(&self, name: &EntryName) -> Result<Option<Vec<u8>>, BundleError> {
        if !self.has(name) {
            return Ok(None);
        }
        let content = self.content(name)?;
        if content.len > MAX_SMALL {
            let reason = format!("{} bytes are too many", content.len);
            return Err(BundleError::entry(name, reason));
        }
        self.read(content.begin, content.len, &name.to_string())
            .map(Some)
    }

    /// Whether there is an entry of this name.
    pub(crate) fn has(&self, name: &EntryName) -> bool {
        self.offsets.contains_key(name)
    }

    /// The content of an entry, for positioned reads.
    pub(crate) fn content(&self, name: &EntryName) -> Result<Content<'_>, BundleError> {
        let found = self.offsets.get(name).and_then(|(begin, index)| {
            let entry = self.manifest.files.get(*index)?;
            Some(Content {
                file: &self.file,
                begin: *begin,
                len: entry.size,
            })
        });
        found.ok_or_else(|| BundleError::entry(name, "it is missing"))
    }

    /// The entry of this name.
    pub(crate) fn entry(&self, name: &EntryName) -> Option<&FileEntry> {
        let (_, index) = self.offsets.get(name)?;
        self.manifest.files.get(*index)
    }
}

/// A part of a file.
pub(crate) struct Content<'b> {
    file: &'b File,
    begin: u64,
    pub(crate) len: u64,
}

impl ReadAt for Content<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.len.saturating_sub(offset);
        let wanted = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let buf = buf.get_mut(..wanted).unwrap_or_default();
        std::os::unix::fs::FileExt::read_at(self.file, buf, self.begin.saturating_add(offset))
    }
}
