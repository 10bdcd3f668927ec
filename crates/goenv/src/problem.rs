//! What is odd about the settings although `go` silently carries on.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::key::Key;

/// Something `go` does not complain about, or not where it happens, but a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A settings file cannot be read; go behaves as if it were empty.
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// GOENV names a file that does not exist.
    MissingUserFile {
        /// The file.
        path: PathBuf,
    },
    /// There is no place for the file of `go env -w`.
    NoUserFile {
        /// Why.
        reason: String,
    },
    /// A line of a settings file that go skips.
    MalformedLine {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Why go skips it.
        fault: LineFault,
    },
    /// A line of a settings file whose name Go 1.26 does not know: of a newer Go, of no Go, or
    /// misspelled.
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// A line of a settings file whose name go knows, but does not take from there.
    DeafKey {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// The line ends with a carriage return, which go makes part of the value.
    CarriageReturn {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// The line is not UTF-8; the value shown has replacement characters.
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// No `go` was found, or it does not lie in a Go tree: the defaults of its `go.env` are not
    /// known.
    NoGoroot,
    /// The Go tree should have a `go.env` but has none, so that GOPROXY, GOSUMDB and GOTOOLCHAIN
    /// have no default.
    MissingGorootFile {
        /// The file.
        path: PathBuf,
    },
    /// A value that makes go commands fail.
    InvalidValue {
        /// The setting.
        key: Key,
        /// What go says.
        reason: String,
    },
}

/// Why a line is no setting (cfg.go, `readEnvFile`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineFault {
    /// There is no `=`.
    NoEqualsSign,
    /// It does not begin with a letter from A to Z, for example because of a blank or `export`.
    BadStart,
}

impl Problem {
    /// File and line (from 1) to look at, as far as there is one.
    pub fn location(&self) -> Option<(&Path, Option<usize>)> {
        match self {
            Self::MalformedLine { path, line, .. }
            | Self::UnknownKey { path, line, .. }
            | Self::DeafKey { path, line, .. }
            | Self::CarriageReturn { path, line, .. }
            | Self::NotUtf8 { path, line } => Some((path, Some(*line))),
            Self::UnreadableFile { path, .. }
            | Self::MissingUserFile { path }
            | Self::MissingGorootFile { path } => Some((path, None)),
            Self::NoUserFile { .. } | Self::NoGoroot | Self::InvalidValue { .. } => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.location() {
            Some((path, Some(line))) => write!(f, "{}:{line}: ", path.display())?,
            Some((path, None)) => write!(f, "{}: ", path.display())?,
            None => {}
        }
        match self {
            Self::MissingUserFile { .. } => f.write_str("GOENV names a file that does not exist"),
            Self::NoUserFile { reason } => write!(f, "no file for 'go env -w': {reason}"),
            Self::MalformedLine { fault, .. } => write!(f, "line ignored by go: {fault}"),
            Self::UnknownKey { name, .. } => {
                write!(
                    f,
                    "{name} is no setting that Go 1.26 knows (of a newer Go, or misspelled)"
                )
            }
            Self::DeafKey { name, .. } => write!(f, "{name} cannot be set in this file"),
            Self::CarriageReturn { name, .. } => {
                write!(
                    f,
                    "go makes the carriage return at the end of the line part of {name}"
                )
            }
            Self::NotUtf8 { .. } => f.write_str("not UTF-8"),
            Self::NoGoroot => {
                f.write_str("no Go tree found: GOROOT is not set and PATH leads to none")
            }
            Self::MissingGorootFile { .. } => {
                f.write_str("file is missing, so GOPROXY, GOSUMDB and GOTOOLCHAIN have no default")
            }
            Self::UnreadableFile { reason, .. } | Self::InvalidValue { reason, .. } => {
                f.write_str(reason)
            }
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEqualsSign => "no '='",
            Self::BadStart => "it does not begin with a letter from A to Z",
        })
    }
}
