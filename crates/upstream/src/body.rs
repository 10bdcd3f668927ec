//! Bodies that stand still, crawl or do not end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{Stream, unfold};
use tokio::time::Instant;

use crate::{BodyStream, Failure};

/// What a body may take.
#[derive(Clone, Debug)]
pub(crate) struct BodyLimits {
    /// Between two pieces; also the length of the window in which the speed is measured.
    pub(crate) idle: Duration,
    /// The least number of bytes in each window.
    pub(crate) low_speed: u64,
    /// The most bytes in all.
    pub(crate) bytes: u64,
}

/// What is said when a limit is reached.
#[derive(Clone, Debug)]
pub(crate) struct Complaints {
    pub(crate) still: Failure,
    pub(crate) crawls: Failure,
    pub(crate) too_large: Failure,
}

/// `pieces`, ended by an error when they stop coming, come too slowly, or are more than anything that can be meant.
pub(crate) fn limited(
    pieces: impl Stream<Item = Result<Bytes, Failure>> + Send + 'static,
    limits: BodyLimits,
    complaints: Complaints,
) -> BodyStream {
    struct Running<S> {
        pieces: std::pin::Pin<Box<S>>,
        left: u64,
        /// How long the window has lasted.
        waited: Duration,
        in_window: u64,
    }
    let running = Running {
        pieces: Box::pin(pieces),
        left: limits.bytes,
        waited: Duration::ZERO,
        in_window: 0,
    };
    Box::pin(unfold(Some(running), move |running| {
        let (limits, complaints) = (limits.clone(), complaints.clone());
        async move {
            let mut running = running?;
            let asked = Instant::now();
            let piece = match tokio::time::timeout(limits.idle, running.pieces.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(failure))) => return Some((Err(failure), None)),
                Err(_) => return Some((Err(complaints.still), None)),
            };
            let len = piece.len() as u64;
            let Some(left) = running.left.checked_sub(len) else {
                return Some((Err(complaints.too_large), None));
            };
            running.left = left;
            running.in_window += len;
            let now = Instant::now();
            // Time in which nobody asked for more is not the upstream's.
            running.waited += now.saturating_duration_since(asked);
            if running.waited >= limits.idle {
                if running.in_window < limits.low_speed {
                    return Some((Err(complaints.crawls), None));
                }
                running.waited = Duration::ZERO;
                running.in_window = 0;
            }
            Some((Ok(piece), Some(running)))
        }
    }))
}

#[cfg(test)]
mod tests {
    use fault::Label;

    use super::*;

    const LIMITS: BodyLimits = BodyLimits {
        idle: Duration::from_secs(10),
        low_speed: 1000,
        bytes: 1 << 20,
    };

    fn complaint(detail: &str) -> Failure {
        Failure {
            source: "https://proxy.example.com".into(),
            label: Label::GoproxySlow,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// So many pieces of this size, each after a pause; then nothing.
    async fn end_of(pieces: usize, size: usize, pause: Duration, limits: BodyLimits) -> String {
        let source = unfold(0, move |n| async move {
            tokio::time::sleep(pause).await;
            (n < pieces).then(|| (Ok(Bytes::from(vec![0; size])), n + 1))
        });
        let complaints = Complaints {
            still: complaint("still"),
            crawls: complaint("crawls"),
            too_large: complaint("too large"),
        };
        let mut body = limited(source, limits, complaints);
        let mut bytes = 0;
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => bytes += piece.len(),
                Err(failure) => return failure.detail,
            }
        }
        bytes.to_string()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_ends_as_it_should_or_with_the_reason() {
        let second = Duration::from_secs(1);
        assert_eq!(end_of(100, 200, second, LIMITS).await, "20000");
        assert_eq!(end_of(100, 50, second, LIMITS).await, "crawls");
        assert_eq!(end_of(5, 50, second, LIMITS).await, "250");
        assert_eq!(end_of(5, 5000, second * 11, LIMITS).await, "still");
        assert_eq!(end_of(30, 50_000, second, LIMITS).await, "too large");
    }
}
