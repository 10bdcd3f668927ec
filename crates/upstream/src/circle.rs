//! Whether a question would come back to who asks it.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
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
        let question = &question;
        let mut asked: FuturesUnordered<_> = (self.inner.http_upstreams())
            .filter(|(_, http)| http.may_be_instance())
            .map(|(_, http)| tokio::time::timeout(PATIENCE, http.leads_back(question)))
            .collect();
        while let Some(said) = asked.next().await {
            if let Ok(Some(failure)) = said {
                return Some(failure);
            }
        }
        None
    }
}

impl HttpUpstream {
    async fn leads_back(&self, question: &Request) -> Option<Failure> {
        let more = HeaderMap::from_iter([(NO_FETCH, HeaderValue::from_static("true"))]);
        let response = self.send(question, more).await.ok()?;
        match self.accept(response, question, StatusCode::OK).await {
            Err(NoAnswer::Circle(failure)) => Some(failure),
            _ => None,
        }
    }
}
