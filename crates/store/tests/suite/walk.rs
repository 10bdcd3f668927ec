use std::fs;

use store::{Evidence, FileKey, FileKind, QuarantineReason, ScrubState, Scrubber, Store};

use crate::scene::{Scene, key};

fn fill(store: &Store) -> Vec<String> {
    let mut paths = Vec::new();
    for path in [
        "example.com/a",
        "example.com/a/b",
        "example.com/a-b",
        "example.com/Upper",
        "zeta.example/z",
    ] {
        for version in [
            "v1.0.0",
            "v1.0.0-rc.1",
            "v2.0.0+incompatible",
            "v10.0.0-RC1",
        ] {
            for kind in FileKind::ALL {
                let key = key(path, version, kind);
                store.publish_bytes(b"{}", &key).unwrap();
                paths.push(key.url_path());
            }
        }
    }
    paths.sort();
    paths
}

fn names(store: &Store, after: Option<&str>) -> Vec<String> {
    let walk = store.walk(after);
    walk.map(|key: Result<FileKey, _>| key.unwrap().url_path())
        .collect()
}

#[test]
fn every_file_is_met_once_and_in_the_same_order() {
    let scene = Scene::new();
    let store = &scene.store;
    let paths = fill(store);
    // What is no file of a version is passed over.
    let tree = store.tree_directory();
    fs::write(tree.join("example.com/a/@v/v1.0.0.ziphash"), "h1:").unwrap();
    fs::write(tree.join("example.com/a/@v/list"), "").unwrap();
    fs::write(tree.join("README"), "").unwrap();
    std::os::unix::fs::symlink("/", tree.join("example.com/away")).unwrap();
    let met = names(store, None);
    let mut sorted = met.clone();
    sorted.sort();
    assert_eq!(sorted, paths);
    assert_eq!(names(store, None), met);
}

#[test]
fn from_anywhere_it_goes_on_behind_what_was_met_last() {
    let scene = Scene::new();
    let store = &scene.store;
    fill(store);
    let met = names(store, None);
    for (at, path) in met.iter().enumerate() {
        assert_eq!(names(store, Some(path)), met[at + 1..], "behind {path}");
    }
    // Also when that file is no longer there, and when nothing ever was.
    let gone = met[7].clone();
    fs::remove_file(store.tree_directory().join(&gone)).unwrap();
    assert_eq!(names(store, Some(&gone)), met[8..]);
    assert_eq!(names(store, Some("a")), names(store, None));
    assert!(names(store, Some("zz/@v/v1.0.0.zip")).is_empty());
}

#[test]
fn only_the_file_that_was_looked_at_is_set_aside() {
    let scene = Scene::new();
    let store = &scene.store;
    let key = key("example.com/a", "v1.0.0", FileKind::Mod);
    store.publish_bytes(b"bad", &key).unwrap();
    let found = store.open_as_found(&key).unwrap().unwrap();
    let path = store.tree_directory().join(key.url_path());
    fs::remove_file(&path).unwrap();
    let evidence = Evidence {
        reason: QuarantineReason::Damaged,
        ..Evidence::of_damage(&key, &store::Damage::Content)
    };
    assert_eq!(store.quarantine_found(&found, &evidence).unwrap(), None);
    store.publish_bytes(b"good", &key).unwrap();
    assert_eq!(store.quarantine_found(&found, &evidence).unwrap(), None);
    assert_eq!(fs::read(&path).unwrap(), b"good");
    let found = store.open_as_found(&key).unwrap().unwrap();
    let id = store.quarantine_found(&found, &evidence).unwrap().unwrap();
    assert!(!path.exists());
    let entry = store.quarantine_entry(&id).unwrap().unwrap();
    assert_eq!(fs::read(entry.path).unwrap(), b"good");
}

#[test]
fn how_far_it_has_come_is_kept_for_each_on_its_own() {
    let scene = Scene::new();
    let store = &scene.store;
    assert_eq!(store.scrub_state(Scrubber::Server), None);
    let state = |after: Option<&str>| ScrubState {
        after: after.map(ToOwned::to_owned),
        since: "2026-01-31T12:30:00Z".parse().unwrap(),
    };
    let (server, command) = (state(Some("a/@v/v1.0.0.zip")), state(None));
    store.keep_scrub_state(Scrubber::Server, &server).unwrap();
    store.keep_scrub_state(Scrubber::Command, &command).unwrap();
    assert_eq!(store.scrub_state(Scrubber::Server), Some(server));
    assert_eq!(store.scrub_state(Scrubber::Command), Some(command));
    fs::write(store.root().join("scrub.json"), b"\0\0\0").unwrap();
    assert_eq!(store.scrub_state(Scrubber::Server), None);
}
