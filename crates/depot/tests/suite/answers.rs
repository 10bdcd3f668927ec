use std::fs;
use std::time::Duration;

use depot::{AnswerReply, Context, Depot, DepotError, FetchMode, Freshness};
use fault::Label;
use jiff::{Timestamp, ToSpan as _};
use store::{Answer, AnswerKey, AnswerMeta};
use testkit::Fault;

use crate::scene::{LIST, Scene, assert_trouble, list, module, query, settled};

const BRANCH: &str = "/example.com/m/@v/main.info";
const TIP: &str = "{\"Version\":\"v1.0.1-0.20210304050607-abcdef123456\"}";

async fn ask(depot: &Depot, key: &AnswerKey) -> Result<AnswerReply, DepotError> {
    depot
        .answer(key, FetchMode::Allowed, &Context::default())
        .await
}

/// A scene whose answers are never fresh, and where a refresh is waited for however long it takes.
fn restless() -> Scene {
    let mut scene = Scene::new();
    scene.settings.ttl = Duration::ZERO;
    scene.settings.stale_wait = Duration::from_mins(1);
    scene
}

/// Keeps an answer of the given age, as an earlier fetch would have.
fn keep(depot: &Depot, key: &AnswerKey, body: &str, confirmed: Timestamp) {
    let answer = Answer {
        meta: AnswerMeta {
            confirmed,
            source: "https://proxy.example.com".to_owned(),
            etag: Some("\"old\"".to_owned()),
            last_modified: None,
        },
        body: body.as_bytes().to_vec(),
    };
    depot.store().write_answer(key, &answer).unwrap();
}

fn because(reply: &AnswerReply) -> Option<&DepotError> {
    match &reply.freshness {
        Freshness::Stale { because, .. } => because.as_ref(),
        Freshness::Fresh { .. } => panic!("it should be stale: {reply:?}"),
    }
}

#[tokio::test]
async fn an_answer_is_asked_for_once_while_it_is_fresh() {
    let scene = Scene::new();
    let depot = scene.depot();
    let first = ask(&depot, &list()).await.unwrap();
    assert!(first.fetched);
    settled(&depot).await;
    let second = ask(&depot, &list()).await.unwrap();
    assert!(!second.fetched);
    for reply in [first, second] {
        assert_eq!(reply.body, "v1.0.0\n");
        assert!(
            matches!(
                reply.freshness,
                Freshness::Fresh {
                    for_seconds: 1..=60
                }
            ),
            "{reply:?}"
        );
    }
    assert_eq!(scene.upstream.count(LIST), 1);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_question() {
    let scene = Scene::new();
    scene.upstream.set_delay(Duration::from_millis(100));
    let depot = scene.depot();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let depot = depot.clone();
            tokio::spawn(async move { ask(&depot, &list()).await.unwrap().body })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "v1.0.0\n");
    }
    assert_eq!(scene.upstream.count(LIST), 1);
}

#[tokio::test]
async fn an_old_answer_is_revalidated_and_then_fresh_again() {
    let mut scene = Scene::new();
    scene.settings.stale_wait = Duration::from_secs(20);
    let depot = scene.depot();
    ask(&depot, &list()).await.unwrap();
    settled(&depot).await;
    let mut kept = depot.store().read_answer(&list()).unwrap();
    kept.meta.confirmed = Timestamp::now() - 2.hours();
    depot.store().write_answer(&list(), &kept).unwrap();

    let again = ask(&depot, &list()).await.unwrap();
    assert_eq!(again.body, "v1.0.0\n");
    assert!(
        matches!(again.freshness, Freshness::Fresh { .. }),
        "{again:?}"
    );
    settled(&depot).await;
    let requests = scene.upstream.requests();
    assert_eq!((requests.len(), requests[1].status), (2, Some(304)));
    let confirmed = depot.store().read_answer(&list()).unwrap().meta.confirmed;
    assert!(confirmed > kept.meta.confirmed);
    ask(&depot, &list()).await.unwrap();
    assert_eq!(scene.upstream.count(LIST), 2);
}

#[tokio::test]
async fn in_an_outage_the_last_answer_is_given_with_the_reason() {
    let mut scene = restless();
    scene.upstream.set_validators(false);
    let depot = scene.depot();
    ask(&depot, &list()).await.unwrap();
    settled(&depot).await;
    let troubles = [
        (Fault::status(500), Label::Goproxy5xx),
        (Fault::Html, Label::GoproxyHtml),
        (Fault::TruncateAt(2), Label::GoproxyTruncated),
        (Fault::status(403), Label::Goproxy403),
    ];
    for (fault, label) in troubles {
        scene.upstream.fail("*", fault);
        let reply = ask(&depot, &list()).await.unwrap();
        assert_eq!(reply.body, "v1.0.0\n");
        assert_trouble(because(&reply).unwrap(), label);
    }
    scene.upstream.stop();
    let reply = ask(&depot, &list()).await.unwrap();
    assert_trouble(because(&reply).unwrap(), Label::TcpRefused);
    // A module of which nothing is known is another matter.
    let error = ask(&depot, &AnswerKey::List(module("example.com/other")))
        .await
        .unwrap_err();
    assert_trouble(&error, Label::TcpRefused);
}

#[tokio::test]
async fn nobody_waits_long_for_a_refresh_that_hangs() {
    let scene = Scene::new();
    let depot = scene.depot();
    keep(&depot, &list(), "v0.9.0\n", Timestamp::now() - 1.hour());
    scene.upstream.fail("*", Fault::Hang);
    // From here on, time passes only when nothing else happens.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let reply = ask(&depot, &list()).await.unwrap();
    let waited = began.elapsed();
    assert_eq!(reply.body, "v0.9.0\n");
    assert!(because(&reply).is_none(), "the refresh is still under way");
    assert!(waited >= scene.settings.stale_wait, "{waited:?}");
    assert!(waited < scene.settings.stale_wait * 2, "{waited:?}");
    assert_eq!(depot.in_flight(), 1);
}

#[tokio::test]
async fn a_slow_refresh_is_there_for_those_who_ask_later() {
    let mut scene = Scene::new();
    scene.settings.stale_wait = Duration::from_millis(20);
    scene.upstream.hold();
    let depot = scene.depot();
    keep(&depot, &list(), "v0.9.0\n", Timestamp::now() - 1.hour());
    assert_eq!(ask(&depot, &list()).await.unwrap().body, "v0.9.0\n");
    scene.upstream.release();
    settled(&depot).await;
    let reply = ask(&depot, &list()).await.unwrap();
    assert_eq!(reply.body, "v1.0.0\n");
    assert!(matches!(reply.freshness, Freshness::Fresh { .. }));
    assert_eq!(scene.upstream.count(LIST), 1);
}

#[tokio::test]
async fn a_list_outlives_its_origin_and_a_branch_does_not() {
    let scene = restless();
    fs::write(scene.tree.file(BRANCH), TIP).unwrap();
    let depot = scene.depot();
    for key in [list(), query("main")] {
        ask(&depot, &key).await.unwrap();
    }
    settled(&depot).await;
    scene.upstream.fail("*", Fault::status(404));
    let reply = ask(&depot, &list()).await.unwrap();
    assert_eq!(reply.body, "v1.0.0\n");
    assert!(because(&reply).unwrap().is_absence());
    assert!(ask(&depot, &query("main")).await.unwrap_err().is_absence());
}

#[tokio::test]
async fn without_a_list_the_stored_versions_are_one_in_need() {
    let mut scene = Scene::new();
    let folder = scene.data().join("tree/example.com/m/@v");
    fs::create_dir_all(&folder).unwrap();
    for version in ["v1.10.0", "v1.9.0", "v0.0.0-20210304050607-abcdef123456"] {
        fs::write(
            folder.join(format!("{version}.info")),
            format!("{{\"Version\":\"{version}\"}}"),
        )
        .unwrap();
    }
    let depot = scene.depot();
    let cached = depot
        .answer(&list(), FetchMode::CachedOnly, &Context::default())
        .await
        .unwrap();
    assert_eq!(cached.body, "v1.9.0\nv1.10.0\n", "and no pseudo-version");
    scene.upstream.stop();
    let reply = ask(&depot, &list()).await.unwrap();
    assert_eq!(reply.body, "v1.9.0\nv1.10.0\n");
    assert_trouble(because(&reply).unwrap(), Label::TcpRefused);
    // It is never preferred to a real one, however long that takes.
    scene.upstream.start();
    scene.upstream.set_delay(Duration::from_millis(600));
    assert_eq!(ask(&depot, &list()).await.unwrap().body, "v1.0.0\n");
}

#[tokio::test]
async fn who_allows_no_fetch_gets_what_is_kept_however_old() {
    let scene = Scene::new();
    let depot = scene.depot();
    let cached = async |key: AnswerKey| {
        depot
            .answer(&key, FetchMode::CachedOnly, &Context::default())
            .await
    };
    let error = cached(list()).await.unwrap_err();
    assert!(matches!(error, DepotError::NotCached { .. }), "{error}");
    keep(&depot, &list(), "v0.9.0\n", Timestamp::now() - 48.hours());
    let reply = cached(list()).await.unwrap();
    assert_eq!(reply.body, "v0.9.0\n");
    assert!(because(&reply).is_none());
    assert_eq!(scene.upstream.connections(), 0);
}

#[tokio::test]
async fn an_answer_from_the_future_is_not_trusted_to_last() {
    let mut scene = Scene::new();
    scene.settings.stale_wait = Duration::from_secs(20);
    let depot = scene.depot();
    keep(&depot, &list(), "v0.9.0\n", Timestamp::now() + 48.hours());
    assert_eq!(ask(&depot, &list()).await.unwrap().body, "v1.0.0\n");
}

#[tokio::test]
async fn what_is_no_answer_replaces_none() {
    let scene = restless();
    fs::write(scene.tree.file(BRANCH), TIP).unwrap();
    let depot = scene.depot();
    ask(&depot, &query("main")).await.unwrap();
    settled(&depot).await;
    for bad in ["", "{}", "{\"Version\":\"main\"}", "<html>"] {
        fs::write(scene.tree.file(BRANCH), bad).unwrap();
        let reply = ask(&depot, &query("main")).await.unwrap();
        assert_eq!(reply.body, TIP);
        assert!(because(&reply).is_some());
        settled(&depot).await;
    }
}
