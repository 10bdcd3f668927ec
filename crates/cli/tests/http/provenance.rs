//! What is told about a version, by the server and by the commands beside it.

use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Answer, ChecksumDatabase, Module};

use crate::scene::{Ask as _, BINARY, INFO, MOD, MODULE, SOON, Scene, ZIP, class_of, within};

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

/// The scene's module.
fn module() -> Module {
    Module::big(MODULE, "v1.2.3", 300_000)
}

#[test]
fn everything_that_speaks_for_a_version_is_on_record() {
    let scene = Scene::new();
    let database = ChecksumDatabase::new("sum.example.com", 1);
    for number in 0..4 {
        database.add(&Module::new(
            &format!("example.com/other{number}"),
            "v1.0.0",
        ));
    }
    database.add(&module());
    let setting = database.setting();
    let server = scene.start_with(&[("sumdb", &setting)]);
    // The record states both hashes, whichever file is asked for.
    server.get_stored(ZIP);
    server.settle();
    let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
    assert_eq!(
        told["go_mod"]["verification"]["state"], "proven",
        "{told:#}"
    );
    for path in [INFO, MOD] {
        server.get_stored(path);
    }
    server.settle();
    let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
    assert!(told["first_seen"].as_str().unwrap().ends_with('Z'));
    for (file, path) in told["files"]
        .as_array()
        .unwrap()
        .iter()
        .zip([INFO, MOD, ZIP])
    {
        let source = scene.source(path);
        assert_eq!(file["size"], source.len());
        let url = format!("{}{path}", scene.upstream.url());
        assert_eq!(file["url"], url, "{file:#}");
        let etag = file["etag"].as_str().unwrap();
        assert!(etag.starts_with('"'), "{etag}");
        assert_eq!(file["sha256"], store::Digest::of(&source).to_string());
    }
    for (file, hash) in [("go_mod", module().go_mod_h1()), ("zip", module().zip_h1())] {
        assert_eq!(told[file]["hash"], hash);
        let verification = &told[file]["verification"];
        assert_eq!(verification["state"], "proven");
        assert_eq!(verification["database"], "sum.example.com");
        assert_eq!(
            (&verification["record"], &verification["tree_size"]),
            (&4.into(), &5.into())
        );
    }
    let name = format!("{MODULE}@v1.2.3");
    let shown = text(&modkeep(&scene, &["store", "show", &name]).stdout);
    for part in [
        module().zip_h1().as_str(),
        module().go_mod_h1().as_str(),
        "record 4 in a tree of 5",
        "sum.example.com",
        "first seen",
        "etag",
        &format!("{}{ZIP}", scene.upstream.url()),
        &format!("{} bytes", scene.source(ZIP).len()),
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
}

#[test]
fn a_later_check_is_on_record_and_what_it_finds_is_no_longer_served() {
    let scene = Scene::new();
    let mut database = ChecksumDatabase::new("sum.example.com", 1);
    database.add(&module());
    database.server.stop();
    let wrong = b"module example.com/Acme // changed\n";
    let lie = Answer::status(200).body(wrong.as_slice());
    scene.upstream.answer(MOD, lie);
    let setting = database.setting();
    let settings = [("sumdb", setting.as_str()), ("verify", "when-reachable")];
    let server = scene.start_with(&settings);
    assert_eq!(server.get_stored(MOD).body, wrong);
    // Given again from memory.
    assert_eq!(server.get(MOD).body, wrong);
    let zip = server.get_stored(ZIP).body;
    assert_eq!(server.metric("modkeep_unverified_files_total"), 2);
    let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
    assert_eq!(told["zip"]["verification"]["state"], "unchecked");

    database.server.start();
    within(SOON * 6, "both are checked", || {
        let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
        ["go_mod", "zip"]
            .iter()
            .all(|file| told[file]["verification"]["state"] == "proven")
    });
    server.settle();
    assert_eq!(server.get(ZIP).body, zip);
    let refused = server.get(MOD);
    assert_eq!(
        (refused.status, class_of(&refused).as_str()),
        (502, "sumdb-mismatch")
    );
    let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
    let checks = told["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 2, "{told:#}");
    for check in checks {
        assert_eq!(check["check"], "database");
    }
    assert!(server.metric("modkeep_verification_refusals_total") >= 1);
    for part in ["it was taken away", "sumdb-mismatch"] {
        let is_said = server.says_within(part, SOON);
        assert!(is_said, "no {part} in\n{}", server.stderr());
    }
    // What agrees is served.
    let right = module().go_mod_text().to_owned();
    scene
        .upstream
        .answer(MOD, Answer::status(200).body(right.clone()));
    assert_eq!(server.get_stored(MOD).text(), right);
}

#[test]
fn released_bytes_are_served_by_the_running_server() {
    let scene = Scene::new();
    let evil = module().file("more.go", "package big\n");
    {
        let server = scene.start();
        server.get_stored(ZIP);
        server.settle();
    }
    // The zip is lost, and the upstream has another one now: only the first sight disagrees.
    std::fs::remove_file(scene.stored(ZIP)).unwrap();
    let other = Answer::status(200).body(evil.zip());
    scene.upstream.answer(ZIP, other);
    let server = scene.start();
    for _ in 0..2 {
        server.get_cut(ZIP);
        server.settle();
        assert!(!scene.stored(ZIP).exists());
    }
    let listed = modkeep(&scene, &["store", "quarantine", "list", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let entry = &listed[0];
    assert_eq!(entry["reason"], "hash-mismatch", "{listed:#}");
    let id = entry["id"].as_str().unwrap();
    let shown = text(&modkeep(&scene, &["store", "quarantine", "show", id]).stdout);
    for part in [module().zip_h1(), evil.zip_h1(), scene.upstream.url()] {
        assert!(shown.contains(&part), "no {part} in\n{shown}");
    }
    let released = modkeep(&scene, &["store", "quarantine", "release", id]);
    assert_eq!(
        released.status.code(),
        Some(0),
        "{}",
        text(&released.stderr)
    );
    let asked = scene.upstream.count(ZIP);
    assert_eq!(server.get(ZIP).body, evil.zip());
    assert_eq!(scene.upstream.count(ZIP), asked);
    let told: Value = serde_json::from_slice(&server.get(&api_path()).body).unwrap();
    assert_eq!(told["zip"]["verification"]["state"], "released", "{told:#}");
    assert_eq!(told["zip"]["hash"], evil.zip_h1());
}
