//! Build constraints: `//go:build` lines, and the older `// +build` lines.

use super::without_mark;
use crate::text::{is_digit, is_letter};

/// Words between operators in one expression; Go takes no more.
const MOST_WORDS: usize = 1000;
/// Operators in one `// +build` line; Go takes no more.
const MOST_OLD_OPERATORS: usize = 100;

/// Whether some build could use a Go file with this content: every build tag but `ignore` may be set and may be not set
/// (Go's `ShouldBuild` with `AnyTags`). `go mod vendor` leaves the others out.
pub fn may_be_built(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(without_mark(content));
    let Some(header) = Header::of(&text) else {
        return false;
    };
    match header.go_build {
        Some(line) => expression(line) == Some(true),
        None => header
            .leading
            .lines()
            .filter_map(|line| old_constraint(line.trim()))
            .all(|words| old_expression(words) != Some(false)),
    }
}

/// What stands above the package clause.
struct Header<'a> {
    /// The comment lines in which `// +build` counts: those that a blank line follows.
    leading: &'a str,
    /// What the `//go:build` line says.
    go_build: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// `None`: there are several `//go:build` lines.
    fn of(text: &'a str) -> Option<Self> {
        let (mut end, mut read) = (0, 0);
        let mut go_build = None;
        let (mut is_past_line_comments, mut is_in_block) = (false, false);
        for line in text.split_inclusive('\n') {
            read += line.len();
            let line = line.trim();
            if line.is_empty() && !is_past_line_comments {
                end = read;
                continue;
            }
            is_past_line_comments |= !line.starts_with("//");
            if !is_in_block && let Some(words) = go_build_words(line) {
                if go_build.is_some() {
                    return None;
                }
                go_build = Some(words);
            }
            if is_code(line, &mut is_in_block) {
                break;
            }
        }
        Some(Self {
            leading: text.get(..end).unwrap_or_default(),
            go_build,
        })
    }
}

/// Whether something else than comments is on the line.
fn is_code(mut line: &str, is_in_block: &mut bool) -> bool {
    loop {
        if *is_in_block {
            let Some((_, rest)) = line.split_once("*/") else {
                return false;
            };
            *is_in_block = false;
            line = rest.trim();
        } else if line.is_empty() || line.starts_with("//") {
            return false;
        } else if let Some(rest) = line.strip_prefix("/*") {
            *is_in_block = true;
            line = rest.trim();
        } else {
            return true;
        }
    }
}

fn go_build_words(line: &str) -> Option<&str> {
    words_after("//go:build", line)
}

/// What a `// +build` line says; the space is not needed.
fn old_constraint(line: &str) -> Option<&str> {
    words_after("+build", line.strip_prefix("//")?.trim())
}

/// What comes behind a word, if it is a word of its own.
fn words_after<'a>(word: &str, line: &'a str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| rest.trim())
}

/// The value of a tag that may be set and may be not set; `wanted` is the value that lets the file in.
fn tag(name: &str, wanted: bool) -> bool {
    name != "ignore" && wanted
}

/// The value of a `//go:build` expression. `None`: it is none.
fn expression(text: &str) -> Option<bool> {
    let mut parser = Parser {
        rest: text,
        token: Token::End,
        words: 0,
    };
    let value = parser.any_of(true)?;
    (parser.token == Token::End).then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
    token: Token<'a>,
    words: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Tag(&'a str),
    And,
    Or,
    Not,
    Open,
    Close,
    End,
}

impl Parser<'_> {
    fn any_of(&mut self, wanted: bool) -> Option<bool> {
        let mut value = self.all_of(wanted)?;
        while self.token == Token::Or {
            value |= self.all_of(wanted)?;
        }
        Some(value)
    }

    fn all_of(&mut self, wanted: bool) -> Option<bool> {
        let mut value = self.one(wanted)?;
        while self.token == Token::And {
            value &= self.one(wanted)?;
        }
        Some(value)
    }

    fn one(&mut self, wanted: bool) -> Option<bool> {
        self.words += 1;
        if self.words > MOST_WORDS {
            return None;
        }
        self.advance()?;
        if self.token != Token::Not {
            return self.atom(wanted);
        }
        self.advance()?;
        match self.token {
            Token::Not => None,
            _ => Some(!self.atom(!wanted)?),
        }
    }

    fn atom(&mut self, wanted: bool) -> Option<bool> {
        let value = match self.token {
            Token::Tag(name) => tag(name, wanted),
            Token::Open => {
                let value = self.any_of(wanted)?;
                if self.token != Token::Close {
                    return None;
                }
                value
            }
            _ => return None,
        };
        self.advance()?;
        Some(value)
    }

    fn advance(&mut self) -> Option<()> {
        let rest = self.rest.trim_start_matches([' ', '\t']);
        let len = rest.find(|rune| !is_of_tag(rune)).unwrap_or(rest.len());
        let (token, len) = match rest.as_bytes() {
            [] => (Token::End, 0),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b'!', ..] => (Token::Not, 1),
            [b'&', b'&', ..] => (Token::And, 2),
            [b'|', b'|', ..] => (Token::Or, 2),
            _ if len > 0 => (Token::Tag(rest.get(..len)?), len),
            _ => return None,
        };
        (self.token, self.rest) = (token, rest.get(len..)?);
        Some(())
    }
}

fn is_of_tag(rune: char) -> bool {
    is_letter(rune) || is_digit(rune) || rune == '_' || rune == '.'
}

/// The value of a `// +build` expression: a space means or, a comma means and. `None`: Go takes it for too long.
fn old_expression(text: &str) -> Option<bool> {
    let commas = text.matches(',').count();
    let clauses = text.split_whitespace().count();
    if commas + clauses.saturating_sub(1) > MOST_OLD_OPERATORS {
        return None;
    }
    let value = text
        .split_whitespace()
        .any(|clause| clause.split(',').all(old_word));
    Some(value)
}

fn old_word(word: &str) -> bool {
    let is_valid = |name: &str| !name.is_empty() && name.chars().all(is_of_tag);
    match word.strip_prefix('!') {
        None => is_valid(word) && tag(word, true),
        Some(rest) if rest.is_empty() || rest.starts_with('!') => false,
        // What is no tag is never set.
        Some(rest) => !(is_valid(rest) && tag(rest, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_left_out_when_no_build_could_use_it() {
        for (text, expected) in [
            ("package a\n", true),
            ("", true),
            ("//go:build ignore\n\npackage a\n", false),
            ("\u{feff}//go:build ignore\n\npackage a\n", false),
            ("//go:build linux\n\npackage a\n", true),
            ("//go:build !linux && linux\n\npackage a\n", true),
            ("//go:build !ignore\n\npackage a\n", true),
            ("//go:build ignore || linux\n\npackage a\n", true),
            ("//go:build ignore && linux\n\npackage a\n", false),
            ("//go:build !(ignore || linux)\n\npackage a\n", true),
            ("//go:build !(linux && !ignore)\n\npackage a\n", true),
            ("//go:build (ignore)\n\npackage a\n", false),
            // What is no expression lets nothing in.
            ("//go:build !!linux\n\npackage a\n", false),
            ("//go:build linux darwin\n\npackage a\n", false),
            ("//go:build (linux\n\npackage a\n", false),
            ("//go:build linux |\n\npackage a\n", false),
            ("//go:build li-nux\n\npackage a\n", false),
            ("//go:build\n\npackage a\n", false),
            ("//go:build linux\n//go:build linux\n\npackage a\n", false),
            // Not a constraint.
            ("//go:builds ignore\n\npackage a\n", true),
            ("package a\n\n//go:build ignore\n", true),
            ("/*\n//go:build ignore\n*/\n\npackage a\n", true),
            // Below a block comment, and without a blank line behind it.
            ("/* all */ // more\n//go:build ignore\npackage a\n", false),
            ("/* all */ package a\n//go:build ignore\n", true),
            // The older lines.
            ("// +build ignore\n\npackage a\n", false),
            ("//+build ignore\n\npackage a\n", false),
            ("// +build ignore\npackage a\n", true),
            ("/* x */\n// +build ignore\n\npackage a\n", true),
            ("// +builds ignore\n\npackage a\n", true),
            ("// +build ignore linux\n\npackage a\n", true),
            ("// +build ignore,linux\n\npackage a\n", false),
            ("// +build linux\n// +build ignore\n\npackage a\n", false),
            ("// +build !ignore\n\npackage a\n", true),
            ("// +build !linux,linux\n\npackage a\n", true),
            ("// +build !!linux\n\npackage a\n", false),
            ("// +build !\n\npackage a\n", false),
            ("// +build\n\npackage a\n", false),
            ("// +build a-b\n\npackage a\n", false),
            ("// +build !a-b\n\npackage a\n", true),
            // The newer line counts when both are there.
            ("//go:build linux\n// +build ignore\n\npackage a\n", true),
        ] {
            assert_eq!(may_be_built(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn expressions_that_are_too_large_are_none() {
        let deep = format!(
            "//go:build {}linux{}\n\npackage a\n",
            "(".repeat(100_000),
            ")".repeat(100_000)
        );
        assert!(!may_be_built(deep.as_bytes()));
        let long = format!("//go:build {}linux\n\npackage a\n", "linux || ".repeat(999));
        assert!(may_be_built(long.as_bytes()));
        let long = format!(
            "//go:build {}linux\n\npackage a\n",
            "linux || ".repeat(1000)
        );
        assert!(!may_be_built(long.as_bytes()));
        // Such an old line is passed over.
        let old = format!("// +build{}\n\npackage a\n", " ignore".repeat(101));
        assert!(!may_be_built(old.as_bytes()));
        let old = format!("// +build{}\n\npackage a\n", " ignore".repeat(102));
        assert!(may_be_built(old.as_bytes()));
    }
}
