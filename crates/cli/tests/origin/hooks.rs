//! Webhooks and publishing: what others tell this server.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use testkit::http::{Connection, Reply};
use testkit::{Exit, Go, Modkeep, Module};

use crate::scene::Scene;

const SECRET: &str = "a secret of hooks";
const TOKEN: &str = "a token of publishers";

/// Lists that are believed for an hour.
const CONFIG: &str = "[[origin]]\npattern = \"git.corp.test/*/*\"\nremote = \"https://{host}/{path}\"\ncredentials = \"env:CORP_LOGIN\"\n\n\
    [hooks]\nsecret = \"env:HOOK_SECRET\"\n\n[publish]\nmodules = \"corp.example\"\ntoken = \"env:PUBLISH\"\n\n[cache]\nttl = \"1h\"\n";

fn start(scene: &Scene) -> Modkeep {
    scene
        .command(CONFIG)
        .env("CORP_LOGIN", "robot:s3cret")
        .env("HOOK_SECRET", SECRET)
        .env("PUBLISH", TOKEN)
        .start()
}

type Headers<'a> = &'a [(&'a str, &'a str)];

fn send(
    modkeep: &Modkeep,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut connection = Connection::open(modkeep.authority()).unwrap();
    let length = body.len().to_string();
    let all = [
        headers,
        &[("Content-Length", &length), ("Connection", "close")],
    ]
    .concat();
    connection
        .request(method, modkeep.authority(), path, &all)
        .unwrap();
    // A server that refuses early may close before it has read everything.
    let _refused_early = connection.send(body);
    connection.reply(false).unwrap()
}

fn versions(go: &Go, module: &str) -> String {
    let listed = go.run(go.home(), &["list", "-m", "-versions", module]);
    listed.expect_success().trim().to_owned()
}

fn signed(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[test]
fn a_new_tag_is_listed_right_after_the_hook_and_not_before() {
    let scene = Scene::new();
    let library = scene.forge.repository("git.corp.test/team/lib");
    library.module("", "git.corp.test/team/lib", "lib").commit();
    library.tag("v1.0.0");
    let modkeep = start(&scene);
    let go = Scene::go_through(&modkeep);
    let module = "git.corp.test/team/lib";
    assert_eq!(versions(&go, module), format!("{module} v1.0.0"));
    library.tag("v1.1.0");
    assert_eq!(versions(&go, module), format!("{module} v1.0.0"));

    let body =
        br#"{"ref":"refs/tags/v1.1.0","repository":{"ssh_url":"git@git.corp.test:team/lib.git"}}"#;
    let wrong = signed(b"something else");
    for headers in [&[][..], &[("X-Hub-Signature-256", wrong.as_str())]] {
        let refused = send(&modkeep, "POST", "/api/v1/hooks/github", headers, body);
        assert_eq!(refused.status, 401, "{}", refused.text());
    }
    assert_eq!(versions(&go, module), format!("{module} v1.0.0"));

    let signature = signed(body);
    let headers = [("X-Hub-Signature-256", signature.as_str())];
    let taken = send(&modkeep, "POST", "/api/v1/hooks/github", &headers, body);
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert!(taken.text().contains(module), "{}", taken.text());
    assert_eq!(versions(&go, module), format!("{module} v1.0.0 v1.1.0"));

    library.tag("v1.2.0");
    let again = send(&modkeep, "POST", "/api/v1/hooks/github", &headers, body);
    assert!(
        again.text().contains("\"replayed\":true"),
        "{}",
        again.text()
    );
    assert_eq!(versions(&go, module), format!("{module} v1.0.0 v1.1.0"));
    let token = [("X-Gitlab-Token", SECRET)];
    let other = br#"{"project":{"git_http_url":"https://git.corp.test/team/lib.git"}}"#;
    let taken = send(&modkeep, "POST", "/api/v1/hooks/gitlab", &token, other);
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert_eq!(
        versions(&go, module),
        format!("{module} v1.0.0 v1.1.0 v1.2.0")
    );
    assert!(!modkeep.stderr().contains(SECRET));
}

/// Runs `modkeep publish` with the right token.
fn publish(scene: &Scene, modkeep: &Modkeep, arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .args(["publish", "--to", modkeep.url(), "--token", "env:PUBLISH"])
        .args(arguments)
        .env("PUBLISH", TOKEN)
        .env_remove("HTTP_PROXY")
        .env("NO_PROXY", "127.0.0.1")
        .current_dir(scene.file(""))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn what_is_published_is_there_for_go_and_is_never_replaced() {
    let scene = Scene::new();
    let modkeep = start(&scene);
    let go = Scene::go_through(&modkeep);
    let module = "corp.example/pub/lib";
    let folder = scene.file("lib");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("go.mod"),
        format!("module {module}\n\ngo 1.21\n"),
    )
    .unwrap();
    std::fs::write(
        folder.join("lib.go"),
        "package lib\n\nconst Name = \"first\"\n",
    )
    .unwrap();

    let (status, text) = publish(&scene, &modkeep, &["--tag", "v1.0.0", "lib"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("is published: h1:"), "{text}");
    let (status, text) = publish(&scene, &modkeep, &["--tag", "v1.0.0", "lib"]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("with the same files"), "{text}");
    std::fs::write(
        folder.join("lib.go"),
        "package lib\n\nconst Name = \"second\"\n",
    )
    .unwrap();
    let (status, text) = publish(&scene, &modkeep, &["--tag", "v1.0.0", "lib"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(
        text.contains("409") && text.contains("never replaced"),
        "{text}"
    );
    let (status, text) = publish(&scene, &modkeep, &["--tag", "v1.1.0", "lib"]);
    assert_eq!(status, Some(0), "{text}");

    assert_eq!(versions(&go, module), format!("{module} v1.0.0 v1.1.0"));
    std::fs::write(
        go.home().join("go.mod"),
        "module example.com/main\n\ngo 1.21\n",
    )
    .unwrap();
    let main =
        format!("package main\n\nimport \"{module}\"\n\nfunc main() {{ print(lib.Name) }}\n");
    std::fs::write(go.home().join("main.go"), main).unwrap();
    go.run(go.home(), &["get", &format!("{module}@v1.0.0")])
        .expect_success();
    let built = go.run(go.home(), &["build", "-o", "app", "."]);
    built.expect_success();
    let output = std::process::Command::new(go.home().join("app"))
        .output()
        .unwrap();
    assert_eq!(output.stderr, b"first");
    let latest = testkit::http::get(&format!("{}/{module}/@latest", modkeep.url())).unwrap();
    assert!(latest.text().contains("v1.1.0"), "{}", latest.text());
    // Nobody was asked for it.
    let asked: Vec<String> = scene.tunnel.hosts();
    assert!(
        !asked.iter().any(|host| host.contains("corp.example")),
        "{asked:?}"
    );
    let show = std::process::Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .args(["store", "show", &format!("{module}@v1.0.0"), "--data"])
        .arg(scene.file("data"))
        .output()
        .unwrap();
    let shown = String::from_utf8(show.stdout).unwrap();
    assert!(shown.contains("published here"), "{shown}");
    let _exit: Exit = modkeep.terminate();
}

#[test]
fn what_does_not_belong_here_is_refused_with_the_reason() {
    let scene = Scene::new();
    let modkeep = start(&scene);
    let module = Module::new("corp.example/pub/m", "v1.0.0").file("m.go", "package m\n");
    let (zip, path) = (module.zip(), "/corp.example/pub/m/@v/v1.0.0.zip");
    let bearer = format!("Bearer {TOKEN}");
    let good = [("Authorization", bearer.as_str())];
    let put = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let reply = send(&modkeep, "PUT", path, headers, body);
        (reply.status, reply.text())
    };
    let table: [(&str, Headers, &[u8], u16, &str); 8] = [
        (path, &[], &zip, 401, "needs the token"),
        (
            path,
            &[("Authorization", "Bearer wrong")],
            &zip,
            401,
            "needs the token",
        ),
        (
            "/example.com/other/@v/v1.0.0.zip",
            &good,
            &zip,
            403,
            "publish.modules",
        ),
        (path, &good, b"no zip", 400, "zip"),
        (path, &good, &zip[..zip.len() / 2], 400, "zip"),
        (
            "/corp.example/pub/m/@v/v1.0.1.zip",
            &good,
            &zip,
            400,
            "v1.0.1",
        ),
        (
            "/corp.example/pub/m/@v/v0.0.0-20200101000000-abcdefabcdef.zip",
            &good,
            &zip,
            400,
            "pseudo",
        ),
        ("/corp.example/pub/m/@v/v1.0.0.mod", &good, &zip, 405, "GET"),
    ];
    for (path, headers, body, status, reason) in table {
        let (found, text) = put(path, headers, body);
        assert_eq!(found, status, "{path}: {text}");
        assert!(text.contains(reason), "{path}: {text}");
    }
    let listed = testkit::http::get(&format!("{}/corp.example/pub/m/@v/list", modkeep.url()));
    assert_eq!(listed.unwrap().status, 404);

    let declares =
        Module::new("corp.example/pub/m", "v1.0.0").go_mod("module corp.example/pub/else\n");
    let (status, text) = put(path, &good, &declares.zip());
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("declares"), "{text}");
    let without = Module::new("corp.example/pub/m", "v1.0.0").without_go_mod();
    assert_eq!(put(path, &good, &without.zip()).0, 400);

    let password = [("Authorization", "Basic Y2k6YSB0b2tlbiBvZiBwdWJsaXNoZXJz")];
    assert_eq!(put(path, &password, &zip).0, 201);
    assert_eq!(put(path, &good, &zip).0, 200);
    let other = Module::new("corp.example/pub/m", "v1.0.0").file("m.go", "package other\n");
    let (status, text) = put(path, &good, &other.zip());
    assert_eq!(status, 409, "{text}");
    let stored = testkit::http::get(&format!("{}{path}", modkeep.url())).unwrap();
    assert_eq!(stored.body, zip);
    assert!(!modkeep.stderr().contains(TOKEN));
}
