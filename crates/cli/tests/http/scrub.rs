//! Stored files are read again, by the command and by the server itself, and what is damaged does not stay.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::scene::{Ask as _, BINARY, INFO, MOD, SOON, Scene, ZIP, within};

fn command(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .arg("--data")
        .arg(scene.data())
        .env("GOENV", "off")
        .env("MODKEEP_CONFIG", "")
        .env("MODKEEP_SUMDB", "off")
        .env("MODKEEP_UPSTREAM", scene.upstream.url());
    command
}

fn modkeep(scene: &Scene, arguments: &[&str]) -> Output {
    command(scene, arguments).output().unwrap()
}

#[track_caller]
fn ends_with(output: &Output, status: i32) -> String {
    let told = [&output.stdout[..], &output.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(output.status.code(), Some(status), "{told}");
    told
}

/// A scene whose store has all files of the module, and no server.
fn filled() -> Scene {
    let scene = Scene::new();
    let server = scene.start();
    for path in [INFO, MOD, ZIP] {
        server.get_stored(path);
    }
    server.settle();
    server.terminate();
    scene
}

fn spoil(scene: &Scene, path: &str) {
    let file = scene.stored(path);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_stopped_store_is_scrubbed_and_its_damaged_files_replaced() {
    let scene = filled();
    let told = ends_with(&modkeep(&scene, &["store", "scrub"]), 0);
    assert!(told.starts_with("3 files ("), "{told}");
    assert!(!told.contains('\x1b'), "no bar without a terminal: {told}");
    for path in [INFO, MOD, ZIP] {
        spoil(&scene, path);
    }
    let told = ends_with(&modkeep(&scene, &["store", "scrub"]), 1);
    assert_eq!(
        told.matches("replaced by a sound one from http").count(),
        3,
        "{told}"
    );
    assert!(
        told.contains("3 damaged, of which 3 were replaced and 0 are in quarantine"),
        "{told}"
    );
    for path in [INFO, MOD, ZIP] {
        assert_eq!(fs::read(scene.stored(path)).unwrap(), scene.source(path));
    }
    ends_with(&modkeep(&scene, &["store", "scrub"]), 0);
}

#[test]
fn what_cannot_be_replaced_is_set_aside_beside_a_running_server_which_fetches_it_anew() {
    let mut scene = filled();
    let server = scene.start();
    spoil(&scene, ZIP);
    scene.upstream.stop();
    let output = modkeep(&scene, &["store", "scrub", "--format", "json"]);
    ends_with(&output, 1);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["files"], &told["damaged"], &told["quarantined"]),
        (&3.into(), &1.into(), &1.into()),
        "{told:#}"
    );
    let finding = &told["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["outcome"]),
        (&"zip".into(), &"quarantined".into())
    );
    let id = finding["quarantine"].as_str().unwrap();
    let shown = ends_with(&modkeep(&scene, &["store", "quarantine", "show", id]), 0);
    assert!(shown.contains("sha256:"), "{shown}");
    let name = format!(
        "{}@{}",
        finding["module"].as_str().unwrap(),
        finding["version"].as_str().unwrap()
    );
    let shown = ends_with(&modkeep(&scene, &["store", "show", &name]), 1);
    assert!(shown.contains(id), "{shown}");

    assert!(server.get(ZIP).status >= 500);
    scene.upstream.start();
    within(SOON, "the zip is fetched anew", || {
        server.get(ZIP).status == 200
    });
    assert_eq!(server.get_stored(ZIP).body, scene.source(ZIP));
    server.settle();
    ends_with(&modkeep(&scene, &["store", "scrub"]), 0);
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let scene = filled();
    let state = scene.data().join("scrub-command.json");
    let after = |path: &str| {
        let path = path.trim_start_matches('/');
        format!(r#"{{"after":"{path}","since":"2026-01-31T12:30:00Z"}}"#)
    };
    // At this rate the zip would take days.
    fs::write(&state, after(INFO)).unwrap();
    let mut running = command(&scene, &["store", "scrub", "--rate", "1"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("going on behind "), "{line}");
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(2), "{rest}");
    assert!(rest.contains("interrupted"), "{rest}");
    assert!(fs::read_to_string(&state).unwrap().contains("/@v/v1.2.3."));

    fs::write(&state, after(MOD)).unwrap();
    let told = ends_with(&modkeep(&scene, &["store", "scrub"]), 0);
    assert!(
        told.contains("going on behind ") && told.contains("1 file ("),
        "{told}"
    );
    // That pass is over.
    let told = ends_with(&modkeep(&scene, &["store", "scrub"]), 0);
    assert!(told.starts_with("3 files ("), "{told}");
    fs::write(&state, after(MOD)).unwrap();
    let told = ends_with(&modkeep(&scene, &["store", "scrub", "--restart"]), 0);
    assert!(told.starts_with("3 files ("), "{told}");
}

#[test]
fn a_rate_that_is_none_and_a_store_that_is_not_there_are_told() {
    let scene = filled();
    for rate in ["0", "fast", "-1", "1.5"] {
        let rate = format!("--rate={rate}");
        let told = ends_with(&modkeep(&scene, &["store", "scrub", &rate]), 2);
        assert!(told.contains("--rate"), "{told}");
    }
    let scene = Scene::empty();
    let told = ends_with(&modkeep(&scene, &["store", "scrub"]), 2);
    assert!(told.contains("--data"), "{told}");
}

#[test]
fn the_server_reads_its_files_again_by_itself() {
    let scene = filled();
    for path in [MOD, ZIP] {
        spoil(&scene, path);
    }
    let server = scene.start_with(&[("scrub.interval", "1ms")]);
    within(SOON, "both are replaced", || {
        server.metric("modkeep_scrub_healed_total") == 2
    });
    within(SOON, "a pass has ended", || {
        server.metric("modkeep_scrub_completed_timestamp_seconds") > 0
    });
    assert_eq!(server.metric("modkeep_scrub_damaged_total"), 2);
    assert!(server.metric("modkeep_scrub_files_total") >= 3);
    assert!(server.metric("modkeep_scrub_bytes_total") > 300_000);
    for path in [MOD, ZIP] {
        assert_eq!(server.get(path).body, scene.source(path));
    }
    server.terminate();

    // Not with an interval of nothing.
    spoil(&scene, ZIP);
    fs::remove_file(scene.data().join("scrub.json")).unwrap();
    let server = scene.start_with(&[("scrub.interval", "0s")]);
    server.get_stored(INFO);
    assert!(!scene.data().join("scrub.json").exists());
    assert_eq!(server.metric("modkeep_scrub_files_total"), 0);
}
