use std::fs;
use std::time::Duration;

use depot::{Context, DepotError, FetchMode, FileReply};
use fault::Label;
use store::FileKind;
use testkit::Fault;

use crate::scene::{MOD, Scene, ZIP, assert_trouble, chain, file, get_file, get_small, settled};

#[tokio::test]
async fn a_file_is_fetched_once_and_kept_for_ever() {
    let mut scene = Scene::new();
    let depot = scene.depot();
    for kind in [FileKind::Info, FileKind::Mod] {
        let path = format!("/example.com/m/@v/v1.0.0.{kind}");
        let right = scene.source(&path);
        assert_eq!(
            get_small(&depot, kind).await.unwrap(),
            (right.clone(), false)
        );
        settled(&depot).await;
        assert_eq!(
            get_small(&depot, kind).await.unwrap(),
            (right.clone(), true)
        );
        assert_eq!(fs::read(scene.stored(&path)).unwrap(), right);
        assert_eq!(scene.upstream.count(path.as_str()), 1);
    }
    // Whatever the upstream says later: what was published stays.
    fs::write(scene.tree.file(MOD), "module example.com/other\n").unwrap();
    let kept = get_small(&depot, FileKind::Mod).await.unwrap().0;
    assert!(kept.starts_with(b"module example.com/m\n"));
    scene.upstream.stop();
    assert!(get_small(&depot, FileKind::Mod).await.unwrap().1);
}

#[tokio::test]
async fn the_tag_of_a_fetched_file_is_that_of_the_stored_one() {
    let scene = Scene::new();
    let depot = scene.depot();
    let mut tags = Vec::new();
    for _ in 0..2 {
        let FileReply::Small(small, _) = get_file(&depot, &file(FileKind::Mod)).await.unwrap()
        else {
            panic!("it is small");
        };
        tags.push(small.etag);
        settled(&depot).await;
    }
    let stored = depot
        .store()
        .open_file(&file(FileKind::Mod))
        .unwrap()
        .unwrap();
    if stored.digest().is_none() {
        testkit::skipped("tags of stored files (no extended attributes in TMPDIR)");
        return;
    }
    assert_eq!(tags[0], tags[1]);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_fetch() {
    let scene = Scene::new();
    scene.upstream.set_delay(Duration::from_millis(100));
    let depot = scene.depot();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let depot = depot.clone();
            tokio::spawn(async move { get_small(&depot, FileKind::Mod).await.unwrap().0 })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), scene.source(MOD));
    }
    assert_eq!(scene.upstream.count(MOD), 1);
}

#[tokio::test]
async fn a_failure_is_shared_and_not_remembered() {
    let scene = Scene::new();
    scene.upstream.set_delay(Duration::from_millis(50));
    scene.upstream.fail(MOD, Fault::status(500));
    let depot = scene.depot();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let depot = depot.clone();
            tokio::spawn(async move { get_small(&depot, FileKind::Mod).await.unwrap_err() })
        })
        .collect();
    for asked in asking {
        assert_trouble(&asked.await.unwrap(), Label::Goproxy5xx);
    }
    // The tries of one request.
    assert_eq!(scene.upstream.count(MOD), 3);
    scene.upstream.heal();
    settled(&depot).await;
    get_small(&depot, FileKind::Mod).await.unwrap();
}

#[tokio::test]
async fn a_fetch_goes_on_when_everyone_has_left() {
    let scene = Scene::new();
    scene.upstream.set_delay(Duration::from_millis(100));
    let depot = scene.depot();
    let asking = {
        let depot = depot.clone();
        tokio::spawn(async move { get_small(&depot, FileKind::Mod).await })
    };
    while scene.upstream.count(MOD) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    asking.abort();
    settled(&depot).await;
    assert!(get_small(&depot, FileKind::Mod).await.unwrap().1);
    assert_eq!(scene.upstream.count(MOD), 1);
}

#[tokio::test]
async fn who_allows_no_fetch_gets_what_is_stored() {
    let scene = Scene::new();
    let depot = scene.depot();
    let (key, context) = (file(FileKind::Mod), Context::default());
    let ask = || depot.file(&key, FetchMode::CachedOnly, &context);
    let error = ask().await.unwrap_err();
    assert!(matches!(error, DepotError::NotCached { .. }), "{error}");
    assert_eq!(scene.upstream.connections(), 0);
    get_small(&depot, FileKind::Mod).await.unwrap();
    settled(&depot).await;
    assert!(matches!(ask().await.unwrap(), FileReply::Small(_, true)));
}

#[tokio::test]
async fn a_damaged_file_is_fetched_again() {
    let scene = Scene::new();
    let depot = scene.depot();
    get_small(&depot, FileKind::Mod).await.unwrap();
    get_file(&depot, &file(FileKind::Zip)).await.unwrap();
    settled(&depot).await;
    for path in [MOD, ZIP] {
        fs::File::options()
            .write(true)
            .open(scene.stored(path))
            .unwrap()
            .set_len(0)
            .unwrap();
    }
    assert_eq!(
        get_small(&depot, FileKind::Mod).await.unwrap(),
        (scene.source(MOD), false)
    );
    let zip = get_file(&depot, &file(FileKind::Zip)).await.unwrap();
    assert!(matches!(zip, FileReply::Growing(_)), "{zip:?}");
    settled(&depot).await;
    assert_eq!(fs::read(scene.stored(ZIP)).unwrap(), scene.source(ZIP));
    assert_eq!(depot.store().quarantined(), 2);
    assert_eq!(
        (scene.upstream.count(MOD), scene.upstream.count(ZIP)),
        (2, 2)
    );
}

#[tokio::test]
async fn what_cannot_be_stored_is_served_all_the_same_if_it_is_small() {
    let scene = Scene::new();
    let depot = scene.depot();
    let temporary = scene.data().join("tmp");
    fs::remove_dir(&temporary).unwrap();
    for _ in 0..2 {
        let (body, from_store) = get_small(&depot, FileKind::Mod).await.unwrap();
        assert_eq!((body, from_store), (scene.source(MOD), false));
        settled(&depot).await;
    }
    // There is nowhere to put a zip while it comes in.
    let error = get_file(&depot, &file(FileKind::Zip)).await.unwrap_err();
    assert!(matches!(error, DepotError::Store(_)), "{error}");
    assert!(!error.is_absence());
    settled(&depot).await;
    fs::create_dir(&temporary).unwrap();
    get_small(&depot, FileKind::Mod).await.unwrap();
    settled(&depot).await;
    assert!(get_small(&depot, FileKind::Mod).await.unwrap().1);
}

#[tokio::test]
async fn another_chain_is_used_from_the_moment_it_is_set() {
    let (first, second) = (Scene::new(), Scene::new());
    first.upstream.fail("*", Fault::status(404));
    let depot = first.depot();
    assert!(
        get_small(&depot, FileKind::Mod)
            .await
            .unwrap_err()
            .is_absence()
    );
    depot.reconfigure(chain(&second.upstream.url()), second.settings.clone());
    get_small(&depot, FileKind::Mod).await.unwrap();
    assert_eq!(
        (first.upstream.count(MOD), second.upstream.count(MOD)),
        (1, 1)
    );
}

#[tokio::test]
async fn with_no_server_to_ask_it_is_said_why() {
    let scene = Scene::new();
    let off = scene.depot_with("off");
    let error = get_small(&off, FileKind::Mod).await.unwrap_err();
    assert!(matches!(error, DepotError::FetchOff { .. }), "{error}");
    off.reconfigure(chain("direct"), scene.settings.clone());
    settled(&off).await;
    let error = get_small(&off, FileKind::Mod).await.unwrap_err();
    assert!(matches!(error, DepotError::DirectOff { .. }), "{error}");
    assert!(!error.is_absence());
}
