//! What came of a request: which way it went, how long each phase took, and the answer or the failure.

use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, header};
use fault::Label;
use goenv::redact::RedactedUrl;
use url::Url;

use super::credentials::Login;
use super::report::{Failure, Phases};
use super::tls::certificate::Summary;

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The URL asked for in the end, without secrets.
    pub(crate) url: String,
    pub(crate) phases: Phases,
    pub(crate) result: Result<Answer, Failure>,
    /// Which way it went, for reading: `direct`, or the proxy.
    pub(crate) via: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) certificate: Option<Summary>,
    /// Hosts that redirects led to.
    pub(crate) redirects: Vec<String>,
    /// Connections are made with segments so small that they pass any link.
    pub(super) small_segments: bool,
}

/// An answer with any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body as far as it is kept went past the limit.
    pub(crate) is_cut: bool,
    /// True for HTTP/2.
    pub(crate) is_h2: bool,
    /// What was sent to log in.
    pub(crate) login: Option<Login>,
    /// Why a program of GOAUTH brought nothing, where the server wanted credentials.
    pub(crate) goauth: Option<String>,
    /// The time was over while the body came in.
    pub(crate) is_slow: bool,
    /// Why the body ended too early.
    pub(crate) broken: Option<Failure>,
    /// Local time when the head was there.
    pub(crate) at: SystemTime,
}

impl Answer {
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_html(&self) -> bool {
        let typed = self
            .header(header::CONTENT_TYPE)
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"));
        let start: String =
            String::from_utf8_lossy(self.body.get(..64.min(self.body.len())).unwrap_or_default())
                .trim_start()
                .to_ascii_lowercase();
        typed || start.starts_with("<!doctype html") || start.starts_with("<html")
    }

    /// The first line of a plain text body.
    pub(crate) fn first_line(&self) -> Option<String> {
        if self.is_html() {
            return None;
        }
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text
            .lines()
            .next()?
            .chars()
            .filter(|c| !c.is_control())
            .take(300)
            .collect();
        Some(line).filter(|line| !line.is_empty())
    }

    /// Why it is no answer, in the words that `go` has for it (cmd/go/internal/web, `HTTPError`).
    pub(crate) fn failed(&self, label: Label, url: &str) -> Failure {
        let line = self.first_line().unwrap_or_default();
        let status = self.status;
        Failure::new(
            label,
            format!("reading {url}: {status}\n\tserver response: {line}"),
        )
    }

    /// How far the server's clock is ahead of the local one, in seconds; negative when it is behind.
    pub(crate) fn clock_offset(&self, now: SystemTime) -> Option<i64> {
        let date = httpdate::parse_http_date(self.header(header::DATE)?).ok()?;
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Some(match date.duration_since(now) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        })
    }
}

/// A URL as it may be shown.
pub(super) fn shown(url: &Url) -> String {
    RedactedUrl::new(url.clone()).to_string()
}

/// More of a phase that may come more than once.
pub(super) fn add(phase: &mut Option<Duration>, time: Duration) {
    *phase = Some(phase.unwrap_or_default() + time);
}
