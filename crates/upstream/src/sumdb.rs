//! The way to a checksum database: through an upstream that relays it, else straight to its server.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use crate::chain::Upstream;
use crate::http::{HttpUpstream, NoAnswer};
use crate::{Chain, ChainError, Expect, Request, Small};

/// How long an upstream's word that it relays a database, or does not, is believed.
const BELIEVED: Duration = Duration::from_mins(5);

/// Which upstream relays which database, as far as they were asked.
#[derive(Debug, Default)]
pub(crate) struct SumdbRoutes {
    known: Mutex<HashMap<(String, String), (bool, Instant)>>,
}

impl SumdbRoutes {
    fn get(&self, upstream: &str, name: &str) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&(upstream.to_owned(), name.to_owned()))
            .filter(|(_, asked)| asked.elapsed() < BELIEVED)
            .map(|(relays, _)| *relays)
    }

    fn set(&self, upstream: &str, name: &str, relays: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(
            (upstream.to_owned(), name.to_owned()),
            (relays, Instant::now()),
        );
    }
}

impl Chain {
    /// Asks a checksum database for `path` (below its base, without a leading slash). `direct` is the base URL of its own
    /// server; with `relayed` set, upstreams that relay the database are asked first.
    pub async fn fetch_sumdb(
        &self,
        name: &str,
        path: &str,
        direct: &Url,
        relayed: bool,
        traceparent: Option<String>,
    ) -> Result<Small, ChainError> {
        let request = |path: String| Request {
            path,
            expect: Expect::Opaque,
            revalidate: None,
            traceparent: traceparent.clone(),
        };
        let mut failures = Vec::new();
        if relayed {
            for (upstream, http) in self.http_upstreams() {
                let prefix = format!("sumdb/{name}");
                match self
                    .relays(
                        upstream,
                        http,
                        name,
                        &request(format!("{prefix}/supported")),
                    )
                    .await
                {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(failure) => {
                        failures.push(failure);
                        continue;
                    }
                }
                match self
                    .ask(upstream, http, &request(format!("{prefix}/{path}")))
                    .await
                {
                    Ok(small) => return Ok(small),
                    Err(NoAnswer::Absent(absence)) => return Err(ChainError::Absent(absence)),
                    Err(NoAnswer::Failed(failure)) => failures.push(failure),
                }
            }
        }
        let server = HttpUpstream::new(direct, None);
        match server
            .fetch_small(&self.client, &request(path.to_owned()))
            .await
        {
            Ok(small) => Ok(small),
            Err(NoAnswer::Absent(absence)) => Err(ChainError::Absent(absence)),
            Err(NoAnswer::Failed(failure)) => {
                failures.push(failure);
                Err(ChainError::Trouble(failures))
            }
        }
    }

    /// Whether an upstream relays a database (protocol: it answers `supported` with 200).
    async fn relays(
        &self,
        upstream: &Upstream,
        http: &HttpUpstream,
        name: &str,
        supported: &Request,
    ) -> Result<bool, crate::Failure> {
        if let Some(relays) = self.sumdb_routes.get(http.source(), name) {
            return Ok(relays);
        }
        let relays = match self.ask(upstream, http, supported).await {
            Ok(_) => true,
            Err(NoAnswer::Absent(_)) => false,
            Err(NoAnswer::Failed(failure)) => return Err(failure),
        };
        self.sumdb_routes.set(http.source(), name, relays);
        Ok(relays)
    }

    async fn ask(
        &self,
        upstream: &Upstream,
        http: &HttpUpstream,
        request: &Request,
    ) -> Result<Small, NoAnswer> {
        let began = Instant::now();
        let answer = http.fetch_small(&self.client, request).await;
        self.observe(upstream, &answer, began, |_| false);
        answer
    }
}
