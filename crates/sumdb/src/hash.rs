use std::fmt;

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::base64;

/// A SHA-256 hash of a record or of a subtree (RFC 6962, section 2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; Self::SIZE]);

impl Hash {
    /// The length of a hash in bytes.
    pub const SIZE: usize = 32;

    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        Self(bytes)
    }

    /// The bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }

    /// Reads the base 64 form that tree heads and proofs are written in. `None` if it is not 32 bytes in base 64.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = base64::decode(text)?;
        bytes.try_into().ok().map(Self)
    }

    /// The root of the tree without records: the SHA-256 of nothing.
    pub fn of_empty_tree() -> Self {
        Self::sha256(&[])
    }

    /// The leaf hash of a record: SHA-256 of a zero byte and the record text.
    pub fn of_record(text: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[0]);
        context.update(text);
        Self::from_digest(context.finish().as_ref())
    }

    /// The hash of an inner node: SHA-256 of a one byte and the hashes of both children.
    pub fn of_node(left: Self, right: Self) -> Self {
        let mut input = [1; 1 + 2 * Self::SIZE];
        input[1..=Self::SIZE].copy_from_slice(&left.0);
        input[1 + Self::SIZE..].copy_from_slice(&right.0);
        Self::sha256(&input)
    }

    pub(crate) fn sha256(data: &[u8]) -> Self {
        Self::from_digest(digest(&SHA256, data).as_ref())
    }

    fn from_digest(digest: &[u8]) -> Self {
        let mut bytes = [0; Self::SIZE];
        bytes.copy_from_slice(digest);
        Self(bytes)
    }
}

/// The base 64 form.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_tree_has_the_hash_of_nothing() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(Hash::of_empty_tree().to_string(), root);
    }

    #[test]
    fn leaves_and_nodes_are_told_apart_by_their_first_byte() {
        // The first two test leaves of RFC 6962 implementations: the empty string and one zero byte.
        let empty = Hash::of_record(b"");
        let zero = Hash::of_record(&[0]);
        assert_eq!(
            hex(empty),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex(zero),
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
        );
        let node = Hash::of_node(empty, zero);
        assert_eq!(
            hex(node),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
    }

    #[test]
    fn the_text_form_reads_back_and_nothing_else_does() {
        let hash = Hash::of_record(b"x");
        assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
        for refused in [
            "",
            "47DE",
            "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBTOOBIG=",
        ] {
            assert_eq!(Hash::parse(refused), None, "{refused:?}");
        }
    }

    fn hex(hash: Hash) -> String {
        hash.as_bytes()
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}
