use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gomod::ModuleVersion;
use jiff::Timestamp;
use modzip::H1;
use quick_cache::sync::Cache;
use store::Store;
use sumdb::Error;
use sumdb::client::{Client, Operation, ProvenRecord};
use sumdb::note::{Note, VerifierKey};
use sumdb::record::Part;
use sumdb::tile::Tile;
use sumdb::tlog::TreeHead;
use tokio::sync::Semaphore;

use crate::edges::{self, Edges};
use crate::exchange::Exchange;
use crate::flight::Flights;
use crate::head::HeadFile;
use crate::remote::{Remote, Way};
use crate::{TrustError, cache, evidence};

/// The greatest tile height that is read: `go` uses 8, and much higher tiles are a way to make a server work.
const MAX_HEIGHT: u8 = 10;
/// So many records proven lately are in memory: whoever asks for a go.mod file asks for the zip a moment later.
const RECENT: usize = 512;

/// A durable client of one checksum database. Clones share everything.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    exchange: Exchange,
    recent: Cache<ModuleVersion, Proven>,
    lookups: Flights<ModuleVersion, Result<Proven, TrustError>>,
    tiles: Flights<Tile, Result<Bytes, TrustError>>,
    heads: Flights<(), Result<Head, TrustError>>,
    /// When the database last gave a head that fits.
    confirmed: Mutex<Option<Timestamp>>,
    edges: Edges,
    /// Taken while the edges are brought in line with the newest tree.
    growth: Arc<Semaphore>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Database").field(&self.name()).finish()
    }
}

/// What a database says of a module version, proven to be in its log.
#[derive(Clone, Debug)]
pub struct Proven {
    record: ProvenRecord,
    /// The answer to the look-up, byte for byte.
    pub message: Bytes,
    /// When it was proven.
    pub time: Timestamp,
    /// Whether the database was asked for it just now.
    pub fetched: bool,
}

impl Proven {
    /// The number of the record: its position in the log.
    pub fn number(&self) -> u64 {
        self.record.id()
    }

    /// The size of the tree in which it was proven to be.
    pub fn tree_size(&self) -> u64 {
        self.record.tree().size()
    }

    /// The one hash the record states for a part of the version. A record without it, or with two, is a failure.
    pub fn hash(&self, part: Part) -> Result<H1, Error> {
        let text = self.record.h1(part)?;
        text.parse()
            .map_err(|_| Error::MalformedRecord("not an h1 hash"))
    }
}

/// A signed head that is consistent with every one seen before.
#[derive(Clone, Debug)]
pub struct Head {
    /// The signed note.
    pub note: Bytes,
    /// The number of records.
    pub size: u64,
    /// When the database last gave a head that fits.
    pub confirmed: Timestamp,
}

impl Database {
    /// The database with this key, reached by `remote`, remembered in `store`. Nothing is asked yet.
    ///
    /// # Errors
    /// When the key is not of the kind that signs checksum databases.
    pub fn new(
        key: VerifierKey,
        store: Arc<Store>,
        remote: Arc<dyn Remote>,
    ) -> Result<Self, Error> {
        let database: Arc<str> = key.id().name.as_str().into();
        let edges = Edges::read(&store, &database);
        let exchange = Exchange {
            head: Arc::new(HeadFile::new(store.root(), &database)),
            database,
            store,
            remote,
            reads: Flights::default(),
        };
        let shared = Shared {
            client: Client::new(key)?,
            exchange,
            recent: Cache::new(RECENT),
            lookups: Flights::default(),
            tiles: Flights::default(),
            heads: Flights::default(),
            confirmed: Mutex::default(),
            edges,
            growth: Arc::new(Semaphore::new(1)),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.shared.client.name().as_str()
    }

    /// Look-ups, tiles and heads that are being asked for.
    pub fn in_flight(&self) -> usize {
        let shared = &self.shared;
        let asked = shared.lookups.len() + shared.tiles.len() + shared.heads.len();
        asked + usize::from(shared.growth.available_permits() == 0)
    }

    /// The record of a module version: as it was proven before, else asked for and proven now.
    pub async fn lookup(&self, module: &ModuleVersion) -> Result<Proven, TrustError> {
        if let Some(proven) = self.shared.recent.get(module) {
            return Ok(proven);
        }
        let (database, wanted) = (self.clone(), module.clone());
        let looked_up = self.shared.lookups.join(module, move || async move {
            let shared = &database.shared;
            let proven = if let Some(kept) = database.kept_record(&wanted).await {
                kept
            } else {
                let proven = shared.look_up(wanted.clone()).await;
                shared.follow_growth();
                proven?
            };
            let known = Proven {
                fetched: false,
                ..proven.clone()
            };
            shared.recent.insert(wanted, known);
            Ok(proven)
        });
        looked_up
            .await
            .unwrap_or_else(|| Err(TrustError::lost(self.name())))
    }

    /// The record of a module version if it was proven before. Asks nobody.
    pub async fn kept_record(&self, module: &ModuleVersion) -> Option<Proven> {
        let (store, name) = (self.shared.exchange.store.clone(), self.name().to_owned());
        let key = lookup_key(&name, module);
        let kept = tokio::task::spawn_blocking(move || cache::read(&store, &name, &key));
        let answer = kept.await.ok()??;
        let client = &self.shared.client;
        // What is not a signed record about this version was never proven, whatever the digest says.
        let record = client.read_kept(module.clone(), &answer.body).ok()?;
        Some(Proven {
            record,
            message: answer.body.into(),
            time: answer.meta.confirmed,
            fetched: false,
        })
    }

    /// A tile of the newest tree, and whether the database was asked for it just now.
    pub async fn tile(&self, tile: Tile) -> Result<(Bytes, bool), TrustError> {
        if let Some(bytes) = self.kept_tile(tile).await {
            return Ok((bytes, false));
        }
        if tile.height().get() > MAX_HEIGHT {
            return Err(self.no_such_tile(tile));
        }
        let database = self.clone();
        let read = self.shared.tiles.join(&tile, move || async move {
            let client = &database.shared.client;
            let key = format!("{}/{}", database.name(), tile.path());
            for attempt in 0..2 {
                match database.shared.prove(|| client.tile(tile), &key).await {
                    Ok((bytes, _)) => return Ok(bytes.into()),
                    // Whoever asks may have seen a newer head than this client.
                    Err(Error::OutsideTree { .. }) if attempt == 0 => {
                        database.head().await?;
                    }
                    Err(Error::OutsideTree { .. }) => break,
                    Err(error) => return Err(database.shared.failed(error).await),
                }
            }
            Err(database.no_such_tile(tile))
        });
        let read = read
            .await
            .unwrap_or_else(|| Err(TrustError::lost(self.name())));
        read.map(|bytes| (bytes, true))
    }

    /// A tile that was proven before. Asks nobody.
    pub async fn kept_tile(&self, tile: Tile) -> Option<Bytes> {
        let (store, name) = (self.shared.exchange.store.clone(), self.name().to_owned());
        let kept = tokio::task::spawn_blocking(move || cache::read_tile(&store, &name, tile));
        Some(kept.await.ok()??.body.into())
    }

    fn no_such_tile(&self, tile: Tile) -> TrustError {
        TrustError::Unknown {
            database: self.name().into(),
            reason: format!("its tree has no {}", tile.path()).into(),
        }
    }

    /// The newest head: asks the database, and proves that its head and all seen before belong to one history.
    pub async fn head(&self) -> Result<Head, TrustError> {
        let shared = self.shared.clone();
        let updated = self.shared.heads.join(&(), move || async move {
            match shared.prove(|| shared.client.update(), "").await {
                Ok(_) => {
                    *shared.confirmed() = Some(Timestamp::now());
                    let file = shared.exchange.head.clone();
                    let _noted = tokio::task::spawn_blocking(move || file.confirm()).await;
                    shared.follow_growth();
                    shared
                        .latest()
                        .ok_or_else(|| TrustError::lost(shared.name()))
                }
                Err(error) => Err(shared.failed(error).await),
            }
        });
        updated
            .await
            .unwrap_or_else(|| Err(TrustError::lost(self.name())))
    }

    /// The newest head seen so far, if there was one. Asks nobody.
    pub async fn kept_head(&self) -> Result<Option<Head>, TrustError> {
        let shared = &self.shared;
        let file = shared.exchange.head.clone();
        if shared.confirmed().is_none() {
            let confirmed = {
                let file = file.clone();
                tokio::task::spawn_blocking(move || file.confirmed()).await
            };
            shared
                .confirmed()
                .get_or_insert(confirmed.ok().flatten().unwrap_or(Timestamp::UNIX_EPOCH));
        }
        let read = tokio::task::spawn_blocking(move || file.read()).await;
        let note = match read.map_err(std::io::Error::other).flatten() {
            Ok(note) => note.unwrap_or_default(),
            Err(error) => return Err(shared.failed(Error::Keeping(error.into())).await),
        };
        let known = shared.client.latest().map_or(0, |head| head.tree().size());
        // At first, and when a command has taken it forward. Held against itself it needs no tiles: its signature is
        // what is checked.
        if stated_size(&note) > known
            && let Err(error) = shared
                .prove(|| shared.client.observe(note.clone()), "")
                .await
        {
            let error = shared.failed(error).await;
            if known == 0 || error.is_misbehaviour() {
                return Err(error);
            }
        }
        Ok(shared.latest())
    }
}

/// The size that a head states, whoever has signed it.
fn stated_size(note: &[u8]) -> u64 {
    let tree = Note::parse(note)
        .ok()
        .and_then(|note| TreeHead::parse(note.text()).ok());
    // What states nothing is looked at, to say what is wrong with it.
    tree.map_or(u64::from(!note.is_empty()), |tree| tree.size())
}

impl Shared {
    fn name(&self) -> &str {
        &self.exchange.database
    }

    async fn look_up(&self, module: ModuleVersion) -> Result<Proven, TrustError> {
        let key = lookup_key(self.name(), &module);
        let looked_up = self
            .prove(|| self.client.lookup(module.clone()), &key)
            .await;
        let (record, written) = match looked_up {
            Ok(proven) => proven,
            Err(error) => return Err(self.failed(error).await),
        };
        let message = match written {
            Some(message) => message,
            // Another look-up was a moment earlier.
            None => cache::read(&self.exchange.store, self.name(), &key)
                .map(|answer| answer.body)
                .ok_or_else(|| TrustError::lost(self.name()))?,
        };
        Ok(Proven {
            record,
            message: message.into(),
            time: Timestamp::now(),
            fetched: true,
        })
    }

    /// Begins to bring the kept tiles in line with the newest tree, unless they are.
    fn follow_growth(self: &Arc<Self>) {
        let Some(latest) = self.client.latest() else {
            return;
        };
        if self.edges.are_those_of(latest.tree().size()) {
            return;
        }
        let Ok(alone) = self.growth.clone().try_acquire_owned() else {
            return;
        };
        let shared = self.clone();
        tokio::spawn(async move {
            let size = latest.tree().size();
            shared.grow(size).await;
            drop(alone);
            // Another one may have come in meanwhile.
            if shared
                .client
                .latest()
                .is_some_and(|latest| latest.tree().size() > size)
            {
                shared.follow_growth();
            }
        });
    }

    /// Reads the tiles that have grown since what they hold was proven. What cannot be read now is tried again with
    /// the next head.
    async fn grow(&self, size: u64) {
        let mut open = vec![size];
        for edge in self.edges.before(size) {
            for tile in edges::grown_tiles(edge, size) {
                let key = format!("{}/{}", self.name(), tile.path());
                if let Err(error) = self.prove(|| self.client.tile(tile), &key).await {
                    tracing::debug!(database = self.name(), tile = tile.path(), %error, "a tile that has grown could not be read");
                    open.push(edge);
                    break;
                }
            }
        }
        let (store, name) = (self.exchange.store.clone(), self.exchange.database.clone());
        let text = self.edges.replace(size, open);
        let keeping = move || cache::write(&store, &name, &edges::key(&name), text.as_bytes());
        let _kept = tokio::task::spawn_blocking(keeping).await;
    }

    /// Runs an operation. What a relay has forged is asked of the database itself.
    async fn prove<O: Operation>(
        &self,
        operation: impl Fn() -> O,
        wanted: &str,
    ) -> Result<(O::Output, Option<Vec<u8>>), Error> {
        let usual = self.exchange.run(operation(), Way::Usual, wanted).await;
        let Err(error) = usual else { return usual };
        if !(may_be_forged(&error) && self.exchange.remote.has_relays()) {
            return Err(error);
        }
        tracing::warn!(database = self.name(), %error, "a relay of the checksum database is not to be believed; asking the database itself");
        let straight = self.exchange.run(operation(), Way::Straight, wanted).await;
        match straight {
            Err(Error::Remote { absent: false, .. }) => Err(error),
            other => other,
        }
    }

    /// The error for those who asked. Evidence is kept, and what is a security event is said loudly.
    async fn failed(&self, error: Error) -> TrustError {
        let error = TrustError::new(self.name(), error);
        if let TrustError::Forked { fork, .. } = &error {
            let (store, name, fork) = (
                self.exchange.store.clone(),
                self.name().to_owned(),
                fork.clone(),
            );
            let keeping = move || evidence::keep(store.root(), &name, &fork);
            match tokio::task::spawn_blocking(keeping).await {
                Ok(Ok(path)) => {
                    tracing::error!(database = self.name(), evidence = %path.display(), "the checksum database has shown two histories: a security event");
                }
                Ok(Err(problem)) => {
                    tracing::error!(database = self.name(), %error, %problem, "the checksum database has shown two histories: a security event, and the evidence could not be kept");
                }
                Err(_) => {}
            }
        } else if error.is_misbehaviour() {
            tracing::error!(database = self.name(), %error, "the checksum database or a relay of it misbehaves: a security event");
        }
        error
    }

    fn latest(&self) -> Option<Head> {
        let head = self.client.latest()?;
        if head.note().is_empty() {
            return None;
        }
        Some(Head {
            note: Bytes::from(head.note().to_owned()),
            size: head.tree().size(),
            confirmed: self.confirmed().unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }

    fn confirmed(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a relay may have made it up, so that the database itself could give a better answer.
fn may_be_forged(error: &Error) -> bool {
    !matches!(
        error,
        // Signed by the database's own key, or no answer at all.
        Error::Fork(_) | Error::Remote { .. } | Error::Keeping(_) | Error::Contended
        // Of tiles: the tree is smaller than whoever asks thinks.
        | Error::OutsideTree { .. }
    )
}

/// Under which name operations keep the answer to a look-up.
fn lookup_key(database: &str, module: &ModuleVersion) -> String {
    let (path, version) = (module.path().escaped(), module.version().escaped());
    format!("{database}/lookup/{path}@{version}")
}
