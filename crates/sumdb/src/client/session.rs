//! What all operations of a client share: the answers received so far, and the steps of a proof.
//!
//! A step is a plain function of the answers. Where one is missing it stops with the requests for it, and is called
//! again from its beginning when they are answered; so a proof reads from top to bottom, and nothing is computed twice
//! but the little that led to the question.

use std::collections::{HashMap, HashSet};

use super::exchange::{Answer, Request, Step};
use super::{Client, SignedHead, Timeline};
use crate::error::{BoxError, Error};
use crate::fork::Fork;
use crate::hash::Hash;
use crate::tile::{AuthenticTiles, Height, Tile, TileSet};
use crate::tlog::{ConsistencyProof, Node, TreeHead, consistency_nodes, tree_root};

/// How often the kept head may turn out to be changed by others before giving up.
const MAX_SWAPS: u32 = 16;

/// Why a step did not come to its end.
pub(crate) enum Stop {
    /// Answers are missing.
    Ask(Vec<Request>),
    /// It cannot succeed.
    Fail(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

/// An answer of the server other than data.
pub(crate) struct Refusal {
    pub(crate) absent: bool,
    pub(crate) source: BoxError,
}

/// The bytes of tiles that are not yet authenticated.
struct Unproven {
    data: HashMap<Tile, Vec<u8>>,
    from_server: HashSet<Tile>,
}

pub(crate) struct Session<'c> {
    client: &'c Client,
    kept: Option<Result<Vec<u8>, BoxError>>,
    swap: Option<(Vec<u8>, Answer)>,
    swaps: u32,
    conflict: Option<SignedHead>,
    cache: HashMap<String, Option<Vec<u8>>>,
    remote: HashMap<String, Result<Vec<u8>, Refusal>>,
    /// Tiles whose cached bytes turned out to be wrong.
    damaged: HashSet<Tile>,
    writes: Vec<Request>,
}

impl<'c> Session<'c> {
    pub(crate) fn new(client: &'c Client) -> Self {
        Self {
            client,
            kept: None,
            swap: None,
            swaps: 0,
            conflict: None,
            cache: HashMap::new(),
            remote: HashMap::new(),
            damaged: HashSet::new(),
            writes: Vec::new(),
        }
    }

    pub(crate) fn client(&self) -> &'c Client {
        self.client
    }

    pub(crate) fn answer(&mut self, request: Request, answer: Answer) -> Result<(), Error> {
        match request {
            Request::ReadLatest => {
                let kept = match answer {
                    Answer::Data(data) => Ok(data),
                    Answer::Absent(_) => Ok(Vec::new()),
                    Answer::Failed(error) => Err(error),
                    _ => return Err(Error::WrongAnswer("the request for the kept head")),
                };
                self.kept = Some(kept);
            }
            Request::SwapLatest { new, .. } => self.swap = Some((new, answer)),
            Request::ReadCache { key } => {
                let data = match answer {
                    Answer::Data(data) => Some(data),
                    _ => None,
                };
                self.cache.insert(key, data);
            }
            Request::ReadRemote { path } => {
                let data = match answer {
                    Answer::Data(data) => Ok(data),
                    Answer::Absent(reason) => Err(Refusal {
                        absent: true,
                        source: reason.into(),
                    }),
                    Answer::Failed(source) => Err(Refusal {
                        absent: false,
                        source,
                    }),
                    _ => return Err(Error::WrongAnswer("a request to the server")),
                };
                self.remote.insert(path, data);
            }
            Request::WriteCache { .. } => {}
        }
        Ok(())
    }

    /// Turns the outcome of a step into what the caller of the operation sees. Cache entries to write go out with the
    /// next requests, at the latest before the operation is done.
    pub(crate) fn report<T: Clone>(
        &mut self,
        outcome: Result<T, Stop>,
        done: &mut Option<T>,
    ) -> Result<Step<T>, Error> {
        let mut requests = std::mem::take(&mut self.writes);
        let output = match outcome {
            Ok(output) => output,
            Err(Stop::Fail(error)) => return Err(error),
            Err(Stop::Ask(asked)) => {
                requests.extend(asked);
                return Ok(Step::Ask(requests));
            }
        };
        *done = Some(output.clone());
        let is_finished = requests.is_empty();
        Ok(if is_finished {
            Step::Done(output)
        } else {
            Step::Ask(requests)
        })
    }

    /// The latest head proven so far; at first the kept one.
    pub(crate) fn latest(&mut self) -> Result<SignedHead, Stop> {
        if let Some(latest) = self.client.latest() {
            return Ok(latest);
        }
        let kept = self
            .kept
            .take()
            .ok_or_else(|| Stop::Ask(vec![Request::ReadLatest]))?;
        let kept = self.client.open_head(&kept.map_err(Error::Keeping)?)?;
        self.client.begin_with(kept.clone());
        Ok(self.client.latest().unwrap_or(kept))
    }

    /// Proves that the offered head and the latest one belong to one history, and moves forward if it is newer.
    pub(crate) fn merge(&mut self, offered: &SignedHead) -> Result<Timeline, Stop> {
        loop {
            let latest = self.latest()?;
            let (old, new) = (latest.tree().size(), offered.tree().size());
            if new <= old {
                self.check_extends(offered, &latest)?;
                return Ok(if new < old {
                    Timeline::Past
                } else {
                    Timeline::Present
                });
            }
            self.check_extends(&latest, offered)?;
            // Another operation may have moved on meanwhile; then the proof was about the wrong head.
            if self.client.advance(&latest, offered) {
                return Ok(Timeline::Future);
            }
        }
    }

    /// Proves that the tree of `older` is the beginning of that of `newer`.
    fn check_extends(&mut self, older: &SignedHead, newer: &SignedHead) -> Result<(), Stop> {
        let (old_size, new_size) = (older.tree().size(), newer.tree().size());
        let (root, proof) = if old_size == new_size {
            (newer.tree().root(), Vec::new())
        } else if old_size == 0 {
            (Hash::of_empty_tree(), Vec::new())
        } else {
            let nodes = consistency_nodes(old_size, new_size)?;
            let tiles = self.tiles(*newer.tree(), &nodes)?;
            let proof = ConsistencyProof::prove(old_size, new_size, &tiles)?;
            (tree_root(old_size, &tiles)?, proof.hashes().to_vec())
        };
        if root == older.tree().root() {
            return Ok(());
        }
        let (older, newer) = (older.note().to_owned(), newer.note().to_owned());
        Err(Error::Fork(Box::new(Fork {
            older,
            newer,
            root,
            proof,
        }))
        .into())
    }

    /// Makes sure that the latest head is kept for the next run.
    pub(crate) fn keep(&mut self) -> Result<(), Stop> {
        loop {
            if let Some(theirs) = self.conflict.clone() {
                self.merge(&theirs)?;
                self.client.set_kept(theirs);
                self.conflict = None;
            }
            let Some((kept, latest)) = self.client.unsaved() else {
                return Ok(());
            };
            match self.swap.take() {
                None => {
                    let old = kept.note().as_bytes().to_vec();
                    let new = latest.note().as_bytes().to_vec();
                    return Err(Stop::Ask(vec![Request::SwapLatest { old, new }]));
                }
                Some((new, Answer::Done)) => self.client.set_kept(self.client.open_head(&new)?),
                Some((_, Answer::Conflict(current))) => {
                    self.swaps += 1;
                    if self.swaps > MAX_SWAPS {
                        return Err(Error::Contended.into());
                    }
                    self.conflict = Some(self.client.open_head(&current)?);
                }
                Some((_, Answer::Failed(error))) => return Err(Error::Keeping(error).into()),
                Some(_) => {
                    return Err(Error::WrongAnswer("the request to swap the kept head").into());
                }
            }
        }
    }

    /// The authenticated tiles with the hashes of these nodes of a signed tree.
    pub(crate) fn tiles(&mut self, tree: TreeHead, nodes: &[Node]) -> Result<AuthenticTiles, Stop> {
        self.tiles_of_height(self.client.height(), tree, nodes)
    }

    /// As [`Self::tiles`], read as tiles of another height than the client's own.
    pub(crate) fn tiles_of_height(
        &mut self,
        height: Height,
        tree: TreeHead,
        nodes: &[Node],
    ) -> Result<AuthenticTiles, Stop> {
        let set = TileSet::new(tree, height, nodes)?;
        loop {
            let Unproven { data, from_server } = self.read_tiles(&set)?;
            match set.authenticate(&data) {
                Ok(tiles) => {
                    let proven = data
                        .into_iter()
                        .filter(|(tile, _)| from_server.contains(tile));
                    for (tile, data) in proven {
                        self.write_cache(&tile_cache_key(self.client, tile), data);
                    }
                    return Ok(tiles);
                }
                Err(distrust) => self.reread(&distrust.suspects, &from_server)?,
            }
        }
    }

    /// What must be asked for before [`Self::tiles`] can tell the hash of this node, as far as that is known now.
    pub(crate) fn missing_tiles(&self, tree: TreeHead, node: Node) -> Vec<Request> {
        let Ok(set) = TileSet::new(tree, self.client.height(), &[node]) else {
            return Vec::new();
        };
        let mut missing = Vec::new();
        let mut not_cached = Vec::new();
        for tile in set.tiles() {
            if self.tile_from_cache(tile, &mut missing).is_none() {
                not_cached.push(format!("/{}", tile.path()));
            }
        }
        if missing.is_empty() {
            let not_asked = not_cached
                .into_iter()
                .filter(|path| !self.remote.contains_key(path));
            missing.extend(not_asked.map(|path| Request::ReadRemote { path }));
        }
        missing
    }

    /// Tells the suspects that came from the cache to be read from the server. Fails if all did come from there.
    fn reread(&mut self, suspects: &[Tile], from_server: &HashSet<Tile>) -> Result<(), Error> {
        let before = self.damaged.len();
        self.damaged
            .extend(suspects.iter().filter(|tile| !from_server.contains(tile)));
        if self.damaged.len() > before {
            return Ok(());
        }
        let tile = suspects.first().map(|tile| tile.path()).unwrap_or_default();
        Err(Error::InconsistentTile { tile })
    }

    fn read_tiles(&mut self, set: &TileSet) -> Result<Unproven, Stop> {
        let mut data = HashMap::new();
        let mut from_server = HashSet::new();
        let mut missing = Vec::new();
        for tile in set.tiles() {
            let cached = self.tile_from_cache(tile, &mut missing);
            data.extend(cached.map(|bytes| (tile, bytes)));
        }
        if !missing.is_empty() {
            return Err(Stop::Ask(missing));
        }
        for tile in set.tiles() {
            if data.contains_key(&tile) {
                continue;
            }
            match self.tile_from_server(tile) {
                Ok(bytes) => {
                    data.insert(tile, bytes);
                    from_server.insert(tile);
                }
                Err(Stop::Ask(requests)) => missing.extend(requests),
                Err(fail) => return Err(fail),
            }
        }
        if missing.is_empty() {
            Ok(Unproven { data, from_server })
        } else {
            Err(Stop::Ask(missing))
        }
    }

    /// The tile from the cache, maybe cut from the full one. Entries of a wrong length do not count.
    fn tile_from_cache(&self, tile: Tile, missing: &mut Vec<Request>) -> Option<Vec<u8>> {
        if self.damaged.contains(&tile) {
            return None;
        }
        let mut read = |tile: Tile| {
            let key = tile_cache_key(self.client, tile);
            if let Some(entry) = self.cache.get(&key) {
                return entry.as_deref();
            }
            missing.push(Request::ReadCache { key });
            None
        };
        let exact = read(tile)
            .filter(|data| data.len() == tile.byte_length())
            .map(<[u8]>::to_vec);
        if tile.is_full() {
            return exact;
        }
        let full = read(tile.full());
        exact.or_else(|| tile.cut(full?).ok())
    }

    /// The tile from the server. A partial tile that is gone may be cut from the full one that replaced it.
    pub(crate) fn tile_from_server(&mut self, tile: Tile) -> Result<Vec<u8>, Stop> {
        let path = format!("/{}", tile.path());
        let exact = self.read_remote(&path)?;
        if let Ok(data) = exact
            && data.len() == tile.byte_length()
        {
            return Ok(data.clone());
        }
        if !tile.is_full() {
            let full = self.read_remote(&format!("/{}", tile.full().path()))?;
            if let Some(data) = full.as_ref().ok().and_then(|data| tile.cut(data).ok()) {
                return Ok(data);
            }
        }
        let data = self.take_remote(&path)?;
        let actual = data.len();
        Err(Error::TileLength {
            tile: tile.path(),
            expected: tile.byte_length(),
            actual,
        }
        .into())
    }

    /// A cache entry, `None` if the cache has none.
    pub(crate) fn read_cache(&self, key: &str) -> Result<Option<&[u8]>, Stop> {
        let key_owned = || key.to_owned();
        let entry = self
            .cache
            .get(key)
            .ok_or_else(|| Stop::Ask(vec![Request::ReadCache { key: key_owned() }]))?;
        Ok(entry.as_deref())
    }

    /// Has a proven cache entry written.
    pub(crate) fn write_cache(&mut self, key: &str, data: Vec<u8>) {
        self.cache.insert(key.to_owned(), Some(data.clone()));
        self.writes.push(Request::WriteCache {
            key: key.to_owned(),
            data,
        });
    }

    /// What the server said.
    pub(crate) fn read_remote(&self, path: &str) -> Result<&Result<Vec<u8>, Refusal>, Stop> {
        let asked = || {
            Stop::Ask(vec![Request::ReadRemote {
                path: path.to_owned(),
            }])
        };
        self.remote.get(path).ok_or_else(asked)
    }

    /// Forgets what the server sent, so that a long operation does not keep everything it has read.
    pub(crate) fn forget_remote(&mut self) {
        self.remote.clear();
    }

    /// The data the server sent, or its refusal as an error. It is forgotten here.
    pub(crate) fn take_remote(&mut self, path: &str) -> Result<Vec<u8>, Stop> {
        self.read_remote(path)?;
        let data = self.remote.remove(path).unwrap_or_else(|| Ok(Vec::new()));
        data.map_err(|Refusal { absent, source }| {
            let path = path.to_owned();
            Error::Remote {
                path,
                absent,
                source,
            }
            .into()
        })
    }
}

pub(crate) fn tile_cache_key(client: &Client, tile: Tile) -> String {
    format!("{}/{}", client.name(), tile.path())
}
