//! What is told about a version, by the server and by the commands beside it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::scene::{Ask as _, BINARY, INFO, MOD, Scene, ZIP, class_of};

fn modkeep(scene: &Scene, arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .arg("--data")
        .arg(scene.data())
        .env("GOENV", "off")
        .env("MODKEEP_CONFIG", "")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The path of the API for the version that [`ZIP`] is of, with the names escaped as there.
fn api_path() -> String {
    let (module, file) = ZIP.rsplit_once("/@v/").unwrap();
    let version = file.strip_suffix(".zip").unwrap();
    format!("/api/v1/modules{module}/versions/{version}")
}

#[test]
fn a_version_is_told_with_its_source_by_the_api_and_by_the_command() {
    let scene = Scene::new();
    let server = scene.start();
    assert_eq!(server.get(&api_path()).status, 404);
    assert_eq!(class_of(&server.get(&api_path())), "not found");
    for path in [INFO, MOD, ZIP] {
        server.get_stored(path);
    }
    server.settle();
    let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
    let files = told["files"].as_array().unwrap();
    assert_eq!(files.len(), 3, "{told:#}");
    for file in files {
        let url = file["source"]["url"].as_str().unwrap();
        assert!(
            scene.upstream.url().starts_with(url.trim_end_matches('/')),
            "{url}"
        );
        assert_eq!(file["source"]["kind"], "upstream");
    }
    let name = format!(
        "{}@{}",
        told["module"].as_str().unwrap(),
        told["version"].as_str().unwrap()
    );
    let unescaped = format!(
        "/api/v1/modules/{}/versions/{}",
        told["module"].as_str().unwrap(),
        told["version"].as_str().unwrap()
    );
    let again: Value = serde_json::from_slice(&server.get(&unescaped).body).unwrap();
    assert_eq!(again, told);

    // Beside the running server.
    let shown = modkeep(&scene, &["store", "show", &name, "--format", "json"]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    assert_eq!(
        serde_json::from_slice::<Value>(&shown.stdout).unwrap(),
        told
    );
    let shown = text(&modkeep(&scene, &["store", "show", &name]).stdout);
    assert!(shown.starts_with(&name), "{shown}");
    assert!(shown.contains("first seen"), "{shown}");
}

#[test]
fn what_is_unknown_or_malformed_is_said_so() {
    let scene = Scene::new();
    let server = scene.start();
    for (path, status) in [
        ("/api/v1/modules/example.com/unknown/versions/v1.0.0", 404),
        ("/api/v1/modules/example.com/unknown/versions/latest", 400),
        ("/api/v1/modules/example.com/unknown", 400),
    ] {
        assert_eq!(server.get(path).status, status, "{path}");
    }
    let document: Value = serde_json::from_slice(&server.get("/api/v1/openapi.json").body).unwrap();
    assert!(document["paths"].as_object().unwrap().len() > 1);
    for (name, reason) in [
        ("example.com/unknown@v1.0.0", "nothing is on record"),
        ("example.com/unknown", "MODULE@VERSION"),
    ] {
        let shown = modkeep(&scene, &["store", "show", name]);
        assert_eq!(shown.status.code(), Some(2));
        assert!(
            text(&shown.stderr).contains(reason),
            "{}",
            text(&shown.stderr)
        );
    }
}

#[test]
fn quarantined_bytes_are_listed_and_dropped_beside_a_running_server() {
    let scene = Scene::new();
    let server = scene.start();
    let empty = modkeep(&scene, &["store", "quarantine", "list"]);
    assert_eq!(empty.status.code(), Some(0), "{}", text(&empty.stderr));
    server.get_stored(ZIP);
    server.settle();
    std::fs::write(scene.stored(ZIP), "torn").unwrap();
    server.get_stored(ZIP);
    server.settle();

    let listed = modkeep(&scene, &["store", "quarantine", "list", "--format", "json"]);
    assert_eq!(listed.status.code(), Some(1), "{}", text(&listed.stderr));
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["reason"], "damaged");
    let id = listed[0]["id"].as_str().unwrap();
    let shown = modkeep(&scene, &["store", "quarantine", "show", id]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).contains("damaged"));

    let refused = modkeep(&scene, &["store", "quarantine", "release", id]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("cannot be released"),
        "{}",
        text(&refused.stderr)
    );
    let dropped = modkeep(&scene, &["store", "quarantine", "drop", id]);
    assert_eq!(dropped.status.code(), Some(0), "{}", text(&dropped.stderr));
    let gone = modkeep(&scene, &["store", "quarantine", "drop", id]);
    assert_eq!(gone.status.code(), Some(2));
    let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
    assert_eq!(told["events"][0]["kind"], "dropped", "{told:#}");
}
