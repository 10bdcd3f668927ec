//! [`Session`]: what one client is at, and what it will ask for next. Without input or output.
//!
//! A client's own go.mod file never passes through here: only those of its dependencies do, and their requirements
//! tell what comes next. What is known for sure is fetched at once; what is only likely keeps within a window that
//! opens with every guess that was right, so that waste is bounded by what was of use.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use gomod::ModuleVersion;
use gomod::mvs::{Graph, Node, NodeId, Requirement, Summary};
use store::{FileKey, FileKind};

/// More modules than this are not followed for one client.
const MOST_NODES: usize = 20_000;
/// More requirements than this are not.
const MOST_EDGES: usize = 2_000_000;
/// What is known of a module and of a requirement takes about so much memory, in bytes.
const NODE_BYTES: usize = 700;
const EDGE_BYTES: usize = 8;
/// Of so many files that were of use, one more may be fetched ahead than at first.
const WINDOW_GROWTH: usize = 8;
/// The most files of a kind that wait for the client.
const WINDOW_LIMIT: usize = 64;
/// The most `.info` files that wait for a client that builds: it asks for all of them, and they are tiny.
const INFO_LIMIT: usize = 1_024;

/// How many files of a kind may be there before the client has asked for them.
#[derive(Debug, Clone, Copy)]
struct Window {
    at_first: usize,
    /// Fetched ahead, or on the way, and not asked for yet.
    ahead: usize,
    /// Fetched ahead, and then asked for.
    used: usize,
}

impl Window {
    const fn new(at_first: usize) -> Self {
        Self {
            at_first,
            ahead: 0,
            used: 0,
        }
    }

    fn is_open(&self) -> bool {
        self.ahead < (self.at_first + self.used / WINDOW_GROWTH).min(WINDOW_LIMIT)
    }
}

/// What is known of one version.
#[derive(Debug, Clone, Copy, Default)]
struct Knowledge {
    /// The client asked for it: bits by kind.
    asked: u8,
    /// It was fetched ahead, is on the way, is stored, or cannot be had: bits by kind.
    handled: u8,
    /// The requirements are in the graph.
    learned: bool,
    /// The module is from before graph pruning: whoever reads its go.mod file reads all that it leads to.
    unpruned: bool,
    /// The client reads its go.mod file and all that it leads to.
    whole: bool,
}

/// A zip that may be wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Zip {
    /// Of this version.
    Of(NodeId),
    /// Of the version of this module that is selected by then.
    Selected(Arc<str>),
}

fn bit(kind: FileKind) -> u8 {
    match kind {
        FileKind::Info => 1,
        FileKind::Mod => 2,
        FileKind::Zip => 4,
    }
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    graph: Graph,
    known: HashMap<NodeId, Knowledge>,
    /// go.mod files that the client will ask for.
    certain: VecDeque<NodeId>,
    /// Paths whose selected version's go.mod file the client may ask for.
    likely: BTreeSet<Arc<str>>,
    /// Versions whose `.info` the client may ask for.
    infos: BTreeSet<Arc<str>>,
    /// Versions whose `.info` the client will ask for once it asks for any: it has their zips.
    built: VecDeque<NodeId>,
    /// Zips that the client may ask for, in the order in which it came upon them.
    zips: VecDeque<Zip>,
    queued_zips: HashSet<Zip>,
    /// What the packages of a version import, as far as its go.mod file tells: what it requires without `// indirect`.
    imports: HashMap<NodeId, Vec<Arc<str>>>,
    /// Where the client is in the order of paths, by kind.
    cursors: [Option<Arc<str>>; 3],
    windows: [Window; 3],
    /// Files fetched ahead that the client has not asked for; bytes as soon as they are known.
    unused: HashMap<FileKey, u64>,
    unused_zip_bytes: u64,
    /// The same of before the session was [renewed](Self::renew).
    unused_before: HashMap<FileKey, u64>,
    /// The client reads the module graph, and not only go.mod files of modules whose packages it has.
    walks: bool,
    asks_infos: bool,
    asks_zips: bool,
}

fn index(kind: FileKind) -> usize {
    match kind {
        FileKind::Info => 0,
        FileKind::Mod => 1,
        FileKind::Zip => 2,
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            graph: Graph::new(),
            known: HashMap::new(),
            certain: VecDeque::new(),
            likely: BTreeSet::new(),
            infos: BTreeSet::new(),
            built: VecDeque::new(),
            zips: VecDeque::new(),
            queued_zips: HashSet::new(),
            imports: HashMap::new(),
            cursors: [None, None, None],
            windows: [Window::new(32), Window::new(12), Window::new(12)],
            unused: HashMap::new(),
            unused_zip_bytes: 0,
            unused_before: HashMap::new(),
            walks: false,
            asks_infos: false,
            asks_zips: false,
        }
    }
}

impl Session {
    /// Whether no more can be followed.
    pub(crate) fn is_full(&self) -> bool {
        self.graph.len() > MOST_NODES || self.graph.edges() > MOST_EDGES
    }

    /// How many modules are known.
    pub(crate) fn len(&self) -> usize {
        self.graph.len()
    }

    /// What all that is known takes, in bytes, about.
    pub(crate) fn memory(&self) -> usize {
        self.graph.len() * NODE_BYTES + self.graph.edges() * EDGE_BYTES
    }

    /// Begins anew. What was fetched ahead may be asked for until the next time; gives back the bytes of what was not.
    pub(crate) fn renew(&mut self) -> u64 {
        let before = std::mem::take(self);
        self.unused_before = before.unused;
        before.unused_before.values().sum()
    }

    /// The client asks for a file. Gives back the bytes of it that were fetched ahead, if it was.
    pub(crate) fn asked(&mut self, module: &ModuleVersion, kind: FileKind) -> Option<u64> {
        let node = Node::release(module.path().as_str(), module.version().clone());
        let path = node_path(&node);
        let id = match self.graph.id(&node) {
            Some(id) => id,
            None if self.is_full() => return None,
            None => self.graph.add_root(node),
        };
        let before = self.knowledge(id);
        let known = self.known.entry(id).or_default();
        known.asked |= bit(kind);
        self.cursors[index(kind)] = Some(path);
        match kind {
            FileKind::Mod => {
                if before.asked & bit(FileKind::Zip) == 0 && before.asked & bit(FileKind::Info) == 0
                {
                    self.walks = true;
                }
                if before.learned && before.unpruned && self.walks {
                    self.follow_all(id);
                }
                self.infos.insert(Arc::from(module.path().as_str()));
            }
            FileKind::Info => {
                self.asks_infos = true;
                self.want_mod(id);
                self.want_zip(Zip::Of(id));
            }
            FileKind::Zip => {
                self.asks_zips = true;
                self.want_mod(id);
                self.infos.insert(Arc::from(module.path().as_str()));
                if before.asked & bit(FileKind::Info) == 0 {
                    self.built.push_back(id);
                }
                if before.learned {
                    self.follow_zip(id);
                }
            }
        }
        let key = FileKey::of(module, kind);
        let Some(bytes) = self.unused.remove(&key) else {
            return self.unused_before.remove(&key);
        };
        let window = &mut self.windows[index(kind)];
        window.ahead -= 1;
        window.used += 1;
        if kind == FileKind::Zip {
            self.unused_zip_bytes -= bytes;
        }
        Some(bytes)
    }

    /// A go.mod file has passed through, or was fetched ahead. `follows`: which of its requirements may be followed.
    pub(crate) fn learned(
        &mut self,
        module: &ModuleVersion,
        summary: &Summary,
        follows: impl Fn(&str) -> bool,
    ) {
        if self.is_full() {
            return;
        }
        let node = Node::release(module.path().as_str(), module.version().clone());
        let Some(id) = self.graph.id(&node) else {
            return;
        };
        if self.knowledge(id).learned {
            return;
        }
        let requires = summary.requires().iter();
        let requires: Vec<&Requirement> = requires
            .filter(|required| follows(&required.path))
            .collect();
        let direct = requires.iter().filter(|required| !required.indirect);
        let direct = direct.map(|required| required.path.clone()).collect();
        self.imports.insert(id, direct);
        self.graph
            .require(id, requires.into_iter().map(Requirement::node));
        let known = self.known.entry(id).or_default();
        known.learned = true;
        known.unpruned = !summary.is_pruned();
        let known = *known;
        let is_read = known.asked & bit(FileKind::Mod) != 0 && self.walks;
        if known.whole || known.unpruned && is_read {
            self.follow_all(id);
        } else {
            for required in self.graph.requires(id).unwrap_or_default() {
                self.likely
                    .extend(self.graph.node(*required).map(node_path));
            }
        }
        if known.asked & bit(FileKind::Zip) != 0 {
            self.follow_zip(id);
        }
    }

    /// The client reads what this version requires, and all that leads to.
    fn follow_all(&mut self, id: NodeId) {
        let mut open: VecDeque<NodeId> = self
            .graph
            .requires(id)
            .unwrap_or_default()
            .iter()
            .copied()
            .collect();
        while let Some(id) = open.pop_front() {
            let known = self.known.entry(id).or_default();
            if std::mem::replace(&mut known.whole, true) {
                continue;
            }
            if known.learned {
                open.extend(self.graph.requires(id).unwrap_or_default());
            } else {
                self.want_mod(id);
            }
        }
    }

    fn want_mod(&mut self, id: NodeId) {
        if self.is_open(id, FileKind::Mod) {
            self.certain.push_back(id);
        }
    }

    fn want_zip(&mut self, zip: Zip) {
        if self.queued_zips.insert(zip.clone()) {
            self.zips.push_back(zip);
        }
    }

    /// The client compiles this version: what it imports comes next, unless the client says itself what it wants. `go`
    /// goes from package to package in the order in which it comes upon them, and so do the zips here; what a version
    /// requires with `// indirect` is imported by others, and comes up there.
    fn follow_zip(&mut self, id: NodeId) {
        if self.asks_infos {
            return;
        }
        for path in self.imports.get(&id).cloned().unwrap_or_default() {
            self.want_zip(Zip::Selected(path));
        }
    }

    /// What to fetch next; it counts as under way from now on. `room`: bytes of zips that may wait for the client.
    pub(crate) fn next(&mut self, room: u64) -> Option<FileKey> {
        self.next_certain()
            .or_else(|| self.next_info())
            .or_else(|| self.next_zip(room))
            .or_else(|| self.next_likely())
    }

    fn next_certain(&mut self) -> Option<FileKey> {
        while let Some(id) = self.certain.pop_front() {
            if self.is_open(id, FileKind::Mod) {
                return self.take(id, FileKind::Mod);
            }
        }
        None
    }

    fn next_info(&mut self) -> Option<FileKey> {
        if !self.asks_infos {
            return None;
        }
        let kind = FileKind::Info;
        while self.windows[index(kind)].ahead < INFO_LIMIT {
            let Some(id) = self.built.pop_front() else {
                break;
            };
            if self.is_open(id, kind) {
                return self.take(id, kind);
            }
        }
        while self.windows[index(kind)].is_open() {
            let path = after(&self.infos, self.cursors[index(kind)].as_ref())?;
            self.infos.remove(&path);
            let id = self.graph.selected(&path)?;
            let asked = self.knowledge(id).asked & (bit(FileKind::Mod) | bit(FileKind::Zip)) != 0;
            if asked && self.is_open(id, kind) {
                return self.take(id, kind);
            }
        }
        None
    }

    fn next_zip(&mut self, room: u64) -> Option<FileKey> {
        if !self.asks_zips || self.unused_zip_bytes >= room {
            return None;
        }
        let kind = FileKind::Zip;
        while self.windows[index(kind)].is_open() {
            let id = match self.zips.pop_front()? {
                Zip::Of(id) => Some(id).filter(|id| self.graph.is_selected(*id)),
                Zip::Selected(path) => self.graph.selected(&path),
            };
            let Some(id) = id else {
                continue;
            };
            if self.is_open(id, kind) {
                // Whoever compiles a module reads its go.mod file, too.
                self.want_mod(id);
                return self.take(id, kind);
            }
        }
        None
    }

    fn next_likely(&mut self) -> Option<FileKey> {
        if !self.walks {
            return None;
        }
        let kind = FileKind::Mod;
        while self.windows[index(kind)].is_open() {
            let path = after(&self.likely, self.cursors[index(kind)].as_ref())?;
            self.likely.remove(&path);
            let id = self.graph.selected(&path)?;
            if self.is_open(id, kind) {
                return self.take(id, kind);
            }
        }
        None
    }

    fn knowledge(&self, id: NodeId) -> Knowledge {
        self.known.get(&id).copied().unwrap_or_default()
    }

    /// Neither asked for nor fetched.
    fn is_open(&self, id: NodeId, kind: FileKind) -> bool {
        let known = self.knowledge(id);
        (known.asked | known.handled) & bit(kind) == 0
    }

    fn take(&mut self, id: NodeId, kind: FileKind) -> Option<FileKey> {
        self.known.entry(id).or_default().handled |= bit(kind);
        let module = self.graph.node(id)?.module_version()?;
        let key = FileKey::of(&module, kind);
        self.unused.insert(key.clone(), 0);
        self.windows[index(kind)].ahead += 1;
        Some(key)
    }

    /// A file that was to be fetched ahead came in, and has so many bytes. False if the client has asked for it by now.
    pub(crate) fn fetched(&mut self, key: &FileKey, bytes: u64) -> bool {
        let Some(unused) = self.unused.get_mut(key) else {
            let before = self.unused_before.get_mut(key);
            return before.map(|unused| *unused = bytes).is_some();
        };
        *unused = bytes;
        if key.kind == FileKind::Zip {
            self.unused_zip_bytes += bytes;
        }
        true
    }

    /// A file that was to be fetched ahead was there already, or cannot be had: nothing was spent on it.
    pub(crate) fn spared(&mut self, key: &FileKey) {
        if self.unused.remove(key).is_some() {
            self.windows[index(key.kind)].ahead -= 1;
        }
        self.unused_before.remove(key);
    }

    /// Bytes fetched ahead for nothing, as far as is known.
    pub(crate) fn unused_bytes(&self) -> u64 {
        let unused = self.unused.values().chain(self.unused_before.values());
        unused.sum()
    }
}

fn node_path(node: &Node) -> Arc<str> {
    Arc::from(node.path())
}

/// The first path behind the cursor, or the very first: clients go through their lists in order.
fn after(paths: &BTreeSet<Arc<str>>, cursor: Option<&Arc<str>>) -> Option<Arc<str>> {
    let behind = cursor.and_then(|cursor| {
        let range = (Bound::Excluded(Arc::clone(cursor)), Bound::Unbounded);
        paths.range::<Arc<str>, _>(range).next()
    });
    behind.or_else(|| paths.first()).cloned()
}

#[cfg(test)]
mod tests;
