//! Each fault does what it says, seen from the other end of the wire.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::fs;
use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use testkit::http::{self, Connection};
use testkit::{Answer, Fault, Module, Tree, UpstreamServer};

const ZIP: &str = "/example.com/a/@v/v1.0.0.zip";
const INFO: &str = "/example.com/a/@v/v1.0.0.info";

struct Scene {
    tree: Tree,
    upstream: UpstreamServer,
}

impl Scene {
    fn new() -> Self {
        let tree = Tree::temporary();
        tree.add(&Module::big("example.com/a", "v1.0.0", 200_000));
        let upstream = UpstreamServer::serve(tree.root());
        Self { tree, upstream }
    }

    fn zip(&self) -> Vec<u8> {
        fs::read(self.tree.file(ZIP)).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.upstream.url())
    }

    fn get(&self, path: &str) -> http::Reply {
        http::get(&self.url(path)).unwrap()
    }

    fn ask(&self, path: &str) -> Connection {
        let mut connection = Connection::open(self.upstream.address()).unwrap();
        connection.request("GET", "x", path, &[]).unwrap();
        connection
    }
}

#[test]
fn a_tree_is_served_as_it_is() {
    let scene = Scene::new();
    let zip = scene.get(ZIP);
    assert_eq!((zip.status, zip.complete), (200, true));
    assert_eq!(zip.body, scene.zip());
    assert_eq!(zip.header("content-type"), Some("application/zip"));
    assert_eq!(scene.get("/example.com/a/@v/list").text(), "v1.0.0\n");
    assert_eq!(scene.get("/example.com%2Fa/@v/list?x=1").text(), "v1.0.0\n");
    assert_eq!(scene.get("/example.com/b/@v/list").status, 404);
    assert_eq!(scene.get("/example.com/../../etc/passwd").status, 404);
    let head = http::request("HEAD", &scene.url(ZIP), &[]).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("Content-Length"),
        Some(scene.zip().len().to_string().as_str())
    );
    assert_eq!(
        http::request("POST", &scene.url(ZIP), &[]).unwrap().status,
        405
    );
}

#[test]
fn requests_are_counted_and_kept() {
    let scene = Scene::new();
    scene.get(INFO);
    http::request(
        "GET",
        &scene.url(&format!("{INFO}?q")),
        &[("X-Test", "yes")],
    )
    .unwrap();
    scene.get(ZIP);
    assert_eq!(scene.upstream.count(INFO), 2);
    assert_eq!(scene.upstream.count("*.zip"), 1);
    assert_eq!(scene.upstream.counts()[INFO], 2);
    assert_eq!(scene.upstream.connections(), 3);
    // What came of a request is known a moment after its client has the answer.
    until(|| {
        let requests = scene.upstream.requests();
        requests.iter().all(|request| request.finished.is_some())
    });
    let requests = scene.upstream.requests();
    assert_eq!(requests[1].target, format!("{INFO}?q"));
    assert_eq!(requests[1].header("x-test"), Some("yes"));
    assert_eq!(requests[2].body_bytes, scene.zip().len() as u64);
    assert_eq!(requests[2].status, Some(200));
    scene.upstream.forget();
    assert!(scene.upstream.requests().is_empty());
}

#[test]
fn a_connection_is_kept_open_for_the_next_request() {
    let scene = Scene::new();
    let mut connection = Connection::open(scene.upstream.address()).unwrap();
    for _ in 0..3 {
        connection.request("GET", "x", INFO, &[]).unwrap();
        assert_eq!(connection.reply(false).unwrap().status, 200);
    }
    assert_eq!(scene.upstream.connections(), 1);
}

#[test]
fn ranges_and_validators_are_honoured() {
    let scene = Scene::new();
    let whole = scene.get(ZIP);
    let etag = whole.header("ETag").unwrap();
    let ask = |headers: &[(&str, &str)]| http::request("GET", &scene.url(ZIP), headers).unwrap();
    let part = ask(&[("Range", "bytes=1000-"), ("If-Range", etag)]);
    assert_eq!(
        (part.status, part.body.as_slice()),
        (206, &scene.zip()[1000..])
    );
    let len = scene.zip().len();
    assert_eq!(
        part.header("Content-Range").unwrap(),
        format!("bytes 1000-{}/{len}", len - 1)
    );
    assert_eq!(ask(&[("Range", "bytes=10-19")]).body, &scene.zip()[10..20]);
    assert_eq!(ask(&[("Range", "bytes=-5")]).body, &scene.zip()[len - 5..]);
    assert_eq!(
        ask(&[("Range", "bytes=1000-"), ("If-Range", "\"other\"")]).status,
        200
    );
    assert_eq!(ask(&[("Range", "bytes=99999999-")]).status, 416);
    assert_eq!(ask(&[("If-None-Match", etag)]).status, 304);
    assert_eq!(ask(&[("If-None-Match", "\"other\"")]).status, 200);
    let modified = whole.header("Last-Modified").unwrap();
    assert_eq!(ask(&[("If-Modified-Since", modified)]).status, 304);
    scene.upstream.set_validators(false);
    assert_eq!(ask(&[("If-None-Match", etag)]).status, 200);
    scene.upstream.set_ranges(false);
    assert_eq!(ask(&[("Range", "bytes=10-19")]).status, 200);
}

#[test]
fn a_status_comes_with_its_headers_and_body() {
    let scene = Scene::new();
    scene.upstream.fail(
        INFO,
        Fault::Answer(
            Answer::status(429)
                .header("Retry-After", "7")
                .body("slow down"),
        ),
    );
    let reply = scene.get(INFO);
    assert_eq!(
        (
            reply.status,
            reply.header("retry-after"),
            reply.text().as_str()
        ),
        (429, Some("7"), "slow down")
    );
    assert_eq!(scene.get(ZIP).status, 200, "other paths are well");
    scene.upstream.heal();
    assert_eq!(scene.get(INFO).status, 200);
}

#[test]
fn a_fault_can_be_for_a_few_requests() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::status(500));
    scene.upstream.fail_times(2, "*.info", Fault::status(503));
    scene.upstream.fail_once(INFO, Fault::status(502));
    let statuses: Vec<u16> = (0..4).map(|_| scene.get(INFO).status).collect();
    assert_eq!(statuses, [502, 503, 503, 500]);
}

#[test]
fn answers_stand_in_for_what_is_not_in_the_tree() {
    let scene = Scene::new();
    scene.upstream.answer("/sumdb/*", Answer::status(404));
    scene
        .upstream
        .answer("/sumdb/example.com/supported", Answer::status(200));
    scene.upstream.answer(
        "/sumdb/example.com/latest",
        Answer::text("go.sum database tree\n"),
    );
    assert_eq!(scene.get("/sumdb/example.com/supported").status, 200);
    assert_eq!(
        scene.get("/sumdb/example.com/latest").text(),
        "go.sum database tree\n"
    );
    assert_eq!(scene.get("/sumdb/example.org/latest").status, 404);
}

#[test]
fn delays_come_before_the_first_byte() {
    let scene = Scene::new();
    scene.upstream.set_delay(Duration::from_millis(60));
    scene
        .upstream
        .fail(ZIP, Fault::Delay(Duration::from_millis(100)));
    assert!(scene.get(INFO).total >= Duration::from_millis(60));
    assert!(scene.get(ZIP).first_byte.unwrap() >= Duration::from_millis(160));
}

#[test]
fn a_stall_keeps_the_connection_and_sends_nothing() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::StallAt(1000));
    let mut connection = scene.ask(ZIP);
    connection.set_patience(Duration::from_millis(200)).unwrap();
    let error = connection.reply(false).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    assert_eq!(scene.upstream.requests()[0].body_bytes, 1000);
}

#[test]
fn a_reset_comes_after_so_many_bytes() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::ResetAt(1000));
    let mut connection = scene.ask(ZIP);
    connection.head().unwrap();
    let mut seen = 0;
    let error = loop {
        match connection.some(100) {
            Ok(bytes) if bytes.is_empty() => panic!("closed in good order"),
            Ok(bytes) => seen += bytes.len(),
            Err(error) => break error,
        }
    };
    assert_eq!((seen, error.kind()), (1000, ErrorKind::ConnectionReset));
}

#[test]
fn a_truncated_body_ends_in_good_order_too_early() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::TruncateAt(1000));
    let reply = scene.get(ZIP);
    assert_eq!((reply.body.len(), reply.complete), (1000, false));
    scene.upstream.fail(
        ZIP,
        Fault::All(vec![Fault::Chunked, Fault::TruncateAt(1000)]),
    );
    let reply = scene.get(ZIP);
    assert_eq!((reply.body.len(), reply.complete), (1000, false));
    scene.upstream.fail(
        ZIP,
        Fault::All(vec![Fault::UntilClose, Fault::TruncateAt(1000)]),
    );
    let reply = scene.get(ZIP);
    assert_eq!(
        (reply.body.len(), reply.complete),
        (1000, true),
        "nothing says that it is too short"
    );
}

#[test]
fn a_wrong_length_is_announced() {
    let scene = Scene::new();
    let len = scene.zip().len();
    scene.upstream.fail(ZIP, Fault::WrongLength(10));
    let reply = scene.get(ZIP);
    assert_eq!(
        reply.header("Content-Length").unwrap(),
        (len + 10).to_string()
    );
    assert_eq!((reply.body.len(), reply.complete), (len, false));
    scene.upstream.fail(ZIP, Fault::WrongLength(-10));
    let mut connection = scene.ask(ZIP);
    assert_eq!(connection.reply(false).unwrap().body.len(), len - 10);
    assert_eq!(connection.rest().unwrap().len(), 10);
}

#[test]
fn an_endless_body_has_no_end() {
    let scene = Scene::new();
    scene.upstream.fail(INFO, Fault::Endless);
    let mut connection = scene.ask(INFO);
    let (_, headers) = connection.head().unwrap();
    assert!(
        headers
            .iter()
            .all(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"))
    );
    let mut seen = 0;
    while seen < 20_000_000 {
        seen += connection.some(1 << 16).unwrap().len();
    }
}

#[test]
fn bodies_and_headers_can_lie() {
    let scene = Scene::new();
    scene.upstream.fail_once(INFO, Fault::Html);
    let page = scene.get(INFO);
    assert_eq!(
        (page.status, page.header("Content-Type")),
        (200, Some("text/html; charset=utf-8"))
    );
    assert!(page.text().contains("<html>"));
    scene
        .upstream
        .fail_once(INFO, Fault::ContentEncoding("gzip".to_owned()));
    let reply = scene.get(INFO);
    assert_eq!(
        (
            reply.header("Content-Encoding"),
            reply.text().starts_with('{')
        ),
        (Some("gzip"), true)
    );
    scene
        .upstream
        .fail_once(INFO, Fault::OtherVersion("v9.9.9".to_owned()));
    assert!(scene.get(INFO).text().contains("\"v9.9.9\""));
    scene
        .upstream
        .fail_once(INFO, Fault::Redirect("http://127.0.0.1:1/x".to_owned()));
    let reply = scene.get(INFO);
    assert_eq!(
        (reply.status, reply.header("Location")),
        (302, Some("http://127.0.0.1:1/x"))
    );
    scene.upstream.fail_once(ZIP, Fault::Corrupt(150_000));
    let (right, wrong) = (scene.zip(), scene.get(ZIP).body);
    let different: Vec<usize> = (0..right.len())
        .filter(|&place| right[place] != wrong[place])
        .collect();
    assert_eq!((different, wrong.len()), (vec![150_000], right.len()));
}

#[test]
fn bodies_can_come_in_any_framing() {
    let scene = Scene::new();
    scene.upstream.fail_once(ZIP, Fault::Chunked);
    let reply = scene.get(ZIP);
    assert_eq!(
        (reply.header("Transfer-Encoding"), reply.complete),
        (Some("chunked"), true)
    );
    assert_eq!(reply.header("Content-Length"), None);
    assert_eq!(reply.body, scene.zip());
    scene.upstream.fail_once(ZIP, Fault::UntilClose);
    assert_eq!(scene.get(ZIP).body, scene.zip());
}

#[test]
fn a_body_can_drip() {
    let scene = Scene::new();
    scene.upstream.fail(
        INFO,
        Fault::Drip {
            bytes: 10,
            every: Duration::from_millis(20),
        },
    );
    // On a busy machine all of it may be there when its reader comes to read.
    until(|| {
        let reply = scene.get(INFO);
        assert!(reply.complete);
        assert!(
            reply.total >= Duration::from_millis(60),
            "{:?}",
            reply.total
        );
        reply.first_byte.unwrap() < reply.total / 2
    });
}

#[test]
fn bandwidth_is_limited() {
    let scene = Scene::new();
    scene.upstream.set_bandwidth(Some(1_000_000));
    let reply = scene.get(ZIP);
    assert!(
        reply.complete && reply.total > Duration::from_millis(150),
        "{:?}",
        reply.total
    );
    scene.upstream.set_bandwidth(None);
    until(|| scene.get(ZIP).total < Duration::from_millis(150));
}

#[test]
fn there_may_be_no_answer_at_all() {
    let scene = Scene::new();
    scene
        .upstream
        .fail_once(INFO, Fault::Garbage(b"SSH-2.0-x\r\n".to_vec()));
    assert_eq!(scene.ask(INFO).rest().unwrap(), b"SSH-2.0-x\r\n");
    scene.upstream.fail_once(INFO, Fault::CloseWithoutAnswer);
    assert_eq!(scene.ask(INFO).rest().unwrap(), b"");
    scene.upstream.fail_once(INFO, Fault::ResetWithoutAnswer);
    assert_eq!(
        scene.ask(INFO).rest().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    scene.upstream.fail_once(INFO, Fault::Hang);
    assert!(!scene.ask(INFO).is_closed_within(Duration::from_millis(200)));
}

#[test]
fn a_stopped_server_refuses_and_comes_back_on_its_port() {
    let mut scene = Scene::new();
    scene.upstream.fail_once(INFO, Fault::Hang);
    let mut hanging = scene.ask(INFO);
    until(|| scene.upstream.count(INFO) == 1);
    let url = scene.url(INFO);
    scene.upstream.stop();
    assert!(
        hanging.is_closed_within(Duration::from_secs(30)),
        "open connections end"
    );
    assert_eq!(
        http::get(&url).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    scene.upstream.start();
    assert_eq!(http::get(&url).unwrap().status, 200);
}

#[test]
fn many_clients_are_served_at_the_same_time() {
    let scene = Scene::new();
    scene.upstream.hold();
    let asked: Vec<Connection> = (0..50).map(|_| scene.ask(INFO)).collect();
    // Nobody has an answer, and each has its turn.
    until(|| scene.upstream.count(INFO) == 50);
    scene.upstream.release();
    for mut connection in asked {
        assert_eq!(connection.reply(false).unwrap().status, 200);
    }
}

/// Takes as many bytes of the body as there are to be had.
fn take(connection: &mut Connection, count: usize) {
    let mut taken = 0;
    while taken < count {
        taken += connection.some(count - taken).unwrap().len();
    }
}

fn assert_silent(connection: &mut Connection) {
    connection.set_patience(Duration::from_millis(100)).unwrap();
    connection.some(1).unwrap_err();
    connection.set_patience(Duration::from_mins(1)).unwrap();
}

#[test]
fn answers_are_held_back_until_they_are_released() {
    let scene = Scene::new();
    scene.upstream.hold();
    let mut asked = scene.ask(INFO);
    until(|| scene.upstream.count(INFO) == 1);
    assert_silent(&mut asked);
    scene.upstream.release();
    assert_eq!(asked.reply(false).unwrap().status, 200);
}

#[test]
fn a_body_is_held_in_its_middle_until_it_is_released() {
    let scene = Scene::new();
    scene.upstream.fail(ZIP, Fault::HoldAt(100_001));
    let mut begun = scene.ask(ZIP);
    begun.head().unwrap();
    take(&mut begun, 100_001);
    assert_silent(&mut begun);
    scene.upstream.release();
    take(&mut begun, scene.zip().len() - 100_001);
    until(|| scene.upstream.requests()[0].finished.is_some());
}

/// Waits for what happens on another thread.
fn until(mut happened: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_mins(1);
    while !happened() {
        assert!(Instant::now() < limit, "it has not happened");
        thread::sleep(Duration::from_millis(2));
    }
}
