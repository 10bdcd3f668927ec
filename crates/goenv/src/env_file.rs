//! Files of `NAME=value` lines: the file of `go env -w` and `$GOROOT/go.env` (cfg.go,
//! `readEnvFile`).

use std::io;
use std::path::{Path, PathBuf};

use crate::key::{is_deaf_to_files, is_known_to_go};
use crate::problem::{LineFault, Problem};

/// A settings file as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvFile {
    pub(crate) path: PathBuf,
    pub(crate) exists: bool,
    assignments: Vec<Assignment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) line: usize,
    pub(crate) name: String,
    pub(crate) value: String,
}

impl EnvFile {
    /// Reads a file. A file that is missing or unreadable is an empty one, as for go.
    pub(crate) fn read(path: &Path, problems: &mut Vec<Problem>) -> Self {
        match std::fs::read(path) {
            Ok(text) => Self::parse(path, &text, problems),
            Err(error) => {
                let exists = error.kind() != io::ErrorKind::NotFound;
                if exists {
                    problems.push(Problem::UnreadableFile {
                        path: path.to_owned(),
                        reason: error.to_string(),
                    });
                }
                Self {
                    path: path.to_owned(),
                    exists,
                    assignments: Vec::new(),
                }
            }
        }
    }

    fn parse(path: &Path, text: &[u8], problems: &mut Vec<Problem>) -> Self {
        let mut assignments = Vec::new();
        for (line, bytes) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            match parse_line(bytes) {
                Line::Assignment { name, value } => {
                    let assignment = Assignment { line, name, value };
                    assignment.check(path, bytes, problems);
                    assignments.push(assignment);
                }
                Line::Nothing => {}
                Line::Malformed(fault) => {
                    problems.push(Problem::MalformedLine {
                        path: path.to_owned(),
                        line,
                        fault,
                    });
                }
            }
        }
        Self {
            path: path.to_owned(),
            exists: true,
            assignments,
        }
    }

    /// All lines for `name`, the one that counts, which is the last, first.
    pub(crate) fn assignments_of(&self, name: &str) -> impl Iterator<Item = &Assignment> {
        self.assignments
            .iter()
            .rev()
            .filter(move |assignment| assignment.name == name)
    }
}

impl Assignment {
    fn check(&self, path: &Path, bytes: &[u8], problems: &mut Vec<Problem>) {
        let (path, line, name) = (path.to_owned(), self.line, self.name.clone());
        if std::str::from_utf8(bytes).is_err() {
            problems.push(Problem::NotUtf8 {
                path: path.clone(),
                line,
            });
        }
        if bytes.ends_with(b"\r") {
            problems.push(Problem::CarriageReturn {
                path: path.clone(),
                line,
                name: name.clone(),
            });
        }
        if is_deaf_to_files(&name) {
            problems.push(Problem::DeafKey { path, line, name });
        } else if !is_known_to_go(&name) {
            problems.push(Problem::UnknownKey { path, line, name });
        }
    }
}

enum Line {
    Assignment { name: String, value: String },
    Nothing,
    Malformed(LineFault),
}

/// Nothing is trimmed and nothing is unquoted, and only a line feed ends a line.
fn parse_line(line: &[u8]) -> Line {
    let equals = line.iter().position(|&byte| byte == b'=');
    match (line.first(), equals) {
        (Some(b'A'..=b'Z'), Some(equals)) => {
            let (name, value) = line.split_at(equals);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Line::Assignment {
                name: text(name),
                value: text(value.get(1..).unwrap_or_default()),
            }
        }
        (Some(b'#'), _) => Line::Nothing,
        _ if line.trim_ascii().is_empty() => Line::Nothing,
        (_, Some(_)) => Line::Malformed(LineFault::BadStart),
        (_, None) => Line::Malformed(LineFault::NoEqualsSign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Lines<'a> = &'a [(usize, &'a str, &'a str)];

    fn parsed(text: &[u8]) -> (Vec<(usize, String, String)>, Vec<String>) {
        let mut problems = Vec::new();
        let file = EnvFile::parse(Path::new("env"), text, &mut problems);
        let lines = file
            .assignments
            .into_iter()
            .map(|found| (found.line, found.name, found.value))
            .collect();
        (lines, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lines_are_read_as_go_reads_them() {
        let rows: [(&[u8], Lines<'_>); 8] = [
            (b"", &[]),
            (b"GOPROXY=direct", &[(1, "GOPROXY", "direct")]),
            (
                b"# c\n\nGOPROXY=a=b\nGOFLAGS=\n",
                &[(3, "GOPROXY", "a=b"), (4, "GOFLAGS", "")],
            ),
            (b" GOPROXY=x\n=x\ngoproxy=x\n_A=x\n", &[]),
            (b"GOPROXY= \"x\" ", &[(1, "GOPROXY", " \"x\" ")]),
            (b"GOPROXY=x\r\n", &[(1, "GOPROXY", "x\r")]),
            (b"GOPROXY =x", &[(1, "GOPROXY ", "x")]),
            (b"GOPROXY=\xff", &[(1, "GOPROXY", "\u{fffd}")]),
        ];
        for (text, expected) in rows {
            let expected: Vec<_> = expected
                .iter()
                .map(|&(line, name, value)| (line, name.to_owned(), value.to_owned()))
                .collect();
            assert_eq!(parsed(text).0, expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_go_ignores_is_told_with_its_line() {
        let rows: [(&[u8], &str); 9] = [
            (b"GOPROXY", "env:1: line ignored by go: no '='"),
            (
                b"#\n GOPROXY=x",
                "env:2: line ignored by go: it does not begin with a letter from A to Z",
            ),
            (
                b"export GOPROXY=x",
                "env:1: line ignored by go: it does not begin with a letter from A to Z",
            ),
            (
                b"GOPROXI=x",
                "env:1: GOPROXI is no setting that Go 1.26 knows (of a newer Go, or misspelled)",
            ),
            (
                b"HTTP_PROXY=x",
                "env:1: HTTP_PROXY is no setting that Go 1.26 knows (of a newer Go, or misspelled)",
            ),
            (b"GOENV=off", "env:1: GOENV cannot be set in this file"),
            (b"GODEBUG=x=1", "env:1: GODEBUG cannot be set in this file"),
            (
                b"GOPROXY=x\r",
                "env:1: go makes the carriage return at the end of the line part of GOPROXY",
            ),
            (b"CC=\xff", "env:1: not UTF-8"),
        ];
        for (text, expected) in rows {
            assert_eq!(parsed(text).1, [expected], "{}", text.escape_ascii());
        }
        assert!(
            parsed(b"# a comment\n\n  \nGOPROXY=x\nGOAMD64=v3\n")
                .1
                .is_empty()
        );
    }

    #[test]
    fn the_last_line_of_a_name_counts() {
        let file = EnvFile::parse(
            Path::new("env"),
            b"GOPROXY=a\nGOFLAGS=\nGOPROXY=b\n",
            &mut Vec::new(),
        );
        let values: Vec<&str> = file
            .assignments_of("GOPROXY")
            .map(|found| found.value.as_str())
            .collect();
        assert_eq!(values, ["b", "a"]);
    }

    #[test]
    fn files_that_cannot_be_read_are_empty() {
        let root = tempfile::tempdir().unwrap();
        let mut problems = Vec::new();
        let missing = EnvFile::read(&root.path().join("no"), &mut problems);
        assert!(!missing.exists && problems.is_empty());
        let directory = EnvFile::read(root.path(), &mut problems);
        assert!(directory.exists && directory.assignments.is_empty());
        assert!(matches!(
            problems.as_slice(),
            [Problem::UnreadableFile { .. }]
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parsed(&text);
        }
    }
}
