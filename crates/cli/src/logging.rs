//! The log: for people on a terminal, JSON elsewhere; on stderr, or in a file of its own.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};

use crate::config::{LogFormat, LogSettings};
use crate::log_file::LogWriter;

/// Crates whose events are ours; what libraries say is kept when they warn.
const OURS: [&str; 15] = [
    "bundle", "cli", "depot", "doctor", "goenv", "gomod", "modkeep", "prefetch", "server", "store",
    "sumlog", "traces", "trust", "upstream", "vcs",
];

/// Changes a running log.
pub(crate) struct LogControl {
    set_level: Box<dyn Fn(LevelFilter) + Send + Sync>,
    writer: LogWriter,
}

impl LogControl {
    /// From now on it has this level, and goes to this file, which is opened anew.
    ///
    /// # Errors
    /// When the file cannot be opened: then the log stays where it is.
    pub(crate) fn follow(&self, settings: &LogSettings) -> io::Result<()> {
        (self.set_level)(settings.level);
        self.writer.follow(settings.file.as_ref())
    }
}

/// Starts the log of this process.
///
/// # Errors
/// When its file cannot be opened.
pub(crate) fn start(settings: &LogSettings, no_color: bool) -> io::Result<LogControl> {
    let (filter, handle) = reload::Layer::new(targets(settings.level));
    let writer = LogWriter::default();
    writer.follow(settings.file.as_ref())?;
    let is_terminal = settings.file.is_none() && io::stderr().is_terminal();
    let json = match settings.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let layer = if json {
        fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(writer.clone())
            .boxed()
    } else {
        fmt::layer()
            .with_ansi(is_terminal && !no_color)
            .with_target(false)
            .with_writer(writer.clone())
            .boxed()
    };
    let _already_started = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
    Ok(LogControl {
        set_level: Box::new(move |level| {
            let _log_gone = handle.reload(targets(level));
        }),
        writer,
    })
}

fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_targets(OURS.map(|target| (target, level)))
}
