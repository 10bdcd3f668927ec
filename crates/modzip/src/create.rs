//! Makes the zip of a module version from its files (x/mod zip `Create`).

use std::io::{Read, Write};

use gomod::ModuleVersion;
use sha2::{Digest as _, Sha256};

use crate::check_files::select_files;
use crate::check_zip::prefix;
use crate::error::Error;
use crate::h1::{FileDigest, H1};
use crate::report::Omitted;
use crate::source::SourceFile;
use crate::zip_writer::ZipWriter;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// What [`create`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The h1 hash of the zip.
    pub hash: H1,
    /// Bytes of the zip.
    pub size: u64,
    /// Files that stayed out of it.
    pub omitted: Vec<Omitted>,
}

/// Writes the zip of `module` to `writer`: those of `files` that belong in it, sorted by path.
///
/// The same files give the same bytes: times are zero, attributes are not kept, the compression level is fixed.
/// (Another release of the compressor may give other bytes. What stays is the hash.)
///
/// Nothing is written when a file makes the module unfit ([`Error::Unfit`]). When reading fails later, or a
/// file has not the size it was said to have, `writer` has got a part of a zip, without its end.
pub fn create<W: Write, F: SourceFile>(
    writer: W,
    module: &ModuleVersion,
    files: &[F],
) -> Result<Created, Error> {
    let mut selection = select_files(files);
    let omitted = selection.checked.fit()?.omitted;
    selection
        .files
        .sort_unstable_by_key(|(file, _)| file.path());

    let prefix = prefix(module);
    let mut zip = ZipWriter::new(writer);
    let mut digests = Vec::with_capacity(selection.files.len());
    for (file, size) in selection.files {
        let name = format!("{prefix}{}", file.path());
        let digest = add_file(&mut zip, &name, file, size)?;
        digests.push((name, digest));
    }
    let size = zip.finish()?;
    Ok(Created {
        hash: H1::of_files(digests)?,
        size,
        omitted,
    })
}

fn add_file<W: Write, F: SourceFile>(
    zip: &mut ZipWriter<W>,
    name: &str,
    file: &F,
    size: u64,
) -> Result<FileDigest, Error> {
    let path = file.path().to_string();
    let reading = || Error::io(format!("read {path}"));
    let mut reader = file.open().map_err(reading())?.take(size.saturating_add(1));
    let mut entry = zip.start_entry(name, size)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut total = 0_u64;
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading()(error)),
        };
        let content = chunk.get(..read).unwrap_or_default();
        total += content.len() as u64;
        hasher.update(content);
        entry.write(content)?;
    }
    if total != size {
        return Err(Error::SizeChanged {
            path,
            larger: total > size,
        });
    }
    entry.finish()?;
    Ok(hasher.finalize().into())
}
