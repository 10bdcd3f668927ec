//! GOVCS: which version control programs may be run for which module (cmd/go/internal/vcs).

use crate::private::Patterns;

/// The rules of a GOVCS value, with Go's own behind them.
#[derive(Clone, Debug)]
pub struct Govcs {
    rules: Vec<(String, Vec<String>)>,
}

impl Govcs {
    /// Reads a GOVCS value. The error is in go's words.
    pub fn parse(setting: &str) -> Result<Self, String> {
        let setting = setting.trim();
        let mut rules: Vec<(String, Vec<String>)> = Vec::new();
        let items = (!setting.is_empty()).then(|| setting.split(','));
        for item in items.into_iter().flatten().map(str::trim) {
            rules.push(rule(item, &rules)?);
        }
        rules.push(("private".to_owned(), vec!["all".to_owned()]));
        rules.push(("public".to_owned(), vec!["git".to_owned(), "hg".to_owned()]));
        Ok(Self { rules })
    }

    /// True when `vcs`, such as `git`, may be run for a module with this root. The first rule that
    /// matches decides.
    pub fn allows(&self, root: &str, is_private: bool, vcs: &str) -> bool {
        let matching = self
            .rules
            .iter()
            .find(|(pattern, _)| match pattern.as_str() {
                "private" => is_private,
                "public" => !is_private,
                pattern => Patterns::parse(pattern).matches_text(root),
            });
        matching.is_some_and(|(_, allowed)| allowed.iter().any(|name| name == vcs || name == "all"))
    }

    /// True when the user's own rules allow every program for everything.
    pub fn is_wide_open(&self) -> bool {
        self.rules.first().is_some_and(|(pattern, allowed)| {
            (pattern == "*" || pattern == "public") && allowed.iter().any(|name| name == "all")
        })
    }
}

fn rule(item: &str, before: &[(String, Vec<String>)]) -> Result<(String, Vec<String>), String> {
    if item.is_empty() {
        return Err("empty entry in GOVCS".to_owned());
    }
    let Some((pattern, list)) = item.split_once(':') else {
        return Err(format!(
            "malformed entry in GOVCS (missing colon): {item:?}"
        ));
    };
    let (pattern, list) = (pattern.trim(), list.trim());
    if pattern.is_empty() {
        return Err(format!("empty pattern in GOVCS: {item:?}"));
    }
    if list.is_empty() {
        return Err(format!("empty VCS list in GOVCS: {item:?}"));
    }
    let is_relative = pattern == "."
        || pattern == ".."
        || pattern.starts_with("./")
        || pattern.starts_with("../");
    if is_relative {
        return Err(format!(
            "relative pattern not allowed in GOVCS: {pattern:?}"
        ));
    }
    if let Some((old, allowed)) = before.iter().find(|(old, _)| old == pattern) {
        let old = format!("{old}:{}", allowed.join("|"));
        return Err(format!(
            "unreachable pattern in GOVCS: {item:?} after {old:?}"
        ));
    }
    let allowed: Vec<String> = list.split('|').map(|name| name.trim().to_owned()).collect();
    if allowed.iter().any(String::is_empty) {
        return Err(format!("empty VCS name in GOVCS: {item:?}"));
    }
    Ok((pattern.to_owned(), allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rows = [
            ("", "example.com/x", false, "git", true),
            ("", "example.com/x", false, "svn", false),
            ("", "example.com/x", true, "svn", true),
            ("public:off", "example.com/x", false, "git", false),
            ("*:off", "example.com/x", true, "git", false),
            (
                "example.com:svn,public:off",
                "example.com/x",
                false,
                "svn",
                true,
            ),
            (
                "example.com:svn,public:off",
                "example.com/x",
                false,
                "git",
                false,
            ),
            ("other.com:git", "example.com/x", false, "bzr", false),
            (" public : git | svn ", "example.com/x", false, "svn", true),
        ];
        for (setting, root, is_private, vcs, expected) in rows {
            let allows = Govcs::parse(setting).unwrap().allows(root, is_private, vcs);
            assert_eq!(allows, expected, "{setting} {root} {vcs}");
        }
    }

    #[test]
    fn malformed_values_are_refused_in_gos_words() {
        let rows = [
            (",", "empty entry in GOVCS"),
            ("git", "malformed entry in GOVCS (missing colon): \"git\""),
            (":git", "empty pattern in GOVCS: \":git\""),
            ("a:", "empty VCS list in GOVCS: \"a:\""),
            ("a:git|", "empty VCS name in GOVCS: \"a:git|\""),
            ("./a:git", "relative pattern not allowed in GOVCS: \"./a\""),
            (
                "a:git,a:hg",
                "unreachable pattern in GOVCS: \"a:hg\" after \"a:git\"",
            ),
        ];
        for (setting, expected) in rows {
            assert_eq!(Govcs::parse(setting).unwrap_err(), expected, "{setting}");
        }
    }
}
