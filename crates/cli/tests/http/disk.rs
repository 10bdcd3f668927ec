//! A disk that is full, read-only, or limited: trouble on this side, said as such, and over when it is over.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Answer, ChecksumDatabase, Fault, Modkeep, ModkeepCommand, Module};

use crate::scene::{
    Ask as _, BINARY, INFO, LIST, MOD, SOON, Scene, ZIP, class_of, isolated, variable, within,
};

/// A zip of two megabytes.
const BIG: &str = "/example.com/big/@v/v1.0.0.zip";

fn with_big() -> Scene {
    let scene = Scene::new();
    scene
        .tree
        .add(&Module::big("example.com/big", "v1.0.0", 2 << 20));
    scene
}

/// `modkeep` begun by a script, which gets its arguments.
fn behind(scene: &Scene, script: &str) -> ModkeepCommand {
    let file = scene.file("start");
    let data = scene.data();
    fs::create_dir_all(&data).unwrap();
    let text = format!(
        "set -e\ndata='{}'\nmodkeep='{BINARY}'\n{script}",
        data.display()
    );
    testkit::script(&file, &text);
    let url = scene.upstream.url();
    [("upstream", url.as_str()), ("sumdb", "off")].iter().fold(
        isolated(ModkeepCommand::new(file).data(data)),
        |command, (name, value)| command.env(&variable(name), value),
    )
}

/// Whether this process may mount file systems where nobody else sees them.
pub(crate) fn can_mount(what: &str) -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        testkit::skipped(what);
    }
    can
}

/// A `modkeep` with its store on a file system of its own.
pub(crate) fn on_tmpfs(scene: &Scene, options: &str) -> ModkeepCommand {
    let script = format!(
        "exec unshare --mount bash -c 'mount -t tmpfs -o {options} none \"$0\" && exec \"$@\"' \"$data\" \"$modkeep\" \"$@\""
    );
    behind(scene, &script)
}

/// The store's folder as the process sees it.
pub(crate) fn inside(scene: &Scene, modkeep: &Modkeep) -> PathBuf {
    let data = scene.data();
    let data = data.strip_prefix("/").unwrap();
    Path::new(&format!("/proc/{}/root", modkeep.pid())).join(data)
}

/// Whether it says everywhere that it serves and does not keep.
fn assert_read_only(modkeep: &Modkeep, is_so: bool) {
    let reply = modkeep.get(MOD);
    let said = reply.header("X-Modkeep-Degraded").unwrap_or_default();
    assert_eq!(said.contains("store-read-only"), is_so, "{said}");
    let series = "modkeep_degraded{mode=\"store-read-only\"}";
    assert_eq!(modkeep.metric(series), u64::from(is_so));
    let status = modkeep.get("/api/v1/status").text();
    assert_eq!(status.contains("store-read-only"), is_so, "{status}");
    let ready = modkeep.get("/readyz").text();
    assert_eq!(ready.contains("served and not kept"), is_so, "{ready}");
}

/// Leaves no page of a small file system free.
fn fill(folder: &Path) -> Vec<PathBuf> {
    let mut fillers = Vec::new();
    for size in [64 << 10, 4 << 10] {
        loop {
            let file = folder.join(format!("filler{}", fillers.len()));
            let written = fs::write(&file, vec![1; size]);
            fillers.push(file);
            if written.is_err() {
                break;
            }
        }
    }
    fillers
}

#[test]
fn with_a_full_disk_everything_is_passed_on_and_kept_when_there_is_room_again() {
    if !can_mount("a full disk (no right to mount a file system)") {
        return;
    }
    let scene = with_big();
    let modkeep = on_tmpfs(&scene, "size=4m").start();
    modkeep.get_stored(MOD);
    let filler = inside(&scene, &modkeep).join("filler");
    let mut size = 4 << 20;
    while size > 0 && fs::write(&filler, vec![1; size]).is_err() {
        size -= 64 << 10;
    }
    // Passed on although it cannot be kept; and what is kept is served.
    scene.upstream.forget();
    for _ in 0..2 {
        let reply = modkeep.get_anew(BIG);
        assert_eq!((reply.status, reply.complete), (200, true));
        assert!(reply.body == scene.source(BIG));
    }
    scene.assert_asked(&modkeep, BIG, 2);
    assert_read_only(&modkeep, true);
    let told = crate::doctor::diagnosis(&modkeep);
    let causes = told["causes"].as_array().unwrap();
    let disk = causes.iter().find(|cause| cause["hop"] == "disk");
    assert_eq!(disk.unwrap()["label"], "disk-full", "{told:#}");
    for path in [INFO, LIST, MOD] {
        assert!(modkeep.get(path).body == scene.source(path), "{path}");
    }
    fs::remove_file(&filler).unwrap();
    assert!(modkeep.get_anew(BIG).body == scene.source(BIG));
    assert!(modkeep.get_stored(BIG).body == scene.source(BIG));
    assert!(modkeep.get_stored(ZIP).body == scene.source(ZIP));
    assert_read_only(&modkeep, false);
    assert_eq!(modkeep.terminate().code, Some(0));
}

#[test]
fn what_a_full_disk_cannot_keep_is_verified_all_the_same() {
    if !can_mount("verification with a full disk (no right to mount a file system)") {
        return;
    }
    let scene = with_big();
    let database = ChecksumDatabase::new("sum.example.com", 1);
    let sound = Module::big("example.com/big", "v1.0.0", 2 << 20);
    database.add(&sound);
    let modkeep = on_tmpfs(&scene, "size=2m")
        .env(&variable("sumdb"), database.setting())
        .start();
    within(SOON, "it is ready", || {
        modkeep.get("/readyz").text().contains("\"ready\"")
    });
    let fillers = fill(&inside(&scene, &modkeep));
    for _ in 0..2 {
        let reply = modkeep.get_anew(BIG);
        assert_eq!((reply.status, reply.complete), (200, true));
        assert!(reply.body == scene.source(BIG));
    }
    assert!(modkeep.says_within("kept in memory alone", SOON));
    let changed = sound.file("evil.go", "package big\n");
    let answer = Answer::status(200).body(changed.zip());
    scene.upstream.fail(BIG, Fault::Answer(answer));
    let bytes = modkeep.get_cut(BIG);
    assert!(!bytes.windows(4).any(|four| four == b"PK\x05\x06"));
    scene.upstream.heal();
    for file in fillers {
        fs::remove_file(file).unwrap();
    }
    assert!(modkeep.get_anew(BIG).body == scene.source(BIG));
    assert_eq!(modkeep.terminate().code, Some(0));
}

#[test]
fn a_disk_that_takes_no_more_files_makes_the_server_degraded() {
    if !can_mount("a disk without inodes (no right to mount a file system)") {
        return;
    }
    let scene = with_big();
    let modkeep = on_tmpfs(&scene, "size=16m,nr_inodes=60").start();
    modkeep.get_stored(MOD);
    within(SOON, "it is ready", || {
        modkeep.get("/readyz").text().contains("\"ready\"")
    });
    let folder = inside(&scene, &modkeep);
    let fillers: Vec<PathBuf> = (0..60)
        .map(|number| folder.join(format!("filler{number}")))
        .take_while(|file| fs::write(file, b"").is_ok())
        .collect();
    let report = modkeep.get("/readyz");
    assert_eq!(report.status, 200);
    assert!(report.text().contains("\"degraded\""), "{}", report.text());
    assert!(report.text().contains("No space left"), "{}", report.text());
    assert!(report.text().contains("disk-full: "), "{}", report.text());
    let reply = modkeep.get_anew(BIG);
    assert_eq!((reply.status, reply.complete), (200, true));
    assert!(reply.body == scene.source(BIG));
    for path in [INFO, LIST, MOD] {
        assert!(modkeep.get(path).body == scene.source(path), "{path}");
    }
    for file in fillers {
        fs::remove_file(file).unwrap();
    }
    assert!(modkeep.get_anew(BIG).body == scene.source(BIG));
    assert!(modkeep.get("/readyz").text().contains("\"ready\""));
}

#[test]
fn a_file_larger_than_is_allowed_is_trouble_and_no_crash() {
    let scene = with_big();
    let modkeep = behind(&scene, "ulimit -f 2048\nexec \"$modkeep\" \"$@\"").start();
    for _ in 0..2 {
        let reply = modkeep.get_anew(BIG);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (503, "disk-full")
        );
    }
    assert!(modkeep.get_stored(ZIP).body == scene.source(ZIP));
    assert_eq!(modkeep.terminate().code, Some(0));
}

#[test]
fn a_zip_of_unknown_length_that_does_not_fit_is_cut() {
    let scene = with_big();
    let modkeep = behind(&scene, "ulimit -f 2048\nexec \"$modkeep\" \"$@\"").start();
    scene.upstream.fail(BIG, Fault::Chunked);
    let came = modkeep.get_cut(BIG);
    assert!(scene.source(BIG).starts_with(&came));
    assert_eq!(modkeep.get("/healthz").status, 200);
}

fn assert_refused(command: &ModkeepCommand, words: &[&str]) {
    let exit = command.try_start().unwrap_err();
    assert_eq!(
        (exit.code, exit.stdout.as_str()),
        (Some(2), ""),
        "{}",
        exit.stderr
    );
    for word in words {
        assert!(exit.stderr.contains(word), "{word}: {}", exit.stderr);
    }
    assert_eq!(exit.stderr.lines().count(), 1, "{}", exit.stderr);
}

#[test]
fn a_store_that_cannot_be_written_is_an_error_at_the_start() {
    let scene = Scene::new();
    let data = scene.data().display().to_string();
    if rustix::process::geteuid().is_root() {
        // Root may write whatever the permissions say.
        if can_mount("a read-only disk (no right to mount a file system)") {
            assert_refused(&on_tmpfs(&scene, "ro"), &[&data, "Read-only file system"]);
        }
    } else {
        fs::create_dir_all(scene.data()).unwrap();
        fs::set_permissions(scene.data(), fs::Permissions::from_mode(0o555)).unwrap();
        assert_refused(&scene.command_with(&[]), &[&data, "Permission denied"]);
    }
}

#[test]
fn a_store_that_is_no_folder_is_an_error_at_the_start() {
    let scene = Scene::new();
    fs::write(scene.data(), b"a file").unwrap();
    let data = scene.data().display().to_string();
    assert_refused(&scene.command_with(&[]), &[&data, "Not a directory"]);
}

#[test]
fn a_disk_that_gets_full_is_cleaned_of_what_was_not_used_for_longest() {
    if !can_mount("a disk that is cleaned (no right to mount a file system)") {
        return;
    }
    let scene = Scene::new();
    let zip = |number: u64| format!("/example.com/big{number}/@v/v1.0.0.zip");
    for number in 0..8 {
        let path = format!("example.com/big{number}");
        let module = Module::big(&path, "v1.0.0", (1 << 20) + number);
        scene.tree.add(&module);
    }
    let modkeep = on_tmpfs(&scene, "size=6m")
        .env(&variable("clean.min-free"), "2MiB")
        .env(&variable("clean.min-age"), "0s")
        .env(&variable("clean.keep"), "example.com/big0")
        .start();
    modkeep.get_stored(MOD);
    for number in 0..8 {
        let reply = modkeep.get_anew(&zip(number));
        assert_eq!((reply.status, reply.complete), (200, true));
        assert!(reply.body == scene.source(&zip(number)), "{number}");
    }
    within(SOON, "room is made", || {
        modkeep.metric("modkeep_cleaned_files_total") > 0
    });
    let tree = inside(&scene, &modkeep).join("tree");
    let is_stored = |number: u64| tree.join(&zip(number)[1..]).exists();
    assert!(is_stored(0), "what is to be kept is gone");
    let gone = (1..8).filter(|number| !is_stored(*number)).count();
    assert!(gone > 0);
    let bytes = modkeep.metric("modkeep_cleaned_bytes_total");
    assert!(bytes >= modkeep.metric("modkeep_cleaned_files_total") << 20);
    // All of it can still be had, and is what it was.
    for number in 0..8 {
        let reply = modkeep.get_anew(&zip(number));
        assert!(reply.complete && reply.body == scene.source(&zip(number)));
    }
    assert_eq!(modkeep.terminate().code, Some(0));
}
