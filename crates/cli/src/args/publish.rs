use std::path::PathBuf;

use clap::Args;

use super::Format;

// What to publish, and where.
#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// The module: its directory, or its zip as `go mod download` leaves it
    #[arg(value_name = "DIR|ZIP", default_value = ".")]
    pub(crate) module: PathBuf,
    /// The version; needed for a directory
    #[arg(long, value_name = "VERSION")]
    pub(crate) tag: Option<String>,
    /// The server
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Where the token is: env:NAME, or a file that only its owner can read [default: what `MODKEEP_PUBLISH_TOKEN` says]
    #[arg(long, value_name = "PLACE")]
    pub(crate) token: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}
