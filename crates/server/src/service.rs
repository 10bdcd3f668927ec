use std::future;
use std::sync::Arc;
use std::time::Instant;

use depot::{Context, Depot, FetchMode, Party};
use futures_util::future::Either;
use goenv::netrc::Secret;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, VIA};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use prefetch::{Prefetch, Presence};
use store::FileKey;
use tower::ServiceExt as _;
use traces::Tracer;
use tracing::Level;
use upstream::Via;

use crate::access::Access;
use crate::body::Body;
use crate::doctor::Standpoint;
use crate::error::Refusal;
use crate::hooks::HOOKS;
use crate::hot::{HotAnswer, HotAnswers};
use crate::id::{REQUEST_ID, RequestId};
use crate::intake;
use crate::metrics::{Endpoint, Metrics, Served};
use crate::operator::{self, OperatorToken};
use crate::ops;
use crate::own_log::{self, OwnLog};
use crate::protocol::{Responder, endpoint_of, respond_hot};
use crate::respond::{self, Answer, Asked};
use crate::span::{Conclusion, RequestSpan, level};
use crate::state::State;
use crate::target::{self, Parsed, Target};
use crate::watch::{Peer, Watch};

/// Everything that answers requests.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    state: Arc<State>,
    hot: HotAnswers,
    router: axum::Router,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("depot", &self.inner.state.depot)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Answers from a depot, and from a log if there is one. `hot_bytes`: how much memory small answers given a moment
    /// ago may take. `operator_token`: who may give orders; nobody without it.
    pub fn new(
        depot: Depot,
        metrics: Arc<Metrics>,
        hot_bytes: u64,
        own_log: Option<OwnLog>,
        operator_token: Option<OperatorToken>,
    ) -> Self {
        let state = Arc::new(State::new(depot, metrics, own_log, operator_token));
        let inner = Inner {
            hot: HotAnswers::new(hot_bytes),
            router: ops::router(state.clone()),
            state,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// From where `/api/v1/doctor` looks; to be called again when the settings have changed.
    pub fn stand(&self, standpoint: Standpoint) {
        self.inner.state.doctor.stand(standpoint);
    }

    /// Lets files be fetched ahead for the clients of this server. Counts once: a second call changes nothing.
    pub fn fetch_ahead(&self, prefetch: Prefetch) {
        let _only_once = self.inner.state.prefetch.set(prefetch);
    }

    /// Tells of requests in spans. Counts once: a second call changes nothing.
    pub fn trace(&self, tracer: Tracer) {
        let _only_once = self.inner.state.tracer.set(tracer);
    }

    /// Says who may tell this server something, from now on.
    pub fn grant(&self, access: Access) {
        self.inner.state.access.store(Arc::new(access));
    }

    /// To be called when the depot's chain or settings have changed.
    pub fn forget_hot_answers(&self) {
        self.inner.hot.clear();
    }

    /// Lets `/readyz` say that no more requests should be sent here.
    pub fn start_draining(&self) {
        self.inner.state.start_draining();
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.state.metrics
    }

    /// Answers one request. Never fails: trouble is an answer, too.
    ///
    /// What is returned is small, since it is moved about with each request: what has to be looked for lies elsewhere.
    pub fn respond<B>(
        &self,
        request: Request<B>,
    ) -> impl Future<Output = Response<Body>> + Send + use<B>
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let began = Instant::now();
        let id = RequestId::of(request.headers());
        let peer = request.extensions().get::<Peer>().copied();
        let (parts, body) = request.into_parts();
        let span = RequestSpan::begin(self.inner.state.tracer.get(), &parts);
        if let Some(hot) = self.hot(&parts) {
            self.watch(peer).hot(&hot, began);
            let asked = Asked {
                method: &parts.method,
                headers: &parts.headers,
            };
            let answer = respond_hot(asked, &hot, Served::Hit);
            let response = self.conclude(&parts, id, began, hot.endpoint, answer, span);
            return Either::Left(future::ready(response));
        }
        let app = self.clone();
        Either::Right(Box::pin(async move {
            let (endpoint, answer) = app.answer(&parts, body, &id, peer, &span).await;
            app.conclude(&parts, id, began, endpoint, answer, span)
        }))
    }

    /// An answer that was given a moment ago and fits this request.
    fn hot(&self, parts: &Parts) -> Option<Arc<HotAnswer>> {
        if !is_get_or_head(&parts.method) || has_body(parts) {
            return None;
        }
        let withdrawn = self.inner.state.depot.store().quarantined();
        self.inner.hot.get(parts.uri.path(), withdrawn)
    }

    /// Notes that a client has a connection until what is returned is dropped.
    pub(crate) fn presence(&self, peer: Peer) -> Option<Presence> {
        let prefetch = self.inner.state.prefetch.get();
        prefetch.map(|prefetch| prefetch.present(peer.0))
    }

    fn watch(&self, peer: Option<Peer>) -> Watch<'_> {
        Watch::new(self.inner.state.prefetch.get(), peer)
    }

    async fn answer<B>(
        &self,
        parts: &Parts,
        body: B,
        id: &RequestId,
        peer: Option<Peer>,
        span: &RequestSpan,
    ) -> (Endpoint, Answer)
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let asked = Asked {
            method: &parts.method,
            headers: &parts.headers,
        };
        let absent_for = self.inner.state.depot.settings().absent_ttl.as_secs();
        let refuse = |refusal| respond::refusal(asked, refusal, absent_for);
        let parsed = match target::parse(parts.uri.path()) {
            Ok(parsed) => parsed,
            Err(bad) => return (Endpoint::Unknown, refuse(bad.into())),
        };
        let endpoint = endpoint_of(&parsed.target);
        if parts.method == Method::POST
            && parts.uri.path() == own_log::COSIGNATURES
            && let Some(log) = &self.inner.state.own_log
        {
            let answer = own_log::cosign(log, asked, body)
                .await
                .unwrap_or_else(refuse);
            return (Endpoint::Operations, answer);
        }
        if parts.method == Method::PUT && parts.uri.path() == operator::OFFLINE {
            let body = http_body_util::Limited::new(body, operator::MOST_BYTES);
            return self.operations(parts, body).await;
        }
        if parts.method == Method::POST && parts.uri.path().starts_with(HOOKS) {
            let answer = self.hook(parts, body).await.unwrap_or_else(refuse);
            return (Endpoint::Operations, intake::challenge(answer));
        }
        let publishing = match &parsed.target {
            Target::File(key) if intake::is_zip(key) && !parsed.cached_only => {
                let token = self.inner.state.access.load().publish.clone();
                token.map(|token| (key, token))
            }
            _ => None,
        };
        let mut allowed = ("GET, HEAD", "GET or HEAD");
        if let Some((zip, token)) = publishing {
            if parts.method == Method::PUT {
                let answer = self.publish(parts, zip, &token, body).await;
                return (endpoint, intake::challenge(answer.unwrap_or_else(refuse)));
            }
            allowed = ("GET, HEAD, PUT", "GET, HEAD or PUT");
        }
        if !is_get_or_head(&parts.method) {
            let mut refusal = Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!(
                    "bad request: {} is not allowed here; use {}",
                    parts.method, allowed.1
                ),
            );
            refusal.allow = Some(allowed.0);
            return (endpoint, refuse(refusal));
        }
        if has_body(parts) {
            return (
                endpoint,
                refuse(Refusal::bad_request(
                    "a GET or HEAD request has no body here",
                )),
            );
        }
        if parsed.target == Target::Other {
            return self.operations(parts, body).await;
        }
        let answer = self
            .protocol(parts, &parsed, id, peer, span)
            .await
            .unwrap_or_else(refuse);
        (endpoint, answer)
    }

    async fn hook<B>(&self, parts: &Parts, body: B) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>>,
    {
        let state = &self.inner.state;
        let forget = || self.inner.hot.clear();
        let access = state.access.load_full();
        state
            .intake
            .hook(&state.depot, &access, parts, body, forget)
            .await
    }

    async fn publish<B>(
        &self,
        parts: &Parts,
        zip: &FileKey,
        token: &Secret,
        body: B,
    ) -> Result<Answer, Refusal>
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send,
    {
        let state = &self.inner.state;
        let own_log = state.own_log.as_ref();
        state
            .intake
            .publish(&state.depot, own_log, token, parts, zip, body)
            .await
    }

    async fn protocol(
        &self,
        parts: &Parts,
        parsed: &Parsed,
        id: &RequestId,
        peer: Option<Peer>,
        span: &RequestSpan,
    ) -> Result<Answer, Refusal> {
        let forbids_fetch = parts
            .headers
            .get("disable-module-fetch")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
        let mode = if parsed.cached_only || forbids_fetch {
            FetchMode::CachedOnly
        } else {
            FetchMode::Allowed
        };
        let via = Via::of(&parts.headers);
        if via.is_circle() {
            return Err(Refusal::circle(&via));
        }
        let context = Context {
            traceparent: Some(span.place(&parts.headers)),
            via,
            request_id: id.as_str().to_owned(),
            party: peer.map_or(Party::Own, |peer| Party::Client(peer.0)),
        };
        let responder = Responder {
            depot: &self.inner.state.depot,
            own_log: self.inner.state.own_log.as_ref(),
            hot: &self.inner.hot,
            hot_path: (mode == FetchMode::Allowed).then(|| parts.uri.path()),
            began: (self.inner.hot).moment(self.inner.state.depot.store().quarantined()),
            asked: Asked {
                method: &parts.method,
                headers: &parts.headers,
            },
            mode,
            context: &context,
            watch: self
                .watch(peer.filter(|_| mode == FetchMode::Allowed && parts.method == Method::GET)),
        };
        match &parsed.target {
            Target::File(key) => responder.file(key).await,
            Target::Answer(key) => responder.answer(key).await,
            Target::Sumdb(path) => responder.sumdb(path).await,
            Target::Other => Err(Refusal::not_found(parts.uri.path())),
        }
    }

    async fn operations<B>(&self, parts: &Parts, body: B) -> (Endpoint, Answer)
    where
        B: http_body::Body<Data = bytes::Bytes, Error: Into<axum::BoxError>> + Send + 'static,
    {
        let request = Request::from_parts(parts.clone(), axum::body::Body::new(body));
        let Ok(response) = self.inner.router.clone().oneshot(request).await;
        let (endpoint, served) = match response.status().as_u16() {
            404 => (Endpoint::Unknown, Served::Absent),
            400..500 => (Endpoint::Operations, Served::BadRequest),
            500.. => (Endpoint::Operations, Served::Trouble),
            _ => (Endpoint::Operations, Served::Hit),
        };
        (
            endpoint,
            Answer {
                response: response.map(Body::Router),
                served,
                reason: None,
            },
        )
    }

    /// Counts and logs a request, tells of it in its span, and names it in its answer.
    fn conclude(
        &self,
        parts: &Parts,
        id: RequestId,
        began: Instant,
        endpoint: Endpoint,
        answer: Answer,
        span: RequestSpan,
    ) -> Response<Body> {
        let Answer {
            mut response,
            served,
            reason,
        } = answer;
        let metrics = &self.inner.state.metrics;
        metrics.count(endpoint, served, began.elapsed());
        if parts.method != Method::HEAD {
            metrics
                .sent
                .inc_by(response.body().size_hint().exact().unwrap_or_default());
        }
        log(
            parts,
            &id,
            &response,
            endpoint,
            served,
            began,
            reason.as_deref(),
        );
        if matches!(span, RequestSpan::Open(_)) {
            let told = Conclusion {
                id: &id,
                endpoint,
                served,
                status: response.status(),
                reason: reason.as_deref(),
            };
            span.end(parts, &self.inner.state.depot.settings(), &told);
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id.into_header());
        // For other proxies, and for instances that want to know whom they ask.
        if parts.headers.contains_key(VIA) {
            headers.insert(VIA, Via::own());
        }
        if let Some(losses) = respond::losses(self.inner.state.depot.degraded()) {
            headers.insert(respond::DEGRADED, losses);
        }
        if self.inner.state.is_draining() && parts.version <= Version::HTTP_11 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

fn log(
    parts: &Parts,
    id: &RequestId,
    response: &Response<Body>,
    endpoint: Endpoint,
    served: Served,
    began: Instant,
    reason: Option<&str>,
) {
    macro_rules! event {
        ($level:ident) => {
            tracing::$level!(
                request_id = id.as_str(),
                method = %parts.method,
                path = parts.uri.path(),
                status = response.status().as_u16(),
                endpoint = endpoint.as_str(),
                outcome = served.as_str(),
                elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                reason,
                "request"
            )
        };
    }
    match level(served) {
        Level::DEBUG => event!(debug),
        Level::INFO => event!(info),
        _ => event!(warn),
    }
}

fn is_get_or_head(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn has_body(parts: &Parts) -> bool {
    parts.headers.contains_key(TRANSFER_ENCODING)
        || parts
            .headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() != b"0")
}
