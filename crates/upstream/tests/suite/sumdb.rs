use fault::Label;
use testkit::{Answer, Fault, UpstreamServer};
use upstream::{Chain, ChainError, Expect, Reply, Request, Small};

use crate::scene::{Options, Scene, request};

const NAME: &str = "sum.example.com";
const RELAYED: &str = "/sumdb/sum.example.com/lookup/example.com/m@v1.0.0";
const SUPPORTED: &str = "/sumdb/sum.example.com/supported";
const LOOKUP: &str = "lookup/example.com/m@v1.0.0";

/// A database, and an upstream that may relay it.
struct Stage {
    upstream: UpstreamServer,
    database: UpstreamServer,
    chain: Chain,
}

impl Stage {
    fn new() -> Self {
        let (upstream, database) = (Scene::new().upstream, Scene::new().upstream);
        upstream.answer(SUPPORTED, Answer::status(200));
        upstream.answer(RELAYED, Answer::text("relayed\n"));
        database.answer(
            "/base/lookup/example.com/m@v1.0.0",
            Answer::text("direct\n"),
        );
        let chain = Options::new(&upstream.url()).chain();
        Self {
            upstream,
            database,
            chain,
        }
    }

    async fn ask(&self, path: &str, expect: Expect, relayed: bool) -> Result<Reply, ChainError> {
        let base = format!("{}/base", self.database.url()).parse().unwrap();
        let request = Request {
            expect,
            ..request(path)
        };
        match self
            .chain
            .fetch_sumdb(NAME, &request, &base, relayed)
            .await?
        {
            Small::Body(reply) => Ok(reply),
            Small::NotModified(_) => panic!("nothing was to be revalidated"),
        }
    }

    async fn look_up(&self) -> Result<Reply, ChainError> {
        self.ask(LOOKUP, Expect::Text, true).await
    }
}

#[tokio::test]
async fn an_upstream_that_relays_the_database_is_asked_and_remembered() {
    let stage = Stage::new();
    for _ in 0..3 {
        let reply = stage.look_up().await.unwrap();
        assert_eq!(
            (reply.body, reply.source),
            ("relayed\n".into(), stage.upstream.url())
        );
    }
    assert_eq!(stage.upstream.count(SUPPORTED), 1);
    assert_eq!(stage.database.count("*"), 0);
}

#[tokio::test]
async fn an_upstream_that_does_not_relay_it_is_passed_over() {
    for status in [404, 410] {
        let stage = Stage::new();
        stage.upstream.fail(SUPPORTED, Fault::status(status));
        for _ in 0..3 {
            assert_eq!(stage.look_up().await.unwrap().body, "direct\n");
        }
        assert_eq!(stage.upstream.count(SUPPORTED), 1);
        assert_eq!(stage.upstream.count(RELAYED), 0);
    }
}

#[tokio::test]
async fn trouble_with_the_relay_leads_to_the_database_itself() {
    let stage = Stage::new();
    stage.upstream.fail(SUPPORTED, Fault::status(500));
    assert_eq!(stage.look_up().await.unwrap().body, "direct\n");
    stage.upstream.heal();
    assert_eq!(
        stage.look_up().await.unwrap().body,
        "relayed\n",
        "a failure says nothing about whether it relays"
    );
    stage.upstream.fail(RELAYED, Fault::status(502));
    assert_eq!(stage.look_up().await.unwrap().body, "direct\n");
    stage.database.fail("*", Fault::status(503));
    let ChainError::Trouble(failures) = stage.look_up().await.unwrap_err() else {
        panic!("nothing is known");
    };
    let sources: Vec<&str> = failures
        .iter()
        .map(|failure| failure.source.as_str())
        .collect();
    let database = format!("{}/base", stage.database.url());
    assert_eq!(sources, [stage.upstream.url().as_str(), database.as_str()]);
}

#[tokio::test]
async fn what_the_relay_knows_not_to_exist_does_not() {
    let stage = Stage::new();
    stage.upstream.fail(RELAYED, Fault::status(404));
    let error = stage.look_up().await.unwrap_err();
    assert!(matches!(error, ChainError::Absent(_)), "{error:?}");
    assert_eq!(stage.database.count("*"), 0);
}

#[tokio::test]
async fn a_database_of_ones_own_is_asked_there_and_nowhere_else() {
    let stage = Stage::new();
    let reply = stage.ask(LOOKUP, Expect::Text, false).await.unwrap();
    assert_eq!(reply.body, "direct\n");
    assert_eq!(stage.upstream.count("*"), 0);
}

#[tokio::test]
async fn an_answer_that_cannot_be_right_is_not_taken_from_the_relay() {
    let stage = Stage::new();
    let bad: [&[u8]; 4] = [b"", b"\n\n", b"\xff\xfe", b"text\0"];
    for body in bad {
        stage
            .upstream
            .fail(RELAYED, Fault::Answer(Answer::text("").body(body)));
        assert_eq!(stage.look_up().await.unwrap().body, "direct\n");
        stage
            .database
            .fail("*", Fault::Answer(Answer::text("").body(body)));
        let ChainError::Trouble(failures) = stage.look_up().await.unwrap_err() else {
            panic!("nothing is known");
        };
        assert!(
            failures
                .iter()
                .all(|failure| failure.label == Label::Sumdb5xx)
        );
        stage.database.heal();
    }
    stage.upstream.fail(RELAYED, Fault::Html);
    assert_eq!(stage.look_up().await.unwrap().body, "direct\n");
}

#[tokio::test]
async fn a_tile_has_as_many_bytes_as_its_hashes_take() {
    let stage = Stage::new();
    let path = "tile/8/0/000.p/3";
    let place = format!("/sumdb/{NAME}/{path}");
    // Hashes may be any bytes, even those that a web page begins with.
    let mut tile = vec![0xfe; 96];
    tile[..6].copy_from_slice(b" <html");
    stage.upstream.fail(
        place.as_str(),
        Fault::Answer(Answer::status(200).body(tile.clone())),
    );
    let reply = stage.ask(path, Expect::Hashes(96), true).await.unwrap();
    assert_eq!(reply.body, tile);
    for len in [0, 32, 95, 97, 8192] {
        stage.upstream.fail(
            place.as_str(),
            Fault::Answer(Answer::status(200).body(vec![1; len])),
        );
        stage.database.answer(
            format!("/base/{path}").as_str(),
            Answer::status(200).body(vec![2; len]),
        );
        let error = stage.ask(path, Expect::Hashes(96), true).await.unwrap_err();
        let words = format!("the tile has {len} bytes, and its hashes take 96");
        assert!(error.to_string().contains(&words), "{error}");
        assert!(matches!(error, ChainError::Trouble(failures) if failures.len() == 2));
    }
}
