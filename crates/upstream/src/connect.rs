//! How long a connection may take to come about.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

use crate::guard::GuardedResolver;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The limit is doubled at most so often.
const MOST_DOUBLINGS: u32 = 3;

/// Limits how long connections to one upstream may take. Each one that did not come about in time doubles the limit for
/// the next, so that a server at the end of a slow line can be reached at all; the first that comes about resets it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectLimit {
    least: Duration,
    expired: Arc<AtomicU32>,
    resolver: GuardedResolver,
}

/// A connection did not come about in time.
#[derive(Debug)]
pub(crate) struct ConnectExpired;

impl fmt::Display for ConnectExpired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("i/o timeout")
    }
}

impl std::error::Error for ConnectExpired {}

impl ConnectLimit {
    pub(crate) fn new(least: Duration, resolver: GuardedResolver) -> Self {
        Self {
            least,
            expired: Arc::default(),
            resolver,
        }
    }

    fn current(&self) -> Duration {
        let doublings = self.expired.load(Ordering::Relaxed).min(MOST_DOUBLINGS);
        self.least.saturating_mul(1 << doublings)
    }

    async fn apply<T>(
        self,
        connecting: impl Future<Output = Result<T, BoxError>>,
    ) -> Result<T, BoxError> {
        let limit = self.current();
        let connecting = async {
            let Ok(outcome) = tokio::time::timeout(limit, connecting).await else {
                self.expired.fetch_add(1, Ordering::Relaxed);
                return Err(ConnectExpired.into());
            };
            if outcome.is_ok() {
                self.expired.store(0, Ordering::Relaxed);
            }
            outcome
        };
        self.resolver.watch(connecting).await
    }
}

impl<S> Layer<S> for ConnectLimit {
    type Service = LimitedConnector<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitedConnector {
            inner,
            limit: self.clone(),
        }
    }
}

/// A connector that gives up in time.
#[derive(Clone, Debug)]
pub(crate) struct LimitedConnector<S> {
    inner: S,
    limit: ConnectLimit,
}

impl<S, R> Service<R> for LimitedConnector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        Box::pin(self.limit.clone().apply(self.inner.call(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_limit_grows_until_a_connection_comes_about() {
        let limit = ConnectLimit::new(
            Duration::from_secs(1),
            GuardedResolver::of_system([].into()),
        );
        let mut took = Vec::new();
        for _ in 0..6 {
            let began = tokio::time::Instant::now();
            let never = std::future::pending::<Result<(), BoxError>>();
            let error = limit.clone().apply(never).await.unwrap_err();
            assert!(error.is::<ConnectExpired>());
            took.push(began.elapsed().as_secs());
        }
        assert_eq!(took, [1, 2, 4, 8, 8, 8]);
        let refused = async { Err::<(), BoxError>("refused".into()) };
        limit.clone().apply(refused).await.unwrap_err();
        assert_eq!(limit.current(), Duration::from_secs(8));
        limit.clone().apply(async { Ok(()) }).await.unwrap();
        assert_eq!(limit.current(), Duration::from_secs(1));
    }
}
