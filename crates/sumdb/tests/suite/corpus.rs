//! The hostile inputs in `fuzz-corpus`, and what they may not do.
//!
//! Each folder is named after what its files claim to be; files whose name begins with `ok-` are that, all others are
//! to be refused. Every file is also given to every other parser, cut short at every place and with every bit of its
//! first bytes flipped.

use std::path::{Path, PathBuf};

use sumdb::checkpoint::Checkpoint;
use sumdb::client::run;
use sumdb::log::Resource;
use sumdb::note::{CosignerKey, KeyName, Note, Signature, SignerKey, VerifierKey, Verifiers};
use sumdb::tile::{Height, Tile, TileLevel};
use sumdb::tlog::{Hash, RecordText, TreeHead, format_record, parse_record};

use crate::support::{NAME, World, client, log_of, nth_module, read_log, signer};

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// Whether the bytes are what files of this folder claim to be.
fn accepts(folder: &str, data: &[u8]) -> bool {
    match folder {
        "note" => Note::parse(data).is_ok(),
        "verifier-key" => text(data).is_some_and(|text| VerifierKey::parse(text).is_ok()),
        "signer-key" => text(data).is_some_and(|text| SignerKey::parse(text).is_ok()),
        "tree-head" => text(data).is_some_and(|text| TreeHead::parse(text).is_ok()),
        "checkpoint" => text(data).is_some_and(|text| Checkpoint::parse(text).is_ok()),
        "record" => parse_record(data).is_ok(),
        "tile-path" => text(data).is_some_and(|text| Tile::parse_path(text).is_ok()),
        "c2sp-tile-path" => text(data).is_some_and(|text| Tile::parse_c2sp_path(text).is_ok()),
        "request" => text(data).is_some_and(|text| Resource::parse(text).is_ok()),
        other => panic!("no parser for the folder {other}"),
    }
}

/// Gives the bytes to all parsers; what one accepts must read back from its text form.
pub(crate) fn parse_everything(data: &[u8]) {
    if let Ok(note) = Note::parse(data) {
        assert_eq!(
            Note::parse(note.to_string().as_bytes()).expect("a note"),
            note
        );
        let known = Verifiers::from(signer(NAME, 1).verifier().clone());
        drop(note.verify(&known));
    }
    if let Ok((id, record, rest)) = parse_record(data) {
        let head = data.strip_suffix(rest).expect("the rest is the end");
        assert_eq!(format_record(id, &record).as_bytes(), head);
    }
    if let Ok(record) = RecordText::parse(data) {
        assert_eq!(record.as_str().as_bytes(), data);
    }
    for height in [1, 8] {
        let tile = Tile::new(
            Height::new(height).expect("a height"),
            TileLevel::Hashes(0),
            0,
            2,
        )
        .expect("a tile");
        drop(tile.hashes(data));
        drop(tile.cut(data));
    }
    let Some(text) = text(data) else { return };
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(VerifierKey::parse(&key.to_string()).expect("a key"), key);
    }
    if let Ok(head) = TreeHead::parse(text) {
        assert_eq!(TreeHead::parse(&head.to_string()).expect("a head"), head);
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(
            Checkpoint::parse(&checkpoint.to_string()).expect("a checkpoint"),
            checkpoint
        );
    }
    if let Ok(tile) = Tile::parse_path(text) {
        assert_eq!(tile.path(), text);
        assert!(tile.end_record().is_none() || tile.first_record() < tile.end_record());
        if tile.width() < 1024 {
            drop(tile.nodes());
        }
    }
    drop((
        SignerKey::parse(text),
        CosignerKey::parse(text),
        Signature::parse(text),
    ));
    drop((
        KeyName::parse(text),
        Hash::parse(text),
        Tile::parse_c2sp_path(text),
        Resource::parse(text),
    ));
}

fn files() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus");
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").path())
            .collect::<Vec<_>>()
    };
    let name = |path: &Path| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    list(&root)
        .iter()
        .flat_map(|folder| list(folder).into_iter().map(|file| (name(folder), file)))
        .collect()
}

#[test]
fn every_file_is_judged_as_its_name_says() {
    let files = files();
    assert!(files.len() > 80, "only {} files", files.len());
    for (folder, file) in files {
        let data = std::fs::read(&file).expect("a file");
        let is_ok = file
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("ok-"));
        assert_eq!(accepts(&folder, &data), is_ok, "{}", file.display());
    }
}

#[test]
fn no_file_makes_a_parser_panic_whole_or_mangled() {
    for (_, file) in files() {
        let data = std::fs::read(&file).expect("a file");
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
fn no_file_is_an_answer_a_client_believes() {
    let log = log_of(10);
    for (_, file) in files() {
        let data = std::fs::read(&file).expect("a file");
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
