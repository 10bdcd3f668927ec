//! What a checksum database says, relayed: nothing that is not proven, and what was proven also without it.

use std::sync::Arc;

use bytes::Bytes;
use gomod::{ModulePath, ModuleVersion, Version};
use jiff::Timestamp;
use sumdb::tile::{Tile, TileLevel};
use trust::{Database, Head, TrustError};
use upstream::Expect;

use crate::gate::Turn;
use crate::shared::Shared;
use crate::{Context, Depot, DepotError, FetchMode, Party, SumdbRoute};

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

    /// An answer of the database: `latest`, `lookup/...` or `tile/...`. Everything is proven before it is given, and
    /// what was proven before is given without asking.
    pub async fn sumdb(
        &self,
        route: &SumdbRoute,
        path: &str,
        mode: FetchMode,
        context: &Context,
    ) -> Result<SumdbReply, DepotError> {
        self.check_may_be_looked_up(route, path)?;
        let what = format!("{}/{path}", route.name);
        let databases = self.shared.databases.load_full();
        let database = databases
            .iter()
            .find(|(used, _)| used == route)
            .map(|(_, database)| database)
            .ok_or(DepotError::Lost)?;
        let asked = Asked {
            shared: &self.shared,
            database,
            what,
            mode,
            party: context.party,
        };
        if path == "latest" {
            return asked.head().await;
        }
        if let Some(module) = path.strip_prefix("lookup/") {
            let module = looked_up_version(module)
                .ok_or_else(|| asked.absent("this is no module version"))?;
            return asked.record(&module).await;
        }
        let tile = Tile::parse_path(path).map_err(|_| asked.absent("this is no tile's path"))?;
        asked.tile(tile).await
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

/// One question to a database.
struct Asked<'a> {
    shared: &'a Arc<Shared>,
    database: &'a Database,
    what: String,
    mode: FetchMode,
    party: Party,
}

impl Asked<'_> {
    async fn record(&self, module: &ModuleVersion) -> Result<SumdbReply, DepotError> {
        if let Some(proven) = self.database.kept_record(module).await {
            return Ok(immutable(proven.message, proven.time, false));
        }
        let _turn = self.turn().await?;
        let proven = self.database.lookup(module).await;
        let proven = proven.map_err(|error| self.failed(error))?;
        Ok(immutable(proven.message, proven.time, proven.fetched))
    }

    async fn tile(&self, tile: Tile) -> Result<SumdbReply, DepotError> {
        if let Some(body) = self.database.kept_tile(tile).await {
            return Ok(immutable(body, Timestamp::now(), false));
        }
        let _turn = self.turn().await?;
        let (body, fetched) = self
            .database
            .tile(tile)
            .await
            .map_err(|error| self.failed(error))?;
        Ok(immutable(body, Timestamp::now(), fetched))
    }

    /// The newest head that fits to all seen before. When the database cannot be asked, or not in time, the newest of
    /// those.
    async fn head(&self) -> Result<SumdbReply, DepotError> {
        let kept = self.database.kept_head().await.map_err(DepotError::Sumdb)?;
        let reply = |head: Head, stale: Option<DepotError>| SumdbReply {
            body: head.note,
            immutable: false,
            confirmed: head.confirmed,
            fetched: stale.is_none() && self.mode == FetchMode::Allowed,
            stale,
        };
        let Some(kept) = kept else {
            let _turn = self.turn().await?;
            let head = self.database.head().await;
            return head
                .map(|head| reply(head, None))
                .map_err(|error| self.failed(error));
        };
        if self.mode == FetchMode::CachedOnly {
            return Ok(reply(kept, None));
        }
        if let Err(offline) = self.shared.check_online(&self.what) {
            return Ok(reply(kept, Some(offline)));
        }
        let limit = self.shared.settings.load().stale_wait;
        match tokio::time::timeout(limit, self.database.head()).await {
            Ok(Ok(head)) => Ok(reply(head, None)),
            // Not to be covered up by an older answer.
            Ok(Err(error)) if error.is_misbehaviour() => Err(DepotError::Sumdb(error)),
            Ok(Err(error)) => Ok(reply(kept, Some(DepotError::Sumdb(error)))),
            Err(_) => {
                let error = TrustError::OutOfReach {
                    database: self.database.name().into(),
                    reason: format!("no answer within {limit:?}").into(),
                };
                Ok(reply(kept, Some(DepotError::Sumdb(error))))
            }
        }
    }

    /// Waits until the database may be asked, if it may be at all.
    async fn turn(&self) -> Result<Turn, DepotError> {
        self.check_may_ask()?;
        self.shared.gate.ticket(self.party).turn().await
    }

    fn check_may_ask(&self) -> Result<(), DepotError> {
        if self.mode == FetchMode::CachedOnly {
            return Err(DepotError::NotCached {
                what: self.what.as_str().into(),
            });
        }
        self.shared.check_online(&self.what)?;
        self.shared
            .known_absence(&self.negative_key())
            .map_or(Ok(()), Err)
    }

    fn failed(&self, error: TrustError) -> DepotError {
        let error = match error {
            TrustError::Unknown { reason, .. } => self.absent(&reason),
            error => DepotError::Sumdb(error),
        };
        self.shared.learn_absence(&self.negative_key(), &error);
        error
    }

    fn negative_key(&self) -> String {
        format!("sumdb/{}", self.what)
    }

    fn absent(&self, reason: &str) -> DepotError {
        DepotError::Absent {
            gone: false,
            reason: format!("{}: {reason}", self.what).into(),
        }
    }
}

fn immutable(body: Bytes, confirmed: Timestamp, fetched: bool) -> SumdbReply {
    SumdbReply {
        body,
        immutable: true,
        confirmed,
        fetched,
        stale: None,
    }
}

/// The module that a `lookup/<module>@<version>` asks for.
fn looked_up_module(path: &str) -> Option<ModulePath> {
    let (module, _) = path.strip_prefix("lookup/")?.rsplit_once('@')?;
    ModulePath::unescape(module).ok()
}

/// The module version that `<module>@<version>` names, both escaped.
fn looked_up_version(text: &str) -> Option<ModuleVersion> {
    let (module, version) = text.rsplit_once('@')?;
    let module = ModulePath::unescape(module).ok()?;
    ModuleVersion::new(module, Version::unescape(version).ok()?).ok()
}

/// What the answer at a path must look like to be kept: whether a tile is authentic is for its reader to prove, but a
/// short one can never be. `None`: there is nothing at such a path.
pub(crate) fn expectation(path: &str) -> Option<Expect> {
    if !path.starts_with("tile/") {
        return Some(Expect::Text);
    }
    let tile = Tile::parse_path(path).ok()?;
    Some(match tile.level() {
        TileLevel::Data => Expect::Text,
        TileLevel::Hashes(_) => Expect::Hashes(tile.byte_length() as u64),
    })
}
