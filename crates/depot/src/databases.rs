//! The checksum databases in use, and the way to them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use store::Store;
use trust::{Database, Remote, RemoteFuture, RemoteTrouble, Way};
use upstream::{Chain, ChainError, Expect, Request, Small, Via};

use crate::SumdbRoute;
use crate::sumdb::expectation;

/// The databases of these routes. Those that are in use already go on, with what they know in memory.
pub(crate) fn databases(
    routes: &[SumdbRoute],
    in_use: &[(SumdbRoute, Database)],
    store: &Arc<Store>,
    chain: &Arc<ArcSwap<Chain>>,
) -> Vec<(SumdbRoute, Database)> {
    let database = |route: &SumdbRoute| {
        if let Some((_, database)) = in_use.iter().find(|(used, _)| used == route) {
            return Some(database.clone());
        }
        let remote = Relays {
            route: route.clone(),
            chain: chain.clone(),
        };
        let opened = Database::new(route.key.clone(), store.clone(), Arc::new(remote));
        opened
            .inspect_err(|error| tracing::error!(database = route.name, %error, "unusable key"))
            .ok()
    };
    routes
        .iter()
        .filter_map(|route| Some((route.clone(), database(route)?)))
        .collect()
}

/// A database reached through the upstreams that relay it, else straight.
struct Relays {
    route: SumdbRoute,
    chain: Arc<ArcSwap<Chain>>,
}

impl Remote for Relays {
    fn read(&self, path: String, way: Way) -> RemoteFuture {
        let (route, chain) = (self.route.clone(), self.chain.load_full());
        let through_upstreams = route.through_upstreams && way == Way::Usual;
        Box::pin(async move {
            if chain.is_quiet() {
                return Err(RemoteTrouble::Failed("fetching is switched off".to_owned()));
            }
            let request = Request {
                expect: expectation(&path).unwrap_or(Expect::Text),
                path,
                revalidate: None,
                without: Vec::new(),
                traceparent: None,
                via: Via::default(),
            };
            let fetched = chain
                .fetch_sumdb(&route.name, &request, &route.base, through_upstreams)
                .await;
            match fetched {
                Ok(Small::Body(reply)) => Ok(reply.body),
                Ok(Small::NotModified(source)) => Err(RemoteTrouble::Failed(format!(
                    "{source}: 304 Not Modified to a question that was none"
                ))),
                Err(ChainError::Absent(absence)) => Err(RemoteTrouble::Absent(absence.reason)),
                Err(error) => Err(RemoteTrouble::Failed(error.to_string())),
            }
        })
    }

    fn has_relays(&self) -> bool {
        self.route.through_upstreams
    }
}
