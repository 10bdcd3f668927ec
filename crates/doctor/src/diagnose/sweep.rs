//! The modules of a project, each asked for: which ones fail, and how long each takes.

use std::path::Path;
use std::time::{Duration, Instant};

use fault::{Hop, Label};
use futures_util::stream::{StreamExt as _, iter};
use goenv::Key;
use goenv::cache::ModuleCache;
use goenv::report::Report;
use goenv::trace::Rules;
use gomod::gosum::GoSum;
use gomod::modfile::{ModFile, Replacement};
use gomod::{ModulePath, ModuleVersion, Version};

use super::Watcher;
use crate::probe::Net;
use crate::probe::report::{Check, Failure, Outcome, Phases, Probe, Reason};
use crate::probe::requirement::Asker;

/// How many modules are asked for at the same time.
const AT_ONCE: usize = 16;
/// How much of the time goes to looking for damage in the module cache.
const CACHE_SHARE: f64 = 0.15;

/// A module that a project requires, and whether it can be had.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// The module, after replacements.
    pub module: ModuleVersion,
    /// Its state.
    pub state: State,
    /// How long it took to find out.
    pub took: Duration,
}

/// Whether a module can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in the module cache: `go` asks nobody.
    Cached,
    /// This entry of GOPROXY has it.
    Answered(String),
    /// `go` would fail, with this.
    Failed(Failure),
    /// Time was over before.
    NotAsked,
}

impl State {
    /// The name used in machine output.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Answered(_) => "answered",
            Self::Failed(_) => "failed",
            Self::NotAsked => "not-asked",
        }
    }
}

impl Requirement {
    /// What kept it away.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            State::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The same as a measurement.
    pub(super) fn probe(&self) -> Probe {
        let probe =
            Probe::new(Check::Requirement, Hop::Module, self.module.to_string()).took(Phases {
                first_byte: (!self.took.is_zero()).then_some(self.took),
                ..Phases::default()
            });
        match &self.state {
            State::Cached => probe,
            State::Answered(entry) => probe.fact("via", entry.clone()),
            State::Failed(failure) => probe.failed(failure.clone()),
            State::NotAsked => probe.ended(Outcome::Skipped(Reason::OutOfTime)),
        }
    }
}

/// Asks for every module that go.mod requires and the cache has not got, side by side, until time is over.
pub(super) async fn sweep(
    net: &Net,
    report: &Report,
    rules: &Rules,
    watcher: &dyn Watcher,
) -> Vec<Requirement> {
    let asker = Asker::new(net, rules);
    let asker = &asker;
    let cache = Path::new(report.go.value(Key::GOMODCACHE));
    let asked = iter(required(&report.machine.directory)).map(|module| async move {
        let start = Instant::now();
        let state = if is_cached(cache, &module) {
            State::Cached
        } else if net.left().is_zero() {
            State::NotAsked
        } else {
            match tokio::time::timeout(net.left(), asker.ask(&module)).await {
                Ok(Ok(entry)) => State::Answered(entry),
                Ok(Err(failure)) if net.left().is_zero() && is_for_want_of_time(&failure) => {
                    State::NotAsked
                }
                Ok(Err(failure)) => State::Failed(failure),
                Err(_) => State::NotAsked,
            }
        };
        let took = match state {
            State::Cached | State::NotAsked => Duration::ZERO,
            State::Answered(_) | State::Failed(_) => start.elapsed(),
        };
        let requirement = Requirement {
            module,
            state,
            took,
        };
        watcher.ended(&requirement.probe());
        requirement
    });
    let mut requirements: Vec<Requirement> = asked.buffer_unordered(AT_ONCE).collect().await;
    requirements.sort_by(|a, b| a.module.cmp(&b.module));
    requirements
}

/// Failures that more time might have spared.
fn is_for_want_of_time(failure: &Failure) -> bool {
    matches!(
        failure.label,
        Label::GoproxySlow | Label::TcpTimeout | Label::TlsHandshakeTimeout | Label::DnsTimeout
    )
}

/// What go.mod requires, with its replacements; modules that come from directories are left out.
fn required(directory: &Path) -> Vec<ModuleVersion> {
    let Some((project, file)) = go_mod(directory) else {
        return Vec::new();
    };
    if project.join("vendor/modules.txt").is_file() {
        // go takes everything from there.
        return Vec::new();
    }
    let mut modules: Vec<ModuleVersion> = Vec::new();
    for require in file.require() {
        let (path, version) = (require.path.as_str(), require.version.as_str());
        let by = file.replace().iter().filter(|one| one.path == path);
        let exact = by.clone().find(|one| {
            one.version
                .as_ref()
                .is_some_and(|its| its.as_str() == version)
        });
        let by = exact.or_else(|| by.clone().find(|one| one.version.is_none()));
        let module = match by.map(|one| &one.by) {
            Some(Replacement::Directory(_)) => None,
            Some(Replacement::Module { path, version }) => named(path, version.as_str()),
            None => named(path, version),
        };
        modules.extend(module);
    }
    modules.sort();
    modules.dedup();
    modules
}

fn go_mod(directory: &Path) -> Option<(&Path, ModFile)> {
    let directory = directory
        .ancestors()
        .find(|directory| directory.join("go.mod").is_file())?;
    let text = std::fs::read(directory.join("go.mod")).ok()?;
    Some((directory, ModFile::parse("go.mod", &text).ok()?))
}

fn named(path: &str, version: &str) -> Option<ModuleVersion> {
    let (path, version) = (ModulePath::new(path).ok()?, Version::new(version).ok()?);
    ModuleVersion::new(path, version).ok()
}

/// What `go` downloads of a module is there.
fn is_cached(cache: &Path, module: &ModuleVersion) -> bool {
    let (path, version) = (module.path().escaped(), module.version().escaped());
    let directory = cache.join(format!("cache/download/{path}/@v"));
    ["mod", "zip"]
        .iter()
        .all(|ending| directory.join(format!("{version}.{ending}")).is_file())
}

/// Damage in the module cache, of the modules that the project builds with.
pub(super) fn cache_damage(report: &Report, total: Duration) -> Vec<goenv::Finding> {
    let Some((directory, file)) = go_mod(&report.machine.directory) else {
        return Vec::new();
    };
    let cache = report.go.value(Key::GOMODCACHE);
    if !Path::new(cache).is_dir() {
        return Vec::new();
    }
    let text = std::fs::read(directory.join("go.sum")).unwrap_or_default();
    // A go.sum that cannot be read is a finding of its own.
    let sums = GoSum::parse("go.sum", &text).unwrap_or_default();
    let mut modules = ModuleCache::of_project(&sums);
    modules.extend(
        file.require()
            .iter()
            .filter_map(|require| named(&require.path, require.version.as_str())),
    );
    modules.sort();
    modules.dedup();
    let deadline = Instant::now() + total.mul_f64(CACHE_SHARE);
    let scan = ModuleCache::new(cache.into()).scan(&modules, &sums, deadline);
    scan.findings
}
