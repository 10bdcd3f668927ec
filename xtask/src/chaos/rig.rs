//! What every scenario stands on, and the comparison that most of them are.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use testkit::{
    ChecksumDatabase, Go, Modkeep, ModkeepCommand, Module, Project, ProjectShape, Selected, Tree,
    escaped,
};

use super::build::download;
use super::isolation::{Abilities, Need};
use super::measure::{Build, Figures};
use super::mirror::Mirror;
use super::trouble::Order;

/// Milliseconds that an upstream takes for each request when all is well.
pub(super) const ROUND_TRIP: u64 = 20;

/// The program under test, a project, and what the project needs.
pub(super) struct Rig {
    binary: PathBuf,
    pub(super) quick: bool,
    pub(super) abilities: Abilities,
    pub(super) modules: usize,
    pub(super) database: Database,
    tree: Tree,
    projects: Vec<TempDir>,
    /// For each project the paths of the files that it needs.
    files: Vec<Vec<String>>,
    pub(super) folder: TempDir,
    /// How long a simulated day lasts.
    pub(super) soak: Duration,
}

/// The checksum database, which can be out of reach.
pub(super) struct Database {
    inner: Mutex<ChecksumDatabase>,
    /// For GOSUMDB, with its address and without.
    setting: String,
    key: String,
}

impl Database {
    fn new() -> Self {
        let inner = ChecksumDatabase::new("sum.chaos.example", 6);
        Self {
            setting: inner.setting(),
            key: inner.key(),
            inner: Mutex::new(inner),
        }
    }

    fn get(&self) -> Result<MutexGuard<'_, ChecksumDatabase>> {
        self.inner
            .lock()
            .map_err(|_| anyhow::anyhow!("a scenario panicked"))
    }

    fn add(&self, module: &Module) -> Result<()> {
        self.get().map(|database| database.add(module))
    }

    pub(super) fn stop(&self) -> Result<()> {
        self.get().map(|mut database| database.server.stop())
    }

    pub(super) fn start(&self) -> Result<()> {
        self.get().map(|mut database| database.server.start())
    }
}

/// How `go` gets at modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Through,
    Comma,
    Pipe,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Through, Self::Comma, Self::Pipe];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Through => "modkeep",
            Self::Comma => "`a,b,direct`",
            Self::Pipe => "`a\\|b\\|direct`",
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) case: String,
    pub(super) way: Way,
    pub(super) figures: Figures,
}

/// What happens before each build is measured; it is told how many were measured already.
pub(super) type Before<'a> = &'a dyn Fn(usize) -> Result<()>;

/// What is compared.
pub(super) struct Comparison<'a> {
    pub(super) case: &'a str,
    /// The upstreams, in order.
    pub(super) chain: Vec<String>,
    /// How many builds, each way.
    pub(super) builds: [usize; 3],
    /// How often a build that fails is tried in all.
    pub(super) attempts: usize,
    /// How long an attempt may take.
    pub(super) limit: Duration,
    /// Whether modkeep has stored everything before.
    pub(super) warm: bool,
    /// Whether `go.sum` is there. Without it `go` asks the checksum database.
    pub(super) go_sum: bool,
    /// Certificates that everybody knows.
    pub(super) authority: Option<PathBuf>,
    /// Further flags of modkeep.
    pub(super) flags: Vec<(&'static str, String)>,
    pub(super) before: Before<'a>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(rig: &Rig, case: &'a str, chain: &[&str]) -> Self {
        Self {
            case,
            chain: chain.iter().map(|url| (*url).to_owned()).collect(),
            builds: [if rig.quick { 1 } else { 3 }; 3],
            attempts: rig.attempts(),
            limit: Duration::from_secs(if rig.quick { 60 } else { 150 }),
            warm: false,
            go_sum: true,
            authority: None,
            flags: Vec::new(),
            before: &|_| Ok(()),
        }
    }
}

impl Rig {
    pub(super) fn new(binary: PathBuf, quick: bool, abilities: Abilities) -> Result<Self> {
        let modules = if quick { 40 } else { 300 };
        let tree = Tree::temporary();
        let database = Database::new();
        let (mut projects, mut files) = (Vec::new(), Vec::new());
        // The first is the large one; the others are of varied size, and need other modules.
        for (seed, modules) in (1..).zip([modules, 10, 25, 18, 40, 12]) {
            let project = Project::generate(ProjectShape {
                seed,
                modules,
                padding: 20_000,
            });
            for module in project.modules() {
                tree.add(&module);
                database.add(&module)?;
            }
            files.push(project.selected().iter().flat_map(paths).collect());
            let folder = tempfile::tempdir()?;
            project.write_main(folder.path());
            projects.push(folder);
        }
        Ok(Self {
            binary,
            quick,
            abilities,
            modules,
            database,
            tree,
            projects,
            files,
            folder: tempfile::tempdir()?,
            soak: Duration::from_mins(12),
        })
    }

    pub(super) fn lacks(&self, needs: &[Need]) -> Option<String> {
        needs
            .iter()
            .find_map(|need| self.abilities.lacks(*need))
            .map(str::to_owned)
    }

    /// A simulated upstream that has everything, and is well.
    pub(super) fn mirror(&self) -> Result<Mirror> {
        let mirror = Mirror::start(self.tree.root())?;
        mirror.order(Order::Delay(ROUND_TRIP))?;
        Ok(mirror)
    }

    /// Lets upstreams and the checksum database have another module.
    pub(super) fn publish(&self, module: &Module) -> Result<()> {
        self.tree.add(module);
        self.database.add(module)
    }

    /// How often a build is tried in all.
    pub(super) fn attempts(&self) -> usize {
        if self.quick { 3 } else { 10 }
    }

    pub(super) fn project(&self) -> &Path {
        self.small_project(0)
    }

    /// The project with this number, in turns.
    pub(super) fn small_project(&self, number: usize) -> &Path {
        self.projects[number % self.projects.len()].path()
    }

    /// The paths of the files that the project with this number needs.
    pub(super) fn files_of(&self, number: usize) -> Result<Vec<String>> {
        self.files.get(number).cloned().context("no such project")
    }

    pub(super) fn small_projects(&self) -> usize {
        self.projects.len() - 1
    }

    pub(super) fn data(&self) -> Result<TempDir> {
        tempfile::tempdir_in(self.folder.path()).context("making a folder for a store")
    }

    /// `modkeep serve` that asks these upstreams, and the checksum database.
    pub(super) fn modkeep(&self, chain: &[String], data: &Path) -> ModkeepCommand {
        ModkeepCommand::new(&self.binary)
            .sumdb(&self.database.setting)
            .upstream(&chain.join(","))
            .data(data)
    }

    /// The rows of a comparison: each way by itself.
    pub(super) fn compare(&self, comparison: &Comparison<'_>) -> Result<Vec<Row>> {
        Way::ALL
            .into_iter()
            .zip(comparison.builds)
            .filter(|(_, builds)| *builds > 0)
            .map(|(way, builds)| {
                let builds = (0..builds)
                    .map(|number| self.build(comparison, way, number, self.project()))
                    .collect::<Result<Vec<Build>>>()?;
                Ok(row(comparison.case, way, &builds))
            })
            .collect()
    }

    /// A build that is tried until it succeeds.
    pub(super) fn build(
        &self,
        comparison: &Comparison<'_>,
        way: Way,
        number: usize,
        project: &Path,
    ) -> Result<Build> {
        let data = self.data()?;
        let server = (way == Way::Through)
            .then(|| self.serve(comparison, data.path()))
            .transpose()?;
        let proxy = match (&server, way) {
            (Some(modkeep), _) => modkeep.url().to_owned(),
            (None, Way::Pipe) => format!("{}|direct", comparison.chain.join("|")),
            (None, _) => format!("{},direct", comparison.chain.join(",")),
        };
        let folder = self.checkout(project, comparison.go_sum)?;
        if comparison.warm && server.is_some() {
            let client = self.client(comparison, way, &proxy);
            let first = download(&client, folder.path(), comparison.limit)?;
            ensure!(first.success, "warming up: {}", first.last_words);
        }
        (comparison.before)(number)?;
        let folder = self.checkout(project, comparison.go_sum)?;
        let client = self.client(comparison, way, &proxy);
        let mut attempts = Vec::new();
        for _ in 0..comparison.attempts {
            let attempt = download(&client, folder.path(), comparison.limit)?;
            let success = attempt.success;
            attempts.push(attempt);
            if success {
                break;
            }
        }
        Ok(Build { attempts })
    }

    /// A `go` with nothing in its cache, for one build.
    fn client(&self, comparison: &Comparison<'_>, way: Way, proxy: &str) -> Go {
        let mut client = go(proxy);
        if !comparison.go_sum {
            // With the address of the database in GOSUMDB, go would ask no proxy for it.
            client = client.sumdb(match way {
                Way::Through => &self.database.key,
                Way::Comma | Way::Pipe => &self.database.setting,
            });
        }
        if let Some(file) = &comparison.authority {
            client = client.env("SSL_CERT_FILE", file);
        }
        client
    }

    fn serve(&self, comparison: &Comparison<'_>, data: &Path) -> Result<Modkeep> {
        let mut command = self.modkeep(&comparison.chain, data);
        for (flag, value) in &comparison.flags {
            command = command.flag(flag, value);
        }
        if let Some(file) = &comparison.authority {
            command = command.env("SSL_CERT_FILE", file);
        }
        command
            .try_start()
            .map_err(|exit| anyhow::anyhow!("modkeep did not start: {}", exit.stderr))
    }

    fn checkout(&self, project: &Path, go_sum: bool) -> Result<TempDir> {
        let folder = self.data()?;
        for name in ["go.mod", "go.sum", "main.go"] {
            if name != "go.sum" || go_sum {
                std::fs::copy(project.join(name), folder.path().join(name))?;
            }
        }
        Ok(folder)
    }
}

fn paths(module: &Selected) -> impl Iterator<Item = String> + use<> {
    let base = format!("/{}/@v/{}", escaped(&module.path), escaped(&module.version));
    ["info", "mod", "zip"]
        .map(|end| format!("{base}.{end}"))
        .into_iter()
}

/// A `go` with nothing in its cache. No origin can be reached: `direct` leads to a closed door.
pub(super) fn go(proxy: &str) -> Go {
    let mut go = Go::find().proxy(proxy).env("GOFLAGS", "-modcacherw");
    for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
        go = go.env(name, "http://127.0.0.1:9");
    }
    // Mirrors are reached by address, or by a name below this one.
    go.env("NO_PROXY", "127.0.0.1,chaos.test")
}

/// A row of the table, which is also said at once.
pub(super) fn row(case: &str, way: Way, builds: &[Build]) -> Row {
    let figures = Figures::of(builds);
    eprintln!(
        "{case}, {}: {} of {} at the first try, {:.1} s, asked again {}; {}",
        way.name(),
        figures.first_time_right,
        figures.builds,
        figures.took.as_secs_f64(),
        figures.again,
        figures.last_words
    );
    Row {
        case: case.to_owned(),
        way,
        figures,
    }
}
