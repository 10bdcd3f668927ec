use jiff::{Timestamp, ToSpan as _};
use modzip::H1;
use store::{
    Check, CheckResult, Event, EventKind, FileKind, FileRecord, FirstSightReason, Pin, PinnedFile,
    Records, Source, Verification,
};

use crate::scene::{Scene, key, record};

#[tokio::test]
async fn what_happened_to_a_version_is_told_in_full() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let zip = key("example.com/m", "v1.0.0", FileKind::Zip);
    let module = zip.module_version().unwrap();
    assert_eq!(records.provenance(&module).await.unwrap(), None);

    let start: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let source = Source::repository("https://git.example.com/m", Some("abc123".to_owned()));
    records
        .add(FileRecord {
            source: Some(source.clone()),
            etag: Some("\"tag\"".to_owned()),
            ..record(zip.clone(), start)
        })
        .await;
    records
        .pin(Pin {
            module: module.clone(),
            file: PinnedFile::Zip,
            hash: H1::from_bytes([1; 32]),
            verification: Verification::FirstSight {
                reason: FirstSightReason::SumdbOff,
                time: start,
            },
        })
        .await;
    let checked = |result| EventKind::Checked {
        check: Check::Scrub,
        file: Some(FileKind::Zip),
        result,
    };
    let moved = EventKind::MovedTag {
        tag: "v1.0.0".to_owned(),
        old_commit: "abc123".to_owned(),
        new_commit: "def456".to_owned(),
        repository: "https://git.example.com/m".to_owned(),
    };
    let happened = [
        checked(CheckResult::Good),
        moved.clone(),
        checked(CheckResult::Bad("it is torn".to_owned())),
        checked(CheckResult::Good),
        EventKind::Healed {
            file: FileKind::Zip,
            source: None,
        },
        checked(CheckResult::Good),
    ];
    for (minutes, what) in (1..).zip(happened) {
        let time = start + i64::from(minutes).minutes();
        records
            .event(Event {
                module: module.clone(),
                time,
                what,
            })
            .await;
    }
    let told = records.provenance(&module).await.unwrap().unwrap();
    assert_eq!(told.first_seen, Some(start));
    assert_eq!(told.files.len(), 1);
    assert_eq!(told.files[0].source, Some(source));
    // Of good checks the last one is kept, of bad ones each.
    let checks: Vec<_> = told.checks.iter().map(|check| check.time - start).collect();
    assert_eq!(checks.len(), 2, "{:?}", told.checks);
    assert_eq!(told.checks[1].time, start + 6.minutes());
    assert_eq!(told.warnings.len(), 1);
    assert_eq!(told.warnings[0].what, moved);
    assert_eq!(told.events.len(), 1);

    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["files"][0]["source"]["revision"], "abc123");
    assert_eq!(json["zip"]["verification"]["state"], "first-sight");
    assert_eq!(json["warnings"][0]["kind"], "moved-tag");
    assert_eq!(json["warnings"][0]["new_commit"], "def456");
    assert_eq!(json["checks"][0]["result"]["bad"], "it is torn");
    records.close().await;
}

#[tokio::test]
async fn files_that_no_upstream_sent_are_told_with_their_source_and_without_an_address() {
    let scene = Scene::new();
    let records = Records::start(scene.root());
    let time: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let bundle = Source::Bundle {
        manifest: "00ff".to_owned(),
    };
    for (version, source) in [("v1.0.0", bundle), ("v1.1.0", Source::Published)] {
        let zip = key("example.com/m", version, FileKind::Zip);
        records
            .add(FileRecord {
                source: Some(source.clone()),
                etag: None,
                ..record(zip.clone(), time)
            })
            .await;
        let told = records.provenance(&zip.module_version().unwrap()).await;
        let told = told.unwrap().unwrap();
        assert_eq!(told.files[0].source, Some(source));
        assert_eq!(told.files[0].url, None);
    }
}
