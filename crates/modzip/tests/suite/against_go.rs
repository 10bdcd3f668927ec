//! The go command as judge: what it says of zips that it downloads from a file tree.

use std::path::Path;

use modzip::{MemoryFile, Workers, create, dir};

use crate::raw_zip::{RawEntry, RawZip};
use crate::{entry_name, go, hash, hostile, module, module_version, sound};

fn own_zip(module: &gomod::ModuleVersion) -> Vec<u8> {
    let files = [
        MemoryFile::regular("go.mod", format!("module {}\n", module.path())),
        MemoryFile::regular("a.go", "package a\n"),
        MemoryFile::regular("empty", ""),
        MemoryFile::regular("Été ça/ß {x}.txt", "text\r\n"),
        MemoryFile::regular(
            "big.bin",
            (0..9_000_000_u32)
                .flat_map(u32::to_le_bytes)
                .collect::<Vec<_>>(),
        ),
        MemoryFile::regular("Z", "upper case sorts first"),
    ];
    let mut zip = Vec::new();
    create(&mut zip, module, &files).unwrap();
    zip
}

#[test]
fn go_computes_the_same_hash_of_our_zips_and_unpacks_what_we_hash() {
    for (path, version) in [
        ("example.com/m", "v1.0.0"),
        ("example.com/Upper/m/v2", "v2.0.0-RC1"),
        ("example.com/m", "v3.0.0+incompatible"),
    ] {
        let module = module_version(path, version);
        let scratch = tempfile::tempdir().unwrap();
        let zip = own_zip(&module);
        let download = go::download(scratch.path(), &module, &zip);
        assert_eq!(download.error, None);
        let ours = hash(&zip).unwrap();
        assert_eq!(download.sum.unwrap(), ours.to_string(), "{module}");
        let unpacked = download.dir.unwrap();
        let workers = Workers::new(2.try_into().unwrap()).unwrap();
        assert_eq!(
            dir::hash_dir(Path::new(&unpacked), &module, &workers).unwrap(),
            ours
        );
    }
}

#[test]
fn go_computes_the_same_hash_of_other_zips() {
    for (name, zip) in sound::cases() {
        let scratch = tempfile::tempdir().unwrap();
        let download = go::download(scratch.path(), &module(), &zip);
        assert_eq!(download.error, None, "{name}");
        assert_eq!(
            download.sum.unwrap(),
            hash(&zip).unwrap().to_string(),
            "{name}"
        );
    }
}

#[test]
fn go_unpacks_what_we_unpack() {
    let names = [
        "go.mod",
        "a.go",
        "Été/x y.txt",
        "vendor/x/x.go",
        "d/e/f",
        "LICENSE",
    ];
    let zip = RawZip::of(
        names
            .map(|name| RawEntry::deflated(entry_name(name), name))
            .into_iter()
            .chain([RawEntry::stored(entry_name("d/"), "")]),
    )
    .build();
    let scratch = tempfile::tempdir().unwrap();
    let download = go::download(scratch.path(), &module(), &zip);
    let ours = scratch.path().join("ours");
    dir::unzip(&zip, zip.len() as u64, &module(), &ours).unwrap();
    let workers = Workers::calling_thread();
    assert_eq!(
        dir::hash_dir(&ours, &module(), &workers).unwrap(),
        dir::hash_dir(Path::new(&download.dir.unwrap()), &module(), &workers).unwrap()
    );
}

/// Whatever we refuse, go may take; but go must not refuse what we hash and find fit.
#[test]
fn go_refuses_the_files_that_we_refuse() {
    for names in [
        &["../x"][..],
        &["a:b"],
        &["sub/go.mod"],
        &["GO.MOD"],
        &["a", "A"],
        &["a", "a/b"],
        &["a", "a"],
        &["aux"],
        &["x."],
        &["a//b"],
        &["k", "\u{212a}"],
        &["\u{1f600}"],
        &["ok", "d/", "d/x"],
        &["a b", "é", "#!{}"],
        &["d/", "d/"],
    ] {
        let zip = RawZip::of(
            names
                .iter()
                .map(|name| RawEntry::stored(entry_name(name), "")),
        )
        .build();
        let scratch = tempfile::tempdir().unwrap();
        let download = go::download(scratch.path(), &module(), &zip);
        let checked = modzip::check_zip(&zip, zip.len() as u64, &module()).unwrap();
        match download.error {
            None => assert!(checked.is_fit(), "{names:?}: {checked}"),
            Some(error) => assert!(
                error.contains(&checked.to_string()),
                "{names:?}:\n{error}\n{checked}"
            ),
        }
    }
}

/// Of two headers that disagree, go believes the central directory, and it refuses bombs as we do.
#[test]
fn go_reads_the_central_directory_and_refuses_bombs() {
    let truth = hash(&sound::cases()[0].1).unwrap().to_string();
    let mut bombs = 0;
    for case in hostile::cases() {
        let scratch = tempfile::tempdir().unwrap();
        if case.name.starts_with("bomb") {
            let download = go::download(scratch.path(), &module(), &case.zip);
            assert!(download.error.is_some(), "{}", case.name);
            bombs += 1;
        } else if case.name.starts_with("local-") {
            let download = go::download(scratch.path(), &module(), &case.zip);
            assert!(
                download.error.is_some() || download.sum.as_ref() == Some(&truth),
                "{}",
                case.name
            );
        }
    }
    assert!(bombs > 3);
}
