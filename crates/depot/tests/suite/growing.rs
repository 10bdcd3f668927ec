use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use depot::{Depot, FileReply, GrowingFile, Progress};
use fault::Label;
use store::FileKind;
use testkit::{Fault, Module};

use crate::scene::{
    Scene, ZIP, assert_nothing_unfinished, assert_trouble, file, get_file, settled,
};

/// What no client may have before the whole is checked.
const HELD_BACK: u64 = 32 * 1024;

/// Longer than an upstream that goes on is ever silent, and short enough to be waited for.
const STALL: Duration = Duration::from_millis(1500);

async fn begin(depot: &Depot) -> GrowingFile {
    match get_file(depot, &file(FileKind::Zip)).await.unwrap() {
        FileReply::Growing(growing) => growing,
        other => panic!("{other:?}"),
    }
}

/// Reads as a client does: from the beginning, and never more than is allowed. Gives what it had when it was told the
/// end, and the end.
async fn follow(mut growing: GrowingFile) -> (Vec<u8>, Progress) {
    let mut bytes = Vec::new();
    loop {
        let progress = growing.wait_for(bytes.len() as u64).await;
        let (Progress::Growing(readable) | Progress::Complete(readable)) = progress else {
            return (bytes, progress);
        };
        let start = bytes.len();
        bytes.resize(usize::try_from(readable).unwrap(), 0);
        growing
            .file()
            .read_exact_at(&mut bytes[start..], start as u64)
            .unwrap();
        if matches!(progress, Progress::Complete(_)) {
            return (bytes, progress);
        }
    }
}

#[tokio::test]
async fn a_zip_is_read_while_it_comes_in_by_all_who_want_it() {
    let scene = Scene::new();
    scene.upstream.set_bandwidth(Some(2_000_000));
    let depot = scene.depot();
    let growing = begin(&depot).await;
    let whole = scene.source(ZIP);
    assert_eq!(growing.known_len(), Some(whole.len() as u64));
    let readers: Vec<_> = (0..20)
        .map(|number| {
            let depot = depot.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 5)).await;
                follow(begin(&depot).await).await.0
            })
        })
        .collect();
    let (bytes, end) = follow(growing).await;
    assert!(matches!(end, Progress::Complete(len) if len == whole.len() as u64));
    assert_eq!(bytes, whole);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), whole);
    }
    assert_eq!(scene.upstream.count(ZIP), 1);
    settled(&depot).await;
    let stored = get_file(&depot, &file(FileKind::Zip)).await.unwrap();
    assert!(matches!(stored, FileReply::Stored(_)), "{stored:?}");
    assert_eq!(fs::read(scene.stored(ZIP)).unwrap(), whole);
}

#[tokio::test]
async fn the_first_bytes_do_not_wait_for_the_last() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::StallAt(200_000));
    let mut growing = begin(&scene.depot()).await;
    let progress = growing.wait_for(100_000).await;
    assert!(
        matches!(progress, Progress::Growing(readable) if readable > 100_000),
        "{progress:?}"
    );
}

#[tokio::test]
async fn the_end_is_held_back_until_the_whole_is_checked() {
    let mut scene = Scene::new();
    scene.idle = STALL;
    // Else the rest is asked for.
    scene.upstream.set_ranges(false);
    scene
        .tree
        .add(&Module::big("example.com/m", "v1.0.0", 100_000));
    let whole = scene.source(ZIP);
    let len = whole.len() as u64;
    // Each is noticed at the last byte, or after it.
    let faults = [
        (vec![Fault::TruncateAt(len - 1)], Label::GoproxyTruncated),
        (vec![Fault::StallAt(len - 1)], Label::GoproxySlow),
        (vec![Fault::ResetAt(len - 1)], Label::TcpReset),
        (vec![Fault::Corrupt(len - 22)], Label::GoproxyCorrupt),
        (
            vec![Fault::UntilClose, Fault::TruncateAt(len - 1)],
            Label::GoproxyCorrupt,
        ),
        (
            vec![Fault::Chunked, Fault::Corrupt(len - 20)],
            Label::GoproxyCorrupt,
        ),
    ];
    let depot = scene.depot();
    for (fault, label) in faults {
        // Slowly, so that a reader sees how far it has come.
        let slowly = Fault::Drip {
            bytes: 15_000,
            every: Duration::from_millis(40),
        };
        scene
            .upstream
            .fail(ZIP, Fault::All([vec![slowly], fault.clone()].concat()));
        let (bytes, end) = follow(begin(&depot).await).await;
        let Progress::Failed(error) = end else {
            panic!("{fault:?}: {end:?}");
        };
        assert_trouble(&error, label);
        assert!(
            bytes.len() as u64 <= len - HELD_BACK,
            "{fault:?}: {} of {len} bytes were given away",
            bytes.len()
        );
        assert!(!bytes.is_empty() && whole.starts_with(&bytes), "{fault:?}");
        settled(&depot).await;
        assert!(!scene.stored(ZIP).exists(), "{fault:?}");
        assert_nothing_unfinished(&scene).await;
    }
    scene.upstream.heal();
    let (bytes, _) = follow(begin(&depot).await).await;
    assert_eq!(bytes, whole);
}

#[tokio::test]
async fn of_a_small_zip_nothing_is_given_before_it_is_whole() {
    let mut scene = Scene::new();
    scene.idle = STALL;
    scene
        .tree
        .add(&Module::new("example.com/m", "v1.0.0").file("a.go", "package a\n"));
    let len = scene.source(ZIP).len() as u64;
    assert!(len < HELD_BACK);
    scene.upstream.fail(ZIP, Fault::StallAt(len - 1));
    let nothing = get_file(&scene.depot(), &file(FileKind::Zip)).await;
    assert_trouble(&nothing.unwrap_err(), Label::GoproxySlow);
}

#[tokio::test]
async fn a_zip_longer_or_shorter_than_announced_is_not_kept() {
    let scene = Scene::new();
    let depot = scene.depot();
    for off_by in [-5, 5] {
        scene.upstream.fail(ZIP, Fault::WrongLength(off_by));
        let (_, end) = follow(begin(&depot).await).await;
        assert!(matches!(end, Progress::Failed(_)), "{off_by}: {end:?}");
        settled(&depot).await;
        assert!(!scene.stored(ZIP).exists());
    }
}

#[tokio::test]
async fn a_zip_is_kept_although_its_reader_has_left() {
    let scene = Scene::new();
    scene.upstream.set_bandwidth(Some(2_000_000));
    let depot = scene.depot();
    drop(begin(&depot).await);
    settled(&depot).await;
    assert_eq!(fs::read(scene.stored(ZIP)).unwrap(), scene.source(ZIP));
}
