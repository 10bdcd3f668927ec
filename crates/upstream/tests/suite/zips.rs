use fault::Label;
use testkit::{Answer, Fault};

use crate::scene::{Options, PATIENT, SHORT, Scene, ZIP, assert_says, drain, request, zip_failure};

#[tokio::test]
async fn a_zip_comes_whole_with_its_length_and_tag() {
    let scene = Scene::new();
    let reply = scene.chain().fetch_zip(&request(ZIP)).await.unwrap();
    assert_eq!(reply.source, scene.upstream.url());
    assert_eq!(reply.len, Some(scene.source(ZIP).len() as u64));
    assert!(reply.etag.is_some());
    assert_eq!(drain(reply).await.unwrap(), scene.source(ZIP));
}

#[tokio::test]
async fn a_zip_may_come_without_its_length() {
    let scene = Scene::new();
    for fault in [Fault::Chunked, Fault::UntilClose] {
        scene.upstream.fail("*", fault);
        let reply = scene.chain().fetch_zip(&request(ZIP)).await.unwrap();
        assert_eq!(reply.len, None);
        assert_eq!(drain(reply).await.unwrap(), scene.source(ZIP));
    }
}

#[tokio::test]
async fn what_does_not_begin_as_a_zip_is_refused_at_once() {
    let scene = Scene::new();
    let chain = scene.chain();
    let table: [(Fault, Label, &str); 6] = [
        (Fault::Html, Label::GoproxyHtml, "web page"),
        (
            Fault::Answer(Answer::text("<html>")),
            Label::GoproxyHtml,
            "web page",
        ),
        (
            Fault::Answer(Answer::text("")),
            Label::GoproxyCorrupt,
            "not a valid zip file",
        ),
        (
            Fault::Answer(Answer::text("PK\x03")),
            Label::GoproxyCorrupt,
            "not a valid zip file",
        ),
        (
            Fault::Corrupt(0),
            Label::GoproxyCorrupt,
            "not a valid zip file",
        ),
        (
            Fault::Endless,
            Label::GoproxyCorrupt,
            "not a valid zip file",
        ),
    ];
    for (fault, label, words) in table {
        scene.upstream.fail("*", fault);
        assert_says(&zip_failure(&chain).await, label, words);
    }
}

#[tokio::test]
async fn the_next_upstream_is_asked_when_one_does_not_begin_as_a_zip() {
    let (first, second) = (Scene::new(), Scene::new());
    first.upstream.fail("*", Fault::Html);
    let chain = Options::new(&format!(
        "{},{}",
        first.upstream.url(),
        second.upstream.url()
    ))
    .chain();
    let reply = chain.fetch_zip(&request(ZIP)).await.unwrap();
    assert_eq!(reply.source, second.upstream.url());
    assert_eq!(drain(reply).await.unwrap(), second.source(ZIP));
}

#[tokio::test]
async fn a_zip_that_breaks_off_ends_with_the_reason() {
    let scene = Scene::new();
    let mut limits = PATIENT;
    limits.idle = SHORT;
    let chain = Options::new(&scene.upstream.url()).limits(limits).chain();
    let table = [
        (Fault::TruncateAt(150_000), Label::GoproxyTruncated),
        (
            Fault::All(vec![Fault::Chunked, Fault::TruncateAt(150_000)]),
            Label::GoproxyTruncated,
        ),
        (Fault::ResetAt(150_000), Label::TcpReset),
        (Fault::StallAt(150_000), Label::GoproxySlow),
        (Fault::WrongLength(1), Label::GoproxyTruncated),
    ];
    let whole = scene.source(ZIP);
    for (fault, label) in table {
        scene.upstream.fail("*", fault.clone());
        let reply = chain.fetch_zip(&request(ZIP)).await.unwrap();
        let (came, failure) = drain(reply).await.unwrap_err();
        assert_eq!(failure.label, label, "{fault:?}: {failure}");
        assert!(whole.starts_with(&came), "{fault:?}");
        assert!(came.len() <= whole.len());
    }
}

#[tokio::test]
async fn a_zip_that_is_announced_as_too_large_is_not_begun() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::WrongLength(500 << 20));
    assert_says(
        &zip_failure(&scene.chain()).await,
        Label::ModZipTooLarge,
        "limit of 500 MiB",
    );
}
