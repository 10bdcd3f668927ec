//! The one place that turns what went wrong into an HTTP status and the line that `go` shows to its user.

use std::time::Duration;

use depot::{DepotError, PublishError};
use fault::Label;
use http::StatusCode;
use sumlog::{CosignatureError, SumlogError};
use upstream::Via;

use crate::own_log::HashError;
use crate::target::BadTarget;

/// An answer that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// `<class>: <what happened and at which hop>`.
    pub(crate) line: String,
    /// When to try again.
    pub(crate) retry_after: Option<Duration>,
    /// The `Allow` header of a 405.
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, line: impl Into<String>) -> Self {
        Self {
            status,
            line: line.into(),
            retry_after: None,
            allow: None,
        }
    }

    /// The request came through this server before.
    pub(crate) fn circle(via: &Via) -> Self {
        Self::new(
            StatusCode::LOOP_DETECTED,
            format!(
                "loop: this request came through this server before (by way of {via}); take one of them out of the other's chain of upstreams"
            ),
        )
    }

    pub(crate) fn bad_request(reason: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("bad request: {reason}"))
    }

    pub(crate) fn not_found(reason: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("not found: {reason}"))
    }

    /// Whether it says that something does not exist, so that caches may keep it for a while.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::GONE)
    }
}

impl From<BadTarget> for Refusal {
    fn from(bad: BadTarget) -> Self {
        match bad {
            BadTarget::Malformed(reason) => Self::bad_request(reason),
            BadTarget::Absent(reason) => Self::not_found(reason),
        }
    }
}

/// 404 and 410 only for what does not exist: they send `go` to the next entry of its own chain, so that trouble or a
/// denial in their guise would let it walk around this server.
impl From<DepotError> for Refusal {
    fn from(error: DepotError) -> Self {
        let line = error.to_string();
        match &error {
            DepotError::Absent { gone: true, .. } => Self::new(StatusCode::GONE, line),
            DepotError::Absent { gone: false, .. } | DepotError::NotCached { .. } => {
                Self::new(StatusCode::NOT_FOUND, line)
            }
            DepotError::FetchOff { .. } => Self::new(
                StatusCode::FORBIDDEN,
                format!("{}: {line}", Label::CfgGoproxyOff),
            ),
            DepotError::Private { .. } => {
                Self::new(StatusCode::FORBIDDEN, format!("forbidden: {line}"))
            }
            DepotError::DirectOff { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("cannot be asked: {line}"),
            ),
            DepotError::Circle(_) => Self::new(StatusCode::LOOP_DETECTED, line),
            DepotError::Upstream(failures)
                if failures
                    .iter()
                    .all(|failure| failure.label == Label::VcsGovcsDisallowed) =>
            {
                Self::new(StatusCode::FORBIDDEN, line)
            }
            DepotError::Upstream(failures) => {
                let retry_after = failures
                    .iter()
                    .filter_map(|failure| failure.retry_after)
                    .min();
                let status = if retry_after.is_some()
                    || failures
                        .iter()
                        .all(|failure| failure.label == Label::Goproxy429)
                    // Nobody upstream is at fault.
                    || failures
                        .iter()
                        .any(|failure| failure.label == Label::VcsGitMissing)
                {
                    StatusCode::SERVICE_UNAVAILABLE
                } else if failures.iter().all(upstream_is_slow) {
                    StatusCode::GATEWAY_TIMEOUT
                } else {
                    StatusCode::BAD_GATEWAY
                };
                Self {
                    retry_after,
                    ..Self::new(status, line)
                }
            }
            DepotError::Unverified { error, .. } | DepotError::Sumdb(error) => {
                // A database that does not know a version says nothing about the version: no absence.
                let status = if error.is_retryable() {
                    StatusCode::SERVICE_UNAVAILABLE
                } else {
                    StatusCode::BAD_GATEWAY
                };
                Self::new(status, line)
            }
            DepotError::Mismatch(_) => Self::new(StatusCode::BAD_GATEWAY, line),
            DepotError::Offline { .. } | DepotError::Store(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, line)
            }
            DepotError::Busy { retry_after, .. } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, line)
            },
            DepotError::Lost => Self::new(StatusCode::INTERNAL_SERVER_ERROR, line),
        }
    }
}

/// What is wrong with what was to be published is told to whoever publishes; nothing of it is absence.
impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let line = error.to_string();
        match error {
            PublishError::NotHere(_) => {
                Self::new(StatusCode::FORBIDDEN, format!("forbidden: {line}"))
            }
            PublishError::Unfit { .. } | PublishError::Cut(_) => Self::bad_request(line),
            PublishError::TooLarge { .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("bad request: {line}"),
            ),
            PublishError::Taken { .. } => {
                Self::new(StatusCode::CONFLICT, format!("conflict: {line}"))
            }
            PublishError::Depot(error) => error.into(),
        }
    }
}

/// The log's own trouble is never absence: a client would believe that the version does not exist.
impl From<SumlogError> for Refusal {
    fn from(error: SumlogError) -> Self {
        let line = error.to_string();
        if error.is_absence() {
            return Self::not_found(line);
        }
        if error.is_bad_request() {
            return Self::bad_request(line);
        }
        match error {
            SumlogError::Contradiction { .. } => Self::new(
                StatusCode::FORBIDDEN,
                format!("{}: {line}", Label::SumdbMismatch),
            ),
            SumlogError::Cosignature(CosignatureError::UnknownWitness(_)) => {
                Self::new(StatusCode::FORBIDDEN, format!("forbidden: {line}"))
            }
            SumlogError::Cosignature(CosignatureError::NotThisHead { .. }) => {
                Self::new(StatusCode::CONFLICT, format!("conflict: {line}"))
            }
            SumlogError::Cosignature(_) => Self::bad_request(line),
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, line),
        }
    }
}

impl From<HashError> for Refusal {
    fn from(error: HashError) -> Self {
        let line = error.to_string();
        match error {
            HashError::Depot(error) => error.into(),
            HashError::Unverified(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, line),
            HashError::Unknown(_) => Self::new(
                StatusCode::FORBIDDEN,
                format!("{}: {line}", Label::SumdbMismatch),
            ),
            HashError::Unusable(_) => Self::new(StatusCode::BAD_GATEWAY, line),
        }
    }
}

fn upstream_is_slow(failure: &upstream::Failure) -> bool {
    failure.is_timeout()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use upstream::Failure;

    use super::*;

    fn upstream_error(label: Label) -> DepotError {
        let failure = Failure {
            source: "https://proxy.example.com".into(),
            label,
            detail: "reading https://proxy.example.com/example.com/m/@v/list".into(),
            retry_after: None,
        };
        DepotError::Upstream(Arc::new([failure]))
    }

    #[test]
    fn no_failure_of_an_upstream_is_ever_taken_for_absence() {
        for label in Label::ALL {
            // The operator's own rule, not a failure of anybody's.
            if *label == Label::VcsGovcsDisallowed {
                continue;
            }
            let refusal = Refusal::from(upstream_error(*label));
            assert!(
                refusal.status.is_server_error(),
                "{label}: {}",
                refusal.status
            );
            assert!(
                refusal.line.starts_with(label.as_str()),
                "{label}: {}",
                refusal.line
            );
        }
    }

    #[test]
    fn each_cause_has_its_status() {
        let absent = |gone| DepotError::Absent {
            gone,
            reason: "example.com/m@v1.0.0: unknown revision v1.0.0".into(),
        };
        let what: Arc<str> = "example.com/m@v1.0.0".into();
        let store = |kind: std::io::ErrorKind| {
            DepotError::from(store::StoreError::Io {
                action: "write",
                path: "x".into(),
                source: kind.into(),
            })
        };
        let table = [
            (absent(false), 404, "not found: example.com/m@v1.0.0"),
            (absent(true), 410, "not found: example.com/m@v1.0.0"),
            (
                DepotError::NotCached { what: what.clone() },
                404,
                "not found: example.com/m@v1.0.0",
            ),
            (
                DepotError::FetchOff { what: what.clone() },
                403,
                "cfg-goproxy-off: ",
            ),
            (
                DepotError::DirectOff { what, why: "" },
                503,
                "cannot be asked: ",
            ),
            (upstream_error(Label::Goproxy5xx), 502, "goproxy-5xx: "),
            (upstream_error(Label::GoproxySlow), 504, "goproxy-slow: "),
            (upstream_error(Label::TcpTimeout), 504, "tcp-timeout: "),
            (upstream_error(Label::Goproxy429), 503, "goproxy-429: "),
            (
                upstream_error(Label::VcsGitMissing),
                503,
                "vcs-git-missing: ",
            ),
            (
                upstream_error(Label::VcsGovcsDisallowed),
                403,
                "vcs-govcs-disallowed: ",
            ),
            (store(std::io::ErrorKind::StorageFull), 503, "disk-full: "),
            (
                store(std::io::ErrorKind::ReadOnlyFilesystem),
                503,
                "disk-readonly: ",
            ),
            (
                DepotError::Busy {
                    waiting: 9,
                    retry_after: Duration::from_secs(2),
                },
                503,
                "busy: 9 fetches wait",
            ),
            (DepotError::Lost, 500, "internal: "),
        ];
        for (error, status, class) in table {
            let refusal = Refusal::from(error.clone());
            assert_eq!(refusal.status.as_u16(), status, "{error}");
            assert!(refusal.line.starts_with(class), "{}", refusal.line);
        }
    }

    #[test]
    fn an_upstream_that_asks_for_time_is_passed_on() {
        let DepotError::Upstream(failures) = upstream_error(Label::Goproxy5xx) else {
            unreachable!()
        };
        let failure = Failure {
            retry_after: Some(Duration::from_secs(7)),
            ..failures[0].clone()
        };
        let refusal = Refusal::from(DepotError::Upstream(Arc::new([failure])));
        assert_eq!(
            (refusal.status.as_u16(), refusal.retry_after),
            (503, Some(Duration::from_secs(7)))
        );
    }
}
