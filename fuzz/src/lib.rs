//! The properties that the tests of the crates hold against their corpora, here for fuzzers. They are the same files.
#![allow(
    dead_code,
    missing_docs,
    reason = "the tests use more of these files than the fuzzers do"
)]

#[path = "../../crates/gomod/tests/suite/fuzzed.rs"]
mod gomod_properties;
#[path = "../../crates/modzip/tests/suite/fuzzed.rs"]
mod modzip_properties;
mod sumdb_properties;

macro_rules! targets {
    ($($name:ident: $property:path;)*) => {
        $(pub fn $name(data: &[u8]) {
            $property(data);
        })*
    };
}

targets! {
    go_mod: gomod_properties::go_mod;
    go_work: gomod_properties::go_work;
    go_sum: gomod_properties::go_sum;
    path: gomod_properties::module_path_text;
    version: gomod_properties::version_text;
    info: gomod_properties::info;
    zip: modzip_properties::zip;
    note: sumdb_properties::fuzzed::note;
    verifier_key: sumdb_properties::fuzzed::verifier_key;
    signer_key: sumdb_properties::fuzzed::signer_key;
    tree_head: sumdb_properties::fuzzed::tree_head;
    checkpoint: sumdb_properties::fuzzed::checkpoint;
    record: sumdb_properties::fuzzed::record;
    tile: sumdb_properties::fuzzed::tile;
    tile_path: sumdb_properties::fuzzed::tile_path;
    c2sp_tile_path: sumdb_properties::fuzzed::c2sp_tile_path;
    request: sumdb_properties::fuzzed::request;
    answer: sumdb_properties::fuzzed::answer;
}
