//! The `h1:` hash: SHA-256 over a list of file names and the SHA-256 of each (Go's `sumdb/dirhash`).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// A hash of file names and contents, as in go.sum and the checksum database: `h1:` and base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct H1([u8; 32]);

/// SHA-256 of one file.
pub(crate) type FileDigest = [u8; 32];

const PREFIX: &str = "h1:";

impl H1 {
    /// The hash with these 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of a go.mod file whose bytes have this SHA-256: see [`hash_go_mod`].
    pub fn of_go_mod_digest(digest: &[u8; 32]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(hex(digest));
        hasher.update(b"  go.mod\n");
        Self(hasher.finalize().into())
    }

    /// The hash of the files with these names and digests, in any order.
    pub(crate) fn of_files<N: AsRef<[u8]>>(mut files: Vec<(N, FileDigest)>) -> Result<Self, Error> {
        files.sort_unstable_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let mut hasher = Sha256::new();
        for (name, digest) in &files {
            let name = name.as_ref();
            if name.contains(&b'\n') {
                return Err(Error::NewlineInName);
            }
            hasher.update(hex(digest));
            hasher.update(b"  ");
            hasher.update(name);
            hasher.update(b"\n");
        }
        Ok(Self(hasher.finalize().into()))
    }
}

/// The hash of a go.mod file, as in the `/go.mod` lines of go.sum: its only file is named `go.mod`
/// (Go's `modfetch.goModSum`).
pub fn hash_go_mod(content: &[u8]) -> H1 {
    H1::of_go_mod_digest(&Sha256::digest(content).into())
}

fn hex(digest: &FileDigest) -> [u8; 64] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = [
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ];
    }
    text
}

impl fmt::Display for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for H1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for H1 {
    type Err = Error;

    /// Takes exactly what [`fmt::Display`] writes: one text for one hash.
    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = |reason| Error::MalformedHash {
            text: text.into(),
            reason,
        };
        let encoded = text
            .strip_prefix(PREFIX)
            .ok_or(malformed("does not start with h1:"))?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| malformed("not base64"))?;
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| malformed("not 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published as the hash of an empty go.mod in go.sum files of old Go releases.
    const EMPTY_GO_MOD: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

    #[test]
    fn a_hash_prints_and_parses() {
        let hash = hash_go_mod(b"");
        assert_eq!(hash.to_string(), EMPTY_GO_MOD);
        assert_eq!(EMPTY_GO_MOD.parse::<H1>().unwrap(), hash);
        assert_eq!(H1::from_bytes(*hash.as_bytes()), hash);
        assert_eq!(format!("{hash:?}"), EMPTY_GO_MOD);
    }

    #[test]
    fn text_that_is_no_hash_is_refused() {
        for bad in [
            "",
            "h1:",
            "h1",
            "h2:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=",
            "H1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=",
            "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY",
            "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydZ=",
            "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=\n",
            "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykryd==",
        ] {
            let error = bad.parse::<H1>().unwrap_err();
            assert!(
                error.to_string().starts_with("malformed hash"),
                "{bad:?}: {error}"
            );
        }
    }

    #[test]
    fn names_are_sorted_by_bytes_and_newlines_are_refused() {
        let digest = |text: &str| -> FileDigest { Sha256::digest(text).into() };
        let files = [("b", digest("1")), ("B/x", digest("2")), ("a", digest("3"))];
        let mut reversed = files;
        reversed.reverse();
        let hash = H1::of_files(files.to_vec()).unwrap();
        assert_eq!(H1::of_files(reversed.to_vec()).unwrap(), hash);

        let lines = [files[1], files[2], files[0]].map(|(name, digest)| {
            let hex: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let hex = hex.concat();
            format!("{hex}  {name}\n")
        });
        assert_eq!(hash, H1(Sha256::digest(lines.concat()).into()));

        assert!(matches!(
            H1::of_files(vec![("a\nb", [0; 32])]),
            Err(Error::NewlineInName)
        ));
    }

    #[test]
    fn no_files_at_all_hash_like_the_empty_text() {
        let none: Vec<(&str, FileDigest)> = Vec::new();
        let empty = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(H1::of_files(none).unwrap().to_string(), empty);
    }
}
