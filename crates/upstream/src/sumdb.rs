//! The way to a checksum database: through an upstream that relays it, else straight to its server.

use std::time::Instant;

use url::Url;

use crate::chain::Upstream;
use crate::http::{HttpUpstream, NoAnswer};
use crate::{Chain, ChainError, Expect, Request, Small};

impl Chain {
    /// Asks a checksum database. The request's path is below the database's base. `direct` is the base URL of its own
    /// server; with `relayed` set, upstreams that relay the database are asked first.
    pub async fn fetch_sumdb(
        &self,
        name: &str,
        request: &Request,
        direct: &Url,
        relayed: bool,
    ) -> Result<Small, ChainError> {
        let relayed_request = |path: &str, expect: Expect| Request {
            path: format!("sumdb/{name}/{path}"),
            expect,
            ..request.clone()
        };
        let mut failures = Vec::new();
        if relayed {
            for (upstream, http) in self.http_upstreams() {
                let supported = relayed_request("supported", Expect::Opaque);
                match self.relays(upstream, http, name, &supported).await {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(failure) => {
                        failures.push(failure);
                        continue;
                    }
                }
                let relayed = relayed_request(&request.path, request.expect.clone());
                match self.ask(upstream, http, &relayed).await {
                    Ok(small) => return Ok(small),
                    Err(NoAnswer::Absent(absence)) => return Err(ChainError::Absent(absence)),
                    Err(NoAnswer::Failed(failure)) => failures.push(failure),
                }
            }
        }
        let server = HttpUpstream::new(direct, None);
        match server.fetch_small(&self.client, request).await {
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
