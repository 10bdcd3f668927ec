//! What is told of what happens: the log, and spans.

use goenv::SecretRef;
use tracing::level_filters::LevelFilter;
use url::Url;

use super::{Checker, one_of};
use crate::config::value;
use crate::log_file::LogFile;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// What is logged.
    pub level: LevelFilter,
    /// How.
    pub format: LogFormat,
    /// Where to; `None`: standard error.
    pub file: Option<LogFile>,
}

/// Who is told of spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpSettings {
    /// Where the collector takes them, the path included.
    pub url: Url,
    /// Where further headers are.
    pub headers: Option<SecretRef>,
    /// Of a hundred traces that begin here so many are recorded.
    pub percent: u8,
}

impl Checker<'_> {
    pub(super) fn log(&mut self) -> Option<LogSettings> {
        let level = self.parse("log.level", log_level);
        let format = self.parse("log.format", log_format);
        let max_bytes = self.parse("log.max-size", value::bytes);
        let max_age = self.parse("log.max-age", value::duration);
        // More would take longer to rename than lines can wait.
        let keep = self.parse("log.keep", value::up_to_a_thousand);
        let path = self.resolved.get("log.file").value.clone();
        let file = LogFile {
            path: path.into(),
            max_bytes: max_bytes?,
            max_age: max_age?,
            keep: keep?,
        };
        Some(LogSettings {
            level: level?,
            format: format?,
            file: (!file.path.as_os_str().is_empty()).then_some(file),
        })
    }

    /// The outer `None` only after an error was noted.
    #[expect(clippy::option_option, reason = "there may be no collector")]
    pub(super) fn otlp(&mut self) -> Option<Option<OtlpSettings>> {
        let url = self.parse("otlp.endpoint", collector);
        let headers = self.parse("otlp.headers", value::secret);
        let percent = self.parse("otlp.sample", value::percent);
        let percent = u8::try_from(percent?).ok()?;
        let (url, headers) = (url?, headers?);
        Some(url.map(|url| OtlpSettings {
            url,
            headers,
            percent,
        }))
    }
}

impl LogSettings {
    /// Whether a restart is needed to get from one to the other.
    pub(crate) fn needs_restart(&self, other: &Self) -> bool {
        self.format != other.format
    }
}

/// From the base URL to the one for spans, as the specification of the OTLP exporter has it.
fn collector(text: &str) -> Result<Option<Url>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = "write the collector's base URL, such as http://localhost:4318";
    let mut url = Url::parse(text).map_err(|_| wrong.to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("credentials belong into otlp.headers".to_owned());
    }
    let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(Some(url))
}

fn log_level(text: &str) -> Result<LevelFilter, String> {
    text.parse()
        .map_err(|_| one_of("error, warn, info, debug, trace", text))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(one_of("auto, text, json", text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_base_url_without_secrets() {
        let of = |text| collector(text).map(|url| url.map(|url| url.to_string()));
        assert_eq!(of(""), Ok(None));
        for (text, url) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("https://c.example/", "https://c.example/v1/traces"),
            (
                "https://c.example/otlp/",
                "https://c.example/otlp/v1/traces",
            ),
        ] {
            assert_eq!(of(text), Ok(Some(url.to_owned())), "{text}");
        }
        for text in [
            "localhost:4318",
            "grpc://localhost:4317",
            "https://u:hush@c.example",
            "https://c.example/?token=hush",
            "file:///c",
        ] {
            let reason = of(text).unwrap_err();
            assert!(!reason.contains("hush"), "{text}: {reason}");
        }
    }
}
