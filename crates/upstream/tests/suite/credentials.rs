use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use testkit::Fault;

use crate::scene::{LIST, Options, Scene, get};

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

#[tokio::test]
async fn what_a_url_carries_is_sent_and_never_shown() {
    let scene = Scene::new();
    let authority = scene.upstream.address();
    for (userinfo, pair) in [
        ("user:secret", "user:secret"),
        ("user", "user:"),
        (":secret", ":secret"),
        ("us%40er:s%3Ae%2Fcret", "us@er:s:e/cret"),
    ] {
        scene.upstream.forget();
        let options = Options::new(&format!("http://{userinfo}@{authority}/"));
        let chain = options.chain();
        let reply = get(&chain, LIST).await.unwrap();
        let asked = &scene.upstream.requests()[0];
        assert_eq!(asked.header("Authorization"), Some(basic(pair).as_str()));
        assert_eq!(asked.path, format!("/{LIST}"));
        scene.upstream.fail("*", Fault::status(500));
        let error = get(&chain, LIST).await.unwrap_err();
        scene.upstream.heal();
        let shown = format!(
            "{} {error} {chain:?} {:?} {:?}",
            reply.source,
            chain.status(),
            options.observed.exchanges()
        );
        assert!(
            !shown.contains("cret") && !shown.contains("us%40er"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_netrc_is_for_https_only() {
    let scene = Scene::new();
    let authority = scene.upstream.address();
    let netrc = format!("machine {authority} login user password secret\n");
    let chain = Options::new(&scene.upstream.url()).netrc(&netrc).chain();
    get(&chain, LIST).await.unwrap();
    assert_eq!(scene.upstream.requests()[0].header("Authorization"), None);
}
