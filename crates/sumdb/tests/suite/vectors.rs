//! The vectors of Go's own packages and whole databases, where their folder lies beside the workspace.
#![expect(clippy::print_stdout, reason = "a test run tells how many rows it had")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sumdb::Error;
use sumdb::audit::{Audit, Finding};
use sumdb::client::{Client, Driver as _, RemoteError, Timeline, run};
use sumdb::log::{LogKeys, LogWriter};
use sumdb::note::{Note, SignerKey, VerifierKey, Verifiers};
use sumdb::record::{ModuleHashes, Part};
use sumdb::tile::{Height, new_tiles};
use sumdb::tlog::{Hash, RecordText, TreeHead, format_record, parse_record};

use crate::support::{MemoryLog, World, module, read_log, signer};

fn conformance(what: &str) -> Option<PathBuf> {
    let root = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/conformance"
    ));
    if root.is_dir() {
        return Some(root.join(what));
    }
    println!("skipped: {what} (no ../shared/conformance)");
    None
}

fn json(what: &str) -> Option<Value> {
    let text = fs::read(conformance(what)?).expect("a file of vectors");
    Some(serde_json::from_slice(&text).expect("JSON"))
}

fn string<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field}"))
}

fn rows<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    let rows = value[field]
        .as_array()
        .unwrap_or_else(|| panic!("no {field}"));
    assert!(!rows.is_empty(), "{field} is empty");
    println!("{field}: {} rows", rows.len());
    rows
}

#[test]
fn notes() {
    let Some(table) = json("cmd-go/note_tests.json") else {
        return;
    };
    let verifier = |field: &str| VerifierKey::parse(string(&table, field)).expect("a key");
    let (peter, enoch) = (verifier("vkey_peter"), verifier("vkey_enoch"));
    assert_eq!(peter.to_string(), string(&table, "vkey_peter"));
    let private = SignerKey::parse(string(&table, "skey_peter")).expect("a key");
    assert_eq!(
        private.reveal().expect("a key"),
        string(&table, "skey_peter")
    );
    assert_eq!(*private.verifier(), peter);
    VerifierKey::parse(string(&table, "sum_golang_org_vkey")).expect("a key");

    let (text, by_peter, by_enoch) = (
        string(&table, "text"),
        string(&table, "sig_peter"),
        string(&table, "sig_enoch"),
    );
    let mut note = Note::new(text).expect("text");
    note.sign(&private).expect("a signature");
    assert_eq!(note.to_string(), format!("{text}\n{by_peter}"));

    let both = Note::parse(format!("{text}\n{by_peter}{by_enoch}").as_bytes()).expect("a note");
    let known =
        |keys: &[&VerifierKey]| Verifiers::new(keys.iter().map(|&key| key.clone())).expect("keys");
    let by_both = both
        .clone()
        .verify(&known(&[&peter, &enoch]))
        .expect("two good signatures");
    assert_eq!(
        (by_both.verified().len(), by_both.unverified().len()),
        (2, 0)
    );
    let by_one = both
        .clone()
        .verify(&known(&[&enoch]))
        .expect("a good signature");
    assert_eq!((by_one.verified().len(), by_one.unverified().len()), (1, 1));
    assert!(matches!(
        both.verify(&known(&[])),
        Err(Error::UnverifiedNote)
    ));

    let c2sp = &table["c2sp"];
    let key = VerifierKey::parse(string(c2sp, "vkey")).expect("a key");
    let note = Note::parse(string(c2sp, "note").as_bytes()).expect("a note");
    note.verify(&known(&[&key])).expect("a good signature");
    println!("notes: 3 notes, 5 keys");
}

#[test]
fn keys_that_are_not_keys() {
    let Some(table) = json("cmd-go/note_tests.json") else {
        return;
    };
    for key in rows(&table, "bad_vkeys") {
        assert!(
            VerifierKey::parse(key.as_str().expect("a key")).is_err(),
            "{key}"
        );
    }
    let mut checked = 0;
    let mut is_refused = |key: &str| {
        checked += 1;
        VerifierKey::parse(key).is_err() && SignerKey::parse(key).is_err()
    };
    for field in ["vkey_peter", "vkey_enoch", "skey_peter"] {
        let key = string(&table, field);
        for start in 0..key.len() {
            for end in start..key.len() {
                let part = &key[start..end];
                assert!(is_refused(part), "{part}");
            }
            let mut bytes = key.as_bytes().to_vec();
            bytes[start] += 1;
            let altered = String::from_utf8(bytes).expect("ASCII");
            assert!(is_refused(&altered), "{altered}");
        }
    }
    println!("parts of keys: {checked} rows");
}

#[test]
fn note_properties() {
    let Some(table) = json("cmd-go/note_tests.json") else {
        return;
    };
    let peter = VerifierKey::parse(string(&table, "vkey_peter")).expect("a key");
    let known = Verifiers::from(peter);
    let (text, by_peter, by_enoch) = (
        string(&table, "text"),
        string(&table, "sig_peter"),
        string(&table, "sig_enoch"),
    );
    let parse = |lines: &str| Note::parse(format!("{text}\n{lines}").as_bytes());
    let verify = |lines: &str| parse(lines).expect("a note").verify(&known);

    assert!(parse(&by_peter.repeat(100)).is_ok());
    assert!(parse(&by_peter.repeat(101)).is_err());
    let repeated =
        verify(&format!("{}{}", by_peter.repeat(3), by_enoch.repeat(2))).expect("a good signature");
    assert_eq!(
        (repeated.verified().len(), repeated.unverified().len()),
        (1, 1)
    );
    // The signature of the known key over another text, alone and beside good ones.
    let other_text =
        Note::parse(format!("other\n\n{by_peter}{by_enoch}").as_bytes()).expect("a note");
    assert!(matches!(
        other_text.verify(&known),
        Err(Error::InvalidSignature(_))
    ));
    assert!(matches!(verify(by_enoch), Err(Error::UnverifiedNote)));
    println!(
        "properties of notes: {} rows",
        rows(&table, "properties").len()
    );
}

#[test]
fn tree_heads_and_records() {
    let Some(notes) = json("cmd-go/note_tests.json") else {
        return;
    };
    let Some(table) = json("x-mod/tables/sumdb_tlog_note.json") else {
        return;
    };
    let tree = &notes["tree"];
    let head = TreeHead::new(
        tree["N"].as_u64().expect("a size"),
        Hash::of_record(string(tree, "leaf").as_bytes()),
    );
    let head_text = string(tree, "text");
    assert_eq!(head.expect("a head").to_string(), head_text);
    let evaluate = |value: &Value, input: &str| evaluate(value, input.as_bytes());

    for row in rows(&table, "goodTrees") {
        let text = String::from_utf8(evaluate(row, head_text)).expect("text");
        assert_eq!(TreeHead::parse(&text).ok(), head, "{text:?}");
    }
    for row in rows(&table, "badTrees") {
        let text = String::from_utf8(evaluate(row, head_text)).expect("text");
        assert!(TreeHead::parse(&text).is_err(), "{text:?}");
    }

    let text = RecordText::parse(b"hello, world\n").expect("record text");
    let record = format_record(123_456_789_012, &text);
    assert_eq!(record, "123456789012\nhello, world\n\n");
    let (id, parsed, rest) = parse_record(record.as_bytes()).expect("a record");
    assert_eq!((id, parsed, rest), (123_456_789_012, text, &b""[..]));
    for row in rows(&table, "badTexts") {
        let text = evaluate(row, "");
        assert!(RecordText::parse(&text).is_err(), "{text:?}");
    }
    for row in rows(&table, "badRecords") {
        let record = evaluate(row, &record);
        assert!(parse_record(&record).is_err(), "{record:?}");
    }
}

/// The bytes a row stands for: text, hexadecimal bytes, or pieces joined together, with `in` for the good input.
fn evaluate(value: &Value, input: &[u8]) -> Vec<u8> {
    if let Some(text) = value.as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(hex) = value["$hex"].as_str() {
        let byte = |pair: &[u8]| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex")
        };
        return hex.as_bytes().chunks(2).map(byte).collect();
    }
    if value["$id"] == "in" {
        return input.to_vec();
    }
    if let Some(pieces) = value["$expr"].as_array() {
        return pieces
            .iter()
            .flat_map(|piece| evaluate(piece, input))
            .collect();
    }
    assert_eq!(value["$call"], "strings.Repeat", "{value}");
    let count = value["args"][1].as_u64().expect("a count");
    evaluate(&value["args"][0], input).repeat(usize::try_from(count).expect("small"))
}

#[test]
fn tiles_of_a_growing_tree() {
    let Some(table) = json("x-mod/tables/sumdb_tlog_tile.json") else {
        return;
    };
    let height = Height::new(10).expect("a height");
    for row in rows(&table, "TestNewTilesForSize.tt") {
        let number = |field: &str| row[field].as_u64().expect("a number");
        let tiles = new_tiles(height, number("old"), number("new"));
        assert_eq!(tiles.len() as u64, number("want"), "{row}: {tiles:?}");
    }
}

/// A static database.
struct Database {
    folder: PathBuf,
    signer: SignerKey,
}

impl Database {
    fn open(name: &str) -> Option<Self> {
        let root = conformance("sumdb")?;
        let keys = fs::read_to_string(root.join("KEYS.txt")).expect("keys");
        let private = keys
            .split_whitespace()
            .find(|word| word.starts_with("PRIVATE+KEY+"))
            .expect("a key");
        let signer = SignerKey::parse(private).expect("a key");
        assert!(keys.contains(&signer.verifier().to_string()));
        Some(Self {
            folder: root.join(name),
            signer,
        })
    }

    fn client(&self, height: u8) -> Client {
        let height = Height::new(height).expect("a height");
        Client::with_height(self.signer.verifier().clone(), height).expect("a key for notes")
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, RemoteError> {
        let file = self.folder.join(path.trim_start_matches('/'));
        fs::read(file).map_err(|error| RemoteError::Absent(error.to_string()))
    }

    fn world(&self) -> World<'_> {
        World::new(|path| self.read(path))
    }

    /// All files below a folder of the database, by their path.
    fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path
                        .strip_prefix(&self.folder)
                        .expect("below")
                        .to_string_lossy()
                        .into_owned();
                    files.insert(name, fs::read(&path).expect("a file"));
                }
            }
        }
        assert!(!files.is_empty(), "{folder} is empty");
        files
    }

    fn heads(&self) -> BTreeMap<u64, Vec<u8>> {
        let heads = self.files("latest_by_size").into_iter();
        heads
            .map(|(path, note)| {
                (
                    path["latest_by_size/".len()..].parse().expect("a size"),
                    note,
                )
            })
            .collect()
    }

    /// Looks up everything that can be looked up, and returns how many records were proven.
    fn look_everything_up(&self, height: u8) -> usize {
        let client = self.client(height);
        let world = self.world();
        let lookups = self.files("lookup");
        for (path, answer) in &lookups {
            let (module, id, text) = asked(path, answer);
            let record = run(client.lookup(module), &world)
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(record.id(), id);
            for line in text.lines() {
                let part = if line.contains("/go.mod ") {
                    Part::GoMod
                } else {
                    Part::Zip
                };
                assert!(
                    record.lines(part).contains(&line.to_owned()),
                    "{path}: {line}"
                );
            }
        }
        lookups.len()
    }
}

/// The module version a lookup file is about, the record's number and its text.
fn asked(path: &str, answer: &[u8]) -> (gomod::ModuleVersion, u64, String) {
    let resource = sumdb::log::Resource::parse(path).expect("a lookup");
    let sumdb::log::Resource::Lookup(module) = resource else {
        panic!("{path}")
    };
    let (id, text, _) = parse_record(answer).expect("a record");
    (module, id, text.to_string())
}

#[test]
fn the_database_of_gos_client_test() {
    let Some(database) = Database::open("client_test_h2") else {
        return;
    };
    println!("client_test_h2: {} lookups", database.look_everything_up(2));

    let quote = run(
        database.client(2).lookup(module("rsc.io/quote", "v1.5.2")),
        &database.world(),
    );
    let quote = quote.expect("a proven record");
    assert_eq!(
        quote.h1(Part::Zip).expect("a hash"),
        "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y="
    );
    assert_eq!(
        quote.lines(Part::Zip).len(),
        2,
        "lines of other algorithms are kept"
    );

    let client = database.client(2);
    let report = run(Audit::new(&client), &database.world()).expect("an audit");
    // Its last record has no real hash, on purpose.
    assert!(
        matches!(&report.findings[..], [Finding::Lines { id: 3, .. }]),
        "{:?}",
        report.findings
    );
}

#[test]
fn heads_of_growing_databases() {
    for name in ["client_test_h2", "forkA_h2", "forkB_h2", "gold300_h8"] {
        let Some(database) = Database::open(name) else {
            return;
        };
        let height = if name.ends_with("h8") { 8 } else { 2 };
        let client = database.client(height);
        let world = database.world();
        for (size, note) in database.heads() {
            let timeline = run(client.observe(note.clone()), &world).expect("a head");
            assert_eq!(timeline, Timeline::Future, "{name} {size}");
            assert_eq!(client.latest().expect("a head").tree().size(), size);
            assert_eq!(world.read_latest().expect("a world"), Some(note));
        }
        for (size, note) in database.heads().into_iter().rev().skip(1) {
            assert_eq!(
                run(client.observe(note), &world).expect("a head"),
                Timeline::Past,
                "{name} {size}"
            );
        }
        println!("{name}: {} heads", database.heads().len());
    }
}

#[test]
fn forked_databases() {
    let (Some(a), Some(b)) = (Database::open("forkA_h2"), Database::open("forkB_h2")) else {
        return;
    };
    let mut forks = 0;
    for (first, second) in [(&a, &b), (&b, &a)] {
        assert!(first.look_everything_up(2) > 0);
        for (seen, note) in first.heads() {
            for (shown, other) in second.heads() {
                let client = first.client(2);
                run(client.observe(note.clone()), &first.world()).expect("a head");
                let newer = if seen > shown { first } else { second };
                let outcome = run(client.observe(other), &newer.world());
                let common =
                    first.heads().get(&seen.min(shown)) == second.heads().get(&seen.min(shown));
                match outcome {
                    Ok(_) => assert!(common, "{seen} and {shown}: not noticed"),
                    Err(Error::Fork(fork)) => {
                        assert!(!common, "{seen} and {shown}: no fork");
                        assert!(fork.to_string().starts_with("SECURITY ERROR\n"));
                        forks += 1;
                    }
                    Err(error) => panic!("{seen} and {shown}: {error}"),
                }
            }
        }
    }
    assert!(forks > 0);
    println!("forkA_h2, forkB_h2: {forks} forks");
}

#[test]
fn a_database_of_300_records_is_proven_and_made_again() {
    let Some(database) = Database::open("gold300_h8") else {
        return;
    };
    println!("gold300_h8: {} lookups", database.look_everything_up(8));
    let client = database.client(8);
    let report = run(Audit::new(&client), &database.world()).expect("an audit");
    assert_eq!(report.findings, []);
    assert_eq!((report.tree.size(), report.tiles), (300, 3));

    let mut records: BTreeMap<u64, ModuleHashes> = BTreeMap::new();
    for (path, answer) in database.files("lookup") {
        let (module, id, text) = asked(&path, &answer);
        let hash = |line: Option<&str>| {
            line.and_then(|line| line.split(' ').nth(2))
                .expect("a hash")
                .to_owned()
        };
        let (zip, go_mod) = (hash(text.lines().next()), hash(text.lines().nth(1)));
        let hashes = ModuleHashes::new(module, &zip, &go_mod).expect("hashes");
        assert_eq!(hashes.record().as_str(), text);
        records.insert(id, hashes);
    }
    assert_eq!(records.len(), 300);

    let keys = LogKeys::new(database.signer, signer("origin", 1));
    let mut log = MemoryLog::default();
    let mut writer = LogWriter::open(keys, &mut log).expect("an empty log");
    let database = Database::open("gold300_h8").expect("it was there");
    let mut size = 0;
    for (next, note) in database.heads() {
        let batch: Vec<ModuleHashes> = records
            .range(size..next)
            .map(|(_, record)| record.clone())
            .collect();
        writer.append(&batch, &mut log).expect("an append");
        assert_eq!(
            read_log(&log, "/latest").expect("a head"),
            note,
            "head of size {next}"
        );
        size = next;
    }
    let tiles = database.files("tile");
    for (path, data) in &tiles {
        assert_eq!(
            read_log(&log, &format!("/{path}")).expect("a tile"),
            *data,
            "{path}"
        );
    }
    println!("gold300_h8: {} tiles made again", tiles.len());
}
