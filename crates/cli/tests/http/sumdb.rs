//! The checksum database below `/sumdb/`.

use std::thread;
use std::time::Duration;

use testkit::{Answer, Fault, Modkeep, UpstreamServer};

use crate::scene::{Ask as _, HIT, MISS, SOON, STALE, Scene, class_of, within};

const SUPPORTED: &str = "/sumdb/sum.golang.org/supported";
const HEAD: &str = "/sumdb/sum.golang.org/latest";
const RECORD: &str = "/sumdb/sum.golang.org/lookup/example.com/!acme@v1.2.3";
const OTHER_RECORD: &str = "/sumdb/sum.golang.org/lookup/example.com/!acme@v1.2.4";
const TILE: &str = "/sumdb/sum.golang.org/tile/8/0/000";
const PART: &str = "/sumdb/sum.golang.org/tile/8/0/x001/234.p/7";
const DATA: &str = "/sumdb/sum.golang.org/tile/8/data/000";

/// What never changes.
const RECORDS: [&str; 5] = [RECORD, OTHER_RECORD, TILE, PART, DATA];

/// An upstream that relays a database.
fn relaying() -> Scene {
    let scene = Scene::new();
    scene.write(SUPPORTED, "");
    scene.write(
        HEAD,
        "go.sum database tree\n3\nhash\n\n\u{2014} sum.golang.org sig\n",
    );
    scene.write(RECORD, "1\nexample.com/Acme v1.2.3 h1:x=\n\ntree\n");
    scene.write(OTHER_RECORD, "2\nexample.com/Acme v1.2.4 h1:y=\n\ntree\n");
    scene.write(TILE, [0, 255, 10, 13].repeat(2048));
    scene.write(PART, [7; 7 * 32]);
    scene.write(DATA, "example.com/Acme v1.2.3 h1:x=\n\n");
    scene
}

/// Asks the database itself, by a URL of its own.
fn straight(scene: &Scene) -> Modkeep {
    let setting = format!(
        "sum.golang.org {}/sumdb/sum.golang.org",
        scene.upstream.url()
    );
    scene.start_with(&[("sumdb", &setting), ("upstream", "off")])
}

fn through_the_upstream(scene: &Scene) -> Modkeep {
    scene.start_with(&[("sumdb", "sum.golang.org")])
}

#[test]
fn the_whole_tree_is_relayed_byte_for_byte() {
    for start in [through_the_upstream, straight] {
        let scene = relaying();
        let modkeep = start(&scene);
        let table = [
            (HEAD, "text/plain; charset=UTF-8", "60"),
            (RECORD, "text/plain; charset=UTF-8", "86400"),
            (TILE, "application/octet-stream", "86400"),
            (PART, "application/octet-stream", "86400"),
            (DATA, "text/plain; charset=UTF-8", "86400"),
        ];
        for (path, media_type, seconds) in table {
            for method in ["GET", "HEAD", "GET"] {
                let reply = modkeep.ask(method, path, &[]);
                assert_eq!(reply.status, 200, "{path}: {}", reply.text());
                let source = scene.source(path);
                assert!(method == "HEAD" || reply.body == source, "{path}");
                let len = source.len().to_string();
                assert_eq!(reply.header("Content-Length"), Some(len.as_str()));
                assert_eq!(reply.header("Content-Type"), Some(media_type), "{path}");
                let cache = format!("public, max-age={seconds}");
                assert_eq!(reply.header("Cache-Control"), Some(cache.as_str()));
                assert!(reply.header("X-Request-Id").is_some());
            }
        }
    }
}

#[test]
fn a_record_is_fetched_once_and_a_head_each_time() {
    let scene = relaying();
    let modkeep = straight(&scene);
    for path in RECORDS {
        assert_eq!(
            modkeep.get_anew(path).header("Cache-Status"),
            MISS,
            "{path}"
        );
        modkeep.get_stored(path);
        for _ in 0..3 {
            assert_eq!(modkeep.get_anew(path).header("Cache-Status"), HIT, "{path}");
        }
        assert_eq!(scene.upstream.count(path), 1, "{path}");
    }
    for asked in 1..4 {
        assert_eq!(modkeep.get_anew(HEAD).header("Cache-Status"), MISS);
        assert_eq!(scene.upstream.count(HEAD), asked);
    }
}

#[test]
fn twenty_clients_cost_one_lookup() {
    let scene = relaying();
    scene.upstream.set_delay(Duration::from_millis(300));
    let modkeep = straight(&scene);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert!(modkeep.get(RECORD).body == scene.source(RECORD)));
        }
    });
    assert_eq!(scene.upstream.count(RECORD), 1);
}

#[test]
fn support_is_answered_here_and_for_the_configured_name_alone() {
    let mut scene = Scene::new();
    let modkeep = through_the_upstream(&scene);
    scene.upstream.stop();
    for method in ["GET", "HEAD"] {
        let reply = modkeep.ask(method, SUPPORTED, &[]);
        assert_eq!(
            (reply.status, reply.body.len()),
            (200, 0),
            "{}",
            reply.text()
        );
    }
    for path in [
        "/sumdb/sum.example.com/supported",
        "/sumdb/sum.example.com/latest",
        "/sumdb/sum.example.com/lookup/example.com/m@v1.0.0",
        "/sumdb/sum.golang.org.example.com/supported",
        "/sumdb/sum.golang.orgx/latest",
        "/sumdb/127.0.0.1/latest",
        "/sumdb/169.254.169.254/latest",
        "/sumdb/localhost/tile/8/0/000",
        "/sumdb/sum.golang.org",
        "/sumdb/sum.golang.org/unknown",
        "/sumdb/sum.golang.org/supported/more",
        "/sumdb/x",
    ] {
        let reply = modkeep.get(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (404, "not found")
        );
    }
    assert_eq!(scene.upstream.connections(), 0);
    let off = Scene::empty();
    assert_eq!(off.start().get(SUPPORTED).status, 404);
}

#[test]
fn a_name_may_have_a_path() {
    let scene = Scene::empty();
    let key = "example.com/db+d58d01fb+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    scene.write("/somewhere/latest", "head\n");
    let setting = format!("{key} {}/somewhere/", scene.upstream.url());
    let modkeep = scene.start_with(&[("sumdb", &setting)]);
    assert_eq!(modkeep.get("/sumdb/example.com/db/supported").status, 200);
    assert_eq!(modkeep.get("/sumdb/example.com/db/latest").text(), "head\n");
    assert_eq!(modkeep.get("/sumdb/example.com/supported").status, 404);
}

#[test]
fn a_lookup_that_fails_once_heals_and_harms_no_other() {
    for start in [through_the_upstream, straight] {
        let scene = relaying();
        let modkeep = start(&scene);
        assert_eq!(modkeep.get_anew(TILE).status, 200);
        scene.upstream.fail_once(RECORD, Fault::status(500));
        let reply = modkeep.get_anew(RECORD);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (502, "goproxy-5xx")
        );
        assert_eq!(modkeep.get_anew(OTHER_RECORD).status, 200);
        assert_eq!(modkeep.get_anew(RECORD).status, 200);
        assert_eq!(scene.upstream.count(RECORD), 2);
    }
}

#[test]
fn what_cannot_be_an_answer_is_not_kept() {
    let scene = relaying();
    let modkeep = straight(&scene);
    let body = |bytes: Vec<u8>| Fault::Answer(Answer::status(200).body(bytes));
    let whole = scene.source(TILE);
    for (path, wrong) in [
        (TILE, Vec::new()),
        (TILE, whole[..8000].to_vec()),
        (TILE, [whole.as_slice(), &[0; 32]].concat()),
        (PART, vec![7; 6 * 32]),
        (RECORD, Vec::new()),
        (DATA, Vec::new()),
        (RECORD, b"<html>log in".to_vec()),
    ] {
        scene.upstream.fail_once(path, body(wrong));
        let reply = modkeep.get_anew(path);
        assert_eq!(reply.status, 502, "{path}: {}", reply.text());
    }
    for path in [TILE, PART, RECORD, DATA] {
        assert!(modkeep.get_anew(path).body == scene.source(path), "{path}");
    }
    let absent = modkeep.get("/sumdb/sum.golang.org/tile/8/0/no");
    assert!([400, 404].contains(&absent.status), "{}", absent.status);
}

#[test]
fn trouble_is_never_not_found() {
    let mut scene = relaying();
    let settings = [
        ("sumdb", "sum.golang.org"),
        ("upstreams.first-byte-timeout", "300ms"),
    ];
    let modkeep = scene.start_with(&settings);
    for fault in [
        Fault::status(503),
        Fault::status(403),
        Fault::Html,
        Fault::CloseWithoutAnswer,
        Fault::Hang,
        // Of the relay: the database itself may know more, and cannot be asked.
        Fault::status(404),
    ] {
        scene.upstream.heal();
        scene.upstream.fail("*", fault.clone());
        for path in [HEAD, OTHER_RECORD, DATA] {
            let reply = modkeep.get_anew(path);
            assert!(
                (500..600).contains(&reply.status),
                "{path} {fault:?}: {}",
                reply.status
            );
            assert_ne!(class_of(&reply), "not found", "{path} {fault:?}");
        }
    }
    scene.upstream.stop();
    assert_eq!(modkeep.get_anew(RECORD).status, 502);
}

#[test]
fn what_was_seen_once_is_served_when_the_database_is_down() {
    let mut scene = relaying();
    let modkeep = straight(&scene);
    for path in RECORDS {
        modkeep.get_stored(path);
    }
    modkeep.get(HEAD);
    modkeep.settle();
    scene.upstream.stop();
    for path in RECORDS {
        let reply = modkeep.get(path);
        assert_eq!(reply.header("Cache-Status"), HIT, "{path}");
        assert!(reply.body == scene.source(path), "{path}");
        assert!(
            reply.total < Duration::from_millis(500),
            "{:?}",
            reply.total
        );
    }
    let head = modkeep.get(HEAD);
    assert_eq!(head.header("Cache-Status"), STALE);
    assert!(head.body == scene.source(HEAD));
    assert!(head.header("Age").is_some() && head.header("Warning").is_some());
    let modkeep = {
        modkeep.terminate();
        straight(&scene)
    };
    assert!(modkeep.get(RECORD).body == scene.source(RECORD));
}

#[test]
fn a_database_that_hangs_does_not_hold_up_a_known_head() {
    let scene = relaying();
    let modkeep = straight(&scene);
    modkeep.get(HEAD);
    modkeep.settle();
    scene.upstream.fail("*", Fault::Hang);
    let reply = modkeep.get(HEAD);
    assert_eq!(reply.header("Cache-Status"), STALE);
    assert!(reply.body == scene.source(HEAD));
    assert!(reply.total < Duration::from_secs(1), "{:?}", reply.total);
}

#[test]
fn only_upstreams_that_relay_the_database_are_asked_for_it() {
    let silent = Scene::new();
    let scene = relaying();
    let chain = format!("{},{}", silent.upstream.url(), scene.upstream.url());
    let settings = [("sumdb", "sum.golang.org"), ("upstream", chain.as_str())];
    let store = Scene::empty();
    let modkeep = store.start_with(&settings);
    for path in RECORDS {
        assert!(modkeep.get(path).body == scene.source(path), "{path}");
    }
    assert_eq!(silent.upstream.count("/sumdb/*"), 1);
    assert_eq!(silent.upstream.count(SUPPORTED), 1);
    assert_eq!(scene.upstream.count(SUPPORTED), 1);
}

#[test]
fn a_database_with_a_url_of_its_own_is_asked_there_and_nowhere_else() {
    let scene = relaying();
    let database = UpstreamServer::serve(scene.tree.root());
    let setting = format!("sum.golang.org {}/sumdb/sum.golang.org", database.url());
    let modkeep = scene.start_with(&[("sumdb", &setting)]);
    assert_eq!(modkeep.get(RECORD).status, 200);
    assert_eq!(database.count(RECORD), 1);
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn a_record_that_does_not_exist_yet_is_asked_for_again_soon() {
    let scene = relaying();
    let setting = format!(
        "sum.golang.org {}/sumdb/sum.golang.org",
        scene.upstream.url()
    );
    let settings = [("sumdb", setting.as_str()), ("cache.absent-ttl", "500ms")];
    let modkeep = scene.start_with(&settings);
    let path = "/sumdb/sum.golang.org/lookup/example.com/new@v1.0.0";
    for _ in 0..5 {
        let reply = modkeep.get(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (404, "not found")
        );
    }
    assert_eq!(scene.upstream.count(path), 1);
    scene.write(path, "9\nexample.com/new v1.0.0 h1:z=\n\ntree\n");
    within(SOON, "the record is found", || {
        modkeep.get(path).status == 200
    });
}

#[test]
fn the_store_alone_can_be_asked() {
    let scene = relaying();
    let modkeep = straight(&scene);
    for path in [HEAD, RECORD, TILE] {
        let cached_only = format!("/cached-only{path}");
        assert_eq!(modkeep.get(&cached_only).status, 404, "{path}");
        assert_eq!(scene.upstream.count(path), 0, "{path}");
        modkeep.get(path);
        within(SOON, path, || modkeep.get(&cached_only).status == 200);
        assert_eq!(scene.upstream.count(path), 1, "{path}");
    }
}
