//! The corpus of bundles in `fuzz-corpus`: those of [`cases`], and below `found` what led to new places. Names that begin
//! with `ok-` can be opened, those that begin with `no-` cannot.
//!
//! Run with `MODKEEP_BLESS=1` to write the files of the cases.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::{corpus, mutation_run};

use crate::forged::{cases, manifest_of, with_manifest};
use crate::fuzzed::bundle;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus/bundle")
}

#[test]
fn every_case_is_a_file_of_the_corpus() {
    let names: Vec<&str> = cases().iter().map(|case| case.name).collect();
    for case in cases() {
        let path = folder().join(format!("{}.tar", case.name));
        if std::env::var_os("MODKEEP_BLESS").is_some() {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, &case.bytes).unwrap();
        }
        assert!(fs::read(&path).unwrap() == case.bytes, "{}", case.name);
    }
    assert!(names.len() > 30, "only {names:?}");
}

#[test]
fn a_bundle_is_one_archive_for_everybody_or_none() {
    let scratch = tempfile::tempdir().unwrap();
    let files = corpus(&folder());
    for (file, data) in &files {
        let is_accepted = bundle(data, scratch.path());
        let name = file.file_name().unwrap().to_string_lossy();
        assert_eq!(is_accepted, name.starts_with("ok-"), "{}", file.display());
    }
    let seeds: Vec<Vec<u8>> = files.into_iter().map(|(_, data)| data).collect();
    // Hardly a byte can be another one.
    mutation_run(&seeds, 2_000, |data| bundle(data, scratch.path()));
}

#[test]
fn a_bundle_with_any_manifest_is_what_that_says_or_none() {
    let scratch = tempfile::tempdir().unwrap();
    let files = corpus(&folder());
    let seeds: Vec<Vec<u8>> = files
        .iter()
        .filter_map(|(_, data)| manifest_of(data))
        .collect();
    assert!(seeds.len() > 20, "only {} manifests", seeds.len());
    let accepted = mutation_run(&seeds, 3_000, |json| {
        bundle(&with_manifest(json), scratch.path())
    });
    assert!(accepted > 0, "nothing that was changed can be opened");
}
