//! The properties of what rests on a store. They are no part of the library: where it is optimised, libFuzzer cannot be
//! linked with the records' database.
#![allow(missing_docs, reason = "they are those of the tests")]

#[path = "../../crates/bundle/tests/suite/fuzzed.rs"]
mod bundle_properties;
#[path = "../../crates/store/tests/suite/fuzzed.rs"]
mod store_properties;

use std::sync::LazyLock;

use tempfile::TempDir;

/// A bundle lies in a file of its own.
pub fn bundle(data: &[u8]) {
    static SCRATCH: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
    bundle_properties::bundle(data, SCRATCH.path());
}

pub fn tree_path(data: &[u8]) {
    store_properties::tree_path(data);
}
