//! A diagnosis for people: settings, chain, hops, verdict; at most one screen when all is well.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use fault::Lang;
use goenv::{Key, Origin};

use super::remedy::{Remedy, Shell};
use super::{Diagnosis, Health};
use crate::probe::report::{Check, FACTS, Outcome, Probe, Reason};

/// How to lay a diagnosis out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Language.
    pub lang: Lang,
    /// The shell commands are for.
    pub shell: Shell,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether all settings are shown, or those that are set and those that count here.
    pub all_settings: bool,
}

/// The settings shown when nobody asks for all.
const SHOWN: [Key; 5] = [
    Key::GOPROXY,
    Key::GOPRIVATE,
    Key::GONOPROXY,
    Key::GOSUMDB,
    Key::GONOSUMDB,
];

type Words = BTreeMap<String, BTreeMap<String, String>>;

static ENGLISH: LazyLock<Words> = LazyLock::new(|| read(Lang::En));
static CHINESE: LazyLock<Words> = LazyLock::new(|| read(Lang::Zh));

fn read(lang: Lang) -> Words {
    let text = match lang {
        Lang::En => include_str!("../../messages/en.toml"),
        Lang::Zh => include_str!("../../messages/zh.toml"),
    };
    // The files are part of the program and a test reads each entry.
    toml::from_str(text).unwrap_or_default()
}

fn word(lang: Lang, table: &str, key: &str) -> &'static str {
    let words = match lang {
        Lang::En => &*ENGLISH,
        Lang::Zh => &*CHINESE,
    };
    words
        .get(table)
        .and_then(|table| table.get(key))
        .map_or("", String::as_str)
}

/// Whether every word that a diagnosis may need is there in `lang`; else the first that is missing.
pub fn words_are_complete(lang: Lang) -> Result<usize, String> {
    let checks = Check::ALL.iter().map(|check| ("check", check.as_str()));
    let facts = FACTS.iter().map(|fact| ("fact", *fact));
    let reasons = Reason::ALL.iter().map(|reason| ("reason", reason.as_str()));
    let mut count = 0;
    for (table, key) in checks.chain(facts).chain(reasons) {
        if word(lang, table, key).is_empty() {
            return Err(format!("{lang}: {table}.{key}"));
        }
        count += 1;
    }
    let (one, other) = (read(lang), read(Lang::En));
    let keys = |words: &Words| -> Vec<String> {
        let keys = words
            .iter()
            .flat_map(|(table, entries)| entries.keys().map(move |key| format!("{table}.{key}")));
        keys.collect()
    };
    if keys(&one) == keys(&other) {
        Ok(count)
    } else {
        Err(format!("{lang}: other keys than English"))
    }
}

impl Diagnosis {
    /// The whole text.
    pub fn to_text(&self, layout: &Layout) -> String {
        let mut out = Page {
            layout: *layout,
            text: String::new(),
        };
        self.settings_text(&mut out);
        self.route_text(&mut out);
        self.hops_text(&mut out);
        self.verdict_text(&mut out);
        out.text.trim_end().to_owned()
    }

    /// The verdict in one sentence.
    pub fn sentence(&self, lang: Lang) -> String {
        let template = word(lang, "verdict", self.verdict.health.as_str());
        let entry = self
            .verdict
            .answered_by
            .as_deref()
            .unwrap_or_else(|| word(lang, "verdict", "nothing"));
        let (hop, cause) = match self.verdict.causes.first() {
            Some(cause) => (
                cause.hop().as_str(),
                cause
                    .failure
                    .subjects
                    .fill_text(&cause.label().advice(lang).cause, lang),
            ),
            None => ("", String::new()),
        };
        template
            .replace("{module}", self.module.as_str())
            .replace("{entry}", entry)
            .replace("{hop}", hop)
            .replace("{cause}", &cause)
    }

    fn settings_text(&self, out: &mut Page) {
        out.heading("settings");
        for setting in self.settings.settings() {
            let is_set = setting.origin != Origin::Default
                && !matches!(setting.origin, Origin::Inherited { .. });
            let counts = SHOWN.contains(&setting.key) && !setting.value.is_empty();
            if out.layout.all_settings || counts || (is_set && setting.key != Key::GOROOT) {
                out.line(1, &setting.to_string());
                for shadowed in &setting.shadowed {
                    out.line(2, &format!("< {shadowed}"));
                }
            }
        }
    }

    fn route_text(&self, out: &mut Page) {
        if self.route.is_empty() {
            return;
        }
        out.heading("route");
        for step in &self.route {
            let said = match &step.failure {
                _ if !step.is_reached => out.word("outcome", "not-reached"),
                None => out.word("outcome", "answers"),
                Some(failure) => failure.label.as_str(),
            };
            out.line(1, &format!("{}: {said}", step.entry));
        }
    }

    fn hops_text(&self, out: &mut Page) {
        out.heading("hops");
        for probe in &self.hops {
            out.probe(probe);
        }
    }

    fn verdict_text(&self, out: &mut Page) {
        out.heading("verdict");
        out.line(1, &self.sentence(out.layout.lang));
        for (index, cause) in self.verdict.causes.iter().enumerate() {
            let lang = out.layout.lang;
            let advice = cause.label().advice(lang);
            if index > 0 {
                let also = cause.failure.subjects.fill_text(&advice.cause, lang);
                out.line(1, &format!("{}: {also}", out.word("heading", "also")));
            }
            out.line(1, &format!("[{} / {}]", cause.hop(), cause.label()));
            for line in cause.failure.evidence.iter().take(5) {
                out.line(
                    2,
                    &format!(
                        "{}: {}",
                        out.word("heading", "evidence"),
                        line.replace('\n', " ")
                    ),
                );
            }
            let remedies = cause.remedies(&self.settings, out.layout.shell, lang);
            for (rank, remedy) in remedies.iter().enumerate() {
                out.remedy(if rank == 0 { "fix" } else { "or" }, remedy);
            }
            for avoid in &advice.avoid {
                let avoid = cause.failure.subjects.fill_text(avoid, lang);
                out.line(2, &format!("{}: {avoid}", out.word("heading", "not")));
            }
        }
    }
}

/// Lines of one width.
struct Page {
    layout: Layout,
    text: String,
}

impl Page {
    fn word(&self, table: &str, key: &str) -> &'static str {
        word(self.layout.lang, table, key)
    }

    fn heading(&mut self, key: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let heading = self.word("heading", key);
        let _infallible = writeln!(self.text, "{heading}");
    }

    /// Wraps at blanks; words longer than the line, such as URLs, stand whole so that they can be copied.
    fn line(&mut self, indent: usize, text: &str) {
        let pad = "  ".repeat(indent);
        let width = self.layout.width.max(20) - pad.len();
        let mut column = 0;
        let mut line = String::new();
        for word in text.split(' ') {
            let length = columns(word);
            if column > 0 && column + 1 + length > width {
                let _infallible = writeln!(self.text, "{pad}{line}");
                "  ".clone_into(&mut line);
                column = 2;
            } else if column > 0 {
                line.push(' ');
                column += 1;
            }
            line.push_str(word);
            column += length;
        }
        let _infallible = writeln!(self.text, "{pad}{line}");
    }

    fn probe(&mut self, probe: &Probe) {
        let outcome = match &probe.outcome {
            Outcome::Fine => self.word("outcome", "fine").to_owned(),
            Outcome::Failed(failure) => {
                format!("{} {}", self.word("outcome", "failed"), failure.label)
            }
            Outcome::Skipped(reason) => {
                format!(
                    "{}: {}",
                    self.word("outcome", "skipped"),
                    self.word("reason", reason.as_str())
                )
            }
        };
        let times: Vec<String> = probe
            .phases
            .named()
            .into_iter()
            .filter_map(|(name, time)| {
                Some(format!("{name} {:.0} ms", time?.as_secs_f64() * 1000.0))
            })
            .collect();
        let times = if times.is_empty() {
            String::new()
        } else {
            format!(" ({})", times.join(", "))
        };
        let check = self.word("check", probe.check.as_str());
        self.line(1, &format!("[{outcome}] {check}: {}{times}", probe.target));
        let facts: Vec<String> = probe
            .facts
            .iter()
            .map(|(name, value)| format!("{} {value}", self.word("fact", name)))
            .collect();
        if !facts.is_empty() {
            self.line(3, &facts.join(", "));
        }
    }

    fn remedy(&mut self, heading: &str, remedy: &Remedy) {
        self.line(
            2,
            &format!("{}: {}", self.word("heading", heading), remedy.text),
        );
        for line in remedy.command.iter().flat_map(|command| command.lines()) {
            // Never wrapped, so that it can be pasted.
            let _infallible = writeln!(self.text, "        $ {line}");
        }
        if heading == "fix" && remedy.command.is_some() {
            let scope = self.word("scope", remedy.scope.as_str());
            self.line(3, &format!("{}: {scope}", self.word("heading", "scope")));
            if let Some(undo) = &remedy.undo {
                let _infallible =
                    writeln!(self.text, "      {}: {undo}", self.word("heading", "undo"));
            }
        }
    }
}

/// Columns a word takes: two for each Chinese character.
fn columns(word: &str) -> usize {
    word.chars()
        .map(|c| if c >= '\u{1100}' { 2 } else { 1 })
        .sum()
}

impl Health {
    /// True when there is nothing to complain about.
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Healthy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_exists_in_both_languages() {
        for lang in Lang::ALL {
            let count = words_are_complete(lang).unwrap();
            assert!(count > 40, "{lang}: {count}");
        }
        assert_ne!(
            word(Lang::Zh, "heading", "verdict"),
            word(Lang::En, "heading", "verdict")
        );
    }

    #[test]
    fn long_lines_are_wrapped_and_long_words_are_not() {
        let layout = Layout {
            lang: Lang::En,
            shell: Shell::Posix,
            width: 24,
            all_settings: false,
        };
        let mut page = Page {
            layout,
            text: String::new(),
        };
        page.line(
            1,
            "one two three four five https://a.example/a/very/long/url six",
        );
        assert!(
            page.text
                .lines()
                .any(|line| line.ends_with("https://a.example/a/very/long/url"))
        );
        assert!(
            page.text
                .lines()
                .filter(|line| !line.contains("://"))
                .all(|line| line.len() <= 24)
        );
    }
}
