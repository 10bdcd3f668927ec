//! `modkeep verify --sumdb`: go.sum against the checksum database, with the settings that `go` would use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use depot::Depot;
use goenv::{Environment, GoEnv, Key};
use gomod::gosum::GoSum;
use gomod::{ModulePath, ModuleVersion, Version};
use serde::Serialize;
use store::Store;
use sumdb::record::Part;
use tokio::task::JoinSet;
use trust::{Proven, TrustError};

use super::CannotDo;
use super::attached::runtime;
use super::chain::{self, Unobserved};
use crate::config::resolve_and_check;

/// Look-ups at a time.
const AT_ONCE: usize = 16;

/// What was found out about go.sum.
#[derive(Debug, Default, Serialize)]
pub(super) struct SumReport {
    /// Versions whose lines the database has proven.
    pub(super) proven: usize,
    /// Versions that no database covers; nobody was asked about them.
    pub(super) uncovered: usize,
    pub(super) problems: Vec<SumProblem>,
    /// Versions of which the database did not say anything, because it could not be asked.
    pub(super) unanswered: Vec<SumProblem>,
}

#[derive(Debug, Serialize)]
pub(super) struct SumProblem {
    module: String,
    version: String,
    problem: &'static str,
    pub(super) text: String,
}

/// The h1 hashes that go.sum has of a version, with whether each is that of go.mod.
type Lines = BTreeMap<ModuleVersion, Vec<(bool, String)>>;

/// Compares every line of go.sum with the record of the database that covers the module.
pub(super) fn check(environment: &Environment, sums: &GoSum) -> Result<SumReport, CannotDo> {
    let go = GoEnv::load(environment);
    // Those of modkeep do not count here: it is a client like go.
    let given = [
        ("upstream", Key::GOPROXY),
        ("private", Key::GOPRIVATE),
        ("sumdb", Key::GOSUMDB),
        ("no-sumdb", Key::GONOSUMDB),
    ]
    .map(|(name, key)| (name, go.value(key).to_owned()));
    if go.value(Key::GOSUMDB) == "off" {
        return Err(CannotDo::new(
            "there is no checksum database to compare go.sum with: GOSUMDB is off",
        ));
    }
    let given = given.iter().map(|(name, value)| (*name, value.as_str()));
    let (_, effective) = resolve_and_check(environment, given, None)?;
    let _provider_was_set = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (_folder, store) = store(environment)?;
    let chain = chain::open(&effective, environment, Arc::new(Unobserved))?;
    runtime()?.block_on(async {
        let depot = Depot::new(store, chain, effective.depot.clone());
        let report = look_up(&depot, lines_of(sums)).await;
        depot.close(Duration::ZERO).await;
        report
    })
}

/// Where what the database has proven is kept, so that it can never go back behind it: with the user's other caches, or
/// for this run only where there is no such place, or another run has it.
fn store(environment: &Environment) -> Result<(Option<tempfile::TempDir>, Store), CannotDo> {
    let cache = environment
        .non_empty("XDG_CACHE_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| Some(std::path::Path::new(environment.non_empty("HOME")?).join(".cache")));
    if let Some(Ok(store)) = cache.map(|cache| Store::open(&cache.join("modkeep").join("sumdb"))) {
        return Ok((None, store));
    }
    let folder = tempfile::tempdir().map_err(CannotDo::new)?;
    let store = Store::open(folder.path()).map_err(CannotDo::new)?;
    Ok((Some(folder), store))
}

fn lines_of(sums: &GoSum) -> Lines {
    let mut lines = Lines::new();
    for (path, version, hash) in sums.iter() {
        let (version, is_go_mod) = match version.strip_suffix("/go.mod") {
            Some(version) => (version, true),
            None => (version, false),
        };
        let named = ModulePath::new(path).ok().zip(Version::new(version).ok());
        let named = named.and_then(|(path, version)| ModuleVersion::new(path, version).ok());
        // go.sum may have hashes of kinds that are yet to come; go passes over them, too.
        if let (Some(module), true) = (named, hash.starts_with("h1:")) {
            lines
                .entry(module)
                .or_default()
                .push((is_go_mod, hash.to_owned()));
        }
    }
    lines
}

async fn look_up(depot: &Depot, lines: Lines) -> Result<SumReport, CannotDo> {
    let mut report = SumReport::default();
    let mut rest = lines.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < AT_ONCE
            && let Some((module, lines)) = rest.next()
        {
            let depot = depot.clone();
            asked.spawn(async move {
                let proven = depot.proven(&module).await;
                (module, lines, proven)
            });
        }
        let Some(answered) = asked.join_next().await else {
            for list in [&mut report.problems, &mut report.unanswered] {
                list.sort_by(|a, b| (&a.module, &a.version).cmp(&(&b.module, &b.version)));
            }
            return Ok(report);
        };
        let (module, lines, proven) = answered.map_err(CannotDo::new)?;
        report.take(&module, &lines, proven);
    }
}

impl SumReport {
    fn take(
        &mut self,
        module: &ModuleVersion,
        lines: &[(bool, String)],
        proven: Result<Option<(String, Proven)>, TrustError>,
    ) {
        let (database, proven) = match proven {
            Ok(Some(proven)) => proven,
            Ok(None) => {
                self.uncovered += 1;
                return;
            }
            Err(error) => {
                let text = format!("verifying {module}: {error}");
                match error {
                    TrustError::Unknown { .. } => self.report(module, "sumdb-unknown", text),
                    _ if error.is_retryable() => {
                        let unanswered = SumProblem::new(module, "sumdb-unreachable", text);
                        self.unanswered.push(unanswered);
                    }
                    _ => self.report(module, "sumdb-misbehaving", text),
                }
                return;
            }
        };
        let before = self.problems.len();
        for (is_go_mod, listed) in lines {
            let part = if *is_go_mod { Part::GoMod } else { Part::Zip };
            let hash = match proven.hash(part) {
                Ok(hash) => hash.to_string(),
                Err(error) => {
                    let text = format!("verifying {module}: {database}: {error}");
                    self.report(module, "sumdb-misbehaving", text);
                    continue;
                }
            };
            if hash != *listed {
                let file = if *is_go_mod { "/go.mod" } else { "" };
                let text = format!(
                    "verifying {module}{file}: checksum mismatch\n\tgo.sum:     {listed}\n\t{database}: {hash}"
                );
                self.report(module, "sumdb-mismatch", text);
            }
        }
        self.proven += usize::from(self.problems.len() == before);
    }

    fn report(&mut self, module: &ModuleVersion, problem: &'static str, text: String) {
        self.problems.push(SumProblem::new(module, problem, text));
    }
}

impl SumProblem {
    fn new(module: &ModuleVersion, problem: &'static str, text: String) -> Self {
        Self {
            module: module.path().to_string(),
            version: module.version().to_string(),
            problem,
            text,
        }
    }
}
