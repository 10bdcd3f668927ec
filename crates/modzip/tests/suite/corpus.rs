//! The hostile zips as files in `fuzz-corpus`, for fuzzers to start from, together with what fuzzers found.
//!
//! Run with `MODKEEP_BLESS=1` to write the files of `hostile::cases`.

use std::fs;
use std::path::{Path, PathBuf};

use modzip::{Workers, check_zip, dir};

use crate::{hostile, module};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus")
}

#[test]
fn every_hostile_zip_is_a_file_of_the_corpus() {
    for case in hostile::cases() {
        let path = folder().join(format!("{}.zip", case.name));
        if std::env::var_os("MODKEEP_BLESS").is_some() {
            fs::write(&path, &case.zip).unwrap();
        }
        let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // The compressor may change; what counts is that the file is still refused for the same reason.
        let error = |zip: &[u8]| crate::hash(zip).unwrap_err().to_string();
        assert_eq!(error(&file), error(&case.zip), "{}", case.name);
    }
}

#[test]
fn nothing_in_the_corpus_panics_or_is_taken_for_a_module() {
    let mut files = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let zip = fs::File::open(&path).unwrap();
        let size = zip.metadata().unwrap().len();
        let workers = Workers::new(2.try_into().unwrap()).unwrap();
        assert!(
            modzip::hash_zip(&zip, size, &workers).is_err(),
            "{}",
            path.display()
        );
        let _ = check_zip(&zip, size, &module());
        let scratch = tempfile::tempdir().unwrap();
        assert!(
            dir::unzip(&zip, size, &module(), scratch.path()).is_err(),
            "{}",
            path.display()
        );
        files += 1;
    }
    assert!(files >= hostile::cases().len());
}
