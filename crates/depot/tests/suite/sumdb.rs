use std::fs;
use std::time::Duration;

use depot::{Depot, DepotError, FetchMode, SumdbReply, SumdbRoute};
use fault::Label;
use goenv::private::Patterns;
use testkit::{Answer as Canned, ChecksumDatabase, Fault, Module};

use crate::scene::{Scene, assert_trouble, settled};

pub(crate) const NAME: &str = "sum.example.com/db";
const LOOKUP: &str = "lookup/example.com/m@v1.0.0";
const OTHER: &str = "lookup/example.com/other@v1.0.0";
const TILE: &str = "tile/8/0/000.p/2";
const DATA: &str = "tile/8/data/000.p/2";

/// A depot in front of a database that knows the scene's module, and another.
struct Stage {
    scene: Scene,
    database: ChecksumDatabase,
}

/// The way to a database: its own server.
pub(crate) fn route(database: &ChecksumDatabase) -> SumdbRoute {
    SumdbRoute {
        name: database.name().to_owned(),
        key: sumdb::note::VerifierKey::parse(&database.key()).unwrap(),
        base: database.server.url().parse().unwrap(),
        through_upstreams: false,
    }
}

/// The scene's module, and another.
fn modules() -> [Module; 2] {
    let known = Module::big("example.com/m", "v1.0.0", 300_000);
    [known, Module::new("example.com/other", "v1.0.0")]
}

impl Stage {
    fn new() -> Self {
        let database = ChecksumDatabase::new(NAME, 1);
        for module in modules() {
            database.add(&module);
        }
        let records = ["example.com/m v1.0.0", "example.com/other v1.0.0"];
        let data = records.map(|start| {
            let found = [LOOKUP, OTHER].map(|path| String::from_utf8(database.read(path)).unwrap());
            let record = found.iter().find(|record| record.contains(start)).unwrap();
            let (_, rest) = record.split_once('\n').unwrap();
            rest.split("\n\n").next().unwrap().to_owned() + "\n\n"
        });
        database.write(DATA, data.concat().as_bytes());
        let mut scene = Scene::new();
        scene.settings.absent_ttl = Duration::from_hours(1);
        scene.settings.private = Patterns::parse("corp.example");
        scene.settings.sumdbs = vec![route(&database)];
        Self { scene, database }
    }

    fn asked(&self, path: &str) -> usize {
        self.database.server.count(format!("/{path}").as_str())
    }
}

async fn ask(depot: &Depot, path: &str) -> Result<SumdbReply, DepotError> {
    ask_in(depot, path, FetchMode::Allowed).await
}

async fn ask_in(depot: &Depot, path: &str, mode: FetchMode) -> Result<SumdbReply, DepotError> {
    let (route, rest) = depot.sumdb_route(&format!("{NAME}/{path}")).unwrap();
    let reply = depot
        .sumdb(&route, &rest, mode, &depot::Context::default())
        .await;
    settled(depot).await;
    reply
}

#[tokio::test]
async fn names_come_from_the_settings_alone() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    let (route, rest) = depot
        .sumdb_route("sum.example.com/db/tile/8/0/000")
        .unwrap();
    assert_eq!((route.name.as_str(), rest.as_str()), (NAME, "tile/8/0/000"));
    for other in [
        "sum.example.com/latest",
        "sum.example.com/dbx/latest",
        "sum.example.com/db",
        "sum.golang.org/latest",
        "",
    ] {
        assert!(depot.sumdb_route(other).is_none(), "{other}");
    }
}

#[tokio::test]
async fn what_was_proven_once_needs_no_database_even_after_a_restart() {
    let mut stage = Stage::new();
    let depot = stage.scene.depot();
    let paths = [LOOKUP, OTHER, TILE, DATA, "tile/8/0/000.p/1"];
    let source: Vec<_> = paths.iter().map(|path| stage.database.read(path)).collect();
    for (path, source) in paths.iter().zip(&source) {
        let reply = ask(&depot, path).await.unwrap();
        assert_eq!(&reply.body, source, "{path}");
        assert!(reply.immutable && reply.stale.is_none(), "{path}");
    }
    assert_eq!((stage.asked(LOOKUP), stage.asked(TILE)), (1, 1));
    drop(depot);
    stage.database.server.stop();
    let depot = stage.scene.depot();
    for (path, source) in paths.iter().zip(&source) {
        let reply = ask(&depot, path).await.unwrap();
        assert_eq!(&reply.body, source, "{path}");
        assert!(!reply.fetched, "{path}");
    }
    let head = ask(&depot, "latest").await.unwrap();
    assert_eq!(head.body, stage.database.read("/latest"));
    assert!(head.stale.is_some());
}

#[tokio::test]
async fn nothing_that_is_not_proven_is_relayed_or_kept() {
    let forged = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let last = bytes.len() - 5;
        bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
        bytes
    };
    let sentence = |text: &str| text.as_bytes().to_vec();
    let good = Stage::new();
    let record = String::from_utf8(good.database.read(LOOKUP)).unwrap();
    let other = String::from_utf8(good.database.read(OTHER)).unwrap();
    let changed = record.replace("h1:", "h1:A");
    let renumbered = record.replacen('0', "1", 1);
    let table: Vec<(&str, &str, Vec<u8>)> = vec![
        ("forged note", LOOKUP, forged(record.as_bytes())),
        (
            "no note",
            LOOKUP,
            sentence("0\nexample.com/m v1.0.0 h1:x=\n\n"),
        ),
        ("changed record", LOOKUP, sentence(&changed)),
        ("wrong number", LOOKUP, sentence(&renumbered)),
        ("without the entry", LOOKUP, sentence(&other)),
        ("empty", LOOKUP, Vec::new()),
        ("web page", LOOKUP, sentence("<html>log in")),
        ("forged tile", LOOKUP, record.clone().into_bytes()),
        (
            "forged tile itself",
            TILE,
            forged(&good.database.read(TILE)),
        ),
        ("short tile", TILE, vec![7; 32]),
        ("long tile", TILE, vec![7; 96]),
        ("forged texts", DATA, forged(&good.database.read(DATA))),
        (
            "forged head",
            "latest",
            forged(&good.database.read("latest")),
        ),
    ];
    for (case, path, body) in table {
        let stage = Stage::new();
        let depot = stage.scene.depot();
        stage.database.write(path, &body);
        if case == "forged tile" {
            for tile in ["tile/8/0/000.p/1", TILE] {
                stage
                    .database
                    .write(tile, &forged(&good.database.read(tile)));
            }
        }
        let error = ask(&depot, path).await.unwrap_err();
        assert!(!error.is_absence(), "{case}: {error}");
        let cached = ask_in(&depot, path, FetchMode::CachedOnly).await;
        assert!(
            matches!(cached, Err(DepotError::NotCached { .. })),
            "{case}: {cached:?}"
        );
        // The right answer heals it.
        for path in [path, "tile/8/0/000.p/1", TILE] {
            stage.database.write(path, &good.database.read(path));
        }
        let healed = ask(&depot, path).await.unwrap();
        assert_eq!(healed.body, good.database.read(path), "{case}");
    }
}

#[tokio::test]
async fn a_key_of_somebody_else_proves_nothing() {
    let stage = Stage::new();
    let stranger = ChecksumDatabase::new(NAME, 2);
    stranger.add(&modules()[0]);
    let mut route = route(&stage.database);
    route.base = stranger.server.url().parse().unwrap();
    let mut scene = Scene::new();
    scene.settings.sumdbs = vec![route];
    let depot = scene.depot();
    for path in [LOOKUP, "latest"] {
        assert_trouble(&ask(&depot, path).await.unwrap_err(), Label::SumdbMismatch);
    }
}

#[tokio::test]
async fn a_database_with_two_histories_is_found_out_also_after_a_restart() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    ask(&depot, OTHER).await.unwrap();
    drop(depot);
    let other_history = ChecksumDatabase::new(NAME, 1);
    for name in ["a", "b", "c"] {
        other_history.add(&Module::new(&format!("example.com/{name}"), "v1.0.0"));
    }
    let depot = stage.scene.depot();
    stage.database.become_like(&other_history);
    for path in [
        "latest",
        "lookup/example.com/a@v1.0.0",
        "lookup/example.com/c@v1.0.0",
    ] {
        let error = ask(&depot, path).await.unwrap_err();
        assert_trouble(&error, Label::SumdbMismatch);
        assert!(error.to_string().contains("old database"), "{error}");
        assert!(error.to_string().contains("new database"), "{error}");
    }
    let reports = trust::forks_on_file(&stage.scene.data()).unwrap();
    assert!(!reports.is_empty());
    for report in reports {
        let text = fs::read_to_string(report).unwrap();
        assert_eq!(text.matches("go.sum database tree").count(), 2, "{text}");
    }
    // What was proven before is still what it was.
    assert!(ask(&depot, OTHER).await.is_ok());
}

#[tokio::test]
async fn the_head_never_goes_back() {
    let stage = Stage::new();
    let young = ChecksumDatabase::new(NAME, 1);
    young.add(&modules()[0]);
    let depot = stage.scene.depot();
    let newest = ask(&depot, "latest").await.unwrap().body;
    for path in ["latest", LOOKUP] {
        stage.database.write(path, &young.read(path));
    }
    assert_eq!(ask(&depot, "latest").await.unwrap().body, newest);
    // A record with an old head is as good as any.
    assert_eq!(ask(&depot, LOOKUP).await.unwrap().body, young.read(LOOKUP));
    drop(depot);
    let depot = stage.scene.depot();
    assert_eq!(ask(&depot, "latest").await.unwrap().body, newest);
}

#[tokio::test]
async fn there_is_nothing_at_what_is_no_path_of_a_tile() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    for path in [
        "tile/8/0/0",
        "tile/8/0/1000",
        "tile/8/0/x000/001",
        "tile/8/0/000.p/0",
        "tile/8/0/000.p/256",
        "tile/0/0/000",
        "tile/31/0/000",
        "tile/30/0/000",
        "tile/8/64/000",
        "tile/8/entries/000",
        "tile/8/0",
        "tile/",
    ] {
        let error = ask(&depot, path).await.unwrap_err();
        assert!(error.is_absence(), "{path}: {error}");
    }
    assert_eq!(stage.database.server.connections(), 0);
    let beyond = ask(&depot, "tile/8/0/000.p/3").await.unwrap_err();
    assert!(beyond.is_absence(), "{beyond}");
}

#[tokio::test]
async fn trouble_heals_and_absence_is_remembered() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    stage.database.server.fail("*", Fault::status(500));
    assert_trouble(
        &ask(&depot, LOOKUP).await.unwrap_err(),
        Label::SumdbUnreachable,
    );
    stage.database.server.heal();
    ask(&depot, LOOKUP).await.unwrap();

    let unknown = "lookup/example.com/unknown@v1.0.0";
    for _ in 0..3 {
        assert!(ask(&depot, unknown).await.unwrap_err().is_absence());
    }
    assert_eq!(stage.asked(unknown), 1);
}

#[tokio::test]
async fn no_private_name_is_looked_up() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    for path in [
        "lookup/corp.example/secret@v1.0.0",
        "lookup/corp.example/!secret@v1.0.0",
    ] {
        let error = ask(&depot, path).await.unwrap_err();
        assert!(matches!(error, DepotError::Private { .. }), "{error}");
        assert!(error.to_string().contains("GOPRIVATE"), "{error}");
    }
    assert_eq!(stage.database.server.connections(), 0);
    assert_eq!(stage.scene.upstream.connections(), 0);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_look_up_and_one_read_of_each_tile() {
    let stage = Stage::new();
    stage.database.server.set_delay(Duration::from_millis(100));
    let depot = stage.scene.depot();
    let asking: Vec<_> = (0..30)
        .map(|_| {
            let depot = depot.clone();
            tokio::spawn(async move { ask(&depot, LOOKUP).await.unwrap().body })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), stage.database.read(LOOKUP));
    }
    assert!(
        stage
            .database
            .server
            .counts()
            .values()
            .all(|count| *count == 1)
    );
}

#[tokio::test]
async fn a_relay_is_asked_before_the_database_and_believed_no_more() {
    let mut stage = Stage::new();
    stage.scene.settings.sumdbs[0].through_upstreams = true;
    stage.database.be_relayed_in(&stage.scene.tree);
    let depot = stage.scene.depot();
    assert_eq!(
        ask(&depot, LOOKUP).await.unwrap().body,
        stage.database.read(LOOKUP)
    );
    assert_eq!(stage.database.server.requests().len(), 0);

    let forged = format!("/sumdb/{NAME}/{OTHER}");
    let upstream = &stage.scene.upstream;
    upstream.answer(forged.as_str(), Canned::text("1\nnonsense\n\nnote\n"));
    assert_eq!(
        ask(&depot, OTHER).await.unwrap().body,
        stage.database.read(OTHER)
    );
    assert_eq!(stage.asked(OTHER), 1);
}

#[tokio::test]
async fn what_was_proven_in_a_small_tree_can_be_proven_in_a_larger_one_without_the_database() {
    let mut stage = Stage::new();
    // Records of the first tile are seen, then the tree grows beyond it, in two steps.
    let depot = stage.scene.depot();
    ask(&depot, LOOKUP).await.unwrap();
    for (until, edge) in [(40, "tile/8/0/000.p/42"), (300, "tile/8/0/001.p/46")] {
        let from = if until == 40 { 0 } else { 40 };
        for number in from..until {
            let path = format!("example.com/more{number}");
            stage.database.add(&Module::new(&path, "v1.0.0"));
        }
        ask(&depot, "latest").await.unwrap();
        assert!(ask(&depot, edge).await.is_ok(), "{edge}");
    }
    drop(depot);
    stage.database.server.stop();
    let depot = stage.scene.depot();
    for path in [
        LOOKUP,
        "tile/8/0/000.p/2",
        "tile/8/0/000.p/42",
        "tile/8/0/000",
        "tile/8/1/000.p/1",
        "tile/8/0/001.p/46",
    ] {
        let reply = ask(&depot, path).await.unwrap();
        assert_eq!(reply.body, stage.database.read(path), "{path}");
    }
}

#[tokio::test]
async fn the_age_of_a_head_is_known_after_a_restart() {
    let mut stage = Stage::new();
    let depot = stage.scene.depot();
    ask(&depot, "latest").await.unwrap();
    drop(depot);
    stage.database.server.stop();
    let depot = stage.scene.depot();
    let head = ask(&depot, "latest").await.unwrap();
    assert!(head.stale.is_some());
    let age = jiff::Timestamp::now().duration_since(head.confirmed);
    assert!(age.as_secs() < 600, "{age:?}");
}
