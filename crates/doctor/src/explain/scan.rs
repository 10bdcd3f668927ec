//! Finds the lines that may tell of a fault, and groups those that belong to one error.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memchr_iter;

use super::clean::{self, Line};
use super::context::{self, Context};
use super::foreign;
use super::prefix::Prefix;

/// Distinct lines that are read closely. A log with more distinct errors than this repeats itself in other words.
const CLOSE_READING_LIMIT: usize = 6_000;
/// Hit lines that are looked at to find the distinct ones.
const HIT_LIMIT: usize = 60_000;
/// Times the same line is read: the second cause of one error may be the first of another.
const REPEAT_LIMIT: u8 = 16;
/// Lines that may belong to one error.
const BLOCK_LIMIT: usize = 60;

/// The lines of one error, in order.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) lines: Vec<Line>,
}

/// What was found in a log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) blocks: Vec<Block>,
    pub(crate) context: Context,
}

/// Words without which a line tells of no fault, quoted, one a line. In lower case; found in any case.
const WORDS: &str = include_str!("words/faults.txt");

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = WORDS
        .lines()
        .map(|word| word.trim_matches('"'))
        .chain(foreign::words());
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(words)
        .ok()
});

/// Reads a log: its error blocks, and what the whole of it says about its origin.
pub(crate) fn scan(text: &[u8]) -> Log {
    let mut context = Context::of(text);
    let mut seen: HashMap<u64, u8> = HashMap::new();
    let mut lines = Vec::new();
    let mut hits = 0;
    let prefix = Prefix::of(text, first_word);
    for (number, raw) in numbered_lines(text) {
        let raw = prefix.as_ref().map_or(raw, |prefix| prefix.strip(raw));
        if lines.len() >= CLOSE_READING_LIMIT || hits >= HIT_LIMIT {
            break;
        }
        if !FINDER.as_ref().is_some_and(|finder| finder.is_match(raw)) {
            continue;
        }
        hits += 1;
        for line in clean::clean(number, raw) {
            let times = seen.entry(fingerprint(&line)).or_default();
            *times = times.saturating_add(1);
            if *times <= REPEAT_LIMIT {
                lines.push(line);
            }
        }
    }
    for line in &lines {
        context.learn(line);
    }
    Log {
        blocks: group(lines),
        context,
    }
}

/// Where the first word stands that may tell of a fault.
fn first_word(text: &str) -> Option<usize> {
    FINDER.as_ref()?.find(text).map(|found| found.start())
}

/// Whether a line begins something new, as opposed to going on with a line that was broken.
pub(crate) fn begins_anew(line: &str) -> bool {
    let stripped = clean::strip_prefixes(line).trim_start();
    let lower = stripped.to_lowercase();
    stripped.len() < line.trim_start().len()
        || starts_error(&lower)
        || CONTINUATIONS.iter().any(|start| lower.starts_with(start))
}

/// The lines of a text with their numbers from 1; a lone carriage return does not end a line.
fn numbered_lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let ends = memchr_iter(b'\n', text).chain(std::iter::once(text.len()));
    let mut start = 0;
    (1..).zip(ends).filter_map(move |(number, end)| {
        let line = text.get(start..end)?;
        start = end + 1;
        Some((number, line))
    })
}

/// Equal for equal lines, so that a flood of one error costs little.
fn fingerprint(line: &Line) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.lower.hash(&mut hasher);
    line.indented.hash(&mut hasher);
    hasher.finish()
}

/// Puts lines together that one error printed.
fn group(lines: Vec<Line>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in lines {
        match blocks.last_mut() {
            Some(block) if block.lines.len() < BLOCK_LIMIT && continues(block, &line) => {
                block.lines.push(line);
            }
            _ => blocks.push(Block { lines: vec![line] }),
        }
    }
    blocks
}

/// What git, ssh and the checksum code print under the line of go that reports them.
const CONTINUATIONS: &[&str] = &[
    "fatal: ",
    "remote: ",
    "error: ",
    "confirm the import",
    "if this is a private",
    "please make sure",
    "and the repository exists",
    "host key verification",
    "ssh: ",
    "kex_exchange",
    "gnutls",
    "permission denied (",
    "git@",
    "server response",
    "security error",
    "this download",
    "the bits",
    "for more information",
    "downloaded:",
    "go.sum:",
    "sum.golang.org:",
    "connection closed by",
    "warning: permanently added",
    "@@@@@",
    "@ ",
    "it is possible that",
    "not found: ",
    "curl: (",
    "hg: ",
    "abort: ",
    "svn: ",
    "exit status",
    "but was required as",
    "module declares its path",
    "use -buildvcs",
    "to add an exception",
    "gone",
    "load key",
    "the project you were",
    "erreur",
    "(go version in go.mod",
];

fn continues(block: &Block, line: &Line) -> bool {
    let Some(last) = block.lines.last() else {
        return false;
    };
    let gap = line.number.saturating_sub(last.number);
    if gap > 4 || starts_error(&line.lower) {
        return false;
    }
    let lower = line.lower.trim_start();
    let in_file = lower.contains(".mod:") || lower.contains(".work:");
    if in_file
        && block.lines.iter().any(|line| {
            line.lower.contains("errors parsing") || line.lower.contains("error loading go.")
        })
    {
        return true;
    }
    if lower.starts_with("address:") && last.lower.starts_with("name:") {
        return true;
    }
    if CONTINUATIONS.iter().any(|start| lower.starts_with(start)) {
        return !is_git_start(block, lower);
    }
    let indented = line.indented
        && block
            .lines
            .first()
            .is_some_and(|first| !first.indented || last.indented);
    indented && gap <= 2 && !context::is_trace(&line.lower)
}

/// A git error that begins a paste, as opposed to one that go quotes.
fn is_git_start(block: &Block, lower: &str) -> bool {
    let first_is_git = block.lines.first().is_some_and(|first| {
        first.lower.starts_with("fatal: ") || first.lower.starts_with("curl: (")
    });
    first_is_git
        && (lower.starts_with("fatal: ") || lower.starts_with("curl: ("))
        && block.lines.len() == 1
}

/// Whether a line begins an error of its own.
fn starts_error(lower: &str) -> bool {
    let lower = lower.trim_start();
    [
        "go: ",
        "go get ",
        "go mod ",
        "go build ",
        "go list ",
        "go install ",
        "make: ",
        "make[",
        "error: process",
        "verifying ",
        "package ",
        "build ",
    ]
    .iter()
    .any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<Vec<usize>> {
        let log = scan(text.as_bytes());
        log.blocks
            .iter()
            .map(|block| block.lines.iter().map(|line| line.number).collect())
            .collect()
    }

    #[test]
    fn what_git_printed_belongs_to_the_line_of_go() {
        let text = "go: a/b: git ls-remote -q origin in /x: exit status 128:\n\tfatal: could not read Username\nConfirm the import path was entered correctly.\ngo: c/d: dial tcp 1.2.3.4:1: i/o timeout\n";
        assert_eq!(blocks(text), [vec![1, 2], vec![4]]);
    }

    #[test]
    fn lines_without_a_word_of_trouble_are_skipped() {
        assert!(blocks("go: downloading example.com/a v1.0.0\nok example.com/m 0.2s\n").is_empty());
    }

    #[test]
    fn a_repeated_line_is_read_a_few_times_only() {
        let line = "go: a: dial tcp 1.2.3.4:1: i/o timeout\n";
        assert_eq!(blocks(&line.repeat(500)).len(), usize::from(REPEAT_LIMIT));
    }
}
