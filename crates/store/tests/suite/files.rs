use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Barrier;
use std::thread;

use store::{Digest, FileKey, FileKind, Found};
use testkit::Module;

use crate::scene::{Scene, keeps_stamps, key, module};

fn go_mod() -> FileKey {
    key("example.com/Acme", "v1.0.0-RC1", FileKind::Mod)
}

#[test]
fn a_published_file_is_there_with_its_digest() {
    let scene = Scene::new();
    let published = scene
        .store
        .publish_bytes(b"module example.com/Acme\n", &go_mod())
        .unwrap();
    assert!(published.is_new);
    assert_eq!(published.digest, Digest::of(b"module example.com/Acme\n"));
    let path = scene
        .root()
        .join("tree/example.com/!acme/@v/v1.0.0-!r!c1.mod");
    assert_eq!(fs::read(&path).unwrap(), b"module example.com/Acme\n");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o644
    );
    let stored = scene.store.open_file(&go_mod()).unwrap().unwrap();
    assert_eq!((stored.len(), stored.is_empty()), (24, false));
    assert_eq!(stored.compute_digest().unwrap(), published.digest);
    assert_eq!(
        scene.store.read_small(&go_mod(), &stored).unwrap().unwrap(),
        b"module example.com/Acme\n"
    );
    assert_eq!(stored.etag(), published.stored.etag());
    assert!(stored.etag().starts_with('"') && stored.etag().ends_with('"'));
    assert!(scene.names("tmp").is_empty());
}

#[test]
fn a_name_that_is_taken_keeps_what_it_has() {
    let scene = Scene::new();
    let first = scene.store.publish_bytes(b"first\n", &go_mod()).unwrap();
    let before = fs::metadata(scene.path(&go_mod())).unwrap();
    let second = scene.store.publish_bytes(b"second\n", &go_mod()).unwrap();
    assert!(first.is_new && !second.is_new);
    assert_eq!(second.digest, Digest::of(b"second\n"));
    assert_eq!(second.stored.len(), 6, "the earlier one is what is stored");
    let after = fs::metadata(scene.path(&go_mod())).unwrap();
    assert_eq!(fs::read(scene.path(&go_mod())).unwrap(), b"first\n");
    assert_eq!(
        (after.ino(), after.mtime_nsec()),
        (before.ino(), before.mtime_nsec())
    );
    assert!(scene.names("tmp").is_empty(), "the loser leaves nothing");
}

#[test]
fn of_many_that_publish_the_same_name_one_wins() {
    let scene = Scene::new();
    let start = Barrier::new(16);
    let winners: Vec<Vec<u8>> = thread::scope(|scope| {
        let publishers: Vec<_> = (0..16_usize)
            .map(|number| {
                let (scene, start) = (&scene, &start);
                scope.spawn(move || {
                    let bytes = format!("module from{number}\n")
                        .repeat(1 + number)
                        .into_bytes();
                    start.wait();
                    let published = scene.store.publish_bytes(&bytes, &go_mod()).unwrap();
                    published.is_new.then_some(bytes)
                })
            })
            .collect();
        publishers
            .into_iter()
            .filter_map(|publisher| publisher.join().unwrap())
            .collect()
    });
    assert_eq!(winners.len(), 1);
    assert_eq!(fs::read(scene.path(&go_mod())).unwrap(), winners[0]);
    assert!(scene.names("tmp").is_empty());
}

#[test]
fn a_draft_has_no_name_until_it_is_published() {
    let scene = Scene::new();
    let mut draft = scene.store.create_draft().unwrap();
    assert!(draft.is_empty());
    draft.append(b"module ").unwrap();
    draft.append(b"m\n").unwrap();
    assert_eq!(draft.len(), 9);
    assert!(scene.store.open_file(&go_mod()).unwrap().is_none());
    assert_eq!(scene.names("tmp").len(), 1);
    drop(draft);
    assert!(scene.names("tmp").is_empty());
    assert!(scene.names("tree").is_empty());
}

#[test]
fn a_file_stays_readable_for_those_who_have_it_open() {
    let scene = Scene::new();
    let published = scene.store.publish_bytes(b"module m\n", &go_mod()).unwrap();
    fs::remove_file(scene.path(&go_mod())).unwrap();
    assert_eq!(
        published.stored.read_small().unwrap().unwrap(),
        b"module m\n"
    );
    assert!(scene.store.open_file(&go_mod()).unwrap().is_none());
}

#[test]
fn what_is_not_there_is_no_error() {
    let scene = Scene::new();
    for absent in [
        key("example.com/none", "v1.0.0", FileKind::Zip),
        key(
            &format!("example.com/{}", "x".repeat(300)),
            "v1.0.0",
            FileKind::Zip,
        ),
    ] {
        assert!(scene.store.open_file(&absent).unwrap().is_none());
        assert!(!matches!(
            scene.store.try_open_file(&absent).unwrap(),
            Found::Known(Some(_))
        ));
    }
    // A file where the module would have its folder.
    fs::create_dir(scene.root().join("tree/example.com")).unwrap();
    fs::write(scene.root().join("tree/example.com/file"), "").unwrap();
    let below = key("example.com/file/m", "v1.0.0", FileKind::Mod);
    assert!(scene.store.open_file(&below).unwrap().is_none());
    assert!(
        scene
            .store
            .versions(&module("example.com/file/m"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_look_that_must_not_wait_finds_the_same() {
    let scene = Scene::new();
    let published = scene.store.publish_bytes(b"module m\n", &go_mod()).unwrap();
    match scene.store.try_open_file(&go_mod()).unwrap() {
        Found::Known(Some(stored)) => assert_eq!(stored.etag(), published.stored.etag()),
        // Allowed at any time: the system may have forgotten the name.
        Found::MustWait => {}
        Found::Known(None) => panic!("it is there"),
    }
}

#[test]
fn a_file_whose_length_has_changed_is_set_aside_and_its_name_is_free_again() {
    let scene = Scene::new();
    if !keeps_stamps(&scene) {
        return;
    }
    let harms: [fn(&File); 3] = [
        |file| file.set_len(3).unwrap(),
        |file| file.set_len(0).unwrap(),
        |file| file.set_len(4000).unwrap(),
    ];
    for (number, harm) in (1..).zip(harms) {
        let published = scene.store.publish_bytes(b"module m\n", &go_mod()).unwrap();
        assert!(published.is_new);
        harm(
            &File::options()
                .write(true)
                .open(scene.path(&go_mod()))
                .unwrap(),
        );
        assert!(scene.store.open_file(&go_mod()).unwrap().is_none());
        assert!(!scene.path(&go_mod()).exists());
        assert_eq!(scene.store.quarantined(), number);
        assert_eq!(scene.names("quarantine").len() as u64, number);
    }
    let entries = scene.store.quarantine_entries().unwrap();
    assert!(entries.iter().all(|entry| entry.evidence.key == go_mod()));
    assert!(
        scene
            .store
            .publish_bytes(b"module m\n", &go_mod())
            .unwrap()
            .is_new
    );
}

#[test]
fn a_small_file_whose_bytes_have_changed_is_set_aside_when_it_is_read() {
    let scene = Scene::new();
    if !keeps_stamps(&scene) {
        return;
    }
    scene.store.publish_bytes(b"module m\n", &go_mod()).unwrap();
    fs::write(scene.path(&go_mod()), b"module n\n").unwrap();
    let stored = scene.store.open_file(&go_mod()).unwrap().unwrap();
    assert_eq!(scene.store.read_small(&go_mod(), &stored).unwrap(), None);
    assert!(!scene.path(&go_mod()).exists());
    assert_eq!(scene.store.quarantined(), 1);
    // Another reader of the same damaged file finds that it is gone already.
    assert_eq!(scene.store.read_small(&go_mod(), &stored).unwrap(), None);
    assert_eq!(scene.store.quarantined(), 1);
}

#[test]
fn a_damaged_file_with_the_longest_of_names_is_set_aside_too() {
    let scene = Scene::new();
    let long = format!("example.com/{}", ["y".repeat(60).as_str(); 6].join("/"));
    let zip = key(&long, "v1.0.0", FileKind::Zip);
    scene.import(&zip, b"torn");
    assert!(scene.store.open_file(&zip).unwrap().is_none());
    assert!(!scene.path(&zip).exists());
    assert_eq!(
        scene.store.quarantine_entries().unwrap()[0].evidence.key,
        zip
    );
    let whole = Module::new(&long, "v1.0.0").zip();
    assert!(scene.store.publish_bytes(&whole, &zip).unwrap().is_new);
}

#[test]
fn versions_are_those_with_an_info_in_ascending_order() {
    let scene = Scene::new();
    for version in [
        "v1.10.0",
        "v1.9.0",
        "v1.10.0-rc.1",
        "v0.0.0-20210304050607-abcdef123456",
        "v2.0.0+incompatible",
    ] {
        scene
            .store
            .publish_bytes(b"{}", &key("example.com/Acme", version, FileKind::Info))
            .unwrap();
    }
    scene
        .store
        .publish_bytes(
            b"module m\n",
            &key("example.com/Acme", "v1.11.0", FileKind::Mod),
        )
        .unwrap();
    let folder = scene.root().join("tree/example.com/!acme/@v");
    for stray in ["list", "master.info", "v1.12.0.info.tmp", "README"] {
        fs::write(folder.join(stray), "v9.9.9\n").unwrap();
    }
    let versions = scene.store.versions(&module("example.com/Acme")).unwrap();
    let versions: Vec<&str> = versions.iter().map(gomod::Version::as_str).collect();
    assert_eq!(
        versions,
        [
            "v0.0.0-20210304050607-abcdef123456",
            "v1.9.0",
            "v1.10.0-rc.1",
            "v1.10.0",
            "v2.0.0+incompatible"
        ]
    );
    assert!(
        scene
            .store
            .versions(&module("example.com/none"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_end_of_a_zip_is_told_from_a_cut_one() {
    let scene = Scene::new();
    let ends = |bytes: &[u8]| {
        let mut draft = scene.store.create_draft().unwrap();
        draft.append(bytes).unwrap();
        draft.ends_like_a_zip().unwrap()
    };
    let zip = Module::big("example.com/m", "v1.0.0", 200_000).zip();
    assert!(ends(&zip));
    for cut in (1..200).chain([1000, 100_000, zip.len() - 4, zip.len()]) {
        assert!(!ends(&zip[..zip.len() - cut]), "{cut} bytes are missing");
    }
    assert!(!ends(&[&zip[..], b"x"].concat()), "a byte too many");
    assert!(
        ends(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        "an archive of nothing"
    );
    let commented = |comment: &[u8], announced: usize| {
        let mut zip = zip.clone();
        let len = zip.len();
        zip[len - 2..].copy_from_slice(&u16::try_from(announced).unwrap().to_le_bytes());
        zip.extend_from_slice(comment);
        zip
    };
    let longest = vec![b'c'; 65_535];
    assert!(ends(&commented(&longest, 65_535)));
    assert!(!ends(&commented(&longest, 65_534)));
    assert!(!ends(&commented(&longest[1..], 65_535)));
    // The directory that the end announces cannot be in so short a file.
    let mut liar = zip.clone();
    let at = liar.len() - 6;
    liar[at..at + 4].copy_from_slice(&u32::try_from(zip.len()).unwrap().to_le_bytes());
    assert!(!ends(&liar));
    // In a zip64 archive the real offset stands elsewhere.
    let mut big = zip.clone();
    big[at..at + 4].copy_from_slice(&[0xff; 4]);
    assert!(ends(&big));
}

#[test]
fn a_digest_of_pieces_is_that_of_the_whole() {
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    for piece in [1, 63, 64, 65, 4096, bytes.len()] {
        let mut hasher = store::Hasher::default();
        for part in bytes.chunks(piece) {
            hasher.update(part);
        }
        assert_eq!(hasher.finish(), Digest::of(&bytes), "in pieces of {piece}");
    }
    assert_eq!(
        Digest::of(b"").to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}
