//! The command line of modkeep: arguments and settings in, text and exit status out. What the commands do is done by the
//! crates below this one.
//!
//! - [`config`]: every setting, its origin and its check, from one table;
//! - `commands`: one file for each command;
//! - [`mod@reference`]: the generated documentation of settings, commands and metrics.

mod args;
mod commands;
pub mod config;
mod log_file;
mod logging;
mod output;
pub mod reference;

pub use args::command;
pub use commands::run;
pub use log_file::LogFile;
