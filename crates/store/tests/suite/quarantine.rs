use std::fs;
use std::sync::Arc;

use jiff::Timestamp;
use modzip::{H1, hash_go_mod};
use store::{
    Claim, EventKind, Evidence, FileKey, FileKind, FirstSightReason, Pin, PinnedFile,
    QuarantineReason, Records, ReleaseError, Source, Store, Verification, drop_quarantined,
    release,
};
use testkit::Module;

use crate::scene::{Scene, key};

fn evidence(key: &FileKey) -> Evidence {
    Evidence {
        key: key.clone(),
        reason: QuarantineReason::HashMismatch,
        detail: "it does not hash to what it must".to_owned(),
        found: Some(Claim {
            hash: "h1:found".to_owned(),
            from: "https://proxy.example.com".to_owned(),
        }),
        expected: Some(Claim {
            hash: "h1:expected".to_owned(),
            from: "checksum database sum.example.com, record 7".to_owned(),
        }),
        source: Some(Source::upstream("https://proxy.example.com")),
        time: Timestamp::now(),
        request_id: Some("4711".to_owned()),
    }
}

fn zip_key() -> FileKey {
    key("example.com/Acme", "v1.0.0", FileKind::Zip)
}

fn module(text: &str) -> Module {
    Module::new("example.com/Acme", "v1.0.0").file("m.go", text)
}

fn pin(hash: H1, verification: Verification) -> Pin {
    Pin {
        module: zip_key().module_version().unwrap(),
        file: PinnedFile::Zip,
        hash,
        verification,
    }
}

fn first_sight() -> Verification {
    Verification::FirstSight {
        reason: FirstSightReason::SumdbOff,
        time: Timestamp::now(),
    }
}

#[test]
fn bytes_are_kept_with_all_that_is_known_against_them() {
    let scene = Scene::new();
    let known = evidence(&zip_key());
    let first = scene.store.quarantine_bytes(b"bytes", &known).unwrap();
    let second = scene.store.quarantine_bytes(b"others", &known).unwrap();
    assert!(first < second);
    assert_eq!(scene.store.quarantined(), 2);
    let entries = scene.store.quarantine_entries().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!((&entries[0].id, entries[0].size), (&first, 5));
    assert_eq!(entries[0].evidence, known);
    assert_eq!(fs::read(&entries[1].path).unwrap(), b"others");
    assert!(scene.names("tmp").is_empty());
    assert!(scene.store.open_file(&zip_key()).unwrap().is_none());
}

#[test]
fn a_stored_file_is_taken_out_of_the_tree() {
    let scene = Scene::new();
    let known = evidence(&zip_key());
    assert_eq!(scene.store.quarantine_stored(&known).unwrap(), None);
    assert!(scene.names("quarantine").is_empty());
    let zip = module("package m\n").zip();
    scene.store.publish_bytes(&zip, &zip_key()).unwrap();
    let id = scene.store.quarantine_stored(&known).unwrap().unwrap();
    assert!(scene.store.open_file(&zip_key()).unwrap().is_none());
    let entry = scene.store.quarantine_entry(&id).unwrap().unwrap();
    assert_eq!(fs::read(entry.path).unwrap(), zip);
}

#[tokio::test]
async fn released_bytes_become_the_file_and_the_pin() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let (old, new) = (module("package old\n"), module("package new\n"));
    let hash = |module: &Module| module.zip_h1().parse::<H1>().unwrap();
    records.pin(pin(hash(&old), first_sight())).await;
    let id = scene
        .store
        .quarantine_bytes(&new.zip(), &evidence(&zip_key()))
        .unwrap();
    let released = release(&scene.store, &records, &id).await.unwrap();
    assert_eq!(released.hash, Some(hash(&new)));
    let stored = scene.store.open_file(&zip_key()).unwrap().unwrap();
    assert_eq!(stored.len(), new.zip().len() as u64);
    assert!(scene.store.quarantine_entries().unwrap().is_empty());
    let version = zip_key().module_version().unwrap();
    let expected = records.expected(&version).await.unwrap();
    let pinned = expected.of(PinnedFile::Zip).unwrap();
    assert_eq!(pinned.hash, hash(&new));
    assert_eq!(pinned.verification.state(), "released");
    let events = records.events(&version).await.unwrap();
    assert!(matches!(&events[0].what, EventKind::Released { id: told, .. } if *told == id));
    let told = records.provenance(&version).await.unwrap().unwrap();
    let source = told.files[0].source.clone();
    assert_eq!(source, Some(Source::upstream("https://proxy.example.com")));
    let beside = scene.path(&zip_key()).with_extension("ziphash");
    assert_eq!(fs::read_to_string(beside).unwrap(), new.zip_h1());
    // It is gone from there, and only once.
    let again = release(&scene.store, &records, &id).await.unwrap_err();
    assert!(matches!(again, ReleaseError::NotFound(_)), "{again}");
    records.close().await;
}

#[tokio::test]
async fn what_a_database_has_disproved_or_nobody_could_use_is_not_released() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let good = module("package m\n");
    let proven = Verification::Proven {
        database: "sum.example.com".to_owned(),
        record: 7,
        tree_size: 100,
        time: Timestamp::now(),
    };
    let torn = good.zip()[..good.zip().len() - 10].to_vec();
    let of_another = Module::new("example.com/other", "v1.0.0").zip();
    for bytes in [torn, of_another, b"no zip".to_vec()] {
        let id = scene
            .store
            .quarantine_bytes(&bytes, &evidence(&zip_key()))
            .unwrap();
        let refused = release(&scene.store, &records, &id).await.unwrap_err();
        assert!(matches!(refused, ReleaseError::Unfit { .. }), "{refused}");
        drop_quarantined(&scene.store, &records, &id).await.unwrap();
    }
    records
        .pin(pin(good.zip_h1().parse().unwrap(), proven))
        .await;
    let forged = module("package forged\n");
    let id = scene
        .store
        .quarantine_bytes(&forged.zip(), &evidence(&zip_key()))
        .unwrap();
    let refused = release(&scene.store, &records, &id).await.unwrap_err();
    assert!(matches!(refused, ReleaseError::Proven { .. }), "{refused}");
    for said in [good.zip_h1(), forged.zip_h1()] {
        assert!(refused.to_string().contains(&said), "{refused}");
    }
    assert_eq!(scene.store.quarantine_entries().unwrap().len(), 1);
    records.close().await;
}

#[tokio::test]
async fn a_stored_file_is_not_replaced_by_a_release() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let key = key("example.com/m", "v1.0.0", FileKind::Mod);
    scene.store.publish_bytes(b"module a\n", &key).unwrap();
    let other = scene
        .store
        .quarantine_bytes(b"module b\n", &evidence(&key))
        .unwrap();
    let refused = release(&scene.store, &records, &other).await.unwrap_err();
    assert!(matches!(refused, ReleaseError::Stored { .. }), "{refused}");
    // The same bytes again change nothing but how they are believed.
    let same = scene
        .store
        .quarantine_bytes(b"module a\n", &evidence(&key))
        .unwrap();
    let released = release(&scene.store, &records, &same).await.unwrap();
    assert_eq!(released.hash, Some(hash_go_mod(b"module a\n")));
    assert_eq!(scene.store.quarantine_entries().unwrap().len(), 1);
    records.close().await;
}

#[tokio::test]
async fn a_release_that_was_cut_short_can_be_repeated() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let new = module("package new\n");
    let hash = new.zip_h1().parse().unwrap();
    let id = scene
        .store
        .quarantine_bytes(&new.zip(), &evidence(&zip_key()))
        .unwrap();
    // The pin was written, and then the process ended.
    let released = Verification::Released {
        quarantine: id.clone(),
        time: Timestamp::now(),
    };
    records.pin(pin(hash, released)).await;
    release(&scene.store, &records, &id).await.unwrap();
    assert!(scene.store.open_file(&zip_key()).unwrap().is_some());
    records.close().await;
}

#[tokio::test]
async fn dropped_bytes_are_gone_and_on_record() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let known = evidence(&zip_key());
    let id = scene.store.quarantine_bytes(b"bytes", &known).unwrap();
    // By a command beside the server.
    let beside = Arc::new(Store::attach(scene.root()).unwrap());
    let dropped = drop_quarantined(&beside, &records, &id).await.unwrap();
    assert_eq!(dropped.evidence, known);
    assert!(scene.names("quarantine").is_empty());
    assert!(scene.names("tmp").is_empty());
    let version = zip_key().module_version().unwrap();
    let events = records.events(&version).await.unwrap();
    assert!(matches!(&events[0].what, EventKind::Dropped { .. }));
    let again = drop_quarantined(&beside, &records, &id).await.unwrap_err();
    assert!(matches!(again, ReleaseError::NotFound(_)), "{again}");
    records.close().await;
}

#[test]
fn a_kill_at_any_step_leaves_the_file_in_the_tree_or_whole_in_quarantine() {
    // What is on the disk after each step that a process can end behind: entry made, evidence half written, evidence
    // whole, bytes moved.
    for step in 0..4 {
        let scene = Scene::new();
        let zip = module("package m\n").zip();
        scene.store.publish_bytes(&zip, &zip_key()).unwrap();
        let known = evidence(&zip_key());
        let id = scene.store.quarantine_stored(&known).unwrap().unwrap();
        let folder = scene.root().join("quarantine").join(id.as_str());
        if step < 3 {
            fs::rename(folder.join("content.zip"), scene.path(&zip_key())).unwrap();
        }
        let written = fs::read(folder.join("evidence.json")).unwrap();
        match step {
            0 => fs::remove_file(folder.join("evidence.json")).unwrap(),
            1 => fs::write(folder.join("evidence.json"), &written[..20]).unwrap(),
            _ => {}
        }
        let beside = Store::attach(scene.root()).unwrap();
        let listed = beside.quarantine_entries().unwrap().len();
        assert_eq!(listed, usize::from(step == 3), "step {step}");
        let Scene { folder, store } = scene;
        // Without `close`, as after a kill.
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert!(store.opened_after_crash());
        let entries = store.quarantine_entries().unwrap();
        let stored = store.open_file(&zip_key()).unwrap();
        assert_eq!(entries.len(), usize::from(step == 3), "step {step}");
        assert_eq!(stored.is_some(), step < 3, "step {step}");
    }
}

#[test]
fn there_is_nothing_to_attach_to_where_no_store_is() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::attach(folder.path()).unwrap_err();
    assert!(
        error.to_string().starts_with("cannot open the store at"),
        "{error}"
    );
}
