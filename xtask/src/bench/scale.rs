//! Whether an answer takes longer when there is more to choose from.

use anyhow::{Result, ensure};
use testkit::{Modkeep, Tree, http};

use super::Context;
use super::load::{Figures, Load};
use super::report::{Table, figure, median};

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let sizes = if context.quick {
        [1_000, 5_000]
    } else {
        [1_000, 100_000]
    };
    let mut stores = Vec::new();
    for size in sizes {
        eprintln!("writing a store of {size} modules");
        stores.push(Store::fill(context, size)?);
    }
    let mut runs: [Vec<Figures>; 2] = Default::default();
    for _ in 0..context.turns() {
        for (store, runs) in stores.iter().zip(&mut runs) {
            runs.push(store.load(context)?);
        }
    }
    let rows = [
        (
            "p99, ms",
            (|figures: &Figures| figures.p99_ms) as fn(&Figures) -> f64,
        ),
        ("median, ms", |figures| figures.median_ms),
        ("requests/s", Figures::requests_per_second),
    ]
    .into_iter()
    .map(|(name, value)| {
        let [few, many] =
            [0, 1].map(|side| median(&runs[side].iter().map(value).collect::<Vec<_>>()));
        vec![
            name.to_owned(),
            figure(few),
            figure(many),
            format!("{:.2}", many / few),
        ]
    })
    .collect();
    Ok(vec![Table {
        intro: format!(
            "`.info` of stored modules in random order, {} against {} modules, one version each; 64 connections, 2 threads \
             of wrk, {} s, {} runs each in turns.",
            sizes[0],
            sizes[1],
            context.run_time().as_secs(),
            context.turns()
        ),
        head: vec!["what", "few", "many", "ratio"],
        rows,
    }])
}

struct Store {
    modkeep: Modkeep,
    modules: usize,
    _data: tempfile::TempDir,
}

impl Store {
    /// The tree of a store is that of a proxy: it can be put in place by copying.
    fn fill(context: &Context, modules: usize) -> Result<Self> {
        let data = context.data()?;
        let paths = Tree::at(data.path().join("tree")).add_tiny_modules(modules);
        let modkeep = context.modkeep().data(data.path()).upstream("off").start();
        for path in [&paths[0], &paths[paths.len() - 1]] {
            let reply = http::get(&format!("{}/{path}/@v/v1.0.0.info", modkeep.url()))?;
            ensure!(
                reply.status == 200,
                "{path} is not served from the store: {} {}",
                reply.status,
                reply.text()
            );
        }
        Ok(Self {
            modkeep,
            modules,
            _data: data,
        })
    }

    fn load(&self, context: &Context) -> Result<Figures> {
        let requests = format!(
            "local threads = 0\n\
             setup = function(thread) thread:set(\"number\", threads); threads = threads + 1 end\n\
             init = function(arguments) math.randomseed(os.time() + 7919 * number) end\n\
             request = function()\n  \
             local n = math.random(0, {} - 1)\n  \
             return wrk.format(\"GET\", string.format(\"/example.com/tiny%03d/m%06d/@v/v1.0.0.info\", n % 500, n))\n\
             end\n",
            self.modules
        );
        let load = Load {
            connections: 64,
            time: context.run_time(),
            requests: Some(requests),
        };
        let figures = load.run(self.modkeep.url(), context.folder.path())?;
        eprintln!(
            "{} modules: p99 {} ms",
            self.modules,
            figure(figures.p99_ms)
        );
        Ok(figures)
    }
}
