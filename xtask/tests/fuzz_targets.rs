//! The fuzzers are a workspace of their own, as libFuzzer needs a nightly compiler and a C++ compiler. That they are whole
//! is found out here all the same: every property that is held against any bytes has a target, and what the targets call
//! compiles.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a failing helper fails its test"
)]

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is the library of the targets")]
mod library;
#[path = "../../fuzz/src/stored.rs"]
#[expect(unreachable_pub, reason = "as in the library")]
mod stored;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use testkit::workspace_root;

type Target = fn(&[u8]);

fn fuzz() -> PathBuf {
    workspace_root().join("fuzz")
}

fn files_in(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
}

/// The functions of `crates/*/tests/suite/fuzzed.rs` that take bytes, as `crate::function`.
fn properties() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for krate in files_in(workspace_root().join("crates")) {
        let Ok(text) = fs::read_to_string(krate.join("tests/suite/fuzzed.rs")) else {
            continue;
        };
        let krate = krate.file_name().unwrap().to_str().unwrap();
        for line in text.lines() {
            let function = line.strip_prefix("pub(crate) fn ");
            if let Some((name, arguments)) = function.and_then(|rest| rest.split_once('('))
                && arguments.starts_with("data: &[u8]")
            {
                found.insert(format!("{krate}::{name}"));
            }
        }
    }
    found
}

/// What the targets stand on.
const SOURCES: [&str; 2] = ["src/lib.rs", "src/stored.rs"];

/// What a source of the fuzzers calls, as `crate::function`.
fn called(library: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, separator) in library.match_indices("_properties::") {
        let (before, after) = (&library[..at], &library[at + separator.len()..]);
        let krate = before.rsplit(|c: char| !c.is_alphanumeric()).next();
        let name = after.strip_prefix("fuzzed::").unwrap_or(after);
        let name = name
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        found.insert(format!("{}::{}", krate.unwrap(), name.unwrap()));
    }
    found
}

/// The workspace's dependencies that the library and the properties use.
fn crates_used() -> BTreeSet<String> {
    let manifest = fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
    let support = workspace_root().join("crates/sumdb/tests/suite/support.rs");
    let sources = SOURCES.map(|file| fuzz().join(file));
    let properties = files_in(workspace_root().join("crates"))
        .map(|krate| krate.join("tests/suite/fuzzed.rs"))
        .filter(|file| file.is_file());
    let mut used = BTreeSet::new();
    for file in sources.into_iter().chain([support]).chain(properties) {
        let text = fs::read_to_string(file).unwrap();
        for (end, _) in text.match_indices("::") {
            let before = &text[..end];
            let name = before
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            let name = name.unwrap();
            let is_first = !before.strip_suffix(name).unwrap().ends_with("::");
            if is_first && !name.is_empty() && manifest.contains(&format!("\n{name} = ")) {
                used.insert(name.to_owned());
            }
        }
    }
    used
}

#[test]
fn every_property_has_a_fuzz_target_and_every_target_a_property() {
    let properties = properties();
    assert!(properties.len() >= 20, "only {properties:?}");
    let sources = SOURCES.map(|file| fs::read_to_string(fuzz().join(file)).unwrap());
    let called: BTreeSet<String> = sources.iter().flat_map(|text| called(text)).collect();
    assert_eq!(properties, called);
}

#[test]
fn every_fuzz_target_is_built_and_calls_what_it_is_named_after() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let built: BTreeSet<&str> = manifest
        .lines()
        .filter_map(|line| {
            line.strip_prefix("path = \"fuzz_targets/")?
                .strip_suffix(".rs\"")
        })
        .collect();
    let mut files = BTreeSet::new();
    for file in files_in(fuzz().join("fuzz_targets")) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(&format!("::{name}(data)")), "{text}");
        files.insert(name);
    }
    let files: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(built, files);
    // One for each property.
    assert_eq!(files.len(), properties().len());
}

#[test]
fn the_fuzzers_depend_on_what_the_properties_use() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let used = crates_used();
    assert!(used.contains("store") && used.contains("sumdb"), "{used:?}");
    for name in used {
        assert!(manifest.contains(&format!("\n{name} = ")), "{name}");
    }
}

#[test]
fn the_targets_hold_for_no_bytes() {
    let targets: [(&str, Target); 4] = [
        ("bundle", stored::bundle),
        ("note", library::note),
        ("tree_path", stored::tree_path),
        ("zip", library::zip),
    ];
    for (name, target) in targets {
        target(b"");
        assert!(fuzz().join(format!("fuzz_targets/{name}.rs")).is_file());
    }
}
