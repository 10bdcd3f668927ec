//! [`Loader`]: the walk of the module graph, without input or output.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::graph::{Graph, NodeId};
use super::mains::{Kind, MainModules};
use super::node::{Node, NodeVersion};
use super::outcome::{Cause, Failure, Outcome};
use super::replace::Source;
use super::summary::{STRICT, Summary};
use crate::gover;

/// How much of the graph is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything, as for `go list -m all` and `go mod graph`.
    All,
    /// What `go build` reads of a module that takes part in graph pruning, if its go.mod file is in
    /// order: the go.mod files of its requirements, to see that none of them is out of date. When one
    /// is, or could not be read, and for other modules and workspaces, the same as [`Scope::All`].
    Build,
}

/// How large a graph may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Versions of modules.
    pub nodes: usize,
    /// Requirements between them.
    pub edges: usize,
}

impl Default for Limits {
    /// Some ten times the largest graphs known.
    fn default() -> Self {
        Self {
            nodes: 500_000,
            edges: 20_000_000,
        }
    }
}

/// What a module's requirements are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pruning {
    /// Its own requirements matter, theirs only if it does not take part in graph pruning.
    Pruned,
    /// All matters that it leads to.
    Unpruned,
    /// It is a member of a workspace, or required by one: its requirements are read like those of a
    /// main module.
    Workspace,
}

/// What is known of a node's go.mod file.
#[derive(Debug, Clone)]
enum State {
    /// Wanted; what to do when it comes.
    Waiting(Vec<Pruning>),
    Loaded {
        pruned: bool,
    },
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Looks at the go.mod files of the requirements only.
    SpotCheck,
    /// Reads the graph.
    Graph,
    Done,
}

/// The walk: take what it [wants](Self::take_wanted), [feed](Self::feed) it, until it
/// [is done](Self::is_done).
#[derive(Debug)]
pub struct Loader {
    mains: MainModules,
    limits: Limits,
    stage: Stage,
    /// What the single main module requires, raised where need be.
    roots: Vec<Node>,
    only_roots: bool,
    /// Files that came, or what was wrong with them.
    known: HashMap<Source, Result<Arc<Summary>, Cause>>,
    /// Files that are wanted and did not come yet, and for whom.
    awaited: HashMap<Source, Vec<NodeId>>,
    /// Files that the caller was not told of yet.
    wanted: VecDeque<Source>,
    graph: Graph,
    states: HashMap<NodeId, State>,
    visited: HashSet<(NodeId, Pruning)>,
    queue: VecDeque<(NodeId, Pruning)>,
    /// Of a workspace: paths whose dependencies may provide packages of `all`.
    in_all: BTreeSet<Arc<str>>,
    failures: Vec<(NodeId, Option<Source>, Cause)>,
}

impl Loader {
    /// Begins a walk.
    pub fn new(mains: MainModules, scope: Scope, limits: Limits) -> Self {
        let lazy = scope == Scope::Build && matches!(mains.kind, Kind::Pruned);
        let mut loader = Self {
            roots: mains.roots(),
            mains,
            limits,
            stage: if lazy { Stage::SpotCheck } else { Stage::Graph },
            only_roots: false,
            known: HashMap::new(),
            awaited: HashMap::new(),
            wanted: VecDeque::new(),
            graph: Graph::new(),
            states: HashMap::new(),
            visited: HashSet::new(),
            queue: VecDeque::new(),
            in_all: BTreeSet::new(),
            failures: Vec::new(),
        };
        if lazy {
            loader.want_roots();
        } else {
            loader.begin();
        }
        loader.advance();
        loader
    }

    /// The go.mod files that are wanted and were not named before, in the order `go` comes upon them.
    pub fn take_wanted(&mut self) -> Vec<Source> {
        self.wanted.drain(..).collect()
    }

    /// How many go.mod files have been wanted and did not come.
    pub fn outstanding(&self) -> usize {
        self.awaited.len()
    }

    /// True when nothing more is wanted.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Takes a go.mod file, or what is wrong with it. A file that nobody waits for is passed over.
    pub fn feed(&mut self, source: &Source, file: Result<Arc<Summary>, Cause>) {
        let Some(nodes) = self.awaited.remove(source) else {
            return;
        };
        for node in nodes {
            self.arrive(node, Some(source), &file);
        }
        self.known.insert(source.clone(), file);
        self.advance();
    }

    /// Reads a go.mod file and takes it, see [`Loader::feed`].
    pub fn feed_text(&mut self, source: &Source, go_mod: &[u8]) {
        let file = Summary::parse(go_mod)
            .map(Arc::new)
            .map_err(|errors| Cause::Malformed(errors.to_string()));
        self.feed(source, file);
    }

    /// Ends the walk; what has not come by now is missing.
    pub fn finish(mut self) -> Outcome {
        if self.stage == Stage::SpotCheck {
            self.begin();
        }
        let named = |id: &NodeId| self.graph.node(*id).cloned();
        let failures = self.failures.iter();
        let failures = failures
            .filter_map(|(id, from, cause)| {
                Some(Failure {
                    node: named(id)?,
                    chain: self.graph.chain_to(*id).iter().filter_map(named).collect(),
                    from: from.clone(),
                    cause: cause.clone(),
                })
            })
            .collect();
        Outcome {
            failures,
            raised: self.raised(),
            graph: self.graph,
            only_roots: self.only_roots,
        }
    }

    /// Works off what can be done with the files at hand, and goes on to the next stage when all
    /// have come.
    fn advance(&mut self) {
        loop {
            while let Some((node, pruning)) = self.queue.pop_front() {
                self.visit(node, pruning);
            }
            if !self.awaited.is_empty() {
                return;
            }
            match self.stage {
                Stage::SpotCheck if self.roots_are_consistent() => {
                    self.only_roots = true;
                    self.graph = self.graph_of_roots();
                    self.stage = Stage::Done;
                }
                Stage::SpotCheck => self.begin(),
                Stage::Graph => {
                    if !self.go_on() {
                        self.stage = Stage::Done;
                    }
                }
                Stage::Done => return,
            }
        }
    }

    /// Wants the go.mod files of the requirements of the main module, for the spot check.
    fn want_roots(&mut self) {
        let sources: Vec<Source> = self
            .roots
            .iter()
            .filter(|root| !root.is_toolchain())
            .filter_map(|root| self.mains.source(root).ok())
            .collect();
        for source in sources {
            if !self.awaited.contains_key(&source) {
                self.awaited.insert(source.clone(), Vec::new());
                self.wanted.push_back(source);
            }
        }
    }

    /// True when no requirement of the main module requires a higher version of another (Go's
    /// `spotCheckRoots`).
    fn roots_are_consistent(&self) -> bool {
        let roots = self.graph_of_roots();
        let mains: HashSet<&str> = self.mains.nodes().map(Node::path).collect();
        let below = |required: &Node| {
            let root = roots
                .selected(required.path())
                .and_then(|id| roots.node(id));
            root.is_some_and(|root| root.compare_version(required).is_lt())
        };
        self.roots.iter().all(|root| {
            if root.is_toolchain() || mains.contains(root.path()) {
                return !mains.contains(root.path());
            }
            let source = self.mains.source(root);
            let file = source.ok().and_then(|source| self.known.get(&source));
            let Some(Ok(summary)) = file else {
                return false;
            };
            check(&self.mains, root, summary).is_ok()
                && self.mains.kept(summary).all(|required| !below(&required))
                && summary.go_node().is_none_or(|go| !below(&go))
        })
    }

    fn graph_of_roots(&self) -> Graph {
        let mut graph = Graph::new();
        for main in self.mains.nodes() {
            let id = graph.add_root(main.clone());
            graph.require(id, self.roots.iter().cloned());
        }
        graph
    }

    /// Begins to read the graph, from the roots as they are now.
    fn begin(&mut self) {
        self.stage = Stage::Graph;
        self.states.clear();
        self.visited.clear();
        self.failures.clear();
        if let Kind::Workspace(goes) = &self.mains.kind {
            self.graph = Graph::new();
            let mut roots: Vec<Node> = self.mains.nodes().chain(goes).cloned().collect();
            roots.sort_by(Node::sort_order);
            for root in roots {
                self.in_all.insert(Arc::clone(root.shared_path()));
                let id = self.graph.add_root(root);
                self.enqueue(id, Pruning::Workspace);
            }
            return;
        }
        self.graph = self.graph_of_roots();
        let pruning = match self.mains.kind {
            Kind::Unpruned => Pruning::Unpruned,
            Kind::Pruned | Kind::Workspace(_) => Pruning::Pruned,
        };
        let main = self.graph.roots().first().copied();
        let roots = main.and_then(|main| self.graph.requires(main));
        for root in roots.unwrap_or_default().to_vec() {
            self.enqueue(root, pruning);
        }
    }

    fn enqueue(&mut self, node: NodeId, pruning: Pruning) {
        if self.visited.insert((node, pruning)) {
            self.queue.push_back((node, pruning));
        }
    }

    fn visit(&mut self, id: NodeId, pruning: Pruning) {
        match self.states.get_mut(&id) {
            Some(State::Waiting(then)) => then.push(pruning),
            Some(State::Loaded { pruned }) => {
                let pruned = *pruned;
                self.expand(id, pruning, pruned);
            }
            Some(State::Failed) => {}
            None => {
                self.states.insert(id, State::Waiting(vec![pruning]));
                self.load(id);
            }
        }
    }

    /// Finds the go.mod file of a node, or wants it.
    fn load(&mut self, id: NodeId) {
        let Some(node) = self.graph.node(id).cloned() else {
            return;
        };
        match node.version() {
            NodeVersion::Go(version) => {
                // So that a lower toolchain means a lower Go.
                let toolchain = gover::compare(version, STRICT)
                    .is_ge()
                    .then(|| Node::toolchain(&format!("go{version}")));
                return self.loaded(id, toolchain, true);
            }
            NodeVersion::Toolchain(_) => return self.loaded(id, None, true),
            NodeVersion::Main => {
                if let Some(summary) = self.mains.summary(&node) {
                    let summary = Arc::new(summary.clone());
                    return self.take(id, &summary);
                }
            }
            NodeVersion::Release(_) => {}
        }
        if self.graph.len() > self.limits.nodes || self.graph.edges() > self.limits.edges {
            return self.fail(id, None, Cause::TooLarge);
        }
        let source = match self.mains.source(&node) {
            Ok(source) => source,
            Err(cause) => return self.fail(id, None, cause),
        };
        if let Some(file) = self.known.get(&source).cloned() {
            return self.arrive(id, Some(&source), &file);
        }
        let waiting = self.awaited.entry(source.clone()).or_insert_with(|| {
            self.wanted.push_back(source);
            Vec::new()
        });
        waiting.push(id);
    }

    fn arrive(&mut self, id: NodeId, source: Option<&Source>, file: &Result<Arc<Summary>, Cause>) {
        let Some(node) = self.graph.node(id) else {
            return;
        };
        let checked = file
            .as_ref()
            .map_err(Cause::clone)
            .and_then(|summary| check(&self.mains, node, summary).map(|()| Arc::clone(summary)));
        match checked {
            Ok(summary) => self.take(id, &summary),
            Err(cause) => self.fail(id, source, cause),
        }
    }

    fn take(&mut self, id: NodeId, summary: &Summary) {
        let requires: Vec<Node> = self.mains.kept(summary).chain(summary.go_node()).collect();
        self.loaded(id, requires, summary.is_pruned());
    }

    fn loaded(&mut self, id: NodeId, requires: impl IntoIterator<Item = Node>, pruned: bool) {
        self.graph.require(id, requires);
        let before = self.states.insert(id, State::Loaded { pruned });
        if let Some(State::Waiting(then)) = before {
            for pruning in then {
                self.expand(id, pruning, pruned);
            }
        }
    }

    fn fail(&mut self, id: NodeId, source: Option<&Source>, cause: Cause) {
        self.states.insert(id, State::Failed);
        self.failures.push((id, source.cloned(), cause));
    }

    /// Follows the requirements of a node as far as graph pruning lets them count.
    fn expand(&mut self, id: NodeId, pruning: Pruning, pruned: bool) {
        if pruning == Pruning::Pruned && pruned {
            return;
        }
        let next = if pruned && pruning != Pruning::Unpruned {
            Pruning::Pruned
        } else {
            Pruning::Unpruned
        };
        let requires = self.graph.requires(id).unwrap_or_default().to_vec();
        for required in requires {
            self.enqueue(required, next);
        }
    }

    /// What comes when all files wanted so far are there; false when that was all.
    fn go_on(&mut self) -> bool {
        match self.mains.kind {
            Kind::Workspace(_) => self.reload_upgraded(),
            Kind::Pruned => self.raise_roots(),
            Kind::Unpruned => false,
        }
    }

    /// In a workspace one member may raise what another requires; what is selected then is read like
    /// a requirement of a main module, as its own may provide packages too.
    fn reload_upgraded(&mut self) -> bool {
        let mut more: Vec<NodeId> = Vec::new();
        for path in &self.in_all {
            let Some(selected) = self.graph.selected(path) else {
                continue;
            };
            if !self.visited.contains(&(selected, Pruning::Workspace)) {
                more.push(selected);
                continue;
            }
            for required in self.graph.requires(selected).unwrap_or_default() {
                let path = self.graph.node(*required).map(Node::path);
                let highest = path.and_then(|path| self.graph.selected(path));
                let raised = highest.filter(|highest| highest != required);
                more.extend(raised.filter(|id| !self.visited.contains(&(*id, Pruning::Workspace))));
            }
        }
        for id in &more {
            if let Some(node) = self.graph.node(*id) {
                self.in_all.insert(Arc::clone(node.shared_path()));
            }
            self.enqueue(*id, Pruning::Workspace);
        }
        !more.is_empty()
    }

    /// When the graph selects a higher version of a requirement of the main module, the walk begins
    /// anew from there, as that may lead to more. Each round raises something, so there is an end.
    fn raise_roots(&mut self) -> bool {
        if !self.failures.is_empty() {
            return false;
        }
        let mut seen: HashSet<&str> = self.mains.nodes().map(Node::path).collect();
        let mut roots = Vec::with_capacity(self.roots.len());
        for root in &self.roots {
            if seen.insert(root.path()) {
                let selected = self.graph.selected(root.path());
                roots.extend(selected.and_then(|id| self.graph.node(id)).cloned());
            }
        }
        let again = roots != self.roots;
        self.roots = roots;
        if again {
            self.begin();
        }
        again
    }

    /// The requirements of the main module that are not selected, and what is.
    fn raised(&self) -> Vec<(Node, Node)> {
        let roots = self.mains.roots().into_iter();
        roots
            .filter_map(|root| {
                let selected = self.graph.selected(root.path())?;
                let selected = self.graph.node(selected)?;
                (*selected != root).then(|| (root, selected.clone()))
            })
            .collect()
    }
}

/// A file that was fetched must be about the module it was fetched for. That of a directory may be
/// about anything (Go's `goModSummary`).
fn check(mains: &MainModules, node: &Node, summary: &Summary) -> Result<(), Cause> {
    let Source::Module(actual) = mains.source(node)? else {
        return Ok(());
    };
    let declared = summary.module().ok_or(Cause::NoModuleLine)?;
    if declared != node.path() && declared != actual.path().as_str() {
        return Err(Cause::OtherModule {
            declared: declared.to_owned(),
            required: node.path().to_owned(),
        });
    }
    Ok(())
}
