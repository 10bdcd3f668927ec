//! What comments mean: `// indirect`, `Deprecated:` and the reason of a retraction.

use bstr::{BString, ByteSlice as _};

use super::syntax::{Block, Comment, Comments, Line};

const INDIRECT: &str = "// indirect";

impl Comment {
    /// The text without slashes and the blanks around it.
    fn words(&self) -> String {
        let text = self.text.strip_prefix(b"//").unwrap_or(&self.text);
        text.to_str_lossy().trim().to_owned()
    }
}

impl Comments {
    /// True when there is any comment but `// indirect` alone.
    pub(super) fn say_more_than_indirect(&self) -> bool {
        !self.before.is_empty()
            || match self.suffix.as_slice() {
                [] => false,
                [only] => only.words() != "indirect",
                _ => true,
            }
    }
}

impl Line {
    /// True when the first comment after the line is `// indirect` or begins with `// indirect;`.
    pub(super) fn is_indirect(&self) -> bool {
        let Some(comment) = self.comments.suffix.first() else {
            return false;
        };
        let text = comment.words();
        let mut words = text.split_whitespace();
        match (words.next(), words.next()) {
            (Some(first), None) => first == "indirect",
            (first, _) => first == Some("indirect;"),
        }
    }

    /// Adds or takes away the mark `// indirect`; what else the comment says stays.
    pub(super) fn set_indirect(&mut self, indirect: bool) {
        if self.is_indirect() == indirect {
            return;
        }
        let suffix = &mut self.comments.suffix;
        let Some(comment) = suffix.first_mut() else {
            suffix.push(Comment::new(INDIRECT));
            return;
        };
        let text = comment.text.strip_prefix(b"//").unwrap_or(&comment.text);
        let text = text.trim_with(char::is_whitespace);
        if indirect {
            comment.text = match text {
                b"" => INDIRECT.into(),
                text => BString::from([INDIRECT.as_bytes(), b"; ", text].concat()),
            };
        } else if let Some((_, rest)) = text.split_once_str("indirect;") {
            comment.text = BString::from([b"//", rest].concat());
        } else {
            suffix.clear();
        }
    }
}

/// The comments of a line as text, one line each: those above it, then those after it. If it has
/// none, those of its block.
pub(super) fn directive_comment(block: Option<&Block>, line: &Line) -> String {
    let own = &line.comments;
    let comments = match block {
        Some(block) if own.before.is_empty() && own.suffix.is_empty() => &block.comments,
        _ => own,
    };
    let lines: Vec<String> = comments
        .before
        .iter()
        .chain(&comments.suffix)
        .filter(|comment| comment.text.starts_with(b"//"))
        .map(Comment::words)
        .collect();
    lines.join("\n")
}

/// The message of the first paragraph of `comment` that begins with `Deprecated:`.
pub(super) fn deprecation(comment: &str) -> Option<String> {
    const MARK: &str = "Deprecated:";
    let message = match comment.strip_prefix(MARK) {
        Some(message) => message,
        None => comment.split_once("\n\nDeprecated:")?.1,
    };
    let message = message.trim_start_matches(' ');
    let paragraph = message.split("\n\n").next().unwrap_or(message);
    (!paragraph.is_empty()).then(|| paragraph.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(comment: &str) -> Line {
        let mut line = Line::default();
        if !comment.is_empty() {
            line.comments.suffix.push(Comment::new(comment));
        }
        line
    }

    #[test]
    fn the_indirect_mark_comes_and_goes_without_harm() {
        for (direct, indirect) in [
            ("", "// indirect"),
            ("// why", "// indirect; why"),
            ("// indirectly", "// indirect; indirectly"),
        ] {
            let mut line = line(direct);
            assert!(!line.is_indirect());
            line.set_indirect(true);
            assert!(line.is_indirect());
            assert_eq!(line.comments.suffix[0].text, indirect);
            line.set_indirect(false);
            assert_eq!(
                line.comments
                    .suffix
                    .first()
                    .map_or_else(String::new, |c| c.text.to_string()),
                direct
            );
        }
        let mut empty = line("//");
        empty.set_indirect(true);
        assert_eq!(empty.comments.suffix[0].text, "// indirect");
    }

    #[test]
    fn the_mark_is_recognized_in_any_spacing() {
        for marked in [
            "//indirect",
            "//\tindirect ",
            "// indirect; because",
            "//indirect; x",
        ] {
            assert!(line(marked).is_indirect(), "{marked}");
        }
        for other in [
            "// indirect because",
            "// Indirect",
            "// not indirect",
            "// indirect ;x",
            "//",
        ] {
            assert!(!line(other).is_indirect(), "{other}");
        }
    }

    #[test]
    fn a_deprecation_is_one_paragraph() {
        for (comment, want) in [
            ("Deprecated: use b", Some("use b")),
            ("Deprecated:use\nb\n\nmore", Some("use\nb")),
            ("text\n\nDeprecated:   x", Some("x")),
            ("text\nDeprecated: x", None),
            ("deprecated: x", None),
            ("Deprecated:", None),
            ("", None),
        ] {
            assert_eq!(deprecation(comment).as_deref(), want, "{comment:?}");
        }
    }
}
