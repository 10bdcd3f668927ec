//! What it costs to verify before serving: the same with a checksum database and without.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::http::{self, Connection};
use testkit::{
    ChecksumDatabase, Fault, Go, Modkeep, ModkeepCommand, Module, Project, ProjectShape, Tree,
    UpstreamServer,
};

use super::Context;
use super::load::Load;
use super::report::{Table, figure, median};

/// How long the upstream and the database take for each request.
const DELAY: Duration = Duration::from_millis(50);
const NAME: &str = "sum.example.com";
const BIG: &str = "example.com/big";
const VERSION: &str = "v1.0.0";

/// An upstream with a project and a big zip, and a database that knows all of it.
struct Scene {
    upstream: UpstreamServer,
    database: ChecksumDatabase,
    project: tempfile::TempDir,
    modules: usize,
    big: Module,
    _tree: Tree,
}

/// With verification, and without.
#[derive(Default)]
struct Pair {
    with: Vec<f64>,
    without: Vec<f64>,
}

impl Pair {
    fn row(&self, what: String) -> Vec<String> {
        let (with, without) = (median(&self.with), median(&self.without));
        let ratio = format!("{:.3}", with / without);
        vec![what, figure(with), figure(without), ratio]
    }
}

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let scene = Scene::new(context)?;
    let mut fill = Pair::default();
    let mut zip = Pair::default();
    let turns = context.turns() * 2;
    for turn in 0..turns {
        // Each side goes first as often as the other.
        for with in [turn % 2 == 0, turn % 2 != 0] {
            let (modkeep, _data) = scene.fresh(context, with)?;
            let seconds = scene.download(&modkeep)?;
            let (modkeep, _data) = scene.fresh(context, with)?;
            let zip_seconds = scene.fetch_zip(&modkeep)?;
            eprintln!("verification {with}: {seconds:.3} s, zip {zip_seconds:.3} s");
            let (fills, zips) = if with {
                (&mut fill.with, &mut zip.with)
            } else {
                (&mut fill.without, &mut zip.without)
            };
            fills.push(seconds);
            zips.push(zip_seconds);
        }
    }
    let hits = scene.hits(context)?;
    let held = scene.held_back(context)?;
    let table = Table {
        intro: format!(
            "A generated project of {} modules, downloaded by `go` with an empty module cache through a modkeep with an \
             empty store; upstream and database take {} ms for each request. Without a database zips are hashed, too, \
             for the pin at first sight. {turns} runs each in turns. {held} bytes of a zip are held back until the whole \
             is verified.",
            scene.modules,
            DELAY.as_millis(),
        ),
        head: vec!["what", "verified", "no database", "ratio"],
        rows: vec![
            fill.row("cold fill, `go mod download`, s".to_owned()),
            zip.row(format!(
                "cold zip of {} MB, s",
                context.big_zip() / 1_000_000
            )),
            hits.row("stored go.mod, requests/s".to_owned()),
        ],
    };
    Ok(vec![table])
}

impl Scene {
    fn new(context: &Context) -> Result<Self> {
        let tree = Tree::temporary();
        let project = Project::generate(ProjectShape {
            seed: 42,
            modules: if context.quick { 60 } else { 190 },
            padding: 20_000,
        });
        project.publish(&tree);
        let big = Module::big(BIG, VERSION, context.big_zip());
        tree.add(&big);
        let database = ChecksumDatabase::new(NAME, 1);
        for module in project.modules() {
            database.add(&module);
        }
        database.add(&big);
        // As a real one: every answer has the newest head.
        database.answer_with_newest_head();
        database.server.set_delay(DELAY);
        let folder = tempfile::tempdir()?;
        project.write_main(folder.path());
        let upstream = UpstreamServer::serve(tree.root());
        upstream.set_delay(DELAY);
        Ok(Self {
            upstream,
            database,
            project: folder,
            modules: project.selected().len(),
            big,
            _tree: tree,
        })
    }

    fn fresh(&self, context: &Context, with: bool) -> Result<(Modkeep, tempfile::TempDir)> {
        let data = context.data()?;
        let setting = self.database.setting();
        let command = ModkeepCommand::new(&context.binary)
            .data(data.path())
            .upstream(&self.upstream.url())
            .sumdb(if with { &setting } else { "off" });
        Ok((command.start(), data))
    }

    /// Seconds.
    fn download(&self, modkeep: &Modkeep) -> Result<f64> {
        let go = Go::find().proxy(modkeep.url());
        let began = Instant::now();
        let output = go.run(self.project.path(), &["mod", "download"]);
        ensure!(output.success, "go mod download: {}", output.stderr);
        Ok(began.elapsed().as_secs_f64())
    }

    /// Seconds.
    fn fetch_zip(&self, modkeep: &Modkeep) -> Result<f64> {
        let began = Instant::now();
        let (reply, _) = http::drain(&format!("{}{}", modkeep.url(), self.zip_path()))?;
        ensure!(reply.status == 200 && reply.complete, "{}", reply.status);
        Ok(began.elapsed().as_secs_f64())
    }

    fn zip_path(&self) -> String {
        format!("/{}.zip", self.big.stem())
    }

    /// Requests per second for a stored file.
    fn hits(&self, context: &Context) -> Result<Pair> {
        let (with, _data) = self.fresh(context, true)?;
        let (without, _other_data) = self.fresh(context, false)?;
        let path = format!("/{}.mod", self.big.stem());
        let load = Load {
            connections: 64,
            time: context.run_time() / 2,
            requests: None,
        };
        let mut pair = Pair::default();
        for turn in 0..context.turns() {
            for is_verified in [turn % 2 == 0, turn % 2 != 0] {
                let (modkeep, side) = if is_verified {
                    (&with, &mut pair.with)
                } else {
                    (&without, &mut pair.without)
                };
                let url = format!("{}{path}", modkeep.url());
                http::drain(&url)?;
                let figures = load.run(&url, context.folder.path())?;
                side.push(figures.requests_per_second());
            }
        }
        Ok(pair)
    }

    /// How many of the bytes that have come in are not let out.
    fn held_back(&self, context: &Context) -> Result<u64> {
        let tree = Tree::temporary();
        let module = Module::big("example.com/held", VERSION, 2_000_000);
        tree.add(&module);
        self.database.add(&module);
        let upstream = UpstreamServer::serve(tree.root());
        let path = format!("/{}.zip", module.stem());
        let sent = module.zip().len() as u64 - 1;
        // All but one byte come in, and then nothing.
        upstream.fail(path.as_str(), Fault::StallAt(sent));
        let data = context.data()?;
        let modkeep = ModkeepCommand::new(&context.binary)
            .data(data.path())
            .upstream(&upstream.url())
            .sumdb(&self.database.setting())
            .start();
        let mut connection = Connection::open(modkeep.authority())?;
        // Shorter than that after which the rest would be asked for again.
        connection.set_patience(Duration::from_secs(1))?;
        connection.request("GET", modkeep.authority(), &path, &[])?;
        let (status, _) = connection.head()?;
        ensure!(status == 200, "{path}: {status}");
        let mut received = 0;
        while let Ok(bytes) = connection.some(1 << 20) {
            if bytes.is_empty() {
                break;
            }
            received += bytes.len() as u64;
        }
        sent.checked_sub(received)
            .context("more came out than went in")
    }
}
