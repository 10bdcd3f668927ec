//! Files that were damaged while they lay in the store, and records that were lost.

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use testkit::Modkeep;

use crate::scene::{
    Ask as _, BINARY, HIT, INFO, LIST, MOD, PATHS, SOON, Scene, ZIP, files_below, within,
};

/// A store that has everything, with no server on it.
fn filled() -> Scene {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in PATHS {
        modkeep.get_stored(path);
    }
    assert_eq!(modkeep.terminate().code, Some(0));
    scene.upstream.forget();
    scene
}

fn invert_first_byte(path: &Path) {
    let byte = fs::read(path).unwrap()[0];
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[!byte]).unwrap();
}

/// Whether files here can carry their digest with them. Where they cannot, only scrubbing finds changed bytes.
fn carries_digests(scene: &Scene) -> bool {
    let mut value = [0; 128];
    rustix::fs::getxattr(scene.stored(MOD), "user.modkeep.sha256", &mut value).is_ok()
}

fn assert_mended(scene: &Scene, modkeep: &Modkeep, path: &str) {
    let reply = modkeep.get_anew(path);
    assert_eq!((reply.status, reply.complete), (200, true), "{path}");
    assert!(reply.body == scene.source(path), "{path}");
    scene.assert_asked(modkeep, path, 1);
    let reply = modkeep.get_stored(path);
    assert!(reply.body == scene.source(path), "{path}");
    assert!(fs::read(scene.stored(path)).unwrap() == scene.source(path));
}

#[test]
fn a_file_that_was_cut_is_set_aside_and_fetched_again() {
    let scene = filled();
    let zip = scene.source(ZIP);
    fs::write(scene.stored(ZIP), &zip[..100_000]).unwrap();
    let modkeep = scene.start();
    assert_mended(&scene, &modkeep, ZIP);
    let aside = quarantined(&scene);
    assert_eq!(aside.len(), 1);
    assert!(fs::read(&aside[0]).unwrap() == zip[..100_000]);
    assert_eq!(modkeep.metric("modkeep_store_quarantined_total"), 1);
    assert!(modkeep.says_within("damaged", SOON), "{}", modkeep.stderr());
    let told = modkeep
        .get("/api/v1/modules/example.com/!acme/versions/v1.2.3")
        .text();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let events = told["warnings"].as_array().unwrap();
    let event = events.iter().find(|event| event["kind"] == "quarantined");
    let event = event.unwrap_or_else(|| panic!("{told:#}"));
    assert_eq!(event["file"], "zip", "{told:#}");
    assert!(
        event["reason"].as_str().unwrap().contains("damaged"),
        "{told:#}"
    );
}

#[test]
fn a_file_that_is_cut_while_the_server_runs_is_noticed() {
    let scene = filled();
    let modkeep = scene.start();
    assert!(modkeep.get(ZIP).body == scene.source(ZIP));
    for len in [0, 1, 200_000] {
        scene.upstream.forget();
        fs::write(scene.stored(ZIP), &scene.source(ZIP)[..len]).unwrap();
        assert_mended(&scene, &modkeep, ZIP);
    }
}

#[test]
fn small_files_with_other_bytes_are_set_aside_and_fetched_again() {
    let scene = filled();
    if !carries_digests(&scene) {
        testkit::skipped("changed bytes of stored files (no extended attributes here)");
        return;
    }
    for path in [INFO, MOD] {
        invert_first_byte(&scene.stored(path));
    }
    let modkeep = scene.start();
    for path in [INFO, MOD] {
        assert_mended(&scene, &modkeep, path);
    }
    assert_eq!(quarantined(&scene).len(), 2);
}

/// The bytes that were set aside.
fn quarantined(scene: &Scene) -> Vec<PathBuf> {
    let files = files_below(&scene.data().join("quarantine"));
    let is_content = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem == "content");
    files.into_iter().filter(is_content).collect()
}

#[test]
fn a_damaged_file_that_cannot_be_fetched_is_trouble_and_not_absent() {
    let mut scene = filled();
    fs::write(scene.stored(ZIP), b"PK\x03\x04").unwrap();
    scene.upstream.stop();
    let modkeep = scene.start();
    assert_eq!(modkeep.get(ZIP).status, 502);
    scene.upstream.start();
    assert_mended(&scene, &modkeep, ZIP);
}

#[test]
fn an_answer_that_cannot_be_read_is_fetched_again() {
    let scene = filled();
    for file in files_below(&scene.data().join("answers")) {
        fs::write(file, b"\0\xff nonsense").unwrap();
    }
    let modkeep = scene.start();
    for path in PATHS {
        assert!(modkeep.get(path).body == scene.source(path), "{path}");
    }
}

#[test]
fn a_removed_file_is_fetched_again() {
    let scene = filled();
    let modkeep = scene.start();
    fs::remove_file(scene.stored(ZIP)).unwrap();
    assert_mended(&scene, &modkeep, ZIP);
    fs::remove_dir_all(scene.data().join("tree/example.com")).unwrap();
    scene.upstream.forget();
    assert_mended(&scene, &modkeep, ZIP);
}

fn index_lines(modkeep: &Modkeep) -> usize {
    let reply = modkeep.get("/index");
    if reply.status == 200 {
        reply.text().lines().count()
    } else {
        0
    }
}

#[test]
fn records_that_are_spoiled_are_rebuilt_while_files_are_served() {
    let len = |path: &Path| usize::try_from(fs::metadata(path).unwrap().len()).unwrap();
    let spoil: [&dyn Fn(&Path); 4] = [
        &|path| fs::write(path, b"this is no database at all").unwrap(),
        &|path| fs::write(path, vec![0x5a; len(path)]).unwrap(),
        &|path| {
            // The head stays, the pages are gone.
            let mut bytes = fs::read(path).unwrap();
            bytes[100..].fill(0xff);
            fs::write(path, bytes).unwrap();
        },
        &|path| {
            let half = fs::read(path).unwrap();
            fs::write(path, &half[..half.len() / 2]).unwrap();
        },
    ];
    for (number, spoil) in spoil.iter().enumerate() {
        let scene = filled();
        let records = scene.data().join("records.sqlite");
        spoil(&records);
        let modkeep = scene.start();
        for path in PATHS {
            let reply = modkeep.get(path);
            assert_eq!(reply.header("Cache-Status"), HIT, "{number} {path}");
            assert!(reply.body == scene.source(path), "{number} {path}");
        }
        within(SOON, "the records are rebuilt", || {
            index_lines(&modkeep) == 1
        });
        within(SOON, "the records answer", || {
            modkeep.metric("modkeep_records_up") == 1
        });
        let aside = fs::read_dir(scene.data())
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_str()
                    .unwrap()
                    .starts_with("records.sqlite.unusable")
            })
            .count();
        assert_eq!(aside, 1, "{number}");
        assert_eq!(modkeep.terminate().code, Some(0));
    }
}

#[test]
fn records_that_cannot_be_had_are_reported_and_files_are_served() {
    let scene = filled();
    let records = scene.data().join("records.sqlite");
    fs::remove_file(&records).unwrap();
    fs::create_dir(&records).unwrap();
    let modkeep = scene.start();
    for path in PATHS {
        assert_eq!(modkeep.get(path).header("Cache-Status"), HIT, "{path}");
    }
    scene.write(
        "/example.com/!acme/@v/v1.2.4.mod",
        "module example.com/Acme\n",
    );
    assert_eq!(modkeep.get("/example.com/!acme/@v/v1.2.4.mod").status, 200);
    within(SOON, "the loss is reported", || {
        modkeep.get("/readyz").text().contains("\"degraded\"")
    });
    assert_eq!(modkeep.get("/readyz").status, 200);
    assert_eq!(modkeep.get("/index").status, 503);
    assert_eq!(modkeep.metric("modkeep_records_up"), 0);
    assert_eq!(modkeep.terminate().code, Some(0));
    // What was stored meanwhile is found again.
    fs::remove_dir(&records).unwrap();
    let rebuilt = std::process::Command::new(BINARY)
        .args(["store", "rebuild", "--format", "json", "--data"])
        .arg(scene.data())
        .env("GOENV", "off")
        .output()
        .unwrap();
    assert_eq!(rebuilt.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&rebuilt.stdout).unwrap();
    assert_eq!(report["files"], 4, "{report}");
    let modkeep = scene.start();
    assert_eq!(index_lines(&modkeep), 2);
}

#[test]
fn the_store_is_a_tree_that_the_go_command_can_use() {
    let scene = filled();
    for path in [LIST, INFO, MOD, ZIP] {
        assert!(
            fs::read(scene.stored(path)).unwrap() == scene.source(path),
            "{path}"
        );
    }
    let Ok(go) = testkit::Go::try_find() else {
        testkit::skipped("the store's tree as GOPROXY=file:// (no go 1.24 or newer)");
        return;
    };
    let tree = scene.data().join("tree");
    let go = go.proxy(&format!("file://{}", tree.display()));
    let folder = tempfile::tempdir().unwrap();
    let download = ["mod", "download", "-json", "example.com/Acme@latest"];
    let said = go.run(folder.path(), &download).expect_success();
    assert!(said.contains("\"Version\": \"v1.2.3\""), "{said}");
}
