//! Clients of a server that only bundles reach.

use std::fs;

use testkit::{Go, http};

use crate::scene::{Scene, expect_done, library};

#[test]
fn a_build_with_verification_on_works_behind_a_server_that_only_a_bundle_reached() {
    let mut scene = Scene::new();
    scene.create_from_project("app.bundle", &[]);
    scene.disconnect();
    expect_done(&scene.apply("app.bundle", "b"));
    let server = scene.serve("b");
    let go = scene.client(Go::find(), server.url());
    scene.build(&go);
    // Nothing was left out that `go` would have verified.
    let asked = http::get(&format!(
        "{}/sumdb/sum.example.com/lookup/example.com/base@v1.1.0",
        server.url()
    ))
    .unwrap();
    assert_eq!(asked.status, 200);
}

#[test]
fn files_from_a_bundle_are_told_to_be_from_it() {
    let mut scene = Scene::new();
    scene.create_from_project("app.bundle", &[]);
    let digest = bundle::Bundle::open(&scene.file("app.bundle")).unwrap();
    let digest = digest.digest().to_owned();
    scene.disconnect();
    expect_done(&scene.apply("app.bundle", "b"));
    let server = scene.serve("b");
    for (version, state) in [
        ("example.com/base@v1.1.0", "proven"),
        ("corp.example.com/secret@v1.0.0", "first-sight"),
    ] {
        let (path, number) = version.split_once('@').unwrap();
        let told = http::get(&format!(
            "{}/api/v1/modules/{path}/versions/{number}",
            server.url()
        ));
        let told: serde_json::Value = serde_json::from_slice(&told.unwrap().body).unwrap();
        let files = told["files"].as_array().unwrap();
        assert_eq!(files.len(), 3, "{told:#}");
        for file in files {
            let source = serde_json::json!({"kind": "bundle", "manifest": digest});
            assert_eq!(file["source"], source, "{told:#}");
            assert_eq!(file["url"], serde_json::Value::Null, "{told:#}");
        }
        assert_eq!(told["zip"]["verification"]["state"], state, "{told:#}");
        let data = scene.data("b");
        let shown =
            crate::scene::run(&["store", "show", version, "--data", data.to_str().unwrap()]);
        assert!(
            shown.stdout.contains(&format!(
                "from the bundle with the manifest sha256:{digest}"
            )),
            "{}{}",
            shown.stdout,
            shown.stderr
        );
    }
}

#[test]
fn a_bundle_is_applied_beside_a_running_server() {
    let mut scene = Scene::new();
    scene.create_from_project("app.bundle", &[]);
    scene.disconnect();
    let server = scene.serve("b");
    let go = scene.client(Go::find(), server.url());
    let refused = go.run(go.home(), &["mod", "download", "example.com/base@v1.1.0"]);
    refused.expect_failure();
    expect_done(&scene.apply("app.bundle", "b"));
    scene.build(&go);
    let latest = http::get(&format!("{}/sumdb/sum.example.com/latest", server.url())).unwrap();
    assert!(latest.text().contains("\n303\n"), "{}", latest.text());
}

#[test]
fn what_a_later_bundle_adds_serves_old_clients_and_new_ones() {
    let mut scene = Scene::new();
    scene.create_from_project("one.bundle", &[]);
    scene.fill(300);
    scene.publish(&library("example.com/base", "v1.2.0", &[]));
    let one = scene.file("one.bundle");
    let since = [
        "--from",
        "example.com/base@v1.2.0",
        "--since",
        one.to_str().unwrap(),
    ];
    expect_done(&scene.create("two.bundle", &since));
    scene.disconnect();
    let shown = scene.bundle_shown("two.bundle");
    assert!(shown.contains("example.com/base@v1.2.0"), "{shown}");
    assert!(!shown.contains("example.com/Mid"), "{shown}");

    // Not without the first one.
    let alone = scene.apply("two.bundle", "c");
    assert!(
        crate::scene::expect_refused(&alone).contains("must be applied first"),
        "{}",
        alone.stderr
    );
    expect_done(&scene.apply("one.bundle", "b"));
    let server = scene.serve("b");
    let old = scene.client(Go::find(), server.url());
    scene.build(&old);
    expect_done(&scene.apply("two.bundle", "b"));
    let new = scene.client(Go::find(), server.url());
    for go in [&old, &new] {
        // The records of the first bundle after the head of the second, and the other way round.
        go.run(go.home(), &["mod", "download", "example.com/base@v1.2.0"])
            .expect_success();
        scene.build(go);
    }
    // An earlier bundle brings nothing new, and nothing back.
    expect_done(&scene.apply("one.bundle", "b"));
}

#[test]
fn a_client_that_has_seen_an_older_head_elsewhere_can_follow() {
    let mut scene = Scene::new();
    let client = {
        // A laptop that was connected when the database was smaller.
        let url = scene.upstream.url();
        let go = scene
            .client(Go::find(), &url)
            .sumdb(&scene.database.setting());
        go.run(go.home(), &["mod", "download", "example.com/base@v1.1.0"])
            .expect_success();
        go
    };
    let head = client
        .home()
        .join("gopath/pkg/sumdb/sum.example.com/latest");
    assert!(fs::read_to_string(&head).unwrap().contains("\n302\n"));
    scene.fill(400);
    scene.create_from_project("app.bundle", &["--known-head", head.to_str().unwrap()]);
    scene.disconnect();
    expect_done(&scene.apply("app.bundle", "b"));
    let server = scene.serve("b");
    // It keeps the head, and nothing else.
    fs::remove_dir_all(client.module_cache()).unwrap();
    let client = scene.client(client, server.url());
    scene.build(&client);
    assert!(fs::read_to_string(&head).unwrap().contains("\n703\n"));
}

#[test]
fn a_server_that_knows_an_older_head_takes_a_bundle_that_leads_on_from_it_and_no_other() {
    let mut scene = Scene::new();
    scene.create_from_project("early.bundle", &[]);
    expect_done(&scene.apply("early.bundle", "b"));
    let head = scene.data("b").join("heads/sum.example.com.note");
    scene.fill(500);
    scene.publish(&library("example.com/base", "v1.2.0", &[]));
    let version = ["--from", "example.com/base@v1.2.0"];
    expect_done(&scene.create("unaware.bundle", &version));
    let aware = [&version[..], &["--known-head", head.to_str().unwrap()]].concat();
    expect_done(&scene.create("aware.bundle", &aware));
    scene.disconnect();
    let refused = crate::scene::expect_refused(&scene.apply("unaware.bundle", "b"));
    assert!(
        refused.contains("--since") && refused.contains("--known-head"),
        "{refused}"
    );
    expect_done(&scene.apply("aware.bundle", "b"));
    // One that knows only the newer head is not led back to the older one.
    expect_done(&scene.apply("aware.bundle", "d"));
    let refused = crate::scene::expect_refused(&scene.apply("early.bundle", "d"));
    assert!(
        refused.contains("an older head of sum.example.com (303 records)"),
        "{refused}"
    );
}
