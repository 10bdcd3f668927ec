//! What people read about a rule.
//!
//! The texts live in `messages/<language>/rules.toml` and are parsed on first use.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::{Lang, Rule};

/// The texts of one rule in one language. They are templates: see [`fill`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTexts {
    /// What was found, and what it does.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

/// The names that the templates of rules may use in braces.
pub const RULE_FACTS: [&str; 11] = [
    "detail", "entry", "host", "line", "module", "origin", "other", "path", "setting", "value",
    "version",
];

impl Rule {
    /// What people read about this rule.
    pub fn texts(self, lang: Lang) -> &'static RuleTexts {
        static BLANK: LazyLock<RuleTexts> = LazyLock::new(RuleTexts::default);
        static ENGLISH: LazyLock<HashMap<String, RuleTexts>> =
            LazyLock::new(|| read(Lang::En).unwrap_or_default());
        static CHINESE: LazyLock<HashMap<String, RuleTexts>> =
            LazyLock::new(|| read(Lang::Zh).unwrap_or_default());
        let texts = match lang {
            Lang::En => &ENGLISH,
            Lang::Zh => &CHINESE,
        };
        // The files are part of the binary and a test reads each entry, so the blank one is never handed out.
        texts.get(self.as_str()).unwrap_or_else(|| &BLANK)
    }
}

fn read(lang: Lang) -> Result<HashMap<String, RuleTexts>, toml::de::Error> {
    toml::from_str(match lang {
        Lang::En => include_str!("../messages/en/rules.toml"),
        Lang::Zh => include_str!("../messages/zh/rules.toml"),
    })
}

/// Puts facts into a template: `{name}` becomes the fact of that name. Braces around anything else are left alone.
pub fn fill<'a>(template: &str, fact: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let inside = after
            .split_once('}')
            .and_then(|(name, behind)| fact(name).map(|value| (value, behind)));
        if let Some((value, behind)) = inside {
            out.push_str(value);
            rest = behind;
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::forbidden_remedies;
    use crate::template::words_in_braces;

    #[test]
    fn every_rule_has_its_texts_in_both_languages() {
        let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
        assert_eq!(names.len(), Rule::ALL.len(), "names are unique");
        for lang in Lang::ALL {
            let texts = read(lang).unwrap();
            let known: BTreeSet<&str> = texts.keys().map(String::as_str).collect();
            assert_eq!(known, names, "{lang}");
        }
    }

    #[test]
    fn texts_are_in_their_language_and_use_the_same_facts() {
        let han = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        let facts = |text: &'static str| words_in_braces(text).into_iter().collect::<BTreeSet<_>>();
        for &rule in Rule::ALL {
            let (en, zh) = (rule.texts(Lang::En), rule.texts(Lang::Zh));
            for (english, chinese) in [(&en.problem, &zh.problem), (&en.fix, &zh.fix)] {
                assert!(
                    !english.is_empty() && !english.contains(han),
                    "{rule}: {english}"
                );
                assert!(chinese.contains(han), "{rule}: {chinese}");
                assert_eq!(facts(english), facts(chinese), "{rule}");
                for name in facts(english) {
                    assert!(RULE_FACTS.contains(&name), "{rule}: {{{name}}}");
                }
            }
        }
    }

    #[test]
    fn no_rule_advises_a_forbidden_remedy() {
        for lang in Lang::ALL {
            for &rule in Rule::ALL {
                let fix = &rule.texts(lang).fix;
                assert_eq!(forbidden_remedies(fix), [], "{lang} {rule}: {fix}");
            }
        }
    }

    #[test]
    fn names_lead_back_to_rules() {
        for &rule in Rule::ALL {
            assert_eq!(rule.as_str().parse(), Ok(rule));
        }
        assert!("no-such-rule".parse::<Rule>().is_err());
    }

    #[test]
    fn facts_are_filled_in_and_other_braces_stay() {
        let fact = |name: &str| (name == "value").then_some("x{value}");
        assert_eq!(fill("a {value} {b} {", fact), "a x{value} {b} {");
    }
}
