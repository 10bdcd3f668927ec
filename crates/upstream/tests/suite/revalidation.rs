use testkit::{Answer, Fault};
use upstream::{ChainError, Request, Small, Validators};

use crate::scene::{LIST, Options, Scene, get, request};

fn again(source: &str, validators: &Validators) -> Request {
    Request {
        revalidate: Some((source.to_owned(), validators.clone())),
        ..request(LIST)
    }
}

#[tokio::test]
async fn an_answer_that_still_holds_is_not_sent_again() {
    let scene = Scene::new();
    let chain = scene.chain();
    let reply = get(&chain, LIST).await.unwrap();
    assert!(reply.validators.etag.is_some() && reply.validators.last_modified.is_some());
    let held = chain
        .fetch_small(&again(&reply.source, &reply.validators))
        .await
        .unwrap();
    assert_eq!(held, Small::NotModified(scene.upstream.url()));
    let asked = &scene.upstream.requests()[1];
    assert_eq!(
        asked.header("If-None-Match"),
        reply.validators.etag.as_deref()
    );
    assert_eq!(
        asked.header("If-Modified-Since"),
        reply.validators.last_modified.as_deref()
    );

    std::fs::write(scene.tree.file(LIST), "v1.0.0\nv1.1.0\n").unwrap();
    let changed = chain
        .fetch_small(&again(&reply.source, &reply.validators))
        .await
        .unwrap();
    let Small::Body(changed) = changed else {
        panic!("{changed:?}");
    };
    assert_eq!(changed.body, "v1.0.0\nv1.1.0\n");
    assert_ne!(changed.validators.etag, reply.validators.etag);
}

#[tokio::test]
async fn an_upstream_is_asked_about_its_own_answers_only() {
    let (first, second) = (Scene::new(), Scene::new());
    let chain = Options::new(&format!(
        "{},{}",
        first.upstream.url(),
        second.upstream.url()
    ))
    .chain();
    let reply = get(&chain, LIST).await.unwrap();
    assert_eq!(reply.source, first.upstream.url());
    first.upstream.fail("*", Fault::status(500));
    let answer = chain
        .fetch_small(&again(&reply.source, &reply.validators))
        .await
        .unwrap();
    assert!(matches!(answer, Small::Body(_)), "{answer:?}");
    let asked = &second.upstream.requests()[0];
    assert_eq!(asked.header("If-None-Match"), None);
    assert_eq!(asked.header("If-Modified-Since"), None);
}

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_trouble() {
    let (first, second) = (Scene::new(), Scene::new());
    first.upstream.fail("*", Fault::Answer(Answer::status(304)));
    let chain = first.chain();
    let error = chain.fetch_small(&request(LIST)).await.unwrap_err();
    assert!(matches!(error, ChainError::Trouble(_)), "{error:?}");
    let validators = Validators {
        etag: Some("\"x\"".to_owned()),
        last_modified: None,
    };
    let error = chain
        .fetch_small(&again(&second.upstream.url(), &validators))
        .await
        .unwrap_err();
    assert!(matches!(error, ChainError::Trouble(_)), "{error:?}");
}

#[tokio::test]
async fn the_trace_of_a_request_goes_on() {
    let scene = Scene::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = Request {
        traceparent: Some(trace.parse().unwrap()),
        ..request(LIST)
    };
    scene.chain().fetch_small(&traced).await.unwrap();
    let asked = &scene.upstream.requests()[0];
    assert_eq!(asked.header("traceparent"), Some(trace));
    assert!(asked.header("User-Agent").unwrap().starts_with("modkeep/"));
}
