use clap_complete::Shell;

use super::{CannotDo, Status};
use crate::{args, output};

/// Prints a completion script.
pub(super) fn completions(shell: Shell) -> Status {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "modkeep", &mut script);
    output::raw(&script);
    Status::Done
}

/// Prints a manual page.
pub(super) fn man(name: Option<&str>) -> Result<Status, CannotDo> {
    let command = args::command();
    let command = match name {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            CannotDo::new(format!(
                "there is no command {name:?}; `modkeep --help` lists them"
            ))
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(CannotDo::new)?;
    output::raw(&page);
    Ok(Status::Done)
}
