//! What a checksum database says, passed on unchanged: the `go` command verifies it.

use std::sync::Arc;

use bytes::Bytes;
use gomod::ModulePath;
use jiff::Timestamp;
use store::{Answer, AnswerKey, AnswerMeta};
use upstream::Small;

use crate::depot::Shared;
use crate::flight::Landing;
use crate::{Context, Depot, DepotError, FetchMode, SumdbRoute};

/// An answer of a checksum database.
#[derive(Clone, Debug)]
pub struct SumdbReply {
    /// The bytes as the database gave them.
    pub body: Bytes,
    /// Whether it can never change.
    pub immutable: bool,
    /// Set when the database could not be asked and this is its last known answer.
    pub stale: Option<DepotError>,
}

impl Depot {
    /// The relayed database that `path` (what follows `/sumdb/`) begins with the name of, and the rest of the path.
    /// Names come from the settings alone, so that a request can never choose a host.
    pub fn sumdb_route(&self, path: &str) -> Option<(SumdbRoute, String)> {
        let settings = self.shared.settings.load();
        settings.sumdbs.iter().find_map(|route| {
            let rest = path.strip_prefix(route.name.as_str())?.strip_prefix('/')?;
            Some((route.clone(), rest.to_owned()))
        })
    }

    /// An answer of the database: `latest`, `lookup/...` or `tile/...`.
    pub async fn sumdb(
        &self,
        route: &SumdbRoute,
        path: &str,
        mode: FetchMode,
        context: &Context,
    ) -> Result<SumdbReply, DepotError> {
        self.check_may_be_looked_up(route, path)?;
        let key = AnswerKey::Sumdb {
            name: route.name.clone(),
            path: path.to_owned(),
        };
        let immutable = is_immutable(path);
        let read_key = key.clone();
        let stored = self
            .shared
            .on_disk(move |store| Ok(store.read_answer(&read_key)))
            .await?;
        let what = format!("{}/{path}", route.name);
        match &stored {
            Some(answer) if immutable || mode == FetchMode::CachedOnly => {
                return Ok(SumdbReply {
                    body: answer.body.clone().into(),
                    immutable,
                    stale: None,
                });
            }
            None if mode == FetchMode::CachedOnly => {
                return Err(DepotError::NotCached { what: what.into() });
            }
            _ => {}
        }
        let url_path = key.url_path();
        if let Some(absence) = self
            .shared
            .negatives
            .get(&url_path, self.shared.settings.load().absent_ttl)
        {
            return Err(absence);
        }
        let (shared, flight_key, route, context) = (
            self.shared.clone(),
            key.clone(),
            route.clone(),
            context.clone(),
        );
        let fetched = self
            .shared
            .sumdb
            .join(&key, move |landing| {
                fetch(shared, flight_key, route, context, landing)
            })
            .await;
        match (fetched.unwrap_or(Err(DepotError::Lost)), stored) {
            (Ok(Small::Body(reply)), _) => Ok(SumdbReply {
                body: reply.body,
                immutable,
                stale: None,
            }),
            (Ok(Small::NotModified(_)), _) => Err(DepotError::Lost),
            (Err(error), Some(answer)) if !error.is_absence() => Ok(SumdbReply {
                body: answer.body.into(),
                immutable,
                stale: Some(error),
            }),
            (Err(error), _) => {
                self.shared.negatives.learn(&url_path, &error);
                Err(error)
            }
        }
    }

    /// Keeps private names from a public database.
    fn check_may_be_looked_up(&self, route: &SumdbRoute, path: &str) -> Result<(), DepotError> {
        let Some(module) = looked_up_module(path) else {
            return Ok(());
        };
        let settings = self.shared.settings.load();
        if settings.private.matches(&module) {
            return Err(DepotError::Private {
                what: module.as_str().into(),
                pattern: settings.private.to_string().into(),
                database: route.name.as_str().into(),
            });
        }
        Ok(())
    }
}

/// The module that a `lookup/<module>@<version>` asks for.
fn looked_up_module(path: &str) -> Option<ModulePath> {
    let (module, _) = path.strip_prefix("lookup/")?.rsplit_once('@')?;
    ModulePath::unescape(module).ok()
}

/// Whether the answer at a path can never change: a record, or a tile that is complete.
fn is_immutable(path: &str) -> bool {
    path.starts_with("lookup/") || path.starts_with("tile/")
}

async fn fetch(
    shared: Arc<Shared>,
    key: AnswerKey,
    route: SumdbRoute,
    context: Context,
    landing: Landing<AnswerKey, Result<Small, DepotError>>,
) {
    let AnswerKey::Sumdb { name, path } = &key else {
        return;
    };
    let chain = shared.chain.load_full();
    let fetched = chain
        .fetch_sumdb(
            name,
            path,
            &route.base,
            route.through_upstreams,
            context.traceparent,
        )
        .await;
    let small = match fetched {
        Ok(small) => small,
        Err(error) => {
            return landing.give(Err(DepotError::from_chain(
                error,
                &format!("{name}/{path}"),
            )));
        }
    };
    landing.give(Ok(small.clone()));
    let Small::Body(reply) = small else { return };
    let meta = AnswerMeta {
        confirmed: Timestamp::now(),
        source: reply.source,
        etag: None,
        last_modified: None,
    };
    let answer = Answer {
        meta,
        body: reply.body.to_vec(),
    };
    let store_key = key.clone();
    if let Err(error) = shared
        .on_disk(move |store| store.write_answer(&store_key, &answer))
        .await
    {
        tracing::error!(answer = %key.url_path(), %error, "served, but could not be stored");
    }
}
