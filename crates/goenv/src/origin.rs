//! A setting with the place it was made in.

use std::fmt;
use std::path::PathBuf;

use crate::key::Key;
use crate::redact::redact_text;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
    },
    /// The file of `go env -w`.
    UserFile {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// `$GOROOT/go.env`.
    GorootFile {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// The project's go.mod or go.work.
    ProjectFile {
        /// The file.
        path: PathBuf,
        /// Line, from 1, where it is a line that says so.
        line: Option<usize>,
    },
    /// Looked for: the nearest one in a directory or above it.
    Nearest {
        /// The directory.
        to: PathBuf,
    },
    /// A proxy auto-configuration file.
    AutoConfig {
        /// The file.
        path: PathBuf,
    },
    /// Another setting.
    Inherited {
        /// That setting.
        from: Key,
    },
    /// Nowhere: Go's own default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { name } => write!(f, "environment variable {name}"),
            Self::UserFile { path, line } | Self::GorootFile { path, line } => {
                write!(f, "{}:{line}", path.display())
            }
            Self::ProjectFile {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::ProjectFile { path, line: None } | Self::AutoConfig { path } => {
                path.display().fmt(f)
            }
            Self::Nearest { to } => write!(f, "nearest to {}", to.display()),
            Self::Inherited { from } => write!(f, "inherited from {from}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value that is set as well, but has no effect because another origin comes first.
#[derive(Clone, PartialEq, Eq)]
pub struct Shadowed {
    /// The value without effect.
    pub value: String,
    /// Where it is set.
    pub origin: Origin,
}

/// One setting: the value that counts, where it was set, and what else was set.
///
/// `Debug` and `Display` hide passwords in URLs, the fields do not.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// Which setting.
    pub key: Key,
    /// The value `go env` prints, with one exception: GOENV is `off` when it is switched off, not
    /// empty.
    pub value: String,
    /// Where the value was set.
    pub origin: Origin,
    /// Values that have no effect, the one that would count next first.
    pub shadowed: Vec<Shadowed>,
}

impl Setting {
    /// The value without passwords.
    pub fn redacted_value(&self) -> String {
        redact_text(&self.value)
    }
}

impl Shadowed {
    /// The value without passwords.
    pub fn redacted_value(&self) -> String {
        redact_text(&self.value)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}={} ({})",
            self.key,
            self.redacted_value(),
            self.origin
        )
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("key", &self.key)
            .field("value", &self.redacted_value())
            .field("origin", &self.origin)
            .field("shadowed", &self.shadowed)
            .finish()
    }
}

impl fmt::Display for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.redacted_value(), self.origin)
    }
}

impl fmt::Debug for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadowed")
            .field("value", &self.redacted_value())
            .field("origin", &self.origin)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_told_in_words() {
        let file = |line| Origin::UserFile {
            path: PathBuf::from("/h/.config/go/env"),
            line,
        };
        let rows = [
            (
                Origin::Environment {
                    name: "GOPROXY".to_owned(),
                },
                "environment variable GOPROXY",
            ),
            (file(3), "/h/.config/go/env:3"),
            (
                Origin::GorootFile {
                    path: PathBuf::from("/go/go.env"),
                    line: 7,
                },
                "/go/go.env:7",
            ),
            (
                Origin::Inherited {
                    from: Key::GOPRIVATE,
                },
                "inherited from GOPRIVATE",
            ),
            (Origin::Default, "default"),
        ];
        for (origin, expected) in rows {
            assert_eq!(origin.to_string(), expected);
        }
    }

    #[test]
    fn passwords_do_not_show() {
        let shadowed = Shadowed {
            value: "https://u:hunter2@h".to_owned(),
            origin: Origin::Default,
        };
        let setting = Setting {
            key: Key::GOPROXY,
            value: "https://u:hunter2@h,direct".to_owned(),
            origin: Origin::Default,
            shadowed: vec![shadowed.clone()],
        };
        assert_eq!(
            setting.to_string(),
            "GOPROXY=https://u:xxxxx@h,direct (default)"
        );
        for shown in [
            format!("{setting:?}"),
            shadowed.to_string(),
            format!("{shadowed:?}"),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
