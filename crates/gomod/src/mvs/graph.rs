//! [`Graph`]: requirements between versions of modules, and what is selected.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::node::Node;

/// Names a node of one [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// A module graph that grows: of each path the highest version seen is selected.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Entry>,
    ids: HashMap<Node, NodeId>,
    selected: HashMap<Arc<str>, NodeId>,
    roots: Vec<NodeId>,
    edges: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    node: Node,
    /// `None` while the requirements are not known, or left out by graph pruning.
    requires: Option<Box<[NodeId]>>,
}

impl Graph {
    /// A graph of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root. The build list begins with the roots, in the order they are added.
    pub fn add_root(&mut self, node: Node) -> NodeId {
        let id = self.intern(node);
        self.roots.push(id);
        id
    }

    /// Says what a node requires. What was said of it before holds no longer, but what it required
    /// then stays in the graph.
    pub fn require(&mut self, id: NodeId, requires: impl IntoIterator<Item = Node>) {
        let requires: Box<[NodeId]> = requires.into_iter().map(|node| self.intern(node)).collect();
        let Some(entry) = self.nodes.get_mut(id.0) else {
            return;
        };
        self.edges += requires.len();
        self.edges -= entry.requires.as_ref().map_or(0, |before| before.len());
        entry.requires = Some(requires);
    }

    fn intern(&mut self, node: Node) -> NodeId {
        if let Some(id) = self.ids.get(&node) {
            return *id;
        }
        let id = NodeId(self.nodes.len());
        let above = self
            .selected
            .get(node.path())
            .and_then(|selected| self.nodes.get(selected.0))
            .is_none_or(|selected| selected.node.compare_version(&node).is_lt());
        if above {
            self.selected.insert(Arc::clone(node.shared_path()), id);
        }
        self.ids.insert(node.clone(), id);
        self.nodes.push(Entry {
            node,
            requires: None,
        });
        id
    }

    /// The nodes so far.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True when there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The requirements so far.
    pub fn edges(&self) -> usize {
        self.edges
    }

    /// The roots, in the order they were added.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// The number of a node, if it is in the graph.
    pub fn id(&self, node: &Node) -> Option<NodeId> {
        self.ids.get(node).copied()
    }

    /// The node with this number; `None` for a number of another graph.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0).map(|entry| &entry.node)
    }

    /// What a node requires, in the order it was said; `None` when that is not known or left out.
    pub fn requires(&self, id: NodeId) -> Option<&[NodeId]> {
        self.nodes.get(id.0)?.requires.as_deref()
    }

    /// The selected version of a path.
    pub fn selected(&self, path: &str) -> Option<NodeId> {
        self.selected.get(path).copied()
    }

    /// True when this node is the selected one of its path.
    pub fn is_selected(&self, id: NodeId) -> bool {
        self.node(id)
            .is_some_and(|node| self.selected(node.path()) == Some(id))
    }

    /// The selected node of each path: those of the roots first, the others sorted by path.
    pub fn build_list(&self) -> Vec<&Node> {
        let mut seen = HashSet::new();
        let mut list = Vec::with_capacity(self.selected.len());
        for root in self.roots.iter().filter_map(|id| self.node(*id)) {
            if seen.insert(root.path()) {
                list.extend(self.selected(root.path()).and_then(|id| self.node(id)));
            }
        }
        let first = list.len();
        list.extend(
            self.selected
                .iter()
                .filter(|(path, _)| !seen.contains(&***path))
                .filter_map(|(_, id)| self.node(*id)),
        );
        list[first..].sort_unstable_by(|a, b| a.path().cmp(b.path()));
        list
    }

    /// Every node that the roots lead to, selected or not, nearest first.
    pub fn breadth_first(&self) -> Vec<NodeId> {
        let mut seen = vec![false; self.nodes.len()];
        let mut order = Vec::new();
        let mut queue: VecDeque<NodeId> = self.roots.iter().copied().collect();
        while let Some(id) = queue.pop_front() {
            let Some(seen) = seen.get_mut(id.0) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                continue;
            }
            order.push(id);
            queue.extend(self.requires(id).unwrap_or_default());
        }
        order
    }

    /// A shortest chain of requirements from a root to `target`, both included; empty when no root
    /// leads there.
    pub fn chain_to(&self, target: NodeId) -> Vec<NodeId> {
        let mut reached_from: HashMap<NodeId, Option<NodeId>> = HashMap::new();
        let mut queue = VecDeque::new();
        for root in &self.roots {
            if reached_from.insert(*root, None).is_none() {
                queue.push_back(*root);
            }
        }
        while let Some(id) = queue.pop_front() {
            if id == target {
                let mut chain = vec![id];
                let mut at = id;
                while let Some(Some(before)) = reached_from.get(&at) {
                    chain.push(*before);
                    at = *before;
                }
                chain.reverse();
                return chain;
            }
            for required in self.requires(id).unwrap_or_default() {
                reached_from.entry(*required).or_insert_with(|| {
                    queue.push_back(*required);
                    Some(id)
                });
            }
        }
        Vec::new()
    }
}
