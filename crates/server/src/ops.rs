//! What operators and index readers ask for: health, readiness, metrics, the index.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State as Extract};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use depot::{Degraded, DepotError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::RecordsHealth;
use upstream::{BreakerState, UpstreamStatus};

use crate::api;
use crate::operator;
use crate::state::State;

/// The most lines of the index in one answer, as index.golang.org has it.
const INDEX_LIMIT: u32 = 2000;
/// How long a readiness check may take.
const READINESS_LIMIT: Duration = Duration::from_secs(2);

pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/index", get(index))
        .merge(api::router())
        .merge(operator::router())
        .fallback(unknown)
        .with_state(state)
}

fn plain(status: StatusCode, line: &str) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        format!("{line}\n"),
    )
        .into_response()
}

/// A request that could not be answered, and the line that says why.
pub(crate) struct Failed {
    status: StatusCode,
    line: String,
}

impl Failed {
    pub(crate) fn new(status: StatusCode, line: impl Into<String>) -> Self {
        Self {
            status,
            line: line.into(),
        }
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        plain(self.status, &self.line)
    }
}

async fn home() -> Response {
    plain(
        StatusCode::OK,
        concat!(
            "modkeep ",
            env!("CARGO_PKG_VERSION"),
            ", a GOPROXY server.\n\n",
            "Use it with: go env -w GOPROXY=<this URL>\n\n",
            "/<module>/@v/list, /<module>/@v/<version>.info|.mod|.zip, /<module>/@latest   modules\n",
            "/sumdb/<name>/...        checksum database\n",
            "/cached-only/<module>/.. the same, without fetching\n",
            "/index?since=&limit=     new versions in the order seen\n",
            "/api/v1/openapi.json     what programs can ask for\n",
            "/healthz /readyz /metrics"
        ),
    )
}

async fn unknown(uri: Uri) -> Response {
    plain(
        StatusCode::NOT_FOUND,
        &format!(
            "not found: {} is no path of this server; modules are at /<module>/@v/list, /<module>/@v/<version>.info, .mod, .zip and /<module>/@latest",
            uri.path()
        ),
    )
}

#[derive(Serialize)]
struct Readiness {
    /// `ready`, `degraded` (serving, with losses), `draining` or `unready`.
    status: &'static str,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<UpstreamFigures>,
}

/// How an upstream fares.
#[derive(Serialize)]
struct UpstreamFigures {
    /// `closed` (requests go there), `open` or `half-open` (they go elsewhere).
    breaker: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95_ms: Option<u64>,
    retries: u64,
    hedges: u64,
    resumed: u64,
}

impl From<&UpstreamStatus> for UpstreamFigures {
    fn from(status: &UpstreamStatus) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            breaker: match status.breaker {
                BreakerState::Closed => "closed",
                BreakerState::Open => "open",
                BreakerState::HalfOpen => "half-open",
            },
            average_ms: status.average.map(millis),
            p95_ms: status.p95.map(millis),
            retries: status.counts.retries,
            hedges: status.counts.hedges,
            resumed: status.counts.resumed,
        }
    }
}

fn upstream_problem(status: &UpstreamStatus) -> Option<String> {
    let failure = status.failure.as_ref().map(ToString::to_string);
    match status.breaker {
        BreakerState::Closed => failure,
        BreakerState::Open | BreakerState::HalfOpen => Some(format!(
            "requests go elsewhere until it answers again: {}",
            failure.unwrap_or_default()
        )),
    }
}

impl Check {
    fn new(name: impl Into<String>, problem: Option<String>) -> Self {
        Self {
            name: name.into(),
            ok: problem.is_none(),
            reason: problem,
            upstream: None,
        }
    }
}

/// 200 while requests can be answered, if only from the store; 503 when they should go elsewhere.
async fn readyz(Extract(state): Extract<Arc<State>>) -> Result<Response, Failed> {
    let store = state.depot.store().clone();
    let write = tokio::task::spawn_blocking(move || {
        store
            .create_draft()
            .map(drop)
            .map_err(|error| DepotError::from(error).to_string())
    });
    let write_problem = match tokio::time::timeout(READINESS_LIMIT, write).await {
        Ok(Ok(written)) => written.err(),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!(
            "the disk did not answer within {READINESS_LIMIT:?}"
        )),
    };
    let losses = state.depot.degradations();
    let reason = |mode| {
        losses
            .iter()
            .find(|loss| loss.mode == mode)
            .map(|loss| loss.reason.clone())
    };
    let mut checks = vec![
        Check::new("store", write_problem.or(reason(Degraded::StoreReadOnly))),
        Check::new("records", reason(Degraded::RecordsMissing)),
        Check::new("fetching", reason(Degraded::Offline)),
    ];
    for upstream in state.depot.chain().status() {
        let problem = upstream_problem(&upstream);
        let figures = UpstreamFigures::from(&upstream);
        checks.push(Check {
            upstream: Some(figures),
            ..Check::new(format!("upstream {}", upstream.source), problem)
        });
    }
    let draining = state.is_draining();
    let status = match (draining, checks.iter().all(|check| check.ok)) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "degraded",
    };
    let code = if draining {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    Ok((
        code,
        [(header::CACHE_CONTROL, "no-store")],
        axum::Json(Readiness { status, checks }),
    )
        .into_response())
}

async fn metrics(Extract(state): Extract<Arc<State>>) -> Result<Response, Failed> {
    let metrics = &state.metrics;
    let totals = state.depot.totals();
    metrics
        .fetches
        .in_flight
        .set(signed(state.depot.in_flight() as u64));
    metrics
        .fetches
        .waiting
        .set(signed(state.depot.waiting() as u64));
    metrics.store_files.set(signed(totals.files));
    metrics.store_bytes.set(signed(totals.bytes));
    metrics.records_up.set(i64::from(
        state.depot.records().health() == RecordsHealth::Ready,
    ));
    for mode in Degraded::ALL {
        let in_force = state.depot.degraded().any(|one| one == mode);
        metrics.set_degraded(mode.as_str(), in_force);
    }
    for upstream in state.depot.chain().status() {
        let up = upstream.breaker == BreakerState::Closed;
        metrics.set_upstream_up(&upstream.source, up);
    }
    let store = state.depot.store().clone();
    let space = tokio::task::spawn_blocking(move || store.space().ok());
    let space = tokio::time::timeout(READINESS_LIMIT, space).await;
    let space = space.ok().and_then(Result::ok).flatten();
    metrics.disk.follow(state.depot.clean_totals(), space);
    let quarantined = state.depot.store().quarantined();
    metrics
        .quarantined
        .inc_by(quarantined.saturating_sub(metrics.quarantined.get()));
    for (counter, total) in [
        (&metrics.fetches.turned_away, state.depot.turned_away()),
        (&metrics.refused, state.depot.refused_files()),
        (&metrics.unverified, state.depot.unverified_files()),
        (&metrics.moved_tags, state.depot.moved_tags()),
        (
            &metrics.moved_repositories,
            state.depot.moved_repositories(),
        ),
    ] {
        counter.inc_by(total.saturating_sub(counter.get()));
    }
    metrics.scrub.follow(state.depot.scrub_totals());
    if let Some(prefetch) = state.prefetch.get() {
        metrics.prefetch.catch_up(prefetch.counts());
    }
    if let Some(tracer) = state.tracer.get() {
        let totals = tracer.totals();
        for (counter, total) in [
            (&metrics.spans_sent, &totals.sent),
            (&metrics.spans_dropped, &totals.dropped),
        ] {
            let total = total.load(Ordering::Relaxed);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
    if let Some(log) = &state.own_log {
        let totals = log.totals();
        for (counter, total) in [
            (&metrics.log_records, totals.appended),
            (&metrics.log_batches, totals.batches),
            (&metrics.log_contradictions, totals.contradictions),
        ] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], metrics.render()).into_response())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[derive(Deserialize)]
struct IndexQuery {
    since: Option<String>,
    limit: Option<String>,
}

/// One JSON object a line, oldest first; `since` is inclusive (the protocol of index.golang.org).
async fn index(
    Extract(state): Extract<Arc<State>>,
    Query(query): Query<IndexQuery>,
) -> Result<Response, Failed> {
    let bad = |line: &str| Failed::new(StatusCode::BAD_REQUEST, format!("bad request: {line}"));
    let since = match query.since.as_deref().filter(|since| !since.is_empty()) {
        None => Timestamp::UNIX_EPOCH,
        Some(since) => since.parse().map_err(|_| {
            bad("since= takes a time such as 2026-01-31T12:00:00Z (RFC 3339; write + as %2B)")
        })?,
    };
    let limit = match query.limit.as_deref().filter(|limit| !limit.is_empty()) {
        None => INDEX_LIMIT,
        Some(limit) => limit
            .parse::<u32>()
            .map_err(|_| bad("limit= takes a number from 0 to 2000"))?
            .min(INDEX_LIMIT),
    };
    // What was stored a moment ago is to be seen.
    state.depot.records().flush().await;
    let entries = state.depot.records().index(since, limit).await;
    let entries =
        entries.map_err(|error| Failed::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let mut text = String::new();
    for entry in entries {
        text.push_str(&serde_json::to_string(&entry).unwrap_or_default());
        text.push('\n');
    }
    Ok((
        [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        text,
    )
        .into_response())
}
