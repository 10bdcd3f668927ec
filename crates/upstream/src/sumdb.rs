//! The way to a checksum database: through an upstream that relays it, else straight to its server.

use futures_util::FutureExt as _;
use url::Url;

use crate::campaign::{Entrant, run};
use crate::chain::{Inner, outcome_of_small};
use crate::health::Kind;
use crate::http::{HttpUpstream, NoAnswer};
use crate::{Chain, ChainError, Expect, Failure, Request, Small};

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
        let inner = &*self.inner;
        let server = inner.database(direct);
        let below = |path: &str, expect: Expect| Request {
            path: format!("sumdb/{name}/{path}"),
            expect,
            ..request.clone()
        };
        let supported = &below("supported", Expect::Opaque);
        let question = &below(&request.path, request.expect.clone());
        inner.prober.wake(&self.inner, supported);
        let mut entrants: Vec<Entrant<'_, Small>> = Vec::new();
        if relayed {
            entrants.extend(inner.http_upstreams().map(|(upstream, http)| Entrant {
                health: &upstream.health,
                is_authority: true,
                ask: Box::new(move || {
                    async move {
                        if !inner.relays(http, name, supported).await? {
                            return Err(NoAnswer::NotServed);
                        }
                        http.fetch_small(question).await
                    }
                    .boxed()
                }),
            }));
        }
        let database = &*server;
        entrants.push(Entrant {
            health: &database.health,
            is_authority: true,
            ask: Box::new(move || database.fetch_small(request).boxed()),
        });
        run(&entrants, inner.terms(Kind::Small), outcome_of_small)
            .await
            .map_err(|tally| match tally.absence() {
                Ok(absence) => ChainError::Absent(absence),
                Err(failures) => ChainError::Trouble(failures),
            })
    }
}

impl Inner {
    /// Whether an upstream relays a database (protocol: it answers `supported` with 200).
    async fn relays(
        &self,
        http: &HttpUpstream,
        name: &str,
        supported: &Request,
    ) -> Result<bool, Failure> {
        if let Some(relays) = self.sumdb_routes.get(http.source(), name) {
            return Ok(relays);
        }
        let relays = match http.fetch_small(supported).await {
            Ok(_) => true,
            Err(NoAnswer::Absent(_) | NoAnswer::Circle(_) | NoAnswer::NotServed) => false,
            Err(NoAnswer::Failed(failure)) => return Err(failure),
        };
        self.sumdb_routes.set(http.source(), name, relays);
        Ok(relays)
    }
}
