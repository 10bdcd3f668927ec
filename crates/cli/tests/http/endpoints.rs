//! Every path of the interface, with GET and HEAD.

use testkit::http::Reply;
use testkit::{Fault, Modkeep, Module};

use crate::scene::{
    Ask as _, BRANCH, HIT, INFO, LATEST, LIST, MISS, MOD, PATHS, SOON, Scene, ZIP, class_of, within,
};

const TEXT: &str = "text/plain; charset=UTF-8";
const JSON: &str = "application/json";
const ZIP_OF_ANOTHER: &str = "/example.com/other/@v/v1.0.0.zip";

fn media_type(path: &str) -> &'static str {
    match path {
        LATEST | BRANCH | INFO => JSON,
        ZIP => "application/zip",
        _ => TEXT,
    }
}

/// Files of a version never change; other answers are good for a minute.
fn assert_cacheable(path: &str, reply: &Reply) {
    let value = reply.header("Cache-Control").unwrap();
    if [INFO, MOD, ZIP].contains(&path) {
        assert_eq!(value, "public, max-age=31536000, immutable", "{path}");
    } else {
        let seconds: u64 = value
            .strip_prefix("public, max-age=")
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=60).contains(&seconds), "{path}: {value}");
    }
}

#[test]
fn what_is_fetched_and_what_is_stored_are_the_bytes_of_the_upstream() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in PATHS {
        let cold = modkeep.get(path);
        let stored = modkeep.get_stored(path);
        assert_eq!(cold.header("Cache-Status"), MISS, "{path}");
        for reply in [&cold, &stored] {
            assert_eq!((reply.status, reply.complete), (200, true), "{path}");
            assert!(reply.body == scene.source(path), "{path}");
            assert_eq!(
                reply.header("Content-Type"),
                Some(media_type(path)),
                "{path}"
            );
            assert_eq!(
                reply.header("Content-Length"),
                Some(reply.body.len().to_string().as_str()),
                "{path}"
            );
            assert_eq!(reply.header("Accept-Ranges"), Some("bytes"), "{path}");
            assert_cacheable(path, reply);
        }
        let etag = stored.header("ETag").unwrap();
        assert!(
            etag.len() > 10 && etag.starts_with('"') && etag.ends_with('"'),
            "{path}: {etag}"
        );
        // A zip that is being fetched has none yet.
        assert_eq!(
            cold.header("ETag"),
            Some(etag).filter(|_| path != ZIP),
            "{path}"
        );
        scene.assert_asked(&modkeep, path, 1);
    }
}

#[test]
fn head_says_what_get_would_say() {
    let scene = Scene::new();
    let modkeep = scene.start();
    for path in PATHS {
        let cold = modkeep.head(path);
        let stored = modkeep.get_stored(path);
        let head = modkeep.head(path);
        for (reply, status) in [(&cold, MISS), (&head, HIT)] {
            assert_eq!((reply.status, reply.body.len()), (200, 0), "{path}");
            assert_eq!(reply.header("Cache-Status"), status, "{path}");
            for name in ["Content-Length", "Content-Type", "Accept-Ranges"] {
                assert_eq!(reply.header(name), stored.header(name), "{path} {name}");
            }
            assert_cacheable(path, reply);
        }
        assert_eq!(head.header("ETag"), stored.header("ETag"), "{path}");
        assert!(stored.body == scene.source(path), "{path}");
        scene.assert_asked(&modkeep, path, 1);
    }
    let absent = modkeep.head("/example.com/none/@v/list");
    assert_eq!((absent.status, absent.body.len()), (404, 0));
    assert_ne!(absent.header("Content-Length"), Some("0"));
}

#[test]
fn head_leaves_the_connection_in_order() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get_stored(ZIP);
    let mut connection = modkeep.connect();
    for method in ["HEAD", "GET", "HEAD", "GET"] {
        connection.request(method, "modkeep", ZIP, &[]).unwrap();
        let reply = connection.reply(method == "HEAD").unwrap();
        assert_eq!(reply.status, 200);
        assert!(method == "HEAD" || reply.body == scene.source(ZIP));
    }
}

#[test]
fn every_listed_version_has_its_three_files() {
    let scene = Scene::empty();
    let versions = ["v0.9.0", "v1.0.0-RC.1", "v1.0.0", "v1.1.0+incompatible"];
    for version in versions {
        scene.tree.add(&Module::new("example.com/many", version));
    }
    let modkeep = scene.start();
    let list = modkeep.get("/example.com/many/@v/list").text();
    assert_eq!(list.lines().count(), 4);
    for version in versions.into_iter().filter(|v| !v.ends_with("ble")) {
        assert!(list.contains(version));
        for ending in ["info", "mod", "zip"] {
            let stem = Module::new("example.com/many", version).stem();
            let path = format!("/{stem}.{ending}");
            assert!(modkeep.get(&path).body == scene.source(&path), "{path}");
        }
    }
}

#[test]
fn operators_have_their_endpoints_from_the_start() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let table = [
        ("/healthz", TEXT),
        ("/readyz", JSON),
        ("/index", JSON),
        ("/", TEXT),
        (
            "/metrics",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ];
    for (path, media_type) in table {
        let get = modkeep.get(path);
        let head = modkeep.head(path);
        assert_eq!((get.status, get.complete), (200, true), "{path}");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        for reply in [&get, &head] {
            let found = reply.header("Content-Type").unwrap();
            assert!(found.eq_ignore_ascii_case(media_type), "{path}: {found}");
            assert!(reply.header("X-Request-Id").is_some(), "{path}");
        }
    }
    assert_eq!(modkeep.get("/healthz").text(), "ok\n");
    assert_eq!(
        modkeep.get("/readyz").header("Cache-Control"),
        Some("no-store")
    );
    assert_eq!(scene.upstream.requests().len(), 0);
    let unknown = modkeep.get("/favicon.ico");
    assert_eq!(
        (unknown.status, class_of(&unknown).as_str()),
        (404, "not found")
    );
}

#[test]
fn a_server_without_trouble_is_ready() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get(LIST);
    let report: serde_json::Value = serde_json::from_slice(&modkeep.get("/readyz").body).unwrap();
    assert_eq!(report["status"], "ready", "{report}");
    let names: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            assert_eq!(check["ok"], true, "{report}");
            check["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let upstream = format!("upstream {}", scene.upstream.url());
    assert_eq!(names, ["store", "records", "fetching", upstream.as_str()]);
}

#[test]
fn every_answer_names_its_request() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get_stored(MOD);
    for path in [
        MOD,
        LIST,
        ZIP,
        "/healthz",
        "/example.com/none/@latest",
        "/x/@v/y",
    ] {
        let given = [("X-Request-Id", "build-42.step:7")];
        let reply = modkeep.ask("GET", path, &given);
        assert_eq!(
            reply.header("X-Request-Id"),
            Some("build-42.step:7"),
            "{path}"
        );
        let ids = [(); 2].map(|()| {
            let reply = modkeep.get(path);
            reply.header("X-Request-Id").unwrap().to_owned()
        });
        assert_ne!(ids[0], ids[1], "{path}");
        let spoiled = modkeep.ask("GET", path, &[("X-Request-Id", "a b\"c")]);
        let id = spoiled.header("X-Request-Id").unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    }
    let post = modkeep.ask("POST", MOD, &[("X-Request-Id", "p-1")]);
    assert_eq!(post.header("X-Request-Id"), Some("p-1"));
}

fn traceparent(scene: &Scene, path: &str) -> String {
    let requests = scene.upstream.requests();
    let request = requests.iter().find(|request| request.path == path);
    request.unwrap().header("traceparent").unwrap().to_owned()
}

#[test]
fn a_trace_goes_on_to_the_upstream() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for path in PATHS {
        modkeep.ask("GET", path, &[("traceparent", given)]);
        let passed_on = traceparent(&scene, path);
        assert!(
            passed_on.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
                && passed_on.ends_with("-01")
                && passed_on.len() == given.len(),
            "{path}: {passed_on}"
        );
        assert_ne!(passed_on, given, "{path}");
    }
}

#[test]
fn an_upstream_knows_who_asks_and_gets_nothing_else_of_the_client() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let headers = [
        ("Authorization", "Basic dXNlcjpwYXNz"),
        ("Cookie", "session=1"),
        ("User-Agent", "Go-http-client/1.1"),
        ("traceparent", "not a trace"),
    ];
    modkeep.ask("GET", MOD, &headers);
    let request = &scene.upstream.requests()[0];
    let agent = request.header("User-Agent").unwrap();
    assert!(agent.starts_with("modkeep/"), "{agent}");
    assert_eq!(request.header("Authorization"), None);
    assert_eq!(request.header("Cookie"), None);
    assert_eq!(request.header("Accept-Encoding"), Some("identity"));
    assert_eq!(traceparent(&scene, MOD).len(), 55);
}

#[test]
fn requests_are_counted_by_endpoint_and_outcome() {
    let scene = Scene::new();
    let modkeep = scene.start();
    modkeep.get_stored(MOD);
    modkeep.get("/example.com/none/@v/list");
    modkeep.get("/example.com/M/@v/list");
    let count = |endpoint: &str, outcome: &str| {
        modkeep.metric(&format!(
            "modkeep_requests_total{{endpoint=\"{endpoint}\",outcome=\"{outcome}\"}}"
        ))
    };
    assert!(count("mod", "miss") >= 1);
    assert_eq!(count("mod", "hit"), 1);
    assert_eq!(count("list", "absent"), 1);
    assert_eq!(count("unknown", "bad_request"), 1);
    let upstream = scene.upstream.url();
    for (outcome, times) in [("answered", 1), ("absent", 1)] {
        let series = format!(
            "modkeep_upstream_requests_total{{upstream=\"{upstream}\",outcome=\"{outcome}\"}}"
        );
        assert_eq!(modkeep.metric(&series), times, "{outcome}");
    }
    within(SOON, "the stored file is counted", || {
        modkeep.metric("modkeep_store_files") == 1
    });
    assert_eq!(
        modkeep.metric("modkeep_store_bytes"),
        scene.source(MOD).len() as u64
    );
    let times = "modkeep_request_seconds_count{endpoint=\"mod\"}";
    assert_eq!(
        modkeep.metric(times),
        count("mod", "miss") + count("mod", "hit")
    );
}

#[test]
fn what_is_sent_less_what_was_received_is_what_was_saved() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let zip = scene.source(ZIP).len() as u64;
    let received = format!(
        "modkeep_upstream_received_bytes_total{{upstream=\"{}\"}}",
        scene.upstream.url()
    );
    modkeep.get_stored(ZIP);
    modkeep.settle();
    let sent = || modkeep.metric("modkeep_sent_bytes_total");
    let before = sent();
    for _ in 0..3 {
        modkeep.get(ZIP);
    }
    assert!(sent() - before >= 3 * zip);
    // Once, and small answers beside it that tell whether the upstream is well.
    let came = modkeep.metric(&received);
    assert!((zip..2 * zip).contains(&came), "{came}");
    // What came of a body that was cut came all the same, and so did the rest of it.
    scene
        .upstream
        .fail(ZIP_OF_ANOTHER, Fault::TruncateAt(200_000));
    scene
        .tree
        .add(&Module::big("example.com/other", "v1.0.0", 300_000));
    let other = scene.source(ZIP_OF_ANOTHER);
    assert!(modkeep.get(ZIP_OF_ANOTHER).body == other);
    within(SOON, "both parts are counted", || {
        modkeep.metric(&received) >= came + other.len() as u64
    });
}

#[test]
fn a_folder_can_be_an_upstream() {
    let scene = Scene::new();
    let url = format!("file://{}", scene.tree.root().display());
    let modkeep = scene.start_with(&[("upstream", &url)]);
    for path in PATHS {
        assert!(modkeep.get(path).body == scene.source(path), "{path}");
        assert!(
            modkeep.get_stored(path).body == scene.source(path),
            "{path}"
        );
    }
    let absent = modkeep.get("/example.com/none/@v/v1.0.0.zip");
    assert_eq!(
        (absent.status, class_of(&absent).as_str()),
        (404, "not found")
    );
}

fn cached_only(modkeep: &Modkeep, path: &str) -> [Reply; 2] {
    [
        modkeep.get(&format!("/cached-only{path}")),
        modkeep.ask("GET", path, &[("Disable-Module-Fetch", "true")]),
    ]
}

#[test]
fn a_request_can_ask_for_what_is_stored_alone() {
    let scene = Scene::new();
    let modkeep = scene.start_with(&[("cache.ttl", "0s")]);
    for path in PATHS {
        for reply in cached_only(&modkeep, path) {
            assert_eq!(
                (reply.status, class_of(&reply).as_str()),
                (404, "not found")
            );
        }
        assert_eq!(scene.upstream.requests().len(), 0, "{path}");
        let allowed = [("Disable-Module-Fetch", "false")];
        assert_eq!(modkeep.ask("GET", path, &allowed).status, 200, "{path}");
        within(SOON, path, || cached_only(&modkeep, path)[0].status == 200);
        scene.upstream.forget();
        for reply in cached_only(&modkeep, path) {
            assert_eq!(reply.status, 200, "{path}");
            assert!(reply.body == scene.source(path), "{path}");
        }
        assert_eq!(scene.upstream.requests().len(), 0, "{path}");
    }
}
