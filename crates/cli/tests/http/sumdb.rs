//! The checksum database below `/sumdb/`: proven before it is passed on, and passed on without the database when it was
//! proven before.

use testkit::{ChecksumDatabase, Fault, Modkeep, Module};

use crate::scene::{Ask as _, HIT, MISS, SOON, STALE, Scene, class_of, within};

const NAME: &str = "sum.example.com";
const SUPPORTED: &str = "/sumdb/sum.example.com/supported";
const HEAD: &str = "/sumdb/sum.example.com/latest";
const RECORD: &str = "/sumdb/sum.example.com/lookup/example.com/!acme@v1.2.3";
const OTHER_RECORD: &str = "/sumdb/sum.example.com/lookup/example.com/!acme@v1.2.4";
const TILE: &str = "/sumdb/sum.example.com/tile/8/0/000.p/2";
const PART: &str = "/sumdb/sum.example.com/tile/8/0/000.p/1";

/// What never changes.
const RECORDS: [&str; 4] = [RECORD, OTHER_RECORD, TILE, PART];

/// Below the database's own address.
fn below(path: &str) -> &str {
    path.strip_prefix("/sumdb/sum.example.com").unwrap()
}

/// A database with two records, and an upstream that relays it.
struct Stage {
    scene: Scene,
    database: ChecksumDatabase,
}

impl Stage {
    fn new() -> Self {
        let database = ChecksumDatabase::new(NAME, 1);
        for version in ["v1.2.3", "v1.2.4"] {
            database.add(&Module::big("example.com/Acme", version, 300_000));
        }
        let scene = Scene::new();
        database.be_relayed_in(&scene.tree);
        Self { scene, database }
    }

    /// Asks the database itself, by a URL of its own.
    fn straight(&self) -> Modkeep {
        self.straight_with(&[])
    }

    fn straight_with(&self, settings: &[(&str, &str)]) -> Modkeep {
        let setting = self.database.setting();
        let ours = [("sumdb", setting.as_str()), ("upstream", "off")];
        self.scene.start_with(&[&ours, settings].concat())
    }

    fn through_the_upstream(&self) -> Modkeep {
        self.scene.start_with(&[("sumdb", &self.database.key())])
    }

    fn source(&self, path: &str) -> Vec<u8> {
        self.database.read(below(path))
    }

    fn asked(&self, path: &str) -> usize {
        self.database.server.count(below(path))
    }
}

#[test]
fn the_whole_tree_is_relayed_byte_for_byte() {
    for start in [Stage::through_the_upstream, Stage::straight] {
        let stage = Stage::new();
        let modkeep = start(&stage);
        let table = [
            (HEAD, "text/plain; charset=UTF-8", "60"),
            (RECORD, "text/plain; charset=UTF-8", "86400"),
            (TILE, "application/octet-stream", "86400"),
            (PART, "application/octet-stream", "86400"),
        ];
        for (path, media_type, seconds) in table {
            for method in ["GET", "HEAD", "GET"] {
                let reply = modkeep.ask(method, path, &[]);
                assert_eq!(reply.status, 200, "{path}: {}", reply.text());
                let source = stage.source(path);
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
    let stage = Stage::new();
    let modkeep = stage.straight();
    assert_eq!(modkeep.get_anew(RECORD).header("Cache-Status"), MISS);
    for _ in 0..3 {
        assert_eq!(modkeep.get_anew(RECORD).header("Cache-Status"), HIT);
    }
    for path in RECORDS {
        modkeep.get_stored(path);
        assert!(stage.asked(path) <= 1, "{path}");
    }
    for asked in 1..4 {
        assert_eq!(modkeep.get_anew(HEAD).header("Cache-Status"), MISS);
        assert_eq!(stage.asked(HEAD), asked);
    }
}

#[test]
fn twenty_clients_cost_one_lookup() {
    let stage = Stage::new();
    let modkeep = stage.straight();
    stage.database.server.hold();
    let asked: Vec<_> = (0..20).map(|_| modkeep.begin(RECORD)).collect();
    modkeep.wait_for_connections(20);
    within(SOON, "the database is asked", || stage.asked(RECORD) > 0);
    stage.database.server.release();
    for mut client in asked {
        assert!(client.reply(false).unwrap().body == stage.source(RECORD));
    }
    let second = modkeep.second_questions();
    assert!((1..=1 + second).contains(&stage.asked(RECORD)));
}

#[test]
fn support_is_answered_here_and_for_the_configured_name_alone() {
    let mut stage = Stage::new();
    let modkeep = stage.through_the_upstream();
    stage.scene.upstream.stop();
    stage.database.server.stop();
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
        "/sumdb/sum.golang.org/supported",
        "/sumdb/sum.golang.org/latest",
        "/sumdb/sum.golang.org/lookup/example.com/m@v1.0.0",
        "/sumdb/sum.example.com.example.com/supported",
        "/sumdb/sum.example.comx/latest",
        "/sumdb/127.0.0.1/latest",
        "/sumdb/169.254.169.254/latest",
        "/sumdb/localhost/tile/8/0/000",
        "/sumdb/sum.example.com",
        "/sumdb/sum.example.com/unknown",
        "/sumdb/sum.example.com/supported/more",
        "/sumdb/x",
    ] {
        let reply = modkeep.get(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (404, "not found")
        );
    }
    assert_eq!(stage.scene.upstream.connections(), 0);
    let off = Scene::empty();
    assert_eq!(off.start().get(SUPPORTED).status, 404);
}

#[test]
fn a_name_may_have_a_path() {
    let scene = Scene::empty();
    let database = ChecksumDatabase::new("example.com/db", 1);
    database.add(&Module::new("example.com/m", "v1.0.0"));
    let modkeep = scene.start_with(&[("sumdb", &database.setting())]);
    assert_eq!(modkeep.get("/sumdb/example.com/db/supported").status, 200);
    let head = modkeep.get("/sumdb/example.com/db/latest");
    assert_eq!(head.body, database.read("/latest"));
    assert_eq!(modkeep.get("/sumdb/example.com/supported").status, 404);
}

#[test]
fn a_lookup_that_fails_once_heals_and_harms_no_other() {
    let stage = Stage::new();
    let modkeep = stage.straight();
    stage
        .database
        .server
        .fail(below(RECORD), Fault::status(500));
    let reply = modkeep.get_anew(RECORD);
    stage.database.server.heal();
    assert_eq!(
        (reply.status, class_of(&reply).as_str()),
        (503, "sumdb-unreachable")
    );
    assert_eq!(modkeep.get_anew(OTHER_RECORD).status, 200);
    assert_eq!(modkeep.get_anew(RECORD).status, 200);
}

#[test]
fn trouble_is_never_not_found() {
    let mut stage = Stage::new();
    let settings = [("upstreams.first-byte-timeout", "300ms")];
    let modkeep = stage.straight_with(&settings);
    for fault in [
        Fault::status(503),
        Fault::status(403),
        Fault::Html,
        Fault::CloseWithoutAnswer,
        Fault::Hang,
    ] {
        stage.database.server.heal();
        stage.database.server.fail("*", fault.clone());
        for path in [HEAD, OTHER_RECORD, TILE] {
            let reply = modkeep.get_anew(path);
            assert!(
                (500..600).contains(&reply.status),
                "{path} {fault:?}: {}",
                reply.status
            );
            assert_ne!(class_of(&reply), "not found", "{path} {fault:?}");
        }
    }
    stage.database.server.stop();
    assert_eq!(modkeep.get_anew(RECORD).status, 503);
}

#[test]
fn what_was_seen_once_is_served_when_the_database_is_down() {
    let mut stage = Stage::new();
    let modkeep = stage.straight();
    for path in RECORDS {
        modkeep.get_stored(path);
    }
    modkeep.get(HEAD);
    modkeep.settle();
    stage.database.server.stop();
    for path in RECORDS {
        let reply = modkeep.get(path);
        assert_eq!(reply.header("Cache-Status"), HIT, "{path}");
        assert!(reply.body == stage.source(path), "{path}");
    }
    let head = modkeep.get(HEAD);
    assert_eq!(head.header("Cache-Status"), STALE);
    assert!(head.body == stage.source(HEAD));
    assert!(head.header("Age").is_some() && head.header("Warning").is_some());
    modkeep.kill();
    let modkeep = stage.straight();
    assert!(modkeep.get(RECORD).body == stage.source(RECORD));
    assert!(modkeep.get(HEAD).body == stage.source(HEAD));
}

#[test]
fn a_database_that_hangs_does_not_hold_up_a_known_head() {
    let stage = Stage::new();
    let modkeep = stage.straight();
    modkeep.get(HEAD);
    modkeep.settle();
    stage.database.server.fail("*", Fault::Hang);
    let reply = modkeep.get(HEAD);
    assert_eq!(reply.header("Cache-Status"), STALE);
    assert!(reply.body == stage.source(HEAD));
}

#[test]
fn only_upstreams_that_relay_the_database_are_asked_for_it() {
    let silent = Scene::new();
    let stage = Stage::new();
    let chain = format!("{},{}", silent.upstream.url(), stage.scene.upstream.url());
    let key = stage.database.key();
    let settings = [("sumdb", key.as_str()), ("upstream", chain.as_str())];
    let store = Scene::empty();
    let modkeep = store.start_with(&settings);
    for path in RECORDS {
        assert!(modkeep.get(path).body == stage.source(path), "{path}");
    }
    assert_eq!(silent.upstream.count("/sumdb/*"), 1);
    assert_eq!(silent.upstream.count(SUPPORTED), 1);
    assert_eq!(stage.scene.upstream.count(SUPPORTED), 1);
}

#[test]
fn a_database_with_a_url_of_its_own_is_asked_there_and_nowhere_else() {
    let stage = Stage::new();
    let setting = stage.database.setting();
    let modkeep = stage.scene.start_with(&[("sumdb", &setting)]);
    assert_eq!(modkeep.get(RECORD).status, 200);
    assert_eq!(stage.asked(RECORD), 1);
    assert_eq!(stage.scene.upstream.requests().len(), 0);
}

#[test]
fn a_record_that_does_not_exist_yet_is_asked_for_again_soon() {
    let stage = Stage::new();
    let modkeep = stage.straight_with(&[("cache.absent-ttl", "500ms")]);
    let module = Module::new("example.com/new", "v1.0.0");
    let path = "/sumdb/sum.example.com/lookup/example.com/new@v1.0.0";
    for _ in 0..5 {
        let reply = modkeep.get(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (404, "not found")
        );
    }
    stage.database.add(&module);
    within(SOON, "the record is found", || {
        modkeep.get(path).status == 200
    });
}

#[test]
fn the_store_alone_can_be_asked() {
    let stage = Stage::new();
    let modkeep = stage.straight();
    for path in [HEAD, RECORD] {
        let cached_only = format!("/cached-only{path}");
        if path == RECORD {
            assert_eq!(modkeep.get(&cached_only).status, 404, "{path}");
            assert_eq!(stage.asked(path), 0, "{path}");
        }
        modkeep.get(path);
        within(SOON, path, || modkeep.get(&cached_only).status == 200);
        assert_eq!(stage.asked(path), 1, "{path}");
    }
}
