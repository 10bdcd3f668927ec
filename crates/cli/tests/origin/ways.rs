//! The ways to the repositories of an origin: what it is shown, through what it is reached, and under which address.

use std::path::PathBuf;

use testkit::{Authority, Modkeep, http};

use crate::scene::Scene;
use crate::tunnel::Tunnel;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// All that is asked of a module: over a connection of our own, and by git, which history is left to.
const PATHS: [&str; 5] = [
    "@v/list",
    "@latest",
    "@v/v1.0.0.mod",
    "@v/v1.0.0.zip",
    "@v/main.info",
];

fn publish(scene: &Scene, repository: &str, module: &str) {
    let library = scene.forge.repository(repository);
    library.module("", module, "lib").commit();
    library.tag("v1.0.0");
    library.write("later.go", "package lib\n").commit();
}

fn get(modkeep: &Modkeep, path: &str) -> (u16, String) {
    let reply = http::get(&format!("{}/{path}", modkeep.url())).unwrap();
    (reply.status, reply.text())
}

fn assert_served(modkeep: &Modkeep, module: &str) {
    for path in PATHS {
        let (status, said) = get(modkeep, &format!("{module}/{path}"));
        assert_eq!(status, 200, "{path}: {said}{}", modkeep.stderr());
    }
}

fn file(scene: &Scene, name: &str, text: &str) -> PathBuf {
    let path = scene.file(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_server_that_lets_in_whom_it_knows_is_shown_the_certificate_of_the_origin() {
    let scene = Scene::for_known_clients();
    publish(&scene, "git.public.test/lib", "git.public.test/lib");
    let identity = scene.forge.signer.issue(&["modkeep.test"]);
    let certificate = file(&scene, "client.pem", &identity.certificate);
    let key = file(&scene, "client.key", &identity.key);
    // Everybody else believes another authority.
    let stranger = file(&scene, "stranger.pem", Authority::new().pem());
    let origin = format!(
        "[[origin]]\npattern = \"git.public.test/*\"\nremote = \"https://{{host}}/{{path}}\"\nca-file = \"{}\"\n",
        scene.forge.authority.display()
    );
    let shown = format!(
        "{origin}client-certificate = \"{}\"\nclient-key = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    let modkeep = scene
        .command(&shown)
        .env("SSL_CERT_FILE", &stranger)
        .start();
    assert_served(&modkeep, "git.public.test/lib");
    drop(modkeep);

    // Without it the server does not even listen: that is no absence.
    std::fs::remove_dir_all(scene.file("data")).unwrap();
    let modkeep = scene
        .command(&origin)
        .env("SSL_CERT_FILE", &stranger)
        .start();
    let (status, said) = get(&modkeep, "git.public.test/lib/@v/list");
    assert!((500..600).contains(&status), "{status}: {said}");
}

#[test]
fn origins_are_reached_through_proxies_of_either_kind() {
    for kind in ["http", "socks5"] {
        let scene = Scene::new();
        publish(&scene, "git.public.test/lib", "git.public.test/lib");
        let server = scene.forge.address;
        let tunnel = if kind == "http" {
            Tunnel::to(server)
        } else {
            Tunnel::socks(server)
        };
        let config = format!(
            "[[origin]]\npattern = \"git.public.test/*\"\nremote = \"https://{{host}}/{{path}}\"\nproxy = \"{}\"\n",
            tunnel.url
        );
        let modkeep = scene
            .command(&config)
            .env("HTTPS_PROXY", NOWHERE)
            .env("HTTP_PROXY", NOWHERE)
            .start();
        assert_served(&modkeep, "git.public.test/lib");
        assert_eq!(tunnel.hosts(), ["git.public.test:443"], "{kind}");
    }
}

#[test]
fn an_address_is_replaced_for_the_fetch_and_kept_for_the_record() {
    let scene = Scene::new();
    publish(&scene, "git.public.test/new/lib", "go.vanity.test/lib");
    scene.forge.page(
        "go.vanity.test/lib",
        "go.vanity.test/lib git https://git.public.test/old/lib",
    );
    let config = "[[origin]]\npattern = \"go.vanity.test/*\"\ninstead-of = { \"https://git.public.test/old/\" = \"https://git.public.test/new/\" }\n";
    let modkeep = scene.command(config).start();
    assert_served(&modkeep, "go.vanity.test/lib");
    let (_, info) = get(&modkeep, "go.vanity.test/lib/@v/v1.0.0.info");
    assert!(
        info.contains("\"URL\":\"https://git.public.test/old/lib\""),
        "{info}"
    );
    let requests = scene.forge.requests.lock().unwrap().clone();
    let is_old = |request: &&String| request.contains("/old/");
    assert_eq!(requests.iter().find(is_old), None);
    // Whoever looks at the log of a forge sees who it is; many let only git in.
    for agent in scene.forge.agents() {
        let is_git = agent.starts_with("git/") || !agent.contains("git");
        assert!(agent.contains("modkeep/") && is_git, "{agent}");
    }
}

#[test]
fn upstreams_are_asked_first_for_modules_of_an_origin_that_is_not_exclusive() {
    let scene = Scene::new();
    publish(&scene, "git.public.test/lib", "git.public.test/lib");
    let origin =
        "[[origin]]\npattern = \"git.public.test/*\"\nremote = \"https://{host}/{path}\"\n";
    for (exclusive, is_asked) in [("", false), ("exclusive = false\n", true)] {
        let modkeep = scene.command(&format!("{origin}{exclusive}")).start();
        assert_served(&modkeep, "git.public.test/lib");
        let requests = scene.upstream.requests();
        let mut paths = requests.iter().map(|request| &request.path);
        assert_eq!(
            paths.any(|path| path.contains("git.public.test")),
            is_asked,
            "{exclusive}"
        );
        drop(modkeep);
        std::fs::remove_dir_all(scene.file("data")).unwrap();
    }
}
