use std::fs;

use jiff::{Timestamp, ToSpan as _};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use store::{Digest, FileKind, FileRecord, Records, RecordsHealth, StoreError, Totals};

use crate::scene::{Scene, key, names_in, record};

fn now() -> Timestamp {
    Timestamp::now()
}

#[tokio::test]
async fn what_was_added_is_counted_after_a_flush() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    assert_eq!(records.health(), RecordsHealth::Opening);
    for kind in FileKind::ALL {
        records
            .add(record(key("example.com/a", "v1.0.0", kind), now()))
            .await;
    }
    records
        .add(record(key("example.com/b", "v1.0.0", FileKind::Mod), now()))
        .await;
    records.flush().await;
    let expected = Totals {
        versions: 2,
        files: 4,
        bytes: 400,
    };
    assert_eq!(records.totals().await.unwrap(), expected);
    assert_eq!(records.health(), RecordsHealth::Ready);
    records.close().await;

    let again = Records::start(scene.root());
    assert_eq!(again.totals().await.unwrap(), expected);
    assert!(!again.was_replaced().await.unwrap());
    again.close().await;
}

#[tokio::test]
async fn what_is_known_of_a_file_is_written_down() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let known = FileRecord {
        etag: Some("\"tag\"".to_owned()),
        ..record(key("example.com/Acme", "v1.0.0", FileKind::Zip), now())
    };
    records.add(known.clone()).await;
    // A later find in the tree knows neither source nor tag, and takes nothing away.
    records
        .add(FileRecord {
            source: None,
            etag: None,
            digest: Digest::of(b"other"),
            size: 7,
            ..known
        })
        .await;
    records.close().await;
    let pool = SqlitePool::connect_with(
        SqliteConnectOptions::new().filename(scene.root().join("records.sqlite")),
    )
    .await
    .unwrap();
    let row = sqlx::query(
        "SELECT module, version, kind, size, sha256, source, etag \
         FROM file JOIN version ON version.id = version_id",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let texts: Vec<String> = [0, 1, 2, 5, 6].map(|column| row.get(column)).to_vec();
    assert_eq!(
        texts,
        [
            "example.com/Acme",
            "v1.0.0",
            "zip",
            "https://proxy.example.com",
            "\"tag\""
        ]
    );
    assert_eq!(row.get::<i64, _>(3), 7);
    assert_eq!(row.get::<Vec<u8>, _>(4), Digest::of(b"other").as_bytes());
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_may_add_at_the_same_time() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let records = records.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    let module = format!("example.com/m{}", (task * 100 + number) % 700);
                    records
                        .add(record(key(&module, "v1.0.0", FileKind::Mod), now()))
                        .await;
                }
                records.flush().await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let totals = records.totals().await.unwrap();
    assert_eq!((totals.versions, totals.files), (700, 700));
    records.close().await;
}

#[tokio::test]
async fn a_database_that_is_none_is_set_aside() {
    for content in [
        b"this is no database, but a text of some length that stands in its place".to_vec(),
        vec![0xff; 8192],
    ] {
        let scene = Scene::new();
        fs::write(scene.root().join("records.sqlite"), &content).unwrap();
        let records = Records::start(scene.root());
        assert!(records.was_replaced().await.unwrap());
        assert_eq!(records.totals().await.unwrap(), Totals::default());
        assert_eq!(records.health(), RecordsHealth::Ready);
        assert_eq!(
            fs::read(scene.root().join(set_aside(&scene))).unwrap(),
            content
        );
        records.close().await;
    }
}

#[tokio::test]
async fn a_database_with_damaged_pages_is_set_aside() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    for number in 0..2000 {
        let module = format!("example.com/m{number}");
        records
            .add(record(key(&module, "v1.0.0", FileKind::Mod), now()))
            .await;
    }
    records.close().await;
    let path = scene.root().join("records.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    let len = bytes.len();
    assert!(len > 100_000, "{len} bytes");
    bytes[len / 4..len * 3 / 4].fill(0x5a);
    fs::write(&path, bytes).unwrap();

    let records = Records::start(scene.root());
    assert!(records.was_replaced().await.unwrap());
    assert_eq!(records.totals().await.unwrap(), Totals::default());
    set_aside(&scene);
    // The new one is written to like any other.
    records
        .add(record(key("example.com/a", "v1.0.0", FileKind::Mod), now()))
        .await;
    records.close().await;
    let records = Records::start(scene.root());
    assert!(!records.was_replaced().await.unwrap());
    assert_eq!(records.totals().await.unwrap().files, 1);
    records.close().await;
}

/// The name under which an unusable database was kept.
fn set_aside(scene: &Scene) -> String {
    let names = names_in(scene.root());
    let kept = names
        .iter()
        .find(|name| name.starts_with("records.sqlite.unusable-"));
    kept.unwrap_or_else(|| panic!("{names:?}")).clone()
}

#[tokio::test]
async fn without_a_database_there_is_an_error_and_no_standstill() {
    let scene = Scene::new();
    fs::create_dir(scene.root().join("records.sqlite")).unwrap();
    let records = Records::start(scene.root());
    let error = records.totals().await.unwrap_err();
    assert!(matches!(error, StoreError::Records { .. }), "{error}");
    assert!(matches!(records.health(), RecordsHealth::Failed(_)));
    for number in 0..50 {
        let module = format!("example.com/m{number}");
        records
            .add(record(key(&module, "v1.0.0", FileKind::Mod), now()))
            .await;
    }
    records.flush().await;
    assert!(matches!(records.health(), RecordsHealth::Failed(_)));
    // Once the reason is gone, so is the trouble.
    fs::remove_dir(scene.root().join("records.sqlite")).unwrap();
    records
        .add(record(
            key("example.com/a", "v1.0.0", FileKind::Mod),
            now() - 1.second(),
        ))
        .await;
    records.flush().await;
    assert_eq!(records.health(), RecordsHealth::Ready);
    assert_eq!(records.totals().await.unwrap().files, 1);
    records.close().await;
}
