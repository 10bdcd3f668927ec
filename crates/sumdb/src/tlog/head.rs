use std::fmt;

use super::MAX_SIZE;
use crate::error::Error;
use crate::hash::Hash;
use crate::text;

/// The size and root of a tree. Its text form is what a Go checksum database signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    size: u64,
    root: Hash,
}

/// The first line of every Go checksum database's tree head, whatever the database.
const FIRST_LINE: &str = "go.sum database tree";

/// Go's limit for the text of a tree head, in bytes.
const MAX_TEXT: usize = 1_000_000;

impl TreeHead {
    /// The head of a tree. `None` for more than [`MAX_SIZE`] records.
    pub fn new(size: u64, root: Hash) -> Option<Self> {
        (size <= MAX_SIZE).then_some(Self { size, root })
    }

    /// The head of the tree without records.
    pub fn empty() -> Self {
        let root = Hash::of_empty_tree();
        Self { size: 0, root }
    }

    /// The number of records.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Reads the text of a tree head. Lines after the third are ignored, so that the format can grow.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut lines = text.split('\n');
        let (first, size, root) = (lines.next(), lines.next(), lines.next());
        let has_third_newline = lines.next().is_some();
        if text.len() > MAX_TEXT || first != Some(FIRST_LINE) || !has_third_newline {
            return Err(Error::MalformedTreeHead);
        }
        Self::parse_lines(size, root)
    }

    /// Reads the two lines that tree heads and C2SP checkpoints have in common.
    pub(crate) fn parse_lines(size: Option<&str>, root: Option<&str>) -> Result<Self, Error> {
        let size = size.and_then(text::decimal);
        let root = root.and_then(Hash::parse);
        let (Some(size), Some(root)) = (size, root) else {
            return Err(Error::MalformedTreeHead);
        };
        Ok(Self { size, root })
    }
}

/// The text that is signed.
impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\n{}\n{}", self.size, self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Hash {
        Hash::of_record(b"root")
    }

    #[test]
    fn a_head_reads_back_whatever_follows_it() {
        let head = TreeHead::new(12_345, root()).expect("a head");
        let text = head.to_string();
        assert_eq!(text, format!("go.sum database tree\n12345\n{}\n", root()));
        for extension in ["", "more", "more\n", &"more\n".repeat(1000)] {
            assert_eq!(
                TreeHead::parse(&format!("{text}{extension}")).expect("a head"),
                head
            );
        }
    }

    #[test]
    fn the_text_may_have_a_million_bytes() {
        let text = TreeHead::empty().to_string();
        let padded = |length: usize| text.clone() + &"x".repeat(length - text.len());
        assert!(TreeHead::parse(&padded(1_000_000)).is_ok());
        assert!(TreeHead::parse(&padded(1_000_001)).is_err());
    }
}
