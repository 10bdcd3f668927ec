use fault::Label;
use futures_util::StreamExt as _;
use testkit::{Answer, Fault};
use upstream::Event;

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

/// Where a zip breaks off, and how.
fn breaks() -> [Fault; 4] {
    [
        Fault::TruncateAt(150_000),
        Fault::All(vec![Fault::Chunked, Fault::TruncateAt(150_000)]),
        Fault::ResetAt(150_000),
        Fault::StallAt(150_000),
    ]
}

#[tokio::test]
async fn a_zip_that_breaks_off_is_taken_up_at_the_same_upstream() {
    let scene = Scene::new();
    for fault in breaks() {
        let options = Options::new(&scene.upstream.url());
        scene.upstream.forget();
        scene.upstream.fail_once("*", fault.clone());
        let reply = options.chain().fetch_zip(&request(ZIP)).await.unwrap();
        assert!(
            drain(reply).await.unwrap() == scene.source(ZIP),
            "{fault:?}"
        );
        let asked = scene.upstream.requests();
        assert_eq!(asked.len(), 2, "{fault:?}");
        assert!(asked[1].header("Range").is_some() && asked[1].header("If-Range").is_some());
        assert_eq!(asked[1].status, Some(206));
        assert!(
            options
                .observed
                .events()
                .contains(&(scene.upstream.url(), Event::Resumed))
        );
    }
}

#[tokio::test]
async fn a_zip_that_breaks_off_for_good_is_taken_up_at_another_upstream() {
    let (mut first, second) = (Scene::new(), Scene::new());
    std::fs::copy(first.tree.file(ZIP), second.tree.file(ZIP)).unwrap();
    let options = Options::new(&format!(
        "{},{}",
        first.upstream.url(),
        second.upstream.url()
    ));
    // A second one that cannot send parts is read again from its beginning.
    for ranges in [true, false] {
        second.upstream.set_ranges(ranges);
        first.upstream.start();
        first.upstream.fail_once("*", Fault::StallAt(150_000));
        let mut reply = options.chain().fetch_zip(&request(ZIP)).await.unwrap();
        assert_eq!(reply.source, first.upstream.url());
        let begin = reply.body.next().await.unwrap().unwrap();
        first.upstream.stop();
        let rest = drain(reply).await.unwrap();
        assert!(
            [&begin[..], &rest].concat() == first.source(ZIP),
            "{ranges}"
        );
        let asked = second.upstream.requests();
        let last = asked.last().unwrap();
        assert_eq!(
            last.header("If-Range"),
            None,
            "a tag of the other one means nothing here"
        );
        assert_eq!(last.status, Some(if ranges { 206 } else { 200 }));
    }
}

#[tokio::test]
async fn two_different_zips_are_never_mixed() {
    let (mut first, second) = (Scene::new(), Scene::new());
    let options = Options::new(&format!(
        "{},{}",
        first.upstream.url(),
        second.upstream.url()
    ));
    let mut other = first.source(ZIP);
    let shorter = other[..other.len() - 1].to_vec();
    // As long, but another one at the place where the transfer was cut.
    other[149_000] ^= 1;
    for (ranges, bytes) in [
        (true, other.clone()),
        (false, other),
        (true, shorter.clone()),
        (false, shorter),
    ] {
        std::fs::write(second.tree.file(ZIP), &bytes).unwrap();
        second.upstream.set_ranges(ranges);
        first.upstream.start();
        first.upstream.fail_once("*", Fault::StallAt(150_000));
        let mut reply = options.chain().fetch_zip(&request(ZIP)).await.unwrap();
        let mut came = Vec::new();
        while came.len() < 150_000 {
            came.extend_from_slice(&reply.body.next().await.unwrap().unwrap());
        }
        first.upstream.stop();
        let (rest, _) = drain(reply).await.map(|bytes| bytes.len()).unwrap_err();
        assert_eq!(rest.len(), 0);
        assert!(first.source(ZIP).starts_with(&came));
    }
}

#[tokio::test]
async fn a_zip_that_cannot_be_taken_up_ends_with_the_reason() {
    let scene = Scene::new();
    scene.upstream.set_ranges(false);
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
        let (came, failure) = drain(reply).await.map(|bytes| bytes.len()).unwrap_err();
        assert_eq!(failure.label, label, "{fault:?}: {failure}");
        assert!(whole.starts_with(&came), "{fault:?}");
        assert!(came.len() <= whole.len());
    }
}

#[tokio::test]
async fn a_zip_of_which_nobody_has_the_announced_length_is_given_up_at_once() {
    let (first, second) = (Scene::new(), Scene::new());
    std::fs::copy(first.tree.file(ZIP), second.tree.file(ZIP)).unwrap();
    for ranges in [true, false] {
        for scene in [&first, &second] {
            scene.upstream.set_ranges(ranges);
            scene.upstream.forget();
        }
        first.upstream.fail_once("*", Fault::WrongLength(25));
        let urls = [&first, &second].map(|scene| scene.upstream.url());
        let options = Options::new(&urls.join(","));
        let reply = options.chain().fetch_zip(&request(ZIP)).await.unwrap();
        let (came, failure) = drain(reply).await.map(|bytes| bytes.len()).unwrap_err();
        assert_eq!(failure.label, Label::GoproxyTruncated, "{failure}");
        assert_eq!(came.len(), first.source(ZIP).len());
        // Each is asked once whether it has the rest.
        let asked = [&first, &second].map(|scene| scene.upstream.requests().len());
        assert_eq!(asked, [2, 1], "{ranges}");
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

#[tokio::test]
async fn a_zip_that_crawls_is_overtaken_by_another_upstream() {
    let (first, second) = (Scene::new(), Scene::new());
    std::fs::copy(first.tree.file(ZIP), second.tree.file(ZIP)).unwrap();
    let crawl = Fault::Drip {
        bytes: 100,
        every: std::time::Duration::from_millis(40),
    };
    first.upstream.fail("*", crawl);
    let chain = format!("{},{}", first.upstream.url(), second.upstream.url());
    let options = Options::new(&chain);
    // A second one that cannot send parts is read again from its beginning.
    for ranges in [true, false] {
        second.upstream.set_ranges(ranges);
        second.upstream.forget();
        let reply = options.chain().fetch_zip(&request(ZIP)).await.unwrap();
        assert_eq!(reply.source, first.upstream.url());
        assert!(drain(reply).await.unwrap() == first.source(ZIP), "{ranges}");
        let asked = second.upstream.requests();
        assert_eq!(asked.len(), 1, "{ranges}");
        assert!(asked[0].header("Range").is_some());
    }
}

#[tokio::test]
async fn a_zip_that_crawls_goes_on_when_nobody_else_has_it() {
    let scene = Scene::new();
    let crawl = Fault::Drip {
        bytes: 10_000,
        every: std::time::Duration::from_millis(1500),
    };
    scene.upstream.fail_once("*", crawl);
    let reply = scene.chain().fetch_zip(&request(ZIP)).await;
    let mut reply = reply.unwrap();
    let mut bytes = 0;
    while bytes < 30_000 {
        bytes += reply.body.next().await.unwrap().unwrap().len();
    }
    assert_eq!(scene.upstream.requests().len(), 1);
}
