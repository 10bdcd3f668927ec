//! The way to upstreams through an HTTP proxy.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use testkit::{Authority, TlsPeer, Tree, UpstreamServer};

use crate::scene::{Ask as _, INFO, LIST, PATHS, Scene, class_of};
use crate::tls::identity;

/// A proxy for `http://` URLs: such a request names the whole URL, which is a path of this server's tree.
pub(crate) struct PlainProxy {
    tree: Tree,
    pub(crate) server: UpstreamServer,
}

impl PlainProxy {
    /// Knows what the scene's upstream has, under this base URL.
    pub(crate) fn for_base(scene: &Scene, base: &str) -> Self {
        let tree = Tree::temporary();
        let server = UpstreamServer::serve(tree.root());
        let proxy = Self { tree, server };
        for path in PATHS {
            let file = proxy.tree.file(&format!("{base}{path}"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::copy(scene.tree.file(path), file).unwrap();
        }
        proxy
    }
}

/// An address of this machine that no rule takes for loopback.
fn outside(scene: &Scene) -> String {
    format!("http://0.0.0.0:{}", scene.upstream.address().port())
}

#[test]
fn http_proxy_leads_to_plain_upstreams() {
    let scene = Scene::new();
    let base = "http://modules.test/goproxy";
    let proxy = PlainProxy::for_base(&scene, base);
    let with_password = proxy.server.url().replace("//", "//me:pa%20ss@");
    for name in ["HTTP_PROXY", "http_proxy"] {
        let store = Scene::empty();
        proxy.server.forget();
        let modkeep = store
            .command_with(&[("upstream", base)])
            .env(name, &with_password)
            .start();
        for path in PATHS {
            assert!(modkeep.get(path).body == scene.source(path), "{path}");
        }
        let requests = proxy.server.requests();
        assert!(requests.len() >= PATHS.len());
        for request in requests {
            assert!(request.target.starts_with(base), "{}", request.target);
            let secret = request.header("Proxy-Authorization");
            assert_eq!(secret, Some("Basic bWU6cGEgc3M="));
        }
        let said = format!("{}{}", modkeep.stderr(), modkeep.stdout());
        assert!(
            !said.contains("pa%20ss") && !said.contains("pa ss"),
            "{said}"
        );
    }
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn no_proxy_names_exceptions() {
    let scene = Scene::new();
    let upstream = outside(&scene);
    let proxy = PlainProxy::for_base(&scene, &upstream);
    for (no_proxy, through) in [
        ("", true),
        ("other.test,10.0.0.0/8", true),
        ("0.0.0.0", false),
        ("other.test, 0.0.0.0/8", false),
        ("*", false),
    ] {
        let store = Scene::empty();
        proxy.server.forget();
        scene.upstream.forget();
        let modkeep = store
            .command_with(&[("upstream", &upstream)])
            .env("HTTP_PROXY", proxy.server.url())
            .env("NO_PROXY", no_proxy)
            .start();
        let reply = modkeep.get(INFO);
        assert!(
            reply.body == scene.source(INFO),
            "{no_proxy}: {}",
            reply.text()
        );
        let asked = [&proxy.server, &scene.upstream].map(|server| !server.requests().is_empty());
        assert_eq!(asked, [through, !through], "{no_proxy}");
    }
}

#[test]
fn loopback_needs_no_proxy() {
    let scene = Scene::new();
    let modkeep = scene
        .command_with(&[])
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .start();
    assert_eq!(modkeep.get(INFO).status, 200);
    assert!(scene.upstream.count(INFO) > 0);
}

/// A proxy for `https://` URLs: notes whom it is to connect to, and connects to one server whoever it is.
struct Tunnel {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnel {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let tunnel = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
        };
        let heads = Arc::clone(&tunnel.heads);
        // Ends with the test's process: nobody connects to it any more.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = Arc::clone(&heads);
                thread::spawn(move || join(&stream, server, &heads));
            }
        });
        tunnel
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn join(client: &TcpStream, server: SocketAddr, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    heads.lock().unwrap().push(head);
    let server = TcpStream::connect(server)?;
    (&*client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let back = {
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || {
            let copied = io::copy(&mut from, &mut to);
            drop(to.shutdown(std::net::Shutdown::Write));
            copied
        })
    };
    io::copy(&mut reader, &mut &server)?;
    drop(server.shutdown(std::net::Shutdown::Write));
    back.join().unwrap().map(drop)
}

#[test]
fn https_proxy_leads_to_secure_upstreams() {
    let scene = Scene::new();
    let authority = Authority::new();
    let secure = TlsPeer::text(&identity(&authority), "v1.2.3\nv1.3.0\n");
    let tunnel = Tunnel::to(secure.address());
    let certificates = scene.file("authority.pem");
    std::fs::write(&certificates, authority.pem()).unwrap();
    let modkeep = scene
        .command_with(&[("upstream", "https://modules.test/goproxy")])
        .env("SSL_CERT_FILE", &certificates)
        .env(
            "HTTPS_PROXY",
            format!("http://me:secret@{}", tunnel.address),
        )
        .start();
    let reply = modkeep.get(LIST);
    assert_eq!(reply.text(), "v1.2.3\nv1.3.0\n", "{}", modkeep.stderr());
    let heads = tunnel.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with("CONNECT modules.test:443 "), "{head}");
        let secret = "authorization: basic bwu6c2vjcmv0";
        assert!(head.to_lowercase().contains(secret), "{head}");
    }
    assert!(!secure.heads().is_empty());
}

#[test]
fn a_proxy_that_refuses_is_named_and_its_password_is_not() {
    let scene = Scene::empty();
    let proxy = UpstreamServer::serve(scene.tree.root());
    let with_password = proxy.url().replace("//", "//me:s3cret@");
    for (status, class) in [(407, "httpproxy-407"), (403, "httpproxy-connect-forbidden")] {
        proxy.fail("*", testkit::Fault::status(status));
        let modkeep = scene
            .command_with(&[("upstream", "https://modules.test")])
            .env("HTTPS_PROXY", &with_password)
            .start();
        let reply = modkeep.get(LIST);
        assert_eq!((reply.status, class_of(&reply).as_str()), (502, class));
        let said = [
            reply.text(),
            modkeep.get("/readyz").text(),
            modkeep.stderr(),
            modkeep.stdout(),
        ];
        assert!(said.iter().all(|text| !text.contains("s3cret")), "{said:?}");
    }
    assert_eq!(proxy.requests()[0].method, "CONNECT");
}
