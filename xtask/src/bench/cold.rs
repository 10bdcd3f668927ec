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
const DELAYS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(150)];
const CLIENTS: usize = 30;

struct Scene {
    upstream: UpstreamServer,
    project: tempfile::TempDir,
    modules: usize,
    _tree: Tree,
}

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let scene = Scene::new(if context.quick { 60 } else { 300 })?;
    let mut speed = Vec::new();
    for work in Work::ALL {
        for delay in DELAYS {
            scene.upstream.set_delay(delay);
            speed.push(scene.compare(context, work, delay)?);
        }
    }
    scene.upstream.set_delay(DELAYS[0]);
    let rows = vec![scene.listing(context)?, scene.crowd(context)?];
    let speed = Table {
        intro: format!(
            "A generated project of {} modules. Every run starts with an empty module cache and, for modkeep, an empty \
             store; medians of {} runs each in turns. What `go build` compiles was compiled before. The hit rate is the \
             part of the files fetched ahead that `go` then asked for; wasted is what was fetched from the upstream \
             beyond what `go` itself fetches, as part of all bytes fetched; the memory is the peak of modkeep.",
            scene.modules,
            context.turns()
        ),
        head: vec![
            "what",
            "the upstream takes for each request",
            "straight, s",
            "through modkeep that fetches nothing ahead, s",
            "through modkeep, s",
            "times as fast as straight",
            "hit rate",
            "wasted",
            "memory, MiB",
        ],
        rows: speed,
    };
    let sharing = Table {
        intro: format!(
            "The same project; the upstream takes {} ms for each request.",
            DELAYS[0].as_millis()
        ),
        head: vec!["what", "through modkeep", "straight", "ratio"],
        rows,
    };
    Ok(vec![speed, sharing, first_bytes(context)?])
}

/// What a client does.
#[derive(Clone, Copy)]
enum Work {
    Download,
    Build,
}

impl Work {
    const ALL: [Self; 2] = [Self::Download, Self::Build];

    fn name(self) -> &'static str {
        match self {
            Self::Download => "`go mod download`",
            Self::Build => "`go build`",
        }
    }

    /// Seconds that it takes with an empty module cache.
    fn run(self, proxy: &str, project: &Path) -> Result<f64> {
        let arguments: &[&str] = match self {
            Self::Download => &["mod", "download"],
            // What is compiled does not depend on where the module cache is.
            Self::Build => &["build", "-trimpath", "-o", "app", "."],
        };
        let go = Go::find().proxy(proxy);
        let began = Instant::now();
        let output = go.run(project, arguments);
        ensure!(
            output.success,
            "go {}: {}",
            arguments.join(" "),
            output.stderr
        );
        Ok(began.elapsed().as_secs_f64())
    }
}

/// What one run through modkeep came to.
struct Through {
    seconds: f64,
    /// Of the files fetched ahead the part that was asked for.
    hit_rate: f64,
    /// Bytes that the upstream sent.
    fetched: f64,
    /// The peak, in MiB.
    memory: f64,
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
        let scene = Self {
            upstream,
            project: folder,
            modules,
            _tree: tree,
        };
        Work::Build.run(&scene.upstream.url(), scene.project.path())?;
        Ok(scene)
    }

    fn fresh(&self, context: &Context, ahead: bool) -> Result<(Modkeep, tempfile::TempDir)> {
        let data = context.data()?;
        Ok((
            context
                .modkeep()
                .data(data.path())
                .upstream(&self.upstream.url())
                .env("MODKEEP_PREFETCH_ENABLED", ahead.to_string())
                // It asks for a file that is stored already, to see whether the upstream is there.
                .env("MODKEEP_UPSTREAMS_PROBE_INTERVAL", "1h")
                .start(),
            data,
        ))
    }

    fn compare(&self, context: &Context, work: Work, delay: Duration) -> Result<Vec<String>> {
        let (mut ahead, mut plain, mut straight) = (Vec::new(), Vec::new(), Vec::new());
        let mut wasted = Vec::new();
        for _ in 0..context.turns() {
            let through = self.through(context, work, true)?;
            plain.push(self.through(context, work, false)?.seconds);
            self.upstream.forget();
            straight.push(work.run(&self.upstream.url(), self.project.path())?);
            wasted.push(1.0 - self.bytes_fetched() / through.fetched);
            eprintln!(
                "{} at {delay:?}: {:.2} s through modkeep, {:?} s without prefetch, {:?} s straight, hit rate {:.3}, wasted {:?}",
                work.name(),
                through.seconds,
                plain.last(),
                straight.last(),
                through.hit_rate,
                wasted.last()
            );
            ahead.push(through);
        }
        let of = |figure: fn(&Through) -> f64| -> f64 {
            median(&ahead.iter().map(figure).collect::<Vec<_>>())
        };
        let (through, straight) = (of(|run| run.seconds), median(&straight));
        Ok(vec![
            work.name().to_owned(),
            format!("{} ms", delay.as_millis()),
            figure(straight),
            figure(median(&plain)),
            figure(through),
            format!("{:.2}", straight / through),
            format!("{:.1} %", 100.0 * of(|run| run.hit_rate)),
            format!("{:.1} %", 100.0 * median(&wasted).max(0.0)),
            figure(of(|run| run.memory)),
        ])
    }

    fn through(&self, context: &Context, work: Work, ahead: bool) -> Result<Through> {
        let (modkeep, _data) = self.fresh(context, ahead)?;
        self.upstream.forget();
        let seconds = work.run(modkeep.url(), self.project.path())?;
        // What is fetched ahead may come after the last answer.
        thread::sleep(Duration::from_secs(1));
        let files = metric(&modkeep, "modkeep_prefetch_files_total")?;
        let used = metric(&modkeep, "modkeep_prefetch_used_files_total")?;
        #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
        let memory = modkeep.memory().peak as f64 / f64::from(1 << 20);
        Ok(Through {
            seconds,
            hit_rate: if files > 0.0 { used / files } else { 1.0 },
            fetched: self.bytes_fetched(),
            memory,
        })
    }

    /// Bytes of bodies that the upstream sent since it forgot.
    fn bytes_fetched(&self) -> f64 {
        let bytes: u64 = self
            .upstream
            .requests()
            .iter()
            .map(|request| request.body_bytes)
            .sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "sums of file sizes are far below 2^52"
        )]
        let bytes = bytes as f64;
        bytes
    }

    /// `go list -m all` reads go.mod files; a proxy that fetched zips for it would waste the upstream.
    fn listing(&self, context: &Context) -> Result<Vec<String>> {
        let mut zips = Vec::new();
        let (modkeep, _data) = self.fresh(context, true)?;
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
        let (modkeep, _data) = self.fresh(context, true)?;
        self.upstream.forget();
        thread::scope(|scope| {
            let builds: Vec<_> = (0..clients)
                .map(|_| scope.spawn(|| Work::Download.run(modkeep.url(), self.project.path())))
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

/// The value of a metric without labels.
fn metric(modkeep: &Modkeep, name: &str) -> Result<f64> {
    let reply = http::get(&format!("{}/metrics", modkeep.url()))?;
    let text = String::from_utf8_lossy(&reply.body);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .with_context(|| format!("there is no {name}"))?;
    Ok(line.parse()?)
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
