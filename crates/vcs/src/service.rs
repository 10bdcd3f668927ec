//! Modules by path: everything put together.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gomod::info::RevInfo;
use gomod::{ModulePath, Revision, Version};
use modzip::Created;

use crate::address::is_same;
use crate::code::Code;
use crate::discovery::{Discovery, Probe, Root, Rules, Web};
use crate::error::{DiscoveryFault, Error};
use crate::files::VersionFiles;
use crate::memory::{Memory, RepositoryChange};
use crate::options::{Remote, RemoteOptions};
use crate::other::OtherRepository;
use crate::outbound::Outbound;
use crate::query::{Query, Selection};
use crate::repo::{GitRepository, Limits, Mirrors, ObjectId, Workshop, look_around, look_at};
use crate::resolve::{Layout, Resolver, TagNow, Versions, merge};
use crate::runner::{Runner, RunnerSettings, is_allowed};
use crate::system::VersionControl;

/// How many repositories are kept in memory, with their last listing.
const MOST_REPOSITORIES: usize = 4096;

/// How long after something was learned about repositories it is written down.
const KEEP_AFTER: Duration = Duration::from_millis(500);

/// Gives the configuration for a repository: the arguments are its address and the import path of its root.
pub type Configuration = Arc<dyn Fn(&str, &str) -> RemoteOptions + Send + Sync>;

/// What [`Vcs`] is made of.
pub struct Settings {
    /// How programs are run.
    pub runner: RunnerSettings,
    /// How repositories are found, and which may be used.
    pub rules: Rules,
    /// What they may cost.
    pub limits: Limits,
    /// How they are reached.
    pub configuration: Configuration,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("runner", &self.runner)
            .field("rules", &self.rules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Settings with the usual limits, Go's default rules and no configuration.
    pub fn new(runner: RunnerSettings) -> Self {
        Self {
            runner,
            rules: Rules::default(),
            limits: Limits::default(),
            configuration: Arc::new(|_, _| RemoteOptions::default()),
        }
    }
}

/// Makes modules from repositories. Cheap to clone.
#[derive(Clone)]
pub struct Vcs(Arc<Inner>);

struct Inner {
    discovery: Discovery,
    remotes: Arc<Remotes>,
    memory: Memory,
}

/// The repositories that were asked lately.
struct Remotes {
    workshop: Arc<Workshop>,
    configuration: Configuration,
    open: Mutex<HashMap<String, Arc<GitRepository>>>,
    /// Those of other systems.
    others: Mutex<HashMap<String, Arc<OtherRepository>>>,
    /// Where the repositories of roots are.
    roots: Mutex<HashMap<String, String>>,
}

impl std::fmt::Debug for Vcs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vcs")
            .field("discovery", &self.0.discovery)
            .finish_non_exhaustive()
    }
}

impl Vcs {
    /// Prepares the directories. No program is run and nobody is asked yet.
    pub fn new(settings: Settings, web: Arc<dyn Web>) -> Result<Self, Error> {
        let (memory, roots) = Memory::open(&settings.runner.directory);
        let mirrors = Mirrors::new(settings.runner.directory.join("repositories"))?;
        let runner = Runner::new(settings.runner)?;
        let workshop = Workshop::new(runner, settings.limits, Arc::clone(&web), mirrors);
        let remotes = Arc::new(Remotes {
            workshop: Arc::new(workshop),
            configuration: settings.configuration,
            open: Mutex::default(),
            others: Mutex::default(),
            roots: Mutex::default(),
        });
        let probe: Arc<dyn Probe> = Arc::<Remotes>::clone(&remotes);
        let discovery = Discovery::new(settings.rules, web, probe);
        discovery.remember(roots);
        Ok(Self(Arc::new(Inner {
            discovery,
            remotes,
            memory,
        })))
    }

    /// How repositories are found.
    pub fn discovery(&self) -> &Discovery {
        &self.0.discovery
    }

    /// The repository of `module`.
    pub async fn root(&self, module: &ModulePath) -> Result<Root, Error> {
        self.0.discovery.root(module.as_str()).await
    }

    /// The rules for the addresses of the server at `url`, which has the modules of `root`; none where the operator has
    /// named it.
    pub fn outbound(&self, url: &str, root: &str) -> Option<Arc<Outbound>> {
        (self.0.remotes.configuration)(url, root).outbound
    }

    /// The versions of `module`, lowest first: what `@v/list` answers.
    pub async fn versions(&self, module: &ModulePath) -> Result<Versions, Error> {
        self.resolver(module).await?.versions("").await
    }

    /// What version `revision` of `module` is: what `@v/<revision>.info` answers.
    pub async fn info(&self, module: &ModulePath, revision: &Revision) -> Result<RevInfo, Error> {
        let revision = revision.as_str();
        let resolver = self.resolver_for(module, Some(revision)).await?;
        match resolver.stat(revision).await {
            Err(error) if error.is_unknown_revision() && resolver.code().outlive() => {
                let resolver = self.resolver_for(module, Some(revision)).await?;
                resolver.stat(revision).await
            }
            found => found,
        }
    }

    /// The newest version of `module`: what `@latest` answers.
    pub async fn latest(&self, module: &ModulePath) -> Result<RevInfo, Error> {
        self.resolver(module).await?.latest().await
    }

    /// The go.mod of `version`, byte for byte, or the one that stands for it where there is none.
    pub async fn go_mod(&self, module: &ModulePath, version: &Version) -> Result<Vec<u8>, Error> {
        Ok(self.at(module, version, None).await?.go_mod())
    }

    /// Writes the zip of `version` to `zip`, an empty file, and tells its hash.
    pub async fn zip(
        &self,
        module: &ModulePath,
        version: &Version,
        zip: File,
    ) -> Result<Created, Error> {
        self.at(module, version, None).await?.zip(zip).await
    }

    /// The files of `version`, all from one commit: from `bound`, where others of its files were made from that.
    pub async fn at(
        &self,
        module: &ModulePath,
        version: &Version,
        bound: Option<&str>,
    ) -> Result<VersionFiles, Error> {
        let bound = bound.and_then(ObjectId::parse);
        // What is bound may be here already.
        let wanted = bound.is_none().then(|| version.as_str());
        let mut resolver = self.resolver_for(module, wanted).await?;
        let place = match bound {
            Some(commit) => resolver.place_bound(version, &commit).await?,
            None => match resolver.place(version).await {
                Err(error) if error.is_unknown_revision() && resolver.code().outlive() => {
                    resolver = self.resolver_for(module, wanted).await?;
                    resolver.place(version).await?
                }
                place => place?,
            },
        };
        Ok(VersionFiles::new(resolver, version.clone(), place))
    }

    /// The tags of `versions` as they are now; those without a tag are left out.
    pub async fn tags(
        &self,
        module: &ModulePath,
        versions: &[Version],
    ) -> Result<Vec<TagNow>, Error> {
        let resolver = self.resolver(module).await?;
        let tags = versions.iter().filter_map(|version| resolver.tag(version));
        Ok(tags.collect())
    }

    /// The version of `module` that `query` asks for, of those that `allowed` holds for. `current` is the version in
    /// use, if any.
    pub async fn query(
        &self,
        module: &ModulePath,
        query: &str,
        current: Option<&str>,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<RevInfo, Error> {
        let query = Query::parse(module, query, current)?;
        let resolver = self.resolver(module).await?;
        if let Some((revision, other)) = query.revision() {
            let found = match (resolver.stat(revision).await, other) {
                (Err(error), Some(other)) if error.is_absence() => {
                    match resolver.stat(&other).await {
                        Err(second) if second.is_absence() => Err(error),
                        found => found,
                    }
                }
                (found, _) => found,
            }?;
            return if allowed(&found.version) {
                Ok(found)
            } else {
                Err(query.no_match().into())
            };
        }
        let listed = resolver.versions(query.prefix()).await?;
        let mut origin = Some(listed.origin);
        let selected = select(&resolver, &query, &listed.list, &allowed).await?;
        let mut newest = None;
        let revision = match selected {
            Selection::Version(version) => version.to_string(),
            Selection::Current(current) => current,
            Selection::Latest => match resolver.tip().await {
                Ok(tip) if query.accepts(&tip.version) && allowed(&tip.version) => {
                    origin = merge(origin.as_ref(), tip.origin.as_ref());
                    newest.insert(tip).version.clone()
                }
                Err(error) if !error.is_absence() => return Err(error),
                _ => match query.fallback(&allowed)? {
                    Selection::Current(current) => current,
                    Selection::Version(_) | Selection::Latest => {
                        return Err(query.no_match().into());
                    }
                },
            },
        };
        // What was just found is not asked for by its version: it would be found by another name.
        let mut found = match newest {
            Some(tip) => tip,
            None => resolver.stat(&revision).await?,
        };
        origin = merge(origin.as_ref(), found.origin.as_ref());
        let time = found.time.as_ref().map(gomod::info::RevTime::timestamp);
        if let Some(current) = time.and_then(|time| query.keeps_current(time))
            && allowed(current)
        {
            found = resolver.stat(current).await?;
            origin = merge(origin.as_ref(), found.origin.as_ref());
        }
        Ok(RevInfo { origin, ..found })
    }

    async fn resolver(&self, module: &ModulePath) -> Result<Resolver, Error> {
        self.resolver_for(module, None).await
    }

    /// A resolver for somebody who will want the files of a version, unless `wanted` is something else.
    async fn resolver_for(
        &self,
        module: &ModulePath,
        wanted: Option<&str>,
    ) -> Result<Resolver, Error> {
        let root = self.root(module).await?;
        let layout = Layout::new(&root, module)?;
        match root.system {
            VersionControl::Mod => {
                return Err(DiscoveryFault::ServedByProxy {
                    path: module.to_string(),
                    url: root.repository,
                }
                .into());
            }
            VersionControl::Git => {}
            system => {
                let remotes = &self.0.remotes;
                let insecure = self.0.discovery.allows_insecure(module.as_str());
                let other = remotes.other(system, &root.repository, &root.root, insecure);
                let snapshot = other.snapshot().await?;
                self.keep();
                return Ok(Resolver::new(layout, Code::Other(snapshot)));
            }
        }
        let insecure = self.0.discovery.allows_insecure(module.as_str());
        let repository = self
            .0
            .remotes
            .repository(&root.repository, &root.root, insecure);
        if let Some(version) = wanted.filter(|wanted| is_tag_like(wanted)) {
            repository.fetch_early(&layout.tag_of(version));
        }
        let snapshot = repository.snapshot().await?;
        if wanted.is_some() {
            repository.in_use(&layout.tag_prefix(), &layout.files());
        }
        if repository.take_news() {
            self.0.remotes.look_around(&repository);
        }
        let first_commits = repository.first_commits();
        // That another address is configured is no news to whoever configured it.
        let found = (!self.0.discovery.is_configured(module.as_str())).then_some(&*root.repository);
        self.0.memory.observe(&root.root, found, &first_commits);
        self.keep();
        Ok(Resolver::new(layout, Code::Git(snapshot)))
    }

    /// A repository has something new: what was listed of it before does not count any more. If it was asked for before
    /// it is listed anew at once, and its new versions are fetched; nobody waits for that. Returns the import paths of the
    /// roots that it is known to have.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn pushed(&self, address: &str) -> Vec<String> {
        self.0.discovery.forget_failures();
        let mut roots = self.0.remotes.pushed(address);
        roots.extend(self.0.memory.roots_at(address));
        roots
    }

    /// The repositories that were found to be others than they were, since the last call.
    pub fn take_changes(&self) -> Vec<RepositoryChange> {
        self.0.memory.take_changes()
    }

    /// Writes down what is known, a moment later and together with what else is learned until then.
    fn keep(&self) {
        if self.0.discovery.has_news() {
            self.0.memory.learned();
        }
        if !self.0.memory.begin_writing() {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(KEEP_AFTER).await;
            // Nobody waits for it.
            drop(tokio::task::spawn_blocking(move || {
                inner.memory.write(inner.discovery.remembered());
            }));
        });
    }
}

/// What a repository is told from others by. The way to a server may change while its repositories are in use.
fn key_of(remote: &Remote) -> String {
    let proxy = remote.options.proxy.as_ref();
    let way = proxy.map_or("", |proxy| proxy.as_url().as_str());
    format!("{} {way} {}", remote.insecure, remote.url)
}

/// Whether a tag is to be expected for a version.
fn is_tag_like(version: &str) -> bool {
    gomod::semver::canonical_module_version(version).as_deref() == Some(version)
        && !gomod::pseudo::is_pseudo_version(version)
}

async fn select(
    resolver: &Resolver,
    query: &Query,
    versions: &[Version],
    allowed: &dyn Fn(&str) -> bool,
) -> Result<Selection, Error> {
    let mut asked = None;
    let selected = query.select(versions, allowed, |version| {
        asked = Some(version.clone());
        Ok::<bool, Error>(true)
    })?;
    let Some(version) = asked else {
        return Ok(selected?);
    };
    let has_go_mod = resolver.place(&version).await?.go_mod.is_some();
    let selected = query.select(versions, allowed, |_| Ok::<bool, Error>(has_go_mod))?;
    Ok(selected?)
}

impl Remotes {
    fn repository(&self, url: &str, root: &str, insecure: bool) -> Arc<GitRepository> {
        {
            let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
            if roots.len() >= MOST_REPOSITORIES {
                roots.clear();
            }
            roots.insert(root.to_owned(), url.to_owned());
        }
        let remote = self.remote(url, root, insecure);
        let key = key_of(&remote);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST_REPOSITORIES {
            open.retain(|_, repository| Arc::strong_count(repository) > 1);
        }
        let repository = open
            .entry(key)
            .or_insert_with(|| Arc::new(GitRepository::new(Arc::clone(&self.workshop), remote)));
        Arc::clone(repository)
    }

    fn all(&self) -> Vec<Arc<GitRepository>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().cloned().collect()
    }

    /// A repository has a new version: others may have one, too.
    fn look_around(&self, news: &GitRepository) {
        let most = self.workshop.limits.ahead;
        if most > 0 {
            look_around(news, self.all(), most);
        }
    }

    fn other(
        &self,
        system: VersionControl,
        url: &str,
        root: &str,
        insecure: bool,
    ) -> Arc<OtherRepository> {
        let remote = self.remote(url, root, insecure);
        let key = format!("{system} {}", key_of(&remote));
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= MOST_REPOSITORIES {
            others.retain(|_, repository| Arc::strong_count(repository) > 1);
        }
        let repository = others.entry(key).or_insert_with(|| {
            let workshop = Arc::clone(&self.workshop);
            Arc::new(OtherRepository::new(workshop, system, root, remote))
        });
        Arc::clone(repository)
    }

    fn pushed(&self, address: &str) -> Vec<String> {
        for repository in self.all() {
            if repository.is_at(address) {
                repository.forget_listing();
                if self.workshop.limits.ahead > 0 {
                    look_at(repository);
                }
            }
        }
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        for repository in others.values() {
            if repository.is_at(address) {
                repository.forget_listing();
            }
        }
        drop(others);
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots
            .iter()
            .filter(|(_, url)| is_same(url, address))
            .map(|(root, _)| root.clone())
            .collect()
    }

    fn remote(&self, url: &str, root: &str, insecure: bool) -> Remote {
        Remote {
            url: url.to_owned(),
            insecure,
            options: (self.configuration)(url, root),
        }
    }
}

impl Probe for Remotes {
    fn probe<'a>(
        &'a self,
        system: VersionControl,
        url: &'a str,
        insecure: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let root = url.split_once("://").map_or(url, |(_, root)| root);
            is_allowed(&self.remote(url, root, insecure), system)?;
            if system != VersionControl::Git {
                let other = self.other(system, url, root, insecure);
                return other.snapshot().await.map(drop);
            }
            self.repository(url, root, insecure)
                .snapshot()
                .await
                .map(drop)
        }
        .boxed()
    }
}
