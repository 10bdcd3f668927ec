//! Whether a checksum log on disk gets slower when it grows. What is measured is `crates/sumlog/benches/growth.rs`, built
//! as what is released.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use testkit::workspace_root;

use super::Context;
use super::report::{Table, figure, median};

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let sizes = if context.quick {
        [1_000, 20_000]
    } else {
        [1_000, 1_000_000]
    };
    let turns = measure(context, sizes)?;
    let [few, many] = sizes.map(|size| of_log(&turns, size));
    let rows = [
        ("append of one record, ms", 1),
        ("look-up with proof, ms", 2),
        ("start of the writer, ms", 0),
    ]
    .map(|(name, column)| {
        let [few, many] = [&few, &many].map(|turns| {
            let times: Vec<f64> = turns.iter().map(|turn| turn.times[column]).collect();
            median(&times)
        });
        vec![
            name.to_owned(),
            figure(few),
            figure(many),
            format!("{:.2}", many / few),
        ]
    });
    Ok(vec![Table {
        intro: format!(
            "A log of {} against one of {} records on the same disk. An append is one record in a batch of its own, durable and \
             published; a look-up is one of a client without a cache, head, record and all tiles of the proof, verified. Both \
             run in one process, without a network. Medians of a hundred in each of {} turns.",
            sizes[0],
            sizes[1],
            context.turns()
        ),
        head: vec!["what", "few", "many", "ratio"],
        rows: rows.into(),
    }])
}

/// What one log took in one turn.
struct Turn {
    size: u64,
    /// Milliseconds for the start, an append and a look-up.
    times: [f64; 3],
}

fn of_log(turns: &[Turn], size: u64) -> Vec<&Turn> {
    turns.iter().filter(|turn| turn.size == size).collect()
}

fn measure(context: &Context, sizes: [u64; 2]) -> Result<Vec<Turn>> {
    let data = context.data()?;
    let output = Command::new(env!("CARGO"))
        .args(["bench", "--quiet", "--locked", "--package", "sumlog"])
        .args(["--bench", "growth", "--"])
        .arg(data.path())
        .arg(context.turns().to_string())
        .args(sizes.map(|size| size.to_string()))
        .current_dir(workspace_root())
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    ensure!(output.status.success(), "cargo bench failed");
    let text = String::from_utf8(output.stdout).context("what cargo bench printed")?;
    let turns: Vec<Turn> = text.lines().filter_map(parse).collect();
    for size in sizes {
        let found = of_log(&turns, size).len();
        ensure!(
            found == context.turns(),
            "{found} turns of the log of {size} records: {text}"
        );
    }
    Ok(turns)
}

fn parse(line: &str) -> Option<Turn> {
    let mut fields = line.split(' ');
    let size = fields.next()?.parse().ok()?;
    let times: Vec<f64> = fields
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    Some(Turn {
        size,
        times: times.try_into().ok()?,
    })
}
