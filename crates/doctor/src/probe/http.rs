//! Request and answer over a connection that stands, HTTP/1.1 or HTTP/2.

use std::io;

use ::http::{Request, Response};
use bytes::Bytes as Chunk;
use fault::Label;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;
use url::Url;

use super::Net;
use super::report::Failure;
use super::tls::Bytes;

/// The way to a server.
pub(super) struct Way {
    pub(super) stream: Box<dyn Bytes>,
    /// Requests name the whole URL: plain HTTP through an HTTP proxy.
    pub(super) absolute: Option<Url>,
    pub(super) is_h2: bool,
}

pub(super) async fn send(
    net: &Net,
    way: Way,
    request: Request<Empty<Chunk>>,
) -> Result<Response<Incoming>, Failure> {
    let limit = net.limits.first_byte.min(net.left());
    let through_proxy = way.absolute.is_some();
    let io = TokioIo::new(way.stream);
    let exchange = async {
        if way.is_h2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    match timeout(limit, exchange).await {
        Ok(Ok(response)) if through_proxy && response.status() == 407 => Err(Failure::new(
            Label::Httpproxy407,
            "Proxy Authentication Required",
        )),
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(http_failure(&error, false)),
        Err(_) => Err(Failure::new(
            Label::GoproxySlow,
            format!("no answer {:.1} s after the request", limit.as_secs_f64()),
        )),
    }
}

/// What came in of a body.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// There is more than is kept.
    pub(super) is_cut: bool,
    /// The time was over while it came in.
    pub(super) is_slow: bool,
    /// Why it ended too early.
    pub(super) broken: Option<Failure>,
}

/// So much of the run is left when a body that comes in slowly is read no further.
const RESERVE: f64 = 0.1;

/// Reads a body to its end or to the limit. Silence in the middle counts as an end; the end of the time does not.
pub(super) async fn read(net: &Net, mut body: Incoming, keep: usize) -> Body {
    let mut kept = Vec::new();
    let ended = |bytes, broken| Body {
        bytes,
        broken,
        ..Body::default()
    };
    loop {
        let left = net.left().saturating_sub(net.limits.total.mul_f64(RESERVE));
        let silence = net.limits.silence.min(left);
        match timeout(silence, body.frame()).await {
            Ok(None) => return ended(kept, None),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    let room = keep.saturating_sub(kept.len());
                    kept.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                    if data.len() > room {
                        return Body {
                            bytes: kept,
                            is_cut: true,
                            ..Body::default()
                        };
                    }
                }
            }
            Ok(Some(Err(error))) => return ended(kept, Some(http_failure(&error, true))),
            Err(_) if silence < net.limits.silence && !kept.is_empty() => {
                return Body {
                    bytes: kept,
                    is_cut: true,
                    is_slow: true,
                    broken: None,
                };
            }
            Err(_) => {
                let words = format!(
                    "no byte for {:.1} s after {} bytes",
                    silence.as_secs_f64(),
                    kept.len()
                );
                return ended(kept, Some(Failure::new(Label::GoproxySlow, words)));
            }
        }
    }
}

fn http_failure(error: &hyper::Error, in_body: bool) -> Failure {
    let causes: Vec<String> =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| {
            error.source()
        })
        .map(ToString::to_string)
        .collect();
    let text = causes.join(": ");
    let lower = text.to_lowercase();
    let reset = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    })
    .filter_map(|error| error.downcast_ref::<io::Error>())
    .any(|error| error.kind() == io::ErrorKind::ConnectionReset);
    let (label, words) = if lower.contains("goaway") || lower.contains("go away") {
        (
            Label::Http2Goaway,
            format!("http2: server sent GOAWAY ({text})"),
        )
    } else if lower.contains("stream error") {
        (Label::Http2StreamError, text)
    } else if in_body {
        (Label::GoproxyTruncated, format!("unexpected EOF ({text})"))
    } else if reset {
        (
            Label::TcpReset,
            "read tcp: connection reset by peer".to_owned(),
        )
    } else if error.is_parse() {
        (
            Label::GoproxyCorrupt,
            format!("malformed HTTP response ({text})"),
        )
    } else {
        (Label::TcpReset, format!("EOF ({text})"))
    };
    Failure::new(label, words)
}
