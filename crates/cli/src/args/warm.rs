use std::num::NonZeroUsize;

use clap::Args;

use super::{Format, Settings};

// What to fetch ahead of time, and where it is put.
#[derive(Debug, Args)]
pub(crate) struct WarmArguments {
    /// A go.mod, go.work or go.sum file, a directory with projects, or a module
    #[arg(value_name = "FILE|DIR|MODULE@VERSION", required = true)]
    pub(crate) targets: Vec<String>,
    /// Warm the store of a running modkeep in place of one on this machine
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Files fetched at a time
    #[arg(long, value_name = "N", default_value = "16")]
    pub(crate) jobs: NonZeroUsize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) settings: Settings,
}
