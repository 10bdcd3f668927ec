//! `modkeep`: see the crate's documentation.

use std::process::ExitCode;

use goenv::Environment;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), &Environment::from_process())
}
