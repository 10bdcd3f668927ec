//! The probes that the server makes for who asks: from where it stands, about its own settings.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::Modkeep;

use crate::scene::{Ask as _, INFO, LIST, MODULE, Scene, ZIP, variable};

const PATH: &str = "/api/v1/doctor";

/// What the server tells about itself.
pub(crate) fn diagnosis(modkeep: &Modkeep) -> Value {
    let reply = modkeep.get(PATH);
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

fn checks(document: &Value, outcome: &str) -> Vec<String> {
    let hops = document["hops"].as_array().unwrap();
    let matching = hops.iter().filter(|hop| hop["outcome"] == outcome);
    matching
        .map(|hop| hop["check"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn all_is_well_with_what_the_server_has_fetched_before() {
    let scene = Scene::new();
    let server = scene.start();
    server.get_stored(ZIP);
    server.get_stored(INFO);
    server.settle();
    let told = diagnosis(&server);
    assert_eq!(told["verdict"]["health"], "healthy", "{told:#}");
    assert_eq!(told["module"], MODULE);
    assert_eq!(told["causes"].as_array().unwrap().len(), 0);
    let fine = checks(&told, "fine");
    for check in ["list", "info", "mod", "zip", "disk", "address"] {
        assert!(fine.iter().any(|one| one == check), "{check}: {told:#}");
    }
    let names: Vec<&str> = told["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["upstream", "private", "sumdb", "no-sumdb", "data"]);
    assert_eq!(told["settings"][0]["value"], scene.upstream.url());
    assert_eq!(told["schema"], 1);
    assert!(told["time"].as_str().unwrap().ends_with('Z'));
    let described: Value =
        serde_json::from_slice(&server.get("/api/v1/openapi.json").body).unwrap();
    assert!(described["paths"][PATH]["get"].is_object());
}

#[test]
fn an_upstream_that_is_down_is_named_with_the_words_of_the_answers() {
    let mut scene = Scene::new();
    let server = scene.start();
    server.get_stored(ZIP);
    server.settle();
    scene.upstream.stop();
    let refused = server.get("/example.com/other/@v/list");
    let told = diagnosis(&server);
    let cause = &told["causes"][0];
    assert_eq!(told["verdict"]["health"], "broken", "{told:#}");
    let label = cause["label"].as_str().unwrap();
    assert_eq!(label, "tcp-refused");
    assert!(
        refused.text().starts_with(&format!("{label}: ")),
        "{}",
        refused.text()
    );
    assert_eq!(
        (cause["hop"].as_str(), cause["side"].as_str()),
        (Some("tcp"), Some("server"))
    );
    for fix in cause["fixes"].as_array().unwrap() {
        let command = fix["command"].as_str().unwrap_or_default();
        assert!(
            !command.contains("go env") && !command.contains("GOPROXY="),
            "{command}"
        );
    }
    // What is stored is served all the same.
    assert_eq!(server.get(ZIP).status, 200);
    let chinese = server.ask("GET", PATH, &[("Accept-Language", "zh-CN,zh;q=0.9")]);
    let chinese: Value = serde_json::from_slice(&chinese.body).unwrap();
    assert_eq!(chinese["causes"][0]["label"], label);
    assert!(
        chinese["causes"][0]["summary"]
            .as_str()
            .unwrap()
            .chars()
            .any(|c| c >= '\u{4e00}')
    );
}

#[test]
fn many_who_ask_share_one_run() {
    let scene = Scene::new();
    let server = scene.start();
    server.get_stored(ZIP);
    server.settle();
    scene.upstream.forget();
    scene.upstream.set_delay(Duration::from_millis(300));
    let times: Vec<Value> = thread::scope(|scope| {
        let asking: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| diagnosis(&server)["time"].clone()))
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
    assert_eq!(scene.upstream.count(LIST), 1);
}

#[test]
fn a_password_of_an_upstream_is_not_told() {
    let scene = Scene::new();
    let url = scene
        .upstream
        .url()
        .replace("http://", "http://me:hunter2@");
    let server = scene
        .bare_command()
        .env(&variable("upstream"), &url)
        .env(&variable("sumdb"), "off")
        .start();
    server.get_stored(ZIP);
    server.settle();
    let told = diagnosis(&server);
    assert_eq!(told["verdict"]["health"], "healthy", "{told:#}");
    assert!(!told.to_string().contains("hunter2"));
}

#[test]
fn a_private_module_is_not_asked_about() {
    let scene = Scene::new();
    let server = scene.start();
    server.get_stored(ZIP);
    server.settle();
    drop(server);
    scene.upstream.forget();
    let server = scene.start_with(&[("private", "example.com")]);
    let told = diagnosis(&server);
    assert_eq!(told["module"], "rsc.io/quote", "{told:#}");
    // The upstream has not got that, and nobody said it has.
    assert_eq!(told["verdict"]["health"], "healthy", "{told:#}");
    let asked = scene.upstream.requests();
    assert!(
        asked
            .iter()
            .all(|request| !request.path.contains("example.com")),
        "{asked:?}"
    );
}
