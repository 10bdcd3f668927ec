//! The description of the API, held against what is really answered.

use serde_json::Value;
use testkit::{ChecksumDatabase, Modkeep, Module, schema_violations};

use crate::scene::{Ask as _, INFO, MOD, Scene, ZIP};

const VERSION: &str = "/api/v1/modules/{module}/versions/{version}";

/// The description, and what was held against it.
struct Described {
    document: Value,
}

impl Described {
    fn of(server: &Modkeep) -> Self {
        let document = serde_json::from_slice(&server.get("/api/v1/openapi.json").body).unwrap();
        Self { document }
    }

    fn schema(&self, path: &str, method: &str) -> &Value {
        &self.document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    }

    /// Checks an answer. Gives it.
    fn check(&self, path: &str, method: &str, body: &[u8]) -> Value {
        let told: Value = serde_json::from_slice(body).unwrap();
        let violations = schema_violations(&self.document, self.schema(path, method), &told);
        assert!(
            violations.is_empty(),
            "{method} {path}: {violations:#?}\n{told:#}"
        );
        told
    }
}

fn version_path(module: &str) -> String {
    format!("/api/v1/modules/{module}/versions/v1.2.3")
}

#[test]
fn answers_are_as_described() {
    let scene = Scene::new();
    let server = scene.start();
    let described = Described::of(&server);
    for path in [INFO, MOD, ZIP] {
        server.get_stored(path);
    }
    server.settle();
    let told = described.check(
        VERSION,
        "get",
        &server.get(&version_path("example.com/!acme")).body,
    );
    assert_eq!(told["files"].as_array().unwrap().len(), 3, "{told:#}");
    assert_eq!(told["zip"]["verification"]["state"], "first-sight");

    let ready = described.check("/api/v1/status", "get", &server.get("/api/v1/status").body);
    assert_eq!(ready["status"], "ready");
    described.check(
        "/api/v1/offline",
        "get",
        &server.get("/api/v1/offline").body,
    );
    described.check("/api/v1/doctor", "get", &server.get("/api/v1/doctor").body);
    described.check(
        "/api/v1/openapi.json",
        "get",
        &server.get("/api/v1/openapi.json").body,
    );
}

#[test]
fn proven_hashes_and_losses_are_as_described() {
    let scene = Scene::new();
    let database = ChecksumDatabase::new("sum.example.com", 1);
    database.add(&Module::big("example.com/Acme", "v1.2.3", 300_000));
    let setting = database.setting();
    let server = scene.start_with(&[("sumdb", &setting), ("offline", "false")]);
    let described = Described::of(&server);
    server.get_stored(ZIP);
    server.settle();
    let told = described.check(
        VERSION,
        "get",
        &server.get(&version_path("example.com/!acme")).body,
    );
    assert_eq!(told["zip"]["verification"]["state"], "proven", "{told:#}");
    drop(server);
    let server = scene.start_with(&[("sumdb", &setting), ("offline", "true")]);
    let told = described.check("/api/v1/status", "get", &server.get("/api/v1/status").body);
    assert_ne!(told["degraded"].as_array().unwrap().len(), 0, "{told:#}");
    let told = described.check(
        "/api/v1/offline",
        "get",
        &server.get("/api/v1/offline").body,
    );
    assert_eq!(told["offline"], true);
}

#[test]
fn every_reference_of_the_description_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let scene = Scene::new();
    let document = Described::of(&scene.start()).document;
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 5, "{found:?}");
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}
