use std::fs;

use gomod::ModuleVersion;
use jiff::{Timestamp, ToSpan as _};
use modzip::{H1, hash_go_mod};
use store::{
    Expected, FileKey, FileKind, FirstSightReason, Pin, PinnedFile, Records, Scope,
    UncheckedReason, Verification, rebuild_records,
};
use testkit::Module;

use crate::scene::{Scene, key};

fn version() -> ModuleVersion {
    key("example.com/Acme", "v1.0.0", FileKind::Zip)
        .module_version()
        .unwrap()
}

fn hash(number: u8) -> H1 {
    H1::from_bytes([number; 32])
}

fn pin(file: PinnedFile, number: u8, verification: Verification) -> Pin {
    Pin {
        module: version(),
        file,
        hash: hash(number),
        verification,
    }
}

fn first_sight() -> Verification {
    Verification::FirstSight {
        reason: FirstSightReason::Pattern("example.com/*".to_owned()),
        time: Timestamp::now(),
    }
}

fn proven() -> Verification {
    Verification::Proven {
        database: "sum.example.com".to_owned(),
        record: 7,
        tree_size: 100,
        time: Timestamp::now(),
    }
}

fn unchecked(age: i64) -> Verification {
    Verification::Unchecked {
        reason: UncheckedReason::DatabaseUnreachable("refused".to_owned()),
        time: Timestamp::now() - age.seconds(),
    }
}

fn real() -> Module {
    Module::new("example.com/Acme", "v1.0.0").file("m.go", "package m\n")
}

fn publish_real(scene: &Scene) -> (H1, H1) {
    let module = real();
    let zip_hash: H1 = module.zip_h1().parse().unwrap();
    let go_mod = module.go_mod_text().as_bytes();
    let mut draft = scene.store.create_draft().unwrap();
    draft.append(&module.zip()).unwrap();
    let zip_key = FileKey::of(&version(), FileKind::Zip);
    let published = scene.store.publish_pinned(draft, &zip_key, zip_hash);
    assert!(published.unwrap().is_new);
    let mod_key = FileKey::of(&version(), FileKind::Mod);
    scene.store.publish_bytes(go_mod, &mod_key).unwrap();
    (hash_go_mod(go_mod), zip_hash)
}

#[tokio::test]
async fn a_pin_is_known_at_once_and_after_a_restart() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    assert_eq!(
        records.expected(&version()).await.unwrap(),
        Expected::default()
    );
    let zip = pin(PinnedFile::Zip, 1, proven());
    let go_mod = pin(PinnedFile::GoMod, 2, first_sight());
    records.pin(zip.clone()).await;
    records.pin(go_mod.clone()).await;
    let expected = Expected {
        go_mod: Some(go_mod),
        zip: Some(zip),
    };
    assert_eq!(records.expected(&version()).await.unwrap(), expected);
    records.close().await;
    let records = Records::start(scene.root());
    let found = records.expected(&version()).await.unwrap();
    assert_eq!(found.hash(PinnedFile::Zip), Some(hash(1)));
    assert_eq!(found.hash(PinnedFile::GoMod), Some(hash(2)));
    assert_eq!(
        found.of(PinnedFile::Zip).unwrap().verification.state(),
        "proven"
    );
    records.close().await;
}

#[tokio::test]
async fn another_hash_takes_the_place_of_a_pin_by_proof_only() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let zip = PinnedFile::Zip;
    let steps = [
        (pin(zip, 1, unchecked(0)), 1, "unchecked"),
        (pin(zip, 2, first_sight()), 1, "unchecked"),
        (pin(zip, 1, first_sight()), 1, "first-sight"),
        (pin(zip, 2, unchecked(0)), 1, "first-sight"),
        (pin(zip, 3, proven()), 3, "proven"),
        (pin(zip, 1, proven()), 3, "proven"),
        (pin(zip, 3, first_sight()), 3, "proven"),
    ];
    for (number, (pin, expected, state)) in steps.into_iter().enumerate() {
        records.pin(pin).await;
        // Once out of the queue, once out of the database.
        for _ in 0..2 {
            let found = records.expected(&version()).await.unwrap();
            let found = found.of(zip).unwrap();
            let words = (found.hash, found.verification.state());
            assert_eq!(words, (hash(expected), state), "step {number}");
            records.flush().await;
        }
    }
    records.close().await;
}

#[tokio::test]
async fn what_is_unchecked_is_listed_oldest_first_until_it_is_checked() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    for (name, age) in [("b", 20), ("a", 30), ("c", 10)] {
        let path = format!("example.com/{name}");
        let module = key(&path, "v1.0.0", FileKind::Zip).module_version();
        let module = module.unwrap();
        let pin = pin(PinnedFile::Zip, 1, unchecked(age));
        records.pin(Pin { module, ..pin }).await;
    }
    let listed = records.unchecked(10).await.unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|pin| pin.module.path().as_str())
        .collect();
    assert_eq!(names, ["example.com/a", "example.com/b", "example.com/c"]);
    let checked = Pin {
        verification: proven(),
        ..listed[0].clone()
    };
    records.pin(checked).await;
    let listed = records.unchecked(1).await.unwrap();
    assert_eq!(listed[0].module.path().as_str(), "example.com/b");
    assert_eq!(listed.len(), 1);
    records.close().await;
}

#[tokio::test]
async fn what_nobody_has_proven_is_gone_through_page_by_page() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let states = [unchecked(5), first_sight(), proven(), unchecked(3)];
    for (number, verification) in states.into_iter().enumerate() {
        let path = format!("example.com/m{number}");
        let module = key(&path, "v1.0.0", FileKind::Zip).module_version();
        let module = module.unwrap();
        for file in PinnedFile::ALL {
            let pin = pin(file, 1, verification.clone());
            let module = module.clone();
            records.pin(Pin { module, ..pin }).await;
        }
    }
    for limit in 1..8 {
        let mut found: Vec<Pin> = Vec::new();
        loop {
            let after = found.last().map(|pin| (pin.module.clone(), pin.file));
            let after = after.as_ref().map(|(module, file)| (module, *file));
            let page = records.unproven(after, limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        let names = found.iter().map(|pin| (pin.module.to_string(), pin.file));
        let expected = [0, 1, 3].into_iter().flat_map(|number| {
            let name = format!("example.com/m{number}@v1.0.0");
            PinnedFile::ALL.map(|file| (name.clone(), file))
        });
        assert!(names.eq(expected), "{limit}: {found:?}");
    }
    records.close().await;
}

#[tokio::test]
async fn pins_outlive_the_zip_and_the_records() {
    let scene = Scene::new();
    let (go_mod, zip) = publish_real(&scene);
    fs::remove_file(scene.path(&FileKey::of(&version(), FileKind::Zip))).unwrap();
    // No records at all: what the tree holds decides.
    let records = Records::start(scene.root());
    let expected = records.expected(&version()).await.unwrap();
    assert_eq!(expected.hash(PinnedFile::GoMod), Some(go_mod));
    assert_eq!(expected.hash(PinnedFile::Zip), Some(zip));
    // And a rebuild writes it down.
    rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    let listed = records.unchecked(10).await.unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed.iter().all(|pin| matches!(
        pin.verification,
        Verification::Unchecked {
            reason: UncheckedReason::FoundInTree,
            ..
        }
    )));
    fs::remove_dir_all(scene.store.tree_directory().join("example.com")).unwrap();
    let expected = records.expected(&version()).await.unwrap();
    assert_eq!(expected.hash(PinnedFile::GoMod), Some(go_mod));
    assert_eq!(expected.hash(PinnedFile::Zip), Some(zip));
    records.close().await;
}

#[tokio::test]
async fn a_rebuild_hashes_a_zip_that_has_no_hash_beside_it_and_keeps_better_pins() {
    let scene = Scene::new();
    let (_, zip) = publish_real(&scene);
    let beside = scene
        .store
        .tree_directory()
        .join("example.com/!acme/@v/v1.0.0.ziphash");
    assert_eq!(fs::read_to_string(&beside).unwrap(), zip.to_string());
    fs::write(&beside, [0; 47]).unwrap();
    let records = Records::start(scene.root());
    rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    let expected = records.expected(&version()).await.unwrap();
    assert_eq!(expected.hash(PinnedFile::Zip), Some(zip));
    records
        .pin(Pin {
            hash: zip,
            ..pin(PinnedFile::Zip, 0, proven())
        })
        .await;
    rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    let expected = records.expected(&version()).await.unwrap();
    let state = expected.of(PinnedFile::Zip).unwrap().verification.state();
    assert_eq!(state, "proven");
    records.close().await;
}

#[tokio::test]
async fn without_records_only_the_tree_may_say_that_there_is_no_pin() {
    let scene = Scene::new();
    fs::create_dir(scene.root().join("records.sqlite")).unwrap();
    let records = Records::start(scene.root());
    let never_seen = records.expected(&version()).await.unwrap();
    assert_eq!(never_seen, Expected::default());
    // Something was served of it, and the rest may have been.
    let info = scene.root().join("tree").join(real().stem() + ".info");
    fs::create_dir_all(info.parent().unwrap()).unwrap();
    fs::write(&info, real().info()).unwrap();
    assert!(records.expected(&version()).await.is_err());
    let (go_mod, zip) = publish_real(&scene);
    let expected = records.expected(&version()).await.unwrap();
    assert_eq!(expected.hash(PinnedFile::GoMod), Some(go_mod));
    assert_eq!(expected.hash(PinnedFile::Zip), Some(zip));
    // Pins wait until the records are back.
    records.pin(pin(PinnedFile::GoMod, 9, proven())).await;
    records.flush().await;
    let expected = records.expected(&version()).await.unwrap();
    assert_eq!(expected.hash(PinnedFile::GoMod), Some(hash(9)));
    fs::remove_dir(scene.root().join("records.sqlite")).unwrap();
    records.close().await;
    let records = Records::start(scene.root());
    let expected = records.expected(&version()).await.unwrap();
    assert_eq!(expected.hash(PinnedFile::GoMod), Some(hash(9)));
    records.close().await;
}

#[tokio::test]
async fn two_processes_may_write_at_the_same_time() {
    let scene = Scene::new();
    let (one, other) = (Records::start(scene.root()), Records::start(scene.root()));
    one.totals().await.unwrap();
    other.totals().await.unwrap();
    for number in 0..40 {
        let module = |side: &str| {
            let path = format!("example.com/{side}{number}");
            key(&path, "v1.0.0", FileKind::Mod)
        };
        let now = Timestamp::now();
        one.add(crate::scene::record(module("a"), now)).await;
        other.add(crate::scene::record(module("b"), now)).await;
        tokio::join!(one.flush(), other.flush());
    }
    assert_eq!(one.totals().await.unwrap().files, 80);
    let index = other.index(Timestamp::UNIX_EPOCH, 100).await.unwrap();
    assert!(index.is_sorted_by(|a, b| a.timestamp < b.timestamp));
    one.close().await;
    other.close().await;
}
