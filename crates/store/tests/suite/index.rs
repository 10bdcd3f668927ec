use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan as _};
use store::{FileKind, IndexEntry, Records};

use crate::scene::{Scene, key, record};

fn base() -> Timestamp {
    "2026-03-04T05:06:07Z".parse().unwrap()
}

/// All entries, a page at a time, as a reader would go on from the last time it saw.
async fn read_all(records: &Records, limit: u32) -> Vec<IndexEntry> {
    let mut all: Vec<IndexEntry> = Vec::new();
    let mut since = Timestamp::UNIX_EPOCH;
    loop {
        let page = records.index(since, limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        let known = all.last().map(|entry| entry.timestamp);
        let fresh: Vec<IndexEntry> = page
            .into_iter()
            .filter(|entry| Some(entry.timestamp) != known)
            .collect();
        let Some(last) = fresh.last() else {
            return all;
        };
        since = last.timestamp;
        all.extend(fresh);
    }
}

fn assert_strictly_increasing(entries: &[IndexEntry]) {
    for pair in entries.windows(2) {
        assert!(pair[0].timestamp < pair[1].timestamp, "{pair:?}");
    }
}

#[tokio::test]
async fn ten_thousand_versions_are_read_page_by_page_without_gap_or_repetition() {
    const VERSIONS: usize = 10_000;
    let scene = Scene::new();
    let records = Records::start(scene.root());
    for number in 0..VERSIONS {
        // Many at the same time, as a batch of fetches gives them.
        let stored = base() + i64::try_from(number / 500).unwrap().milliseconds();
        let module = format!("example.com/m{}", number % 100);
        let version = format!("v1.{}.0", number / 100);
        records
            .add(record(key(&module, &version, FileKind::Mod), stored))
            .await;
    }
    records.flush().await;
    for limit in [2, 37, 2000, 20_000] {
        if limit == 2 {
            let page = records.index(Timestamp::UNIX_EPOCH, limit).await.unwrap();
            assert_eq!(page.len(), 2);
            continue;
        }
        let all = read_all(&records, limit).await;
        assert_eq!(all.len(), VERSIONS);
        assert_strictly_increasing(&all);
        let names: BTreeSet<_> = all
            .iter()
            .map(|entry| (&entry.path, &entry.version))
            .collect();
        assert_eq!(names.len(), VERSIONS);
    }
    records.close().await;
}

#[tokio::test]
async fn times_grow_although_the_clock_does_not() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let times = [0, 0, -5, 10, 10, -3600, 10];
    for (number, seconds) in times.into_iter().enumerate() {
        let module = format!("example.com/m{number}");
        records
            .add(record(
                key(&module, "v1.0.0", FileKind::Info),
                base() + seconds.seconds(),
            ))
            .await;
        if number % 3 == 2 {
            records.flush().await;
        }
    }
    records.flush().await;
    let all = read_all(&records, 3).await;
    let names: Vec<String> = all.iter().map(|entry| entry.path.clone()).collect();
    assert_eq!(
        names,
        (0..7)
            .map(|n| format!("example.com/m{n}"))
            .collect::<Vec<_>>()
    );
    assert_strictly_increasing(&all);
    assert_eq!(all[0].timestamp, base());
    records.close().await;
}

#[tokio::test]
async fn a_version_is_listed_once_and_as_of_its_first_file() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    for (number, kind) in (0..).zip(FileKind::ALL) {
        let stored = base() + i64::from(number).seconds();
        records
            .add(record(key("example.com/Acme", "v1.0.0", kind), stored))
            .await;
    }
    records.flush().await;
    let all = read_all(&records, 10).await;
    assert_eq!(
        all,
        [IndexEntry {
            path: "example.com/Acme".to_owned(),
            version: "v1.0.0".to_owned(),
            timestamp: base(),
        }]
    );
    assert_eq!(
        records.index(base() + 1.microsecond(), 10).await.unwrap(),
        []
    );
    assert_eq!(records.index(base(), 0).await.unwrap(), []);
    records.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_follows_the_writers_misses_nothing() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let records = records.clone();
            tokio::spawn(async move {
                for number in 0..300 {
                    let module = format!("example.com/w{writer}/m{number}");
                    records
                        .add(record(
                            key(&module, "v1.0.0", FileKind::Mod),
                            Timestamp::now(),
                        ))
                        .await;
                    if number % 50 == 0 {
                        records.flush().await;
                    }
                }
            })
        })
        .collect();
    let mut seen: Vec<IndexEntry> = Vec::new();
    let mut follow = async |records: &Records| {
        let since = seen.last().map_or(Timestamp::UNIX_EPOCH, |entry| {
            entry.timestamp + 1.microsecond()
        });
        seen.extend(records.index(since, 100).await.unwrap());
        seen.len()
    };
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        follow(&records).await;
    }
    records.flush().await;
    for _ in 0..13 {
        follow(&records).await;
    }
    assert_eq!(follow(&records).await, 1200);
    assert_strictly_increasing(&seen);
    records.close().await;
}
