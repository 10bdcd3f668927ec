use std::time::Duration;

use depot::{Context, FetchMode};
use store::{AnswerKey, FileKind};
use testkit::Fault;

use crate::scene::{LIST, MOD, Scene, ZIP, file, get_file, get_small, list, module, query};

#[tokio::test]
async fn what_does_not_exist_is_asked_for_once_in_a_while() {
    let mut scene = Scene::new();
    scene.settings.absent_ttl = Duration::from_hours(1);
    scene.upstream.fail("*", Fault::status(404));
    let depot = scene.depot();
    for _ in 0..3 {
        let error = get_small(&depot, FileKind::Mod).await.unwrap_err();
        assert!(error.is_absence());
        let shown = error.to_string();
        assert!(
            shown.starts_with("not found: example.com/m@v1.0.0"),
            "{shown}"
        );
        assert!(
            get_file(&depot, &file(FileKind::Zip))
                .await
                .unwrap_err()
                .is_absence()
        );
        for key in [
            list(),
            query("main"),
            AnswerKey::Latest(module("example.com/m")),
        ] {
            let answer = depot
                .answer(&key, FetchMode::Allowed, &Context::default())
                .await;
            assert!(answer.unwrap_err().is_absence());
        }
    }
    for path in [
        MOD,
        ZIP,
        LIST,
        "/example.com/m/@v/main.info",
        "/example.com/m/@latest",
    ] {
        assert_eq!(scene.upstream.count(path), 1, "{path}");
    }
}

#[tokio::test]
async fn an_absence_is_believed_no_longer_than_it_is_set() {
    let mut scene = Scene::new();
    scene.settings.absent_ttl = Duration::from_secs(2);
    scene.upstream.fail("*", Fault::status(410));
    let depot = scene.depot();
    get_small(&depot, FileKind::Mod).await.unwrap_err();
    scene.upstream.heal();
    let began = std::time::Instant::now();
    let mut asked = 0;
    while get_small(&depot, FileKind::Mod).await.is_err() {
        asked += 1;
        assert!(began.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(asked > 0, "it was believed for a while");
    assert_eq!(scene.upstream.count(MOD), 2);
}

#[tokio::test]
async fn trouble_is_never_taken_for_absence_nor_remembered() {
    let mut scene = Scene::new();
    let depot = scene.depot();
    let faults = [
        Fault::status(403),
        Fault::status(500),
        Fault::Html,
        Fault::TruncateAt(3),
        Fault::CloseWithoutAnswer,
    ];
    for fault in faults {
        scene.upstream.fail("*", fault);
        let error = get_small(&depot, FileKind::Mod).await.unwrap_err();
        assert!(!error.is_absence(), "{error}");
        assert!(error.label().is_some(), "{error}");
    }
    scene.upstream.stop();
    let error = get_small(&depot, FileKind::Mod).await.unwrap_err();
    assert!(!error.is_absence(), "{error}");
    scene.upstream.start();
    scene.upstream.heal();
    get_small(&depot, FileKind::Mod).await.unwrap();
}

#[tokio::test]
async fn an_upstream_out_of_reach_might_have_it() {
    let (first, mut second) = (Scene::new(), Scene::new());
    first.upstream.fail("*", Fault::status(404));
    second.upstream.stop();
    let depot = first.depot_with(&format!(
        "{},{}",
        first.upstream.url(),
        second.upstream.url()
    ));
    let error = get_small(&depot, FileKind::Mod).await.unwrap_err();
    assert!(!error.is_absence(), "{error}");
    second.upstream.start();
    get_small(&depot, FileKind::Mod).await.unwrap();
}
