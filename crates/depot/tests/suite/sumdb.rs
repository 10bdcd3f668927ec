use std::time::Duration;

use depot::{Context, Depot, DepotError, FetchMode, SumdbReply, SumdbRoute};
use fault::Label;
use goenv::private::Patterns;
use jiff::Timestamp;
use store::{Answer, AnswerKey, AnswerMeta};
use testkit::{Answer as Canned, Fault, UpstreamServer};

use crate::scene::{Scene, assert_trouble, settled};

const NAME: &str = "sum.example.com/db";
const LOOKUP: &str = "lookup/example.com/m@v1.0.0";
const RECORD: &str =
    "42\nexample.com/m v1.0.0 h1:x=\n\ngo.sum database tree\n43\ny=\n\n\u{2014} sum z=\n";

/// A depot in front of a database, whose server answers below `/base/`.
struct Stage {
    scene: Scene,
    database: UpstreamServer,
}

impl Stage {
    fn new() -> Self {
        let database = Scene::new().upstream;
        let mut scene = Scene::new();
        scene.settings.absent_ttl = Duration::from_hours(1);
        scene.settings.private = Patterns::parse("corp.example");
        scene.settings.sumdbs = vec![SumdbRoute {
            name: NAME.to_owned(),
            base: format!("{}/base", database.url()).parse().unwrap(),
            through_upstreams: false,
        }];
        let stage = Self { scene, database };
        stage.give(LOOKUP, RECORD.as_bytes());
        stage
    }

    /// Lets the database have something.
    fn give(&self, path: &str, body: &[u8]) {
        let answer = Canned::status(200)
            .header("Content-Type", "application/octet-stream")
            .body(body);
        self.database.answer(place(path).as_str(), answer);
    }

    fn asked(&self, path: &str) -> usize {
        self.database.count(place(path).as_str())
    }
}

fn place(path: &str) -> String {
    format!("/base/{path}")
}

async fn ask(depot: &Depot, path: &str) -> Result<SumdbReply, DepotError> {
    ask_in(depot, path, FetchMode::Allowed).await
}

async fn ask_in(depot: &Depot, path: &str, mode: FetchMode) -> Result<SumdbReply, DepotError> {
    let (route, rest) = depot.sumdb_route(&format!("{NAME}/{path}")).unwrap();
    let reply = depot.sumdb(&route, &rest, mode, &Context::default()).await;
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
async fn records_and_tiles_once_seen_need_no_database() {
    let mut stage = Stage::new();
    let tiles: [(&str, Vec<u8>); 3] = [
        ("tile/8/0/000", vec![7; 8192]),
        ("tile/8/1/x001/234.p/5", vec![8; 160]),
        ("tile/8/data/000", b"record\n".to_vec()),
    ];
    for (path, body) in &tiles {
        stage.give(path, body);
    }
    let depot = stage.scene.depot();
    for round in 0..2 {
        assert_eq!(ask(&depot, LOOKUP).await.unwrap().body, RECORD);
        for (path, body) in &tiles {
            let reply = ask(&depot, path).await.unwrap();
            assert_eq!(&reply.body, body);
            assert!(reply.immutable && reply.stale.is_none());
            assert_eq!(reply.fetched, round == 0);
            assert_eq!(stage.asked(path), 1);
        }
        stage.database.stop();
    }
    assert_eq!(stage.asked(LOOKUP), 1);
}

#[tokio::test]
async fn a_tile_that_cannot_be_one_is_refused_and_not_kept() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    let table: [(&str, usize, &[usize]); 4] = [
        ("tile/8/0/000", 8192, &[0, 1, 8160, 8191, 8193, 16_384]),
        ("tile/8/0/x001/234.p/3", 96, &[0, 64, 95, 97, 8192]),
        ("tile/8/3/000.p/1", 32, &[0, 31, 33]),
        ("tile/2/0/000", 128, &[0, 127, 8192]),
    ];
    for (path, right, wrong) in table {
        for len in wrong {
            stage.give(path, &vec![9; *len]);
            let error = ask(&depot, path).await.unwrap_err();
            assert_trouble(&error, Label::Sumdb5xx);
            let cached = ask_in(&depot, path, FetchMode::CachedOnly).await;
            assert!(
                matches!(cached, Err(DepotError::NotCached { .. })),
                "{path} of {len} bytes was kept"
            );
        }
        stage.give(path, &vec![9; right]);
        assert_eq!(ask(&depot, path).await.unwrap().body.len(), right);
    }
}

#[tokio::test]
async fn records_must_be_texts() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    for path in [LOOKUP, "tile/8/data/000", "tile/8/data/001.p/7", "latest"] {
        let wrong: [&[u8]; 4] = [b"", b" \n", b"\xff\xfe\0", b"a\0b"];
        for body in wrong {
            stage.give(path, body);
            assert_trouble(&ask(&depot, path).await.unwrap_err(), Label::Sumdb5xx);
        }
        stage.give(path, RECORD.as_bytes());
        assert_eq!(ask(&depot, path).await.unwrap().body, RECORD);
    }
}

#[tokio::test]
async fn a_kept_tile_that_cannot_be_one_is_fetched_again() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    let path = "tile/8/0/000";
    let short = Answer {
        meta: AnswerMeta {
            confirmed: Timestamp::now(),
            source: "another version of this program".to_owned(),
            etag: None,
            last_modified: None,
        },
        body: vec![9; 100],
    };
    let key = AnswerKey::Sumdb {
        name: NAME.to_owned(),
        path: path.to_owned(),
    };
    depot.store().write_answer(&key, &short).unwrap();
    stage.give(path, &[7; 8192]);
    assert_eq!(ask(&depot, path).await.unwrap().body, vec![7; 8192]);
    assert_eq!(depot.store().read_answer(&key).unwrap().body.len(), 8192);
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
        "tile/8/64/000",
        "tile/8/entries/000",
        "tile/8/0",
        "tile/",
    ] {
        let error = ask(&depot, path).await.unwrap_err();
        assert!(error.is_absence(), "{path}: {error}");
    }
    assert_eq!(stage.database.connections(), 0);
}

#[tokio::test]
async fn the_signed_head_is_asked_for_each_time_and_stale_in_need() {
    let mut stage = Stage::new();
    let depot = stage.scene.depot();
    stage.give("latest", b"head 1\n");
    assert_eq!(ask(&depot, "latest").await.unwrap().body, "head 1\n");
    stage.give("latest", b"head 2\n");
    let reply = ask(&depot, "latest").await.unwrap();
    assert_eq!(reply.body, "head 2\n");
    assert!(!reply.immutable && reply.stale.is_none());
    stage.database.stop();
    let reply = ask(&depot, "latest").await.unwrap();
    assert_eq!(reply.body, "head 2\n");
    assert_trouble(&reply.stale.unwrap(), Label::TcpRefused);
}

#[tokio::test]
async fn trouble_heals_and_absence_is_remembered() {
    let stage = Stage::new();
    let depot = stage.scene.depot();
    stage.database.fail("*", Fault::status(500));
    assert_trouble(&ask(&depot, LOOKUP).await.unwrap_err(), Label::Goproxy5xx);
    stage.database.heal();
    ask(&depot, LOOKUP).await.unwrap();

    let other = "lookup/example.com/other@v1.0.0";
    for _ in 0..3 {
        assert!(ask(&depot, other).await.unwrap_err().is_absence());
    }
    assert_eq!(stage.asked(other), 1);
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
    assert_eq!(stage.database.connections(), 0);
    assert_eq!(stage.scene.upstream.connections(), 0);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_look_up() {
    let stage = Stage::new();
    stage.database.set_delay(Duration::from_millis(100));
    let depot = stage.scene.depot();
    let asking: Vec<_> = (0..30)
        .map(|_| {
            let depot = depot.clone();
            tokio::spawn(async move { ask(&depot, LOOKUP).await.unwrap().body })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), RECORD);
    }
    assert_eq!(stage.asked(LOOKUP), 1);
}

#[tokio::test]
async fn an_upstream_that_relays_it_is_asked_before_the_database() {
    let mut stage = Stage::new();
    stage.scene.settings.sumdbs[0].through_upstreams = true;
    let below = |path: &str| format!("/sumdb/{NAME}/{path}");
    let upstream = &stage.scene.upstream;
    upstream.answer(below("supported").as_str(), Canned::status(200));
    upstream.answer(below(LOOKUP).as_str(), Canned::text("relayed\n"));
    let tile = "tile/8/0/000.p/2";
    // The relay's tile is short; the database's own is not.
    upstream.answer(below(tile).as_str(), Canned::status(200).body([1; 32]));
    stage.give(tile, &[2; 64]);
    let depot = stage.scene.depot();
    assert_eq!(ask(&depot, LOOKUP).await.unwrap().body, "relayed\n");
    assert_eq!(stage.asked(LOOKUP), 0);
    assert_eq!(ask(&depot, tile).await.unwrap().body, vec![2; 64]);
}
