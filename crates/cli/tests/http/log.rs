//! The log in a file, moved away by the server or by another program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use testkit::Modkeep;

use crate::scene::{Ask as _, MOD, SOON, Scene, within};

/// The files, the one that is written to first.
fn files(log: &Path) -> Vec<PathBuf> {
    let older = (1..).map(|number| PathBuf::from(format!("{}.{number}", log.display())));
    std::iter::once(log.to_path_buf())
        .chain(older)
        .take_while(|file| file.exists())
        .collect()
}

/// The requests that the log tells of, by their ids. Every line is whole.
fn requests(files: &[PathBuf]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{}: {error}: {line}", file.display()));
            if let Some(id) = line["request_id"].as_str() {
                assert!(ids.insert(id.to_owned()), "twice: {line}");
            }
        }
    }
    ids
}

/// Requests with these ids, from several clients at once.
fn ask(modkeep: &Modkeep, ids: &[String]) {
    thread::scope(|scope| {
        for share in ids.chunks(ids.len().div_ceil(4)) {
            scope.spawn(move || {
                let mut connection = modkeep.connect();
                for id in share {
                    let headers = [("X-Request-Id", id.as_str())];
                    connection.request("GET", "modkeep", MOD, &headers).unwrap();
                    assert_eq!(connection.reply(false).unwrap().status, 200);
                }
            });
        }
    });
}

fn ids(round: usize, count: usize) -> Vec<String> {
    (0..count)
        .map(|id| format!("round-{round}-request-{id}"))
        .collect()
}

/// A server that writes everything to a file.
fn start_with_log(scene: &Scene, log: &Path, settings: &[(&str, &str)]) -> Modkeep {
    let all = [("log.level", "debug"), ("log.file", log.to_str().unwrap())];
    scene.start_with(&[&all, settings].concat())
}

#[test]
fn no_line_is_lost_when_the_server_moves_its_log_away() {
    let scene = Scene::new();
    let log = scene.file("modkeep.log");
    let modkeep = start_with_log(
        &scene,
        &log,
        &[("log.max-size", "20KiB"), ("log.keep", "500")],
    );
    let wanted = ids(0, 1000);
    ask(&modkeep, &wanted);
    let said = modkeep.stderr();
    assert_eq!(modkeep.terminate().code, Some(0));
    let files = files(&log);
    assert!(files.len() > 8, "{files:?}");
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 20 << 10, "{file:?}");
    }
    let found = requests(&files);
    assert!(wanted.iter().all(|id| found.contains(id)));
    assert!(!said.contains("\"message\""), "{said}");
}

#[test]
fn old_logs_do_not_fill_the_disk() {
    let scene = Scene::new();
    let log = scene.file("modkeep.log");
    let modkeep = start_with_log(&scene, &log, &[("log.max-size", "4KiB"), ("log.keep", "3")]);
    ask(&modkeep, &ids(0, 400));
    assert_eq!(modkeep.terminate().code, Some(0));
    assert_eq!(files(&log).len(), 4);
    assert!(!scene.file("modkeep.log.4").exists());
}

#[test]
fn no_line_is_lost_when_another_program_moves_the_log_away_and_tells() {
    let scene = Scene::new();
    let log = scene.file("modkeep.log");
    let modkeep = start_with_log(
        &scene,
        &log,
        &[("log.max-size", "0"), ("log.max-age", "0s")],
    );
    let mut wanted = Vec::new();
    let mut moved = vec![log.clone()];
    for round in 0..5 {
        let ids = ids(round, 200);
        thread::scope(|scope| {
            scope.spawn(|| ask(&modkeep, &ids));
            // As logrotate does it: rename, then tell.
            thread::sleep(Duration::from_millis(20));
            let away = scene.file(&format!("moved.{round}"));
            fs::rename(&log, &away).unwrap();
            moved.push(away);
            modkeep.reload();
            within(SOON, "there is a new file", || log.exists());
        });
        wanted.extend(ids);
    }
    assert_eq!(modkeep.terminate().code, Some(0));
    let found = requests(&moved);
    assert!(wanted.iter().all(|id| found.contains(id)));
    let last = fs::read_to_string(&log).unwrap();
    assert!(last.contains("the configuration was read again") && last.contains("stopped"));
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error_at_the_start_and_none_later() {
    let scene = Scene::new();
    let nowhere = scene.file("no folder").join("modkeep.log");
    let refused = scene
        .command_with(&[("log.file", nowhere.to_str().unwrap())])
        .try_start()
        .unwrap_err();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("log.file: "), "{}", refused.stderr);

    let log = scene.file("modkeep.log");
    let text = |file: &Path| {
        format!(
            "upstream = \"{}\"\nsumdb = \"off\"\n[log]\nfile = {:?}\n",
            scene.upstream.url(),
            file.display().to_string()
        )
    };
    let (command, config) = scene.command_with_file(&text(&log));
    let modkeep = command.start();
    fs::write(&config, text(&nowhere)).unwrap();
    modkeep.reload();
    within(SOON, "it is said", || {
        fs::read_to_string(&log)
            .unwrap()
            .contains("the log stays where it is")
    });
    // And to another place, while it runs.
    let other = scene.file("other.log");
    fs::write(&config, text(&other)).unwrap();
    modkeep.reload();
    within(SOON, "the other file is there", || other.exists());
    modkeep.get(MOD);
    within(SOON, "the request is in it", || {
        fs::read_to_string(&other).unwrap().contains(MOD)
    });
    assert_eq!(modkeep.get("/healthz").status, 200);
}

#[test]
fn no_line_is_lost_with_the_configuration_for_logrotate() {
    let Some(logrotate) = ["/usr/sbin/logrotate", "/usr/bin/logrotate"]
        .into_iter()
        .find(|file| Path::new(file).is_file())
    else {
        testkit::skipped("logrotate moves the log away (no logrotate)");
        return;
    };
    let scene = Scene::new();
    let log = scene.file("modkeep.log");
    let modkeep = start_with_log(
        &scene,
        &log,
        &[("log.max-size", "0"), ("log.max-age", "0s")],
    );
    let shipped = testkit::workspace_root().join("deploy/logrotate/modkeep");
    let tell = "systemctl kill --signal=HUP --kill-whom=main modkeep.service";
    let text = fs::read_to_string(shipped).unwrap();
    assert!(text.contains(tell));
    let text = text
        .replace("/var/log/modkeep/modkeep.log", log.to_str().unwrap())
        .replace(tell, &format!("kill -HUP {}", modkeep.pid()));
    let config = scene.file("logrotate.conf");
    fs::write(&config, text).unwrap();
    let wanted = ids(0, 800);
    thread::scope(|scope| {
        scope.spawn(|| ask(&modkeep, &wanted));
        thread::sleep(Duration::from_millis(20));
        let output = Command::new(logrotate)
            .args(["--force", "--state"])
            .args([scene.file("logrotate.state"), config])
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}");
        within(SOON, "there is a new file", || log.exists());
    });
    assert_eq!(modkeep.terminate().code, Some(0));
    let files = files(&log);
    assert_eq!(files.len(), 2, "{files:?}");
    let found = requests(&files);
    assert!(wanted.iter().all(|id| found.contains(id)));
}
