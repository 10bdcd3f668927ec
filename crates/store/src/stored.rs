use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;
use std::time::SystemTime;

use crate::FileKind;
use crate::digest::{Digest, read_stamp};

/// The longest end-of-central-directory record of a zip: 22 bytes and a comment of up to 65,535.
const LONGEST_ZIP_END: u64 = 22 + 65_535;

/// Why a stored file must not be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is shorter or longer than it was when it was published.
    #[error("it has {found} bytes, and had {published} when it was stored")]
    Length {
        /// Bytes now.
        found: u64,
        /// Bytes at publication.
        published: u64,
    },
    /// The bytes are not those that were published.
    #[error("its bytes are not those that were stored")]
    Content,
    /// The file cannot be what its name says, whoever put it there.
    #[error("it is no {0} file")]
    Shape(FileKind),
}

/// An immutable file of the tree, open for reading. Stays readable whatever happens to its name.
#[derive(Clone, Debug)]
pub struct StoredFile {
    file: Arc<File>,
    len: u64,
    digest: Option<Digest>,
    etag: Arc<str>,
    /// When it was last served, or stored.
    pub(crate) used: SystemTime,
}

impl StoredFile {
    /// Takes an open file as a stored one, unless its length or shape shows damage. The bytes themselves are compared
    /// when they are read whole ([`Self::read_small`]), or by scrubbing.
    pub(crate) fn inspect(file: File, kind: FileKind) -> io::Result<Result<Self, Damage>> {
        let metadata = file.metadata()?;
        let len = metadata.len();
        let stamp = read_stamp(&file);
        if let Some((published, _)) = stamp
            && published != len
        {
            return Ok(Err(Damage::Length {
                found: len,
                published,
            }));
        }
        if stamp.is_none() && !has_shape(&file, len, kind)? {
            return Ok(Err(Damage::Shape(kind)));
        }
        let digest = stamp.map(|(_, digest)| digest);
        let etag = match digest {
            Some(digest) => format!("\"{}\"", hex::encode(&digest.as_bytes()[..16])),
            None => format!(
                "\"{len:x}-{:x}-{:x}\"",
                metadata.mtime(),
                metadata.mtime_nsec()
            ),
        };
        Ok(Ok(Self {
            file: Arc::new(file),
            len,
            digest,
            etag: etag.into(),
            used: crate::room::last_use(&metadata),
        }))
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The digest the bytes had when they were published, where that is known.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// A strong entity tag with its quotes (RFC 9110, 8.8.3).
    pub fn etag(&self) -> &Arc<str> {
        &self.etag
    }

    /// The open file, for positioned reads.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Reads the whole file and compares it with the published digest. For files known to be small.
    pub fn read_small(&self) -> io::Result<Result<Vec<u8>, Damage>> {
        let mut bytes = vec![0; usize::try_from(self.len).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, 0)?;
        match self.digest {
            Some(digest) if digest != Digest::of(&bytes) => Ok(Err(Damage::Content)),
            _ => Ok(Ok(bytes)),
        }
    }

    /// Reads the whole file in pieces and computes the digest of what is there now.
    pub fn compute_digest(&self) -> io::Result<Digest> {
        Digest::of_file(&self.file)
    }
}

/// Whether a file that carries no stamp can be what its name says. For a zip: its end-of-central-directory record
/// ends where the file ends, which a torn file's does not.
fn has_shape(file: &File, len: u64, kind: FileKind) -> io::Result<bool> {
    match kind {
        FileKind::Mod => Ok(len > 0),
        FileKind::Info => {
            let mut first = [0; 1];
            Ok(len > 0 && file.read_at(&mut first, 0)? == 1 && first == *b"{")
        }
        FileKind::Zip => {
            let tail_len = len.min(LONGEST_ZIP_END);
            let mut tail = vec![0; usize::try_from(tail_len).map_err(io::Error::other)?];
            file.read_exact_at(&mut tail, len - tail_len)?;
            Ok(ends_like_a_zip(&tail, len))
        }
    }
}

/// Whether `tail`, the last bytes of a file of `len` bytes, ends with an end-of-central-directory record that fits.
pub(crate) fn ends_like_a_zip(tail: &[u8], len: u64) -> bool {
    let field = |at: usize, width: usize| {
        tail.get(at..at + width).map(|bytes| {
            bytes
                .iter()
                .rev()
                .fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
        })
    };
    let Some(last_start) = tail.len().checked_sub(22) else {
        return false;
    };
    (0..=last_start).rev().any(|at| {
        tail[at..].starts_with(b"PK\x05\x06")
            && field(at + 20, 2)
                .is_some_and(|comment| at as u64 + 22 + comment == tail.len() as u64)
            && matches!((field(at + 12, 4), field(at + 16, 4)), (Some(size), Some(offset))
                // 0xffff_ffff: the real values are in the zip64 record.
                if offset == 0xffff_ffff || size == 0xffff_ffff || offset + size <= len)
    })
}
