//! What holds for all files and for all bytes.

use std::collections::BTreeMap;

use modzip::{
    FileKind, MemoryFile, ReleaseGate, Workers, check_files, check_zip, create, dir, releasable,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::raw_zip::{RawEntry, RawZip};
use crate::{entry_name, hash, hostile, module, sound};

fn file_name() -> impl Strategy<Value = String> {
    vec("[a-dA-D][a-c é_]{0,2}", 1..4).prop_map(|elements| elements.join("/"))
}

fn any_path() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "vendor",
        "go.mod",
        "GO.MOD",
        "Go.mod",
        "..",
        ".",
        "",
        "modules.txt",
        "x",
        "X",
        "a",
        "A",
        "\u{17f}",
        "s",
        "\u{212a}",
        "k",
        "aux",
        "Aux.go",
        ".hg_archival.txt",
        "LICENSE",
        "é",
        "É",
        "x~1",
        "a b",
        "-",
        "a.",
        "...",
        "\u{301}",
    ]);
    let element = prop_oneof![
        9 => name.prop_map(|name| name.as_bytes().to_vec()),
        // Assigned long ago: Go releases know different versions of Unicode.
        1 => "[ -~¡-ӿ一-龥]{0,3}".prop_map(String::into_bytes),
        // Not UTF-8.
        1 => vec(0x80..0xc0_u8, 1..3),
    ];
    prop_oneof![
        1 => Just(b"go.mod".to_vec()),
        1 => Just(b"vendor/modules.txt".to_vec()),
        9 => vec(element, 0..5).prop_map(|elements| elements.join(&b'/')),
    ]
}

/// Any kind of file at [`any_path`]; a go.mod with or without a go line.
pub(crate) fn any_file() -> impl Strategy<Value = MemoryFile> {
    let kind = prop_oneof![
        8 => Just(FileKind::Regular),
        1 => Just(FileKind::Symlink),
        1 => Just(FileKind::Directory),
        1 => Just(FileKind::Other),
    ];
    let content = prop_oneof![
        Just("go 1.24\n"),
        Just("module m.example\n\ngo 1.23.4\n"),
        Just("go 1.100\n"),
        Just("go 1.24rc1\n"),
        Just("go 1.24\n(\n"),
        Just("go 1.25\nunknown x\n"),
        Just(""),
    ];
    (any_path(), kind, content).prop_map(|(path, kind, content)| {
        let content = if kind == FileKind::Regular {
            content
        } else {
            ""
        };
        MemoryFile {
            path: path.into(),
            kind,
            content: content.into(),
        }
    })
}

/// A valid zip, unusual or hostile, with some bytes replaced, removed or doubled.
fn damaged_zip() -> impl Strategy<Value = Vec<u8>> {
    let good: Vec<_> = sound::cases().into_iter().map(|(_, zip)| zip).collect();
    let bad: Vec<_> = hostile::cases()
        .into_iter()
        .map(|case| case.zip)
        .filter(|zip| zip.len() < 2000)
        .collect();
    let zip = prop::sample::select([good, bad].concat())
        .prop_filter("small", |zip| zip.len() < 2000 && !zip.is_empty());
    let edit = (
        any::<prop::sample::Index>(),
        any::<u8>(),
        0_usize..4,
        0_usize..30,
    );
    (zip, vec(edit, 1..4)).prop_map(|(mut zip, edits)| {
        for (index, byte, kind, len) in edits {
            if zip.is_empty() {
                break;
            }
            let at = index.index(zip.len());
            let end = zip.len().min(at + len);
            match kind {
                0 => zip[at] = byte,
                1 => zip[at] ^= 1 << (byte % 8),
                2 => drop(zip.drain(at..end)),
                _ => {
                    let doubled = zip[at..end].to_vec();
                    zip.splice(at..at, doubled);
                }
            }
        }
        zip
    })
}

fn exercise(bytes: &[u8]) {
    let size = bytes.len() as u64;
    let _ = check_zip(bytes, size, &module());
    if hash(bytes).is_ok() {
        let scratch = tempfile::tempdir().unwrap();
        let _ = dir::unzip(bytes, size, &module(), scratch.path());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_created_is_fit_and_has_the_hash_of_its_files(
        files in btree_map(file_name(), vec(any::<u8>(), 0..3000), 0..12),
        threads in 1_usize..4,
    ) {
        let sources: Vec<_> = files.iter().map(|(path, content)| MemoryFile::regular(path.as_str(), content.as_slice())).collect();
        let mut zip = Vec::new();
        let created = match create(&mut zip, &module(), &sources) {
            Ok(created) => created,
            Err(error) => {
                prop_assert!(!check_files(&sources).is_fit(), "{}", error);
                return Ok(());
            }
        };
        let size = zip.len() as u64;
        prop_assert_eq!(created.size, size);
        let checked = check_zip(&zip, size, &module()).unwrap();
        prop_assert!(checked.is_fit(), "{}", checked);
        prop_assert_eq!(checked.valid.len() + created.omitted.len(), files.len());

        let workers = Workers::new(threads.try_into().unwrap()).unwrap();
        prop_assert_eq!(modzip::hash_zip(&zip, size, &workers).unwrap(), created.hash);
        let scratch = tempfile::tempdir().unwrap();
        dir::unzip(&zip, size, &module(), scratch.path()).unwrap();
        prop_assert_eq!(dir::hash_dir(scratch.path(), &module(), &workers).unwrap(), created.hash);

        let by_hand = files.iter().map(|(path, content)| RawEntry::stored(entry_name(path), content));
        prop_assert_eq!(hash(&RawZip::of(by_hand).build()).unwrap(), created.hash);
    }

    #[test]
    fn another_content_gives_another_hash(
        mut files in btree_map("[a-z]{1,3}", vec(any::<u8>(), 1..50), 1..5),
        at in any::<prop::sample::Index>(),
    ) {
        let zip = |files: &BTreeMap<String, Vec<u8>>| {
            RawZip::of(files.iter().map(|(path, content)| RawEntry::deflated(entry_name(path), content))).build()
        };
        let before = hash(&zip(&files)).unwrap();
        let index = at.index(files.len());
        files.values_mut().nth(index).unwrap()[0] ^= 1;
        prop_assert_ne!(hash(&zip(&files)).unwrap(), before);
    }

    #[test]
    fn every_file_is_in_one_list_at_most_once(files in vec(any_file(), 0..12)) {
        let checked = check_files(&files);
        let mut refused: Vec<_> = checked.omitted.iter().map(|omitted| omitted.path.clone())
            .chain(checked.invalid.iter().map(|invalid| invalid.path.clone())).collect();
        let all = refused.len();
        refused.sort();
        refused.dedup();
        prop_assert_eq!(refused.len(), all);
        prop_assert!(checked.valid.len() + all <= files.len());
        if checked.is_fit() {
            let mut zip = Vec::new();
            create(&mut zip, &module(), &files).unwrap();
            prop_assert!(check_zip(&zip, zip.len() as u64, &module()).unwrap().is_fit());
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200), comment in 0_u16..4) {
        exercise(&bytes);
        let end = [b"PK\x05\x06".as_slice(), &bytes[..bytes.len().min(16)]].concat();
        exercise(&[&bytes[..], &end, &comment.to_le_bytes()].concat());
    }

    #[test]
    fn damaged_zips_do_not_panic(zip in damaged_zip()) {
        exercise(&zip);
    }

    #[test]
    fn a_changed_byte_changes_no_content_unnoticed(
        (_, zip) in prop::sample::select(sound::cases()).prop_filter("small", |(_, zip)| zip.len() < 1000),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut changed = zip.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1_u8 << bit;
        if let Ok(found) = hash(&changed) {
            prop_assert_eq!(found, hash(&zip).unwrap(), "byte {}", at);
        }
    }

    #[test]
    fn the_gate_never_lets_an_end_record_out(
        pieces in vec(prop_oneof![vec(any::<u8>(), 0..50), Just(b"PK\x05\x06".to_vec()), Just(b"PK\x05".to_vec())], 0..30),
        padding in 0_usize..70_000,
        chunk in 1_usize..300,
    ) {
        let zip = [pieces.concat(), vec![0; padding]].concat();
        let total = zip.len() as u64;
        let end_at = zip.windows(4).position(|bytes| bytes == b"PK\x05\x06").map_or(total, |at| at as u64);
        for known in [Some(total), None] {
            let mut gate = ReleaseGate::new(known);
            let mut before = 0;
            let mut received = 0;
            for bytes in zip.chunks(chunk) {
                received += bytes.len() as u64;
                let now = gate.receive(bytes);
                prop_assert!(now >= before && now <= end_at && now <= releasable(received, known));
                before = now;
            }
        }
    }
}
