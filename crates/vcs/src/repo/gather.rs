//! A commit and the files of it that are wanted, read in one go: each start of git costs more than what it reads.
//!
//! Nothing depends on it. Where what git wrote is anything else than what is expected here, nothing is remembered, and
//! the one question at hand is asked alone.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use bstr::ByteSlice as _;
use jiff::Timestamp;

use super::objects::FILE_LIMIT;
use super::{CommitTime, ObjectId, Snapshot};
use crate::error::Error;

/// The digits of seconds that git and everybody else understands in the same way.
const MOST_DIGITS: usize = 11;

impl Snapshot {
    /// This snapshot, for somebody who will want these files of commits.
    pub(crate) fn wanting(mut self, files: Vec<String>) -> Self {
        let is_usable = |file: &String| !file.starts_with("../") && !file.contains(['\0', '\n']);
        self.wanted = files.into_iter().filter(is_usable).collect();
        self
    }

    /// Reads `commit`, and remembers what it has of the wanted files. `None` when that cannot be told in this way.
    pub(super) async fn gather(
        &self,
        directory: &Path,
        commit: &ObjectId,
    ) -> Result<Option<CommitTime>, Error> {
        let names = names(&self.wanted);
        let mut input = format!("{commit}\n");
        for name in &names {
            // Writing to a string does not fail.
            let _infallible = match name {
                Name::Tree("") => writeln!(input, "{commit}^{{tree}}"),
                Name::Tree(path) | Name::File(path) => writeln!(input, "{commit}:{path}"),
            };
        }
        let output = self
            .runner()
            .git(Some(directory))
            .args(["cat-file", "--batch"])
            .input(input.into_bytes())
            .max_output(2 * FILE_LIMIT)
            .output()
            .await;
        let Ok(output) = output else {
            return Ok(None);
        };
        let mut records = Records(&output.stdout);
        let head = match records.next() {
            Some(Record::Object {
                kind: b"commit",
                content,
            }) => content,
            Some(Record::Object { .. }) => return Err(Error::UnknownRevision(commit.to_string())),
            Some(Record::Missing) | None => return Ok(None),
        };
        let mut contents = HashMap::new();
        for name in &names {
            let Some(record) = records.next() else {
                return Ok(None);
            };
            let found = match name {
                Name::Tree(_) => record.object("tree"),
                Name::File(_) => record.object("blob"),
            };
            contents.insert(*name, found);
        }
        let Some(time) = committed(head) else {
            return Ok(None);
        };
        let (seen, here) = self.seen();
        for path in self.wanted.iter() {
            let content = contents.get(&Name::File(path)).copied().flatten();
            let content = match (is_file(&contents, commit, path), content) {
                (Some(true), Some(content)) if content.len() as u64 <= FILE_LIMIT => {
                    Some(content.into())
                }
                (Some(false), _) => None,
                _ => continue,
            };
            seen.keep_file(here, commit, path, content);
        }
        Ok(Some(CommitTime {
            id: commit.clone(),
            time,
        }))
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name<'a> {
    /// A directory; empty for the root.
    Tree(&'a str),
    File(&'a str),
}

/// The files, and every directory on the way to them.
fn names(files: &[String]) -> Vec<Name<'_>> {
    let mut names = Vec::new();
    for file in files {
        let directories = file
            .match_indices('/')
            .map(|(at, _)| Name::Tree(&file[..at]));
        let all = std::iter::once(Name::Tree("")).chain(directories);
        for name in all.chain([Name::File(file)]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Whether the directories say that there is a file at `path`; `None` when one of them is not at hand.
fn is_file(
    contents: &HashMap<Name<'_>, Option<&[u8]>>,
    commit: &ObjectId,
    path: &str,
) -> Option<bool> {
    let mut end = 0;
    loop {
        let directory = path.get(..end)?;
        let rest = path.get(end..)?.trim_start_matches('/');
        let (name, is_last) = match rest.split_once('/') {
            Some((name, _)) => (name, false),
            None => (rest, true),
        };
        let tree = contents.get(&Name::Tree(directory)).copied().flatten()?;
        match (mode_in(tree, commit, name)?, is_last) {
            (Some(b"40000"), false) => {}
            (None | Some(b"40000" | b"160000"), true) | (_, false) => return Some(false),
            (Some(_), true) => return Some(true),
        }
        end = path.len() - rest.len() + name.len();
    }
}

/// The mode of an entry of a tree, if it has one. The outer `None`: this is no tree.
#[expect(clippy::option_option, reason = "unreadable is not the same as absent")]
fn mode_in<'a>(tree: &'a [u8], commit: &ObjectId, name: &str) -> Option<Option<&'a [u8]>> {
    let hash_bytes = commit.as_str().len() / 2;
    let mut rest = tree;
    while !rest.is_empty() {
        let (head, tail) = rest.split_once_str(b"\0")?;
        let (mode, found) = head.split_once_str(b" ")?;
        if found == name.as_bytes() {
            return Some(Some(mode));
        }
        rest = tail.get(hash_bytes..)?;
    }
    Some(None)
}

/// When a commit says that it was made.
fn committed(commit: &[u8]) -> Option<Timestamp> {
    let head = commit.split_str(b"\n\n").next()?;
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix(b"committer "))?;
    let (_, time) = line.rsplit_once_str(b"> ")?;
    let digits = time.split_str(b" ").next()?.to_str().ok()?;
    let is_usual = !digits.is_empty()
        && digits.len() <= MOST_DIGITS
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    let seconds = digits.parse().ok().filter(|_| is_usual)?;
    Timestamp::from_second(seconds).ok()
}

/// What `git cat-file --batch` wrote, from here on.
struct Records<'a>(&'a [u8]);

enum Record<'a> {
    Missing,
    Object { kind: &'a [u8], content: &'a [u8] },
}

impl<'a> Record<'a> {
    fn object(self, wanted: &str) -> Option<&'a [u8]> {
        match self {
            Self::Object { kind, content } if kind == wanted.as_bytes() => Some(content),
            Self::Object { .. } | Self::Missing => None,
        }
    }
}

impl<'a> Records<'a> {
    fn next(&mut self) -> Option<Record<'a>> {
        let (line, rest) = self.0.split_once_str(b"\n")?;
        let fields: Vec<&[u8]> = line.split_str(b" ").collect();
        let [id, kind, size] = fields.as_slice() else {
            self.0 = rest;
            return Some(Record::Missing);
        };
        let is_id = id.len() >= 40 && id.iter().all(u8::is_ascii_hexdigit);
        let size = size
            .to_str()
            .ok()
            .and_then(|size| size.parse::<usize>().ok());
        let Some(size) = size.filter(|_| is_id) else {
            self.0 = rest;
            return Some(Record::Missing);
        };
        let content = rest.get(..size)?;
        self.0 = rest.get(size..)?.strip_prefix(b"\n")?;
        Some(Record::Object { kind, content })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ObjectId {
        ObjectId::parse(&"a".repeat(40)).unwrap()
    }

    fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (mode, name) in entries {
            bytes.extend(format!("{mode} {name}\0").into_bytes());
            bytes.extend([0; 20]);
        }
        bytes
    }

    #[test]
    fn directories_say_what_is_a_file() {
        let root = tree(&[("100644", "go.mod"), ("40000", "sub"), ("160000", "other")]);
        let sub = tree(&[
            ("100755", "go.mod"),
            ("40000", "LICENSE"),
            ("120000", "link"),
        ]);
        let contents = HashMap::from([
            (Name::Tree(""), Some(&root[..])),
            (Name::Tree("sub"), Some(&sub[..])),
            (Name::Tree("unread"), None),
        ]);
        for (path, expected) in [
            ("go.mod", Some(true)),
            ("LICENSE", Some(false)),
            ("sub", Some(false)),
            ("sub/go.mod", Some(true)),
            ("sub/link", Some(true)),
            ("sub/LICENSE", Some(false)),
            ("sub/LICENSE/x", None),
            ("other", Some(false)),
            ("other/go.mod", Some(false)),
            ("go.mod/go.mod", Some(false)),
            ("nothing/go.mod", Some(false)),
        ] {
            assert_eq!(is_file(&contents, &id(), path), expected, "{path}");
        }
        let torn = &root[..root.len() - 1];
        let contents = HashMap::from([(Name::Tree(""), Some(torn))]);
        assert_eq!(is_file(&contents, &id(), "LICENSE"), None);
    }

    #[test]
    fn the_way_to_a_file_is_asked_for_once() {
        let files = ["a/b/go.mod".to_owned(), "a/b/v2/go.mod".to_owned()];
        let expected = [
            Name::Tree(""),
            Name::Tree("a"),
            Name::Tree("a/b"),
            Name::File("a/b/go.mod"),
            Name::Tree("a/b/v2"),
            Name::File("a/b/v2/go.mod"),
        ];
        assert_eq!(names(&files), expected);
    }

    #[test]
    fn a_commit_tells_its_time_or_git_is_asked() {
        let commit = |time: &str| {
            format!(
                "tree x\nauthor A <a@b> 1 +0000\ncommitter B > C <c@d> {time}\n\ncommitter X <x> 9 +0000\n"
            )
        };
        let seconds = |time: &str| committed(commit(time).as_bytes()).map(Timestamp::as_second);
        assert_eq!(seconds("1700000000 +0130"), Some(1_700_000_000));
        for unusual in ["", "-5 +0000", "x", "99999999999999 +0000", "1e3 +0000"] {
            assert_eq!(seconds(unusual), None, "{unusual}");
        }
        assert_eq!(committed(b"tree x\n\ncommitter X <x> 9 +0000\n"), None);
    }

    #[test]
    fn records_are_objects_or_missing() {
        let id = id();
        let text =
            format!("{id} blob 3\nab\n\n{id}:my dir missing\n{id}:x missing\n{id} tree 0\n\n");
        let mut records = Records(text.as_bytes());
        assert_eq!(records.next().unwrap().object("blob"), Some(&b"ab\n"[..]));
        assert_eq!(records.next().unwrap().object("blob"), None);
        assert_eq!(records.next().unwrap().object("blob"), None);
        assert_eq!(records.next().unwrap().object("tree"), Some(&b""[..]));
        assert!(records.next().is_none());
        assert!(
            Records(format!("{id} blob 9\nab\n").as_bytes())
                .next()
                .is_none()
        );
    }
}
