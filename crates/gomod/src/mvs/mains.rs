//! [`MainModules`]: where the walk begins, and what the main modules decide for all others.

use std::collections::{BTreeSet, HashSet};

use super::node::Node;
use super::outcome::{Cause, Outcome};
use super::replace::{Replacements, Source, own_source, source_of};
use super::summary::{Requirement, Summary, is_pruned};
use crate::modfile::{Exclude, ModFile, Replacement, WorkFile};
use crate::version::{ModuleVersion, Version};

/// Why there is nothing to begin with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MainError {
    /// A main module's go.mod file has no module line.
    #[error("{0}go.mod has no module line")]
    NoModuleLine(String),
    /// Two members of a workspace have the same path.
    #[error("module {0} appears multiple times in workspace")]
    Duplicate(String),
    /// One module is to be replaced by two different things.
    #[error("conflicting replacements for {0}")]
    ConflictingReplacements(String),
    /// The go.work file replaces a member by something else.
    #[error("workspace module {0} is replaced at all versions in the go.work file")]
    MemberReplaced(String),
}

impl MainError {
    pub(super) fn conflicting(path: &str, version: Option<&Version>) -> Self {
        Self::ConflictingReplacements(match version {
            Some(version) => format!("{path}@{version}"),
            None => path.to_owned(),
        })
    }
}

/// A member of a workspace.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Where it lies, relative to the go.work file or rooted, with slashes.
    pub directory: &'a str,
    /// Its go.mod file.
    pub file: &'a ModFile,
}

/// One main module, or the members of a workspace, with what they replace and exclude.
#[derive(Debug, Clone)]
pub struct MainModules {
    pub(super) kind: Kind,
    mains: Vec<Main>,
    /// The replace directives of the go.work file.
    work: Replacements,
    excluded: HashSet<Node>,
}

/// How the requirements of the main modules are taken.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// One module that lists everything its packages need.
    Pruned,
    /// One module from before graph pruning.
    Unpruned,
    /// A workspace: its Go version and toolchain.
    Workspace(Vec<Node>),
}

#[derive(Debug, Clone)]
struct Main {
    node: Node,
    summary: Summary,
    toolchain: Option<String>,
    replacements: Replacements,
}

impl Main {
    fn read(file: &ModFile, base: &str) -> Result<Self, MainError> {
        let path = file
            .module()
            .map(|module| module.path.as_str())
            .filter(|path| !path.is_empty())
            .ok_or_else(|| {
                let slash = if base.is_empty() { "" } else { "/" };
                MainError::NoModuleLine(format!("{base}{slash}"))
            })?;
        Ok(Self {
            node: Node::main(path),
            summary: Summary::of(file),
            toolchain: file.toolchain().map(|toolchain| toolchain.name.clone()),
            replacements: Replacements::read(file.replace(), base)?,
        })
    }
}

impl MainModules {
    /// A single main module, outside a workspace. Directories are relative to it.
    pub fn single(file: &ModFile) -> Result<Self, MainError> {
        let main = Main::read(file, "")?;
        Ok(Self {
            kind: if is_pruned(file.go_version()) {
                Kind::Pruned
            } else {
                Kind::Unpruned
            },
            mains: vec![main],
            work: Replacements::default(),
            excluded: excluded(file).collect(),
        })
    }

    /// The members of a workspace. Directories are relative to the go.work file.
    pub fn workspace(work: &WorkFile, members: &[Member<'_>]) -> Result<Self, MainError> {
        let toolchain = work
            .toolchain()
            .map(|toolchain| Node::toolchain(&toolchain.name));
        let mut goes = vec![Node::go(work.go_version())];
        goes.extend(toolchain);
        let mut all = Self {
            kind: Kind::Workspace(goes),
            mains: Vec::with_capacity(members.len()),
            work: Replacements::read(work.replace(), "")?,
            excluded: HashSet::new(),
        };
        for member in members {
            let main = Main::read(member.file, member.directory)?;
            if all.mains.iter().any(|other| other.node == main.node) {
                return Err(MainError::Duplicate(main.node.path().to_owned()));
            }
            if all.work.covers_all_versions_of(main.node.path()) {
                return Err(MainError::MemberReplaced(main.node.path().to_owned()));
            }
            all.excluded.extend(excluded(member.file));
            all.mains.push(main);
        }
        all.check_agreement()?;
        Ok(all)
    }

    /// Members must not replace one thing in different ways, unless the go.work file decides.
    fn check_agreement(&self) -> Result<(), MainError> {
        for (index, main) in self.mains.iter().enumerate() {
            for (path, version, by) in main.replacements.each() {
                let others = self.mains.iter().take(index);
                let differs = others
                    .flat_map(|other| other.replacements.each())
                    .any(|(p, v, other)| p == path && v == version && other != by);
                if differs && !self.work.names(path) {
                    return Err(MainError::conflicting(path, version));
                }
            }
        }
        Ok(())
    }

    /// The main modules.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.mains.iter().map(|main| &main.node)
    }

    /// What a single main module requires, its go and toolchain lines among it, sorted. Empty for a
    /// workspace.
    pub(super) fn roots(&self) -> Vec<Node> {
        let (Kind::Pruned | Kind::Unpruned, [main]) = (&self.kind, self.mains.as_slice()) else {
            return Vec::new();
        };
        let mut roots: Vec<Node> = self.kept(&main.summary).collect();
        roots.push(Node::go(
            main.summary
                .go()
                .unwrap_or(crate::gover::DEFAULT_GO_MOD_VERSION),
        ));
        roots.extend(main.toolchain.as_deref().map(Node::toolchain));
        roots.sort_by(Node::sort_order);
        roots
    }

    /// The go.mod file of a main module.
    pub(super) fn summary(&self, node: &Node) -> Option<&Summary> {
        self.mains
            .iter()
            .find(|main| main.node == *node)
            .map(|main| &main.summary)
    }

    /// The requirements of a file but for those on excluded versions.
    pub(super) fn kept<'a>(&'a self, summary: &'a Summary) -> impl Iterator<Item = Node> + 'a {
        summary
            .requires()
            .iter()
            .map(Requirement::node)
            .filter(|node| !self.excluded.contains(node))
    }

    /// What stands in for a version: the go.work file goes before its members.
    pub fn replacement(
        &self,
        path: &str,
        version: &Version,
    ) -> Result<Option<&Replacement>, Cause> {
        if let Some((_, by)) = self.work.find(path, version) {
            return Ok(Some(by));
        }
        let mut found: Option<(bool, &Replacement)> = None;
        for main in &self.mains {
            let Some((exact, by)) = main.replacements.find(path, version) else {
                continue;
            };
            if found.is_some_and(|(other, before)| other != exact && before != by) {
                return Err(Cause::ConflictingReplacements);
            }
            found = Some((exact, by));
        }
        Ok(found.map(|(_, by)| by))
    }

    /// The module versions whose files `go mod download` fetches: of a main module that takes part in graph
    /// pruning those it requires, else everything that is selected. Replacements stand in for what they replace; what
    /// comes from a directory is left out.
    pub fn downloads(&self, outcome: &Outcome) -> BTreeSet<ModuleVersion> {
        let graph = outcome.graph();
        let selected: Vec<&Node> = match self.kind {
            Kind::Pruned => {
                let roots = self.roots();
                let ids = roots.iter().filter_map(|root| graph.selected(root.path()));
                ids.filter_map(|id| graph.node(id)).collect()
            }
            Kind::Unpruned | Kind::Workspace(_) => outcome.build_list(),
        };
        selected
            .into_iter()
            .filter(|node| node.release_version().is_some())
            .filter_map(|node| match self.source(node) {
                Ok(Source::Module(module)) => Some(module),
                Ok(Source::Directory(_)) | Err(_) => None,
            })
            .collect()
    }

    /// Where the content of a version comes from.
    pub fn source(&self, node: &Node) -> Result<Source, Cause> {
        let by = match node.release_version() {
            Some(version) => self.replacement(node.path(), version)?,
            None => None,
        };
        by.map_or_else(|| own_source(node), source_of)
            .ok_or(Cause::NotAModule)
    }
}

fn excluded(file: &ModFile) -> impl Iterator<Item = Node> {
    file.exclude().iter().map(|directive| {
        let Exclude { path, version } = &**directive;
        Node::release(path.as_str(), version.clone())
    })
}
