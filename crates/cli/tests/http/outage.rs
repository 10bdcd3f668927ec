//! Upstreams in trouble: every kind of trouble has its status and its reason, and none of them is "not found".

use std::thread;
use std::time::{Duration, Instant};

use testkit::{Fault, Go, Modkeep, Module, UpstreamServer};

use crate::scene::{Ask as _, INFO, LIST, MOD, PATHS, SOON, Scene, ZIP, class_of, within};

/// What an upstream does, and what becomes of it: status and class.
fn troubles() -> Vec<(Fault, u16, &'static str)> {
    vec![
        (Fault::status(500), 502, "goproxy-5xx"),
        (Fault::status(502), 502, "goproxy-5xx"),
        (Fault::status(503), 502, "goproxy-5xx"),
        (Fault::status(504), 502, "goproxy-5xx"),
        (Fault::status(429), 503, "goproxy-429"),
        (Fault::status(401), 502, "goproxy-401"),
        (Fault::status(403), 502, "goproxy-403"),
        (Fault::status(400), 502, "goproxy-4xx"),
        (Fault::status(451), 502, "goproxy-4xx"),
        (Fault::status(204), 502, "goproxy-corrupt"),
        (Fault::status(206), 502, "goproxy-corrupt"),
        (Fault::status(304), 502, "goproxy-corrupt"),
        (Fault::CloseWithoutAnswer, 502, "tcp-reset"),
        (Fault::ResetWithoutAnswer, 502, "tcp-reset"),
        (Fault::Garbage(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), 502, ""),
    ]
}

fn assert_no_trace(scene: &Scene, path: &str) {
    assert!(!scene.stored(path).exists(), "{path} was stored");
}

#[test]
fn every_trouble_has_its_status_and_none_is_not_found() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for (fault, status, class) in troubles() {
        scene.upstream.fail("*", fault.clone());
        for path in PATHS {
            let reply = modkeep.get_anew(path);
            assert_eq!(reply.status, status, "{path} {fault:?}: {}", reply.text());
            let found = class_of(&reply);
            assert!(
                class.is_empty() || found == class,
                "{path} {fault:?}: {found}"
            );
            let url = format!("{}{path}", scene.upstream.url());
            assert!(
                reply.text().contains(&url),
                "{path} {fault:?}: {}",
                reply.text()
            );
            assert_no_trace(&scene, path);
        }
    }
    // Trouble is not remembered.
    scene.upstream.heal();
    for path in PATHS {
        assert!(modkeep.get_anew(path).body == scene.source(path), "{path}");
    }
}

#[test]
fn an_upstream_that_hangs_is_trouble_in_time() {
    let scene = Scene::new();
    let second = UpstreamServer::serve(scene.tree.root());
    scene.upstream.fail("*", Fault::Hang);
    let first_alone = scene.upstream.url();
    let both = format!("{first_alone},{}", second.url());
    for (chain, answered) in [(&first_alone, false), (&both, true)] {
        let store = Scene::empty();
        let settings = [
            ("upstream", chain.as_str()),
            ("upstreams.first-byte-timeout", "1s"),
        ];
        let modkeep = store.start_with(&settings);
        let asked = PATHS.map(|path| (path, modkeep.begin(path)));
        for (path, mut connection) in asked {
            let reply = connection.reply(false).unwrap();
            if answered {
                assert!(reply.body == scene.source(path), "{path}");
            } else {
                assert_eq!(reply.status, 504, "{path}: {}", reply.text());
                assert_eq!(class_of(&reply), "goproxy-slow", "{path}");
            }
        }
    }
}

#[test]
fn an_upstream_that_is_not_there_is_trouble() {
    let mut scene = Scene::new();
    scene.upstream.stop();
    let modkeep = scene.start();
    for path in PATHS {
        let reply = modkeep.get_anew(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (502, "tcp-refused")
        );
    }
    scene.upstream.start();
    for path in PATHS {
        assert!(modkeep.get_anew(path).body == scene.source(path), "{path}");
    }
}

#[test]
fn the_time_an_upstream_asks_for_is_passed_on() {
    let scene = Scene::new();
    for status in [429, 503] {
        // Longer than anybody waits for an answer.
        scene.upstream.fail("*", Fault::retry_after(status, 600));
        let reply = scene.start().get_anew(MOD);
        assert_eq!(reply.status, 503);
        assert_eq!(reply.header("Retry-After"), Some("600"));
    }
}

#[test]
fn the_reason_of_the_upstream_is_passed_on_and_cut_to_size() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let say = |content_type: &str, body: &str| {
        let answer = testkit::Answer::status(500)
            .header("Content-Type", content_type)
            .body(body);
        scene.upstream.fail_times(3, MOD, Fault::Answer(answer));
        modkeep.get_anew(MOD).text()
    };
    let text = say("text/plain", "the disk of the upstream\x07 is full\n");
    assert!(text.contains("the disk of the upstream is full"), "{text}");
    let text = say("text/html", "<html>do not show this</html>");
    assert!(!text.contains("do not show"), "{text}");
    let text = say("text/plain", &"long ".repeat(100_000));
    assert!(text.contains("long") && text.len() < 3000, "{}", text.len());
}

#[test]
fn a_trouble_of_one_upstream_is_the_chance_of_the_next() {
    let scene = Scene::new();
    let broken_tree = Scene::new();
    for (number, (fault, ..)) in troubles().into_iter().enumerate() {
        let store = Scene::empty();
        broken_tree.upstream.heal();
        broken_tree.upstream.fail("*", fault.clone());
        let separator = [",", "|"][number % 2];
        let chain = [broken_tree.upstream.url(), scene.upstream.url()].join(separator);
        let modkeep = store.start_with(&[("upstream", &chain)]);
        for path in [LIST, INFO, ZIP] {
            let reply = modkeep.get(path);
            assert!(reply.body == scene.source(path), "{path} {fault:?}");
        }
    }
}

#[test]
fn a_module_that_nobody_knows_in_an_outage_is_no_empty_list() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get_stored(LIST);
    scene.upstream.fail("*", Fault::status(503));
    for path in ["/example.com/other/@v/list", "/example.com/other/@latest"] {
        let reply = modkeep.get(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (502, "goproxy-5xx")
        );
    }
}

#[test]
fn a_failure_heals_by_itself() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in PATHS {
        // One answer in need of a second try is not even noticed.
        scene.upstream.fail_times(3, path, Fault::status(500));
        assert_eq!(modkeep.get_anew(path).status, 502, "{path}");
        assert_eq!(modkeep.get_anew(path).status, 200, "{path}");
        assert_eq!(scene.upstream.count(path), 4, "{path}");
    }
}

#[test]
fn the_first_who_asks_after_a_long_outage_is_answered() {
    let mut scene = Scene::new();
    let modkeep = scene.start_with(&[("upstreams.probe-interval", "50ms")]);
    scene.upstream.stop();
    // So many failures that it is looked for as seldom as ever it is.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        let reply = modkeep.get(MOD);
        assert_eq!(reply.status, 502, "{}", reply.text());
        thread::sleep(Duration::from_millis(20));
    }
    scene.upstream.start();
    for path in [MOD, ZIP, LIST] {
        let reply = modkeep.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(reply.body == scene.source(path), "{path}");
    }
}

#[test]
fn a_list_that_takes_for_ever_ends_in_time_and_blocks_nobody() {
    let scene = Scene::new();
    let drip = Fault::Drip {
        bytes: 1,
        every: Duration::from_millis(200),
    };
    scene.upstream.fail(LIST, drip);
    let modkeep = scene.start_with(&[("upstreams.small-timeout", "600ms")]);
    let mut slow = modkeep.begin(LIST);
    within(SOON, "the fetch begins", || scene.upstream.count(LIST) > 0);
    assert_eq!(modkeep.get(INFO).status, 200);
    let reply = slow.reply(false).unwrap();
    assert_eq!(
        (reply.status, class_of(&reply).as_str()),
        (504, "goproxy-slow")
    );
}

fn errors(modkeep: &Modkeep) -> String {
    let stderr = modkeep.stderr();
    let lines = stderr.lines().filter(|line| line.contains("\"ERROR\""));
    lines.collect()
}

#[test]
fn what_is_to_be_expected_is_not_logged_as_an_error() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in PATHS {
        modkeep.get_stored(path);
    }
    for path in ["/example.com/none/@v/list", "/example.com/M/@latest", "/x"] {
        modkeep.get(path);
    }
    modkeep.ask("POST", LIST, &[]);
    drop(modkeep.begin(ZIP));
    assert!(
        modkeep.says_within("\"request\"", SOON),
        "nothing was logged"
    );
    let exit = {
        let modkeep = modkeep;
        assert_eq!(errors(&modkeep), "");
        modkeep.terminate()
    };
    assert!(!exit.stderr.contains("\"ERROR\""), "{}", exit.stderr);
    assert!(!exit.stderr.contains("panicked"), "{}", exit.stderr);
}

#[test]
fn an_upstream_in_trouble_makes_the_server_degraded_and_not_unready() {
    let scene = Scene::new();
    let second = UpstreamServer::serve(scene.tree.root());
    let chain = format!("{},{}", scene.upstream.url(), second.url());
    let modkeep = scene.start_with(&[("upstream", &chain)]);
    let status = || -> serde_json::Value {
        let reply = modkeep.get("/readyz");
        assert_eq!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    };
    scene.upstream.fail("*", Fault::status(503));
    modkeep.get(MOD);
    let report = status();
    assert_eq!(report["status"], "degraded", "{report}");
    let checks = report["checks"].as_array().unwrap();
    let bad: Vec<_> = checks.iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(bad.len(), 1, "{report}");
    assert_eq!(bad[0]["name"], format!("upstream {}", scene.upstream.url()));
    let reason = bad[0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("goproxy-5xx: "), "{reason}");
    scene.upstream.heal();
    modkeep.get(INFO);
    assert_eq!(status()["status"], "ready");
}

#[test]
fn the_go_command_shows_the_reason_to_its_user_and_does_not_go_on() {
    let Ok(go) = Go::try_find() else {
        testkit::skipped("what the go command prints in an outage (no go 1.24 or newer)");
        return;
    };
    let scene = Scene::new();
    scene.tree.add(&Module::new("example.com/Acme", "v1.3.0"));
    let modkeep = scene.start();
    // The second entry must not be asked: trouble is not absence.
    let second = UpstreamServer::serve(scene.tree.root());
    let go = go.proxy(&format!("{},{}", modkeep.url(), second.url()));
    let folder = tempfile::tempdir().unwrap();
    let list = ["list", "-m", "-versions", "example.com/Acme"];
    scene.upstream.fail("*", Fault::status(503));
    let said = go.run(folder.path(), &list).expect_failure();
    assert!(said.contains("502 Bad Gateway"), "{said}");
    assert!(said.contains("goproxy-5xx"), "{said}");
    assert!(said.contains("simulated status 503"), "{said}");
    assert_eq!(second.requests().len(), 0);
    scene.upstream.heal();
    let said = go.run(folder.path(), &list).expect_success();
    assert_eq!(said.trim(), "example.com/Acme v1.2.3 v1.3.0");
    let download = ["mod", "download", "example.com/Acme@v1.2.3"];
    go.run(folder.path(), &download).expect_success();
    assert_eq!(second.requests().len(), 0);
}
