use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use store::{
    FileKey, FileKind, FileRecord, PublishedFile, RebuildReport, Records, Scope, Source,
    rebuild_records,
};
use testkit::Module;

use crate::scene::{Scene, keeps_stamps, key};

fn nth(number: usize, kind: FileKind) -> FileKey {
    key(&format!("example.com/m{number}"), "v1.0.0", kind)
}

fn bytes(kind: FileKind) -> Vec<u8> {
    let module = Module::new("example.com/m", "v1.0.0").file("m.go", "package m\n");
    match kind {
        FileKind::Info => module.info().into_bytes(),
        FileKind::Mod => module.go_mod_text().as_bytes().to_vec(),
        FileKind::Zip => module.zip(),
    }
}

/// Publishes one file as a fetch does, without a record.
fn publish(scene: &Scene, key: &FileKey) -> PublishedFile {
    scene.store.publish_bytes(&bytes(key.kind), key).unwrap()
}

async fn note(records: &Records, key: &FileKey, published: &PublishedFile) {
    records
        .add(FileRecord {
            key: key.clone(),
            size: published.stored.len(),
            digest: published.digest,
            source: Some(Source::upstream("https://proxy.example.com")),
            etag: None,
            stored: Timestamp::now(),
        })
        .await;
}

fn set_age(scene: &Scene, key: &FileKey, age: Duration) {
    File::options()
        .write(true)
        .open(scene.path(key))
        .unwrap()
        .set_modified(SystemTime::now() - age)
        .unwrap();
}

#[tokio::test]
async fn a_rebuild_finds_every_file_and_nothing_else() {
    let scene = Scene::new();
    let mut size = 0;
    for number in 0..50 {
        for kind in FileKind::ALL {
            size += publish(&scene, &nth(number, kind)).stored.len();
        }
    }
    let folder = scene.root().join("tree/example.com/m0/@v");
    for stray in ["list", "v1.0.0.ziphash", "v1.0.0.lock", "master.info", "x"] {
        fs::write(folder.join(stray), "v1.0.0\n").unwrap();
    }
    fs::create_dir_all(scene.root().join("tree/sumdb/sum.example.com/lookup")).unwrap();
    fs::write(
        scene
            .root()
            .join("tree/sumdb/sum.example.com/lookup/example.com@v1.0.0"),
        "",
    )
    .unwrap();
    let records = Records::start(scene.root());
    let report = rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    assert_eq!(
        report,
        RebuildReport {
            files: 150,
            bytes: size,
            damaged: 0
        }
    );
    let totals = records.totals().await.unwrap();
    assert_eq!(
        (totals.versions, totals.files, totals.bytes),
        (50, 150, size)
    );
    // Once more, and nothing changes.
    rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    assert_eq!(records.totals().await.unwrap(), totals);
    let index = records.index(Timestamp::UNIX_EPOCH, 100).await.unwrap();
    assert_eq!(index.len(), 50);
    records.close().await;
}

#[tokio::test]
async fn the_index_of_a_rebuild_is_in_the_order_of_the_files() {
    let scene = Scene::new();
    for number in 0..20 {
        let key = nth(number, FileKind::Mod);
        publish(&scene, &key);
        let age = u64::try_from((number * 7) % 20).unwrap();
        set_age(&scene, &key, Duration::from_secs(3600 * (age + 1)));
    }
    let records = Records::start(scene.root());
    rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    let index = records.index(Timestamp::UNIX_EPOCH, 100).await.unwrap();
    let found: Vec<String> = index.into_iter().map(|entry| entry.path).collect();
    let mut expected: Vec<usize> = (0..20).collect();
    expected.sort_by_key(|number| std::cmp::Reverse((number * 7) % 20));
    let expected: Vec<String> = expected
        .into_iter()
        .map(|number| format!("example.com/m{number}"))
        .collect();
    assert_eq!(found, expected);
    records.close().await;
}

#[tokio::test]
async fn after_a_crash_what_came_since_the_last_record_is_added() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    for number in 0..3 {
        let key = nth(number, FileKind::Mod);
        let published = publish(&scene, &key);
        note(&records, &key, &published).await;
    }
    records.flush().await;
    for number in 3..7 {
        publish(&scene, &nth(number, FileKind::Mod));
    }
    // Long before the last record: that is not what a crash has left.
    let old = nth(7, FileKind::Mod);
    publish(&scene, &old);
    set_age(&scene, &old, Duration::from_hours(1));
    records.close().await;

    let records = Records::start(scene.root());
    let report = rebuild_records(&scene.store, &records, Scope::SinceLastRecord)
        .await
        .unwrap();
    assert_eq!((report.files, report.damaged), (7, 0));
    assert_eq!(records.totals().await.unwrap().files, 7);
    let report = rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    assert_eq!(report.files, 8);
    assert_eq!(records.totals().await.unwrap().files, 8);
    records.close().await;
}

#[tokio::test]
async fn with_no_record_at_all_every_file_came_since() {
    let scene = Scene::new();
    let old = nth(1, FileKind::Mod);
    publish(&scene, &old);
    set_age(&scene, &old, Duration::from_hours(8760));
    let records = Records::start(scene.root());
    let report = rebuild_records(&scene.store, &records, Scope::SinceLastRecord)
        .await
        .unwrap();
    assert_eq!(report.files, 1);
    records.close().await;
}

#[tokio::test]
async fn a_lost_database_is_filled_from_the_tree() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    for number in 0..30 {
        let key = nth(number, FileKind::Info);
        let published = publish(&scene, &key);
        note(&records, &key, &published).await;
    }
    records.flush().await;
    let before = records.totals().await.unwrap();
    records.close().await;
    fs::write(scene.root().join("records.sqlite"), [7; 5000]).unwrap();

    let records = Records::start(scene.root());
    assert!(records.was_replaced().await.unwrap());
    rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    assert_eq!(records.totals().await.unwrap(), before);
    records.close().await;
}

#[tokio::test]
async fn damaged_files_are_counted_and_set_aside() {
    let scene = Scene::new();
    let with_stamps = keeps_stamps(&scene);
    for number in 0..5 {
        publish(&scene, &nth(number, FileKind::Zip));
    }
    let mut damaged = 1;
    // Torn, and copied in so.
    scene.import(&nth(5, FileKind::Zip), b"PK\x03\x04");
    if with_stamps {
        // The same length, other bytes: only a reading of the whole can tell.
        let path = scene.path(&nth(2, FileKind::Zip));
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        damaged += 1;
    }
    let records = Records::start(scene.root());
    let report = rebuild_records(&scene.store, &records, Scope::All)
        .await
        .unwrap();
    // The probe of `keeps_stamps` is a file, too.
    assert_eq!(
        (report.damaged, report.files),
        (damaged, 5 + 1 + 1 - damaged)
    );
    assert_eq!(scene.store.quarantined(), damaged);
    assert_eq!(scene.names("quarantine").len() as u64, damaged);
    assert_eq!(records.totals().await.unwrap().files, report.files);
    records.close().await;
}
