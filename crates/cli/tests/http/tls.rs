//! HTTPS from certificate files, also when they change.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use testkit::{Authority, Identity, Modkeep, ModkeepCommand};

use crate::scene::{Ask as _, INFO, LIST, MOD, SOON, Scene, ZIP, within};

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(scene: &Scene, identity: &Identity) -> Self {
        let files = Self {
            certificate: scene.file("server.pem"),
            key: scene.file("server.key"),
        };
        files.put(identity);
        files
    }

    fn put(&self, identity: &Identity) {
        fs::write(&self.key, &identity.key).unwrap();
        fs::write(&self.certificate, &identity.certificate).unwrap();
    }

    fn command(&self, scene: &Scene) -> ModkeepCommand {
        let certificate = self.certificate.to_str().unwrap();
        let key = self.key.to_str().unwrap();
        scene.command_with(&[("tls.certificate", certificate), ("tls.key", key)])
    }
}

/// For the hosts under which tests reach a server.
pub(crate) fn identity(authority: &Authority) -> Identity {
    authority.issue(&["127.0.0.1", "localhost", "modules.test"])
}

/// What a client sees that trusts this authority alone: the server's certificate, and the answer to a GET.
fn get(authority: &Authority, address: &str, path: &str) -> io::Result<(Vec<u8>, String)> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = StreamOwned::new(connection, stream);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let certificate = stream.conn.peer_certificates().unwrap()[0].to_vec();
    Ok((certificate, String::from_utf8_lossy(&answer).into_owned()))
}

fn certificate_in_use(authority: &Authority, modkeep: &Modkeep) -> Vec<u8> {
    let (certificate, answer) = get(authority, modkeep.authority(), "/healthz").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    certificate
}

#[test]
fn modules_are_served_over_tls() {
    let scene = Scene::new();
    let authority = Authority::new();
    let files = Files::new(&scene, &identity(&authority));
    let modkeep = files.command(&scene).start();
    assert!(modkeep.url().starts_with("https://127.0.0.1:"));
    for path in [LIST, INFO, MOD, LIST] {
        let (_, answer) = get(&authority, modkeep.authority(), path).unwrap();
        let source = String::from_utf8(scene.source(path)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(&source), "{answer}");
    }
    for _ in 0..2 {
        let (_, answer) = get(&authority, modkeep.authority(), ZIP).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let source = scene.source(ZIP);
        assert_eq!(body, String::from_utf8_lossy(&source));
        within(SOON, "it is stored", || scene.stored(ZIP).is_file());
    }
    let stranger = Authority::new();
    assert!(get(&stranger, modkeep.authority(), LIST).is_err());
}

#[test]
fn several_streams_of_one_connection_get_their_own_bytes() {
    let scene = Scene::new();
    let authority = Authority::new();
    let files = Files::new(&scene, &identity(&authority));
    let roots = scene.file("authority.pem");
    fs::write(&roots, authority.pem()).unwrap();
    let modkeep = files.command(&scene).start();
    let paths = [ZIP, LIST, ZIP, INFO, ZIP, MOD, ZIP];
    for _ in ["cold", "stored"] {
        let mut arguments = vec!["--http2", "--parallel", "--cacert", roots.to_str().unwrap()];
        arguments.extend(["--write-out", "%{http_version} %{num_connects}\n"]);
        let urls = paths.map(|path| format!("{}{path}", modkeep.url()));
        let outputs = [0, 1, 2, 3, 4, 5, 6]
            .map(|number| scene.file(&format!("out{number}")).display().to_string());
        for (url, output) in urls.iter().zip(&outputs) {
            arguments.extend(["--output", output, url]);
        }
        let Some(output) = crate::wire::curl(&arguments) else {
            testkit::skipped("HTTP/2 over TLS (no curl that speaks it)");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.lines().all(|line| line.starts_with("2 ")), "{said}");
        assert!(said.lines().any(|line| line == "2 0"), "{said}");
        for (path, output) in paths.iter().zip(&outputs) {
            assert!(fs::read(output).unwrap() == scene.source(path), "{path}");
        }
    }
}

#[test]
fn a_client_that_speaks_no_tls_is_let_go() {
    let scene = Scene::new();
    let authority = Authority::new();
    let files = Files::new(&scene, &identity(&authority));
    let modkeep = files
        .command(&scene)
        .env("MODKEEP_LIMITS_HEADER_TIMEOUT", "2s")
        .start();
    let mut plain = modkeep.begin(LIST);
    assert!(plain.is_closed_within(SOON));
    let mut silent = modkeep.connect();
    // Half a minute is what it has by default.
    assert!(silent.is_closed_within(Duration::from_secs(20)));
    certificate_in_use(&authority, &modkeep);
}

#[test]
fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let scene = Scene::new();
    let authority = Authority::new();
    let first = identity(&authority);
    let files = Files::new(&scene, &first);
    let modkeep = files.command(&scene).start();
    assert!(certificate_in_use(&authority, &modkeep) == first.der());

    let second = identity(&authority);
    files.put(&second);
    modkeep.reload();
    within(SOON, "the renewed certificate is in use", || {
        certificate_in_use(&authority, &modkeep) == second.der()
    });

    for broken in [
        "",
        "-----BEGIN CERTIFICATE-----\nnonsense",
        first.certificate.as_str(),
    ] {
        fs::write(&files.certificate, broken).unwrap();
        let complaints = || modkeep.stderr().matches("unusable").count();
        let before = complaints();
        modkeep.reload();
        within(SOON, "it complains", || complaints() > before);
        assert!(certificate_in_use(&authority, &modkeep) == second.der());
    }

    let third = identity(&authority);
    files.put(&third);
    modkeep.reload();
    within(SOON, "the mended certificate is in use", || {
        certificate_in_use(&authority, &modkeep) == third.der()
    });
}

#[test]
fn files_that_cannot_be_used_are_an_error_at_the_start() {
    let scene = Scene::new();
    let authority = Authority::new();
    let (identity, other) = (identity(&authority), identity(&authority));
    let files = Files::new(&scene, &identity);
    for (certificate, key, words) in [
        (
            identity.certificate.as_str(),
            other.key.as_str(),
            "server.key",
        ),
        ("", identity.key.as_str(), "server.pem"),
        (identity.certificate.as_str(), "", "server.key"),
    ] {
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        let exit = files.command(&scene).try_start().unwrap_err();
        assert_eq!(exit.code, Some(2));
        assert!(exit.stderr.contains(words), "{}", exit.stderr);
        assert_eq!(exit.stdout, "");
    }
    fs::remove_file(&files.certificate).unwrap();
    let exit = files.command(&scene).try_start().unwrap_err();
    assert_eq!(exit.code, Some(2));
    assert!(exit.stderr.contains("server.pem"), "{}", exit.stderr);
}
