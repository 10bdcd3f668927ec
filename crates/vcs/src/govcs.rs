//! GOVCS: which version control systems may be used for which modules.

use gomod::glob::match_prefix_patterns;
use gomod::quote;

use crate::system::VersionControl;

/// The parsed setting, with Go's default behind it: any system for private modules, Git and Mercurial for public
/// ones. The first rule whose pattern matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Govcs {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: String,
    allowed: Vec<String>,
}

/// Why a GOVCS setting cannot be used, in the words of the `go` command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GovcsError {
    /// Two commas, or a comma at an end.
    #[error("empty entry in GOVCS")]
    EmptyEntry,
    /// An entry that is only a pattern.
    #[error("malformed entry in GOVCS (missing colon): {}", quote(.0))]
    MissingColon(String),
    /// Nothing before the colon.
    #[error("empty pattern in GOVCS: {}", quote(.0))]
    EmptyPattern(String),
    /// Nothing behind the colon.
    #[error("empty VCS list in GOVCS: {}", quote(.0))]
    EmptyList(String),
    /// A pattern that is a directory.
    #[error("relative pattern not allowed in GOVCS: {}", quote(.0))]
    RelativePattern(String),
    /// The pattern of an earlier entry.
    #[error("unreachable pattern in GOVCS: {} after {}", quote(.entry), quote(.earlier))]
    Unreachable {
        /// The later entry.
        entry: String,
        /// The entry that matches all the same.
        earlier: String,
    },
    /// Two bars, or a bar at an end.
    #[error("empty VCS name in GOVCS: {}", quote(.0))]
    EmptyName(String),
}

impl Govcs {
    /// Reads the setting; an empty one is Go's default.
    pub fn parse(setting: &str) -> Result<Self, GovcsError> {
        let mut govcs = Self::parse_alone(setting)?;
        govcs.rules.extend(Self::default().rules);
        Ok(govcs)
    }

    /// The setting without the default behind it, as the tests of Go look at it.
    pub(crate) fn parse_alone(setting: &str) -> Result<Self, GovcsError> {
        let mut rules: Vec<(Rule, &str)> = Vec::new();
        let setting = setting.trim();
        let entries = (!setting.is_empty()).then(|| setting.split(','));
        for entry in entries.into_iter().flatten().map(str::trim) {
            let rule = parse_entry(entry)?;
            if let Some((_, earlier)) = rules.iter().find(|(old, _)| old.pattern == rule.pattern) {
                return Err(GovcsError::Unreachable {
                    entry: entry.to_owned(),
                    earlier: (*earlier).to_owned(),
                });
            }
            rules.push((rule, entry));
        }
        let rules = rules.into_iter().map(|(rule, _)| rule).collect();
        Ok(Self { rules })
    }

    /// Whether `system` may be used for the repository whose root has the import path `root`. A module proxy in
    /// place of version control always may.
    pub fn allows(&self, root: &str, private: bool, system: VersionControl) -> bool {
        system == VersionControl::Mod || self.allows_name(root, private, system.command())
    }

    pub(crate) fn allows_name(&self, root: &str, private: bool, name: &str) -> bool {
        self.rules
            .iter()
            .find(|rule| rule.matches(root, private))
            .is_some_and(|rule| rule.allowed.iter().any(|a| a == name || a == "all"))
    }
}

impl Default for Govcs {
    fn default() -> Self {
        Self {
            rules: vec![
                Rule::new("private", &["all"]),
                Rule::new("public", &["git", "hg"]),
            ],
        }
    }
}

impl Rule {
    fn new(pattern: &str, allowed: &[&str]) -> Self {
        Self {
            pattern: pattern.to_owned(),
            allowed: allowed.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn matches(&self, root: &str, private: bool) -> bool {
        match self.pattern.as_str() {
            "private" => private,
            "public" => !private,
            pattern => match_prefix_patterns(pattern, root),
        }
    }
}

fn parse_entry(entry: &str) -> Result<Rule, GovcsError> {
    if entry.is_empty() {
        return Err(GovcsError::EmptyEntry);
    }
    let Some((pattern, list)) = entry.split_once(':') else {
        return Err(GovcsError::MissingColon(entry.to_owned()));
    };
    let (pattern, list) = (pattern.trim(), list.trim());
    if pattern.is_empty() {
        return Err(GovcsError::EmptyPattern(entry.to_owned()));
    }
    if list.is_empty() {
        return Err(GovcsError::EmptyList(entry.to_owned()));
    }
    if matches!(pattern, "." | "..") || pattern.starts_with("./") || pattern.starts_with("../") {
        return Err(GovcsError::RelativePattern(pattern.to_owned()));
    }
    let allowed: Vec<&str> = list.split('|').map(str::trim).collect();
    if allowed.contains(&"") {
        return Err(GovcsError::EmptyName(entry.to_owned()));
    }
    Ok(Rule::new(pattern, &allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_matching_rule_decides() {
        let rows = [
            ("", "a.com/x", false, "git", true),
            ("", "a.com/x", false, "hg", true),
            ("", "a.com/x", false, "svn", false),
            ("", "a.com/x", true, "svn", true),
            ("private:git", "a.com/x", true, "svn", false),
            ("private:git", "a.com/x", false, "hg", true),
            ("a.com:off", "a.com/x", false, "git", false),
            ("a.com:off,*:all", "b.com/x", false, "bzr", true),
            ("a.com/x:git, *:hg", "a.com/x/y", false, "git", true),
            ("a.com/x:git, *:hg", "a.com/y", false, "git", false),
            ("*: git | svn ", "a.com", false, "svn", true),
            ("[:all", "a.com/x", false, "bzr", false),
        ];
        for (setting, root, private, name, want) in rows {
            let rules = Govcs::parse(setting).unwrap();
            assert_eq!(
                rules.allows_name(root, private, name),
                want,
                "{setting:?} {root} {name}"
            );
        }
        assert!(
            Govcs::parse("*:off")
                .unwrap()
                .allows("a.com", false, VersionControl::Mod)
        );
        assert_eq!(Govcs::parse(" ").unwrap(), Govcs::default());
    }

    #[test]
    fn what_go_refuses_is_refused_in_its_words() {
        let rows = [
            (",", "empty entry in GOVCS"),
            (
                "a.com",
                r#"malformed entry in GOVCS (missing colon): "a.com""#,
            ),
            (":git", r#"empty pattern in GOVCS: ":git""#),
            ("a.com: ", r#"empty VCS list in GOVCS: "a.com:""#),
            ("./x:git", r#"relative pattern not allowed in GOVCS: "./x""#),
            (
                "a.com:git,a.com:hg",
                r#"unreachable pattern in GOVCS: "a.com:hg" after "a.com:git""#,
            ),
            (
                "a.com:git||hg",
                r#"empty VCS name in GOVCS: "a.com:git||hg""#,
            ),
        ];
        for (setting, want) in rows {
            assert_eq!(Govcs::parse(setting).unwrap_err().to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn no_setting_panics(setting in "[a:|,./ *]{0,20}") {
            let _ = Govcs::parse(&setting);
        }
    }
}
