use std::io::{self, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use sha2::{Digest as _, Sha256};

/// The bytes of one file of a module.
#[derive(Clone, Debug)]
pub enum Content {
    /// Just these.
    Bytes(Vec<u8>),
    /// So many bytes that do not compress, the same for the same seed. They are made while they are written, so that
    /// a file of hundreds of megabytes costs no memory.
    Noise {
        /// Chooses the bytes.
        seed: u64,
        /// How many.
        len: u64,
    },
}

impl Content {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Noise { len, .. } => *len,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the bytes to `out`.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => out.write_all(bytes),
            Self::Noise { seed, len } => {
                let mut random = fastrand::Rng::with_seed(*seed);
                let mut block = vec![0; 1 << 16];
                let mut left = *len;
                while left > 0 {
                    random.fill(&mut block);
                    let size = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
                    out.write_all(&block[..size])?;
                    left -= size as u64;
                }
                Ok(())
            }
        }
    }

    /// SHA-256 of the bytes.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        let mut sum = Sum(Sha256::new());
        self.write_to(&mut sum).expect("hashing does not fail");
        sum.0.finalize().into()
    }
}

struct Sum(Sha256);

impl Write for Sum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the files of a zip are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Compressed, as `go` does it.
    Deflated,
    /// As they are: fast to make, and as big as its content.
    Stored,
}

/// Writes a zip of `files`, each a name and its content, in the order given.
pub(crate) fn write_zip<'a>(
    out: impl Write,
    packing: Packing,
    files: impl Iterator<Item = (String, &'a Content)>,
) -> io::Result<()> {
    let mut archive = ZipArchiveWriter::new(out);
    for (name, content) in files {
        let method = match packing {
            Packing::Deflated => CompressionMethod::DEFLATE,
            Packing::Stored => CompressionMethod::STORE,
        };
        let (mut entry, config) = archive
            .new_file(&name)
            .compression_method(method)
            .start()
            .map_err(io::Error::other)?;
        let descriptor = match packing {
            Packing::Deflated => {
                let mut writer =
                    config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
                content.write_to(&mut writer)?;
                let (encoder, descriptor) = writer.finish().map_err(io::Error::other)?;
                encoder.finish()?;
                descriptor
            }
            Packing::Stored => {
                let mut writer = config.wrap(&mut entry);
                content.write_to(&mut writer)?;
                writer.finish().map_err(io::Error::other)?.1
            }
        };
        entry.finish(descriptor).map_err(io::Error::other)?;
    }
    archive.finish().map_err(io::Error::other)?;
    Ok(())
}
