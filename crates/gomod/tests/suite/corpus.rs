//! The corpora of the fuzzers in `fuzz-corpus`: files whose name begins with `ok-` are what their folder says, those
//! that begin with `no-` are not, and the others were found by fuzzers because they lead to new places.

use std::path::{Path, PathBuf};

use testkit::{corpus, mutation_run};

use crate::fuzzed;

/// A property, and the folder of its corpus.
type Target = (&'static str, fn(&[u8]) -> bool);

const TARGETS: [Target; 6] = [
    ("go-mod", fuzzed::go_mod),
    ("go-work", fuzzed::go_work),
    ("go-sum", fuzzed::go_sum),
    ("path", fuzzed::module_path_text),
    ("version", fuzzed::version_text),
    ("info", fuzzed::info),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus")
}

#[test]
fn every_file_is_judged_as_its_name_says() {
    for (target, property) in TARGETS {
        let mut named = 0;
        for (file, data) in corpus(&folder().join(target)) {
            let name = file.file_name().expect("a file has a name");
            let is_accepted = property(&data);
            let name = name.to_string_lossy();
            if name.starts_with("ok-") || name.starts_with("no-") {
                assert_eq!(is_accepted, name.starts_with("ok-"), "{}", file.display());
                named += 1;
            }
        }
        assert!(named >= 6, "{target} has only {named} files with a verdict");
    }
}

#[test]
fn every_property_holds_for_the_files_of_all_others() {
    let files = corpus(&folder());
    for (_, data) in &files {
        for (_, property) in TARGETS {
            property(data);
        }
    }
}

#[test]
fn every_property_holds_for_mutations_of_the_files() {
    for (target, property) in TARGETS {
        let seeds: Vec<Vec<u8>> = corpus(&folder().join(target))
            .into_iter()
            .map(|(_, data)| data)
            .collect();
        let accepted = mutation_run(&seeds, 3000, property);
        assert!(accepted > 0, "{target}: not one input was accepted");
    }
}
