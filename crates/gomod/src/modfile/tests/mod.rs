//! Tests of go.mod and go.work files as a whole.

mod editing;
mod formatting;
mod reading;
mod requirements;
mod round_trip;

use bstr::BString;

use super::{ModFile, WorkFile};

fn mod_file(text: &str) -> ModFile {
    ModFile::parse("go.mod", text.as_bytes()).unwrap()
}

fn work_file(text: &str) -> WorkFile {
    WorkFile::parse("go.work", text.as_bytes()).unwrap()
}

/// The text of `file` after the edits.
fn text(file: &ModFile) -> BString {
    file.format().into()
}
