use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use fault::Label;
use testkit::{Authority, TlsPeer, Validity};

use crate::child;
use crate::scene::{LIST, Options, assert_says, failure};

const HERE: [&str; 2] = ["127.0.0.1", "localhost"];

/// A server that lists a version, and has a certificate of `authority`.
fn peer(authority: &Authority) -> TlsPeer {
    TlsPeer::text(&authority.issue(&HERE), "v1.0.0\n")
}

/// What a process that trusts `authority` alone gets from `url`.
fn ask(authority: &Authority, url: &str, netrc: &str) -> String {
    child::ask(authority, url, (child::NETRC, netrc))
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let authority = Authority::new();
    let good = "body b\"v1.0.0\\n\"";
    for (names, validity, expected) in [
        (&HERE[..], Validity::Now, good),
        (
            &["other.example"],
            Validity::Now,
            Label::TlsHostnameMismatch.as_str(),
        ),
        (&HERE, Validity::Ended, Label::TlsCertExpired.as_str()),
        (&HERE, Validity::Later, Label::TlsClockSkew.as_str()),
    ] {
        let peer = TlsPeer::text(&authority.issue_for(names, validity), "v1.0.0\n");
        let verdict = ask(&authority, &peer.url(), "");
        assert!(
            verdict.starts_with(expected),
            "{names:?} {validity:?}: {verdict}"
        );
        assert_eq!(
            peer.heads().len(),
            usize::from(expected == good),
            "nothing is asked before the certificate is good"
        );
    }
}

#[test]
fn a_netrc_gives_credentials_to_its_host_over_https() {
    let authority = Authority::new();
    let peer = peer(&authority);
    let machine = peer.url().replace("https://", "");
    let netrc = format!(
        "machine other.example login x password y\nmachine {machine} login user password secret\n"
    );
    for (url, netrc, sent) in [
        (peer.url(), netrc.as_str(), Some("Basic dXNlcjpzZWNyZXQ=")),
        (peer.url(), "machine other.example login x password y", None),
        // What the URL carries goes before.
        (
            peer.url().replace("https://", "https://a:b@"),
            netrc.as_str(),
            Some("Basic YTpi"),
        ),
    ] {
        let verdict = ask(&authority, &url, netrc);
        assert!(verdict.starts_with("body"), "{verdict}");
        let head = peer.heads().pop().unwrap();
        let header = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .starts_with("authorization:")
                .then(|| line[14..].trim())
        });
        assert_eq!(header, sent, "{head}");
    }
}

#[tokio::test]
async fn an_authority_that_nobody_knows_is_told() {
    let peer = peer(&Authority::new());
    let chain = Options::new(&peer.url()).chain();
    assert_says(
        &failure(&chain, LIST).await,
        Label::TlsUnknownCaMitm,
        "tls: ",
    );
    assert!(peer.heads().is_empty());
}

#[tokio::test]
async fn http_on_a_port_for_https_is_told() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Takes the beginning of TLS for a request, and says in HTTP that it is none.
        let _some = stream.read(&mut [0; 1024]).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            .unwrap();
        thread::sleep(Duration::from_secs(1));
    });
    let chain = Options::new(&url).chain();
    let failure = failure(&chain, LIST).await;
    assert_eq!(failure.label, Label::TlsPlainHttp, "{failure}");
}
