//! What is stored, asked for again and again: the server's own cost, with nothing upstream in the way.

use anyhow::{Result, ensure};
use testkit::{Modkeep, Module, Tree, UpstreamServer, http};

use super::Context;
use super::load::{Figures, Load, Nginx};
use super::report::{Table, figure, median};

const MODULE: &str = "example.com/hot";
const VERSION: &str = "v1.2.3";

/// The same tree behind modkeep, which has fetched all of it, and behind nginx.
struct Pair {
    modkeep: Modkeep,
    nginx: Nginx,
    _upstream: UpstreamServer,
    _tree: Tree,
    _data: tempfile::TempDir,
}

/// The runs of one side.
#[derive(Default)]
struct Side {
    figures: Vec<Figures>,
    cpu: Vec<f64>,
}

impl Pair {
    fn start(context: &Context, zip_bytes: u64, paths: &[String]) -> Result<Self> {
        let tree = Tree::temporary();
        for version in ["v1.0.0", "v1.1.0", "v1.2.0"] {
            tree.add(&Module::new(MODULE, version));
        }
        tree.add(&Module::big(MODULE, VERSION, zip_bytes));
        let upstream = UpstreamServer::serve(tree.root());
        let data = context.data()?;
        let modkeep = context
            .modkeep()
            .data(data.path())
            .upstream(&upstream.url())
            .start();
        let nginx = Nginx::serve(tree.root())?;
        for path in paths {
            let (ours, our_len) = http::drain(&format!("{}{path}", modkeep.url()))?;
            let (theirs, their_len) = http::drain(&format!("{}{path}", nginx.url()))?;
            ensure!(
                ours.status == 200 && theirs.status == 200,
                "{path}: {} and {}",
                ours.status,
                theirs.status
            );
            ensure!(
                our_len == their_len,
                "{path}: {our_len} and {their_len} bytes"
            );
        }
        Ok(Self {
            modkeep,
            nginx,
            _upstream: upstream,
            _tree: tree,
            _data: data,
        })
    }

    /// Both sides in turn.
    fn compare(&self, context: &Context, connections: usize, path: &str) -> Result<(Side, Side)> {
        let load = Load {
            connections,
            time: context.run_time(),
            requests: None,
        };
        let (mut ours, mut theirs) = (Side::default(), Side::default());
        for _ in 0..context.turns() {
            ours.take_turn(
                &load,
                context,
                &format!("{}{path}", self.modkeep.url()),
                &|| self.modkeep.cpu().total(),
            )?;
            theirs.take_turn(
                &load,
                context,
                &format!("{}{path}", self.nginx.url()),
                &|| self.nginx.cpu().total(),
            )?;
        }
        Ok((ours, theirs))
    }
}

impl Side {
    fn take_turn(
        &mut self,
        load: &Load,
        context: &Context,
        url: &str,
        cpu: &dyn Fn() -> f64,
    ) -> Result<()> {
        let before = cpu();
        let figures = load.run(url, context.folder.path())?;
        self.cpu.push(cpu() - before);
        eprintln!(
            "{url}: {} requests/s",
            figure(figures.requests_per_second())
        );
        self.figures.push(figures);
        Ok(())
    }

    fn median(&self, value: impl Fn(&Figures) -> f64) -> f64 {
        median(&self.figures.iter().map(value).collect::<Vec<_>>())
    }

    /// Processor time for each unit of what was delivered.
    fn median_cpu_per(&self, units: impl Fn(&Figures) -> f64) -> f64 {
        median(
            &self
                .figures
                .iter()
                .zip(&self.cpu)
                .map(|(figures, cpu)| cpu / units(figures))
                .collect::<Vec<_>>(),
        )
    }
}

/// `.info`, `.mod` and `list` under 64 connections.
pub(super) fn metadata(context: &Context) -> Result<Vec<Table>> {
    let paths: Vec<String> = [
        format!("{VERSION}.info"),
        format!("{VERSION}.mod"),
        "list".to_owned(),
    ]
    .map(|name| format!("/{MODULE}/@v/{name}"))
    .into();
    let pair = Pair::start(context, 1000, &paths)?;
    let mut rows = Vec::new();
    for path in &paths {
        let (ours, theirs) = pair.compare(context, 64, path)?;
        let speeds = [&ours, &theirs].map(|side| side.median(Figures::requests_per_second));
        let costs =
            [&ours, &theirs].map(|side| 1e6 * side.median_cpu_per(|figures| figures.requests));
        let p99 = [&ours, &theirs].map(|side| side.median(|figures| figures.p99_ms));
        rows.push(row(
            path.rsplit('/').next().unwrap_or(path),
            &[speeds, costs, p99],
        ));
    }
    Ok(vec![Table {
        intro: format!(
            "64 connections, 2 threads of wrk, {} s, {} runs each in turns. CPU is user and system time of all processes \
             of the server.",
            context.run_time().as_secs(),
            context.turns()
        ),
        head: vec![
            "file",
            "modkeep req/s",
            "nginx req/s",
            "ratio",
            "modkeep CPU µs/req",
            "nginx CPU µs/req",
            "ratio",
            "modkeep p99 ms",
            "nginx p99 ms",
            "ratio",
        ],
        rows,
    }])
}

/// Zips of 200 MB, to 8 clients.
pub(super) fn zips(context: &Context) -> Result<Vec<Table>> {
    let path = format!("/{MODULE}/@v/{VERSION}.zip");
    let pair = Pair::start(context, context.big_zip(), std::slice::from_ref(&path))?;
    let (ours, theirs) = pair.compare(context, 8, &path)?;
    let speeds = [&ours, &theirs].map(|side| side.median(Figures::bytes_per_second) / 1e6);
    let costs =
        [&ours, &theirs].map(|side| 1e3 * side.median_cpu_per(|figures| figures.bytes / 1e9));
    let size = context.big_zip() / 1_000_000;
    Ok(vec![Table {
        intro: format!(
            "8 connections, 2 threads of wrk, {} s, {} runs each in turns.",
            context.run_time().as_secs(),
            context.turns()
        ),
        head: vec![
            "file",
            "modkeep MB/s",
            "nginx MB/s",
            "ratio",
            "modkeep CPU ms/GB",
            "nginx CPU ms/GB",
            "ratio",
        ],
        rows: vec![row(&format!("zip of {size} MB"), &[speeds, costs])],
    }])
}

/// For each pair: our median, theirs, and the ratio.
fn row(name: &str, pairs: &[[f64; 2]]) -> Vec<String> {
    let mut cells = vec![name.to_owned()];
    for [ours, theirs] in pairs {
        cells.extend([
            figure(*ours),
            figure(*theirs),
            format!("{:.2}", ours / theirs),
        ]);
    }
    cells
}
