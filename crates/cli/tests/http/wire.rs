//! Many requests on one connection, in every version of HTTP that clients speak. Stored files are sent by the kernel, so
//! that each byte is worth a look.

use std::process::{Command, Output};
use std::time::Duration;

use testkit::http::Connection;
use testkit::{Fault, Modkeep};

use crate::scene::{Ask as _, BRANCH, INFO, LIST, MOD, SOON, Scene, ZIP, within};

fn stored() -> (Scene, Modkeep) {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in [LIST, INFO, MOD, ZIP] {
        modkeep.get_stored(path);
    }
    (scene, modkeep)
}

fn head_of(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: modkeep\r\n{more}\r\n")
}

#[test]
fn requests_sent_in_one_go_are_answered_in_order() {
    let (scene, modkeep) = stored();
    let zip = scene.source(ZIP);
    let info = scene.source(INFO);
    let asked = [
        head_of("GET", ZIP, ""),
        head_of("GET", INFO, ""),
        head_of("GET", ZIP, "Range: bytes=100000-199999\r\n"),
        head_of("HEAD", ZIP, ""),
        head_of("GET", "/example.com/none/@v/list", ""),
        head_of("GET", ZIP, "Range: bytes=0-9,20-29\r\n"),
        head_of("GET", ZIP, ""),
        head_of("GET", MOD, ""),
    ];
    let mut connection = modkeep.connect();
    for _ in 0..3 {
        connection.send(asked.concat().as_bytes()).unwrap();
        let mut next = |to_head| {
            let reply = connection.reply(to_head).unwrap();
            assert!(reply.complete);
            (reply.status, reply.body)
        };
        assert!(next(false) == (200, zip.clone()));
        assert!(next(false) == (200, info.clone()));
        assert!(next(false) == (206, zip[100_000..200_000].to_vec()));
        assert!(next(true) == (200, Vec::new()));
        assert_eq!(next(false).0, 404);
        let (status, parts) = next(false);
        assert_eq!(status, 206);
        for part in [&zip[..10], &zip[20..30]] {
            assert!(parts.windows(10).any(|window| window == part));
        }
        assert!(next(false) == (200, zip.clone()));
        assert!(next(false) == (200, scene.source(MOD)));
    }
}

#[test]
fn what_follows_a_zip_that_is_being_fetched_waits_for_its_turn() {
    let scene = Scene::new();
    let drip = Fault::Drip {
        bytes: 16_384,
        every: Duration::from_millis(20),
    };
    scene.upstream.fail(ZIP, drip);
    let modkeep = scene.start();
    let mut connection = modkeep.connect();
    let asked = [ZIP, INFO, ZIP, LIST].map(|path| head_of("GET", path, ""));
    connection.send(asked.concat().as_bytes()).unwrap();
    for path in [ZIP, INFO, ZIP, LIST] {
        let reply = connection.reply(false).unwrap();
        assert_eq!((reply.status, reply.complete), (200, true), "{path}");
        assert!(reply.body == scene.source(path), "{path}");
    }
}

#[test]
fn large_and_small_answers_take_turns_on_one_connection() {
    let (scene, modkeep) = stored();
    let mut connection = modkeep.connect();
    for round in 0..40 {
        let path = [ZIP, MOD, ZIP, LIST, INFO][round % 5];
        connection.request("GET", "modkeep", path, &[]).unwrap();
        let reply = connection.reply(false).unwrap();
        assert!(reply.body == scene.source(path), "{round} {path}");
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_is_answered() {
    let (scene, modkeep) = stored();
    let mut connection = modkeep.connect();
    let head = head_of("GET", ZIP, "Range: bytes=5-14\r\n");
    connection
        .send_slowly(head.as_bytes(), 1, Duration::from_millis(1))
        .unwrap();
    let reply = connection.reply(false).unwrap();
    assert!((reply.status, &reply.body[..]) == (206, &scene.source(ZIP)[5..15]));
}

#[test]
fn a_client_that_hangs_up_in_a_stored_zip_disturbs_nobody() {
    let (scene, modkeep) = stored();
    for _ in 0..20 {
        let mut connection = modkeep.begin(ZIP);
        connection.some(10).unwrap();
    }
    assert!(modkeep.get(ZIP).body == scene.source(ZIP));
    within(SOON, "only the connection that asks is open", || {
        modkeep.metric("modkeep_connections") == 1
    });
}

#[test]
fn old_clients_are_answered_and_let_go() {
    let (scene, modkeep) = stored();
    for path in [LIST, ZIP] {
        let mut connection = modkeep.connect();
        connection
            .send(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
            .unwrap();
        let reply = connection.reply(false).unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.body == scene.source(path), "{path}");
        // Sooner than a connection that may be used again.
        assert!(
            connection.is_closed_within(Duration::from_secs(20)),
            "{path}"
        );
    }
    let mut connection = modkeep.connect();
    connection
        .send(head_of("GET", ZIP, "Connection: close\r\n").as_bytes())
        .unwrap();
    let reply = connection.reply(false).unwrap();
    assert_eq!(reply.header("Connection"), Some("close"));
    assert!(connection.rest().unwrap().is_empty());
}

#[test]
fn a_target_may_name_the_server_as_for_a_proxy() {
    let (scene, modkeep) = stored();
    let mut connection = modkeep.connect();
    let target = format!("http://modules.example{MOD}");
    connection
        .send(head_of("GET", &target, "").as_bytes())
        .unwrap();
    assert!(connection.reply(false).unwrap().body == scene.source(MOD));
}

#[test]
fn a_zip_of_unknown_length_is_passed_on_whole_or_cut() {
    for (fault, whole) in [
        (Fault::Chunked, true),
        (Fault::UntilClose, true),
        (
            Fault::All(vec![Fault::Chunked, Fault::TruncateAt(200_000)]),
            false,
        ),
        (
            Fault::All(vec![Fault::UntilClose, Fault::TruncateAt(200_000)]),
            false,
        ),
    ] {
        let scene = Scene::new();
        // Else what is cut is taken up.
        scene.upstream.set_ranges(false);
        scene.upstream.fail(ZIP, fault.clone());
        let modkeep = scene.start();
        if whole {
            assert!(modkeep.get(ZIP).body == scene.source(ZIP), "{fault:?}");
        } else {
            let came = modkeep.get_cut(ZIP);
            assert!(scene.source(ZIP).starts_with(&came), "{fault:?}");
        }
        scene.upstream.heal();
        assert!(modkeep.get_stored(ZIP).body == scene.source(ZIP));
        if whole {
            scene.assert_asked(&modkeep, ZIP, 1);
        }
    }
}

/// Runs curl; `None` when there is none that speaks HTTP/2.
pub(crate) fn curl(arguments: &[&str]) -> Option<Output> {
    let version = Command::new("curl").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&version.stdout).contains("HTTP2") {
        return None;
    }
    let output = Command::new("curl")
        .args(["--silent", "--noproxy", "*", "--max-time", "30"])
        .args(arguments)
        .output()
        .unwrap();
    Some(output)
}

fn http2(arguments: &[&str]) -> Option<Output> {
    curl(&[&["--http2-prior-knowledge"], arguments].concat())
}

#[test]
fn http_2_gives_the_same_bytes() {
    let (scene, modkeep) = stored();
    let say = "%{stderr}%{http_version} %{http_code}";
    for path in [ZIP, LIST, INFO, BRANCH, ZIP] {
        let url = format!("{}{path}", modkeep.url());
        let Some(output) = http2(&["--write-out", say, &url]) else {
            testkit::skipped("HTTP/2 in clear text (no curl that speaks it)");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, "2 200", "{path}");
        assert!(output.stdout == scene.source(path), "{path}");
    }
    let url = format!("{}{ZIP}", modkeep.url());
    let part = http2(&["--range", "1000-250000", &url]).unwrap();
    assert!(part.stdout == scene.source(ZIP)[1000..=250_000]);
    let head = http2(&["--head", &url]).unwrap();
    let head = String::from_utf8_lossy(&head.stdout).to_lowercase();
    let len = scene.source(ZIP).len();
    assert!(head.contains(&format!("content-length: {len}")), "{head}");
    let refused = http2(&["--request", "POST", "--write-out", say, &url]).unwrap();
    assert_eq!(String::from_utf8_lossy(&refused.stderr), "2 405");
}

#[test]
fn a_cut_zip_is_a_broken_stream_in_http_2() {
    let scene = Scene::new();
    scene.upstream.set_ranges(false);
    scene.upstream.fail(ZIP, Fault::TruncateAt(200_000));
    let modkeep = scene.start();
    let Some(output) = http2(&[&format!("{}{ZIP}", modkeep.url())]) else {
        testkit::skipped("HTTP/2 in clear text (no curl that speaks it)");
        return;
    };
    assert!(!output.status.success());
}

#[test]
fn two_connections_never_see_bytes_of_each_other() {
    let (scene, modkeep) = stored();
    let zip = scene.source(ZIP);
    let mut connections: Vec<Connection> = (0..8).map(|_| modkeep.connect()).collect();
    for round in 0..5 {
        for (number, connection) in connections.iter_mut().enumerate() {
            let start = number * 10_000 + round;
            let value = format!("bytes={start}-{}", start + 150_000);
            let headers = [("Range", value.as_str())];
            connection.request("GET", "modkeep", ZIP, &headers).unwrap();
        }
        for (number, connection) in connections.iter_mut().enumerate() {
            let start = number * 10_000 + round;
            let reply = connection.reply(false).unwrap();
            assert!(
                reply.body == zip[start..=start + 150_000],
                "{number} {round}"
            );
        }
    }
}
