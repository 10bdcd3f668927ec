//! What each command does with its arguments, one file for each.

mod attached;
mod bundle;
mod chain;
mod cleaning;
mod completions;
mod config;
mod doctor;
mod explain;
mod key;
mod log;
mod mirrors;
mod proxies;
mod publish;
mod quarantine;
mod repositories;
mod screen;
mod serve;
mod service_manager;
mod spans;
mod standpoint;
mod store;
mod store_scrub;
mod store_show;
mod verify;
mod verify_sumdb;
mod warm;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use clap::Parser as _;
use goenv::Environment;

use crate::args::{Cli, Command, Settings};
use crate::config::{ConfigError, Effective, Resolved, resolve_and_check};
use crate::output;

/// How a command ended (interface: exit status).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Done, and nothing to complain about.
    Done,
    /// Done, and there are findings.
    Findings,
    /// No findings, but not all could be looked at. The output says what not.
    Undetermined,
}

/// A command that could not do what it was asked. Its text says what, where and what to do.
#[derive(Debug)]
pub(crate) struct CannotDo(pub(crate) Vec<String>);

impl CannotDo {
    pub(crate) fn new(line: impl fmt::Display) -> Self {
        Self(vec![format!("{line}")])
    }
}

impl From<Vec<ConfigError>> for CannotDo {
    fn from(errors: Vec<ConfigError>) -> Self {
        Self(errors.iter().map(ToString::to_string).collect())
    }
}

/// Runs the command that `arguments` (the program's name first) ask for.
pub fn run(arguments: impl Iterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if let [_program, only] = arguments.as_slice()
        && only == pac::ARGUMENT
    {
        return pac::confined();
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _reader_gone = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Serve(settings) => serve::serve(environment, &settings),
        Command::Config(command) => config::run(environment, &command),
        Command::Doctor(arguments) => doctor::run(environment, &arguments),
        Command::Mirrors(arguments) => mirrors::run(environment, &arguments),
        Command::Explain(arguments) => explain::run(environment, &arguments),
        Command::Store(command) => store::run(environment, &command),
        Command::Bundle(command) => bundle::run(environment, &command),
        Command::Key(command) => key::run(environment, &command),
        Command::Log(command) => log::run(environment, &command),
        Command::Publish(arguments) => publish::run(environment, &arguments),
        Command::Verify(arguments) => verify::run(environment, &arguments),
        Command::Warm(arguments) => warm::run(environment, &arguments),
        Command::Completions { shell } => Ok(completions::completions(shell)),
        Command::Man { command } => completions::man(command.as_deref()),
    };
    match result {
        Ok(Status::Done) => ExitCode::SUCCESS,
        Ok(Status::Findings) => ExitCode::from(1),
        Ok(Status::Undetermined) => ExitCode::from(2),
        Err(CannotDo(lines)) => {
            for line in lines {
                output::note(format!("modkeep: {line}"));
            }
            ExitCode::from(2)
        }
    }
}

fn load(environment: &Environment, settings: &Settings) -> Result<(Resolved, Effective), CannotDo> {
    let (resolved, effective) =
        resolve_and_check(environment, settings.given(), settings.config.as_deref())?;
    proxies::check(&resolved, &effective)?;
    Ok((resolved, effective))
}
