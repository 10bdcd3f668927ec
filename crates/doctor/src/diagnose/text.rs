//! A diagnosis for people: settings, chain, hops, verdict; at most one screen when all is well.

use fault::{Lang, Severity};
use goenv::report::Row;
use goenv::{Key, Origin, Shell};

use super::origin::{elsewhere, origin, row};
use super::page::Page;
use super::words::word;
use super::{Cause, Diagnosis, Health, Requirement, Step};

/// How to lay a diagnosis out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Language.
    pub lang: Lang,
    /// The shell commands are for.
    pub shell: Shell,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether all settings and notes are shown, or those that are set and those that count here.
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

/// Most processes shown that run with another value of one setting.
const ELSEWHERE: usize = 3;

/// Most evidence shown for one cause.
const EVIDENCE: usize = 6;

impl Diagnosis {
    /// The whole text.
    pub fn to_text(&self, layout: &Layout) -> String {
        let mut out = Page::new(*layout);
        self.settings_text(&mut out);
        self.route_text(&mut out);
        self.hops_text(&mut out);
        self.project_text(&mut out);
        self.verdict_text(&mut out);
        self.aside_text(&mut out);
        out.finish()
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
            Some(cause) => (cause.hop().as_str(), cause.sentence(lang)),
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
        let lang = out.layout.lang;
        for one in &self.report.rows {
            if out.layout.all_settings || is_shown(one) {
                out.line(1, &row(one, lang));
                for shadowed in &one.shadowed {
                    let from = origin(&shadowed.origin, lang);
                    out.line(2, &format!("< {} ({from})", shadowed.redacted_value()));
                }
                for running in one.elsewhere.iter().take(ELSEWHERE) {
                    out.line(2, &elsewhere(one, running, lang));
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
            let said = outcome(step, out.layout.lang);
            out.line(1, &format!("{}: {said}", step.entry));
        }
    }

    fn hops_text(&self, out: &mut Page) {
        out.heading("hops");
        for probe in &self.hops {
            out.probe(probe);
        }
    }

    fn project_text(&self, out: &mut Page) {
        if self.requirements.is_empty() {
            return;
        }
        let lang = out.layout.lang;
        out.title(word(lang, "project", "heading"));
        out.line(1, &self.project_sentence("summary", lang));
        for one in &self.requirements {
            if out.layout.all_settings && one.failure().is_none() {
                out.probe(&one.probe());
            }
        }
    }

    /// How many modules there are of each state, and the names of those that fail.
    fn project_sentence(&self, key: &str, lang: Lang) -> String {
        let count = |name: &str| {
            let of_state = |one: &&Requirement| one.state.as_str() == name;
            self.requirements
                .iter()
                .filter(of_state)
                .count()
                .to_string()
        };
        let failed = self
            .requirements
            .iter()
            .filter(|one| one.failure().is_some());
        let names: Vec<String> = failed.map(|one| one.module.to_string()).collect();
        word(lang, "project", key)
            .replace("{all}", &self.requirements.len().to_string())
            .replace("{cached}", &count("cached"))
            .replace("{answered}", &count("answered"))
            .replace("{failed}", &count("failed"))
            .replace("{open}", &count("not-asked"))
            .replace("{names}", &names.join(" "))
    }

    fn verdict_text(&self, out: &mut Page) {
        out.heading("verdict");
        let lang = out.layout.lang;
        out.line(1, &self.sentence(lang));
        if self.requirements.iter().any(|one| one.failure().is_some()) {
            out.line(1, &self.project_sentence("failed", lang));
        }
        for (index, cause) in self.verdict.causes.iter().enumerate() {
            if index > 0 {
                let also = cause.sentence(lang);
                out.labelled(1, "also", &also);
            }
            out.line(1, &format!("[{} / {}]", cause.hop(), cause.label()));
            for line in cause.failure.evidence.iter().take(EVIDENCE) {
                out.labelled(2, "evidence", &one_line(line));
            }
            for (rank, remedy) in self
                .remedies(cause, out.layout.shell, lang)
                .iter()
                .enumerate()
            {
                out.remedy(if rank == 0 { "fix" } else { "or" }, remedy);
            }
            for avoid in &cause.label().advice(lang).avoid {
                out.labelled(2, "not", &cause.failure.subjects.fill_text(avoid, lang));
            }
        }
    }

    /// What was read and is no cause here, but may be worth a look.
    fn aside_text(&self, out: &mut Page) {
        let lang = out.layout.lang;
        let least = if out.layout.all_settings {
            Severity::Note
        } else {
            Severity::Risk
        };
        let aside: Vec<&goenv::Finding> = self
            .findings
            .iter()
            .filter(|finding| finding.severity >= least && !self.is_a_cause(finding))
            .collect();
        if aside.is_empty() {
            return;
        }
        out.heading("aside");
        for finding in aside {
            let sentence = finding.sentence(lang);
            let place = finding.place.as_ref().map(ToString::to_string);
            let place = place.filter(|place| !sentence.contains(place.as_str()));
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            out.line(1, &format!("{place}{sentence} [{}]", finding.rule));
            let remedies = self.remedies_of_finding(finding, out.layout.shell, lang);
            if let Some(remedy) = remedies.first() {
                out.remedy("fix", remedy);
            }
        }
    }

    fn is_a_cause(&self, finding: &goenv::Finding) -> bool {
        self.verdict
            .causes
            .iter()
            .any(|cause| cause.findings.contains(finding))
    }
}

impl Cause {
    /// What is wrong, in a sentence or two: what was read where that says more than the handbook.
    pub fn sentence(&self, lang: Lang) -> String {
        let read = self.findings.first();
        read.map_or_else(
            || {
                let cause = &self.label().advice(lang).cause;
                self.failure.subjects.fill_text(cause, lang)
            },
            |finding| finding.sentence(lang),
        )
    }
}

/// What stands on several lines, or is indented, on one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_shown(row: &Row) -> bool {
    let is_set = row.origin != Origin::Default && !matches!(row.origin, Origin::Inherited { .. });
    let counts = SHOWN.iter().any(|key| key.name() == row.name) && !row.value.is_empty();
    counts || (is_set && !matches!(row.name.as_str(), "GOROOT" | "HOME" | "GOMOD"))
}

fn outcome(step: &Step, lang: Lang) -> String {
    match &step.failure {
        _ if !step.is_reached => word(lang, "outcome", "not-reached").to_owned(),
        Some(failure) => failure.label.to_string(),
        None if step.is_asked => word(lang, "outcome", "answers").to_owned(),
        None => word(lang, "outcome", "skipped").to_owned(),
    }
}

impl Health {
    /// True when there is nothing to complain about.
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Healthy)
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::words_are_complete;
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
        let mut page = Page::new(layout);
        page.line(
            1,
            "one two three four five https://a.example/a/very/long/url six",
        );
        let text = page.finish();
        assert!(
            text.lines()
                .any(|line| line.ends_with("https://a.example/a/very/long/url"))
        );
        assert!(
            text.lines()
                .filter(|line| !line.contains("://"))
                .all(|line| line.len() <= 24)
        );
    }
}
