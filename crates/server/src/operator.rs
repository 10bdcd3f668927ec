//! What an operator may see and switch: `/api/v1/status` and `/api/v1/offline`.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use depot::{Degradation, Degraded};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ops::Failed;
use crate::state::State;

/// The longest body of an order.
pub(crate) const MOST_BYTES: usize = 1024;

/// The path at which fetching is switched off and on.
pub(crate) const OFFLINE: &str = "/api/v1/offline";

/// Who may give orders: those who know this token. It is kept as a digest, so that it can be neither printed nor found
/// out by how long a comparison takes.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorToken([u8; 32]);

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(..)")
    }
}

impl OperatorToken {
    /// From the token itself, without the white space around it. `None` if nothing is left.
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty()).then(|| Self(Sha256::digest(token).into()))
    }

    fn is(&self, given: &str) -> bool {
        Self::new(given).as_ref() == Some(self)
    }
}

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route(OFFLINE, get(offline).put(switch))
}

/// A way of serving with losses, for programs.
#[derive(Serialize, JsonSchema)]
struct Loss {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    reason: String,
}

impl From<Degradation> for Loss {
    fn from(degradation: Degradation) -> Self {
        Self {
            mode: degradation.mode.as_str(),
            since: degradation.since,
            reason: degradation.reason,
        }
    }
}

/// How a server is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Status")]
pub(crate) struct Report {
    version: &'static str,
    /// `ready`, `degraded` or `draining`.
    status: &'static str,
    degraded: Vec<Loss>,
    fetches_in_flight: usize,
    stored_files: u64,
    stored_bytes: u64,
}

fn answer(document: impl Serialize) -> Response {
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (headers, axum::Json(document)).into_response()
}

async fn status(Extract(state): Extract<Arc<State>>) -> Response {
    let degraded: Vec<Loss> = state
        .depot
        .degradations()
        .into_iter()
        .map(Loss::from)
        .collect();
    let totals = state.depot.totals();
    answer(Report {
        version: env!("CARGO_PKG_VERSION"),
        status: match (state.is_draining(), degraded.is_empty()) {
            (true, _) => "draining",
            (false, true) => "ready",
            (false, false) => "degraded",
        },
        degraded,
        fetches_in_flight: state.depot.in_flight(),
        stored_files: totals.files,
        stored_bytes: totals.bytes,
    })
}

/// Whether fetching is switched off, and since when.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Offline {
    offline: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

async fn offline(Extract(state): Extract<Arc<State>>) -> Response {
    answer(offline_now(&state))
}

fn offline_now(state: &State) -> Offline {
    let found = state
        .depot
        .degradations()
        .into_iter()
        .find(|degradation| degradation.mode == Degraded::Offline);
    Offline {
        offline: found.is_some(),
        since: found.and_then(|found| found.since),
    }
}

/// Switches fetching off or on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OfflineOrder")]
pub(crate) struct Order {
    offline: bool,
}

async fn switch(
    Extract(state): Extract<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Failed> {
    check_operator(&state, &headers)?;
    let order: Order = serde_json::from_slice(&body).map_err(|error| {
        Failed::new(
            StatusCode::BAD_REQUEST,
            format!("bad request: the body is {{\"offline\": true}} or false in JSON: {error}"),
        )
    })?;
    state.depot.set_offline(order.offline);
    Ok(answer(offline_now(&state)))
}

fn check_operator(state: &State, headers: &HeaderMap) -> Result<(), Failed> {
    let Some(token) = &state.operator_token else {
        return Err(Failed::new(
            StatusCode::FORBIDDEN,
            "forbidden: this server takes no orders; name the place of a token in its setting api.token",
        ));
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token);
    match given {
        Some(given) if token.is(given) => Ok(()),
        Some(_) => Err(Failed::new(
            StatusCode::FORBIDDEN,
            "forbidden: this is not the token of the setting api.token",
        )),
        None => Err(Failed::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized: send the token of the setting api.token as Authorization: Bearer <token>",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_text_alone_and_never_printed() {
        let token = OperatorToken::new(" s3cret\n").unwrap();
        assert!(token.is("s3cret"));
        for other in ["", " ", "s3cre", "s3crett", "S3CRET"] {
            assert!(!token.is(other), "{other:?}");
        }
        assert_eq!(OperatorToken::new(" \n"), None);
        assert_eq!(format!("{token:?}"), "OperatorToken(..)");
    }
}
