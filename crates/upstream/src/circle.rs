//! Whether a question would come back to who asks it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http::{HttpUpstream, NoAnswer};
use crate::{Chain, Expect, Failure, Request, Via};

/// For an upstream to say that it would ask in a circle. One that is silent for so long is not asked by it, either.
const PATIENCE: Duration = Duration::from_secs(2);
/// With it nothing is fetched for a request (GOPROXY protocol).
const NO_FETCH: HeaderName = HeaderName::from_static("disable-module-fetch");

impl Chain {
    /// Asks the upstreams that may be instances of this program whether the answer at a path is waited for by one that
    /// the request has passed through. Nothing is fetched for that: what is under way there is asked about in turn.
    /// Gives back who says so.
    pub async fn leads_back(&self, path: &str, via: &Via) -> Option<Failure> {
        self.circle(path, via, |http, question| {
            async move {
                if !http.may_be_instance() {
                    return None;
                }
                http.leads_back(question).await
            }
            .boxed()
        })
        .await
    }

    /// Whether an upstream that relays a checksum database would ask for it where this request came from. Look-ups are
    /// shared by all who wait for them and do not know who they are, so it is found out before the first of them.
    pub async fn sumdb_leads_back(&self, name: &str, via: &Via) -> bool {
        let path = format!("sumdb/{name}/supported");
        let found = self.circle(&path, via, |http, question| {
            async move { http.fetch_small(question).await.err()?.circle() }.boxed()
        });
        found.await.is_some()
    }

    /// Asks all upstreams at once, and gives back what the first says that would ask in a circle.
    async fn circle(
        &self,
        path: &str,
        via: &Via,
        ask: impl for<'a> Fn(&'a HttpUpstream, &'a Request) -> BoxFuture<'a, Option<Failure>>,
    ) -> Option<Failure> {
        if self.is_quiet() {
            return None;
        }
        let question = Request {
            path: path.to_owned(),
            expect: Expect::Opaque,
            revalidate: None,
            without: Vec::new(),
            traceparent: None,
            via: via.clone(),
        };
        let mut asked: FuturesUnordered<_> = (self.inner.http_upstreams())
            .map(|(_, http)| tokio::time::timeout(PATIENCE, ask(http, &question)))
            .collect();
        while let Some(said) = asked.next().await {
            if let Ok(Some(failure)) = said {
                return Some(failure);
            }
        }
        None
    }
}

impl NoAnswer {
    fn circle(self) -> Option<Failure> {
        match self {
            Self::Circle(failure) => Some(failure),
            Self::Absent(_) | Self::NotServed | Self::Failed(_) => None,
        }
    }
}

impl HttpUpstream {
    async fn leads_back(&self, question: &Request) -> Option<Failure> {
        let more = HeaderMap::from_iter([(NO_FETCH, HeaderValue::from_static("true"))]);
        let response = self.send(question, more).await.ok()?;
        let accepted = self.accept(response, question, StatusCode::OK).await;
        accepted.err()?.circle()
    }
}
