//! Start, reload and end.

use std::fs;
use std::time::{Duration, Instant};

use testkit::{Fault, Modkeep, Module, UpstreamServer};

use crate::scene::{Ask as _, HIT, INFO, LIST, MOD, MODULE, SOON, Scene, ZIP, files_below, within};

/// What is under way may take half a minute at the end, if no other limit is set.
const LESS_THAN_A_DRAIN: Duration = Duration::from_secs(20);

/// An upstream that takes some two seconds for the zip.
fn slow_zip(scene: &Scene) {
    let drip = Fault::Drip {
        bytes: 4096,
        every: Duration::from_millis(25),
    };
    scene.upstream.fail(ZIP, drip);
}

#[test]
fn the_first_line_is_the_url_at_which_it_serves() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let stdout = modkeep.stdout();
    let url = stdout.lines().next().unwrap();
    assert_eq!(url, modkeep.url());
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    assert!(!url.ends_with(":0"));
    assert_eq!(modkeep.get("/healthz").status, 200);
    within(SOON, "it tells how to use it", || {
        modkeep.stdout().contains(&format!("GOPROXY={url}"))
    });
}

#[test]
fn a_server_with_nothing_to_do_ends_at_once() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get_stored(ZIP);
    let mut used = modkeep.connect();
    used.request("GET", "modkeep", MOD, &[]).unwrap();
    used.reply(false).unwrap();
    let mut unused = modkeep.connect();
    let began = Instant::now();
    let exit = modkeep.terminate();
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert!(began.elapsed() < LESS_THAN_A_DRAIN, "{:?}", began.elapsed());
    assert!(used.is_closed_within(SOON) && unused.is_closed_within(SOON));
    assert!(!exit.stderr.contains("\"ERROR\""), "{}", exit.stderr);
    assert!(!scene.data().join("running").exists());
}

#[test]
fn requests_under_way_are_finished_before_the_end() {
    let scene = Scene::new();
    slow_zip(&scene);
    let mut modkeep = scene.start();
    let mut connection = modkeep.begin(ZIP);
    assert_eq!(connection.some(1).unwrap(), b"H");
    modkeep.ask_to_end();
    assert!(modkeep.says_within("SIGTERM", SOON));
    let rest = connection.rest().unwrap();
    assert!(rest.ends_with(&scene.source(ZIP)), "{} bytes", rest.len());
    let exit = modkeep.wait();
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert!(fs::read(scene.stored(ZIP)).unwrap() == scene.source(ZIP));
}

#[test]
fn while_it_drains_it_says_so_and_answers() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::HoldAt(150_000));
    let mut modkeep = scene.start();
    assert_eq!(modkeep.get("/readyz").status, 200);
    let mut connection = modkeep.begin(ZIP);
    connection.some(1).unwrap();
    modkeep.ask_to_end();
    assert!(modkeep.says_within("SIGTERM", SOON));
    let mut report = None;
    within(SOON, "it says that it is draining", || {
        let reply = report.insert(modkeep.get("/readyz"));
        reply.status == 503
    });
    let report = report.unwrap();
    assert!(report.text().contains("\"draining\""), "{}", report.text());
    assert_eq!(report.header("Connection"), Some("close"));
    let late = modkeep.get(MOD);
    assert!(late.body == scene.source(MOD));
    assert_eq!(late.header("Connection"), Some("close"));
    scene.upstream.release();
    assert!(connection.rest().unwrap().ends_with(&scene.source(ZIP)));
    assert_eq!(modkeep.wait().code, Some(0));
}

#[test]
fn a_fetch_that_nobody_waits_for_is_finished_before_the_end() {
    let scene = Scene::new();
    slow_zip(&scene);
    let modkeep = scene.start();
    let mut connection = modkeep.begin(ZIP);
    connection.some(1).unwrap();
    drop(connection);
    assert_eq!(modkeep.terminate().code, Some(0));
    assert!(fs::read(scene.stored(ZIP)).unwrap() == scene.source(ZIP));
    assert!(files_below(&scene.data().join("tmp")).is_empty());
}

#[test]
fn an_upstream_that_hangs_does_not_hold_up_the_end_for_ever() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::Hang);
    let settings = [
        ("limits.drain", "300ms"),
        ("upstreams.first-byte-timeout", "1s"),
    ];
    let modkeep = scene.start_with(&settings);
    let _waiting = [modkeep.begin(LIST), modkeep.begin(ZIP)];
    // Each may have been asked for again already.
    within(SOON, "both hang", || scene.upstream.counts().len() == 2);
    let began = Instant::now();
    let exit = modkeep.terminate();
    assert_eq!(exit.code, Some(0), "{}", exit.stderr);
    assert!(began.elapsed() < LESS_THAN_A_DRAIN, "{:?}", began.elapsed());
}

#[test]
fn after_a_crash_nothing_unfinished_is_left() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::HoldAt(150_000));
    let modkeep = scene.start();
    modkeep.get_stored(MOD);
    let mut connection = modkeep.begin(ZIP);
    connection.head().unwrap();
    connection.some(5000).unwrap();
    modkeep.kill();
    let unfinished = files_below(&scene.data().join("tmp"));
    assert!(!unfinished.is_empty());
    assert!(!scene.stored(ZIP).exists());
    scene.upstream.heal();
    let modkeep = scene.start();
    assert!(unfinished.iter().all(|file| !file.exists()));
    let reply = modkeep.get(ZIP);
    assert!(reply.complete && reply.body == scene.source(ZIP));
    assert_eq!(modkeep.get(MOD).header("Cache-Status"), HIT);
    assert!(modkeep.get_stored(ZIP).body == scene.source(ZIP));
}

#[test]
fn a_crash_at_any_moment_leaves_whole_files_or_none() {
    let scene = Scene::new();
    let zip = scene.source(ZIP);
    let drip = Fault::Drip {
        bytes: 20_000,
        every: Duration::from_millis(4),
    };
    scene.upstream.fail(ZIP, drip);
    for round in 0..12 {
        let modkeep = scene.start();
        let mut connection = modkeep.begin(ZIP);
        connection.head().unwrap();
        let mut seen = 0;
        while seen < zip.len() * round / 11 {
            let piece = connection.some(1 << 16).unwrap();
            assert!(piece == zip[seen..seen + piece.len()], "{round}");
            seen += piece.len();
        }
        modkeep.kill();
        if let Ok(stored) = fs::read(scene.stored(ZIP)) {
            assert!(stored == zip, "{round}");
            fs::remove_file(scene.stored(ZIP)).unwrap();
        }
    }
    let modkeep = scene.start();
    assert!(modkeep.get(ZIP).body == zip);
    assert!(files_below(&scene.data().join("quarantine")).is_empty());
}

#[test]
fn a_store_belongs_to_one_process() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let exit = scene.command_with(&[]).try_start().unwrap_err();
    assert_eq!((exit.code, exit.stdout.as_str()), (Some(2), ""));
    let data = scene.data().display().to_string();
    for word in [
        data.as_str(),
        "in use",
        &modkeep.pid().to_string(),
        "--data",
    ] {
        assert!(exit.stderr.contains(word), "{word}: {}", exit.stderr);
    }
    assert_eq!(exit.stderr.lines().count(), 1, "{}", exit.stderr);
    assert_eq!(modkeep.get(LIST).status, 200);
    modkeep.kill();
    assert_eq!(scene.start().get(LIST).status, 200);
}

fn upstream_file(upstream: &UpstreamServer, more: &str) -> String {
    format!(
        "upstream = \"{}\"\nsumdb = \"off\"\n{more}\n",
        upstream.url()
    )
}

fn reloads(modkeep: &Modkeep) -> usize {
    modkeep.stderr().matches("read again").count()
}

fn reload(modkeep: &Modkeep) {
    let before = reloads(modkeep);
    modkeep.reload();
    within(SOON, "the configuration is read", || {
        reloads(modkeep) > before
    });
}

#[test]
fn a_new_configuration_is_used_at_once() {
    let scene = Scene::new();
    let second = Scene::new();
    second.tree.add(&Module::new(MODULE, "v1.3.0"));
    let day = "[cache]\nttl = \"24h\"\nabsent-ttl = \"24h\"";
    let (command, file) = scene.command_with_file(&upstream_file(&scene.upstream, day));
    let modkeep = command.start();
    let new = "/example.com/!acme/@v/v1.3.0.info";
    assert_eq!(modkeep.get(new).status, 404);
    assert_eq!(modkeep.get_stored(LIST).text(), "v1.2.3\n");

    fs::write(
        &file,
        upstream_file(&second.upstream, "[cache]\nttl = \"0s\""),
    )
    .unwrap();
    reload(&modkeep);
    scene.upstream.forget();
    within(SOON, "the new upstream's list is served", || {
        modkeep.get(LIST).body == second.source(LIST)
    });
    // What the old upstream did not have, the new one may have.
    assert_eq!(modkeep.get(new).status, 200);
    assert_eq!(scene.upstream.requests().len(), 0);

    let private = format!("private = \"{MODULE}\"");
    let text = upstream_file(&second.upstream, "") + &private;
    fs::write(&file, text).unwrap();
    reload(&modkeep);
    // What was asked before is asked to its end.
    modkeep.settle();
    second.upstream.forget();
    assert_eq!(modkeep.get("/example.com/!acme/@v/v1.4.0.info").status, 502);
    assert_eq!(second.upstream.requests().len(), 0);
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let scene = Scene::new();
    let (command, file) = scene.command_with_file(&upstream_file(&scene.upstream, ""));
    let modkeep = command.start();
    assert_eq!(modkeep.get(LIST).status, 200);
    let bad = [
        upstream_file(&scene.upstream, "upstraem = \"x\""),
        "upstream = \"ftp://x\"".to_owned(),
        "what is this".to_owned(),
    ];
    for (number, text) in bad.iter().enumerate() {
        fs::write(&file, text).unwrap();
        modkeep.reload();
        within(SOON, "it complains", || {
            modkeep.stderr().matches("the old one stays in use").count() > number
        });
        let path = format!("/example.com/none{number}/@v/list");
        assert_eq!(modkeep.get(&path).status, 404);
        assert_eq!(scene.upstream.count(path.as_str()), 1);
    }
    let place = format!("{}:3: unknown setting upstraem", file.display());
    assert!(modkeep.says_within(&place, SOON), "{}", modkeep.stderr());
    assert_eq!(reloads(&modkeep), 0);
    fs::write(&file, upstream_file(&scene.upstream, "")).unwrap();
    reload(&modkeep);
    assert_eq!(modkeep.get(INFO).status, 200);
}

#[test]
fn what_needs_a_restart_is_said() {
    let scene = Scene::new();
    let (command, file) = scene.command_with_file(&upstream_file(&scene.upstream, ""));
    let modkeep = command.start();
    fs::write(
        &file,
        upstream_file(&scene.upstream, "[limits]\nconnections = 7"),
    )
    .unwrap();
    reload(&modkeep);
    assert!(modkeep.says_within("after a restart", SOON));
    fs::write(
        &file,
        upstream_file(&scene.upstream, "[log]\nlevel = \"debug\""),
    )
    .unwrap();
    reload(&modkeep);
    assert!(!modkeep.stderr().contains("\"DEBUG\""));
    modkeep.get_stored(MOD);
    assert!(
        modkeep.says_within("\"DEBUG\"", SOON),
        "{}",
        modkeep.stderr()
    );
}

#[test]
fn fetches_under_way_survive_a_reload() {
    let scene = Scene::new();
    slow_zip(&scene);
    let (command, file) = scene.command_with_file(&upstream_file(&scene.upstream, ""));
    let modkeep = command.start();
    let mut connection = modkeep.begin(ZIP);
    assert_eq!(connection.head().unwrap().0, 200);
    fs::write(&file, "upstream = \"off\"\nsumdb = \"off\"\n").unwrap();
    reload(&modkeep);
    let zip = scene.source(ZIP);
    let mut seen = 0;
    while seen < zip.len() {
        let piece = connection.some(1 << 16).unwrap();
        assert!(!piece.is_empty() && piece == zip[seen..seen + piece.len()]);
        seen += piece.len();
    }
    assert_eq!(modkeep.get("/example.com/x/@latest").status, 403);
}
