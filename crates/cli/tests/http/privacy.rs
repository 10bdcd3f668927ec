//! What must not get out: private names to anyone, and secrets to anyone but those they are for.

use testkit::{Fault, Modkeep, Module, UpstreamServer};

use crate::scene::{Ask as _, INFO, LIST, MOD, PATHS, SOON, Scene, ZIP, class_of, within};

/// Every way to ask about a module.
fn questions(module: &str) -> Vec<String> {
    let escaped = testkit::escaped(module);
    let of_module = [
        "@v/list",
        "@latest",
        "@v/main.info",
        "@v/abcdef123456.info",
        "@v/v1.0.0.info",
        "@v/v1.0.0.mod",
        "@v/v1.0.0.zip",
        "@v/v0.0.0-20210304050607-abcdef123456.info",
    ];
    of_module
        .iter()
        .map(|rest| format!("/{escaped}/{rest}"))
        .chain([
            format!("/sumdb/sum.golang.org/lookup/{escaped}@v1.0.0"),
            format!("/sumdb/sum.golang.org/lookup/{escaped}@v1.0.0/go.mod"),
            // As nobody should write it.
            format!("/sumdb/sum.golang.org/lookup/{module}@v1.0.0"),
            format!(
                "/sumdb/sum.golang.org/lookup/{}@v1.0.0",
                escaped.replace("corp", "%63orp")
            ),
        ])
        .collect()
}

#[test]
fn private_names_reach_no_upstream_and_no_database() {
    let scene = Scene::new();
    let database = UpstreamServer::serve(scene.tree.root());
    let sumdb = format!("sum.golang.org {}", database.url());
    let settings = [
        ("sumdb", sumdb.as_str()),
        (
            "private",
            "corp.example.com,*.corp.example.com,example.com/Secret*",
        ),
    ];
    let modkeep = scene.start_with(&settings);
    for module in [
        "corp.example.com/a",
        "corp.example.com/Team/b/v2",
        "git.corp.example.com/x",
        "example.com/Secret",
        "example.com/SecretSauce/sub",
    ] {
        for path in questions(module) {
            let reply = modkeep.get(&path);
            assert!(
                reply.status >= 400 && ![404, 410].contains(&reply.status)
                    || path.ends_with("v2/@v/v1.0.0.mod")
                    || path.ends_with("v2/@v/v1.0.0.zip"),
                "{path}: {}",
                reply.status
            );
            modkeep.head(&path);
            modkeep.get(&format!("/cached-only{path}"));
        }
    }
    assert_eq!(scene.upstream.connections(), 0);
    assert_eq!(database.connections(), 0);
    // What only looks alike is public.
    for module in [
        "corp.example.community/a",
        "example.com/secret",
        "x.example.com/corp",
    ] {
        scene.tree.add(&Module::new(module, "v1.0.0"));
        let path = format!("/{}/@v/list", testkit::escaped(module));
        assert_eq!(modkeep.get(&path).status, 200, "{path}");
    }
}

#[test]
fn private_modules_that_are_stored_are_served() {
    let scene = Scene::new();
    {
        let modkeep = scene.start();
        for path in PATHS {
            modkeep.get_stored(path);
        }
        modkeep.terminate();
    }
    scene.upstream.forget();
    let settings = [("private", "example.com"), ("cache.ttl", "0s")];
    let modkeep = scene.start_with(&settings);
    for path in PATHS {
        let reply = modkeep.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(reply.body == scene.source(path), "{path}");
    }
    assert_eq!(scene.upstream.connections(), 0);
}

#[test]
fn a_private_module_is_refused_with_its_reason() {
    let scene = Scene::new();
    let settings = [("private", "example.com"), ("sumdb", "sum.golang.org")];
    let modkeep = scene.start_with(&settings);
    let reply = modkeep.get("/sumdb/sum.golang.org/lookup/example.com/!acme@v1.2.3");
    assert_eq!(
        (reply.status, class_of(&reply).as_str()),
        (403, "forbidden")
    );
    for word in ["example.com/Acme", "private", "GONOSUMDB"] {
        assert!(reply.text().contains(word), "{}", reply.text());
    }
    let reply = modkeep.get(LIST);
    assert!(
        reply.text().contains("example.com/Acme"),
        "{}",
        reply.text()
    );
    // Its own repository is asked, which cannot be reached here.
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert_eq!(scene.upstream.connections(), 0);
}

const USER: &str = "deploy%40corp";
const PASSWORD: &str = "s3cr%3At";
/// `deploy@corp:s3cr:t` in Base64.
const BASIC: &str = "Basic ZGVwbG95QGNvcnA6czNjcjp0";

/// Whatever the server says about itself, in trouble and out of it.
fn everything_said(scene: &Scene, modkeep: Modkeep) -> String {
    let mut said = String::new();
    let mut note = |reply: testkit::http::Reply| {
        for (name, value) in &reply.headers {
            said.extend([name, ": ", value, "\n"]);
        }
        said.push_str(&reply.text());
    };
    for fault in [
        Fault::status(500),
        Fault::status(401),
        Fault::Html,
        Fault::ResetWithoutAnswer,
        Fault::Redirect("ftp://x/".to_owned()),
        Fault::TruncateAt(1),
    ] {
        scene.upstream.fail("*", fault);
        for path in PATHS {
            note(modkeep.get_anew(path));
        }
        note(modkeep.get_anew("/readyz"));
    }
    scene.upstream.heal();
    note(modkeep.get_anew("/example.com/none/@v/list"));
    note(modkeep.get_anew(LIST));
    for path in [INFO, MOD] {
        note(modkeep.get_stored(path));
    }
    assert_eq!(modkeep.get_anew(ZIP).status, 200);
    scene.upstream.fail("*", Fault::status(503));
    for path in ["/readyz", "/metrics", "/", "/index", LIST] {
        note(modkeep.get_anew(path));
    }
    modkeep.reload();
    assert!(modkeep.says_within("read again", SOON));
    let exit = modkeep.terminate();
    said + &exit.stdout + &exit.stderr
}

#[test]
fn the_password_of_an_upstream_is_for_that_upstream_alone() {
    let scene = Scene::new();
    let credentials = format!("//{USER}:{PASSWORD}@");
    let url = scene.upstream.url().replace("//", &credentials);
    let settings = [
        ("log.level", "trace"),
        ("cache.ttl", "0s"),
        ("upstream", &url),
    ];
    let said = everything_said(&scene, scene.start_with(&settings));
    for request in scene.upstream.requests() {
        assert_eq!(
            request.header("Authorization"),
            Some(BASIC),
            "{}",
            request.path
        );
    }
    for secret in [
        PASSWORD,
        "s3cr:t",
        "s3cr",
        BASIC.trim_start_matches("Basic "),
    ] {
        assert!(!said.contains(secret), "{secret} in\n{said}");
    }
    assert!(said.contains(&scene.upstream.url()), "{said}");
    for file in crate::scene::files_below(&scene.data()) {
        let content = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!content.contains("s3cr"), "{}", file.display());
    }
}

#[test]
fn the_password_of_a_flag_does_not_come_back_in_a_complaint() {
    let scene = Scene::empty();
    for chain in [
        "ftp://me:s3cret@127.0.0.1/",
        "https://me:s3cret@127.0.0.1:port/",
        "file://me:s3cret@host/x",
        "https://me:s3cret@exa mple.com/,direct,",
        "me:s3cret@",
    ] {
        let exit = scene
            .bare_command()
            .upstream(chain)
            .try_start()
            .map(|modkeep| panic!("{chain} was accepted: {}", modkeep.stdout()))
            .unwrap_err();
        assert_eq!(exit.code, Some(2), "{chain}");
        assert!(!exit.stderr.contains("s3cret"), "{chain}: {}", exit.stderr);
        assert!(exit.stderr.contains("upstream"), "{chain}: {}", exit.stderr);
    }
}

#[test]
fn credentials_come_from_netrc_for_secure_upstreams_only() {
    let scene = Scene::new();
    let netrc = scene.file("netrc");
    std::fs::write(&netrc, "machine 127.0.0.1 login me password s3cret\n").unwrap();
    let modkeep = scene.command_with(&[]).env("NETRC", &netrc).start();
    assert_eq!(modkeep.get(MOD).status, 200);
    within(SOON, "it is stored", || scene.stored(MOD).is_file());
    let request = &scene.upstream.requests()[0];
    assert_eq!(request.header("Authorization"), None);
    assert!(!modkeep.stderr().contains("s3cret"));
}
