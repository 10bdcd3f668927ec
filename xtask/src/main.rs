//! Development commands: `cargo xtask <command>`.
//!
//! What needs more than a line of shell to set up, measure or generate lives here, so that it is the same on every
//! machine and is checked by the compiler.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks"
)]

mod bench;
mod chaos;
mod generated;
mod goproxy;
mod toolchain;
mod transcripts;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development commands of modkeep.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the real go available to the tests: the one in PATH when it is new enough, else a download that is
    /// verified. Prints the path of the binary.
    Toolchain {
        /// Where to unpack a download to.
        #[arg(long, value_name = "DIR", default_value = "target/tools")]
        dir: PathBuf,
    },
    /// Say by the exit status whether the public module proxy answers.
    Online,
    /// Write the files that are made from the source code.
    Gen {
        /// Write nothing; fail when a file differs from what would be written.
        #[arg(long)]
        check: bool,
    },
    /// Write the transcripts of docs/doctor.md, and the screens that are compared with them, as the program prints them.
    Transcripts,
    /// Measure, and write the results to the documentation.
    Bench(bench::Options),
    /// Compare builds through modkeep with builds without it while everything fails that can, and write the results to
    /// the documentation.
    Chaos(chaos::Options),
    /// A simulated upstream, for the rig.
    #[command(hide = true)]
    ChaosUpstream(chaos::UpstreamOptions),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Toolchain { dir } => toolchain::provide(&testkit::workspace_root().join(dir))
            .map(|go| println!("{}", go.display())),
        Command::Online => goproxy::is_online(),
        Command::Gen { check } => generated::run(check),
        Command::Transcripts => transcripts::write(),
        Command::Bench(options) => bench::run(&options),
        Command::Chaos(options) => chaos::run(&options),
        Command::ChaosUpstream(options) => chaos::run_upstream(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
