use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{Format, Language};

// Which mirrors to compare, and how.
#[expect(
    clippy::doc_markdown,
    reason = "people read these on a terminal, where backticks are noise"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Args)]
pub(crate) struct MirrorsArguments {
    /// Compare this server too, or those that a file lists, one URL on a line; may be repeated
    #[arg(long, value_name = "URL|FILE")]
    pub(crate) add: Vec<String>,
    /// Compare only what GOPROXY and --add name
    #[arg(long)]
    pub(crate) no_catalogue: bool,
    /// Leave this host and those below it out: they are not even contacted; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) skip: Vec<String>,
    /// Measure with this public module; may be repeated [default: three small public modules]
    #[arg(long, value_name = "MODULE[@VERSION]")]
    pub(crate) module: Vec<String>,
    /// Measure the latency so many times
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) repeat: NonZeroUsize,
    /// Most seconds the comparison may take; with --watch, each check
    #[arg(long, value_name = "SECONDS", default_value_t = 45.0)]
    pub(crate) timeout: f64,
    /// Take this address for a host, without asking anybody; may be repeated
    #[arg(long, value_name = "HOST=ADDRESS")]
    pub(crate) resolve: Vec<String>,
    /// Ask, write what is recommended with go env -w, try it, and take it back if it does not work
    #[arg(long, conflicts_with = "watch")]
    pub(crate) apply: bool,
    /// With --apply: do not ask
    #[arg(long, requires = "apply")]
    pub(crate) yes: bool,
    /// Check again and again, print what goes down or up, and keep a history
    #[arg(long)]
    pub(crate) watch: bool,
    /// Seconds from the beginning of one check to that of the next
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60.0,
        requires = "watch"
    )]
    pub(crate) interval: f64,
    /// End after so many checks
    #[arg(long, value_name = "N", requires = "watch")]
    pub(crate) rounds: Option<NonZeroUsize>,
    /// File of the history, as JSON lines [default: $XDG_STATE_HOME/modkeep/mirrors.jsonl]
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Language [default: that of LC_ALL or LANG]
    #[arg(long, value_enum)]
    pub(crate) lang: Option<Language>,
}

impl MirrorsArguments {
    /// How to print.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}
