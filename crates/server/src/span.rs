//! The span of a request: its place in a trace, and what is told of it at its end.

use http::request::Parts;
use http::{HeaderMap, StatusCode};
use store::AnswerKey;
use traces::{OpenSpan, Traceparent, Tracer};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::id::RequestId;
use crate::metrics::{Endpoint, Served};
use crate::target::{self, Target};

/// Asked again and again by those who watch this server; no part of anybody's trace.
const UNTRACED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The span of one request, or at least its place in a trace that is not recorded.
pub(crate) enum RequestSpan {
    Open(OpenSpan),
    Unrecorded(Traceparent),
    /// Nobody looks at traces here: the place is made up when it is needed.
    Untraced,
}

/// What is known of a request when it has been answered.
pub(crate) struct Conclusion<'a> {
    pub(crate) id: &'a RequestId,
    pub(crate) endpoint: Endpoint,
    pub(crate) served: Served,
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<&'a str>,
}

impl RequestSpan {
    pub(crate) fn begin(tracer: Option<&Tracer>, parts: &Parts) -> Self {
        let Some(tracer) = tracer.filter(|_| !UNTRACED.contains(&parts.uri.path())) else {
            return Self::Untraced;
        };
        match tracer.begin(traceparent(&parts.headers), "request") {
            Ok(span) => Self::Open(span),
            Err(place) => Self::Unrecorded(place),
        }
    }

    /// What upstreams are told: they are asked because of this request.
    pub(crate) fn place(&self, headers: &HeaderMap) -> Traceparent {
        match self {
            Self::Open(span) => span.place().clone(),
            Self::Unrecorded(place) => place.clone(),
            Self::Untraced => Traceparent::below(traceparent(headers)),
        }
    }

    /// Ends it, and says how it went.
    pub(crate) fn end(self, parts: &Parts, settings: &depot::Settings, told: &Conclusion<'_>) {
        let Self::Open(mut span) = self else {
            return;
        };
        span.rename(format!("{} {}", parts.method, told.endpoint.as_str()));
        span.note("http.request.method", parts.method.to_string());
        span.note("http.response.status_code", told.status.as_u16());
        span.note("modkeep.endpoint", told.endpoint.as_str());
        span.note("modkeep.outcome", told.served.as_str());
        span.note("modkeep.request_id", told.id.as_str().to_owned());
        let is_logged = LevelFilter::current() >= level(told.served);
        if is_logged || is_public(parts, settings) {
            span.note("url.path", parts.uri.path().to_owned());
        }
        if let Some(reason) = told.reason.filter(|_| is_logged) {
            span.note("modkeep.reason", reason.to_owned());
        }
        if told.status.is_server_error() {
            span.note("error.type", told.status.as_str().to_owned());
            span.fail(told.served.as_str());
        }
    }
}

/// How loud the log line of a request is. What was expected is worth a debug line; what was fetched or refused an info
/// line; trouble a warning.
pub(crate) fn level(served: Served) -> Level {
    match served {
        Served::Hit => Level::DEBUG,
        Served::Miss | Served::Absent | Served::BadRequest | Served::Denied => Level::INFO,
        Served::Stale | Served::Trouble => Level::WARN,
    }
}

/// Whether a path names a module that is not private, or published here.
fn is_public(parts: &Parts, settings: &depot::Settings) -> bool {
    let module = match target::parse(parts.uri.path()).map(|parsed| parsed.target) {
        Ok(Target::File(key)) => key.module,
        Ok(Target::Answer(
            AnswerKey::List(module) | AnswerKey::Latest(module) | AnswerKey::Query(module, _),
        )) => module,
        Ok(Target::Answer(AnswerKey::Sumdb { .. }) | Target::Sumdb(_) | Target::Other) | Err(_) => {
            return false;
        }
    };
    !settings.private.matches(&module) && !settings.published.matches(&module)
}

fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get("traceparent")?.to_str().ok()
}
