use fault::Label;
use testkit::{Answer, Fault};
use upstream::{Expect, Request};

use crate::scene::{INFO, LIST, MOD, Scene, absence, assert_says, failure, get, request};

fn text(body: &[u8]) -> Fault {
    Fault::Answer(Answer::text("").body(body))
}

#[tokio::test]
async fn a_web_page_is_never_a_module_file() {
    let scene = Scene::new();
    let chain = scene.chain();
    let pages = [
        Fault::Html,
        Fault::Answer(
            Answer::status(200)
                .header("Content-Type", "TEXT/HTML")
                .body("v1.0.0\n"),
        ),
        Fault::Answer(
            Answer::status(200)
                .header("Content-Type", "application/xhtml+xml; charset=utf-8")
                .body("v1.0.0\n"),
        ),
        text(b"<!doctype html>"),
        text(b"\n \t<html>"),
        text(b"\xef\xbb\xbf<html>"),
        text(b"<?xml version=\"1.0\"?><Error/>"),
    ];
    for page in pages {
        for path in [LIST, INFO, MOD] {
            scene.upstream.fail("*", page.clone());
            assert_says(&failure(&chain, path).await, Label::GoproxyHtml, "web page");
        }
    }
}

#[tokio::test]
async fn a_body_under_an_encoding_that_nobody_asked_for_is_refused() {
    let scene = Scene::new();
    let chain = scene.chain();
    scene
        .upstream
        .fail("*", Fault::ContentEncoding("gzip".to_owned()));
    assert_says(
        &failure(&chain, MOD).await,
        Label::GoproxyCorrupt,
        "\"gzip\"",
    );
    scene
        .upstream
        .fail("*", Fault::ContentEncoding("Identity".to_owned()));
    get(&chain, MOD).await.unwrap();
    let asked = scene.upstream.requests();
    assert_eq!(
        asked[0].header("Accept-Encoding"),
        Some("identity"),
        "none was asked for"
    );
}

#[tokio::test]
async fn an_info_must_be_about_the_version_that_was_asked_for() {
    let scene = Scene::new();
    let chain = scene.chain();
    let table: [(&[u8], &str); 6] = [
        (b"", "invalid response from proxy"),
        (b"not JSON", "invalid response from proxy"),
        (b"[1]", "invalid response from proxy"),
        (b"{\"Version\":\"v1.0.0\"", "invalid response from proxy"),
        (b"{\"Version\":\"v1.0.1\"}", "answered about \"v1.0.1\""),
        (
            b"{\"Time\":\"2019-01-02T03:04:05Z\"}",
            "invalid response from proxy",
        ),
    ];
    for (body, words) in table {
        scene.upstream.fail("*", text(body));
        assert_says(&failure(&chain, INFO).await, Label::GoproxyCorrupt, words);
    }
    scene
        .upstream
        .fail("*", Fault::OtherVersion("v9.9.9".to_owned()));
    assert_says(
        &failure(&chain, INFO).await,
        Label::GoproxyCorrupt,
        "v9.9.9",
    );
}

#[tokio::test]
async fn an_info_for_a_branch_must_be_about_a_canonical_version() {
    let scene = Scene::new();
    let chain = scene.chain();
    let query = Request {
        expect: Expect::Info(None),
        ..request("example.com/m/@v/main.info")
    };
    for (body, sound) in [
        (
            "{\"Version\":\"v1.0.1-0.20210304050607-abcdef123456\"}",
            true,
        ),
        ("{\"Version\":\"v1.0.0\"}", true),
        ("{\"Version\":\"main\"}", false),
        ("{\"Version\":\"v1.0\"}", false),
        ("{\"Version\":\"\"}", false),
        ("{\"Version\":\"v1.0.0+meta\"}", false),
    ] {
        scene.upstream.fail("*", text(body.as_bytes()));
        let answer = chain.fetch_small(&query).await;
        assert_eq!(answer.is_ok(), sound, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn texts_must_be_texts() {
    let scene = Scene::new();
    let chain = scene.chain();
    for (path, body, sound) in [
        (LIST, &b""[..], true),
        (LIST, b"v1.0.0\nv1.1.0", true),
        (LIST, b"v1.0.0\0", false),
        (LIST, b"\xff\xfe", false),
        (MOD, b"module m\n", true),
        (MOD, b"module \xff\n", true),
        (MOD, b"module m\0\0\0", false),
        (MOD, b"", true),
    ] {
        scene.upstream.fail("*", text(body));
        if sound {
            assert_eq!(get(&chain, path).await.unwrap().body, body);
        } else {
            let refused = failure(&chain, path).await;
            assert_says(&refused, Label::GoproxyCorrupt, "");
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_given_up() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::Endless);
    let refused = failure(&scene.chain(), INFO).await;
    assert_says(
        &refused,
        Label::GoproxyCorrupt,
        "longer than the limit of 4 MiB",
    );
}

#[tokio::test]
async fn the_whole_path_is_asked_for_whatever_letters_it_has() {
    let scene = Scene::new();
    let chain = scene.chain();
    let path = "example.com/!m/@v/v1.0.0+incompatible-a#b%25~x.info";
    absence(&chain, path).await;
    let asked = scene.upstream.requests();
    assert_eq!(asked[0].path, format!("/{path}"));
    assert!(asked[0].target.contains("%23b%25"), "{}", asked[0].target);
}
