//! Nothing that is not what the checksum database says is served whole or stored.

use std::os::unix::fs::FileExt as _;

use depot::{Depot, DepotError, FileReply, Progress, VerifyMode};
use fault::Label;
use goenv::private::Patterns;
use store::FileKind;
use testkit::{Answer, ChecksumDatabase, Fault, Module, Tree, UpstreamServer};

use crate::scene::{
    MOD, Scene, ZIP, assert_nothing_unfinished, assert_trouble, file, get_file, settled,
};
use crate::sumdb::route;

/// The scene's module, small and large.
pub(crate) fn small() -> Module {
    Module::new("example.com/m", "v1.0.0").file("m.go", "package m\n")
}

fn large() -> Module {
    Module::big("example.com/m", "v1.0.0", 300_000)
}

pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) database: ChecksumDatabase,
}

impl Stage {
    /// The upstream has the module, and the database knows it.
    pub(crate) fn new(module: &Module) -> Self {
        let database = ChecksumDatabase::new("sum.example.com", 1);
        database.add(module);
        let mut scene = Scene::new();
        scene.tree.add(module);
        scene.settings.sumdbs = vec![route(&database)];
        Self { scene, database }
    }

    pub(crate) fn send(&self, path: &str, body: &[u8]) {
        let answer = Answer::status(200).body(body);
        self.scene.upstream.answer(path, answer);
    }
}

/// What a client ends up with: the whole, or its beginning and why there is no more.
pub(crate) async fn fetch(depot: &Depot, kind: FileKind) -> Result<Vec<u8>, (Vec<u8>, DepotError)> {
    let mut growing = match get_file(depot, &file(kind)).await {
        Ok(FileReply::Small(small, _)) => return Ok(small.body.to_vec()),
        Ok(FileReply::Stored(stored)) => {
            let mut bytes = vec![0; usize::try_from(stored.len()).unwrap()];
            stored.file().read_exact_at(&mut bytes, 0).unwrap();
            return Ok(bytes);
        }
        Ok(FileReply::Growing(growing)) => growing,
        Err(error) => return Err((Vec::new(), error)),
    };
    let mut bytes = Vec::new();
    loop {
        let progress = growing.wait_for(bytes.len() as u64).await;
        let start = bytes.len();
        let (Progress::Growing(readable) | Progress::Complete(readable)) = progress else {
            let Progress::Failed(error) = progress else {
                unreachable!()
            };
            return Err((bytes, error));
        };
        bytes.resize(usize::try_from(readable).unwrap(), 0);
        let file = growing.file();
        file.read_exact_at(&mut bytes[start..], start as u64)
            .unwrap();
        if matches!(progress, Progress::Complete(_)) {
            return Ok(bytes);
        }
    }
}

/// Asks for a file that must be refused, by one client and by many: nobody has anything that could be opened, and
/// nothing is stored.
async fn assert_refused(stage: &Stage, kind: FileKind, case: &str) -> DepotError {
    let depot = stage.scene.depot();
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let depot = depot.clone();
            tokio::spawn(async move { fetch(&depot, kind).await })
        })
        .collect();
    let mut last = None;
    for asked in asking {
        let Err((bytes, error)) = asked.await.unwrap() else {
            panic!("{case}: served");
        };
        assert!(!error.is_absence(), "{case}: {error}");
        assert!(!opens(&bytes), "{case}: {} bytes open", bytes.len());
        last = Some(error);
    }
    settled(&depot).await;
    let tree = stage.scene.data().join("tree");
    let path = if kind == FileKind::Zip { ZIP } else { MOD };
    assert!(!stage.scene.stored(path).exists(), "{case}: stored");
    assert!(tree.exists());
    assert_nothing_unfinished(&stage.scene).await;
    last.unwrap()
}

/// Whether any reader of zips could find an archive in these bytes.
fn opens(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == b"PK\x05\x06")
}

fn assert_mismatch(error: &DepotError, found: &str, expected: &str, source: &str) {
    assert_trouble(error, Label::SumdbMismatch);
    let text = error.to_string();
    for part in [found, expected, source, "sum.example.com", "SECURITY ERROR"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[tokio::test]
async fn what_agrees_is_served_and_stored() {
    for module in [small(), large()] {
        let stage = Stage::new(&module);
        let depot = stage.scene.depot();
        assert_eq!(
            fetch(&depot, FileKind::Mod).await.unwrap(),
            module.go_mod_text().as_bytes()
        );
        assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), module.zip());
        settled(&depot).await;
        assert!(stage.scene.stored(ZIP).exists() && stage.scene.stored(MOD).exists());
        assert_eq!(
            stage.database.server.count("/lookup/*"),
            1,
            "one look-up for both files"
        );
        let asked = stage.database.server.requests().len();
        fetch(&depot, FileKind::Zip).await.unwrap();
        assert_eq!(
            stage.database.server.requests().len(),
            asked,
            "a hit asks nobody"
        );
    }
}

#[tokio::test]
async fn a_changed_zip_is_refused_with_both_hashes() {
    for module in [small(), large()] {
        let changed = module.clone().file("m.go", "package evil\n");
        let extra = module.clone().file("extra.go", "package m\n");
        for wrong in [changed, extra] {
            let stage = Stage::new(&module);
            stage.send(ZIP, &wrong.zip());
            let error = assert_refused(&stage, FileKind::Zip, "changed").await;
            let source = stage.scene.upstream.url();
            assert_mismatch(&error, &wrong.zip_h1(), &module.zip_h1(), &source);
        }
    }
}

#[tokio::test]
async fn a_zip_of_another_module_or_version_is_refused() {
    for other in [
        Module::new("example.com/other", "v1.0.0"),
        Module::new("example.com/m", "v1.0.1"),
        Module::big("example.com/other", "v1.0.0", 200_000),
    ] {
        let stage = Stage::new(&small());
        stage.send(ZIP, &other.zip());
        let error = assert_refused(&stage, FileKind::Zip, "swapped").await;
        assert_trouble(&error, Label::SumdbMismatch);

        // Where no database says so, its names do.
        let mut unwatched = Stage::new(&small());
        unwatched.scene.settings.sumdbs.clear();
        unwatched.send(ZIP, &other.zip());
        let error = assert_refused(&unwatched, FileKind::Zip, "swapped, no database").await;
        assert_trouble(&error, Label::GoproxyCorrupt);
    }
}

#[tokio::test]
async fn a_changed_go_mod_is_refused_with_both_hashes() {
    let module = small();
    let stage = Stage::new(&module);
    stage.send(
        MOD,
        b"module example.com/m\n\nrequire evil.example v1.0.0\n",
    );
    let error = assert_refused(&stage, FileKind::Mod, "changed").await;
    assert_trouble(&error, Label::SumdbMismatch);
    assert!(error.to_string().contains(&module.go_mod_h1()), "{error}");
}

#[tokio::test]
async fn every_changed_byte_is_refused() {
    let module = small();
    let zip = module.zip();
    let stage = Stage::new(&module);
    let depot = stage.scene.depot();
    let mut served = 0;
    for at in 0..zip.len() {
        let mut wrong = zip.clone();
        wrong[at] ^= 1;
        stage.send(ZIP, &wrong);
        match fetch(&depot, FileKind::Zip).await {
            Err((bytes, error)) => {
                assert!(!opens(&bytes) && !error.is_absence(), "byte {at}: {error}");
            }
            // A byte that no reader looks at, such as a time: names and contents are what they must be.
            Ok(bytes) => {
                served += 1;
                assert_eq!(bytes, wrong, "byte {at}");
                settled(&depot).await;
                std::fs::remove_file(stage.scene.stored(ZIP)).unwrap();
            }
        }
        settled(&depot).await;
        assert!(!stage.scene.stored(ZIP).exists(), "byte {at}");
    }
    assert!(served < zip.len() / 4, "{served} of {} bytes", zip.len());
}

#[tokio::test]
async fn a_zip_cut_anywhere_is_refused() {
    let module = small();
    let zip = module.zip();
    let stage = Stage::new(&module);
    let depot = stage.scene.depot();
    for len in 0..zip.len() {
        stage.send(ZIP, &zip[..len]);
        let (bytes, error) = fetch(&depot, FileKind::Zip).await.unwrap_err();
        assert!(!opens(&bytes), "{len} bytes");
        assert!(!error.is_absence(), "{len} bytes: {error}");
        settled(&depot).await;
        assert!(!stage.scene.stored(ZIP).exists(), "{len} bytes");
    }
    let large = large();
    let zip = large.zip();
    let stage = Stage::new(&large);
    let depot = stage.scene.depot();
    for less in (1..100).chain([1000, 32_768, 40_000, 299_000]) {
        stage.send(ZIP, &zip[..zip.len() - less]);
        let (bytes, error) = fetch(&depot, FileKind::Zip).await.unwrap_err();
        assert!(!opens(&bytes), "{less} bytes less: {error}");
        settled(&depot).await;
        assert!(!stage.scene.stored(ZIP).exists(), "{less} bytes less");
    }
}

#[tokio::test]
async fn a_small_archive_hidden_at_the_start_of_a_large_one_is_not_let_out() {
    let stage = Stage::new(&large());
    let hidden = [
        small().zip(),
        vec![b'x'; 200_000],
        b"PK\x05\x06".to_vec(),
        vec![0; 18],
    ];
    stage.send(ZIP, &hidden.concat());
    assert_refused(&stage, FileKind::Zip, "hidden").await;
}

#[tokio::test]
async fn a_version_the_database_does_not_know_is_refused_and_not_called_absent() {
    for kind in [FileKind::Mod, FileKind::Zip] {
        let stage = Stage::new(&Module::new("example.com/known", "v1.0.0"));
        let error = assert_refused(&stage, kind, "unknown").await;
        assert_trouble(&error, Label::Sumdb404);
        assert!(error.to_string().contains("private"), "{error}");
    }
}

#[tokio::test]
async fn a_version_that_nobody_has_is_absent() {
    let stage = Stage::new(&Module::new("example.com/known", "v1.0.0"));
    std::fs::remove_file(stage.scene.tree.file(MOD)).unwrap();
    let depot = stage.scene.depot();
    let (_, error) = fetch(&depot, FileKind::Mod).await.unwrap_err();
    assert!(error.is_absence(), "{error}");
}

#[tokio::test]
async fn a_record_without_the_entry_verifies_nothing() {
    let module = small();
    let other = Module::new("example.com/other", "v1.0.0");
    for record in [
        format!("example.com/other v1.0.0 {}\n", other.zip_h1()),
        format!("example.com/m v1.0.0/go.mod {}\n", module.go_mod_h1()),
        format!(
            "example.com/m v1.0.0 {}\nexample.com/m v1.0.0 {}\n",
            module.zip_h1(),
            other.zip_h1()
        ),
    ] {
        let mut stage = Stage::new(&other);
        stage.database = ChecksumDatabase::new("sum.example.com", 1);
        stage.database.add_record(&module, &record);
        stage.scene.settings.sumdbs = vec![route(&stage.database)];
        let error = assert_refused(&stage, FileKind::Zip, &record).await;
        assert_trouble(&error, Label::SumdbMismatch);
    }
}

#[tokio::test]
async fn one_bad_mirror_cannot_block_a_version() {
    for module in [small(), large()] {
        let bad = Tree::temporary();
        bad.add(&module.clone().file("m.go", "package evil\n"));
        let bad = UpstreamServer::serve(bad.root());
        let stage = Stage::new(&module);
        let depot =
            stage
                .scene
                .depot_with(&format!("{},{}", bad.url(), stage.scene.upstream.url()));
        // A client that has a part of the bad bytes is cut off; the next one has the good ones.
        let first = fetch(&depot, FileKind::Zip).await;
        let bytes = match first {
            Ok(bytes) => bytes,
            Err((bytes, error)) => {
                assert!(!opens(&bytes), "{error}");
                assert_trouble(&error, Label::SumdbMismatch);
                settled(&depot).await;
                fetch(&depot, FileKind::Zip).await.unwrap()
            }
        };
        assert_eq!(bytes, module.zip());
        assert_eq!(depot.refused_files(), 1);
    }
}

#[tokio::test]
async fn a_mirror_without_the_version_does_not_hide_that_another_was_refused() {
    let module = small();
    let stage = Stage::new(&module);
    stage.send(ZIP, &module.clone().file("m.go", "package evil\n").zip());
    let empty = UpstreamServer::serve(Tree::temporary().root());
    let depot = stage
        .scene
        .depot_with(&format!("{},{}", stage.scene.upstream.url(), empty.url()));
    for _ in 0..2 {
        let (_, error) = fetch(&depot, FileKind::Zip).await.unwrap_err();
        assert_trouble(&error, Label::SumdbMismatch);
    }
}

#[tokio::test]
async fn out_of_reach_new_versions_wait_and_verified_ones_do_not() {
    let module = small();
    let mut stage = Stage::new(&module);
    stage.database.server.stop();
    let error = assert_refused(&stage, FileKind::Zip, "out of reach").await;
    assert_trouble(&error, Label::SumdbUnreachable);

    stage.database.server.start();
    let depot = stage.scene.depot();
    fetch(&depot, FileKind::Mod).await.unwrap();
    settled(&depot).await;
    stage.database.server.stop();
    // The record was proven with the go.mod: the zip needs no more.
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), module.zip());
}

#[tokio::test]
async fn when_reachable_means_that_an_outage_stops_nobody_and_a_lie_does() {
    let module = small();
    let mut stage = Stage::new(&module);
    stage.scene.settings.verify = VerifyMode::WhenReachable;
    stage.database.server.stop();
    let depot = stage.scene.depot();
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), module.zip());
    assert_eq!(depot.unverified_files(), 1);
    drop(depot);

    stage.database.server.start();
    let mut lied_to = Stage::new(&module);
    lied_to.scene.settings.verify = VerifyMode::WhenReachable;
    lied_to.send(ZIP, &module.clone().file("m.go", "package evil\n").zip());
    assert_refused(&lied_to, FileKind::Zip, "changed").await;
}

#[tokio::test]
async fn modules_that_are_exempt_are_not_looked_up() {
    let mut stage = Stage::new(&Module::new("example.com/known", "v1.0.0"));
    stage.scene.settings.no_sumdb = Patterns::parse("example.com/m");
    let depot = stage.scene.depot();
    fetch(&depot, FileKind::Mod).await.unwrap();
    fetch(&depot, FileKind::Zip).await.unwrap();
    assert_eq!(stage.database.server.requests().len(), 0);
}

#[tokio::test]
async fn refused_bytes_are_kept_as_evidence() {
    for module in [small(), large()] {
        let wrong = module.clone().file("m.go", "package evil\n");
        let stage = Stage::new(&module);
        stage.send(ZIP, &wrong.zip());
        stage.send(MOD, b"module example.com/m // changed\n");
        let depot = stage.scene.depot();
        fetch(&depot, FileKind::Zip).await.unwrap_err();
        fetch(&depot, FileKind::Mod).await.unwrap_err();
        settled(&depot).await;
        let entries = depot.store().quarantine_entries().unwrap();
        assert_eq!(entries.len(), 2);
        for entry in entries {
            let evidence = entry.evidence;
            let (found, expected) = (evidence.found.unwrap(), evidence.expected.unwrap());
            assert_eq!(found.from, stage.scene.upstream.url());
            assert!(expected.from.contains("sum.example.com"), "{expected:?}");
            if evidence.key.kind == FileKind::Zip {
                assert_eq!(found.hash, wrong.zip_h1());
                assert_eq!(expected.hash, module.zip_h1());
                assert_eq!(std::fs::read(entry.path).unwrap(), wrong.zip());
            }
        }
    }
}

#[tokio::test]
async fn what_no_database_covers_stays_what_it_was_at_first_sight() {
    let module = small();
    let mut stage = Stage::new(&module);
    stage.scene.settings.sumdbs.clear();
    let changed = module.clone().file("m.go", "package evil\n");
    for loses_the_records in [false, true] {
        let depot = stage.scene.depot();
        assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), module.zip());
        settled(&depot).await;
        depot.close(std::time::Duration::ZERO).await;
        drop(depot);
        std::fs::remove_file(stage.scene.stored(ZIP)).unwrap();
        if loses_the_records {
            for ending in ["", "-wal", "-shm"] {
                let file = stage.scene.data().join(format!("records.sqlite{ending}"));
                let _may_be_absent = std::fs::remove_file(file);
            }
        }
        stage.send(ZIP, &changed.zip());
        let error = assert_refused(&stage, FileKind::Zip, "changed since").await;
        assert_trouble(&error, Label::SumdbMismatch);
        let text = error.to_string();
        assert!(
            text.contains(&module.zip_h1()) && text.contains("first seen"),
            "{text}"
        );
        stage.send(ZIP, &module.zip());
    }
}

#[tokio::test]
async fn what_every_mirror_garbles_once_is_served_all_the_same() {
    let module = small();
    for (kind, path, position) in [(FileKind::Zip, ZIP, 60), (FileKind::Mod, MOD, 7)] {
        for mirrors in [1, 2] {
            let stage = Stage::new(&module);
            let second = UpstreamServer::serve(stage.scene.tree.root());
            let asked = &[&stage.scene.upstream, &second][..mirrors];
            for mirror in asked {
                mirror.fail_once(path, Fault::Corrupt(position));
            }
            let urls: Vec<String> = asked.iter().map(|mirror| mirror.url()).collect();
            let depot = stage.scene.depot_with(&urls.join(","));
            let right = stage.scene.source(path);
            assert!(fetch(&depot, kind).await.unwrap() == right, "{kind}");
        }
    }
}

#[tokio::test]
async fn who_sends_another_sound_zip_is_not_asked_again() {
    let module = small();
    let stage = Stage::new(&module);
    stage.send(ZIP, &module.clone().file("m.go", "package evil\n").zip());
    let depot = stage.scene.depot();
    let (_, error) = fetch(&depot, FileKind::Zip).await.unwrap_err();
    assert_trouble(&error, Label::SumdbMismatch);
    assert_eq!(stage.scene.upstream.count(ZIP), 1);
}
