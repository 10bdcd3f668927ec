//! Requests as only broken and hostile clients send them. Whatever is wrong with one, no upstream hears of it.

use testkit::http::Reply;
use testkit::{Modkeep, Module};

use crate::scene::{Ask as _, BRANCH, INFO, LATEST, LIST, MOD, PATHS, Scene, ZIP, class_of};

/// Sends a request line as it is.
fn raw(modkeep: &Modkeep, target: &[u8]) -> Reply {
    let mut connection = modkeep.connect();
    let head = [b"GET ", target, b" HTTP/1.1\r\nHost: modkeep\r\n\r\n"].concat();
    connection.send(&head).unwrap();
    connection.reply(false).unwrap()
}

#[test]
fn a_malformed_path_is_refused_with_the_reason_and_asked_of_nobody() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("sumdb", "sum.golang.org")]);
    let long_element = format!("/example.com/{}/@v/list", "a".repeat(300));
    let long_path = format!("/example.com/{}@v/list", "a/".repeat(3000));
    let long_version = format!("/example.com/m/@v/v1.0.0-{}.info", "a".repeat(300));
    let table = [
        ("/example.com/m!/@v/list", "invalid escaped"),
        ("/example.com/!/@v/list", "invalid escaped"),
        ("/example.com/!!a/@v/list", "invalid escaped"),
        ("/example.com/!1/@v/list", "invalid escaped"),
        ("/example.com/%21/@v/list", "invalid escaped"),
        ("/example.com/../@v/list", "malformed"),
        ("/example.com/../../etc/passwd/@v/list", "malformed"),
        ("/example.com/./m/@v/list", "malformed"),
        ("/example.com/%2e%2e/@v/list", "malformed"),
        ("/example.com/%2e%2e%2f%2e%2e%2fetc/@v/list", "malformed"),
        ("/example.com/%252e%252e/@v/list", "malformed"),
        ("/%2e%2e/%2e%2e/etc/@v/list", "malformed"),
        ("/example.com/m/@v/../list", ""),
        ("/example.com/m/@v/%2e%2e.info", ""),
        ("/example.com/m/@v/%2e%2e/%2e%2e/x.info", ""),
        ("/example.com/m/@v/..%2f..%2fx.mod", ""),
        ("//example.com/m/@v/list", "malformed"),
        ("/example.com//m/@v/list", "malformed"),
        ("/example.com/m//@v/list", "malformed"),
        ("/cached-only//etc/@v/list", "malformed"),
        ("/example.com/m%00/@v/list", "malformed"),
        ("/example.com/m/@v/v1.0.0%00.info", ""),
        ("/example.com/m%0d%0ax/@v/list", "malformed"),
        ("/example.com/m%20n/@v/list", "malformed"),
        ("/example.com/m%5cn/@v/list", "malformed"),
        ("/example.com/m%zz/@v/list", "percent"),
        ("/example.com/m%/@v/list", "percent"),
        ("/example.com/m%4/@v/list", "percent"),
        ("/example.com/m%ff%fe/@v/list", "UTF-8"),
        ("/example.com/%c3%a9/@v/list", "invalid escaped"),
        ("/example.com/m/@v/v1.2.3.tar", "VERSION.zip"),
        ("/example.com/m/@v/v1.2.3", "VERSION.zip"),
        ("/example.com/m/@v/", "VERSION.zip"),
        ("/-flag@v1.0.0/@v/list", "malformed"),
        ("/-flag/@latest", "malformed"),
        ("/nodots/m/@v/list", "missing dot"),
        (long_element.as_str(), "240"),
        (long_path.as_str(), "4096"),
        (long_version.as_str(), "240"),
    ];
    for (path, reason) in table {
        let reply = raw(&modkeep, path.as_bytes());
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        assert_eq!(class_of(&reply), "bad request", "{path}");
        assert!(reply.text().contains(reason), "{path}: {}", reply.text());
        assert_eq!(reply.text().lines().count(), 1, "{path}: {}", reply.text());
    }
    for path in [
        "/sumdb/../x",
        "/sumdb/sum.golang.org/%2e%2e/%2e%2e/etc",
        "/sumdb/sum.golang.org/lookup/a%3fb",
        "/sumdb/sum.golang.org//latest",
        "/sumdb/sum.golang.org/lookup/",
        "/sumdb/sum.golang.org/lookup/example.com/m",
        "/sumdb/sum.golang.org/lookup/example.com/M@v1.0.0",
        "/sumdb/sum.golang.org/lookup/nodots@v1.0.0",
        "/sumdb/sum.golang.org/lookup/example.com/m@main",
    ] {
        let reply = raw(&modkeep, path.as_bytes());
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
    }
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn what_no_http_client_sends_ends_with_a_client_error() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let table: [&[u8]; 6] = [
        b"/example.com/a b/@v/list",
        b"/example.com/\0/@v/list",
        b"/example.com/\xff/@v/list",
        b"example.com/m/@v/list",
        b"",
        b"/example.com/m/@v/list HTTP/9.9\r\nX:",
    ];
    for target in table {
        let status = raw(&modkeep, target).status;
        assert!(
            (400..500).contains(&status),
            "{}: {status}",
            target.escape_ascii()
        );
    }
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n\0\0",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\x01b\r\n\r\n",
    ] {
        let mut connection = modkeep.connect();
        connection.send(bytes).unwrap();
        connection.finish_sending().unwrap();
        let answer = connection.rest().unwrap_or_default();
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{}: {}",
            bytes.escape_ascii(),
            answer.escape_ascii()
        );
    }
    assert_eq!(modkeep.get("/healthz").status, 200);
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn upper_case_without_a_mark_is_explained_with_the_right_path() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let table = [
        ("/example.com/Acme/@v/list", "example.com/!acme"),
        ("/example.com/Acme/@latest", "example.com/!acme"),
        (
            "/github.com/BurntSushi/toml/@v/v1.0.0.mod",
            "github.com/!burnt!sushi/toml",
        ),
        ("/example.com/m/@v/v1.0.0-RC1.info", "v1.0.0-!r!c1"),
        ("/example.com/m/@v/v1.0.0-RC1.zip", "v1.0.0-!r!c1"),
        ("/example.com/m/@v/Main.info", "!main"),
    ];
    for (path, right) in table {
        let reply = modkeep.get(path);
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.text().contains(right), "{path}: {}", reply.text());
    }
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn a_version_that_cannot_be_is_not_found_and_asked_of_nobody() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let table = [
        ("/example.com/m/@v/main.zip", "canonical"),
        ("/example.com/m/@v/v1.mod", "canonical"),
        ("/example.com/m/@v/v1.2.zip", "canonical"),
        ("/example.com/m/@v/v1.2.3+meta.mod", "canonical"),
        ("/example.com/m/@v/v01.2.3.zip", "canonical"),
        ("/example.com/m/@v/v2.0.0.mod", "should be v0 or v1, not v2"),
        ("/example.com/m/v2/@v/v1.0.0.zip", "should be v2, not v1"),
    ];
    for (path, reason) in table {
        let reply = modkeep.get(path);
        assert_eq!(
            (reply.status, class_of(&reply).as_str()),
            (404, "not found")
        );
        assert!(reply.text().contains(reason), "{path}: {}", reply.text());
    }
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn escapes_that_need_not_be_are_the_same_path() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in [
        "/example.com/%21acme/@v/v1.2.3.mod",
        "/example.com/!acme/%40v/v1%2E2.3.mod",
        "/%65xample.com/!acme/@v/v1.2.3%2emod",
    ] {
        assert!(modkeep.get(path).body == scene.source(MOD), "{path}");
    }
    assert_eq!(scene.upstream.count(MOD), scene.upstream.requests().len());
}

#[test]
fn a_plus_is_a_plus() {
    let scene = Scene::new();
    let module = Module::new("example.com/old", "v2.0.0+incompatible");
    scene.tree.add(&module);
    let modkeep = scene.start();
    let path = "/example.com/old/@v/v2.0.0+incompatible.mod";
    assert!(modkeep.get(path).body == scene.source(path));
    let escaped = path.replace('+', "%2B");
    assert!(modkeep.get(&escaped).body == scene.source(path));
    assert_eq!(modkeep.get(&path.replace('+', "%20")).status, 404);
}

#[test]
fn a_query_string_changes_nothing() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in PATHS {
        for query in ["?", "?go-get=1", "?x=%zz&y=../.."] {
            let reply = modkeep.get(&format!("{path}{query}"));
            assert!(reply.body == scene.source(path), "{path}{query}");
        }
    }
    for request in scene.upstream.requests() {
        assert!(!request.target.contains('?'), "{}", request.target);
    }
}

#[test]
fn only_get_and_head_are_allowed() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("sumdb", "sum.golang.org")]);
    let paths = [
        LIST,
        LATEST,
        BRANCH,
        INFO,
        MOD,
        ZIP,
        "/sumdb/sum.golang.org/latest",
        "/cached-only/example.com/!acme/@v/list",
        "/index",
        "/healthz",
        "/readyz",
        "/metrics",
        "/",
        "/nothing/here",
    ];
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for path in paths {
            let reply = modkeep.ask(method, path, &[]);
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("Allow"), Some("GET, HEAD"), "{method} {path}");
            assert_eq!(class_of(&reply), "bad request", "{method} {path}");
        }
    }
    let mut connection = modkeep.connect();
    connection
        .send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(connection.reply(false).unwrap().status, 405);
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn a_body_is_not_taken() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for (framing, body) in [
        ("Content-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        for path in [MOD, "/index", "/healthz"] {
            let mut connection = modkeep.connect();
            let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}");
            connection.send(head.as_bytes()).unwrap();
            let reply = connection.reply(false).unwrap();
            assert_eq!(reply.status, 400, "{path} {framing}");
            assert!(reply.text().contains("no body"), "{}", reply.text());
        }
    }
    assert_eq!(scene.upstream.requests().len(), 0);
    let empty = modkeep.ask("GET", MOD, &[("Content-Length", "0")]);
    assert_eq!(empty.status, 200);
}

#[test]
fn no_request_hides_in_the_body_of_another() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let hidden = format!("GET {MOD} HTTP/1.1\r\nHost: a\r\n\r\n");
    let len = hidden.len();
    for framing in [
        format!("Content-Length: {len}\r\n"),
        format!("Content-Length: {len}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: identity\r\nContent-Length: {len}\r\n"),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
    ] {
        for method in ["GET", "POST"] {
            let mut connection = modkeep.connect();
            let text = format!("{method} {LIST} HTTP/1.1\r\nHost: a\r\n{framing}\r\n{hidden}");
            connection.send(text.as_bytes()).unwrap();
            connection.finish_sending().unwrap();
            let answer = connection.rest().unwrap_or_default();
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(answer.matches("HTTP/1.1 200").count(), 0, "{framing}");
        }
    }
    assert_eq!(scene.upstream.requests().len(), 0);
}
