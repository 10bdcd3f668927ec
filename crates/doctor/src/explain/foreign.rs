//! System and git messages of other languages, turned to the English words that the rules know.
//!
//! Operating systems and git translate a closed set of messages (`strerror`, `gai_strerror`, winsock, git's own
//! catalogue), so a table does what a translation would.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// English words and one translation of them a line, quoted, in lower case.
const TABLE: &str = include_str!("words/foreign.tsv");

static TRANSLATIONS: LazyLock<Option<(AhoCorasick, Vec<&'static str>)>> = LazyLock::new(|| {
    let (english, words): (Vec<&str>, Vec<&str>) = rows().unzip();
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(words)
        .ok()?;
    Some((finder, english))
});

/// English words and their translations.
fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    let unquoted = |word: &'static str| word.trim_matches('"');
    let pairs = TABLE.lines().filter_map(|row| row.split_once('\t'));
    pairs.map(move |(english, word)| (unquoted(english), unquoted(word)))
}

/// Whether a raw line holds a message of this table; works on any case of ASCII letters.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    rows().map(|(_, word)| word)
}

/// Replaces known messages in a line that is already in lower case.
pub(crate) fn to_english(lower: &str) -> String {
    if lower.is_ascii() && !lower.contains(" : ") && !is_germanic(lower) {
        return lower.to_owned();
    }
    let text: Cow<'_, str> = match LazyLock::force(&TRANSLATIONS) {
        Some((finder, english)) => Cow::Owned(finder.replace_all(lower, english)),
        None => Cow::Borrowed(lower),
    };
    // Chinese tools write full-width punctuation where English ones write `: `.
    text.replace('：', ": ")
        .replace(['“', '”', '「', '」'], "\"")
}

/// Messages that are pure ASCII although they are not English.
fn is_germanic(lower: &str) -> bool {
    [
        "schwerwiegend",
        "verbindungsaufbau",
        "keine berechtigung",
        "zugriff verweigert",
        "fehler",
        "permiso denegado",
        "kein git-repository",
        "no es un repositorio git",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_messages_of_other_languages_are_read() {
        for (text, english) in [
            (
                "mkdir: 无法创建目录 \"/go/pkg\": 权限不够",
                "permission denied",
            ),
            (
                "ssh: connect to host x port 22: Verbindungsaufbau abgelehnt",
                "connection refused",
            ),
            (
                "致命错误：无法访问 'https://github.com/a/b/'：Could not resolve host",
                "fatal: unable to access '",
            ),
            (
                "connectex: 由于目标计算机积极拒绝，无法连接。",
                "the target machine actively refused it",
            ),
        ] {
            let read = to_english(&text.to_lowercase());
            assert!(read.contains(english), "{read}");
        }
    }

    #[test]
    fn english_is_left_alone() {
        let text = "go: x: dial tcp 1.2.3.4:443: i/o timeout";
        assert_eq!(to_english(text), text);
    }
}
