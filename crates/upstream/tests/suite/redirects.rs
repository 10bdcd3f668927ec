use fault::Label;
use testkit::{Fault, UpstreamServer};

use crate::scene::{INFO, Options, Scene, assert_says, failure, get, zip_failure};

const INFO_PATH: &str = "/example.com/m/@v/v1.0.0.info";

#[tokio::test]
async fn a_redirect_is_followed_to_another_server() {
    let (scene, storage) = (Scene::new(), Scene::new());
    scene.upstream.fail(
        "*",
        Fault::Redirect(format!("{}{INFO_PATH}", storage.upstream.url())),
    );
    let reply = get(&scene.chain(), INFO).await.unwrap();
    assert_eq!(reply.body, storage.source(INFO));
    assert_eq!(reply.source, scene.upstream.url(), "it is still its answer");
    assert_eq!(storage.upstream.count(INFO_PATH), 1);
}

#[tokio::test]
async fn what_the_other_server_says_is_judged_as_if_the_first_had_said_it() {
    let (scene, mut storage) = (Scene::new(), Scene::new());
    scene.upstream.fail(
        "*",
        Fault::Redirect(format!("{}{INFO_PATH}", storage.upstream.url())),
    );
    let chain = scene.chain();
    storage.upstream.fail("*", Fault::status(503));
    assert_says(&failure(&chain, INFO).await, Label::Goproxy5xx, "503");
    storage.upstream.fail("*", Fault::Html);
    assert_says(&failure(&chain, INFO).await, Label::GoproxyHtml, "");
    storage.upstream.stop();
    assert_says(&failure(&chain, INFO).await, Label::TcpRefused, "");
}

#[tokio::test]
async fn a_circle_is_left_after_ten_redirects() {
    let scene = Scene::new();
    scene
        .upstream
        .fail("*", Fault::Redirect(INFO_PATH.to_owned()));
    let refused = failure(&scene.chain(), INFO).await;
    assert_says(
        &refused,
        Label::GoproxyCorrupt,
        "stopped after 10 redirects",
    );
    // It is tried thrice; each time, the tenth request is the last.
    assert_eq!(scene.upstream.count("*"), 30);
}

#[tokio::test]
async fn no_redirect_leads_into_places_that_only_this_machine_can_reach() {
    let scene = Scene::new();
    let chain = scene.chain();
    for (target, words) in [
        (
            "http://169.254.169.254/latest/meta-data/",
            "link-local address 169.254.169.254",
        ),
        ("http://[fe80::1]/", "link-local address fe80::1"),
        ("http://0.0.0.0/", "link-local address 0.0.0.0"),
        (
            "file:///etc/passwd",
            "redirected to a file: URL, which is refused",
        ),
        (
            "ftp://127.0.0.1/",
            "redirected to a ftp: URL, which is refused",
        ),
    ] {
        scene.upstream.fail("*", Fault::Redirect(target.to_owned()));
        for refused in [failure(&chain, INFO).await, zip_failure(&chain).await] {
            assert_says(&refused, Label::GoproxyCorrupt, words);
        }
    }
}

#[tokio::test]
async fn credentials_stay_with_the_server_they_are_for() {
    let (scene, storage) = (Scene::new(), Scene::new());
    let with_user = scene
        .upstream
        .url()
        .replace("http://", "http://user:secret@");
    let chain = Options::new(&with_user).chain();
    scene.upstream.fail_once(
        "*",
        Fault::Redirect(format!("{}{INFO_PATH}", storage.upstream.url())),
    );
    get(&chain, INFO).await.unwrap();
    let authorization = |upstream: &UpstreamServer| {
        upstream.requests()[0]
            .header("Authorization")
            .map(str::to_owned)
    };
    assert!(authorization(&scene.upstream).is_some());
    assert_eq!(authorization(&storage.upstream), None);
    assert_eq!(storage.upstream.requests()[0].header("Referer"), None);
}
