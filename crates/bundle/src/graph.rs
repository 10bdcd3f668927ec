//! Which go.mod files and which zips a module graph needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use gomod::ModuleVersion;
use gomod::modfile::{ModFile, WorkFile};
use gomod::mvs::{Cause, Limits, Loader, MainModules, Member, Node, Scope, Source, Summary};

use crate::BundleError;
use crate::select::{read_if_there, selection};

/// Where module graphs begin: a project, or a version taken for one.
#[derive(Debug)]
pub(crate) struct Project {
    /// What errors name.
    name: String,
    /// What directories are relative to.
    base: PathBuf,
    mains: MainModules,
    /// The paths whose zips are needed; `None`: all that are selected.
    listed: Option<BTreeSet<String>>,
}

/// What a graph needs.
#[derive(Debug, Default)]
pub(crate) struct Needed {
    pub(crate) zips: BTreeSet<ModuleVersion>,
    pub(crate) go_mods: BTreeSet<ModuleVersion>,
}

impl Project {
    /// The module of a go.mod file.
    pub(crate) fn single(path: &Path, file: &ModFile) -> Result<Self, BundleError> {
        let base = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Self::of(path.display().to_string(), base, file)
    }

    /// A version, as if it were the main module.
    pub(crate) fn version(module: &ModuleVersion, go_mod: &[u8]) -> Result<Self, BundleError> {
        // Its replacements and exclusions count for nobody else, and are not read.
        let file = ModFile::parse_lax(&format!("{module}/go.mod"), go_mod)
            .map_err(|error| selection(module, error))?;
        Self::of(module.to_string(), PathBuf::new(), &file)
    }

    fn of(name: String, base: PathBuf, file: &ModFile) -> Result<Self, BundleError> {
        let mains = MainModules::single(file).map_err(|error| selection(&name, error))?;
        // From go 1.17 on a go.mod file lists every module that provides a package.
        let is_complete = gomod::gover::compare(file.go_version(), "1.17").is_ge();
        let listed = is_complete.then(|| {
            let requires = file.require().iter();
            requires.map(|require| require.path.clone()).collect()
        });
        Ok(Self {
            name,
            base,
            mains,
            listed,
        })
    }

    /// A workspace: its members with their directories.
    pub(crate) fn workspace(
        path: &Path,
        work: &WorkFile,
        members: &[(String, ModFile)],
    ) -> Result<Self, BundleError> {
        let name = path.display().to_string();
        let listed: Vec<Member<'_>> = members
            .iter()
            .map(|(directory, file)| Member { directory, file })
            .collect();
        let mains =
            MainModules::workspace(work, &listed).map_err(|error| selection(&name, error))?;
        Ok(Self {
            name,
            base: path.parent().unwrap_or(Path::new("")).to_path_buf(),
            mains,
            listed: None,
        })
    }

    /// Walks the graph; `fetch` gives the go.mod file of a version.
    pub(crate) async fn needed<F>(
        &self,
        at_a_time: usize,
        fetch: impl Fn(ModuleVersion) -> F,
    ) -> Result<Needed, BundleError>
    where
        F: Future<Output = Result<Vec<u8>, BundleError>>,
    {
        let mut loader = Loader::new(self.mains.clone(), Scope::All, Limits::default());
        let mut needed = Needed::default();
        let mut waiting = loader.take_wanted();
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < at_a_time
                && let Some(wanted) = waiting.pop()
            {
                match wanted {
                    Source::Directory(ref directory) => {
                        loader.feed(&wanted, self.read_local(directory));
                        waiting.extend(loader.take_wanted());
                    }
                    Source::Module(module) => {
                        needed.go_mods.insert(module.clone());
                        let fetching = fetch(module.clone());
                        under_way.push(async move { (module, fetching.await) });
                    }
                }
            }
            let Some((module, fetched)) = under_way.next().await else {
                break;
            };
            loader.feed_text(&Source::Module(module), &fetched?);
            waiting.extend(loader.take_wanted());
        }
        let outcome = loader.finish();
        if let Some(failure) = outcome.failures().first() {
            return Err(selection(
                &self.name,
                format_args!("{}: {}", failure.node, failure.cause),
            ));
        }
        let selected = outcome.build_list().into_iter().filter(|node| {
            let listed = self.listed.as_ref();
            listed.is_none_or(|listed| listed.contains(node.path()))
        });
        needed.zips = selected.filter_map(|node| self.source_of(node)).collect();
        Ok(needed)
    }

    fn read_local(&self, directory: &str) -> Result<Arc<Summary>, Cause> {
        let path = self.base.join(directory).join("go.mod");
        let file = read_if_there(&path).map_err(|error| Cause::Unavailable(error.to_string()))?;
        let file =
            file.ok_or_else(|| Cause::Unavailable(format!("{} is missing", path.display())))?;
        Summary::parse(&file)
            .map(Arc::new)
            .map_err(|error| Cause::Malformed(error.to_string()))
    }

    /// The version that is downloaded for a node. `None`: nothing is.
    fn source_of(&self, node: &Node) -> Option<ModuleVersion> {
        node.release_version()?;
        match self.mains.source(node) {
            Ok(Source::Module(module)) => Some(module),
            Ok(Source::Directory(_)) | Err(_) => None,
        }
    }
}
