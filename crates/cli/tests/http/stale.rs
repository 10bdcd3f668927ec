//! An outage after which everything that was known is still answered, at once and honestly.

use std::thread;
use std::time::{Duration, Instant};

use testkit::{Fault, Modkeep, Module};

use crate::scene::{
    Ask as _, BRANCH, HIT, INFO, LATEST, LIST, MOD, PATHS, SOON, STALE, Scene, ZIP, class_of,
    within,
};

const CHANGEABLE: [&str; 3] = [LIST, LATEST, BRANCH];

/// A `modkeep` that has everything, and believes nothing for long.
fn filled(scene: &Scene) -> Modkeep {
    let modkeep = scene.start_with(&[("cache.ttl", "0s")]);
    for path in PATHS {
        modkeep.get(path);
    }
    modkeep.settle();
    scene.upstream.forget();
    modkeep
}

/// Asks until the reason is known, which may take more than one request on a busy machine. Each answer is a stale one.
fn assert_stale(scene: &Scene, modkeep: &Modkeep, path: &str, reason: &str) {
    within(SOON, &format!("{path}: {reason} at once"), || {
        let reply = modkeep.get(path);
        assert_eq!((reply.status, reply.complete), (200, true), "{path}");
        assert!(reply.body == scene.source(path), "{path}");
        let age: u64 = reply.header("Age").unwrap().parse().unwrap();
        assert!(age < 60, "{path}: {age}");
        assert_eq!(
            reply.header("Warning"),
            Some("110 modkeep \"Response is Stale\"")
        );
        assert_eq!(reply.header("Cache-Status"), STALE, "{path}");
        assert_eq!(reply.header("Cache-Control"), Some("public, max-age=0"));
        let why = reply.header("X-Modkeep-Stale").unwrap();
        why.contains(reason) && reply.total < Duration::from_millis(500)
    });
}

#[test]
fn an_upstream_that_answers_with_errors_is_stood_in_for() {
    let scene = Scene::new();
    drop(filled(&scene));
    for (fault, reason) in [
        (Fault::status(503), "goproxy-5xx"),
        (Fault::status(500), "goproxy-5xx"),
        (Fault::status(401), "goproxy-401"),
        (Fault::status(403), "goproxy-403"),
        (Fault::retry_after(429, 60), "goproxy-429"),
        (Fault::Html, "goproxy-html"),
        (Fault::CloseWithoutAnswer, ""),
        (Fault::ResetWithoutAnswer, "tcp-reset"),
    ] {
        scene.upstream.fail("*", fault);
        // A stale answer is given again for a while; this one shall know the reason.
        let modkeep = scene.start_with(&[("cache.ttl", "0s")]);
        for path in CHANGEABLE {
            assert_stale(&scene, &modkeep, path, reason);
            let head = modkeep.head(path);
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
            assert_eq!(head.header("Cache-Status"), STALE, "{path}");
        }
    }
}

#[test]
fn an_upstream_that_is_down_is_stood_in_for() {
    let mut scene = Scene::new();
    let modkeep = filled(&scene);
    scene.upstream.stop();
    for path in CHANGEABLE {
        assert_stale(&scene, &modkeep, path, "tcp-refused");
    }
    for path in [INFO, MOD, ZIP] {
        let reply = modkeep.get(path);
        assert_eq!(reply.header("Cache-Status"), HIT, "{path}");
        assert!(reply.body == scene.source(path), "{path}");
    }
    let cold = modkeep.get("/example.com/!acme/@v/v1.9.0.mod");
    assert_eq!(
        (cold.status, class_of(&cold).as_str()),
        (502, "tcp-refused")
    );
    scene.upstream.start();
    within(SOON, "the upstream is asked again", || {
        modkeep.get(LIST).header("Cache-Status") != STALE
    });
}

#[test]
fn an_upstream_that_hangs_is_stood_in_for() {
    let scene = Scene::new();
    let modkeep = filled(&scene);
    scene.upstream.fail("*", Fault::Hang);
    for path in CHANGEABLE {
        assert_stale(&scene, &modkeep, path, "refreshing");
    }
    assert!(modkeep.metric("modkeep_fetches_in_flight") >= 3);
    // The refresh goes on in the background, and is not begun again.
    for path in CHANGEABLE {
        assert_stale(&scene, &modkeep, path, "refreshing");
        assert!(scene.upstream.count(path) <= 3, "{path}");
    }
}

#[test]
fn a_refresh_that_takes_long_arrives_for_those_who_ask_later() {
    let scene = Scene::new();
    let settings = [("cache.ttl", "2s"), ("cache.stale-wait", "50ms")];
    let modkeep = scene.start_with(&settings);
    modkeep.get_stored(LIST);
    scene.tree.add(&Module::new("example.com/Acme", "v1.3.0"));
    scene.upstream.hold();
    within(SOON, "the list is stale", || {
        modkeep.get(LIST).header("Cache-Status") == STALE
    });
    assert_eq!(modkeep.get(LIST).header("Cache-Status"), STALE);
    scene.assert_asked(&modkeep, LIST, 2);
    scene.upstream.release();
    within(SOON, "the list is fresh", || {
        modkeep.get(LIST).header("Cache-Status") == HIT
    });
    assert_eq!(modkeep.get(LIST).text(), "v1.2.3\nv1.3.0\n");
}

#[test]
fn stored_answers_do_not_wait_behind_hanging_ones() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in PATHS {
        modkeep.get_stored(path);
    }
    scene.upstream.fail("*", Fault::Hang);
    let hanging: Vec<_> = (0..160)
        .map(|number| {
            let ending = ["list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"][number % 4];
            modkeep.begin(&format!("/example.com/hang{number}/@v/{ending}"))
        })
        .collect();
    within(SOON, "all of them hang", || {
        // Some more than once: who waits for long asks again.
        let asked = scene.upstream.counts().into_keys();
        asked
            .filter(|path| path.starts_with("/example.com/hang"))
            .count()
            == 160
    });
    for path in PATHS {
        let reply = modkeep.get(path);
        assert!(reply.body == scene.source(path), "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/index"] {
        assert_eq!(modkeep.get(path).status, 200, "{path}");
    }
    // None of them has come to an end meanwhile.
    assert!(modkeep.metric("modkeep_fetches_in_flight") >= 160);
    drop(hanging);
}

#[test]
fn a_stored_list_that_was_imported_is_served_in_an_outage() {
    let mut scene = Scene::new();
    for path in [LIST, INFO, MOD, ZIP] {
        let stored = scene.stored(path);
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::copy(scene.tree.file(path), stored).unwrap();
    }
    scene.upstream.stop();
    let modkeep = scene.start_with(&[("cache.ttl", "0s")]);
    for path in [LIST, INFO, MOD, ZIP] {
        let reply = modkeep.get(path);
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.body == scene.source(path), "{path}");
    }
    assert_eq!(modkeep.get(LIST).header("Cache-Status"), STALE);
}

#[test]
fn a_restart_in_an_outage_loses_nothing() {
    let mut scene = Scene::new();
    filled(&scene).terminate();
    scene.upstream.stop();
    let modkeep = scene.start_with(&[("cache.ttl", "0s")]);
    for path in CHANGEABLE {
        assert_stale(&scene, &modkeep, path, "tcp-refused");
    }
    assert!(modkeep.get(ZIP).body == scene.source(ZIP));
}

#[test]
fn a_load_of_clients_in_an_outage_is_answered_at_once() {
    let mut scene = Scene::new();
    let modkeep = filled(&scene);
    scene.upstream.stop();
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for path in PATHS {
                    assert_eq!(modkeep.get(path).status, 200, "{path}");
                }
            });
        }
    });
    // Nobody has waited for as long as an upstream may take.
    assert!(began.elapsed() < SOON / 2, "{:?}", began.elapsed());
}
