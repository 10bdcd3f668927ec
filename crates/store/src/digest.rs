use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::XattrFlags;
use sha2::Digest as _;

/// The extended attribute that carries a stored file's [`Digest`] and length.
const ATTRIBUTE: &str = "user.modkeep.sha256";

/// SHA-256 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest of a whole file, read in pieces.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 256 * 1024];
        let mut offset = 0;
        loop {
            let read = file.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
            offset += read as u64;
        }
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `None`: it is not 32 bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Computes a [`Digest`] over bytes as they come.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Writes length and digest next to the bytes they describe, so that a reader needs no record to notice damage.
/// A file system without extended attributes is no error: damage is then found by scrubbing only.
pub(crate) fn stamp(file: &File, len: u64, digest: Digest) {
    let value = format!("{digest} {len}");
    let _unsupported =
        rustix::fs::fsetxattr(file, ATTRIBUTE, value.as_bytes(), XattrFlags::empty());
}

/// Reads what [`stamp`] wrote. `None`: no stamp, as for files that were copied into the tree by hand.
pub(crate) fn read_stamp(file: &File) -> Option<(u64, Digest)> {
    let mut buffer = [0; 128];
    let length = rustix::fs::fgetxattr(file, ATTRIBUTE, &mut buffer).ok()?;
    let value = std::str::from_utf8(buffer.get(..length)?).ok()?;
    let (digest, len) = value.split_once(' ')?;
    Some((len.parse().ok()?, Digest::from_hex(digest)?))
}
