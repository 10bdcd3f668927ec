//! Instances whose chains of upstreams lead to each other.

use std::net::TcpListener;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use testkit::http::Reply;
use testkit::{ChecksumDatabase, Modkeep, Module};

use crate::scene::{Ask as _, LIST, MOD, Scene, ZIP, class_of};

/// Far below the limit for an answer, which is a minute: nobody waits for himself.
const AT_ONCE: Duration = Duration::from_secs(20);

const UNKNOWN: &str = "/example.com/unknown/@v/list";

/// Two instances, each with the other before these upstreams in its chain.
fn pair(
    first: &Scene,
    first_then: &str,
    second: &Scene,
    second_then: &str,
    settings: &[(&str, &str)],
) -> (Modkeep, Modkeep) {
    let socket = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let first_url = format!("http://{}", socket.local_addr().unwrap());
    let second_chain = format!("{first_url}{second_then}");
    let second =
        second.start_with(&[&[("upstream", second_chain.as_str())][..], settings].concat());
    let first_chain = format!("{}{first_then}", second.url());
    let first = first
        .command_with(&[&[("upstream", first_chain.as_str())][..], settings].concat())
        .socket(&socket)
        .start();
    (first, second)
}

/// Two instances, each with the other before its own upstream in its chain.
fn pair_with_upstreams(one: &Scene, two: &Scene, settings: &[(&str, &str)]) -> (Modkeep, Modkeep) {
    let then = |scene: &Scene| format!(",{}", scene.upstream.url());
    pair(one, &then(one), two, &then(two), settings)
}

#[test]
fn who_asks_in_a_circle_is_told_so_at_once() {
    let (one, two) = (Scene::new(), Scene::new());
    let (first, second) = pair(&one, "", &two, "", &[]);
    for modkeep in [&first, &second] {
        for path in [MOD, LIST, ZIP, UNKNOWN] {
            let began = Instant::now();
            let reply = modkeep.get(path);
            assert_eq!(reply.status, 508, "{path}: {}", reply.text());
            assert_eq!(class_of(&reply), "loop");
            for url in [first.url(), second.url(), "modkeep-"] {
                assert!(reply.text().contains(url), "{url}: {}", reply.text());
            }
            assert!(began.elapsed() < AT_ONCE, "{path}");
        }
    }
    assert!(one.upstream.requests().is_empty() && two.upstream.requests().is_empty());
}

/// Every one of them asked for the same by a client of its own, at the same moment.
fn ask_all(instances: &[&Modkeep], path: &str) -> Vec<Reply> {
    let barrier = &Barrier::new(instances.len());
    thread::scope(|scope| {
        let asked: Vec<_> = instances
            .iter()
            .map(|&modkeep| {
                scope.spawn(move || {
                    barrier.wait();
                    modkeep.get(path)
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn who_ask_each_other_for_the_same_at_the_same_moment_are_told_so_at_once() {
    let scenes = [Scene::new(), Scene::new()];
    let (first, second) = pair(&scenes[0], "", &scenes[1], "", &[]);
    let paths = (0..8).flat_map(|number| {
        ["@latest", "@v/list", "@v/v1.0.0.mod", "@v/v1.0.0.zip"]
            .map(|file| format!("/example.com/m{number}/{file}"))
    });
    for path in paths {
        let began = Instant::now();
        for reply in ask_all(&[&first, &second], &path) {
            assert_eq!(reply.status, 508, "{path}: {}", reply.text());
            assert_eq!(class_of(&reply), "loop");
        }
        assert!(began.elapsed() < AT_ONCE, "{path}");
    }
}

#[test]
fn three_in_a_circle_are_told_so_at_once() {
    let scenes = [Scene::new(), Scene::new(), Scene::new()];
    let sockets: [_; 3] =
        std::array::from_fn(|_| Arc::new(TcpListener::bind("127.0.0.1:0").unwrap()));
    let instances: Vec<Modkeep> = (0..3)
        .map(|number| {
            let next = sockets[(number + 1) % 3].local_addr().unwrap();
            scenes[number]
                .command_with(&[("upstream", &format!("http://{next}"))])
                .socket(&sockets[number])
                .start()
        })
        .collect();
    let instances: Vec<&Modkeep> = instances.iter().collect();
    for number in 0..8 {
        for file in ["@v/list", "@v/v1.0.0.mod"] {
            let path = format!("/example.com/m{number}/{file}");
            let began = Instant::now();
            for reply in ask_all(&instances, &path) {
                assert_eq!(reply.status, 508, "{path}: {}", reply.text());
            }
            assert!(began.elapsed() < AT_ONCE, "{path}");
        }
    }
}

#[test]
fn who_ask_each_other_at_the_same_moment_learn_what_those_outside_of_the_circle_say() {
    let (one, two) = (Scene::new(), Scene::empty());
    let (one_then, two_then) = (one.upstream.url(), two.upstream.url());
    let (first, second) = pair(
        &one,
        &format!(",{one_then}"),
        &two,
        &format!(",{two_then}"),
        &[],
    );
    for number in 0..8 {
        let path = format!("/example.com/unknown{number}/@v/list");
        let began = Instant::now();
        for reply in ask_all(&[&first, &second], &path) {
            assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        }
        assert!(began.elapsed() < AT_ONCE, "{path}");
    }
    for path in [LIST, MOD, ZIP] {
        for reply in ask_all(&[&first, &second], path) {
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            assert!(reply.body == one.source(path), "{path}");
        }
    }
}

#[test]
fn a_server_that_is_no_instance_is_not_asked_whether_it_waits_for_one() {
    let scene = Scene::new();
    let center = scene.start();
    assert_eq!(center.get(LIST).status, 200);
    let folders = [Scene::empty(), Scene::empty()];
    let [first, second] = [&folders[0], &folders[1]].map(|folder| {
        let url = center.url().to_owned();
        folder.start_with(&[("upstream", url.as_str())])
    });
    // Longer than an instance waits before it looks whether it waits for itself.
    scene.upstream.set_delay(Duration::from_secs(1));
    for path in [MOD, ZIP] {
        for reply in ask_all(&[&first, &second], path) {
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        }
        assert_eq!(scene.upstream.count(path), 1, "{path}");
    }
    for request in scene.upstream.requests() {
        assert_eq!(request.header("disable-module-fetch"), None, "{request:?}");
    }
}

#[test]
fn an_instance_that_is_its_own_upstream_notices() {
    let scene = Scene::new();
    let socket = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    // Another name, so that it is not found out at the start.
    let url = format!("http://localhost:{}", socket.local_addr().unwrap().port());
    let modkeep = scene
        .command_with(&[("upstream", &url)])
        .socket(&socket)
        .start();
    let reply = modkeep.get(MOD);
    assert_eq!((reply.status, class_of(&reply).as_str()), (508, "loop"));
}

#[test]
fn instances_that_ask_each_other_first_find_what_one_of_them_has_an_upstream_for() {
    let (one, two) = (Scene::new(), Scene::empty());
    two.write("/example.com/other/@v/list", "v0.1.0\n");
    let (first, second) = pair_with_upstreams(&one, &two, &[]);
    for path in [MOD, LIST, ZIP] {
        let reply = second.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(reply.body == one.source(path), "{path}");
    }
    let other = first.get("/example.com/other/@v/list");
    assert_eq!(other.text(), "v0.1.0\n");
    // That nobody has it is certain, too: all that there are were asked, by whoever began.
    for modkeep in [&first, &second] {
        let reply = modkeep.get_anew(UNKNOWN);
        assert_eq!(reply.status, 404, "{}", reply.text());
    }
}

#[test]
fn what_could_not_be_asked_in_a_circle_is_no_absence() {
    let (one, mut two) = (Scene::new(), Scene::empty());
    let (first, second) = pair_with_upstreams(&one, &two, &[]);
    two.upstream.stop();
    for modkeep in [&first, &second] {
        let reply = modkeep.get_anew(UNKNOWN);
        assert_eq!(reply.status, 502, "{}", reply.text());
    }
}

#[test]
fn who_asks_beside_another_instance_does_not_get_its_partial_answer() {
    let (one, two) = (Scene::new(), Scene::empty());
    let (first, second) = pair_with_upstreams(&one, &two, &[]);
    two.upstream.set_delay(Duration::from_millis(500));
    thread::scope(|scope| {
        // It asks the second, which asks its own upstream and would say that there is nothing.
        let through_the_first = scope.spawn(|| first.get(MOD));
        thread::sleep(Duration::from_millis(100));
        let of_the_second = second.get(MOD);
        assert_eq!(of_the_second.status, 200, "{}", of_the_second.text());
        assert_eq!(through_the_first.join().unwrap().status, 200);
    });
}

#[test]
fn a_checksum_database_is_not_asked_for_in_a_circle() {
    let database = ChecksumDatabase::new("sum.example.com", 1);
    database.add(&Module::big("example.com/Acme", "v1.2.3", 300_000));
    let (one, two) = (Scene::new(), Scene::new());
    // Reached through upstreams that relay it, which are each other; else at its own address.
    let (first, second) = pair_with_upstreams(
        &one,
        &two,
        &[("sumdb", &database.key()), ("upstreams.deadline", "40s")],
    );
    let began = Instant::now();
    for modkeep in [&first, &second] {
        let reply = modkeep.get("/sumdb/sum.example.com/supported");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply = modkeep.get("/sumdb/sum.example.com/latest");
        assert!(reply.status >= 500, "{}", reply.text());
    }
    assert!(began.elapsed() < AT_ONCE);
}
