//! The properties of the checksum database, with the log they ask.

#[path = "../../crates/sumdb/tests/suite/fuzzed.rs"]
pub(crate) mod fuzzed;
#[path = "../../crates/sumdb/tests/suite/support.rs"]
pub(crate) mod support;
