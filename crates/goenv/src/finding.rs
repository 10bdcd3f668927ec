//! What was found by reading: which rule, what about, and what can be done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fault::{Label, Lang, Rule, Severity};

use crate::fix::Fix;
use crate::redact::redact_text;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file or directory.
    pub path: PathBuf,
    /// Line, from 1, where one is meant.
    pub line: Option<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// Something found in settings, files or caches.
///
/// Its facts are free of passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was found.
    pub rule: Rule,
    /// How much it matters here.
    pub severity: Severity,
    /// The settings involved, by name.
    pub settings: Vec<String>,
    /// Where to look.
    pub place: Option<Place>,
    /// What can be done; the first is the recommended one.
    pub fixes: Vec<Fix>,
    facts: BTreeMap<&'static str, String>,
}

impl Finding {
    /// A finding by `rule`, of the rule's severity.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            severity: rule.severity(),
            settings: Vec::new(),
            place: None,
            fixes: Vec::new(),
            facts: BTreeMap::new(),
        }
    }

    /// The cause of failure it is, or leads to.
    pub fn label(&self) -> Label {
        self.rule.label()
    }

    /// What was found and what it does, in one or two sentences.
    pub fn sentence(&self, lang: Lang) -> String {
        self.fill(&self.rule.texts(lang).problem)
    }

    /// What to do about it, in words.
    pub fn remedy(&self, lang: Lang) -> String {
        self.fill(&self.rule.texts(lang).fix)
    }

    /// The facts of the case, by the names of [`fault::RULE_FACTS`].
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.facts
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// One fact.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).map(String::as_str)
    }

    fn fill(&self, template: &str) -> String {
        fault::fill(template, |name| {
            self.fact(name)
                .or_else(|| fault::RULE_FACTS.contains(&name).then_some("?"))
        })
    }

    /// Adds a setting; the first also becomes the fact `setting`.
    #[must_use]
    pub(crate) fn about(mut self, setting: impl Into<String>) -> Self {
        let setting = setting.into();
        self.facts
            .entry("setting")
            .or_insert_with(|| setting.clone());
        self.settings.push(setting);
        self
    }

    /// Adds a fact, without its passwords.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        debug_assert!(fault::RULE_FACTS.contains(&name), "{name}");
        self.facts.insert(name, redact_text(value.as_ref()));
        self
    }

    /// Says where to look; also the facts `path` and `line`.
    #[must_use]
    pub(crate) fn at(mut self, path: &Path, line: Option<usize>) -> Self {
        self.facts
            .insert("path", path.to_string_lossy().into_owned());
        if let Some(line) = line {
            self.facts.insert("line", line.to_string());
        }
        self.place = Some(Place {
            path: path.to_owned(),
            line,
        });
        self
    }

    #[must_use]
    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    #[must_use]
    pub(crate) fn fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    #[must_use]
    pub(crate) fn fixes(mut self, fixes: impl IntoIterator<Item = Fix>) -> Self {
        self.fixes.extend(fixes);
        self
    }
}
