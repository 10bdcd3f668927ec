use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use store::{FileKey, FileKind};

use crate::scene::{Scene, key};

const HOUR: Duration = Duration::from_hours(1);

/// Stores a zip that was last used so many hours ago.
fn zip(scene: &Scene, version: &str, len: usize, hours: u32) -> FileKey {
    let key = key("example.com/m", version, FileKind::Zip);
    scene.store.publish_bytes(&vec![b'z'; len], &key).unwrap();
    used(scene, &key, hours);
    key
}

fn used(scene: &Scene, key: &FileKey, hours: u32) {
    let times = FileTimes::new().set_accessed(SystemTime::now() - HOUR * hours);
    let file = File::options().write(true).open(scene.path(key)).unwrap();
    file.set_times(times).unwrap();
}

fn versions(scene: &Scene, hours: u32, most: usize) -> Vec<String> {
    let before = SystemTime::now() - HOUR * hours;
    let wanted = |key: &FileKey| key.version.as_str() != "v1.9.0";
    let found = scene.store.least_used_zips(100, before, most, wanted);
    let found = found.unwrap().into_iter();
    found.map(|zip| zip.key.version.to_string()).collect()
}

#[test]
fn the_longest_unused_zips_come_first_and_others_not_at_all() {
    let scene = Scene::new();
    for (version, len, hours) in [
        ("v1.0.0", 200, 10),
        ("v1.1.0", 300, 40),
        ("v1.2.0", 200, 20),
        // Too small, not wanted, used a moment ago.
        ("v1.8.0", 100, 90),
        ("v1.9.0", 200, 90),
        ("v1.5.0", 200, 1),
    ] {
        zip(&scene, version, len, hours);
    }
    let go_mod = key("example.com/m", "v1.1.0", FileKind::Mod);
    scene
        .store
        .publish_bytes(&vec![b'm'; 500], &go_mod)
        .unwrap();
    used(&scene, &go_mod, 90);
    assert_eq!(versions(&scene, 2, 9), ["v1.1.0", "v1.2.0", "v1.0.0"]);
    assert_eq!(versions(&scene, 2, 2), ["v1.1.0", "v1.2.0"]);
    assert_eq!(versions(&scene, 15, 9), ["v1.1.0", "v1.2.0"]);
    assert_eq!(versions(&scene, 50, 9), [""; 0]);
}

#[test]
fn serving_is_use_and_looking_through_is_not() {
    let scene = Scene::new();
    let key = zip(&scene, "v1.0.0", 200, 30);
    let stored = scene.path(&key).metadata().unwrap().modified().unwrap();
    let found = scene.store.open_as_found(&key).unwrap().unwrap();
    let mut buffer = [0; 200];
    assert_eq!(found.read_at(&mut buffer, 0).unwrap(), 200);
    assert_eq!(versions(&scene, 20, 9), ["v1.0.0"]);

    let served = scene.store.open_file(&key).unwrap().unwrap();
    assert!(served.is_use_worth_noting());
    served.note_use();
    assert_eq!(versions(&scene, 20, 9), [""; 0]);
    let metadata = scene.path(&key).metadata().unwrap();
    assert_eq!(metadata.modified().unwrap(), stored);
    let again = scene.store.open_file(&key).unwrap().unwrap();
    assert!(!again.is_use_worth_noting());
}

#[test]
fn a_removed_zip_leaves_everything_else_of_its_version() {
    let scene = Scene::new();
    let zip = zip(&scene, "v1.0.0", 200, 30);
    let go_mod = key("example.com/m", "v1.0.0", FileKind::Mod);
    scene.store.publish_bytes(b"module m\n", &go_mod).unwrap();
    let hash = modzip::hash_go_mod(b"any");
    scene.store.keep_zip_hash(&zip, hash).unwrap();
    let reading = scene.store.open_file(&zip).unwrap().unwrap();
    let found = scene
        .store
        .least_used_zips(0, SystemTime::now() - HOUR, 9, |_| true)
        .unwrap();
    assert!(scene.store.remove_zip(&found[0]).unwrap());
    assert!(!scene.store.remove_zip(&found[0]).unwrap());
    assert!(scene.store.open_file(&zip).unwrap().is_none());
    assert_eq!(reading.read_small().unwrap().unwrap().len(), 200);
    assert!(scene.store.open_file(&go_mod).unwrap().is_some());
    assert_eq!(scene.store.zip_hash(&zip).unwrap(), Some(hash));
    assert!(fs::metadata(scene.path(&zip)).is_err());
}

#[test]
fn there_is_room_on_this_disk() {
    let space = Scene::new().store.space().unwrap();
    assert!(space.total > 0 && space.free <= space.total, "{space:?}");
}
