//! The corpora of the fuzzer: `hostile` are the zips of `hostile::cases`, `sound` those of `sound::cases`, `found` what
//! a fuzzer found because it leads to new places.
//!
//! Run with `MODKEEP_BLESS=1` to write the files of the first two.

use std::fs;
use std::path::{Path, PathBuf};

use testkit::{corpus, mutation_run};

use crate::{fuzzed, hostile, sound};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus");
    folder.join(name)
}

/// The file of the corpus, after it was written anew if that is asked for.
fn file(folder_name: &str, name: &str, zip: &[u8]) -> Vec<u8> {
    let path = folder(folder_name).join(format!("{}.zip", name.replace([' ', ','], "-")));
    if std::env::var_os("MODKEEP_BLESS").is_some() {
        fs::create_dir_all(folder(folder_name)).unwrap();
        fs::write(&path, zip).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_hostile_zip_is_a_file_of_the_corpus() {
    for case in hostile::cases() {
        let file = file("hostile", case.name, &case.zip);
        // The compressor may change; what counts is that the file is still refused for the same reason.
        let error = |zip: &[u8]| crate::hash(zip).unwrap_err().to_string();
        assert_eq!(error(&file), error(&case.zip), "{}", case.name);
    }
}

#[test]
fn every_unusual_zip_is_a_file_of_the_corpus() {
    for (name, zip) in sound::cases() {
        let file = file("sound", name, &zip);
        assert_eq!(
            crate::hash(&file).unwrap(),
            crate::hash(&zip).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn the_properties_hold_for_the_corpus_and_tell_hostile_from_sound() {
    let hostile = corpus(&folder("hostile"));
    assert!(hostile.len() >= hostile::cases().len());
    for (path, zip) in hostile {
        assert!(!fuzzed::zip(&zip), "{}", path.display());
    }
    for (path, zip) in corpus(&folder("sound")) {
        assert!(fuzzed::zip(&zip), "{}", path.display());
    }
    for (_, zip) in corpus(&folder("found")) {
        fuzzed::zip(&zip);
    }
}

#[test]
fn the_properties_hold_for_mutations_of_the_corpus() {
    let seeds: Vec<Vec<u8>> = corpus(&folder(""))
        .into_iter()
        .map(|(_, zip)| zip)
        .filter(|zip| zip.len() < 2000)
        .collect();
    let accepted = mutation_run(&seeds, 2000, fuzzed::zip);
    assert!(accepted > 0);
}
