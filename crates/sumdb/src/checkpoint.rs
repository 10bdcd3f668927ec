//! Checkpoints of C2SP tlog-checkpoint: the text of a tree head that names its log.
//!
//! The first line of a Go tree head is the same for all Go databases, so witnesses, who know logs by their first line,
//! could not tell two databases apart. A log that wants witnesses publishes a checkpoint beside its Go tree head.

use std::fmt;

use crate::error::Error;
use crate::text;
use crate::tlog::TreeHead;

/// The text of a checkpoint: origin, size, root, and extension lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines. The origin is one line that is not empty.
    pub fn new(origin: &str, head: TreeHead) -> Result<Self, Error> {
        let one_line = !origin.is_empty() && !origin.contains('\n');
        if !one_line || text::clean(origin.as_bytes()).is_none() {
            return Err(Error::MalformedTreeHead);
        }
        let origin = origin.to_owned();
        let extensions = Vec::new();
        Ok(Self {
            origin,
            head,
            extensions,
        })
    }

    /// Reads the text of a checkpoint.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let body = text.strip_suffix('\n').ok_or(Error::MalformedTreeHead)?;
        let mut lines = body.split('\n');
        let origin = lines.next().unwrap_or_default();
        let head = TreeHead::parse_lines(lines.next(), lines.next())?;
        let mut checkpoint = Self::new(origin, head)?;
        for line in lines {
            if line.is_empty() || text::clean(line.as_bytes()).is_none() {
                return Err(Error::MalformedTreeHead);
            }
            checkpoint.extensions.push(line.to_owned());
        }
        Ok(checkpoint)
    }

    /// The line that identifies the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The tree head.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The lines after the third.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}\n{}\n{}",
            self.origin,
            self.head.size(),
            self.head.root()
        )?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_with_its_extensions() {
        let head = TreeHead::empty();
        let plain = Checkpoint::new("example.com/log 42", head).expect("an origin");
        assert_eq!(
            Checkpoint::parse(&plain.to_string()).expect("a checkpoint"),
            plain
        );
        let extended = format!("{plain}one\ntwo\n");
        let read = Checkpoint::parse(&extended).expect("a checkpoint");
        assert_eq!(read.extensions(), ["one", "two"]);
        assert_eq!((read.origin(), *read.head()), ("example.com/log 42", head));
        assert_eq!(read.to_string(), extended);
    }

    #[test]
    fn an_origin_is_one_line() {
        for refused in ["", "a\nb", "\n", "a\0b", "tab\t"] {
            assert!(
                Checkpoint::new(refused, TreeHead::empty()).is_err(),
                "{refused:?}"
            );
        }
    }
}
