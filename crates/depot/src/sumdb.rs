//! What a checksum database says, passed on unchanged: the `go` command verifies it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fault::Label;
use gomod::ModulePath;
use jiff::Timestamp;
use store::{Answer, AnswerKey, AnswerMeta};
use sumdb::tile::{Tile, TileLevel};
use upstream::{Expect, Failure, Request, Small};

use crate::flight::Landing;
use crate::shared::Shared;
use crate::{Context, Depot, DepotError, FetchMode, SumdbRoute};

/// An answer of a checksum database.
#[derive(Clone, Debug)]
pub struct SumdbReply {
    /// The bytes as the database gave them.
    pub body: Bytes,
    /// Whether it can never change.
    pub immutable: bool,
    /// When the database gave it.
    pub confirmed: Timestamp,
    /// Whether the database was waited for.
    pub fetched: bool,
    /// Set when the database could not be asked, or not in time, and this is its last known answer.
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
        let what = format!("{}/{path}", route.name);
        let Some(expect) = expectation(path) else {
            return Err(DepotError::Absent {
                gone: false,
                reason: format!("{what}: this is no tile's path").into(),
            });
        };
        let stored = stored_answer(&self.shared, &key, &expect).await?;
        match &stored {
            Some(answer) if immutable || mode == FetchMode::CachedOnly => {
                return Ok(SumdbReply {
                    body: answer.body.clone().into(),
                    immutable,
                    confirmed: answer.meta.confirmed,
                    fetched: false,
                    stale: None,
                });
            }
            None if mode == FetchMode::CachedOnly => {
                return Err(DepotError::NotCached { what: what.into() });
            }
            _ => {}
        }
        if let Some(absence) = self.shared.known_absence(&key.url_path()) {
            return Err(absence);
        }
        let request = Request {
            path: path.to_owned(),
            expect,
            revalidate: None,
            traceparent: context.traceparent.clone(),
        };
        let (shared, flight_key, route) = (self.shared.clone(), key.clone(), route.clone());
        let fetching = self.shared.sumdb.join(&key, move |landing| {
            fetch(shared, flight_key, route, request, landing)
        });
        let fetched = if stored.is_some() {
            let limit = self.shared.settings.load().stale_wait;
            tokio::time::timeout(limit, fetching)
                .await
                .unwrap_or_else(|_| Some(Err(slow(&key, limit))))
        } else {
            fetching.await
        };
        match (fetched.unwrap_or(Err(DepotError::Lost)), stored) {
            (Ok(body), _) => Ok(SumdbReply {
                body,
                immutable,
                confirmed: Timestamp::now(),
                fetched: true,
                stale: None,
            }),
            (Err(error), Some(answer)) if !error.is_absence() => Ok(SumdbReply {
                body: answer.body.into(),
                immutable,
                confirmed: answer.meta.confirmed,
                fetched: false,
                stale: Some(error),
            }),
            (Err(error), _) => Err(error),
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

/// What those are told who need not wait for the end of a fetch.
fn slow(key: &AnswerKey, limit: Duration) -> DepotError {
    let AnswerKey::Sumdb { name, path } = key else {
        return DepotError::Lost;
    };
    let failure = Failure {
        source: name.clone(),
        label: Label::GoproxySlow,
        detail: format!("reading {name}/{path}: no answer within {limit:?}"),
        retry_after: None,
    };
    DepotError::Upstream([failure].into())
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

/// What the answer at a path must look like to be kept: whether a tile is authentic is for its reader to prove, but a
/// short one can never be. `None`: there is nothing at such a path.
fn expectation(path: &str) -> Option<Expect> {
    if !path.starts_with("tile/") {
        return Some(Expect::Text);
    }
    let tile = Tile::parse_path(path).ok()?;
    Some(match tile.level() {
        TileLevel::Data => Expect::Text,
        TileLevel::Hashes(_) => Expect::Hashes(tile.byte_length() as u64),
    })
}

/// What is kept. What cannot be right, whatever put it there, counts as not kept.
async fn stored_answer(
    shared: &Arc<Shared>,
    key: &AnswerKey,
    expect: &Expect,
) -> Result<Option<Answer>, DepotError> {
    let (key, expect) = (key.clone(), expect.clone());
    shared
        .on_disk(move |store| {
            let answer = store.read_answer(&key);
            Ok(answer.filter(|answer| expect.accepts(&answer.body)))
        })
        .await
}

async fn fetch(
    shared: Arc<Shared>,
    key: AnswerKey,
    route: SumdbRoute,
    request: Request,
    landing: Landing<AnswerKey, Result<Bytes, DepotError>>,
) {
    // Whoever looked into the store just before an earlier fetch was done comes too late to join it.
    if is_immutable(&request.path)
        && let Ok(Some(answer)) = stored_answer(&shared, &key, &request.expect).await
    {
        return landing.give(Ok(answer.body.into()));
    }
    let SumdbRoute {
        name,
        base,
        through_upstreams,
    } = &route;
    let chain = shared.chain.load_full();
    let fetched = chain
        .fetch_sumdb(name, &request, base, *through_upstreams)
        .await;
    let reply = match fetched {
        Ok(Small::Body(reply)) => reply,
        // Cannot be: nothing was to be revalidated.
        Ok(Small::NotModified(_)) => return landing.give(Err(DepotError::Lost)),
        Err(error) => {
            let error = DepotError::from_chain(error, &format!("{name}/{}", request.path));
            shared.negatives.learn(&key.url_path(), &error);
            return landing.give(Err(error));
        }
    };
    landing.give(Ok(reply.body.clone()));
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
