//! Results go to stdout, everything else to stderr. A reader that has gone away is no error of ours.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a result.
pub(crate) fn result(text: impl Display) {
    let mut out = io::stdout().lock();
    let _reader_gone = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints bytes of a result as they are.
pub(crate) fn raw(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _reader_gone = out.write_all(bytes).and_then(|()| out.flush());
}

/// So many of something, in a text: `1 file`, `2 files`.
pub(crate) fn counted<N: Copy + Display + From<u8> + PartialEq>(count: N, noun: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// Says something to whoever sits in front of the terminal.
pub(crate) fn note(text: impl Display) {
    let _reader_gone = writeln!(io::stderr().lock(), "{text}");
}
