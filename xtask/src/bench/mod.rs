//! Benchmarks: modkeep against something of known worth, on the same machine, in turns.
//!
//! A single figure of one machine says little and ages fast. So what is reported is a ratio: the median of several runs
//! of one side over the median of as many runs of the other, which took turns. All load stays on loopback.

mod cold;
mod doctor;
mod hot;
mod load;
mod memory;
mod origin;
pub(crate) mod report;
mod scale;
mod start;
mod sumlog;
mod verification;
mod verify;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tempfile::TempDir;
use testkit::{ModkeepCommand, target_dir, workspace_root};

use report::{Report, Table};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Which benchmarks; all of them when none is named.
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(BENCHMARKS.map(|bench| bench.name)))]
    names: Vec<String>,
    /// Small and short: shows that the benchmarks work. Written to a file only with --out.
    #[arg(long)]
    quick: bool,
    /// How often each side has its turn [default: 5, with --quick 2].
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// The file whose sections are replaced [default: docs/benchmarks.md].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The program to measure, in place of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

struct Benchmark {
    name: &'static str,
    title: &'static str,
    run: fn(&Context) -> Result<Vec<Table>>,
}

const BENCHMARKS: [Benchmark; 11] = [
    Benchmark {
        name: "hot-metadata",
        title: "Stored metadata, against nginx",
        run: hot::metadata,
    },
    Benchmark {
        name: "hot-zip",
        title: "Stored zips, against nginx",
        run: hot::zips,
    },
    Benchmark {
        name: "memory",
        title: "Memory and start",
        run: memory::run,
    },
    Benchmark {
        name: "cold-build",
        title: "A build from nothing, against the upstream itself",
        run: cold::run,
    },
    Benchmark {
        name: "doctor",
        title: "Diagnosis: time and memory",
        run: doctor::run,
    },
    Benchmark {
        name: "origin",
        title: "Straight from git repositories, against go itself",
        run: origin::run,
    },
    Benchmark {
        name: "scale",
        title: "A hundred times the modules",
        run: scale::run,
    },
    Benchmark {
        name: "start",
        title: "The next start with 100,000 versions stored",
        run: start::run,
    },
    Benchmark {
        name: "sumlog",
        title: "A thousand times the records in a checksum log",
        run: sumlog::run,
    },
    Benchmark {
        name: "verification",
        title: "Verification before serving, against serving without",
        run: verification::run,
    },
    Benchmark {
        name: "verify",
        title: "A module cache verified, against go mod verify",
        run: verify::run,
    },
];

/// What every benchmark needs to know.
struct Context {
    binary: PathBuf,
    quick: bool,
    turns: Option<usize>,
    /// Where the data goes; removed at the end.
    folder: TempDir,
}

impl Context {
    /// How often each side has its turn.
    fn turns(&self) -> usize {
        self.turns.unwrap_or(if self.quick { 2 } else { 5 })
    }

    /// How long one run under load takes.
    fn run_time(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 10 })
    }

    /// The size of what counts as a big zip.
    fn big_zip(&self) -> u64 {
        if self.quick { 20_000_000 } else { 200_000_000 }
    }

    /// A new folder for the data of one server.
    fn data(&self) -> Result<TempDir> {
        tempfile::tempdir_in(self.folder.path()).context("making a folder for a store")
    }

    /// `modkeep serve`, without a checksum database: what the simulated upstream serves is in none.
    fn modkeep(&self) -> ModkeepCommand {
        ModkeepCommand::new(&self.binary).sumdb("off")
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen: Vec<&Benchmark> = BENCHMARKS
        .iter()
        .filter(|bench| {
            options.names.is_empty() || options.names.iter().any(|name| name == bench.name)
        })
        .collect();
    let binary = match &options.binary {
        Some(file) => file
            .canonicalize()
            .with_context(|| format!("looking for {}", file.display()))?,
        None => release_build()?,
    };
    let context = Context {
        binary,
        quick: options.quick,
        turns: options.turns,
        folder: tempfile::tempdir()?,
    };
    let out = match &options.out {
        Some(file) => Some(file.clone()),
        None if options.quick => None,
        None => Some(workspace_root().join("docs/benchmarks.md")),
    };
    let machine = report::machine();
    for bench in chosen {
        eprintln!("== {}", bench.name);
        let tables = (bench.run)(&context).with_context(|| format!("benchmark {}", bench.name))?;
        let quick = if options.quick { " --quick" } else { "" };
        let turns = options
            .turns
            .map_or_else(String::new, |turns| format!(" --turns {turns}"));
        let report = Report {
            name: bench.name,
            title: bench.title,
            command: format!("cargo xtask bench {}{quick}{turns}", bench.name),
            machine: machine.clone(),
            tables,
        };
        println!("{}", report.text());
        if let Some(file) = &out {
            report.write_to(file)?;
        }
    }
    Ok(())
}

/// Builds the program as it is released.
pub(crate) fn release_build() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin", "modkeep"])
        .current_dir(workspace_root())
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "cargo build failed");
    let binary = target_dir().join("release/modkeep");
    if !binary.is_file() {
        bail!("cargo build left no {}", binary.display());
    }
    Ok(binary)
}
