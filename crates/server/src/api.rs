//! `/api/v1`: what programs ask for. Every path is in the `OpenAPI` document, which is made from the same table.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use gomod::{ModulePath, ModuleVersion, Version};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use store::Provenance;

use crate::doctor::Diagnosed;
use crate::hooks::Receipt;
use crate::intake::Accepted;
use crate::operator::{OFFLINE, Offline, Order, Report};
use crate::ops::Failed;
use crate::own_log::COSIGNATURES;
use crate::state::State;

/// A path of the API as the `OpenAPI` document describes it.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Name and meaning of each part of the path.
    parameters: &'static [(&'static str, &'static str)],
    /// What is to be sent with the request.
    body: Option<Content>,
    /// The answer, and its meaning.
    answer: (Content, &'static str),
    /// Statuses of failures, which are `text/plain`, and their meaning.
    failures: &'static [(&'static str, &'static str)],
}

/// What a body is: the type that is served or read, so that the description cannot differ from it.
struct Content {
    media_type: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

const TEXT: Content = Content {
    media_type: "text/plain",
    schema: SchemaGenerator::subschema_for::<String>,
};

const fn json<T: JsonSchema>() -> Content {
    Content {
        media_type: "application/json",
        schema: SchemaGenerator::subschema_for::<T>,
    }
}

/// A document that is made without a type of its own.
type Document = Map<String, Value>;

const OPERATIONS: &[Operation] = &[
    Operation {
        path: COSIGNATURES,
        method: "post",
        id: "addCosignatures",
        summary: "Cosignatures of the own checksum log's published head: signature lines, as C2SP tlog-witness returns them",
        parameters: &[],
        body: Some(TEXT),
        answer: (TEXT, "how many were taken"),
        failures: &[
            ("400", "no signature lines"),
            ("403", "the key is none of the log's witnesses"),
            ("405", "this server runs no log"),
            ("409", "no signature of the published head"),
            ("503", "the log cannot be written"),
        ],
    },
    Operation {
        path: "/api/v1/modules/{module}/versions/{version}",
        method: "get",
        id: "getVersion",
        summary: "Where a version came from, what it must hash to, and what happened to it",
        parameters: &[
            (
                "module",
                "module path, with its slashes, escaped as in the GOPROXY protocol or not",
            ),
            ("version", "canonical version, escaped or not"),
        ],
        body: None,
        answer: (json::<Provenance>(), "what is on record about the version"),
        failures: &[
            ("400", "no module path or version"),
            ("404", "nothing is on record about this version"),
            ("503", "the records do not answer"),
        ],
    },
    Operation {
        path: "/api/v1/doctor",
        method: "get",
        id: "getDiagnosis",
        summary: "Probes of every hop from where this server stands: its upstreams, checksum database, names, certificates and disk",
        parameters: &[],
        body: None,
        answer: (
            json::<Diagnosed>(),
            "what `modkeep doctor --format json` tells, about this server; one run at a time, shared by all who ask, texts in the language of Accept-Language (en or zh)",
        ),
        failures: &[("503", "the probes could not be run")],
    },
    Operation {
        path: "/api/v1/status",
        method: "get",
        id: "getStatus",
        summary: "Whether this server answers as it should, and with which losses it serves",
        parameters: &[],
        body: None,
        answer: (
            json::<Report>(),
            "status, losses with their reasons, and what is stored",
        ),
        failures: &[],
    },
    Operation {
        path: OFFLINE,
        method: "get",
        id: "getOffline",
        summary: "Whether fetching is switched off, and since when",
        parameters: &[],
        body: None,
        answer: (json::<Offline>(), "`offline`, and `since` while it is"),
        failures: &[],
    },
    Operation {
        path: OFFLINE,
        method: "put",
        id: "setOffline",
        summary: "Switches fetching off or on: `{\"offline\": true}` or false, with the token of the setting api.token as \
                  `Authorization: Bearer`",
        parameters: &[],
        body: Some(json::<Order>()),
        answer: (json::<Offline>(), "as it is now"),
        failures: &[
            ("400", "the body is not understood"),
            ("401", "there is no token in the request"),
            ("403", "it is another token, or this server takes no orders"),
        ],
    },
    Operation {
        path: "/api/v1/hooks/{sender}",
        method: "post",
        id: "takeHook",
        summary: "A repository has something new: lists of its modules are asked for again at once. The body is what the \
                  sender posts for any event; of generic, {\"repositories\": [\"https://...\"], \"modules\": [\"example.com/m\"]}",
        parameters: &[(
            "sender",
            "github (X-Hub-Signature-256), gitea (X-Gitea-Signature), gitlab (X-Gitlab-Token), or generic \
             (X-Modkeep-Timestamp, and X-Modkeep-Signature: sha256= and the HMAC-SHA256 of the timestamp, a dot and the body)",
        )],
        body: Some(json::<Document>()),
        answer: (
            json::<Receipt>(),
            "the paths whose answers are asked for again",
        ),
        failures: &[
            ("400", "the body makes no sense"),
            (
                "401",
                "the sender does not prove to know the secret, or not now",
            ),
            ("403", "no webhooks are taken here"),
            ("404", "there is no such sender"),
            ("413", "the body is too large"),
        ],
    },
    Operation {
        path: "/{module}/@v/{version}.zip",
        method: "put",
        id: "publishVersion",
        summary: "Publish a version: the body is its zip. Needs the token as Authorization: Bearer, or as a password. The \
                  same files again are answered with 200",
        parameters: &[
            (
                "module",
                "module path, with its slashes, escaped as in the GOPROXY protocol",
            ),
            ("version", "canonical version, escaped"),
        ],
        body: Some(Content {
            media_type: "application/zip",
            schema: SchemaGenerator::subschema_for::<String>,
        }),
        answer: (
            json::<Accepted>(),
            "the hash of the zip, and whether it is new (201)",
        ),
        failures: &[
            ("400", "it is no zip of this version"),
            ("401", "the token is missing or wrong"),
            ("403", "this module is not published here"),
            ("409", "the version is there already, with other files"),
            ("413", "the zip is too large"),
        ],
    },
    Operation {
        path: "/api/v1/openapi.json",
        method: "get",
        id: "getDescription",
        summary: "This description",
        parameters: &[],
        body: None,
        answer: (json::<Document>(), "an OpenAPI 3.1 document"),
        failures: &[],
    },
];

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/api/v1/doctor", get(crate::doctor::answer))
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1/modules/{*rest}", get(version))
}

fn answer(document: &impl serde::Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, axum::Json(document)).into_response()
}

async fn description() -> Response {
    answer(&openapi())
}

async fn version(
    Extract(state): Extract<Arc<State>>,
    Path(rest): Path<String>,
) -> Result<Response, Failed> {
    let module = parse(&rest)?;
    let found = state.depot.records().provenance(&module).await;
    match found {
        Ok(Some(provenance)) => Ok(answer(&provenance)),
        Ok(None) => Err(Failed::new(
            StatusCode::NOT_FOUND,
            format!("not found: nothing is on record about {module}"),
        )),
        Err(error) => Err(Failed::new(
            StatusCode::SERVICE_UNAVAILABLE,
            error.to_string(),
        )),
    }
}

/// `<module>/versions/<version>`. A `!` is in no module path and in no version, so that escaped names are told from others.
fn parse(rest: &str) -> Result<ModuleVersion, Failed> {
    let bad = |why: String| Failed::new(StatusCode::BAD_REQUEST, format!("bad request: {why}"));
    let (path, version) = rest
        .rsplit_once("/versions/")
        .ok_or_else(|| bad("the path is /api/v1/modules/<module>/versions/<version>".to_owned()))?;
    let path = if path.contains('!') {
        ModulePath::unescape(path)
    } else {
        ModulePath::new(path)
    }
    .map_err(|error| bad(error.to_string()))?;
    let version = if version.contains('!') {
        Version::unescape(version)
    } else {
        Version::new(version)
    }
    .map_err(|error| bad(error.to_string()))?;
    ModuleVersion::new(path, version).map_err(|error| bad(error.to_string()))
}

fn openapi() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "modkeep", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": schemas.take_definitions(true) },
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let parameters: Vec<Value> = operation
        .parameters
        .iter()
        .map(|(name, description)| {
            json!({
                "name": name, "in": "path", "required": true, "description": description,
                "schema": { "type": "string" },
            })
        })
        .collect();
    let mut content = |content: &Content| {
        let schema = (content.schema)(schemas);
        json!({ content.media_type: { "schema": schema } })
    };
    let (answer, meaning) = &operation.answer;
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({ "description": meaning, "content": content(answer) }),
    );
    for (status, meaning) in operation.failures {
        responses.insert(
            (*status).to_owned(),
            json!({ "description": meaning, "content": content(&TEXT) }),
        );
    }
    let mut description = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = &operation.body {
        description["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_paths_have_slashes_and_may_be_escaped() {
        for (rest, expected) in [
            ("example.com/m/versions/v1.0.0", "example.com/m@v1.0.0"),
            (
                "example.com/Acme/x/versions/v1.0.0-RC1",
                "example.com/Acme/x@v1.0.0-RC1",
            ),
            (
                "example.com/!acme/versions/v1.0.0-!r!c1",
                "example.com/Acme@v1.0.0-RC1",
            ),
            (
                "example.com/versions/versions/v1.0.0",
                "example.com/versions@v1.0.0",
            ),
            (
                "example.com/m/v2/versions/v2.0.0",
                "example.com/m/v2@v2.0.0",
            ),
        ] {
            let found = parse(rest).map(|module| module.to_string());
            assert_eq!(found.ok().as_deref(), Some(expected), "{rest}");
        }
        for bad in [
            "example.com/m",
            "versions/v1.0.0",
            "example.com/m/versions/",
            "example.com/m/versions/latest",
            "example.com/m/versions/v1",
            "example.com/m/versions/v2.0.0",
            "../x/versions/v1.0.0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_part_of_a_path_is_described() {
        for operation in OPERATIONS {
            let parts = operation.path.matches('{').count();
            assert_eq!(parts, operation.parameters.len(), "{}", operation.path);
            for (name, _) in operation.parameters {
                assert!(operation.path.contains(&format!("{{{name}}}")), "{name}");
            }
        }
        let document = openapi();
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().unwrap().values();
        let described: usize = paths.map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(described, OPERATIONS.len());
    }
}
