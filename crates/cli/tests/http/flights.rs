//! Many clients that want the same, and clients that leave.

use std::time::{Duration, Instant};

use testkit::http::{Connection, Reply};
use testkit::{Fault, Modkeep, Module};

use crate::scene::{
    Ask as _, BRANCH, HIT, INFO, LATEST, LIST, MOD, PATHS, SOON, Scene, ZIP, class_of, within,
};

/// Clients that ask, and have no answer yet.
fn ask_all(modkeep: &Modkeep, clients: usize, path: &str) -> Vec<Connection> {
    (0..clients).map(|_| modkeep.begin(path)).collect()
}

fn replies(asked: Vec<Connection>) -> Vec<Reply> {
    let replies = asked
        .into_iter()
        .map(|mut client| client.reply(false).unwrap());
    replies.collect()
}

/// The answers to so many clients that all ask before the upstream gives one.
fn while_held(scene: &Scene, modkeep: &Modkeep, clients: usize, path: &str) -> Vec<Reply> {
    scene.upstream.hold();
    let asked = ask_all(modkeep, clients, path);
    modkeep.wait_for_connections(clients as u64);
    within(SOON, "the upstream is asked", || {
        scene.upstream.count(path) > 0
    });
    scene.upstream.release();
    replies(asked)
}

#[test]
fn twenty_clients_cost_one_fetch() {
    for path in PATHS {
        let scene = Scene::new();
        let modkeep = scene.start();
        for reply in while_held(&scene, &modkeep, 20, path) {
            assert_eq!((reply.status, reply.complete), (200, true), "{path}");
            assert!(reply.body == scene.source(path), "{path}");
        }
        modkeep.get(path);
        scene.assert_asked(&modkeep, path, 1);
        assert_eq!(scene.upstream.counts().len(), 1, "{path}");
    }
}

#[test]
fn everyone_who_waits_for_a_slow_fetch_gets_the_same_answer() {
    let scene = Scene::new();
    for path in [LIST, MOD, ZIP] {
        scene.upstream.fail(path, Fault::status(503));
        let modkeep = scene.start();
        scene.upstream.forget();
        let replies = while_held(&scene, &modkeep, 50, path);
        for reply in &replies {
            assert_eq!(
                (reply.status, class_of(reply).as_str()),
                (502, "goproxy-5xx")
            );
            assert_eq!(reply.text(), replies[0].text());
        }
        scene.assert_asked(&modkeep, path, 3);
        assert_eq!(scene.upstream.counts().len(), 1, "{path}");
    }
}

#[test]
fn a_go_mod_costs_no_zip() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get_stored(MOD);
    let requests = scene.upstream.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, MOD);
    assert!(requests[0].body_bytes <= scene.source(MOD).len() as u64);
}

#[test]
fn when_the_first_client_hangs_up_the_second_is_answered() {
    for path in [LIST, LATEST, BRANCH, INFO, MOD, ZIP] {
        let scene = Scene::new();
        scene.upstream.hold();
        let modkeep = scene.start();
        let first = modkeep.begin(path);
        within(SOON, "the first client's fetch begins", || {
            scene.upstream.count(path) > 0
        });
        let mut second = modkeep.begin(path);
        modkeep.wait_for_connections(2);
        drop(first);
        scene.upstream.release();
        let reply = second.reply(false).unwrap();
        assert_eq!((reply.status, reply.complete), (200, true), "{path}");
        assert!(reply.body == scene.source(path), "{path}");
        scene.assert_asked(&modkeep, path, 1);
    }
}

#[test]
fn what_nobody_waits_for_any_more_is_fetched_and_stored() {
    for path in [LIST, INFO, MOD, ZIP] {
        let scene = Scene::new();
        scene.upstream.hold();
        let modkeep = scene.start();
        let client = modkeep.begin(path);
        within(SOON, "the fetch begins", || scene.upstream.count(path) > 0);
        drop(client);
        within(SOON, "the client has left", || {
            modkeep.metric("modkeep_connections") == 1
        });
        scene.upstream.release();
        within(SOON, path, || scene.stored(path).is_file());
        let reply = modkeep.get_anew(path);
        assert_eq!(reply.header("Cache-Status"), HIT, "{path}");
        assert!(reply.body == scene.source(path), "{path}");
        scene.assert_asked(&modkeep, path, 1);
    }
}

#[test]
fn a_zip_whose_only_client_leaves_in_the_middle_is_stored() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::HoldAt(150_000));
    let modkeep = scene.start();
    let mut client = modkeep.begin(ZIP);
    assert_eq!(client.head().unwrap().0, 200);
    assert!(!client.some(10_000).unwrap().is_empty());
    drop(client);
    within(SOON, "the client has left", || {
        modkeep.metric("modkeep_connections") == 1
    });
    assert!(!scene.stored(ZIP).exists(), "it was over too soon");
    scene.upstream.release();
    within(SOON, "the zip is stored", || scene.stored(ZIP).is_file());
    let reply = modkeep.get_anew(ZIP);
    assert!(reply.header("Cache-Status") == HIT && reply.body == scene.source(ZIP));
    scene.assert_asked(&modkeep, ZIP, 1);
}

#[test]
fn a_client_that_does_not_want_to_wait_leaves_the_others_alone() {
    let scene = Scene::new();
    scene.upstream.hold();
    let modkeep = scene.start();
    let impatient = ask_all(&modkeep, 10, ZIP);
    let mut patient = modkeep.begin(ZIP);
    modkeep.wait_for_connections(11);
    within(SOON, "the fetch begins", || scene.upstream.count(ZIP) > 0);
    drop(impatient);
    within(SOON, "all others have left", || {
        modkeep.metric("modkeep_connections") == 2
    });
    scene.upstream.release();
    assert!(patient.reply(false).unwrap().body == scene.source(ZIP));
    scene.assert_asked(&modkeep, ZIP, 1);
}

#[test]
fn a_list_is_asked_for_again_when_its_time_is_over_and_not_before() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("cache.ttl", "1s")]);
    modkeep.get_stored(LIST);
    scene.tree.add(&Module::new("example.com/Acme", "v1.3.0"));
    let mut asked = 0;
    within(SOON, "the new version is listed", || {
        asked += 1;
        modkeep.get(LIST).text() == "v1.2.3\nv1.3.0\n"
    });
    let received: Vec<Instant> = scene
        .upstream
        .requests()
        .iter()
        .map(|request| request.received)
        .collect();
    assert!(received.len() >= 2 && asked > 1, "{asked}");
    for pair in received.windows(2) {
        let pause = pair[1] - pair[0];
        assert!(pause >= Duration::from_secs(1), "{pause:?}");
    }
}

#[test]
fn a_list_that_has_not_changed_is_confirmed_without_being_sent() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("cache.ttl", "0s")]);
    modkeep.get(LIST);
    modkeep.settle();
    let again = modkeep.get(LIST);
    assert_eq!((again.status, again.text().as_str()), (200, "v1.2.3\n"));
    within(SOON, "the upstream confirms it", || {
        let requests = scene.upstream.requests();
        requests
            .get(1)
            .is_some_and(|second| second.status == Some(304))
    });
    assert_eq!(scene.upstream.requests()[1].body_bytes, 0);
}

#[test]
fn clients_that_ask_again_and_again_during_a_refresh_cost_one_fetch() {
    let scene = Scene::new();
    let settings = [("cache.ttl", "0s"), ("cache.stale-wait", "100ms")];
    let modkeep = scene.start_with(&settings);
    modkeep.get(LIST);
    modkeep.settle();
    scene.upstream.forget();
    scene.upstream.hold();
    for reply in replies(ask_all(&modkeep, 20, LIST)) {
        // The upstream has not answered.
        assert_eq!((reply.status, reply.text().as_str()), (200, "v1.2.3\n"));
    }
    scene.assert_asked(&modkeep, LIST, 1);
}

#[test]
fn a_large_zip_passes_through_without_filling_the_memory() {
    let scene = Scene::empty();
    let path = "/example.com/large/@v/v1.0.0.zip";
    let module = Module::big("example.com/large", "v1.0.0", 100 << 20);
    scene.tree.add(&module);
    let size = scene.tree.file(path).metadata().unwrap().len();
    let modkeep = scene.start();
    let before = modkeep.memory().peak;
    for _ in 0..2 {
        let url = format!("{}{path}", modkeep.url());
        let (reply, len) = testkit::http::drain(&url).unwrap();
        assert_eq!((reply.status, reply.complete, len), (200, true, size));
        within(SOON, "it is stored", || scene.stored(path).is_file());
    }
    let grown = modkeep.memory().peak - before;
    assert!(grown < size / 2, "{} MiB more than before", grown >> 20);
}
