//! Lines of text as wide as the terminal.

use std::fmt::Write as _;

use super::remedy::Remedy;
use super::text::Layout;
use super::words::word;
use crate::probe::report::{Outcome, Probe};

/// Lines of one width.
pub(super) struct Page {
    pub(super) layout: Layout,
    text: String,
}

impl Page {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            layout,
            text: String::new(),
        }
    }

    pub(super) fn finish(self) -> String {
        self.text.trim_end().to_owned()
    }

    /// A line that begins with a word of the headings.
    pub(super) fn labelled(&mut self, indent: usize, key: &str, text: &str) {
        self.line(indent, &format!("{}: {text}", self.word("heading", key)));
    }

    pub(super) fn word(&self, table: &str, key: &str) -> &'static str {
        word(self.layout.lang, table, key)
    }

    pub(super) fn heading(&mut self, key: &str) {
        self.title(self.word("heading", key));
    }

    /// A heading in its own words.
    pub(super) fn title(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _infallible = writeln!(self.text, "{heading}");
    }

    /// Wraps at blanks; words longer than the line, such as URLs, stand whole so that they can be copied.
    pub(super) fn line(&mut self, indent: usize, text: &str) {
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

    pub(super) fn probe(&mut self, probe: &Probe) {
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

    pub(super) fn remedy(&mut self, heading: &str, remedy: &Remedy) {
        self.labelled(2, heading, &remedy.text);
        for line in remedy.command.iter().flat_map(|command| command.lines()) {
            // Never wrapped, so that it can be pasted.
            let _infallible = writeln!(self.text, "        $ {line}");
        }
        if heading == "fix" && remedy.command.is_some() {
            let scope = remedy.scope.map_or("none", goenv::fix::Scope::as_str);
            let scope = self.word("scope", scope);
            self.labelled(3, "scope", scope);
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
