use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use store::{FileKey, FileKind};
use testkit::Module;

use crate::scene::{Scene, key};

fn acme(kind: FileKind) -> FileKey {
    key("example.com/Acme", "v1.2.3", kind)
}

#[test]
fn files_that_were_copied_in_are_served_as_they_are() {
    let scene = Scene::new();
    let module = Module::new("example.com/Acme", "v1.2.3").file("a.go", "package a\n");
    let files = [
        (FileKind::Info, module.info().into_bytes()),
        (FileKind::Mod, module.go_mod_text().as_bytes().to_vec()),
        (FileKind::Zip, module.zip()),
    ];
    for (kind, bytes) in &files {
        scene.import(&acme(*kind), bytes);
    }
    for (kind, bytes) in &files {
        let stored = scene.store.open_file(&acme(*kind)).unwrap().unwrap();
        assert_eq!(stored.digest(), None, "nobody has vouched for it");
        assert_eq!(stored.len(), bytes.len() as u64);
        assert_eq!(
            &scene
                .store
                .read_small(&acme(*kind), &stored)
                .unwrap()
                .unwrap(),
            bytes
        );
    }
    assert_eq!(scene.store.quarantined(), 0);
}

#[test]
fn the_tag_of_a_copied_file_changes_with_the_file() {
    let scene = Scene::new();
    let tag = || {
        let stored = scene.store.open_file(&acme(FileKind::Mod)).unwrap();
        stored.unwrap().etag().to_string()
    };
    scene.import(&acme(FileKind::Mod), b"module m\n");
    let first = tag();
    assert_eq!(tag(), first);
    let later = SystemTime::now() + Duration::from_secs(5);
    File::options()
        .write(true)
        .open(scene.path(&acme(FileKind::Mod)))
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert_ne!(tag(), first);
}

#[test]
fn a_copied_file_that_cannot_be_what_it_is_called_is_set_aside() {
    let zip = Module::big("example.com/Acme", "v1.2.3", 100_000).zip();
    let table: [(FileKind, &[u8]); 9] = [
        (FileKind::Zip, &zip[..zip.len() - 1]),
        (FileKind::Zip, &zip[..zip.len() / 2]),
        (FileKind::Zip, b"PK\x03\x04"),
        (FileKind::Zip, b""),
        (FileKind::Zip, b"<html>Sign in</html>"),
        (FileKind::Mod, b""),
        (FileKind::Info, b""),
        (FileKind::Info, b"<html>Sign in</html>"),
        (FileKind::Info, b"\0\0\0\0"),
    ];
    for (kind, bytes) in table {
        let scene = Scene::new();
        scene.import(&acme(kind), bytes);
        assert!(
            scene.store.open_file(&acme(kind)).unwrap().is_none(),
            "{kind} of {} bytes",
            bytes.len()
        );
        assert!(!scene.path(&acme(kind)).exists());
        let kept = &scene.store.quarantine_entries().unwrap()[0];
        assert_eq!(fs::read(&kept.path).unwrap(), bytes);
    }
}
