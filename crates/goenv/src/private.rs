//! GOPRIVATE, GONOPROXY, GONOSUMDB and GOINSECURE: lists of patterns for module paths.

use std::fmt;

use gomod::ModulePath;
use gomod::glob::{self, match_prefix_patterns};

/// A comma-separated list of globs. A module matches when a leading part of its path, of as many
/// elements as the glob has, matches the glob (module.MatchPrefixPatterns). A malformed glob
/// matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    globs: String,
}

impl Patterns {
    /// Takes a list as it stands in the setting. Every text is one: go does not refuse any.
    pub fn parse(setting: &str) -> Self {
        Self {
            globs: setting.to_owned(),
        }
    }

    /// True when one of the globs matches `module`.
    pub fn matches(&self, module: &ModulePath) -> bool {
        self.matches_text(module.as_str())
    }

    /// The same for text that is not, or not yet, known to be a module path, such as an import
    /// path.
    pub fn matches_text(&self, path: &str) -> bool {
        match_prefix_patterns(&self.globs, path)
    }

    /// The first glob that matches `module`.
    pub fn matching_glob(&self, module: &ModulePath) -> Option<&str> {
        self.globs()
            .find(|glob| match_prefix_patterns(glob, module.as_str()))
    }

    /// The globs as written, without the empty ones, which go skips.
    pub fn globs(&self) -> impl Iterator<Item = &str> {
        self.globs
            .split(',')
            .filter(|glob| !glob.is_empty() && *glob != "/")
    }

    /// The globs that are malformed, such as `[a`. They match nothing, and go does not say so.
    pub fn malformed_globs(&self) -> impl Iterator<Item = &str> {
        self.globs().filter(|glob| {
            let glob = glob.strip_suffix('/').unwrap_or(glob);
            glob::matches(glob, "").is_err()
        })
    }

    /// True when there is no glob, so that nothing can match.
    pub fn is_empty(&self) -> bool {
        self.globs().next().is_none()
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.globs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_leading_elements() {
        let rows = [
            ("", "corp.com/x", false),
            ("corp.com", "corp.com/x/y", true),
            ("corp.com", "corp.community/x", false),
            ("*.corp.com", "git.corp.com/x/y", true),
            ("*.corp.com", "corp.com/x", false),
            ("corp.com/*", "corp.com", false),
            ("corp.com/*/", "corp.com/x/y", true),
            ("*", "a.com/b", true),
            ("a.com,,corp.com/x", "corp.com/x/y", true),
            ("a.com, corp.com", "corp.com/x", false),
            ("[", "corp.com/x", false),
            ("[,corp.com", "corp.com/x", true),
            ("corp.com/team-?/*", "corp.com/team-a/x/y", true),
            ("none", "corp.com/x", false),
        ];
        for (globs, path, expected) in rows {
            assert_eq!(
                Patterns::parse(globs).matches_text(path),
                expected,
                "{globs:?} {path}"
            );
        }
    }

    #[test]
    fn the_matching_glob_is_told() {
        let module: ModulePath = "git.corp.com/x".parse().unwrap();
        let patterns = Patterns::parse("a.com,,*.corp.com/,git.corp.com");
        assert!(patterns.matches(&module));
        assert_eq!(patterns.matching_glob(&module), Some("*.corp.com/"));
        assert_eq!(
            patterns.globs().collect::<Vec<_>>(),
            ["a.com", "*.corp.com/", "git.corp.com"]
        );
        assert!(Patterns::parse(",/,").is_empty());
    }

    #[test]
    fn malformed_globs_are_told() {
        let patterns = Patterns::parse("a.com,[a,*.com/[b-/,c[a-z]/,d\\");
        let malformed: Vec<&str> = patterns.malformed_globs().collect();
        assert_eq!(malformed, ["[a", "*.com/[b-/", "d\\"]);
    }
}
