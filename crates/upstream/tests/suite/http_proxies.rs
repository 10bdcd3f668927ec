use fault::Label;
use testkit::{Answer, Fault, UpstreamServer};

use crate::scene::{LIST, Options, Scene, assert_says, failure, get};

/// Upstreams that can be reached through a proxy only: these names exist nowhere.
const SECURE: &str = "https://proxy.modkeep.invalid";
const PLAIN: &str = "http://proxy.modkeep.invalid";

/// A server that can play the proxy.
fn proxy() -> UpstreamServer {
    Scene::new().upstream
}

#[tokio::test]
async fn a_plain_upstream_is_asked_through_the_proxy_by_its_whole_url() {
    let proxy = proxy();
    proxy.answer("*/@v/list", Answer::text("v1.0.0\n"));
    let authority = proxy.address();
    let chain = Options::new(PLAIN)
        .env("HTTP_PROXY", &format!("http://user:secret@{authority}"))
        .chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, "v1.0.0\n");
    let asked = &proxy.requests()[0];
    assert_eq!(asked.target, format!("{PLAIN}/{LIST}"));
    assert_eq!(
        asked.header("Proxy-Authorization"),
        Some("Basic dXNlcjpzZWNyZXQ=")
    );
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_says_so() {
    let proxy = proxy();
    proxy.fail("*", Fault::status(407));
    for (list, variable) in [(SECURE, "HTTPS_PROXY"), (PLAIN, "http_proxy")] {
        let chain = Options::new(list).env(variable, &proxy.url()).chain();
        assert_says(
            &failure(&chain, LIST).await,
            Label::Httpproxy407,
            "Proxy Authentication Required",
        );
    }
    assert_eq!(proxy.requests()[0].method, "CONNECT");
    assert_eq!(proxy.requests()[0].target, "proxy.modkeep.invalid:443");
}

#[tokio::test]
async fn a_proxy_that_refuses_the_host_is_told_from_the_host() {
    let proxy = proxy();
    for status in [403, 500, 503] {
        proxy.fail("*", Fault::status(status));
        let chain = Options::new(SECURE)
            .env("HTTPS_PROXY", &proxy.url())
            .chain();
        assert_says(
            &failure(&chain, LIST).await,
            Label::HttpproxyConnectForbidden,
            "proxyconnect tcp: ",
        );
    }
}

#[tokio::test]
async fn a_proxy_where_nobody_listens_is_told_from_the_host() {
    let mut proxy = proxy();
    proxy.stop();
    for (list, variable) in [(SECURE, "HTTPS_PROXY"), (PLAIN, "HTTP_PROXY")] {
        let chain = Options::new(list).env(variable, &proxy.url()).chain();
        assert_says(
            &failure(&chain, LIST).await,
            Label::HttpproxyRefused,
            "proxyconnect tcp: dial tcp: connect: connection refused",
        );
    }
}

#[tokio::test]
async fn a_proxy_that_hangs_up_is_told_from_the_host() {
    let proxy = proxy();
    let chain = Options::new(SECURE)
        .env("HTTPS_PROXY", &proxy.url())
        .chain();
    for fault in [Fault::CloseWithoutAnswer, Fault::ResetWithoutAnswer] {
        proxy.fail("*", fault);
        assert_says(
            &failure(&chain, LIST).await,
            Label::HttpproxyConnectFailed,
            "proxyconnect tcp: ",
        );
    }
}

#[tokio::test]
async fn what_needs_no_proxy_goes_straight() {
    let (scene, proxy) = (Scene::new(), proxy());
    // Loopback never does, and neither does what is exempt.
    let chain = Options::new(&scene.upstream.url())
        .env("HTTP_PROXY", &proxy.url())
        .chain();
    get(&chain, LIST).await.unwrap();
    let chain = Options::new(PLAIN)
        .env("HTTP_PROXY", &proxy.url())
        .env("NO_PROXY", ".modkeep.invalid")
        .chain();
    get(&chain, LIST).await.unwrap_err();
    assert_eq!(proxy.connections(), 0);
}
