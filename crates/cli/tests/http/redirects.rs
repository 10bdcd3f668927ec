//! Upstreams that send modkeep elsewhere: where Go would go, and never where only this machine can look.

use testkit::{Answer, Authority, Fault, TlsPeer};

use crate::scene::{Ask as _, LIST, MOD, PATHS, Scene, ZIP, class_of};
use crate::tls::identity;

#[test]
fn another_host_may_have_the_file() {
    let scene = Scene::empty();
    let other = Scene::new();
    for path in PATHS {
        let target = format!("{}{path}", other.upstream.url());
        scene.upstream.fail(path, Fault::Redirect(target));
    }
    let with_password = scene.upstream.url().replace("//", "//user:secret@");
    let modkeep = scene.start_with(&[("upstream", &with_password)]);
    for path in PATHS {
        let reply = modkeep.get(path);
        assert!(reply.body == other.source(path), "{path}");
        assert!(
            modkeep.get_stored(path).body == other.source(path),
            "{path}"
        );
    }
    assert!(
        scene
            .upstream
            .requests()
            .iter()
            .all(|request| request.header("Authorization").is_some())
    );
    // Credentials are for the host they were given for.
    assert!(
        other
            .upstream
            .requests()
            .iter()
            .all(|request| request.header("Authorization").is_none())
    );
}

#[test]
fn as_many_redirects_are_followed_as_go_follows() {
    let scene = Scene::new();
    let url = scene.upstream.url();
    let hops = |count: usize| {
        scene.upstream.heal();
        scene
            .upstream
            .fail(LIST, Fault::Redirect(format!("{url}/hop/{count}")));
        for left in 1..=count {
            let target = match left {
                1 => format!("{url}{MOD}"),
                _ => format!("{url}/hop/{}", left - 1),
            };
            let hop = format!("/hop/{left}");
            scene.upstream.fail(hop.as_str(), Fault::Redirect(target));
        }
        let store = Scene::empty();
        store.start_with(&[("upstream", &url)]).get(LIST)
    };
    let reply = hops(8);
    assert!(reply.body == scene.source(MOD), "{}", reply.text());
    let reply = hops(9);
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("10 redirects"), "{}", reply.text());
}

#[test]
fn a_redirect_in_circles_ends() {
    let scene = Scene::new();
    let target = format!("{}{ZIP}", scene.upstream.url());
    scene.upstream.fail(ZIP, Fault::Redirect(target));
    let reply = scene.start().get(ZIP);
    assert_eq!(
        (reply.status, class_of(&reply).as_str()),
        (502, "goproxy-corrupt")
    );
    assert_eq!(scene.upstream.count(ZIP), 30);
}

#[test]
fn a_redirect_to_what_only_this_machine_can_see_is_refused() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let port = scene.upstream.address().port();
    for target in [
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "gopher://127.0.0.1/x".to_owned(),
        "data:text/plain,v1.0.0".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fe80::1]/x".to_owned(),
        "http://[::ffff:169.254.169.254]/x".to_owned(),
        "http://2852039166/x".to_owned(),
        format!("http://0.0.0.0:{port}{MOD}"),
        format!("http://[::]:{port}{MOD}"),
    ] {
        for path in [LIST, ZIP] {
            scene.upstream.forget();
            scene.upstream.fail(path, Fault::Redirect(target.clone()));
            let reply = modkeep.get_anew(path);
            scene.upstream.heal();
            assert_eq!(reply.status, 502, "{target}: {}", reply.text());
            assert!(scene.upstream.count(path) >= 1, "{target}");
            assert_eq!(class_of(&reply), "goproxy-corrupt", "{target}");
            assert!(!reply.text().contains("root:"), "{target}");
        }
    }
}

#[test]
fn a_redirect_that_leads_nowhere_is_trouble() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for answer in [
        Answer::status(302),
        Answer::status(301).header("Location", "http://"),
        Answer::status(307).header("Location", "\u{0}"),
        Answer::status(300),
    ] {
        scene.upstream.fail(LIST, Fault::Answer(answer));
        let reply = modkeep.get_anew(LIST);
        scene.upstream.heal();
        assert_eq!(reply.status, 502, "{}", reply.text());
    }
    assert_eq!(modkeep.get_anew(LIST).status, 200);
}

#[test]
fn a_secure_upstream_does_not_lead_into_the_open() {
    let scene = Scene::new();
    let authority = Authority::new();
    let secure = TlsPeer::redirect(
        &identity(&authority),
        &format!("{}{LIST}", scene.upstream.url()),
    );
    let certificates = scene.file("authority.pem");
    std::fs::write(&certificates, authority.pem()).unwrap();
    let modkeep = scene
        .command_with(&[("upstream", &secure.url())])
        .env("SSL_CERT_FILE", &certificates)
        .start();
    let reply = modkeep.get(LIST);
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert!(reply.text().contains("insecure"), "{}", reply.text());
    assert_eq!(secure.heads().len(), 3);
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn a_secure_upstream_without_a_known_authority_is_not_believed() {
    let scene = Scene::new();
    let secure = TlsPeer::redirect(&identity(&Authority::new()), "https://127.0.0.1/");
    let certificates = scene.file("authority.pem");
    std::fs::write(&certificates, Authority::new().pem()).unwrap();
    let modkeep = scene
        .command_with(&[("upstream", &secure.url())])
        .env("SSL_CERT_FILE", &certificates)
        .start();
    let reply = modkeep.get(LIST);
    assert_eq!(
        (reply.status, class_of(&reply).as_str()),
        (502, "tls-unknown-ca-mitm")
    );
    assert_eq!(secure.heads().len(), 0);
}
