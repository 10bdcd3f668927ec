//! The hostile inputs in `fuzz-corpus`, and what they may not do.
//!
//! Each folder is named after what its files claim to be; files whose name begins with `ok-` are that, those that begin
//! with `found-` came from fuzzers because they lead to new places, all others are to be refused. Every file is also
//! given to every other parser, cut short at every place and with every bit of its first bytes flipped.

use std::path::{Path, PathBuf};

use sumdb::client::run;
use testkit::{corpus, mutation_run};

use crate::fuzzed;
use crate::support::{NAME, World, client, log_of, nth_module, read_log, signer};

/// A property, and the folder of its corpus.
type Target = (&'static str, fn(&[u8]) -> bool);

const TARGETS: [Target; 11] = [
    ("note", fuzzed::note),
    ("verifier-key", fuzzed::verifier_key),
    ("signer-key", fuzzed::signer_key),
    ("tree-head", fuzzed::tree_head),
    ("checkpoint", fuzzed::checkpoint),
    ("record", fuzzed::record),
    ("tile-path", fuzzed::tile_path),
    ("c2sp-tile-path", fuzzed::c2sp_tile_path),
    ("request", fuzzed::request),
    ("tile", fuzzed::tile),
    ("answer", fuzzed::answer),
];

/// The targets that are parsers, and cheap.
fn parsers() -> impl Iterator<Item = Target> {
    TARGETS.into_iter().filter(|(name, _)| *name != "answer")
}

/// Gives the bytes to all parsers; what one accepts must read back from its text form.
pub(crate) fn parse_everything(data: &[u8]) {
    for (_, property) in parsers() {
        property(data);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus")
}

fn files() -> Vec<(PathBuf, Vec<u8>)> {
    corpus(&folder())
}

#[test]
fn every_file_is_judged_as_its_name_says() {
    let mut count = 0;
    for (target, property) in TARGETS {
        for (file, data) in corpus(&folder().join(target)) {
            let name = file.file_name().expect("a name").to_string_lossy();
            let is_accepted = property(&data);
            if !name.starts_with("found-") {
                assert_eq!(is_accepted, name.starts_with("ok-"), "{}", file.display());
                count += 1;
            }
        }
    }
    assert!(count > 90, "only {count} files");
}

#[test]
fn no_file_makes_a_parser_panic_whole_or_mangled() {
    for (_, data) in files() {
        parse_everything(&data);
        for end in 0..data.len().min(600) {
            parse_everything(&data[..end]);
        }
        for position in 0..data.len().min(300) {
            let mut flipped = data.clone();
            flipped[position] ^= 1 << (position % 8);
            parse_everything(&flipped);
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
        let accepted = mutation_run(&seeds, 2000, property);
        // Keys carry a hash of themselves, which hardly a change leaves right.
        let is_reachable = !target.ends_with("-key");
        assert!(
            accepted > 0 || !is_reachable,
            "{target}: nothing was accepted"
        );
    }
}

/// Writes the files whose content comes from a log: run with `MODKEEP_BLESS=1` after a change of the format.
#[test]
fn the_true_answers_are_files_of_the_corpus() {
    let log = log_of(10);
    let truth = |path: &str| read_log(&log, path).expect("the log has it");
    let latest = truth("/latest");
    let lookup = truth("/lookup/example.com/!mod0@v1.3.0");
    let other = truth("/lookup/example.com/!mod0@v1.4.0");
    let (low, high) = (truth("/tile/2/0/000"), truth("/tile/2/1/000.p/2"));
    let earlier = read_log(&log_of(9), "/latest").expect("the log has it");
    let with = |question: u8, body: &[u8]| [&[question], body].concat();
    let unsigned = lookup
        .split(|&byte| byte == 0xe2)
        .next()
        .unwrap_or_default();
    let tile = |height: u8, width: u8, body: &[u8]| [&[height, width], body].concat();
    let key = signer(NAME, 1);
    let secret = key.reveal().expect("a key");
    let public = key.verifier().to_string();
    let expected = [
        ("signer-key/ok-seed-of-ones", secret.into_bytes()),
        ("verifier-key/ok-of-the-log", public.into_bytes()),
        ("note/ok-latest", latest.clone()),
        ("record/ok-lookup", lookup.clone()),
        ("answer/ok-lookup", with(0, &lookup)),
        ("answer/ok-latest", with(1, &latest)),
        ("answer/ok-tile", with(2, &low)),
        ("answer/ok-upper-tile", with(3, &high)),
        ("answer/lookup-of-another", with(0, &other)),
        ("answer/lookup-without-signature", with(0, unsigned)),
        (
            "answer/lookup-alone",
            with(0, &lookup[..lookup.len() - latest.len()]),
        ),
        ("answer/lookup-is-latest", with(0, &latest)),
        ("answer/tile-of-another-level", with(2, &high)),
        ("answer/all-tiles-alike", with(4, &low)),
        ("answer/no-tile", with(3, b"")),
        ("answer/ok-earlier-latest", with(1, &earlier)),
        ("tile/ok-full", tile(2, 4, &low)),
        ("tile/ok-partial", tile(2, 2, &high)),
        ("tile/ok-one", tile(8, 1, &low[..32])),
        ("tile/cut-off", tile(2, 4, &low[..100])),
        ("tile/too-long", tile(2, 2, &low)),
        ("tile/too-wide", tile(1, 4, &low)),
        ("tile/no-width", tile(2, 0, b"")),
        ("tile/nothing", Vec::new()),
    ];
    for (name, data) in expected {
        let path = folder().join(name);
        if std::env::var_os("MODKEEP_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, &data).expect("a file");
        }
        let file = std::fs::read(&path).expect("a file");
        assert_eq!(file, data, "{name}");
    }
}

#[test]
fn no_file_is_an_answer_a_client_believes() {
    let log = log_of(10);
    // These two are what the log truly answers.
    let is_true =
        |file: &Path| file.ends_with("note/ok-latest") || file.ends_with("record/ok-lookup");
    for (file, data) in files().into_iter().filter(|(file, _)| !is_true(file)) {
        for place in ["/lookup/", "/tile/", "/latest"] {
            let world = World::new(|path| {
                if path.starts_with(place) {
                    Ok(data.clone())
                } else {
                    read_log(&log, path)
                }
            });
            let client = client(8);
            let is_refused = match place {
                "/latest" => run(client.update(), &world).is_err(),
                _ => run(client.lookup(nth_module(3)), &world).is_err(),
            };
            assert!(is_refused, "{} as answer to {place}", file.display());
        }
    }
}
