//! What verification costs whoever waits for a file: nothing that could have been done meanwhile.

use std::time::Duration;

use depot::{Depot, FileReply, Progress};
use store::FileKind;
use testkit::{Fault, Module};
use tokio::task::JoinHandle;

use crate::scene::{MOD, ZIP, file, get_file, settled};
use crate::verify::{Stage, fetch, small};

/// What is left out until the whole is verified.
const HELD_BACK: u64 = 32 * 1024;

fn begin(depot: &Depot, kind: FileKind) -> JoinHandle<Vec<u8>> {
    let depot = depot.clone();
    tokio::spawn(async move { fetch(&depot, kind).await.unwrap() })
}

/// Waits for an event; whoever waits for it in vain is ended by the test runner.
async fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_record_is_proven_while_the_upstream_has_not_answered() {
    for (path, kind) in [(MOD, FileKind::Mod), (ZIP, FileKind::Zip)] {
        let stage = Stage::new(&small());
        stage.scene.upstream.fail(path, Fault::Hang);
        let depot = stage.scene.depot();
        let fetching = begin(&depot, kind);
        let database = &stage.database.server;
        until(|| database.count("/lookup/*") == 1 && database.count("/tile/*") == 1).await;
        // Proven and kept, before there is a byte of the file.
        let proven = stage.scene.data().join("answers/proven/sum.example.com");
        until(|| proven.join("lookup/example.com/m@v1.0.0").exists()).await;
        assert!(!fetching.is_finished(), "{path}");
        fetching.abort();
    }
}

#[tokio::test]
async fn all_but_the_tail_of_a_zip_is_let_out_while_the_database_has_not_answered() {
    let module = Module::big("example.com/m", "v1.0.0", 300_000);
    let stage = Stage::new(&module);
    stage.database.server.fail("/lookup/*", Fault::Hang);
    let depot = stage.scene.depot();
    let reply = get_file(&depot, &file(FileKind::Zip)).await.unwrap();
    let FileReply::Growing(mut growing) = reply else {
        panic!("{reply:?}");
    };
    let len = module.zip().len() as u64;
    let progress = growing.wait_for(len - HELD_BACK - 1).await;
    let Progress::Growing(readable) = progress else {
        panic!("{progress:?}");
    };
    assert!(readable > len - HELD_BACK - 1 && readable < len);
    assert_eq!(stage.database.server.count("/lookup/*"), 1);
}

#[tokio::test]
async fn files_of_a_version_that_are_asked_for_at_once_share_one_look_up() {
    let module = small();
    for _ in 0..10 {
        let stage = Stage::new(&module);
        let depot = stage.scene.depot();
        let (go_mod, zip) = (begin(&depot, FileKind::Mod), begin(&depot, FileKind::Zip));
        assert_eq!(go_mod.await.unwrap(), module.go_mod_text().as_bytes());
        assert_eq!(zip.await.unwrap(), module.zip());
        let counts = stage.database.server.counts();
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    }
}

#[tokio::test]
async fn a_record_that_was_proven_a_moment_ago_is_read_from_nowhere() {
    let module = small();
    let stage = Stage::new(&module);
    let depot = stage.scene.depot();
    fetch(&depot, FileKind::Mod).await.unwrap();
    settled(&depot).await;
    let asked = stage.database.server.requests().len();
    std::fs::remove_dir_all(stage.scene.data().join("answers/proven")).unwrap();
    stage.send(ZIP, &module.zip());
    assert_eq!(fetch(&depot, FileKind::Zip).await.unwrap(), module.zip());
    // Nor does it make other bytes of it true.
    settled(&depot).await;
    std::fs::remove_file(stage.scene.stored(ZIP)).unwrap();
    stage.send(ZIP, &module.clone().file("m.go", "package evil\n").zip());
    fetch(&depot, FileKind::Zip).await.unwrap_err();
    assert_eq!(stage.database.server.requests().len(), asked);
}
