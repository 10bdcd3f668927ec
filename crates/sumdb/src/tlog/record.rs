use std::fmt;

use crate::error::Error;
use crate::hash::Hash;
use crate::text;

/// The text of a record: lines without control characters, none of them empty, each with its newline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordText(String);

impl RecordText {
    /// Checks the rule for record texts (Go's `tlog/note.go`).
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = text::clean(text).ok_or(Error::MalformedRecord(
            "not UTF-8, or with a control character",
        ))?;
        if !text.ends_with('\n') {
            return Err(Error::MalformedRecord("no final newline"));
        }
        if text.starts_with('\n') || text.contains("\n\n") {
            return Err(Error::MalformedRecord("empty line"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, with its final newline.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lines, without their newlines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator('\n')
    }

    /// The leaf hash of the record.
    pub fn hash(&self) -> Hash {
        Hash::of_record(self.0.as_bytes())
    }
}

impl fmt::Display for RecordText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A numbered record as `/lookup/` serves it: its number, the text, and a blank line.
pub fn format_record(id: u64, text: &RecordText) -> String {
    format!("{id}\n{text}\n")
}

/// Reads a numbered record from the beginning of an answer and returns its number, its text and what follows the blank
/// line. Numbers are canonical and at most 2⁶³−1.
pub fn parse_record(message: &[u8]) -> Result<(u64, RecordText, &[u8]), Error> {
    let end_of_line = message.iter().position(|&byte| byte == b'\n');
    let (id, rest) = end_of_line
        .and_then(|end| message.split_at_checked(end))
        .and_then(|(id, rest)| rest.split_first().map(|(_, rest)| (id, rest)))
        .ok_or(Error::MalformedRecord("no line with a number"))?;
    let id = std::str::from_utf8(id)
        .ok()
        .and_then(text::decimal)
        .ok_or(Error::MalformedRecord("no canonical record number"))?;

    let (text, rest) = split_at_blank_line(rest).ok_or(Error::MalformedRecord("no blank line"))?;
    Ok((id, RecordText::parse(text)?, rest))
}

/// The records of a data tile: each is followed by a blank line.
pub(crate) fn split_records(mut data: &[u8]) -> Result<Vec<RecordText>, Error> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let (text, rest) =
            split_at_blank_line(data).ok_or(Error::MalformedRecord("no blank line"))?;
        records.push(RecordText::parse(text)?);
        data = rest;
    }
    Ok(records)
}

/// What stands before the first blank line, with its newline, and what follows the blank line.
pub(crate) fn split_at_blank_line(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = data.windows(2).position(|pair| pair == b"\n\n")?;
    let (text, rest) = data.split_at_checked(blank + 1)?;
    let (_, rest) = rest.split_first()?;
    Some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbered_record_reads_back_and_leaves_the_rest() {
        let text = RecordText::parse("a v1 h1:x\né\n".as_bytes()).expect("record text");
        let message = format_record(7, &text) + "\nrest\n\n";
        let (id, read, rest) = parse_record(message.as_bytes()).expect("a record");
        assert_eq!((id, &read, rest), (7, &text, &b"\nrest\n\n"[..]));
        assert_eq!(read.lines().collect::<Vec<_>>(), ["a v1 h1:x", "é"]);
        assert_eq!(read.hash(), Hash::of_record(read.as_str().as_bytes()));
    }

    #[test]
    fn record_text_has_no_empty_line_and_ends_in_a_newline() {
        for refused in [
            "", "\n", "a", "a\nb", "\na\n", "a\n\n", "a\n\nb\n", "a\tb\n", "a\0\n",
        ] {
            assert!(
                RecordText::parse(refused.as_bytes()).is_err(),
                "{refused:?}"
            );
        }
        assert!(RecordText::parse(b"a\xff\n").is_err());
    }
}
