//! Parts of a body and bodies that the client has already (RFC 9110, sections 13 and 14): of small answers in memory, of
//! stored zips, and of a zip that is being fetched at this moment.

use std::time::Duration;

use testkit::http::Reply;
use testkit::{Fault, Modkeep};

use crate::scene::{Ask as _, INFO, LIST, MISS, MOD, Scene, ZIP};

/// Ranges as a client writes them, for a body of `len` bytes, and what they stand for.
fn single_ranges(len: usize) -> Vec<(String, std::ops::Range<usize>)> {
    vec![
        ("bytes=0-9".to_owned(), 0..10),
        ("bytes=5-5".to_owned(), 5..6),
        (format!("bytes={}-", len - 3), len - 3..len),
        ("bytes=0-".to_owned(), 0..len),
        ("bytes=-7".to_owned(), len - 7..len),
        (format!("bytes=-{}", len * 2), 0..len),
        (format!("bytes=4-{}", len * 9), 4..len),
        ("bytes= 2-3".to_owned(), 2..4),
        // One of them lies beyond the end.
        (format!("bytes={}-,1-2", len + 5), 1..3),
    ]
}

fn assert_part(reply: &Reply, range: &std::ops::Range<usize>, source: &[u8], what: &str) {
    let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, source.len());
    assert_eq!((reply.status, reply.complete), (206, true), "{what}");
    assert_eq!(
        reply.header("Content-Range"),
        Some(content_range.as_str()),
        "{what}"
    );
    assert!(reply.body == source[range.clone()], "{what}");
}

fn assert_whole(reply: &Reply, source: &[u8], what: &str) {
    assert_eq!((reply.status, reply.complete), (200, true), "{what}");
    assert_eq!(reply.header("Content-Range"), None, "{what}");
    assert!(reply.body == source, "{what}");
}

fn range(modkeep: &Modkeep, path: &str, range: &str) -> Reply {
    modkeep.ask("GET", path, &[("Range", range)])
}

/// A stored list, a stored `.mod` and `.info` in memory, and a stored zip on disk.
fn stored() -> (Scene, Modkeep) {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in [LIST, INFO, MOD, ZIP] {
        modkeep.get_stored(path);
    }
    (scene, modkeep)
}

const STORED: [&str; 3] = [INFO, MOD, ZIP];

#[test]
fn one_range_is_answered_with_that_part() {
    let (scene, modkeep) = stored();
    for path in STORED {
        let source = scene.source(path);
        for (text, expected) in single_ranges(source.len()) {
            let reply = range(&modkeep, path, &text);
            assert_part(&reply, &expected, &source, &format!("{path} {text}"));
            assert!(reply.header("ETag").is_some());
        }
    }
    assert_part(
        &range(&modkeep, LIST, "bytes=1-2"),
        &(1..3),
        &scene.source(LIST),
        LIST,
    );
}

#[test]
fn a_range_beyond_the_end_is_refused_with_the_length() {
    let (scene, modkeep) = stored();
    for path in STORED {
        let len = scene.source(path).len();
        for text in [
            format!("bytes={len}-"),
            format!("bytes={}-{}", len + 1, len + 2),
            "bytes=-0".to_owned(),
            "bytes=99999999999999999999999-".to_owned(),
        ] {
            let reply = range(&modkeep, path, &text);
            assert_eq!(reply.status, 416, "{path} {text}");
            let total = format!("bytes */{len}");
            assert_eq!(reply.header("Content-Range"), Some(total.as_str()));
            assert!(reply.text().contains(&len.to_string()), "{}", reply.text());
        }
    }
}

#[test]
fn a_range_that_is_not_understood_is_as_if_it_were_not_there() {
    let (scene, modkeep) = stored();
    let many: Vec<_> = (0..40).map(|n| format!("{n}-{n}")).collect();
    let many = format!("bytes={}", many.join(","));
    for path in STORED {
        for text in [
            "bytes=9-0",
            "bytes=a-b",
            "bytes=",
            "bytes=-",
            "bytes=1",
            "lines=0-9",
            "bytes=0-9;1",
            "bytes=0x1-0x2",
            // Nobody needs so many parts, or the same ones again and again.
            many.as_str(),
            "bytes=0-,0-,0-,0-",
        ] {
            let reply = range(&modkeep, path, text);
            assert_whole(&reply, &scene.source(path), &format!("{path} {text}"));
        }
    }
}

/// The parts of a `multipart/byteranges` body: what each says of itself, and its bytes.
fn parts(reply: &Reply) -> Vec<(String, String, Vec<u8>)> {
    let content_type = reply.header("Content-Type").unwrap();
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let delimiter = format!("--{boundary}").into_bytes();
    let mut rest = reply.body.as_slice();
    let mut parts = Vec::new();
    rest = rest.strip_prefix(delimiter.as_slice()).unwrap();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let head_end = find(part, b"\r\n\r\n");
        let head = String::from_utf8(part[..head_end].to_vec()).unwrap();
        let value = |name: &str| -> String {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().to_owned()
        };
        let body = &part[head_end + 4..];
        let end = find(body, &[b"\r\n", delimiter.as_slice()].concat());
        parts.push((
            value("Content-Type: "),
            value("Content-Range: "),
            body[..end].to_vec(),
        ));
        rest = &body[end + 2 + delimiter.len()..];
    }
    assert_eq!(rest, b"--\r\n");
    parts
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let mut windows = bytes.windows(wanted.len());
    windows.position(|window| window == wanted).unwrap()
}

#[test]
fn several_ranges_are_answered_in_parts() {
    let (scene, modkeep) = stored();
    for path in STORED {
        let source = scene.source(path);
        let len = source.len();
        let reply = range(&modkeep, path, "bytes=0-4,20-20, -5");
        assert_eq!((reply.status, reply.complete), (206, true), "{path}");
        assert_eq!(reply.header("Content-Range"), None, "{path}");
        let plain = modkeep.get(path);
        let media_type = plain.header("Content-Type").unwrap();
        let expected: Vec<_> = [0..5, 20..21, len - 5..len]
            .map(|range| {
                let content_range = format!("bytes {}-{}/{len}", range.start, range.end - 1);
                (media_type.to_owned(), content_range, source[range].to_vec())
            })
            .into();
        assert_eq!(parts(&reply), expected, "{path}");
    }
    // Larger than what one write takes.
    let source = scene.source(ZIP);
    let reply = range(&modkeep, ZIP, "bytes=200000-299999,0-149999");
    let bodies: Vec<_> = parts(&reply).into_iter().map(|part| part.2).collect();
    assert!(bodies == [&source[200_000..300_000], &source[..150_000]]);
}

#[test]
fn a_range_of_another_body_is_not_served() {
    let (scene, modkeep) = stored();
    for path in STORED {
        let source = scene.source(path);
        let etag = modkeep.get(path).header("ETag").unwrap().to_owned();
        let ask = |validator: &str| {
            let headers = [("Range", "bytes=2-5"), ("If-Range", validator)];
            modkeep.ask("GET", path, &headers)
        };
        assert_part(&ask(&etag), &(2..6), &source, path);
        for other in [
            "\"other\"",
            &format!("W/{etag}"),
            "Sat, 01 Jan 2022 00:00:00 GMT",
        ] {
            assert_whole(&ask(other), &source, other);
        }
    }
}

#[test]
fn head_has_no_ranges() {
    let (scene, modkeep) = stored();
    for path in STORED {
        let len = scene.source(path).len().to_string();
        for text in ["bytes=0-3", "bytes=999999999-", "bytes=0-1,5-6"] {
            let reply = modkeep.ask("HEAD", path, &[("Range", text)]);
            assert_eq!(reply.status, 200, "{path} {text}");
            assert_eq!(reply.header("Content-Length"), Some(len.as_str()));
            assert_eq!(reply.header("Content-Range"), None);
        }
    }
}

#[test]
fn a_body_that_the_client_has_is_not_sent_again() {
    let (_scene, modkeep) = stored();
    for path in [LIST, INFO, MOD, ZIP] {
        let etag = modkeep.get(path).header("ETag").unwrap().to_owned();
        for (known, status) in [
            (etag.clone(), 304),
            (format!("W/{etag}"), 304),
            (format!("\"a\", {etag}"), 304),
            ("*".to_owned(), 304),
            ("\"a\"".to_owned(), 200),
            (etag.trim_matches('"').to_owned(), 200),
        ] {
            for method in ["GET", "HEAD"] {
                let headers = [("If-None-Match", known.as_str())];
                let reply = modkeep.ask(method, path, &headers);
                assert_eq!(reply.status, status, "{method} {path} {known}");
                assert_eq!(reply.header("ETag"), Some(etag.as_str()), "{path}");
                assert!(reply.header("Cache-Control").is_some(), "{path}");
                assert_eq!(
                    reply.body.is_empty(),
                    status == 304 || method == "HEAD",
                    "{path}"
                );
            }
        }
        let both = [("If-None-Match", etag.as_str()), ("Range", "bytes=0-1")];
        assert_eq!(modkeep.ask("GET", path, &both).status, 304, "{path}");
    }
}

#[test]
fn a_not_modified_answer_leaves_the_connection_in_order() {
    let (scene, modkeep) = stored();
    let etag = modkeep.get(ZIP).header("ETag").unwrap().to_owned();
    let mut connection = modkeep.connect();
    for known in [etag.as_str(), "\"a\"", etag.as_str(), "\"a\""] {
        let headers = [("If-None-Match", known)];
        connection.request("GET", "modkeep", ZIP, &headers).unwrap();
        let reply = connection.reply(false).unwrap();
        let expected = if known == etag { 304 } else { 200 };
        assert_eq!(reply.status, expected);
        assert!(expected == 304 || reply.body == scene.source(ZIP));
    }
}

/// An upstream that takes some three seconds for the zip.
fn slow_zip(scene: &Scene) {
    let drip = Fault::Drip {
        bytes: 4096,
        every: Duration::from_millis(40),
    };
    scene.upstream.fail(ZIP, drip);
}

#[test]
fn a_zip_that_is_being_fetched_has_ranges_already() {
    let scene = Scene::new();
    let slowly = Fault::Drip {
        bytes: 8192,
        every: Duration::from_millis(20),
    };
    let held = Fault::All(vec![slowly, Fault::HoldAt(150_000)]);
    scene.upstream.fail(ZIP, held);
    let modkeep = scene.start();
    let source = scene.source(ZIP);
    let len = source.len();
    let mut first = modkeep.begin(ZIP);
    let (status, _) = first.head().unwrap();
    assert_eq!(status, 200);

    let growing = |reply: Reply| {
        assert_eq!(reply.header("Cache-Status"), MISS, "no longer growing");
        assert_eq!(reply.header("ETag"), None);
        reply
    };
    let reply = growing(range(&modkeep, ZIP, "bytes=0-9"));
    assert_part(&reply, &(0..10), &source, "the beginning");
    let reply = range(&modkeep, ZIP, &format!("bytes={len}-"));
    assert_eq!(reply.status, 416);
    let head = growing(modkeep.ask("HEAD", ZIP, &[("Range", "bytes=0-9")]));
    assert_eq!(
        head.header("Content-Length"),
        Some(len.to_string().as_str())
    );

    // These have to wait for what is not there yet, or for its end.
    let asked: [&[(&str, &str)]; 5] = [
        &[("Range", "bytes=140000-160000")],
        &[("Range", "bytes=-100")],
        &[("Range", "bytes=5-10,20-30")],
        &[("Range", "bytes=0-9"), ("If-Range", "\"anything\"")],
        &[("If-None-Match", "\"anything\"")],
    ];
    let waiting = asked.map(|headers| {
        let mut connection = modkeep.connect();
        connection.request("GET", "modkeep", ZIP, headers).unwrap();
        connection
    });
    modkeep.wait_for_connections(6);
    scene.upstream.release();
    let [later, suffix, several, other, unknown] =
        waiting.map(|mut connection| growing(connection.reply(false).unwrap()));
    assert_part(&later, &(140_000..160_001), &source, "not there yet");
    assert_part(&suffix, &(len - 100..len), &source, "suffix");
    assert_whole(&several, &source, "several parts");
    assert_whole(&other, &source, "If-Range");
    assert_whole(&unknown, &source, "If-None-Match");
    scene.assert_asked(&modkeep, ZIP, 1);
    assert!(modkeep.get_stored(ZIP).body == source);
}

#[test]
fn those_who_join_a_fetch_late_get_all_of_it() {
    let scene = Scene::new();
    slow_zip(&scene);
    let modkeep = scene.start();
    let source = scene.source(ZIP);
    let mut first = modkeep.begin(ZIP);
    let mut joined = Vec::new();
    let mut seen = 0;
    let (status, _) = first.head().unwrap();
    while seen < source.len() {
        let piece = first.some(1 << 16).unwrap();
        assert!(piece == source[seen..seen + piece.len()]);
        seen += piece.len();
        if joined.len() < 10 {
            joined.push(modkeep.begin(ZIP));
        }
    }
    assert_eq!((status, joined.len()), (200, 10));
    for mut connection in joined {
        let reply = connection.reply(false).unwrap();
        assert_whole(&reply, &source, "joined");
    }
    scene.assert_asked(&modkeep, ZIP, 1);
}
