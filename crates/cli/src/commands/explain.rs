use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use doctor::{Cause, Explanation, Options, Remedy};
use fault::{Hop, Label, Lang, handbook};
use goenv::Environment;

use super::screen::{columns, wrapped};
use super::{CannotDo, Status};
use crate::args::{ExplainArguments, Format};
use crate::output;

/// The longest log that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// Explains a log, or prints from the handbook.
pub(super) fn run(
    environment: &Environment,
    arguments: &ExplainArguments,
) -> Result<Status, CannotDo> {
    let lang = arguments
        .lang
        .map_or_else(|| language_of(environment), Into::into);
    if arguments.list {
        output::result(list(lang));
        return Ok(Status::Done);
    }
    if let Some(label) = arguments.subject.as_deref().and_then(label_named) {
        output::result(handbook::page(label, lang).trim_end());
        return Ok(Status::Done);
    }
    let log = read(arguments.subject.as_deref())?;
    let options = Options {
        lang,
        ..Options::default()
    };
    let explanation = doctor::explain(&log, &options);
    match arguments.format {
        Format::Json => {
            output::result(serde_json::to_string_pretty(&explanation).map_err(CannotDo::new)?);
        }
        Format::Human => output::result(wrapped(&render(&explanation, lang), columns(environment))),
    }
    Ok(if explanation.recognised {
        Status::Findings
    } else {
        Status::Done
    })
}

/// The first of these that is set decides, as in every program that follows POSIX.
fn language_of(environment: &Environment) -> Lang {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| environment.non_empty(name))
        .map_or(Lang::En, Lang::from_locale)
}

/// A file of that name comes first.
fn label_named(subject: &str) -> Option<Label> {
    subject
        .parse()
        .ok()
        .filter(|_| !Path::new(subject).exists())
}

fn read(subject: Option<&str>) -> Result<Vec<u8>, CannotDo> {
    let mut log = Vec::new();
    match subject.filter(|subject| *subject != "-") {
        None => {
            std::io::stdin()
                .take(LONGEST)
                .read_to_end(&mut log)
                .map_err(|error| CannotDo::new(format!("cannot read stdin: {error}")))?;
        }
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|error| {
                CannotDo::new(format!(
                    "cannot read {path}: {error}; it is no label either (`modkeep explain --list`)"
                ))
            })?;
            file.take(LONGEST)
                .read_to_end(&mut log)
                .map_err(|error| CannotDo::new(format!("cannot read {path}: {error}")))?;
        }
    }
    Ok(log)
}

fn list(lang: Lang) -> String {
    let mut text = String::new();
    for hop in Hop::ALL {
        let _infallible = writeln!(text, "{hop}");
        for label in Label::ALL.iter().filter(|label| label.hop() == hop) {
            let phenomenon = &label.advice(lang).phenomenon;
            let _infallible = writeln!(text, "  {label:28} {phenomenon}");
        }
    }
    text.trim_end().to_owned()
}

/// The words around the findings.
struct Words {
    nothing: &'static str,
    nearest: &'static str,
    server_side: &'static str,
    fix: &'static str,
    or: &'static str,
    avoid: &'static str,
    probe: &'static str,
    line: &'static str,
}

const fn words(lang: Lang) -> Words {
    match lang {
        Lang::En => Words {
            nothing: "No module download failure was found in this text.",
            nearest: "What comes closest is about",
            server_side: "behind the proxy, not on this machine",
            fix: "fix",
            or: "or",
            avoid: "not",
            probe: "to be sure",
            line: "line",
        },
        Lang::Zh => Words {
            nothing: "这段文字里没有发现模块下载失败。",
            nearest: "最接近的环节是",
            server_side: "发生在代理服务器一侧,而不是本机",
            fix: "修复",
            or: "或者",
            avoid: "不要",
            probe: "进一步确认",
            line: "行",
        },
    }
}

fn render(explanation: &Explanation, lang: Lang) -> String {
    let words = words(lang);
    if !explanation.recognised {
        let nearest: Vec<&str> = explanation.nearest.iter().map(|hop| hop.as_str()).collect();
        return if nearest.is_empty() {
            words.nothing.to_owned()
        } else {
            format!("{} {} {}", words.nothing, words.nearest, nearest.join(", "))
        };
    }
    let causes: Vec<String> = explanation
        .causes
        .iter()
        .enumerate()
        .map(|(position, cause)| render_cause(position + 1, cause, &words))
        .collect();
    causes.join("\n\n")
}

fn render_cause(number: usize, cause: &Cause, words: &Words) -> String {
    let mut text = format!(
        "{number}. {} [{}, {:.0} %] {}",
        cause.label,
        cause.hop,
        cause.confidence * 100.0,
        cause.summary
    );
    if cause.side == fault::Side::Server {
        let _infallible = write!(text, "\n   ({})", words.server_side);
    }
    for evidence in &cause.evidence {
        let _infallible = write!(
            text,
            "\n   {} {}: {}",
            words.line, evidence.line, evidence.text
        );
    }
    for (position, fix) in cause.fixes.iter().enumerate() {
        let heading = if position == 0 { words.fix } else { words.or };
        remedy(&mut text, heading, fix);
    }
    for avoid in &cause.avoid {
        let _infallible = write!(text, "\n   {}: {avoid}", words.avoid);
    }
    if !cause.probe.text.is_empty() {
        remedy(&mut text, words.probe, &cause.probe);
    }
    text
}

fn remedy(text: &mut String, heading: &str, remedy: &Remedy) {
    let _infallible = write!(text, "\n   {heading}: {}", remedy.text);
    if let Some(command) = &remedy.command {
        for line in command.lines() {
            let _infallible = write!(text, "\n       $ {line}");
        }
    }
}
