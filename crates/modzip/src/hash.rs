//! The h1 hash of a zip.

use sha2::{Digest as _, Sha256};

use crate::archive::Archive;
use crate::error::Error;
use crate::h1::H1;
use crate::read_at::ReadAt;
use crate::scan::Origin;
use crate::workers::Workers;

/// The h1 hash of the zip of `size` bytes (Go's `dirhash.HashZip`), every entry verified against its CRC-32
/// and declared size.
///
/// Needs, besides the central directory, about 1.2 MiB of memory for each thread, whatever the zip.
/// Says nothing about names: see [`check_zip`](crate::check_zip()).
pub fn hash_zip<S: ReadAt + ?Sized>(source: &S, size: u64, workers: &Workers) -> Result<H1, Error> {
    Archive::open(source, size)?.hash(workers)
}

impl<S: ReadAt> Archive<S> {
    /// As [`hash_zip`], of an archive that is open already.
    pub fn hash(&self, workers: &Workers) -> Result<H1, Error> {
        let digests = self.scan(
            workers,
            Origin::Anywhere,
            || (),
            |(), entry, content| {
                let mut hasher = Sha256::new();
                content.send_to(&mut |bytes| {
                    hasher.update(bytes);
                    Ok(())
                })?;
                Ok((entry.name(), hasher.finalize().into()))
            },
        )?;
        H1::of_files(digests)
    }
}
