//! go.sum files: the hashes that a project expects of its dependencies.
//!
//! Rules: protocol reference "go.sum"; Go's `modfetch/fetch.go`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use crate::semver;

/// The hash that an old release of Go recorded for the absent go.mod of a module; such lines are
/// dropped.
const EMPTY_GO_MOD_HASH: &str = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=";

/// One malformed line of a go.sum file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed go.sum:\n{file}:{line}: {fault}")]
pub struct GoSumError {
    /// The name of the file as given to the parser.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong with the line.
    pub fault: GoSumFault,
}

/// What is wrong with a line of a go.sum file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoSumFault {
    /// A line is `path version hash`, this one has another number of fields.
    #[error("wrong number of fields {0}")]
    FieldCount(usize),
    /// The line is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
}

/// All malformed lines of one file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoSumErrors(Vec<GoSumError>);

impl GoSumErrors {
    /// The errors from top to bottom.
    pub fn iter(&self) -> std::slice::Iter<'_, GoSumError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a GoSumErrors {
    type Item = &'a GoSumError;
    type IntoIter = std::slice::Iter<'a, GoSumError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for GoSumErrors {}

impl fmt::Display for GoSumErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed go.sum:")?;
        for error in &self.0 {
            write!(f, "\n{}:{}: {}", error.file, error.line, error.fault)?;
        }
        Ok(())
    }
}

/// The key of a line: a module path and a version, which ends in `/go.mod` when the hash is that of
/// the go.mod file alone. Sorts as the lines of a go.sum file do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    path: String,
    version: String,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let split = |version: &str| version.find('/').unwrap_or(version.len());
        let (version, file) = self.version.split_at(split(&self.version));
        let (other_version, other_file) = other.version.split_at(split(&other.version));
        self.path
            .cmp(&other.path)
            .then_with(|| semver::compare_total(version, other_version))
            .then_with(|| file.cmp(other_file))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How the hashes of a go.sum file judge a hash that was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The file lists this hash.
    Match,
    /// The file lists another hash of the same algorithm: a security error.
    Mismatch,
    /// The file has no hash of this algorithm for the key.
    Unknown,
}

/// A go.sum file. Several hashes may belong to one key, in the order they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoSum {
    sums: BTreeMap<Key, Vec<String>>,
}

impl GoSum {
    /// Reads `data`. `file` is the name that errors show.
    pub fn parse(file: &str, data: &[u8]) -> Result<Self, GoSumErrors> {
        let (sums, errors) = Self::parse_lenient(file, data);
        if errors.is_empty() {
            Ok(sums)
        } else {
            Err(GoSumErrors(errors))
        }
    }

    /// Reads what can be read of `data` and tells which lines are malformed, as the commands do that
    /// repair a go.sum file.
    pub fn parse_lenient(file: &str, data: &[u8]) -> (Self, Vec<GoSumError>) {
        let mut sums = Self::default();
        let mut errors = Vec::new();
        for (index, line) in data.split(|&b| b == b'\n').enumerate() {
            if let Err(fault) = sums.add_line(line) {
                errors.push(GoSumError {
                    file: file.to_owned(),
                    line: index + 1,
                    fault,
                });
            }
        }
        (sums, errors)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), GoSumFault> {
        let text = String::from_utf8_lossy(line);
        let fields: Vec<&str> = text.split_whitespace().collect();
        match fields.as_slice() {
            [] => Ok(()),
            [_, _, _] if std::str::from_utf8(line).is_err() => Err(GoSumFault::InvalidUtf8),
            [path, version, hash] => {
                self.add(path, version, hash);
                Ok(())
            }
            other => Err(GoSumFault::FieldCount(other.len())),
        }
    }

    /// Adds a hash if it is not there yet. `version` ends in `/go.mod` for the hash of a go.mod file.
    pub fn add(&mut self, path: &str, version: &str, hash: &str) {
        if hash == EMPTY_GO_MOD_HASH {
            return;
        }
        let key = Key {
            path: path.to_owned(),
            version: version.to_owned(),
        };
        let hashes = self.sums.entry(key).or_default();
        if !hashes.iter().any(|known| known == hash) {
            hashes.push(hash.to_owned());
        }
    }

    /// Removes all hashes of a key; true if there were any.
    pub fn remove(&mut self, path: &str, version: &str) -> bool {
        let key = Key {
            path: path.to_owned(),
            version: version.to_owned(),
        };
        self.sums.remove(&key).is_some()
    }

    /// The hashes listed for a module's zip (`version`) or go.mod file (`version` with `/go.mod`).
    pub fn lookup(&self, path: &str, version: &str) -> &[String] {
        let key = Key {
            path: path.to_owned(),
            version: version.to_owned(),
        };
        self.sums.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Judges a computed `hash`, such as `h1:…`: the first listed hash of the same algorithm decides,
    /// as it does for the `go` command.
    pub fn verify(&self, path: &str, version: &str, hash: &str) -> Verdict {
        let algorithm = |hash: &str| hash.find(':').map(|end| hash[..end].to_owned());
        let wanted = algorithm(hash);
        let decisive = self
            .lookup(path, version)
            .iter()
            .find(|known| algorithm(known) == wanted);
        match decisive {
            None => Verdict::Unknown,
            Some(known) if known == hash => Verdict::Match,
            Some(_) => Verdict::Mismatch,
        }
    }

    /// All lines as `(path, version, hash)`, in the order of [`GoSum::format`].
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.sums.iter().flat_map(|(key, hashes)| {
            hashes
                .iter()
                .map(|hash| (key.path.as_str(), key.version.as_str(), hash.as_str()))
        })
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.sums.values().map(Vec::len).sum()
    }

    /// True when there are no lines.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// The file as the `go` command writes it: sorted by path, then version, hashes of one key
    /// sorted as text.
    pub fn format(&self) -> String {
        let mut text = String::new();
        for (key, hashes) in &self.sums {
            let mut hashes: Vec<&String> = hashes.iter().collect();
            hashes.sort();
            for hash in hashes {
                text.extend([key.path.as_str(), " ", &key.version, " ", hash, "\n"]);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "\
b.example/x v1.10.0 h1:b=
b.example/x v1.9.0/go.mod h1:c=
b.example/x v1.9.0 h1:d=

a.example/x v1.0.0 h1:2=
a.example/x v1.0.0\th1:1=\r
a.example/x v1.0.0 h9:other=
";

    #[test]
    fn lines_are_written_sorted_by_path_version_and_hash() {
        let sums = GoSum::parse("go.sum", FILE.as_bytes()).unwrap();
        assert_eq!(
            sums.format(),
            "a.example/x v1.0.0 h1:1=\na.example/x v1.0.0 h1:2=\na.example/x v1.0.0 h9:other=\n\
             b.example/x v1.9.0 h1:d=\nb.example/x v1.9.0/go.mod h1:c=\nb.example/x v1.10.0 h1:b=\n"
        );
        assert_eq!(sums.len(), 6);
    }

    #[test]
    fn the_first_hash_of_an_algorithm_decides() {
        let sums = GoSum::parse("go.sum", FILE.as_bytes()).unwrap();
        assert_eq!(
            sums.verify("a.example/x", "v1.0.0", "h1:2="),
            Verdict::Match
        );
        assert_eq!(
            sums.verify("a.example/x", "v1.0.0", "h1:1="),
            Verdict::Mismatch
        );
        assert_eq!(
            sums.verify("a.example/x", "v1.0.0", "h2:1="),
            Verdict::Unknown
        );
        assert_eq!(
            sums.verify("b.example/x", "v1.9.0/go.mod", "h1:c="),
            Verdict::Match
        );
        assert_eq!(
            sums.verify("b.example/x", "v1.8.0", "h1:c="),
            Verdict::Unknown
        );
    }

    #[test]
    fn malformed_lines_are_all_reported() {
        let data = b"a.example/x v1.0.0 h1:1=\n\none two\n a b c d \n\xff b c\n";
        let errors = GoSum::parse("dir/go.sum", data).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "malformed go.sum:\ndir/go.sum:3: wrong number of fields 2\n\
             dir/go.sum:4: wrong number of fields 4\ndir/go.sum:5: invalid UTF-8"
        );
        let (sums, errors) = GoSum::parse_lenient("go.sum", data);
        assert_eq!((sums.len(), errors.len()), (1, 3));
        assert_eq!(
            errors[0].to_string(),
            "malformed go.sum:\ngo.sum:3: wrong number of fields 2"
        );
    }

    #[test]
    fn the_hash_of_an_empty_go_mod_is_dropped() {
        let line = format!("a.example/x v1.0.0/go.mod {EMPTY_GO_MOD_HASH}\n");
        assert!(GoSum::parse("go.sum", line.as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn sums_are_added_once_and_removed() {
        let mut sums = GoSum::default();
        sums.add("a.example/x", "v1.0.0", "h1:1=");
        sums.add("a.example/x", "v1.0.0", "h1:1=");
        assert_eq!(
            sums.iter().collect::<Vec<_>>(),
            [("a.example/x", "v1.0.0", "h1:1=")]
        );
        assert!(sums.remove("a.example/x", "v1.0.0"));
        assert!(!sums.remove("a.example/x", "v1.0.0"));
    }

    proptest! {
        #[test]
        fn no_file_panics(data: Vec<u8>) {
            let _ = GoSum::parse("go.sum", &data);
        }

        #[test]
        fn formatting_is_stable(lines in proptest::collection::vec(("[a-c]", "v[0-2]\\.[0-2]\\.0(/go\\.mod)?", "h1:[ab]="), 0..20)) {
            let mut sums = GoSum::default();
            for (path, version, hash) in &lines {
                sums.add(path, version, hash);
            }
            let text = sums.format();
            let again = GoSum::parse("go.sum", text.as_bytes()).unwrap();
            prop_assert_eq!(again.format(), text);
        }
    }
}
