//! Fetching switched off: by a setting, and by an operator at run time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use testkit::Modkeep;
use testkit::http::Reply;

use crate::scene::{Ask as _, HIT, INFO, LIST, MOD, PATHS, STALE, Scene, ZIP, class_of};

const UNKNOWN: &str = "/example.com/!acme/@v/v1.9.9.info";

/// Lets a store have everything.
fn fill(scene: &Scene) {
    let modkeep = scene.start();
    for path in PATHS {
        modkeep.get(path);
    }
    modkeep.settle();
    assert_eq!(modkeep.terminate().code, Some(0));
    scene.upstream.forget();
}

/// Gives an order, with a token or none.
fn put(modkeep: &Modkeep, token: Option<&str>, body: &str) -> Reply {
    let mut connection = modkeep.connect();
    let authority = modkeep.authority();
    let token = token.map_or(String::new(), |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    let text = format!(
        "PUT /api/v1/offline HTTP/1.1\r\nHost: {authority}\r\n{token}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.send(text.as_bytes()).unwrap();
    connection.reply(false).unwrap()
}

fn assert_offline(modkeep: &Modkeep, is_so: bool) {
    let degraded = modkeep.get(MOD);
    let header = degraded.header("X-Modkeep-Degraded").unwrap_or_default();
    assert_eq!(header.contains("offline"), is_so, "{header}");
    assert_eq!(
        modkeep.metric("modkeep_degraded{mode=\"offline\"}"),
        u64::from(is_so)
    );
    let ready = modkeep.get("/readyz");
    assert_eq!(ready.status, 200);
    assert_eq!(ready.text().contains("\"degraded\""), is_so);
    let status = modkeep.get("/api/v1/status").text();
    assert_eq!(status.contains("\"mode\":\"offline\""), is_so, "{status}");
    let offline = modkeep.get("/api/v1/offline").text();
    assert!(
        offline.contains(&format!("\"offline\":{is_so}")),
        "{offline}"
    );
}

#[test]
fn offline_everything_stored_is_served_and_nobody_is_asked() {
    let scene = Scene::new();
    fill(&scene);
    let modkeep = scene.start_with(&[("offline", "true"), ("cache.ttl", "0s")]);
    for path in [INFO, MOD, ZIP] {
        let reply = modkeep.get(path);
        assert_eq!((reply.status, reply.header("Cache-Status")), (200, HIT));
        assert!(reply.body == scene.source(path), "{path}");
    }
    let list = modkeep.get(LIST);
    assert_eq!((list.status, list.header("Cache-Status")), (200, STALE));
    assert!(list.header("X-Modkeep-Stale").unwrap().contains("offline"));
    // No absence: that would send a client to the next entry of its own chain.
    let missing = modkeep.get(UNKNOWN);
    assert_eq!(
        (missing.status, class_of(&missing).as_str()),
        (503, "offline")
    );
    assert!(missing.text().contains("example.com/Acme@v1.9.9"));
    assert_offline(&modkeep, true);
    assert_eq!(scene.upstream.requests().len(), 0);
}

#[test]
fn an_operator_switches_fetching_off_and_on() {
    let scene = Scene::new();
    let token = scene.file("token");
    fs::write(&token, "sesame\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let place = format!("file:{}", token.display());
    let modkeep = scene.start_with(&[("api.token", &place)]);
    modkeep.get(INFO);
    assert_offline(&modkeep, false);

    let order = "{\"offline\": true}";
    for (token, body, status) in [
        (None, order, 401),
        (Some("simsim"), order, 403),
        (Some("sesame"), "offline", 400),
        (Some("sesame"), "{\"offline\": true, \"for\": 1}", 400),
    ] {
        let reply = put(&modkeep, token, body);
        assert_eq!(reply.status, status, "{token:?} {body}: {}", reply.text());
        assert!(!reply.text().contains("sesame"));
    }
    assert!(put(&modkeep, Some("sesame"), &" ".repeat(5000)).status >= 400);
    assert_offline(&modkeep, false);

    let reply = put(&modkeep, Some("sesame"), order);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("\"offline\":true,\"since\":"));
    assert_offline(&modkeep, true);
    assert_eq!(modkeep.get(ZIP).status, 503);
    // What the configuration says has not changed, so that reading it again changes nothing.
    modkeep.reload();
    assert!(modkeep.says_within("the configuration was read again", crate::scene::SOON));
    assert_offline(&modkeep, true);

    let reply = put(&modkeep, Some("sesame"), "{\"offline\": false}");
    assert_eq!(reply.text(), "{\"offline\":false}");
    assert_offline(&modkeep, false);
    assert!(modkeep.get(ZIP).body == scene.source(ZIP));
}

#[test]
fn without_a_token_nobody_gives_orders() {
    let scene = Scene::new();
    let modkeep = scene.start();
    let reply = put(&modkeep, Some("sesame"), "{\"offline\": true}");
    assert_eq!(
        (reply.status, class_of_order(&reply)),
        (403, "forbidden".to_owned())
    );
    assert!(reply.text().contains("api.token"));
    assert_offline(&modkeep, false);
}

fn class_of_order(reply: &Reply) -> String {
    let text = reply.text();
    text.split(':').next().unwrap_or_default().to_owned()
}
