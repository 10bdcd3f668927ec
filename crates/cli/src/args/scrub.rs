use clap::Args;

use super::{Format, Settings};

/// How to scrub.
#[derive(Debug, Args)]
pub(crate) struct ScrubArguments {
    /// Most bytes to read in a second, such as 64MiB [default: the setting scrub.rate]
    #[arg(long, value_name = "BYTES/S")]
    pub(crate) rate: Option<String>,
    /// Begin anew, also if the last run was interrupted
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}
