//! The log: for people on a terminal, JSON elsewhere; always on stderr.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};

use crate::config::LogFormat;

/// Crates whose events are ours; what libraries say is kept when they warn.
const OURS: [&str; 8] = [
    "cli", "depot", "goenv", "gomod", "modkeep", "server", "store", "upstream",
];

/// Changes the level of a running log.
pub(crate) struct LogControl {
    set: Box<dyn Fn(LevelFilter) + Send + Sync>,
}

impl LogControl {
    pub(crate) fn set_level(&self, level: LevelFilter) {
        (self.set)(level);
    }
}

/// Starts the log of this process.
pub(crate) fn start(level: LevelFilter, format: LogFormat, no_color: bool) -> LogControl {
    let (filter, handle) = reload::Layer::new(targets(level));
    let is_terminal = io::stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let layer = if json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            .boxed()
    } else {
        fmt::layer()
            .with_ansi(is_terminal && !no_color)
            .with_target(false)
            .with_writer(io::stderr)
            .boxed()
    };
    let _already_started = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
    LogControl {
        set: Box::new(move |level| {
            let _log_gone = handle.reload(targets(level));
        }),
    }
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets(OURS.map(|target| (target, level)))
}
