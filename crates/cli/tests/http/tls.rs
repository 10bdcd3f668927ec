//! HTTPS from certificate files, also when they change.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use testkit::{Modkeep, ModkeepCommand};

use crate::scene::{Ask as _, INFO, LIST, MOD, SOON, Scene, ZIP, within};
use crate::tls_peer::{self, Authority, Identity};

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

fn certificate_in_use(authority: &Authority, modkeep: &Modkeep) -> Vec<u8> {
    let (certificate, answer) = tls_peer::get(authority, modkeep.authority(), "/healthz").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    certificate
}

#[test]
fn modules_are_served_over_tls() {
    let scene = Scene::new();
    let authority = Authority::new();
    let files = Files::new(&scene, &authority.issue());
    let modkeep = files.command(&scene).start();
    assert!(modkeep.url().starts_with("https://127.0.0.1:"));
    for path in [LIST, INFO, MOD, LIST] {
        let (_, answer) = tls_peer::get(&authority, modkeep.authority(), path).unwrap();
        let source = String::from_utf8(scene.source(path)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(&source), "{answer}");
    }
    for _ in 0..2 {
        let (_, answer) = tls_peer::get(&authority, modkeep.authority(), ZIP).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let source = scene.source(ZIP);
        assert_eq!(body, String::from_utf8_lossy(&source));
        within(SOON, "it is stored", || scene.stored(ZIP).is_file());
    }
    let stranger = Authority::new();
    assert!(tls_peer::get(&stranger, modkeep.authority(), LIST).is_err());
}

#[test]
fn several_streams_of_one_connection_get_their_own_bytes() {
    let scene = Scene::new();
    let authority = Authority::new();
    let files = Files::new(&scene, &authority.issue());
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
    let files = Files::new(&scene, &authority.issue());
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
    let first = authority.issue();
    let files = Files::new(&scene, &first);
    let modkeep = files.command(&scene).start();
    assert!(certificate_in_use(&authority, &modkeep) == first.der());

    let second = authority.issue();
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

    let third = authority.issue();
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
    let identity = authority.issue();
    let files = Files::new(&scene, &identity);
    let other = authority.issue();
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
