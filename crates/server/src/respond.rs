//! From what the depot gave to an HTTP response: headers, ranges, revalidation.

use std::sync::Arc;

use bytes::Bytes;
use depot::{Degraded, GrowingFile};
use http::header::{
    ACCEPT_RANGES, AGE, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    RETRY_AFTER, WARNING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use store::StoredFile;

use crate::body::{Body, Segment};
use crate::conditional;
use crate::error::Refusal;
use crate::metrics::{Endpoint, Served};
use crate::range::{self, Ranges};

/// For files that never change: a year, and no need to ask again (RFC 8246).
pub(crate) const FOR_EVER: HeaderValue =
    HeaderValue::from_static("public, max-age=31536000, immutable");
/// How an answer came about (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// Why an answer is old, in a word that scripts can look for.
const STALE: HeaderName = HeaderName::from_static("x-modkeep-stale");

/// In which ways this server serves with losses.
pub(crate) const DEGRADED: HeaderName = HeaderName::from_static("x-modkeep-degraded");

/// A response, and what to count it as.
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    pub(crate) served: Served,
    /// Said in the log of what did not go as it should.
    pub(crate) reason: Option<String>,
}

/// What a client may do with a body, and how long.
pub(crate) struct Presentation {
    pub(crate) etag: Option<HeaderValue>,
    pub(crate) cache_control: HeaderValue,
    pub(crate) served: Served,
}

/// The part of a request that decides how a body is presented.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
}

impl Asked<'_> {
    fn is_head(self) -> bool {
        self.method == Method::HEAD
    }

    /// Only GET has ranges (RFC 9110, 14.2).
    fn ranges(self, etag: Option<&HeaderValue>, len: u64) -> Ranges {
        let header = self
            .headers
            .get(http::header::RANGE)
            .and_then(|value| value.to_str().ok());
        let etag = etag.and_then(|etag| etag.to_str().ok());
        if header.is_none() || self.is_head() || !conditional::range_holds(self.headers, etag) {
            return Ranges::Whole;
        }
        range::parse(header, len)
    }

    fn knows(self, etag: Option<&HeaderValue>) -> bool {
        etag.and_then(|etag| etag.to_str().ok())
            .is_some_and(|etag| conditional::is_known_to_client(self.headers, etag))
    }
}

/// Media types as other GOPROXY servers use them (protocol: endpoints).
pub(crate) fn content_type(endpoint: Endpoint, sumdb_path: &str) -> HeaderValue {
    HeaderValue::from_static(match endpoint {
        Endpoint::Info | Endpoint::Latest | Endpoint::Query => "application/json",
        Endpoint::Zip => "application/zip",
        Endpoint::Sumdb if sumdb_path.contains("/tile/") && !sumdb_path.contains("/data/") => {
            "application/octet-stream"
        }
        Endpoint::List
        | Endpoint::Mod
        | Endpoint::Sumdb
        | Endpoint::Operations
        | Endpoint::Unknown => "text/plain; charset=UTF-8",
    })
}

/// Bytes in memory.
pub(crate) fn bytes(
    asked: Asked<'_>,
    body: &Bytes,
    content_type: HeaderValue,
    how: Presentation,
) -> Answer {
    if asked.knows(how.etag.as_ref()) {
        return not_modified(how);
    }
    let len = body.len() as u64;
    let parts = match asked.ranges(how.etag.as_ref(), len) {
        Ranges::Whole => {
            return whole(
                asked,
                Body::Full(body.clone()),
                Some(len),
                content_type,
                how,
            );
        }
        Ranges::Unsatisfiable => return unsatisfiable(len, how.served),
        Ranges::Parts(parts) => parts,
    };
    let slice = |(start, end): (u64, u64)| {
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(body.len());
        body.slice(position(start)..position(end))
    };
    if let [part] = parts[..] {
        return partial(Body::Full(slice(part)), part, len, content_type, how);
    }
    let multipart = Multipart::new(&parts, len, &content_type);
    let mut joined = Vec::new();
    for (head, part) in multipart.heads.iter().zip(&parts) {
        joined.extend_from_slice(head);
        joined.extend_from_slice(&slice(*part));
    }
    joined.extend_from_slice(&multipart.end);
    multipart.respond(Body::Full(joined.into()), how)
}

/// A file of the store.
pub(crate) fn stored(
    asked: Asked<'_>,
    file: &StoredFile,
    content_type: HeaderValue,
    how: Presentation,
) -> Answer {
    if asked.knows(how.etag.as_ref()) {
        return not_modified(how);
    }
    let len = file.len();
    let parts = match asked.ranges(how.etag.as_ref(), len) {
        Ranges::Whole => {
            return whole(
                asked,
                Body::part(file.file().clone(), 0, len),
                Some(len),
                content_type,
                how,
            );
        }
        Ranges::Unsatisfiable => return unsatisfiable(len, how.served),
        Ranges::Parts(parts) => parts,
    };
    if let [(start, end)] = parts[..] {
        let body = Body::part(file.file().clone(), start, end);
        return partial(body, (start, end), len, content_type, how);
    }
    let multipart = Multipart::new(&parts, len, &content_type);
    let body = Body::segments(file.file().clone(), multipart.segments(&parts));
    multipart.respond(body, how)
}

/// A file that is being fetched. It has no tag yet, so that nobody can hold a part of it.
pub(crate) fn growing(
    asked: Asked<'_>,
    file: GrowingFile,
    content_type: HeaderValue,
    how: Presentation,
) -> Answer {
    let Some(len) = file.known_len() else {
        return whole(asked, Body::growing(file, 0, None), None, content_type, how);
    };
    match asked.ranges(None, len) {
        Ranges::Unsatisfiable => unsatisfiable(len, how.served),
        Ranges::Parts(parts) if parts.len() == 1 => {
            let (start, end) = parts[0];
            partial(
                Body::growing(file, start, Some(end)),
                (start, end),
                len,
                content_type,
                how,
            )
        }
        // Several parts of something that is not there yet: the whole is a valid answer, too.
        Ranges::Whole | Ranges::Parts(_) => whole(
            asked,
            Body::growing(file, 0, Some(len)),
            Some(len),
            content_type,
            how,
        ),
    }
}

/// An answer that is none.
pub(crate) fn refusal(asked: Asked<'_>, refusal: Refusal, absent_for: u64) -> Answer {
    let served = match refusal.status.as_u16() {
        404 | 410 => Served::Absent,
        401 | 403 => Served::Denied,
        400..500 => Served::BadRequest,
        _ => Served::Trouble,
    };
    let text = Bytes::from(format!("{}\n", refusal.line));
    let len = text.len() as u64;
    let body = if asked.is_head() {
        Body::Empty
    } else {
        Body::Full(text)
    };
    let mut response = Response::new(body);
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONTENT_LENGTH, len.into());
    let cache_control = if refusal.is_absence() {
        number_header("public, max-age=", absent_for)
    } else {
        HeaderValue::from_static("no-store")
    };
    headers.insert(CACHE_CONTROL, cache_control);
    if let Some(allow) = refusal.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(retry_after) = refusal.retry_after {
        headers.insert(RETRY_AFTER, retry_after.as_secs().max(1).into());
    }
    Answer {
        response,
        served,
        reason: Some(refusal.line),
    }
}

/// The losses with which an answer is given; `None` when all is well.
pub(crate) fn losses(modes: impl Iterator<Item = Degraded>) -> Option<HeaderValue> {
    let names: Vec<&str> = modes.map(Degraded::as_str).collect();
    (!names.is_empty()).then(|| text_header(&names.join(", ")))
}

/// Marks an answer as older than it should be.
pub(crate) fn mark_stale(answer: &mut Answer, age_seconds: Option<u64>, reason: &str) {
    let headers = answer.response.headers_mut();
    if let Some(seconds) = age_seconds {
        headers.insert(AGE, seconds.into());
    }
    headers.insert(
        WARNING,
        HeaderValue::from_static("110 modkeep \"Response is Stale\""),
    );
    let reason: String = reason
        .chars()
        .filter(|c| c.is_ascii() && !c.is_ascii_control())
        .take(300)
        .collect();
    headers.insert(
        STALE,
        HeaderValue::try_from(reason).unwrap_or(HeaderValue::from_static("refresh-failed")),
    );
    headers.insert(
        CACHE_STATUS,
        HeaderValue::from_static("modkeep; hit; detail=stale"),
    );
    answer.served = Served::Stale;
}

fn whole(
    asked: Asked<'_>,
    body: Body,
    len: Option<u64>,
    content_type: HeaderValue,
    how: Presentation,
) -> Answer {
    let body = if asked.is_head() { Body::Empty } else { body };
    let mut answer = present(StatusCode::OK, body, content_type, how);
    let headers = answer.response.headers_mut();
    if let Some(len) = len {
        headers.insert(CONTENT_LENGTH, len.into());
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    answer
}

fn partial(
    body: Body,
    (start, end): (u64, u64),
    len: u64,
    content_type: HeaderValue,
    how: Presentation,
) -> Answer {
    let mut answer = present(StatusCode::PARTIAL_CONTENT, body, content_type, how);
    let headers = answer.response.headers_mut();
    headers.insert(CONTENT_LENGTH, (end - start).into());
    headers.insert(
        CONTENT_RANGE,
        text_header(&format!("bytes {start}-{}/{len}", end - 1)),
    );
    answer
}

fn unsatisfiable(len: u64, served: Served) -> Answer {
    let text = Bytes::from(format!(
        "bad request: the range lies beyond the end; there are {len} bytes\n"
    ));
    let mut response = Response::new(Body::Full(text.clone()));
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_RANGE, text_header(&format!("bytes */{len}")));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONTENT_LENGTH, text.len().into());
    Answer {
        response,
        served,
        reason: None,
    }
}

fn not_modified(how: Presentation) -> Answer {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let served = how.served;
    insert_caching(response.headers_mut(), how);
    Answer {
        response,
        served,
        reason: None,
    }
}

fn present(status: StatusCode, body: Body, content_type: HeaderValue, how: Presentation) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(10);
    headers.insert(CONTENT_TYPE, content_type);
    let served = how.served;
    insert_caching(headers, how);
    Answer {
        response,
        served,
        reason: None,
    }
}

fn insert_caching(headers: &mut HeaderMap, how: Presentation) {
    headers.insert(CACHE_CONTROL, how.cache_control);
    if let Some(etag) = how.etag {
        headers.insert(ETAG, etag);
    }
    headers.insert(
        CACHE_STATUS,
        HeaderValue::from_static(match how.served {
            Served::Miss => "modkeep; fwd=miss",
            _ => "modkeep; hit",
        }),
    );
}

/// A header made of a fixed text and a number.
pub(crate) fn number_header(text: &str, number: u64) -> HeaderValue {
    text_header(&format!("{text}{number}"))
}

fn text_header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// The tag as a header value.
pub(crate) fn etag_header(etag: &Arc<str>) -> Option<HeaderValue> {
    HeaderValue::from_str(etag).ok()
}

/// What stands between the parts of a `multipart/byteranges` body (RFC 9110, 14.6).
struct Multipart {
    boundary: String,
    heads: Vec<Bytes>,
    end: Bytes,
    parts_len: u64,
}

impl Multipart {
    fn new(parts: &[(u64, u64)], len: u64, content_type: &HeaderValue) -> Self {
        let boundary = format!(
            "modkeep-{:016x}{:016x}",
            fastrand::u64(..),
            fastrand::u64(..)
        );
        let content_type = content_type.to_str().unwrap_or("application/octet-stream");
        let head = |(position, (start, end)): (usize, &(u64, u64))| {
            let line_break = if position == 0 { "" } else { "\r\n" };
            Bytes::from(format!(
                "{line_break}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes {start}-{}/{len}\r\n\r\n",
                end - 1
            ))
        };
        let heads = parts.iter().enumerate().map(head).collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        Self {
            boundary,
            heads,
            end,
            parts_len: parts.iter().map(|(start, end)| end - start).sum(),
        }
    }

    fn segments(&self, parts: &[(u64, u64)]) -> Vec<Segment> {
        let mut segments = Vec::new();
        for (head, (start, end)) in self.heads.iter().zip(parts) {
            segments.push(Segment::Bytes(head.clone()));
            segments.push(Segment::Part(*start, *end));
        }
        segments.push(Segment::Bytes(self.end.clone()));
        segments
    }

    fn respond(&self, body: Body, how: Presentation) -> Answer {
        let content_type =
            text_header(&format!("multipart/byteranges; boundary={}", self.boundary));
        let mut answer = present(StatusCode::PARTIAL_CONTENT, body, content_type, how);
        let len = self.heads.iter().map(|head| head.len() as u64).sum::<u64>()
            + self.end.len() as u64
            + self.parts_len;
        answer
            .response
            .headers_mut()
            .insert(CONTENT_LENGTH, len.into());
        answer
    }
}
