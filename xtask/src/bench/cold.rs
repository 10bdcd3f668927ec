//! A build on a machine that has nothing, through a modkeep that has nothing: what prefetching and sharing are worth.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::http;
use testkit::{Go, Modkeep, Module, Project, ProjectShape, Tree, UpstreamServer};

use super::Context;
use super::report::{Table, figure, median};

/// How long the upstream takes for each request.
const DELAY: Duration = Duration::from_millis(50);
const CLIENTS: usize = 30;

struct Scene {
    upstream: UpstreamServer,
    project: tempfile::TempDir,
    modules: usize,
    _tree: Tree,
}

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let scene = Scene::new(if context.quick { 60 } else { 190 })?;
    let mut rows = vec![scene.build_speed(context)?];
    rows.push(scene.listing(context)?);
    rows.push(scene.crowd(context)?);
    let downloads = Table {
        intro: format!(
            "A generated project of {} modules; the simulated upstream takes {} ms for each request. Every run starts \
             with an empty module cache and, for modkeep, an empty store; {} runs each in turns.",
            scene.modules,
            DELAY.as_millis(),
            context.turns()
        ),
        head: vec!["what", "through modkeep", "straight", "ratio"],
        rows,
    };
    Ok(vec![downloads, first_bytes(context)?])
}

impl Scene {
    fn new(modules: usize) -> Result<Self> {
        let tree = Tree::temporary();
        let project = Project::generate(ProjectShape {
            seed: 42,
            modules,
            padding: 20_000,
        });
        project.publish(&tree);
        let folder = tempfile::tempdir()?;
        project.write_main(folder.path());
        let upstream = UpstreamServer::serve(tree.root());
        upstream.set_delay(DELAY);
        Ok(Self {
            upstream,
            project: folder,
            modules,
            _tree: tree,
        })
    }

    fn fresh(&self, context: &Context) -> Result<(Modkeep, tempfile::TempDir)> {
        let data = context.data()?;
        Ok((
            context
                .modkeep()
                .data(data.path())
                .upstream(&self.upstream.url())
                .start(),
            data,
        ))
    }

    fn build_speed(&self, context: &Context) -> Result<Vec<String>> {
        let (mut through, mut straight) = (Vec::new(), Vec::new());
        for _ in 0..context.turns() {
            let (modkeep, _data) = self.fresh(context)?;
            through.push(download(modkeep.url(), self.project.path())?);
            straight.push(download(&self.upstream.url(), self.project.path())?);
            eprintln!(
                "go mod download: {:?} s through modkeep, {:?} s straight",
                through.last(),
                straight.last()
            );
        }
        let (through, straight) = (median(&through), median(&straight));
        let ratio = format!("{:.2}", through / straight);
        Ok(vec![
            "`go mod download`, s".to_owned(),
            figure(through),
            figure(straight),
            ratio,
        ])
    }

    /// `go list -m all` reads go.mod files; a proxy that fetched zips for it would waste the upstream.
    fn listing(&self, context: &Context) -> Result<Vec<String>> {
        let mut zips = Vec::new();
        let (modkeep, _data) = self.fresh(context)?;
        for proxy in [modkeep.url(), &self.upstream.url()] {
            self.upstream.forget();
            let output = Go::find()
                .proxy(proxy)
                .run(self.project.path(), &["list", "-m", "all"]);
            ensure!(output.success, "go list: {}", output.stderr);
            // What is fetched ahead may come after the answer.
            thread::sleep(Duration::from_secs(1));
            zips.push(self.upstream.count("*.zip").to_string());
        }
        zips.insert(0, "zips fetched upstream for `go list -m all`".to_owned());
        zips.push("-".to_owned());
        Ok(zips)
    }

    /// Many clients start the same build at the same time.
    fn crowd(&self, context: &Context) -> Result<Vec<String>> {
        let clients = if context.quick { 5 } else { CLIENTS };
        let (modkeep, _data) = self.fresh(context)?;
        self.upstream.forget();
        thread::scope(|scope| {
            let builds: Vec<_> = (0..clients)
                .map(|_| scope.spawn(|| download(modkeep.url(), self.project.path())))
                .collect();
            builds.into_iter().try_for_each(|build| {
                build
                    .join()
                    .map_err(|_| anyhow::anyhow!("a client panicked"))?
                    .map(drop)
            })
        })?;
        let counts = self.upstream.counts();
        let files = counts
            .iter()
            .filter(|(path, _)| !path.ends_with("/list") && !path.ends_with("/@latest"));
        let most = files.map(|(_, count)| *count).max().unwrap_or_default();
        Ok(vec![
            format!("most often that one upstream file was asked for, {clients} clients at once"),
            most.to_string(),
            clients.to_string(),
            "-".to_owned(),
        ])
    }
}

/// Seconds that `go mod download` takes with an empty module cache.
fn download(proxy: &str, project: &Path) -> Result<f64> {
    let go = Go::find().proxy(proxy);
    let began = Instant::now();
    let output = go.run(project, &["mod", "download"]);
    ensure!(output.success, "go mod download: {}", output.stderr);
    Ok(began.elapsed().as_secs_f64())
}

/// A client that comes second to a zip that is not there yet should not wait for all of it.
fn first_bytes(context: &Context) -> Result<Table> {
    const ZIP: &str = "/example.com/big/@v/v1.0.0.zip";
    let tree = Tree::temporary();
    tree.add(&Module::big("example.com/big", "v1.0.0", context.big_zip()));
    let upstream = UpstreamServer::serve(tree.root());
    upstream.set_delay(Duration::from_millis(500));
    upstream.set_bandwidth(Some(context.big_zip() / 4));
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for _ in 0..context.turns() {
        upstream.forget();
        let data = context.data()?;
        let modkeep = context
            .modkeep()
            .data(data.path())
            .upstream(&upstream.url())
            .start();
        let url = format!("{}{ZIP}", modkeep.url());
        let wait = |pause: u64| {
            thread::sleep(Duration::from_millis(pause));
            let asked = Instant::now();
            let (reply, _) = http::drain(&url)?;
            ensure!(
                reply.status == 200 && reply.complete,
                "{url}: {}",
                reply.status
            );
            Ok((asked, reply.first_byte.context("a body without a byte")?))
        };
        let [_, (second_asked, second_wait), (_, third_wait)] = thread::scope(|scope| {
            let clients = [0, 100, 1500].map(|pause| scope.spawn(move || wait(pause)));
            let mut results = Vec::new();
            for client in clients {
                results.push(
                    client
                        .join()
                        .map_err(|_| anyhow::anyhow!("a client panicked"))??,
                );
            }
            <[_; 3]>::try_from(results)
                .map_err(|_| anyhow::anyhow!("three clients have three results"))
        })?;
        let requests = upstream.requests();
        let fetch = requests
            .iter()
            .find(|request| request.path == ZIP)
            .context("the zip was not fetched")?;
        let upstream_first = fetch.first_byte.context("the upstream sent nothing")?;
        ensure!(
            upstream.count(ZIP) == 1,
            "the zip was fetched {} times",
            upstream.count(ZIP)
        );
        early.push(
            1e3 * (second_asked + second_wait)
                .saturating_duration_since(upstream_first)
                .as_secs_f64(),
        );
        late.push(1e3 * third_wait.as_secs_f64());
    }
    Ok(Table {
        intro: format!(
            "A zip of {} MB that is not stored yet, from an upstream that sends its first byte after 500 ms and takes 4 s \
             for the rest; medians of {} runs.",
            context.big_zip() / 1_000_000,
            context.turns()
        ),
        head: vec![
            "first byte of a client that waits for another client's zip",
            "ms",
        ],
        rows: vec![
            vec![
                "joined before the upstream answered: after the upstream's first byte".to_owned(),
                figure(median(&early)),
            ],
            vec![
                "joined in the middle of the transfer: after its own request".to_owned(),
                figure(median(&late)),
            ],
        ],
    })
}
