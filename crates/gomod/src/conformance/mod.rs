//! Runs the tables that Go tests its own packages with, where the folder of test vectors is present
//! next to the workspace. The same rules are tested by tables of our own beside the code.

#![expect(clippy::print_stdout, reason = "a test run tells how many rows it had")]

mod edits;
mod files;
mod mvs;
mod names;

use std::path::{Path, PathBuf};

use bstr::BString;
use serde_json::Value;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");

fn vectors(what: &str) -> Option<PathBuf> {
    let path = Path::new(VECTORS).join(what);
    if Path::new(VECTORS).is_dir() {
        return Some(path);
    }
    println!("skipped: {what} (no ../shared/conformance)");
    None
}

/// A file of tables.
struct Tables {
    file: &'static str,
    tables: Value,
}

impl Tables {
    fn open(file: &'static str) -> Option<Self> {
        let text = std::fs::read(vectors(file)?).unwrap();
        let tables = serde_json::from_slice(&text).unwrap();
        Some(Self { file, tables })
    }

    /// Calls `check` with each row of a table, which must have some.
    fn each(&self, table: &str, mut check: impl FnMut(&Row)) {
        let rows = self.tables[table].as_array().unwrap();
        assert!(!rows.is_empty(), "{}: {table} is empty", self.file);
        for (index, value) in rows.iter().enumerate() {
            let place = format!("{} {table} {index}", self.file);
            check(&Row { value, place });
        }
        println!("{}: {table}: {} rows", self.file, rows.len());
    }
}

/// A row, which knows its place for messages.
struct Row<'a> {
    value: &'a Value,
    place: String,
}

impl Row<'_> {
    fn text(&self, field: &str) -> &str {
        self.value[field]
            .as_str()
            .unwrap_or_else(|| panic!("{}: no {field}", self.place))
    }

    fn flag(&self, field: &str) -> bool {
        self.value[field].as_bool().unwrap_or(false)
    }

    /// Text, or bytes in hexadecimal.
    fn bytes(&self, field: &str) -> BString {
        match self.value[field]["$hex"].as_str() {
            None => self.text(field).into(),
            Some(hex) => (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect::<Vec<u8>>()
                .into(),
        }
    }
}
