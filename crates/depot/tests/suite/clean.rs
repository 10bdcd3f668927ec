//! Room is made of what can be had again, and of nothing else.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use depot::{Cleaned, Cleaning, Depot};
use goenv::private::Patterns;
use store::{FileKey, FileKind};
use testkit::{Answer, Fault, Module};

use crate::scene::{Scene, get_file, module, settled};

/// More than any disk has, so that room is wanted.
fn cleaning(keep: &str) -> Cleaning {
    Cleaning {
        min_free: u64::MAX,
        min_age: Duration::from_hours(24),
        keep: Patterns::parse(keep),
    }
}

fn file(path: &str, kind: FileKind) -> FileKey {
    FileKey {
        module: module(path),
        version: gomod::Version::new("v1.0.0").unwrap(),
        kind,
    }
}

/// Fetches all of a module, and lets it be unused for so many days.
async fn stored(scene: &Scene, depot: &Depot, path: &str, days: u32) -> FileKey {
    for kind in FileKind::ALL {
        get_file(depot, &file(path, kind)).await.unwrap();
        settled(depot).await;
    }
    depot.records().flush().await;
    let key = file(path, FileKind::Zip);
    unused(scene, &key, days);
    key
}

fn unused(scene: &Scene, key: &FileKey, days: u32) {
    let zip = File::options()
        .write(true)
        .open(scene.stored(&key.url_path()))
        .unwrap();
    let used = SystemTime::now() - Duration::from_hours(24) * days;
    zip.set_times(FileTimes::new().set_accessed(used)).unwrap();
}

/// With modules of these paths, each with a zip that is worth removing.
fn scene(paths: &[&str]) -> Scene {
    let scene = Scene::new();
    for path in paths {
        scene.tree.add(&Module::big(path, "v1.0.0", 100_000));
    }
    scene
}

#[tokio::test]
async fn old_zips_go_and_come_back_unchanged() {
    let scene = scene(&["example.com/old", "example.com/used"]);
    let depot = scene.depot();
    let old = stored(&scene, &depot, "example.com/old", 30).await;
    let used = stored(&scene, &depot, "example.com/used", 30).await;
    // Served today.
    get_file(&depot, &used).await.unwrap();
    let stored_path = scene.stored(&used.url_path());
    let recently = SystemTime::now() - Duration::from_hours(2);
    while fs::metadata(&stored_path).unwrap().accessed().unwrap() < recently {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let before = depot.totals();
    let len = fs::metadata(scene.stored(&old.url_path())).unwrap().len();
    let cleaned = depot.clean(&cleaning("")).await.unwrap();
    assert_eq!(cleaned, Cleaned::NotEnough(len));
    assert!(!scene.stored(&old.url_path()).exists());
    assert!(stored_path.exists());
    for kind in [FileKind::Info, FileKind::Mod] {
        let path = file("example.com/old", kind).url_path();
        assert!(scene.stored(&path).exists(), "{path}");
    }
    let after = depot.totals();
    assert_eq!(
        (before.files - after.files, before.bytes - after.bytes),
        (1, len)
    );
    let known = depot
        .records()
        .provenance(&old.module_version().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(known.files.len(), 2);
    assert!(known.zip.is_some());
    assert_eq!(known.events[0].what.name(), "cleaned");

    // What comes back must be what it was.
    let path = format!("/{}", old.url_path());
    let other = Module::big("example.com/old", "v1.0.0", 100_000).file("evil.go", "package big\n");
    let answer = Answer::status(200).body(other.zip());
    scene.upstream.fail(path.as_str(), Fault::Answer(answer));
    let refused = depot.refused_files();
    drop(get_file(&depot, &old).await);
    settled(&depot).await;
    assert!(depot.refused_files() > refused);
    assert!(!scene.stored(&old.url_path()).exists());
    scene.upstream.heal();
    get_file(&depot, &old).await.unwrap();
    settled(&depot).await;
    assert!(fs::read(scene.stored(&old.url_path())).unwrap() == scene.source(&path));
    assert_eq!(depot.totals(), before);
}

#[tokio::test]
async fn what_is_private_or_kept_or_small_or_unknown_stays() {
    let paths = [
        "corp.example.com/private",
        "nosum.example.com/m",
        "example.com/kept",
        "example.com/lost",
    ];
    let mut scene = scene(&paths);
    scene.settings.no_sumdb = Patterns::parse("nosum.example.com");
    scene
        .tree
        .add(&Module::new("example.com/small", "v1.0.0").file("s.go", "package s\n"));
    let depot = scene.depot();
    let mut keys = Vec::new();
    for path in paths.iter().chain(&["example.com/small"]) {
        keys.push(stored(&scene, &depot, path, 300).await);
    }
    // Nothing is on record about it.
    depot
        .records()
        .forget(&file("example.com/lost", FileKind::Zip))
        .await
        .unwrap();
    depot.close(Duration::from_secs(5)).await;
    drop(depot);
    scene.settings.private = Patterns::parse("corp.example.com");
    let depot = scene.depot();
    let cleaned = depot.clean(&cleaning("example.com/kept")).await.unwrap();
    assert_eq!(cleaned, Cleaned::NotEnough(0));
    for key in keys {
        assert!(scene.stored(&key.url_path()).exists(), "{key}");
    }
}

#[tokio::test]
async fn nothing_goes_that_nobody_could_give_back_now() {
    let scene = scene(&["example.com/old"]);
    let depot = scene.depot();
    let old = stored(&scene, &depot, "example.com/old", 30).await;
    depot.set_offline(true);
    let wishes = cleaning("");
    assert_eq!(depot.clean(&wishes).await.unwrap(), Cleaned::NobodyToAsk);
    depot.set_offline(false);
    let enough = Cleaning {
        min_free: 1,
        ..wishes.clone()
    };
    assert_eq!(depot.clean(&enough).await.unwrap(), Cleaned::NotNeeded);
    assert!(scene.stored(&old.url_path()).exists());
    assert!(matches!(
        depot.clean(&wishes).await.unwrap(),
        Cleaned::NotEnough(1..)
    ));
}
