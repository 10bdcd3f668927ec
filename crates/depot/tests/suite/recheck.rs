//! What is stored and was never verified is, as soon as that is possible.

use std::time::Duration;

use depot::{Depot, VerifyMode};
use fault::Label;
use goenv::private::Patterns;
use gomod::ModuleVersion;
use store::{FileKind, PinnedFile, Verification, release};
use testkit::{Module, Tree};

use crate::scene::{MOD, ZIP, assert_trouble, file, settled};
use crate::verify::{Stage, fetch, small};

fn evil() -> Module {
    small().file("m.go", "package evil\n")
}

fn version() -> ModuleVersion {
    file(FileKind::Zip).module_version().unwrap()
}

/// How the hash of a file is believed.
async fn state(depot: &Depot, file: PinnedFile) -> String {
    let expected = depot.records().expected(&version()).await.unwrap();
    let pin = expected.of(file);
    pin.map_or("none", |pin| pin.verification.state())
        .to_owned()
}

async fn until_state(depot: &Depot, file: PinnedFile, wanted: &str) {
    let limit = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        let found = state(depot, file).await;
        if found == wanted {
            return settled(depot).await;
        }
        let in_time = tokio::time::Instant::now() < limit;
        assert!(in_time, "{file:?} is {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What was told about the version, as JSON.
async fn told(depot: &Depot) -> String {
    let provenance = depot.records().provenance(&version()).await.unwrap();
    serde_json::to_string(&provenance.unwrap()).unwrap()
}

/// A stage on which an outage of the database stops nobody.
fn lenient() -> Stage {
    let mut stage = Stage::new(&small());
    stage.scene.settings.verify = VerifyMode::WhenReachable;
    stage.database.server.stop();
    stage
}

#[tokio::test]
async fn what_was_served_in_an_outage_is_proven_when_the_database_is_back() {
    let mut stage = lenient();
    let depot = stage.scene.depot();
    for kind in [FileKind::Mod, FileKind::Zip] {
        fetch(&depot, kind).await.unwrap();
    }
    settled(&depot).await;
    assert_eq!(state(&depot, PinnedFile::Zip).await, "unchecked");
    stage.database.server.start();
    for file in PinnedFile::ALL {
        until_state(&depot, file, "proven").await;
    }
    assert!(stage.scene.stored(ZIP).exists() && stage.scene.stored(MOD).exists());
    assert_eq!(depot.refused_files(), 0);
    let told = told(&depot).await;
    assert!(
        told.contains("\"check\":\"database\"") && told.contains("\"good\""),
        "{told}"
    );
}

#[tokio::test]
async fn a_lie_that_was_served_in_an_outage_is_taken_away_and_the_truth_is_served() {
    let mut stage = lenient();
    stage.send(ZIP, &evil().zip());
    let depot = stage.scene.depot();
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), evil().zip());
    settled(&depot).await;
    stage.database.server.start();
    until_state(&depot, PinnedFile::Zip, "proven").await;
    assert!(!stage.scene.stored(ZIP).exists());
    assert_eq!(depot.refused_files(), 1);
    let entries = depot.store().quarantine_entries().unwrap();
    let evidence = &entries[0].evidence;
    assert_eq!(evidence.found.as_ref().unwrap().hash, evil().zip_h1());
    let expected = evidence.expected.as_ref().unwrap();
    assert_eq!(expected.hash, small().zip_h1());
    assert!(expected.from.contains("sum.example.com"), "{expected:?}");
    let told = told(&depot).await;
    assert!(
        told.contains("quarantined") && told.contains("\"bad\""),
        "{told}"
    );

    let (_, error) = fetch(&depot, FileKind::Zip).await.unwrap_err();
    assert_trouble(&error, Label::SumdbMismatch);
    stage.send(ZIP, &small().zip());
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), small().zip());
}

#[tokio::test]
async fn a_successful_look_up_of_anything_ends_the_wait() {
    let mut stage = lenient();
    let other = Module::new("example.com/m", "v1.1.0");
    stage.scene.tree.add(&other);
    stage.database.add(&other);
    let depot = stage.scene.depot();
    fetch(&depot, FileKind::Zip).await.unwrap();
    settled(&depot).await;
    // By now the pauses between two questions are longer than this test may last.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stage.database.server.start();
    let key = store::FileKey {
        version: gomod::Version::new("v1.1.0").unwrap(),
        ..file(FileKind::Mod)
    };
    crate::scene::get_file(&depot, &key).await.unwrap();
    until_state(&depot, PinnedFile::Zip, "proven").await;
}

#[tokio::test]
async fn a_tree_that_was_copied_here_is_checked() {
    let good = Stage::new(&small());
    Tree::at(good.scene.data().join("tree")).add(&small());
    let depot = good.scene.depot();
    rebuild(&depot).await;
    for file in PinnedFile::ALL {
        until_state(&depot, file, "proven").await;
    }
    assert_eq!(good.scene.upstream.requests().len(), 0);

    let bad = Stage::new(&small());
    Tree::at(bad.scene.data().join("tree")).add(&evil());
    let depot = bad.scene.depot();
    rebuild(&depot).await;
    until_state(&depot, PinnedFile::Zip, "proven").await;
    until_state(&depot, PinnedFile::GoMod, "proven").await;
    assert!(!bad.scene.stored(ZIP).exists() && bad.scene.stored(MOD).exists());
    assert_eq!(depot.refused_files(), 1);
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), small().zip());
}

/// As a start after the records were lost does.
async fn rebuild(depot: &Depot) {
    let scope = store::Scope::All;
    store::rebuild_records(depot.store(), depot.records(), scope)
        .await
        .unwrap();
    depot.catch_up().await;
}

#[tokio::test]
async fn a_copied_tree_that_no_database_covers_is_believed_at_first_sight() {
    let mut stage = Stage::new(&small());
    stage.scene.settings.no_sumdb = Patterns::parse("example.com/m");
    Tree::at(stage.scene.data().join("tree")).add(&small());
    // A hash beside the zip that is not the zip's.
    let beside = stage.scene.stored(ZIP).with_extension("ziphash");
    std::fs::write(beside, evil().zip_h1()).unwrap();
    let depot = stage.scene.depot();
    rebuild(&depot).await;
    until_state(&depot, PinnedFile::GoMod, "first-sight").await;
    let limit = tokio::time::Instant::now() + Duration::from_mins(1);
    while stage.scene.stored(ZIP).exists() {
        assert!(tokio::time::Instant::now() < limit, "it is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stage.database.server.requests().len(), 0);
}

#[tokio::test]
async fn what_the_database_does_not_know_stays_and_is_told_so() {
    let mut stage = Stage::new(&Module::new("example.com/known", "v1.0.0"));
    Tree::at(stage.scene.data().join("tree")).add(&small());
    stage.scene.settings.verify = VerifyMode::WhenReachable;
    let depot = stage.scene.depot();
    rebuild(&depot).await;
    let limit = tokio::time::Instant::now() + Duration::from_mins(1);
    while !told(&depot).await.contains("\"impossible\"") {
        assert!(
            tokio::time::Instant::now() < limit,
            "{}",
            told(&depot).await
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    settled(&depot).await;
    assert_eq!(state(&depot, PinnedFile::Zip).await, "unchecked");
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), small().zip());
}

#[tokio::test]
async fn what_was_believed_without_a_database_is_checked_once_there_is_one() {
    for module in [small(), evil()] {
        let mut stage = Stage::new(&small());
        let sumdbs = std::mem::take(&mut stage.scene.settings.sumdbs);
        stage.send(ZIP, &module.zip());
        let depot = stage.scene.depot();
        fetch(&depot, FileKind::Zip).await.unwrap();
        settled(&depot).await;
        assert_eq!(state(&depot, PinnedFile::Zip).await, "first-sight");
        depot.close(Duration::ZERO).await;
        drop(depot);
        stage.scene.settings.sumdbs = sumdbs;
        let depot = stage.scene.depot();
        depot.catch_up().await;
        until_state(&depot, PinnedFile::Zip, "proven").await;
        let is_right = module.zip() == small().zip();
        assert_eq!(stage.scene.stored(ZIP).exists(), is_right);
        assert_eq!(depot.refused_files(), u64::from(!is_right));
    }
}

#[tokio::test]
async fn what_was_proven_once_holds_without_the_database_and_without_its_answers() {
    let mut stage = Stage::new(&small());
    let depot = stage.scene.depot();
    // The record states both hashes, so that the go.mod is held to its own although nobody has asked for it.
    fetch(&depot, FileKind::Zip).await.unwrap();
    settled(&depot).await;
    depot.close(Duration::ZERO).await;
    drop(depot);
    std::fs::remove_dir_all(stage.scene.data().join("answers")).unwrap();
    std::fs::remove_file(stage.scene.stored(ZIP)).unwrap();
    stage.database.server.stop();
    let depot = stage.scene.depot();
    stage.send(MOD, b"module example.com/m // changed\n");
    stage.send(ZIP, &evil().zip());
    for kind in [FileKind::Zip, FileKind::Mod] {
        let (_, error) = fetch(&depot, kind).await.unwrap_err();
        assert_trouble(&error, Label::SumdbMismatch);
        assert!(error.to_string().contains("sum.example.com"), "{error}");
    }
    settled(&depot).await;
    stage.send(MOD, small().go_mod_text().as_bytes());
    stage.send(ZIP, &small().zip());
    for kind in [FileKind::Zip, FileKind::Mod] {
        fetch(&depot, kind).await.unwrap();
    }
}

#[tokio::test]
async fn an_operator_decides_where_only_the_first_sight_disagrees_and_where_nobody_knows() {
    let mut stage = Stage::new(&Module::new("example.com/known", "v1.0.0"));
    let sumdbs = std::mem::take(&mut stage.scene.settings.sumdbs);
    let depot = stage.scene.depot();
    fetch(&depot, FileKind::Zip).await.unwrap();
    settled(&depot).await;
    std::fs::remove_file(stage.scene.stored(ZIP)).unwrap();
    stage.send(ZIP, &evil().zip());
    for _ in 0..2 {
        let (_, error) = fetch(&depot, FileKind::Zip).await.unwrap_err();
        assert_trouble(&error, Label::SumdbMismatch);
        settled(&depot).await;
    }
    let entries = depot.store().quarantine_entries().unwrap();
    release(depot.store(), depot.records(), &entries[0].id)
        .await
        .unwrap();
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), evil().zip());
    assert_eq!(state(&depot, PinnedFile::Zip).await, "released");

    // The decision stands when the file is lost, also against a database that does not know the version.
    depot.close(Duration::ZERO).await;
    drop(depot);
    stage.scene.settings.sumdbs = sumdbs;
    std::fs::remove_file(stage.scene.stored(ZIP)).unwrap();
    let depot = stage.scene.depot();
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), evil().zip());
    settled(&depot).await;
    std::fs::remove_file(stage.scene.stored(ZIP)).unwrap();
    stage.send(ZIP, &small().zip());
    let (_, error) = fetch(&depot, FileKind::Zip).await.unwrap_err();
    assert!(error.to_string().contains("operator"), "{error}");
    let expected = depot.records().expected(&version()).await.unwrap();
    let pin = expected.of(PinnedFile::Zip).unwrap();
    assert!(matches!(pin.verification, Verification::Released { .. }));
}
