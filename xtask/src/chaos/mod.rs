//! The fault rig: the same real `go mod download` through modkeep and straight, while upstreams, networks and disks fail.
//!
//! Upstreams are processes of their own that break HTTP, TLS and TCP over raw sockets. Everything happens on loopback; where
//! the machine allows it, in network and mount namespaces of its own, so that packets can really be lost, the resolver can
//! lie and a disk can be full. What the machine does not allow is said, and left out.

mod build;
mod crowd;
mod dns;
mod hour;
mod isolation;
mod kill;
mod measure;
mod mirror;
mod report;
mod rig;
mod scenarios;
mod soak;
mod trouble;
mod upstream;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use testkit::workspace_root;

use isolation::Abilities;
use rig::Rig;
use scenarios::SCENARIOS;

pub(crate) use upstream::{Options as UpstreamOptions, run as run_upstream};

/// What `cargo xtask chaos` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Which scenarios; all of them when none is named.
    #[arg(value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(scenarios::names()))]
    names: Vec<String>,
    /// Small and short: shows that the rig works. Written to a file only with --out.
    #[arg(long)]
    quick: bool,
    /// The file whose sections are replaced [default: docs/availability.md].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long the day of the scenario `soak` lasts, in minutes [default: 12, with --quick 1].
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u32>,
    /// The program to measure, in place of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Runs scenarios, in namespaces of their own where the machine allows it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let binary = match &options.binary {
        Some(file) => file
            .canonicalize()
            .with_context(|| format!("looking for {}", file.display()))?,
        None => crate::bench::release_build()?,
    };
    if !isolation::is_inside() {
        let mut arguments: Vec<String> = vec!["chaos".to_owned()];
        arguments.extend(options.names.iter().cloned());
        arguments.extend(options.quick.then(|| "--quick".to_owned()));
        arguments.push("--binary".to_owned());
        arguments.push(binary.display().to_string());
        if let Some(minutes) = options.soak {
            arguments.extend(["--soak".to_owned(), minutes.to_string()]);
        }
        if let Some(out) = &options.out {
            arguments.push("--out".to_owned());
            arguments.push(std::path::absolute(out)?.display().to_string());
        }
        if let Some(status) = isolation::go_inside(&arguments)? {
            ensure!(status.success(), "the rig in its namespaces: {status}");
            return Ok(());
        }
        eprintln!(
            "no namespaces of our own here: no lost packets, no lying resolver, no full disk"
        );
    }
    let abilities = Abilities::find();
    let minutes = options.soak.unwrap_or(if options.quick { 1 } else { 12 });
    let mut rig = Rig::new(binary, options.quick, abilities)?;
    rig.soak = Duration::from_secs(60 * u64::from(minutes.max(1)));
    let out = match &options.out {
        Some(file) => Some(file.clone()),
        None if options.quick => None,
        None => Some(workspace_root().join("docs/availability.md")),
    };
    let mut report = report::Report::new(&rig);
    for scenario in SCENARIOS.iter().filter(|scenario| {
        options.names.is_empty() || options.names.iter().any(|name| name == scenario.name)
    }) {
        eprintln!("== {}", scenario.name);
        if let Some(what) = rig.lacks(scenario.needs) {
            eprintln!("left out: {what}");
            report.leave_out(scenario, &what);
        } else {
            let section =
                (scenario.run)(&rig).with_context(|| format!("scenario {}", scenario.name))?;
            report.add(scenario, &section);
        }
    }
    println!("{}", report.text());
    if let Some(file) = out {
        report.write_to(&file)?;
    }
    Ok(())
}
