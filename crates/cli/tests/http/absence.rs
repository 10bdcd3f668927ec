//! What does not exist, and what only seems not to.

use std::fs;
use std::time::{Duration, Instant};

use testkit::{Answer, Fault, Module, UpstreamServer};

use crate::scene::{
    Ask as _, BRANCH, INFO, LATEST, LIST, MODULE, PATHS, SOON, STALE, Scene, ZIP, class_of, within,
};

#[test]
fn not_found_and_gone_stay_what_they_are() {
    let scene = Scene::empty();
    let modkeep = scene.start_with(&[("cache.absent-ttl", "0s")]);
    for path in PATHS {
        for status in [404, 410] {
            let reason = "not found: example.com/Acme@v1.2.3: unknown revision v1.2.3";
            let answer = Answer::status(status)
                .header("Content-Type", "text/plain; charset=UTF-8")
                .body(reason);
            scene.upstream.fail_once(path, Fault::Answer(answer));
            let reply = modkeep.get_anew(path);
            assert_eq!(reply.status, status, "{path}");
            assert_eq!(class_of(&reply), "not found", "{path}");
            assert!(
                reply.text().contains("unknown revision"),
                "{}",
                reply.text()
            );
            assert!(
                !reply.text().contains("not found: not found"),
                "{}",
                reply.text()
            );
        }
        // Without a reason of the upstream's there is one of ours.
        scene
            .upstream
            .fail_once(path, Fault::Answer(Answer::status(404)));
        let reply = modkeep.get_anew(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (404, "not found")
        );
        assert!(reply.text().contains(MODULE), "{}", reply.text());
    }
}

#[test]
fn prefixes_of_an_import_path_are_asked_for_once() {
    let scene = Scene::empty();
    let modkeep = scene.start();
    let prefixes = ["example.com/a/b/c", "example.com/a/b", "example.com/a"];
    for round in 0..5 {
        for prefix in prefixes {
            let path = format!("/{prefix}/@v/list");
            let reply = modkeep.get(&path);
            assert_eq!(reply.status, 404, "{path}");
            scene.assert_asked(&modkeep, &path, 1);
            let cache = reply.header("Cache-Control").unwrap();
            assert_eq!(cache, "public, max-age=30", "{path}");
        }
        // Whoever asked again now would have no answer.
        if round == 0 {
            modkeep.settle();
            scene.upstream.hold();
        }
    }
}

#[test]
fn a_version_published_later_is_found_when_the_absence_is_old() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("cache.absent-ttl", "2s")]);
    let path = "/example.com/!acme/@v/v1.3.0.info";
    scene.tree.add(&Module::new(MODULE, "v1.3.0"));
    scene.upstream.fail_once(path, Fault::status(404));
    assert_eq!(modkeep.get(path).status, 404);
    within(SOON, "the new version is found", || {
        modkeep.get(path).status == 200
    });
    let asked: Vec<Instant> = scene
        .upstream
        .requests()
        .iter()
        .map(|request| request.received)
        .collect();
    // The absence is remembered meanwhile.
    assert!(
        asked[1] - asked[0] >= Duration::from_secs(2),
        "{:?}",
        asked[1] - asked[0]
    );
    scene.assert_asked(&modkeep, path, 2);
}

#[test]
fn a_version_asked_for_by_name_does_not_wait_for_the_list() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("cache.ttl", "1h")]);
    modkeep.get_stored(LIST);
    scene.tree.add(&Module::new(MODULE, "v1.3.0"));
    for ending in ["info", "mod", "zip"] {
        let path = format!("/example.com/!acme/@v/v1.3.0.{ending}");
        assert!(modkeep.get(&path).body == scene.source(&path), "{path}");
    }
    assert_eq!(modkeep.get(LIST).text(), "v1.2.3\n");
}

#[test]
fn what_is_known_does_not_vanish_with_its_origin() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("cache.ttl", "0s"), ("cache.absent-ttl", "0s")]);
    for path in PATHS {
        let before = modkeep.get(path);
        modkeep.settle();
        for status in [404, 410] {
            scene.upstream.fail(path, Fault::status(status));
            let reply = modkeep.get_anew(path);
            if path == BRANCH {
                // Where a branch led once is no answer to where it leads now.
                assert_eq!(reply.status, status);
                continue;
            }
            assert_eq!(reply.status, 200, "{path}");
            assert!(reply.body == before.body, "{path}");
            if [LIST, LATEST].contains(&path) {
                assert_eq!(reply.header("Cache-Status"), STALE, "{path}");
                assert!(
                    reply
                        .header("X-Modkeep-Stale")
                        .unwrap()
                        .contains("not found"),
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn the_list_of_an_origin_that_is_gone_is_what_is_stored() {
    let scene = Scene::empty();
    let modkeep = scene.start();
    for version in [
        "v1.10.0",
        "v1.2.0",
        "v1.3.0-RC.1",
        "v0.0.0-20210304050607-abcdef123456",
    ] {
        let module = Module::new(MODULE, version);
        scene.tree.add(&module);
        modkeep.get_stored(&format!("/{}.info", module.stem()));
    }
    fs::remove_dir_all(scene.tree.file("example.com")).unwrap();
    let reply = modkeep.get(LIST);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.text(), "v1.2.0\nv1.3.0-RC.1\nv1.10.0\n");
    assert_eq!(reply.header("Cache-Status"), STALE);
    let unknown = modkeep.get("/example.com/never/@v/list");
    assert_eq!(unknown.status, 404);
}

#[test]
fn a_list_that_was_never_fetched_is_waited_for() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get_stored(INFO);
    scene.tree.add(&Module::new(MODULE, "v1.3.0"));
    // Longer than a stale answer would be waited for.
    scene.upstream.set_delay(Duration::from_millis(1200));
    let reply = modkeep.get(LIST);
    assert_eq!(reply.text(), "v1.2.3\nv1.3.0\n");
}

/// The answer of a second upstream decides, or not.
#[test]
fn nothing_is_absent_while_somebody_who_could_know_was_not_asked() {
    let scene = Scene::new();
    let empty = tempfile::tempdir().unwrap();
    let second = UpstreamServer::serve(empty.path());
    let both = format!("{},{}", scene.upstream.url(), second.url());
    let absent = || Fault::status(404);
    let trouble = || Fault::status(500);
    let right = || Fault::Delay(Duration::ZERO);
    let table = [
        (absent(), absent(), "false", 404),
        (absent(), trouble(), "false", 502),
        (trouble(), absent(), "false", 502),
        (trouble(), trouble(), "false", 502),
        (right(), trouble(), "false", 200),
        (absent(), trouble(), "true", 404),
        (trouble(), absent(), "true", 502),
    ];
    for path in [LIST, ZIP] {
        for (first_says, second_says, first_decides, status) in table.clone() {
            let folder = Scene::empty();
            let modkeep = folder.start_with(&[
                ("upstream", both.as_str()),
                ("upstreams.first-is-authoritative", first_decides),
            ]);
            scene.upstream.heal();
            second.heal();
            scene.upstream.fail("*", first_says.clone());
            second.fail("*", second_says.clone());
            assert_eq!(
                modkeep.get(path).status,
                status,
                "{path}: {first_says:?}, {second_says:?}, {first_decides}"
            );
        }
    }
}

#[test]
fn without_upstreams_nothing_is_fetched_and_nothing_is_called_absent() {
    let scene = Scene::new();
    {
        let modkeep = scene.start();
        for path in PATHS {
            modkeep.get_stored(path);
        }
        modkeep.terminate();
    }
    scene.upstream.forget();
    let modkeep = scene.start_with(&[("upstream", "off"), ("cache.ttl", "0s")]);
    for path in PATHS {
        let reply = modkeep.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(reply.body == scene.source(path), "{path}");
        let other = path.replace("!acme", "other");
        let reply = modkeep.get(&other);
        assert_eq!(reply.status, 403, "{other}");
        assert_eq!(class_of(&reply), "cfg-goproxy-off", "{other}");
        assert!(reply.text().contains("GOPROXY=off"), "{}", reply.text());
    }
    assert_eq!(scene.upstream.connections(), 0);
}
