use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

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

/// A SOCKS proxy that leads one client to `server`, and tells which name it was asked for.
fn socks(server: SocketAddr) -> (SocketAddr, Arc<Mutex<Option<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let name = Arc::new(Mutex::new(None));
    let asked = Arc::clone(&name);
    thread::spawn(move || -> io::Result<()> {
        let (mut client, _) = listener.accept()?;
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting)?;
        let mut methods = vec![0; usize::from(greeting[1])];
        client.read_exact(&mut methods)?;
        client.write_all(&[5, 0])?;
        let mut request = [0; 5];
        client.read_exact(&mut request)?;
        // Kind 3 is a name, whose length comes next; then comes the port.
        if request[3] != 3 {
            return Ok(());
        }
        let mut rest = vec![0; usize::from(request[4]) + 2];
        client.read_exact(&mut rest)?;
        rest.truncate(usize::from(request[4]));
        *asked.lock().unwrap() = Some(String::from_utf8_lossy(&rest).into_owned());
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        let mut server = TcpStream::connect(server)?;
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || io::copy(&mut from, &mut to));
        io::copy(&mut client, &mut server).map(drop)
    });
    (address, name)
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name() {
    let upstream = proxy();
    upstream.answer("*/@v/list", Answer::text("v1.0.0\n"));
    let (address, name) = socks(upstream.address());
    let chain = Options::new(PLAIN)
        .env("HTTP_PROXY", &format!("socks5://{address}"))
        .chain();
    assert_eq!(get(&chain, LIST).await.unwrap().body, "v1.0.0\n");
    assert_eq!(
        name.lock().unwrap().as_deref(),
        Some("proxy.modkeep.invalid")
    );
}
