use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use testkit::http::{self, Connection};
use testkit::{Go, Modkeep, Module};

use crate::scene::{BINARY, IMMUTABLE, Scene, files_below, go_through, unfinished};

/// Clients that fetch everything beside the real `go`.
const CLIENTS: u64 = 6;
/// How often the program is killed, unless the variable `MODKEEP_TEST_KILLS` says how often.
const ROUNDS: u64 = 8;

fn rounds() -> u64 {
    let wanted = std::env::var_os("MODKEEP_TEST_KILLS");
    let wanted = wanted.map(|wanted| wanted.to_str().unwrap().parse().unwrap());
    wanted.unwrap_or(ROUNDS)
}

#[test]
fn killed_at_any_moment_it_leaves_nothing_wrong_behind() {
    let scene = Scene::with_modules(31, 100);
    for number in 0..4 {
        let path = format!("example.com/big{number}");
        scene
            .tree
            .add(&Module::big(&path, "v1.0.0", 1_500_000 + number * 111));
    }
    let paths = files_below(scene.tree.root(), &IMMUTABLE);
    let mut random = fastrand::Rng::with_seed(31);
    let mut interrupted = 0;
    let rounds = rounds();
    for round in 0..rounds {
        drop(fs::remove_dir_all(scene.data()));
        // Some work on every file, so that every moment is in the midst of many.
        scene.upstream.set_delay(Duration::from_millis(2));
        scene.upstream.set_bandwidth(Some(20_000_000));
        let modkeep = scene.start();
        let go = go_through(&modkeep);
        let folder = scene.checkout(&format!("round{round}"));
        let moment = Duration::from_millis(random.u64(5..900));
        let seen = work_until_killed(&scene, modkeep, &go, &folder, &paths, moment, random.fork());
        if seen < CLIENTS * paths.len() as u64 {
            interrupted += 1;
        }
        // Whatever has a name is whole, before anybody repairs anything.
        for path in files_below(&scene.stored_tree(), &IMMUTABLE) {
            assert_is_right(
                &scene,
                &path,
                &fs::read(scene.stored_tree().join(&path)).unwrap(),
            );
        }

        scene.upstream.set_delay(Duration::ZERO);
        scene.upstream.set_bandwidth(None);
        let unfinished = unfinished(&scene.data());
        let modkeep = scene.start();
        assert!(
            unfinished.iter().all(|file| !file.exists()),
            "after {moment:?}"
        );
        assert_serves(&scene, &modkeep, &paths);
        // The `go` that was interrupted goes on with what it has.
        let go = go.proxy(modkeep.url());
        go.run(&folder, &["mod", "download"]).expect_success();
        go.run(&folder, &["mod", "verify"]).expect_success();
        assert_eq!(modkeep.terminate().code, Some(0));
        assert_records_are_complete(&scene.data(), paths.len());
    }
    assert!(
        interrupted > rounds / 2,
        "only {interrupted} of {rounds} kills hit work under way"
    );
}

/// Lets a `go` and raw clients fetch, and kills the program at that moment. Every answer that came whole is right.
/// Returns how many those were.
fn work_until_killed(
    scene: &Scene,
    modkeep: Modkeep,
    go: &Go,
    folder: &Path,
    paths: &[String],
    moment: Duration,
    mut random: fastrand::Rng,
) -> u64 {
    let url = modkeep.url().to_owned();
    let mut downloading = go
        .command(folder)
        .args(["mod", "download"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answered = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut paths = paths.to_vec();
                random.shuffle(&mut paths);
                let url = url.as_str();
                scope.spawn(move || fetch_until_gone(scene, url, &paths))
            })
            .collect();
        thread::sleep(moment);
        modkeep.kill();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    });
    // It fails, or was done before; either way it leaves its cache as it is.
    downloading.wait().unwrap();
    answered
}

/// Everything is there, and right.
pub(crate) fn assert_serves(scene: &Scene, modkeep: &Modkeep, paths: &[String]) {
    thread::scope(|scope| {
        for share in paths.chunks(paths.len() / 6 + 1) {
            scope.spawn(move || {
                let mut connection = Connection::open(modkeep.authority()).unwrap();
                for path in share {
                    let target = format!("/{path}");
                    connection
                        .request("GET", modkeep.authority(), &target, &[])
                        .unwrap();
                    let reply = connection.reply(false).unwrap();
                    assert_eq!((reply.status, reply.complete), (200, true), "{path}");
                    assert_is_right(scene, path, &reply.body);
                }
            });
        }
    });
}

fn fetch_until_gone(scene: &Scene, url: &str, paths: &[String]) -> u64 {
    let mut answered = 0;
    for path in paths {
        match http::get(&format!("{url}/{path}")) {
            Ok(reply) if reply.complete => {
                assert_eq!(reply.status, 200, "{path}: {}", reply.text());
                assert_is_right(scene, path, &reply.body);
                answered += 1;
            }
            Ok(_) | Err(_) => break,
        }
    }
    answered
}

pub(crate) fn assert_is_right(scene: &Scene, path: &str, bytes: &[u8]) {
    let right = fs::read(scene.tree.file(path)).unwrap();
    assert!(
        bytes == right,
        "{path} has {} bytes, and is not what the upstream has ({} bytes)",
        bytes.len(),
        right.len()
    );
}

/// A rebuild finds nothing damaged, and every file.
pub(crate) fn assert_records_are_complete(data: &Path, files: usize) {
    let output = Command::new(BINARY)
        .args(["store", "rebuild", "--format", "json", "--data"])
        .arg(data)
        .env_clear()
        .env("HOME", data)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for wanted in [
        format!("\"files\":{files},"),
        "\"damaged\":0".to_owned(),
        "\"records_replaced\":false".to_owned(),
    ] {
        assert!(text.contains(&wanted), "{wanted}: {text}");
    }
}
