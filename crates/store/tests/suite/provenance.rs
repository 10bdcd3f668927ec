use jiff::{Timestamp, ToSpan as _};
use modzip::H1;
use schemars::generate::SchemaSettings;
use store::{
    Check, CheckResult, Event, EventKind, EventProvenance, FileKind, FileProvenance, FileRecord,
    FirstSightReason, Pin, PinProvenance, PinnedFile, Provenance, QuarantineId, Records, Source,
    UncheckedReason, Verification,
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

/// Every way in which a hash can be believed.
fn all_verifications(id: &QuarantineId, time: Timestamp) -> [Verification; 6] {
    let text = || "text".to_owned();
    [
        Verification::Unchecked {
            reason: UncheckedReason::DatabaseUnreachable(text()),
            time,
        },
        Verification::Unchecked {
            reason: UncheckedReason::FoundInTree,
            time,
        },
        Verification::FirstSight {
            reason: FirstSightReason::Pattern(text()),
            time,
        },
        Verification::FirstSight {
            reason: FirstSightReason::SumdbOff,
            time,
        },
        Verification::Released {
            quarantine: id.clone(),
            time,
        },
        Verification::Proven {
            database: text(),
            record: 7,
            tree_size: 8,
            time,
        },
    ]
}

/// Every kind of event.
fn all_events(id: &QuarantineId, file: FileKind) -> Vec<EventKind> {
    let text = || "text".to_owned();
    let mut events = vec![
        EventKind::Quarantined {
            id: id.clone(),
            file,
            reason: text(),
        },
        EventKind::Released {
            id: id.clone(),
            file,
        },
        EventKind::Dropped {
            id: id.clone(),
            file,
        },
        EventKind::Healed { file, source: None },
        EventKind::Cleaned { file },
        EventKind::MovedTag {
            tag: text(),
            old_commit: text(),
            new_commit: text(),
            repository: text(),
        },
        EventKind::MovedRepository {
            root: text(),
            old: text(),
            new: text(),
        },
    ];
    let results = [
        CheckResult::Good,
        CheckResult::Bad(text()),
        CheckResult::Impossible(text()),
    ];
    for result in results {
        for (check, file) in [(Check::Scrub, Some(file)), (Check::Database, None)] {
            let result = result.clone();
            events.push(EventKind::Checked {
                check,
                file,
                result,
            });
        }
    }
    events
}

/// Everything that [`Provenance`] can hold, in as many of them as it takes.
fn all_kinds_of_provenance() -> Vec<Provenance> {
    let time = Timestamp::UNIX_EPOCH;
    let id: QuarantineId = "20260131-123000-000000".parse().unwrap();
    let text = || "text".to_owned();
    let pins = all_verifications(&id, time).map(|verification| PinProvenance {
        hash: text(),
        verification,
    });
    let sources = [
        Source::upstream("https://proxy.example.com"),
        Source::repository("https://git.example.com/x", Some(text())),
        Source::repository("https://git.example.com/x", None),
        Source::Bundle { manifest: text() },
        Source::Published,
    ];
    let file = FileKind::Zip;
    let events: Vec<_> = all_events(&id, file)
        .into_iter()
        .map(|what| EventProvenance { time, what })
        .collect();
    let files: Vec<_> = sources
        .into_iter()
        .map(Some)
        .chain([None])
        .map(|source| FileProvenance {
            kind: file,
            size: 1,
            sha256: text(),
            url: source.as_ref().map(|_| text()),
            source,
            etag: None,
            stored: time,
        })
        .collect();
    pins.map(|pin| Provenance {
        module: text(),
        version: text(),
        first_seen: Some(time),
        files: files.clone(),
        go_mod: None,
        zip: Some(pin),
        checks: events.clone(),
        warnings: Vec::new(),
        events: Vec::new(),
    })
    .into()
}

#[test]
fn the_schema_describes_all_that_can_be_on_record() {
    let schema = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Provenance>();
    let mut schema = serde_json::to_value(schema).unwrap();
    schema.as_object_mut().unwrap().remove("$schema");
    let definitions = schema.as_object_mut().unwrap().remove("$defs").unwrap();
    let document = serde_json::json!({ "$defs": definitions });
    for provenance in all_kinds_of_provenance() {
        let told = serde_json::to_value(&provenance).unwrap();
        let violations = testkit::schema_violations(&document, &schema, &told);
        assert!(violations.is_empty(), "{violations:#?}\n{told:#}");
    }
}
