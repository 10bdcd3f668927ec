//! Which modules there are, and what each of their releases requires.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) const WORDS: [&str; 24] = [
    "anchor", "basin", "cedar", "delta", "ember", "fjord", "grove", "harbor", "inlet", "jetty",
    "knoll", "lagoon", "meadow", "narrow", "orchard", "prairie", "quarry", "ridge", "summit",
    "tundra", "upland", "valley", "willow", "yard",
];

/// A module, known by its index.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// In ascending order.
    pub(crate) releases: Vec<Release>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `go 1.21`: its go.mod lists everything its packages need.
    Pruned,
    /// `go 1.16`: its go.mod lists what it imports itself.
    Unpruned,
    /// No go.mod at all: a leaf, with versions `v3.x.y+incompatible`.
    Incompatible,
    /// Never released: a leaf with pseudo-versions.
    Untagged,
}

#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) version: String,
    /// What its package imports, with the version its author asked for.
    pub(crate) imports: Vec<Choice>,
    /// What its go.mod requires.
    pub(crate) requires: Vec<Requirement>,
}

/// A release of a node, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Choice {
    pub(crate) node: usize,
    pub(crate) release: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Requirement {
    pub(crate) choice: Choice,
    pub(crate) indirect: bool,
}

/// The modules made so far, all of them after the one that is made now.
#[derive(Default)]
struct Later {
    nodes: BTreeMap<usize, Node>,
}

/// Makes so many modules. A module requires only later ones: they are made from the last to the first, each on top of
/// what is there.
pub(crate) fn generate(random: &mut fastrand::Rng, count: usize) -> Vec<Node> {
    let mut later = Later::default();
    for index in (0..count).rev() {
        let node = later.node(random, index, count);
        later.nodes.insert(index, node);
    }
    later.nodes.into_values().collect()
}

impl Later {
    fn node(&self, random: &mut fastrand::Rng, index: usize, count: usize) -> Node {
        let leaf = index * 10 >= count * 8;
        let kind = match random.u8(..20) {
            0 if leaf => Kind::Incompatible,
            1 | 2 if leaf => Kind::Untagged,
            3..6 => Kind::Unpruned,
            _ => Kind::Pruned,
        };
        let (major, suffix) = match (kind, random.u8(..10)) {
            (Kind::Incompatible, _) => (3, ""),
            (Kind::Untagged, _) | (_, 0..2) => (0, ""),
            (_, 2) => (2, "/v2"),
            _ => (1, ""),
        };
        let mut node = Node {
            path: path(random, index, suffix),
            kind,
            releases: Vec::new(),
        };
        let mut imports: Vec<Choice> = Vec::new();
        if !leaf && kind != Kind::Incompatible && kind != Kind::Untagged {
            for _ in 0..random.usize(1..6) {
                self.import(random, index, &mut imports);
            }
        }
        for number in 0..random.usize(1..5) {
            if number > 0 {
                // A later release asks for later versions, and now and then for something more.
                for import in &mut imports {
                    let last = self.nodes[&import.node].releases.len() - 1;
                    import.release = (import.release + random.usize(..2)).min(last);
                }
                if !imports.is_empty() && random.u8(..4) == 0 {
                    self.import(random, index, &mut imports);
                }
            }
            node.releases.push(Release {
                version: version(random, kind, major, number),
                requires: self.requires(kind, &imports),
                imports: imports.clone(),
            });
        }
        node
    }

    /// Adds an import of a later module, often one of the next.
    fn import(&self, random: &mut fastrand::Rng, index: usize, imports: &mut Vec<Choice>) {
        let count = self.nodes.len();
        if count == 0 {
            return;
        }
        let distance = if random.bool() {
            random.usize(..count.min(12))
        } else {
            random.usize(..count)
        };
        let node = index + 1 + distance;
        if imports.iter().all(|import| import.node != node) {
            let release = random.usize(..self.nodes[&node].releases.len());
            imports.push(Choice { node, release });
        }
    }

    /// What `go mod tidy` would write.
    fn requires(&self, kind: Kind, imports: &[Choice]) -> Vec<Requirement> {
        if kind == Kind::Unpruned {
            return imports
                .iter()
                .map(|&choice| Requirement {
                    choice,
                    indirect: false,
                })
                .collect();
        }
        needed(&|node| &self.nodes[&node], imports)
            .into_iter()
            .map(|(node, release)| Requirement {
                choice: Choice { node, release },
                indirect: imports.iter().all(|import| import.node != node),
            })
            .collect()
    }
}

/// Every release that the requirements lead to.
pub(crate) fn reachable<'a>(
    nodes: &dyn Fn(usize) -> &'a Node,
    roots: &[Choice],
) -> BTreeSet<Choice> {
    let mut seen: BTreeSet<Choice> = BTreeSet::new();
    let mut open: Vec<Choice> = roots.to_vec();
    while let Some(choice) = open.pop() {
        if seen.insert(choice) {
            let requires = &nodes(choice.node).releases[choice.release].requires;
            open.extend(requires.iter().map(|requirement| requirement.choice));
        }
    }
    seen
}

/// The modules whose packages the packages of `roots` import, at the versions that minimal version selection gives.
pub(crate) fn needed<'a>(
    nodes: &dyn Fn(usize) -> &'a Node,
    roots: &[Choice],
) -> BTreeMap<usize, usize> {
    // In ascending order, so that the highest release of each module stays.
    let selected: BTreeMap<usize, usize> = reachable(nodes, roots)
        .into_iter()
        .map(|choice| (choice.node, choice.release))
        .collect();
    let mut needed = BTreeMap::new();
    let mut open: Vec<usize> = roots.iter().map(|choice| choice.node).collect();
    while let Some(node) = open.pop() {
        if needed.insert(node, selected[&node]).is_none() {
            let imports = &nodes(node).releases[selected[&node]].imports;
            open.extend(imports.iter().map(|import| import.node));
        }
    }
    needed
}

fn path(random: &mut fastrand::Rng, index: usize, suffix: &str) -> String {
    let host = ["example.com", "example.org", "git.example.net"][random.usize(..3)];
    let owner = ["generated", "Acme", "field-notes"][random.usize(..3)];
    let word = WORDS[random.usize(..WORDS.len())];
    let below = if random.u8(..12) == 0 { "/tools" } else { "" };
    format!("{host}/{owner}/{word}{index:03}{below}{suffix}")
}

fn version(random: &mut fastrand::Rng, kind: Kind, major: u32, number: usize) -> String {
    match kind {
        Kind::Incompatible => format!("v{major}.{number}.0+incompatible"),
        Kind::Untagged => format!(
            "v0.0.0-202{number}0304050607-{:012x}",
            random.u64(..1 << 48)
        ),
        Kind::Pruned | Kind::Unpruned if number == 1 && random.u8(..4) == 0 => {
            format!("v{major}.{number}.0-rc.1")
        }
        Kind::Pruned | Kind::Unpruned => format!("v{major}.{number}.{}", random.u8(..4)),
    }
}
