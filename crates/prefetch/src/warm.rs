//! The run: module graphs are walked, and what builds need is fetched.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use gomod::ModuleVersion;
use gomod::modfile::ModFile;
use gomod::mvs::{self, Cause, Limits, Loader, MainModules, Scope, Summary};
use store::{FileKey, FileKind};

use crate::source::{Got, Source};
use crate::targets::{Project, Targets};

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files done with, whether they could be had or not.
    pub done: usize,
    /// Files known to be needed so far, those done with among them.
    pub known: usize,
    /// Bytes fetched.
    pub bytes: u64,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files fetched.
    pub fetched: usize,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Files that were stored already.
    pub already_there: usize,
    /// What could not be had.
    pub failed: Vec<Failed>,
}

/// Something that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The file, module or project.
    pub what: String,
    /// Why.
    pub cause: String,
}

/// Fetches what `targets` need, `jobs` files at a time. `progress` is told of every file.
pub async fn warm(
    source: &Source,
    targets: Targets,
    jobs: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Report {
    let mut run = Run {
        source,
        jobs: jobs.max(1),
        tell: progress,
        progress: Progress::default(),
        report: Report::default(),
        asked: HashSet::new(),
        summaries: HashMap::new(),
    };
    for (path, project) in &targets.projects {
        let needed = run.walk(&project.mains, Some(project)).await;
        tracing::debug!(project = %path.display(), modules = needed.downloads.len(), "the module graph was walked");
        run.fetch_needed(&needed).await;
    }
    for (module, revision) in &targets.modules {
        match source.resolve(module, revision).await {
            Ok(version) => run.module(module, &version).await,
            Err(cause) => run.fail(format!("{module}@{revision}"), cause),
        }
    }
    let (whole, only_mod): (Vec<_>, Vec<_>) =
        targets.sums.into_iter().partition(|(_, whole)| *whole);
    let versions = |list: Vec<(ModuleVersion, bool)>| -> BTreeSet<ModuleVersion> {
        list.into_iter().map(|(module, _)| module).collect()
    };
    let only_mod = versions(only_mod);
    run.fetch_all(&only_mod, &[FileKind::Mod]).await;
    run.fetch_all(&versions(whole), &FileKind::ALL).await;
    run.fetch_listed(&only_mod).await;
    run.report
}

/// What a project needs.
struct Needed {
    /// What a build would download.
    downloads: BTreeSet<ModuleVersion>,
    /// What is selected, whether a build downloads it or not: what `go list -m all` tells about.
    listed: BTreeSet<ModuleVersion>,
}

struct Run<'a> {
    source: &'a Source,
    jobs: usize,
    tell: &'a (dyn Fn(Progress) + Sync),
    progress: Progress,
    report: Report,
    /// Files that were asked for in this run.
    asked: HashSet<FileKey>,
    /// The go.mod files read in this run.
    summaries: HashMap<ModuleVersion, Result<Arc<Summary>, Cause>>,
}

impl Run<'_> {
    /// What `go install MODULE@VERSION` would download: the module, and what it needs as a main module.
    async fn module(&mut self, module: &gomod::ModulePath, version: &gomod::Version) {
        let name = format!("{module}@{version}");
        let module = match ModuleVersion::new(module.clone(), version.clone()) {
            Ok(module) => module,
            Err(error) => return self.fail(name, error.to_string()),
        };
        let own = BTreeSet::from([module.clone()]);
        self.fetch_all(&own, &FileKind::ALL).await;
        let key = FileKey::of(&module, FileKind::Mod);
        // What could not be fetched was counted just now.
        let Ok(Got {
            body: Some(body), ..
        }) = self.source.get(&key).await
        else {
            return;
        };
        let mains = ModFile::parse_lax("go.mod", &body)
            .map_err(|error| error.to_string())
            .and_then(|file| MainModules::single(&file).map_err(|error| error.to_string()));
        match mains {
            Ok(mains) => {
                let needed = self.walk(&mains, None).await;
                self.fetch_needed(&needed).await;
            }
            Err(cause) => self.fail(name, cause),
        }
    }

    /// Walks the module graph.
    async fn walk(&mut self, mains: &MainModules, project: Option<&Project>) -> Needed {
        let mut loader = Loader::new(mains.clone(), Scope::All, Limits::default());
        let source = self.source;
        let mut under_way = FuturesUnordered::new();
        let mut waiting: VecDeque<mvs::Source> = loader.take_wanted().into();
        loop {
            while let Some(wanted) = (under_way.len() < self.jobs)
                .then(|| waiting.pop_front())
                .flatten()
            {
                match self.at_hand(&wanted, project) {
                    Some(file) => {
                        loader.feed(&wanted, file);
                        waiting.extend(loader.take_wanted());
                    }
                    None => {
                        if let mvs::Source::Module(module) = &wanted {
                            let key = FileKey::of(module, FileKind::Mod);
                            let fresh = self.expect(&key);
                            under_way
                                .push(async move { (source.get(&key).await, key, wanted, fresh) });
                        }
                    }
                }
            }
            let Some((got, key, wanted, fresh)) = under_way.next().await else {
                break;
            };
            let file = match &got {
                Ok(Got {
                    body: Some(body), ..
                }) => Summary::parse(body)
                    .map(Arc::new)
                    .map_err(|errors| Cause::Malformed(errors.to_string())),
                Ok(_) => Err(Cause::Unavailable("it cannot be read".to_owned())),
                Err(cause) => Err(Cause::Unavailable(cause.clone())),
            };
            if fresh {
                self.count(&key, got);
            }
            if let mvs::Source::Module(module) = &wanted {
                self.summaries.insert(module.clone(), file.clone());
            }
            loader.feed(&wanted, file);
            waiting.extend(loader.take_wanted());
        }
        let outcome = loader.finish();
        for failure in outcome.failures() {
            // Files that could not be fetched were counted when they failed.
            let fetched = matches!(failure.from, Some(mvs::Source::Module(_)));
            if !(fetched && matches!(failure.cause, Cause::Unavailable(_))) {
                self.fail(failure.node.to_string(), failure.cause.to_string());
            }
        }
        let listed = outcome.build_list().into_iter();
        let listed = listed.filter(|node| node.release_version().is_some());
        Needed {
            downloads: mains.downloads(&outcome),
            listed: listed
                .filter_map(|node| match mains.source(node) {
                    Ok(mvs::Source::Module(module)) => Some(module),
                    Ok(mvs::Source::Directory(_)) | Err(_) => None,
                })
                .collect(),
        }
    }

    /// A go.mod file that need not be fetched.
    fn at_hand(
        &self,
        wanted: &mvs::Source,
        project: Option<&Project>,
    ) -> Option<Result<Arc<Summary>, Cause>> {
        match wanted {
            mvs::Source::Module(module) => self.summaries.get(module).cloned(),
            mvs::Source::Directory(directory) => Some(match project {
                Some(project) => read_local(&project.directory.join(directory)),
                None => Err(Cause::Unavailable(
                    "a dependency's directory is not here".to_owned(),
                )),
            }),
        }
    }

    async fn fetch_needed(&mut self, needed: &Needed) {
        self.fetch_all(&needed.downloads, &FileKind::ALL).await;
        self.fetch_listed(&needed.listed).await;
    }

    /// Fetches what `go list -m` reads of a version: it asks for the time of each, and graph pruning leaves go.mod files
    /// out that it reads all the same. No build needs them, so that it is no failure if they cannot be had.
    async fn fetch_listed(&mut self, modules: &BTreeSet<ModuleVersion>) {
        let needed = self.report.failed.len();
        self.fetch_all(modules, &[FileKind::Info, FileKind::Mod])
            .await;
        for Failed { what, cause } in self.report.failed.drain(needed..) {
            tracing::info!(
                file = what,
                cause,
                "no build needs it, and it cannot be had"
            );
        }
    }

    /// Fetches these files of these versions, but for those that were asked for before.
    async fn fetch_all(&mut self, modules: &BTreeSet<ModuleVersion>, kinds: &[FileKind]) {
        let mut waiting: VecDeque<FileKey> = VecDeque::new();
        for module in modules {
            for kind in kinds {
                let key = FileKey::of(module, *kind);
                if self.expect(&key) {
                    waiting.push_back(key);
                }
            }
        }
        let source = self.source;
        let mut under_way = FuturesUnordered::new();
        loop {
            while let Some(key) = (under_way.len() < self.jobs)
                .then(|| waiting.pop_front())
                .flatten()
            {
                under_way.push(async move { (source.get(&key).await, key) });
            }
            let Some((got, key)) = under_way.next().await else {
                return;
            };
            self.count(&key, got);
        }
    }

    /// Notes that a file is needed; false if that was known.
    fn expect(&mut self, key: &FileKey) -> bool {
        let is_new = self.asked.insert(key.clone());
        self.progress.known += usize::from(is_new);
        is_new
    }

    fn count(&mut self, key: &FileKey, got: Result<Got, String>) {
        self.progress.done += 1;
        match got {
            Ok(Got {
                was_there: true, ..
            }) => self.report.already_there += 1,
            Ok(got) => {
                self.report.fetched += 1;
                self.report.fetched_bytes += got.len;
                self.progress.bytes += got.len;
            }
            Err(cause) => self.fail(key.to_string(), cause),
        }
        (self.tell)(self.progress);
    }

    fn fail(&mut self, what: String, cause: String) {
        self.report.failed.push(Failed { what, cause });
    }
}

fn read_local(directory: &Path) -> Result<Arc<Summary>, Cause> {
    let path = directory.join("go.mod");
    let text = std::fs::read(&path)
        .map_err(|error| Cause::Unavailable(format!("cannot read {}: {error}", path.display())))?;
    Summary::parse(&text)
        .map(Arc::new)
        .map_err(|errors| Cause::Malformed(errors.to_string()))
}
