//! What modkeep costs while it idles and while many clients take a big zip at once, and how soon it is there.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::{Memory, Modkeep, Module, Tree, UpstreamServer, http};

use super::Context;
use super::report::{Table, figure, mebibytes, median};

const CLIENTS: usize = 64;
const ZIP: &str = "/example.com/big/@v/v1.0.0.zip";
const INFO: &str = "/example.com/big/@v/v1.0.0.info";

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let tree = Tree::temporary();
    tree.add(&Module::big("example.com/big", "v1.0.0", context.big_zip()));
    let upstream = UpstreamServer::serve(tree.root());
    let size = context.big_zip() / 1_000_000;
    let data = context.data()?;
    let start = || {
        context
            .modkeep()
            .data(data.path())
            .upstream(&upstream.url())
            .start()
    };

    let modkeep = start();
    let idle = settled(&modkeep);
    let cold = stream_to_all(&modkeep)?;
    let fetched = upstream.count(ZIP);
    drop(modkeep);
    let modkeep = start();
    http::get(&format!("{}{INFO}", modkeep.url()))?;
    let hot = stream_to_all(&modkeep)?;
    drop(modkeep);

    let mut starts = Vec::new();
    for _ in 0..if context.quick { 3 } else { 15 } {
        let began = Instant::now();
        let modkeep = start();
        let reply = http::get(&format!("{}{INFO}", modkeep.url()))?;
        ensure!(reply.status == 200, "{INFO}: {}", reply.status);
        starts.push(1e3 * began.elapsed().as_secs_f64());
    }
    let row = |what: String, value: String| vec![what, value];
    Ok(vec![Table {
        intro: format!(
            "The peak is VmHWM of a fresh process. While the {CLIENTS} clients streamed what was not stored yet, the \
             upstream was asked for the zip {fetched} times."
        ),
        head: vec!["what", "value"],
        rows: vec![
            row(
                "resident when idle, MiB".to_owned(),
                mebibytes(idle.resident),
            ),
            row(
                format!("peak, {CLIENTS} clients, one stored zip of {size} MB, MiB"),
                mebibytes(hot.peak),
            ),
            row(
                format!("peak, {CLIENTS} clients, one zip of {size} MB not stored yet, MiB"),
                mebibytes(cold.peak),
            ),
            row(
                format!(
                    "from exec to the first answer, median of {}, ms",
                    starts.len()
                ),
                figure(median(&starts)),
            ),
        ],
    }])
}

/// Memory once the start is over.
fn settled(modkeep: &Modkeep) -> Memory {
    thread::sleep(Duration::from_secs(2));
    modkeep.memory()
}

fn stream_to_all(modkeep: &Modkeep) -> Result<Memory> {
    let url = format!("{}{ZIP}", modkeep.url());
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| http::drain(&url)))
            .collect();
        let mut sizes = Vec::new();
        for client in clients {
            let (reply, bytes) = client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
            ensure!(
                reply.status == 200 && reply.complete,
                "{url}: status {}, {bytes} bytes",
                reply.status
            );
            sizes.push(bytes);
        }
        ensure!(
            sizes.windows(2).all(|pair| pair[0] == pair[1]),
            "clients got zips of different sizes: {sizes:?}"
        );
        Ok(modkeep.memory())
    })
}
