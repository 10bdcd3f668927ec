//! What the disk or somebody has done to stored files is found, and undone where that can be.

use std::fs;
use std::num::NonZeroU64;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use depot::{
    Depot, ScrubFinding, ScrubObserver, ScrubOptions, ScrubOutcome, ScrubReport, ScrubSchedule,
};
use jiff::Timestamp;
use store::{
    EventKind, FileKey, FileKind, PinnedFile, QuarantineReason, ScrubState, Scrubber,
    UncheckedReason, Verification,
};
use testkit::{Answer, ChecksumDatabase, Fault, Module};

use crate::scene::{MOD, Scene, ZIP, file, get_small, settled};
use crate::sumdb::route;
use crate::verify::fetch;

const INFO: &str = "/example.com/m/@v/v1.0.0.info";
const FILES: [(FileKind, &str); 3] = [
    (FileKind::Info, INFO),
    (FileKind::Mod, MOD),
    (FileKind::Zip, ZIP),
];

/// Collects what is found.
#[derive(Default)]
struct Watching {
    found: Mutex<Vec<ScrubFinding>>,
    passed: Mutex<Vec<String>>,
}

impl ScrubObserver for Watching {
    fn passed(&self, key: &FileKey, _so_far: &ScrubReport) {
        self.passed.lock().unwrap().push(key.url_path());
    }

    fn found(&self, finding: &ScrubFinding) {
        self.found.lock().unwrap().push(finding.clone());
    }
}

fn options(after: Option<&str>) -> ScrubOptions {
    ScrubOptions {
        rate: NonZeroU64::MAX,
        after: after.map(ToOwned::to_owned),
    }
}

async fn scrub(depot: &Depot) -> (ScrubReport, Vec<ScrubFinding>) {
    let watching = Watching::default();
    let report = depot.scrub(&options(None), &watching).await.unwrap();
    (report, watching.found.into_inner().unwrap())
}

/// A depot that has fetched all of the scene's module.
async fn filled(scene: &Scene) -> Depot {
    let depot = scene.depot();
    for (kind, _) in FILES {
        fetch(&depot, kind).await.unwrap();
    }
    settled(&depot).await;
    depot.records().flush().await;
    depot
}

/// Changes a stored file where it is, as a disk does: what stands beside its bytes stays.
fn spoil(scene: &Scene, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let stored = scene.stored(path);
    let mut bytes = fs::read(&stored).unwrap();
    change(&mut bytes);
    fs::write(&stored, bytes).unwrap();
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
}

/// Puts a file into the tree as another program would: nothing stands beside its bytes.
fn import(scene: &Scene, path: &str, bytes: &[u8]) {
    let stored = scene.stored(path);
    fs::create_dir_all(stored.parent().unwrap()).unwrap();
    let _was_there = fs::remove_file(&stored);
    fs::write(stored, bytes).unwrap();
}

async fn events(depot: &Depot) -> Vec<EventKind> {
    depot.records().flush().await;
    let module = file(FileKind::Zip).module_version().unwrap();
    let events = depot.records().events(&module).await.unwrap();
    events.into_iter().map(|event| event.what).collect()
}

fn entries(depot: &Depot) -> Vec<store::QuarantineEntry> {
    depot.store().quarantine_entries().unwrap()
}

#[tokio::test]
async fn sound_files_are_left_alone_and_put_on_record_as_checked() {
    let scene = Scene::new();
    let depot = filled(&scene).await;
    let asked = scene.upstream.requests().len();
    for _ in 0..2 {
        let (report, found) = scrub(&depot).await;
        assert_eq!((report.files, report.damaged, found), (3, 0, Vec::new()));
        let bytes: u64 = FILES
            .iter()
            .map(|(_, path)| scene.source(path).len() as u64)
            .sum();
        assert_eq!(report.bytes, bytes);
    }
    assert_eq!(scene.upstream.requests().len(), asked);
    let checks = events(&depot).await;
    assert_eq!(checks.len(), 3, "one good check of each file: {checks:?}");
    let totals = depot.scrub_totals();
    assert_eq!(totals.files.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn whatever_is_damaged_is_replaced_by_what_it_was() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("a flipped bit", |bytes| flip(bytes)),
        ("cut", |bytes| bytes.truncate(bytes.len() / 2)),
        ("cut by one byte", |bytes| {
            bytes.pop();
        }),
        ("longer", |bytes| bytes.push(b'\n')),
        ("zeros", |bytes| bytes.fill(0)),
    ];
    for (kind, path) in FILES {
        for (name, damage) in damages {
            let case = format!("{name}: {path}");
            let scene = Scene::new();
            let depot = filled(&scene).await;
            spoil(&scene, path, damage);
            let (report, found) = scrub(&depot).await;
            assert_eq!((report.damaged, report.healed), (1, 1), "{case}: {found:?}");
            assert_eq!(found[0].key, file(kind), "{case}");
            let ScrubOutcome::Healed { source } = &found[0].outcome else {
                panic!("{case}: {found:?}");
            };
            let source = source.as_ref().unwrap().to_string();
            let upstream = scene.upstream.url();
            assert_eq!(
                source.trim_end_matches('/'),
                upstream.trim_end_matches('/'),
                "{case}"
            );
            assert_eq!(
                fs::read(scene.stored(path)).unwrap(),
                scene.source(path),
                "{case}"
            );
            // What the disk has spoilt is of no use any more.
            assert_eq!(entries(&depot).len(), 0, "{case}");
            let healed =
                |what: &EventKind| matches!(what, EventKind::Healed { file, .. } if *file == kind);
            assert!(events(&depot).await.iter().any(healed), "{case}");
            assert_eq!(scrub(&depot).await.0.damaged, 0, "{case}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_replaced_now_is_set_aside_and_the_next_request_replaces_it() {
    for (kind, path) in FILES {
        let mut scene = Scene::new();
        let depot = filled(&scene).await;
        spoil(&scene, path, |bytes| flip(bytes));
        let spoilt = fs::read(scene.stored(path)).unwrap();
        scene.upstream.stop();
        let (report, found) = scrub(&depot).await;
        assert_eq!((report.damaged, report.quarantined), (1, 1), "{found:?}");
        assert!(!scene.stored(path).exists(), "{path}");
        let ScrubOutcome::Quarantined { id, why_not } = &found[0].outcome else {
            panic!("{found:?}");
        };
        assert!(!why_not.is_empty());
        let entry = depot.store().quarantine_entry(id).unwrap().unwrap();
        assert_eq!(fs::read(&entry.path).unwrap(), spoilt);
        assert_eq!(entry.evidence.reason, QuarantineReason::Damaged);
        assert!(entry.evidence.expected.is_some() && entry.evidence.found.is_some());
        assert!(entry.evidence.source.is_some(), "where it came from");
        let events = events(&depot).await;
        assert!(
            events
                .iter()
                .any(|what| matches!(what, EventKind::Quarantined { file, .. } if *file == kind)),
            "{events:?}"
        );
        // Nobody gets damaged bytes meanwhile; afterwards everybody gets sound ones.
        let (bytes, error) = fetch(&depot, kind).await.unwrap_err();
        assert!(bytes.is_empty() && !error.is_absence(), "{error}");
        scene.upstream.start();
        depot.reconfigure(
            crate::scene::chain(&scene.upstream.url()),
            scene.settings.clone(),
        );
        assert_eq!(fetch(&depot, kind).await.unwrap(), scene.source(path));
        settled(&depot).await;
        assert_eq!(scrub(&depot).await.0.files, 3);
    }
}

#[tokio::test]
async fn other_bytes_than_those_that_were_pinned_are_not_taken_in_their_place() {
    let other = Module::big("example.com/m", "v1.0.0", 300_000)
        .file("m.go", "package other\n")
        .go_mod("module example.com/m\n\ngo 1.99\n");
    for (kind, path, bytes) in [
        (FileKind::Mod, MOD, other.go_mod_text().as_bytes().to_vec()),
        (FileKind::Zip, ZIP, other.zip()),
    ] {
        let scene = Scene::new();
        let depot = filled(&scene).await;
        spoil(&scene, path, |bytes| flip(bytes));
        scene.upstream.answer(path, Answer::status(200).body(bytes));
        let (report, found) = scrub(&depot).await;
        assert_eq!((report.healed, report.quarantined), (0, 1), "{found:?}");
        assert!(!scene.stored(path).exists(), "{path}");
        // The damaged file, and what was sent in its place.
        assert_eq!(entries(&depot).len(), 2, "{path}");
        assert!(fetch(&depot, kind).await.is_err(), "{path}");
    }
}

#[tokio::test]
async fn without_records_a_go_mod_file_is_held_to_the_digest_that_stands_beside_it() {
    let scene = Scene::new();
    filled(&scene).await.close(Duration::from_secs(5)).await;
    for name in ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"] {
        let _may_be_missing = fs::remove_file(scene.data().join(name));
    }
    spoil(&scene, MOD, |bytes| flip(bytes));
    let other = b"module example.com/m\n\ngo 1.99\n";
    scene.upstream.answer(MOD, Answer::status(200).body(other));
    let depot = scene.depot();
    let (report, found) = scrub(&depot).await;
    assert_eq!((report.healed, report.quarantined), (0, 1), "{found:?}");
    let right = Answer::status(200).body(scene.source(MOD));
    scene.upstream.answer(MOD, right);
    let (bytes, from_store) = get_small(&depot, FileKind::Mod).await.unwrap();
    assert_eq!((bytes, from_store), (scene.source(MOD), false));
}

#[tokio::test]
async fn a_lost_or_wrong_hash_beside_a_zip_is_written_anew() {
    let scene = Scene::new();
    let depot = filled(&scene).await;
    let beside = scene.stored("/example.com/m/@v/v1.0.0.ziphash");
    let right = fs::read_to_string(&beside).unwrap();
    assert!(right.starts_with("h1:"));
    let wrong = format!("h1:{}=", "A".repeat(43));
    for content in [None, Some(""), Some("h1:torn"), Some(wrong.as_str())] {
        match content {
            None => fs::remove_file(&beside).unwrap(),
            Some(content) => fs::write(&beside, content).unwrap(),
        }
        let (report, found) = scrub(&depot).await;
        assert_eq!((report.files, report.damaged), (3, 0), "{found:?}");
        assert_eq!(fs::read_to_string(&beside).unwrap(), right, "{content:?}");
    }
}

#[tokio::test]
async fn files_nothing_is_known_about_are_held_to_what_they_are_from_now_on() {
    let scene = Scene::new();
    for (_, path) in FILES {
        import(&scene, path, &scene.source(path));
    }
    let depot = scene.depot();
    let (report, found) = scrub(&depot).await;
    assert_eq!((report.files, report.stamped), (3, 3), "{found:?}");
    let module = Module::big("example.com/m", "v1.0.0", 300_000);
    let version = file(FileKind::Zip).module_version().unwrap();
    let expected = depot.records().expected(&version).await.unwrap();
    for (pinned, hash) in [
        (PinnedFile::GoMod, module.go_mod_h1()),
        (PinnedFile::Zip, module.zip_h1()),
    ] {
        let pin = expected.of(pinned).unwrap();
        assert_eq!(pin.hash.to_string(), hash);
        assert!(matches!(
            pin.verification,
            Verification::Unchecked {
                reason: UncheckedReason::FoundInTree,
                ..
            }
        ));
    }
    assert_eq!(depot.records().unchecked(10).await.unwrap().len(), 2);
    let beside = fs::read_to_string(scene.stored("/example.com/m/@v/v1.0.0.ziphash")).unwrap();
    assert_eq!(beside, module.zip_h1());
    assert_eq!(depot.records().totals().await.unwrap().files, 3);
    // And damage is damage from then on.
    spoil(&scene, MOD, |bytes| flip(bytes));
    let (report, found) = scrub(&depot).await;
    assert_eq!((report.damaged, report.healed), (1, 1), "{found:?}");
}

#[tokio::test]
async fn files_nothing_is_known_about_that_are_not_whole_are_not_believed() {
    let module = Module::big("example.com/m", "v1.0.0", 300_000);
    let zip = module.zip();
    let another = Module::new("example.com/other", "v1.0.0");
    let cases: [(&str, &str, Vec<u8>); 6] = [
        (
            "torn",
            MOD,
            b"module example.com/m\n\nrequire (\n\texa".to_vec(),
        ),
        ("empty", MOD, Vec::new()),
        ("cut", ZIP, zip[..zip.len() - 1000].to_vec()),
        ("of another module", ZIP, another.zip()),
        (
            "another version's",
            INFO,
            another.info().replace("v1.0.0", "v1.0.1").into(),
        ),
        ("no JSON", INFO, b"<html>".to_vec()),
    ];
    for (name, path, bytes) in cases {
        let scene = Scene::new();
        import(&scene, path, &bytes);
        scene.upstream.fail("*", Fault::status(503));
        let depot = scene.depot();
        let (report, found) = scrub(&depot).await;
        assert_eq!(
            (report.damaged, report.quarantined),
            (1, 1),
            "{name}: {found:?}"
        );
        assert!(!scene.stored(path).exists(), "{name}");
        assert!(
            depot.records().unchecked(10).await.unwrap().is_empty(),
            "{name}"
        );
        let file = entries(&depot).remove(0);
        assert_eq!(fs::read(file.path).unwrap(), bytes, "{name}");
    }
}

#[tokio::test]
async fn a_zip_that_is_not_what_its_hash_says_leaves_evidence_also_when_it_was_replaced() {
    let scene = Scene::new();
    let module = Module::big("example.com/m", "v1.0.0", 300_000);
    let changed = module.clone().file("m.go", "package evil\n");
    import(&scene, ZIP, &changed.zip());
    import(
        &scene,
        "/example.com/m/@v/v1.0.0.ziphash",
        module.zip_h1().as_bytes(),
    );
    let depot = scene.depot();
    let (report, found) = scrub(&depot).await;
    assert_eq!((report.damaged, report.healed), (1, 1), "{found:?}");
    let evidence = entries(&depot).remove(0).evidence;
    assert_eq!(evidence.reason, QuarantineReason::HashMismatch);
    assert_eq!(evidence.found.unwrap().hash, changed.zip_h1());
    assert_eq!(evidence.expected.unwrap().hash, module.zip_h1());
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), module.zip());
}

#[tokio::test]
async fn where_nothing_is_pinned_the_checksum_database_decides_and_nobody_else() {
    let module = Module::big("example.com/m", "v1.0.0", 300_000);
    for is_covered in [true, false] {
        let mut scene = Scene::new();
        let database = ChecksumDatabase::new("sum.example.com", 1);
        database.add(&module);
        if is_covered {
            scene.settings.sumdbs = vec![route(&database)];
        }
        import(&scene, ZIP, &module.zip()[..200_000]);
        let depot = scene.depot();
        let (report, found) = scrub(&depot).await;
        assert_eq!(
            (report.healed, report.quarantined),
            (u64::from(is_covered), u64::from(!is_covered)),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn a_bad_upstream_does_not_keep_a_good_one_from_replacing_a_file() {
    let scene = Scene::new();
    let bad = testkit::UpstreamServer::serve(scene.tree.root());
    let other = Module::big("example.com/m", "v1.0.0", 300_000).file("m.go", "package other\n");
    let depot = filled(&scene).await;
    bad.answer(ZIP, Answer::status(200).body(other.zip()));
    let both = format!("{},{}", bad.url(), scene.upstream.url());
    depot.reconfigure(crate::scene::chain(&both), scene.settings.clone());
    spoil(&scene, ZIP, |bytes| flip(bytes));
    let (report, found) = scrub(&depot).await;
    assert_eq!((report.damaged, report.healed), (1, 1), "{found:?}");
    assert_eq!(fs::read(scene.stored(ZIP)).unwrap(), scene.source(ZIP));
}

#[tokio::test]
async fn a_pass_goes_on_behind_the_file_it_had_come_to() {
    let scene = Scene::new();
    let names = scene.tree.add_tiny_modules(10);
    assert_eq!(names.len(), 10);
    copy_tree(scene.tree.root(), &scene.data().join("tree"));
    let depot = scene.depot();
    let whole = Watching::default();
    depot.scrub(&options(None), &whole).await.unwrap();
    let whole = whole.passed.into_inner().unwrap();
    assert_eq!(whole.len(), 33);

    let rest = Watching::default();
    let after = Some(whole[19].as_str());
    let report = depot.scrub(&options(after), &rest).await.unwrap();
    assert_eq!(report.files, 13);
    assert_eq!(rest.passed.into_inner().unwrap(), whole[20..]);

    // As the server does, after it ended in the middle.
    let before = depot.scrub_totals().files.load(Ordering::Relaxed);
    let since: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let state = ScrubState {
        after: Some(whole[29].clone()),
        since,
    };
    depot
        .store()
        .keep_scrub_state(Scrubber::Server, &state)
        .unwrap();
    let schedule = ScrubSchedule {
        interval: Duration::from_hours(1),
        rate: NonZeroU64::MAX,
    };
    let regularly = {
        let depot = depot.clone();
        tokio::spawn(async move { depot.scrub_regularly(schedule).await })
    };
    while depot.scrub_totals().completed.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let read = depot.scrub_totals().files.load(Ordering::Relaxed) - before;
    assert_eq!(read, 3);
    // The next one begins an interval later.
    while depot
        .store()
        .scrub_state(Scrubber::Server)
        .unwrap()
        .after
        .is_some()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let state = depot.store().scrub_state(Scrubber::Server).unwrap();
    assert!(state.since > since, "{state:?}");
    regularly.abort();
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_get_whole_and_right_files_while_a_scrub_goes_on() {
    let scene = Scene::new();
    let depot = filled(&scene).await;
    let over = std::sync::Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (depot, over) = (depot.clone(), over.clone());
            let (kind, path) = FILES[number % 3];
            let right = scene.source(path);
            tokio::spawn(async move {
                let mut is_last = false;
                while !is_last {
                    // Once more when all is over, for whoever never had a turn.
                    is_last = over.load(Ordering::Relaxed);
                    let bytes = fetch(&depot, kind).await.unwrap();
                    assert_eq!(bytes, right, "{path}");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 0..10 {
        // A cut is noticed by whoever opens the file, so that no client can get it; who finds it first does not matter.
        let (_, path) = FILES[round % 3];
        let file = fs::OpenOptions::new().write(true).open(scene.stored(path));
        if let Ok(file) = file {
            // What was opened a moment before is read to its end first.
            let len = file.metadata().unwrap().len();
            file.set_len(len + 1).unwrap();
        }
        scrub(&depot).await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    settled(&depot).await;
    assert_eq!(scrub(&depot).await.0.damaged, 0);
}
