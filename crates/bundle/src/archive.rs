//! The one way in which a bundle is written as tar. It is read by comparing with what would have been written, so that
//! no bit of it can mean anything else: no links, no folders, no second name, nothing between the entries.

use std::io::{self, Write};

use tar::{EntryType, Header};

use crate::BundleError;

/// Bytes of a block of tar.
pub(crate) const BLOCK_LEN: usize = 512;
const BLOCK: u64 = BLOCK_LEN as u64;
/// The zeros that end an archive.
pub(crate) const END: u64 = 2 * BLOCK;
/// The first entry.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The second entry: the digest of the first, in the form of `sha256sum`.
pub(crate) const MANIFEST_DIGEST: &str = "manifest.json.sha256";
/// Longer names have an entry of their own before the one they are for.
const SHORT_NAME: usize = 100;

/// What stands before the content of an entry.
pub(crate) fn header(name: &str, size: u64) -> Result<Vec<u8>, BundleError> {
    let mut blocks = Vec::new();
    let name = name.as_bytes();
    if name.len() > SHORT_NAME {
        let mut long = plain(EntryType::GNULongName, name.len() as u64 + 1);
        put_name(&mut long, b"././@LongLink");
        long.set_cksum();
        blocks.extend_from_slice(long.as_bytes());
        blocks.extend_from_slice(name);
        blocks.push(0);
        blocks.resize(padded(blocks.len() as u64)?, 0);
    }
    let mut header = plain(EntryType::Regular, size);
    put_name(&mut header, name.get(..SHORT_NAME).unwrap_or(name));
    header.set_cksum();
    blocks.extend_from_slice(header.as_bytes());
    Ok(blocks)
}

fn plain(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn put_name(header: &mut Header, name: &[u8]) {
    for (to, from) in header.as_old_mut().name.iter_mut().zip(name) {
        *to = *from;
    }
}

fn padded(len: u64) -> Result<usize, BundleError> {
    let blocks = len.div_ceil(BLOCK);
    usize::try_from(blocks.saturating_mul(BLOCK))
        .map_err(|_| BundleError::Lost("a name longer than memory"))
}

/// The zeros behind a content of this length.
pub(crate) fn padding(len: u64) -> u64 {
    (BLOCK - len % BLOCK) % BLOCK
}

/// The text of the second entry.
pub(crate) fn digest_line(digest: &str) -> String {
    format!("{digest}  {MANIFEST}\n")
}

/// What a block that should be another says of itself, for people.
pub(crate) fn describe(block: &[u8]) -> String {
    if block.len() != BLOCK_LEN {
        return "the end of the file".to_owned();
    }
    if block.iter().all(|byte| *byte == 0) {
        return "the end of the archive".to_owned();
    }
    let header = Header::from_byte_slice(block);
    let kind = match header.entry_type() {
        EntryType::Regular => "a file",
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Directory => "a folder",
        EntryType::Fifo => "a pipe",
        EntryType::Char | EntryType::Block => "a device",
        _ => "an entry of another kind",
    };
    let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
    let size = header.size().map_or_else(
        |_| "unknown length".to_owned(),
        |size| format!("{size} bytes"),
    );
    format!("{kind} {name:?} of {size}")
}

/// Writes zeros.
pub(crate) fn write_zeros(out: &mut impl Write, count: u64) -> io::Result<()> {
    let zeros = [0; 2 * BLOCK_LEN];
    let count = usize::try_from(count)
        .unwrap_or(zeros.len())
        .min(zeros.len());
    out.write_all(zeros.get(..count).unwrap_or(&zeros))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_written_is_tar() {
        let long = format!("modules/example.com/{}/@v/v1.0.0.mod", "x".repeat(200));
        let mut bytes = Vec::new();
        for (name, content) in [("a", "one"), (long.as_str(), "two")] {
            bytes.extend(header(name, content.len() as u64).unwrap());
            bytes.extend(content.as_bytes());
            write_zeros(&mut bytes, padding(content.len() as u64)).unwrap();
        }
        write_zeros(&mut bytes, END).unwrap();
        assert_eq!(bytes.len() as u64 % BLOCK, 0);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let read: Vec<(String, String)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                (entry.path().unwrap().display().to_string(), content)
            })
            .collect();
        assert_eq!(
            read,
            [("a".to_owned(), "one".to_owned()), (long, "two".to_owned())]
        );
    }
}
