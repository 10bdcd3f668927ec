//! One GOPROXY server, asked over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fault::Label;
use futures_util::StreamExt as _;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::Response;
use url::Url;

use crate::body::{BodyLimits, Complaints, limited};
use crate::check::{Refusal, check_body, check_headers, check_zip_start};
use crate::classify::{Phase, classify};
use crate::client::Client;
use crate::exchange::Exchange;
use crate::observe::Observer;
use crate::{
    Absence, BodyStream, Expect, Failure, Reply, Request, Small, Validators, Via, ZipReply,
};

/// How much of an error's body is passed on: lines and bytes, as in the `go` command.
const REASON_LINES: usize = 8;
const REASON_BYTES: usize = 1024;
/// How long it may take: the status alone tells enough.
const REASON_WAIT: Duration = Duration::from_secs(2);

/// What cannot stand for itself in a URL's path. A revision may contain `#` and `%`.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Why a server gave no answer that can be used.
#[derive(Clone, Debug)]
pub(crate) enum NoAnswer {
    Absent(Absence),
    Failed(Failure),
    /// To find out, it would have to ask this instance, or another that waits for it.
    Circle(Failure),
    /// It is no place to ask this of.
    NotServed,
}

impl From<Failure> for NoAnswer {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

pub(crate) struct HttpUpstream {
    source: String,
    credentials: Option<HeaderValue>,
    client: Client,
    observer: Arc<dyn Observer>,
    /// It has answered, and not said that it is an instance of this program.
    is_other: AtomicBool,
}

impl HttpUpstream {
    /// `credentials`: the `Authorization` header to send. What the URL itself carries is not used.
    pub(crate) fn new(
        base: &Url,
        credentials: Option<HeaderValue>,
        client: Client,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let mut base = base.clone();
        let _has_none = base.set_username("").and_then(|()| base.set_password(None));
        Self {
            source: base.as_str().trim_end_matches('/').to_owned(),
            credentials,
            client,
            observer,
            is_other: AtomicBool::new(false),
        }
    }

    /// The base URL, without credentials and without a trailing slash.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is an instance of this program, as far as is known.
    pub(crate) fn may_be_instance(&self) -> bool {
        !self.is_other.load(Ordering::Relaxed)
    }

    /// Asks for a small file and checks its body.
    pub(crate) async fn fetch_small(&self, request: &Request) -> Result<Small, NoAnswer> {
        let (exchange, request) = Exchange::begin(&self.source, request);
        let limit = self.client.limits().small;
        let answer = match tokio::time::timeout(limit, self.fetch_small_unbounded(&request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self
                .slow(
                    &request,
                    &format!("the answer was not complete after {limit:?}"),
                )
                .into()),
        };
        exchange.end(&answer);
        answer
    }

    async fn fetch_small_unbounded(&self, request: &Request) -> Result<Small, NoAnswer> {
        let response = self.send(request, HeaderMap::new()).await?;
        if response.status() == StatusCode::NOT_MODIFIED && self.validators(request).is_some() {
            return Ok(Small::NotModified(self.source.clone()));
        }
        let response = self.accept(response, request, StatusCode::OK).await?;
        let validators = Validators {
            etag: text_header(response.headers(), &header::ETAG),
            last_modified: text_header(response.headers(), &header::LAST_MODIFIED),
        };
        let body = self.read_body(response, request).await?;
        check_body(&request.expect, &body).map_err(|refusal| self.refused(request, &refusal))?;
        Ok(Small::Body(Reply {
            source: self.source.clone(),
            validators,
            body,
        }))
    }

    /// Asks for a zip; returns as soon as its first bytes are there.
    pub(crate) async fn fetch_zip(&self, request: &Request) -> Result<ZipReply, NoAnswer> {
        let (exchange, request) = Exchange::begin(&self.source, request);
        let answer = self.begin_zip(&request).await;
        exchange.end(&answer);
        answer
    }

    async fn begin_zip(&self, request: &Request) -> Result<ZipReply, NoAnswer> {
        let response = self.send(request, HeaderMap::new()).await?;
        let response = self.accept(response, request, StatusCode::OK).await?;
        let len = response.content_length();
        if len.is_some_and(|len| len > request.expect.limit()) {
            return Err(self.too_large(request).into());
        }
        let etag = text_header(response.headers(), &header::ETAG);
        let mut rest = self.stream(response, request);
        let mut first = BytesMut::new();
        while first.len() < 4 {
            match rest.next().await {
                Some(piece) => first.extend_from_slice(&piece?),
                None => break,
            }
        }
        check_zip_start(&first).map_err(|refusal| self.refused(request, &refusal))?;
        let body: BodyStream =
            Box::pin(futures_util::stream::iter([Ok(first.freeze())]).chain(rest));
        Ok(ZipReply {
            source: self.source.clone(),
            etag,
            len,
            body,
        })
    }

    pub(crate) async fn send(
        &self,
        request: &Request,
        more: HeaderMap,
    ) -> Result<Response, Failure> {
        let limits = *self.client.limits();
        let inner = self.client.get().await.map_err(|reason| Failure {
            source: self.source.clone(),
            label: Label::TlsMissingCaBundle,
            detail: format!("no HTTP client can be made: {reason}"),
            retry_after: None,
        })?;
        let url = self.url(request);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let sent = inner
                .get(&url)
                .headers(self.headers(request))
                .headers(more.clone())
                .send();
            match tokio::time::timeout(limits.first_byte, sent).await {
                Err(_) => {
                    return Err(self.slow(
                        request,
                        &format!("no answer within {:?}", limits.first_byte),
                    ));
                }
                Ok(Ok(response)) => {
                    let is_other = Via::of(response.headers()).is_empty();
                    self.is_other.store(is_other, Ordering::Relaxed);
                    return Ok(response);
                }
                // A kept connection may have been closed by the server just before it was used again.
                Ok(Err(error)) if attempts == 1 && is_stale_connection(&error) => {}
                Ok(Err(error)) => return Err(self.failed(request, &error)),
            }
        }
    }

    fn url(&self, request: &Request) -> String {
        format!(
            "{}/{}",
            self.source,
            utf8_percent_encode(&request.path, PATH)
        )
    }

    fn headers(&self, request: &Request) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // A body that is decoded on the way no longer agrees with its announced length.
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        if let Some(credentials) = &self.credentials {
            headers.insert(header::AUTHORIZATION, credentials.clone());
        }
        let mut insert = |name: header::HeaderName, value: Option<&String>| {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        };
        insert(header::VIA, Some(&request.via.with_this_instance()));
        insert(
            header::HeaderName::from_static("traceparent"),
            request
                .traceparent
                .as_ref()
                .map(ToString::to_string)
                .as_ref(),
        );
        if let Some(validators) = self.validators(request) {
            insert(header::IF_NONE_MATCH, validators.etag.as_ref());
            insert(header::IF_MODIFIED_SINCE, validators.last_modified.as_ref());
        }
        headers
    }

    /// What this upstream, and no other, can tell from whether its earlier answer still holds.
    fn validators<'a>(&self, request: &'a Request) -> Option<&'a Validators> {
        let (source, validators) = request.revalidate.as_ref()?;
        (*source == self.source).then_some(validators)
    }

    /// Lets pass only a 200, or the other status named, whose headers fit what was asked for.
    pub(crate) async fn accept(
        &self,
        response: Response,
        request: &Request,
        also: StatusCode,
    ) -> Result<Response, NoAnswer> {
        let status = response.status();
        if status == StatusCode::OK || status == also {
            let value = |name: &header::HeaderName| {
                response
                    .headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            check_headers(
                value(&header::CONTENT_TYPE),
                value(&header::CONTENT_ENCODING),
            )
            .map_err(|refusal| self.refused(request, &refusal))?;
            return Ok(response);
        }
        if let Some(refusal) = refused_redirect(&response) {
            return Err(self.refused(request, &refusal).into());
        }
        let retry_after = text_header(response.headers(), &header::RETRY_AFTER)
            .and_then(|value| retry_after(&value));
        let reason = tokio::time::timeout(REASON_WAIT, read_reason(response)).await;
        let reason = reason.unwrap_or_default();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            let reason = match reason.as_deref() {
                Some(reason) => reason
                    .strip_prefix("not found: ")
                    .unwrap_or(reason)
                    .to_owned(),
                None => format!("{} says {status}", self.source),
            };
            return Err(NoAnswer::Absent(Absence {
                source: self.source.clone(),
                gone: status == StatusCode::GONE,
                reason,
            }));
        }
        let reason = reason
            .map(|reason| format!(" (server response: {reason})"))
            .unwrap_or_default();
        let failure = Failure {
            source: self.source.clone(),
            label: status_label(status),
            detail: format!("reading {}/{}: {status}{reason}", self.source, request.path),
            retry_after,
        };
        Err(if status == StatusCode::LOOP_DETECTED {
            NoAnswer::Circle(failure)
        } else {
            NoAnswer::Failed(failure)
        })
    }

    async fn read_body(&self, response: Response, request: &Request) -> Result<Bytes, Failure> {
        let mut stream = self.stream(response, request);
        let mut body = BytesMut::new();
        while let Some(piece) = stream.next().await {
            body.extend_from_slice(&piece?);
        }
        Ok(body.freeze())
    }

    /// The body, within the limits.
    pub(crate) fn stream(&self, response: Response, request: &Request) -> BodyStream {
        let url = format!("{}/{}", self.source, request.path);
        let source = self.source.clone();
        let failed = move |error: reqwest::Error| {
            let classified = classify(&error, &url, Phase::Body, false);
            Failure {
                source: source.clone(),
                label: classified.label,
                detail: classified.words,
                retry_after: None,
            }
        };
        let limits = self.client.limits();
        let (idle, low_speed) = (limits.idle, limits.low_speed);
        let complaints = Complaints {
            still: self.slow(request, &format!("no bytes for {idle:?}")),
            crawls: self.slow(request, &format!("less than {low_speed} bytes in {idle:?}")),
            too_large: self.too_large(request),
        };
        let limits = BodyLimits {
            idle,
            low_speed,
            bytes: request.expect.limit(),
        };
        let mut received = Received {
            observer: self.observer.clone(),
            source: self.source.clone(),
            bytes: 0,
        };
        let pieces = response.bytes_stream().map(move |piece| {
            let piece = piece.map_err(&failed)?;
            received.note(&piece);
            Ok(piece)
        });
        limited(pieces, limits, complaints)
    }

    fn failed(&self, request: &Request, error: &reqwest::Error) -> Failure {
        let url = format!("{}/{}", self.source, request.path);
        // After a redirect, the URL that failed is another one.
        let through_proxy = error.url().is_some_and(|url| self.client.uses_proxy(url));
        let classified = classify(error, &url, Phase::Head, through_proxy);
        self.failure(classified.label, classified.words)
    }

    pub(crate) fn refused(&self, request: &Request, refusal: &Refusal) -> Failure {
        self.failure(
            refusal.label,
            format!(
                "reading {}/{}: {}",
                self.source, request.path, refusal.reason
            ),
        )
    }

    fn slow(&self, request: &Request, words: &str) -> Failure {
        self.failure(
            Label::GoproxySlow,
            format!("Get \"{}/{}\": {words}", self.source, request.path),
        )
    }

    fn too_large(&self, request: &Request) -> Failure {
        let label = if request.expect == Expect::Zip {
            Label::ModZipTooLarge
        } else {
            Label::GoproxyCorrupt
        };
        let limit = request.expect.limit() >> 20;
        self.failure(
            label,
            format!(
                "reading {}/{}: the body is longer than the limit of {limit} MiB",
                self.source, request.path
            ),
        )
    }

    fn failure(&self, label: Label, detail: String) -> Failure {
        Failure {
            source: self.source.clone(),
            label,
            detail,
            retry_after: None,
        }
    }
}

/// Counts what comes of a body, and tells of it when no more comes.
struct Received {
    observer: Arc<dyn Observer>,
    source: String,
    bytes: u64,
}

impl Received {
    fn note(&mut self, piece: &Bytes) {
        self.bytes += piece.len() as u64;
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.observer.received(&self.source, self.bytes);
    }
}

fn is_stale_connection(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error
            .to_string()
            .contains("connection closed before message completed")
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A redirect that the HTTP client does not even consider is handed on as if it were an answer.
fn refused_redirect(response: &Response) -> Option<Refusal> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = text_header(response.headers(), &header::LOCATION)?;
    let target = response.url().join(&location).ok()?;
    let scheme = target.scheme();
    (!matches!(scheme, "http" | "https")).then(|| Refusal {
        label: Label::GoproxyCorrupt,
        reason: format!("redirected to a {scheme}: URL, which is refused"),
    })
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(
        date.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

fn status_label(status: StatusCode) -> Label {
    match status.as_u16() {
        401 => Label::Goproxy401,
        403 => Label::Goproxy403,
        407 => Label::Httpproxy407,
        429 => Label::Goproxy429,
        400..500 => Label::Goproxy4xx,
        500.. => Label::Goproxy5xx,
        _ => Label::GoproxyCorrupt,
    }
}

/// The text of an error answer, cut to what the `go` command would show of it.
async fn read_reason(response: Response) -> Option<String> {
    let is_text = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("text/plain"));
    if !is_text {
        return None;
    }
    let mut text = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(Ok(piece)) = stream.next().await {
        text.extend_from_slice(&piece);
        if text.len() >= REASON_BYTES {
            text.truncate(REASON_BYTES);
            break;
        }
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            line.chars()
                .filter(|c| !c.is_control())
                .collect::<String>()
                .trim()
                .to_owned()
        })
        .filter(|line| !line.is_empty())
        .take(REASON_LINES)
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

pub(crate) fn text_header(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_status_of_trouble_has_a_label_that_means_absence() {
        for code in (100..=599).filter(|code| !matches!(code, 404 | 410)) {
            let status = StatusCode::from_u16(code).unwrap();
            assert!(!status_label(status).means_absent(), "{status}");
        }
    }
}
