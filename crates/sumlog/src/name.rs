use std::fmt;
use std::path::{Path, PathBuf};

/// The name of a log: what its keys are called and what stands in `/sumdb/<name>/`. A host, with or without a path, so
/// that the `go` command takes it as the name of a database (Go's `modfetch.dbDial`), and plain enough to be written in
/// a URL, a shell and a file name as it is: elements of letters, digits, `.`, `-` and `_` that do not begin with a dot,
/// joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogName(String);

/// The longest name, so that it is a file name, too.
const LONGEST: usize = 200;

impl LogName {
    /// Checks the rule for names. The error is a sentence about what is wrong.
    pub fn parse(name: &str) -> Result<Self, String> {
        let is_element = |element: &str| {
            !element.is_empty()
                && !element.starts_with('.')
                && element
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        if name.len() > LONGEST {
            return Err(format!(
                "a name of {} bytes; {LONGEST} is the limit",
                name.len()
            ));
        }
        if !name.split('/').all(is_element) {
            return Err(format!(
                "{name:?} is no name of a checksum database: it must look like sum.example.com or sum.example.com/team, of letters, digits, '.', '-' and '_'"
            ));
        }
        if name == "sum.golang.org" || name == "sum.golang.google.cn" {
            return Err(format!(
                "{name} is the public checksum database's own name; choose one of your own"
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as one element of a file path. No name has a `+`.
    pub fn file_name(&self) -> String {
        self.0.replace('/', "+")
    }

    /// Where the log is, below a data directory.
    pub fn directory(&self, data: &Path) -> PathBuf {
        data.join("sumlog").join(self.file_name())
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_with_or_without_a_path() {
        for good in ["sum.example.com", "sum.example.com/team-a/b_2", "localhost"] {
            assert_eq!(LogName::parse(good).unwrap().as_str(), good);
        }
        let bad = [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "a b",
            "a+b",
            "..",
            "a/../b",
            ".a",
            "a:80",
            "é",
            "a?b",
            "a%20",
            "sum.golang.org",
            &"a".repeat(201),
        ];
        for bad in bad {
            assert!(LogName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn two_names_have_two_directories() {
        let directory = |name| LogName::parse(name).unwrap().directory(Path::new("d"));
        assert_eq!(directory("a/b"), Path::new("d/sumlog/a+b"));
        assert_ne!(directory("a/b"), directory("a.b"));
    }
}
