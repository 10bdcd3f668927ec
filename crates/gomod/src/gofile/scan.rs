//! The tokens of a Go file, as far as its imports and comments need them.

/// A token. Everything that is none of these is one character of [`Token::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// From `//` to the end of the line.
    LineComment(&'a str),
    /// A word: a name, a keyword, a number.
    Word(&'a str),
    /// A string literal with its quotes.
    Text(&'a str),
    Other(char),
}

pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { rest: text }
    }

    fn take(&mut self, len: usize) -> &'a str {
        let (token, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        token
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            let first = self.rest.chars().next()?;
            if self.rest.starts_with("/*") {
                let len = self.rest.get(2..)?.find("*/").map(|end| end + 4);
                self.take(len.unwrap_or(usize::MAX));
                continue;
            }
            return Some(match first {
                '/' if self.rest.starts_with("//") => {
                    let len = self.rest.find('\n').unwrap_or(self.rest.len());
                    Token::LineComment(self.take(len).trim_end_matches('\r'))
                }
                '`' => {
                    let end = self.rest.get(1..)?.find('`').map(|end| end + 2);
                    Token::Text(self.take(end.unwrap_or(usize::MAX)))
                }
                '"' | '\'' => Token::Text(self.take(quoted(self.rest, first))),
                _ if is_of_word(first) => {
                    let len = self.rest.find(|rune| !is_of_word(rune));
                    Token::Word(self.take(len.unwrap_or(self.rest.len())))
                }
                _ => {
                    self.take(first.len_utf8());
                    Token::Other(first)
                }
            });
        }
    }
}

fn is_of_word(rune: char) -> bool {
    rune.is_ascii_alphanumeric() || rune == '_' || !rune.is_ascii()
}

/// The length of a literal that ends with its quote, or, as no Go file has it, with the line.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, rune) in text.char_indices().skip(1) {
        match rune {
            '\n' => return at,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if rune == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_apart() {
        let text = "package a // one\r\n/* \"two\" // */ x := `//three\n\\` + \"\\\"//four\" + '\"' // \u{e9}\n/* open";
        let found: Vec<_> = Tokens::of(text).collect();
        assert_eq!(
            found,
            [
                Token::Word("package"),
                Token::Word("a"),
                Token::LineComment("// one"),
                Token::Word("x"),
                Token::Other(':'),
                Token::Other('='),
                Token::Text("`//three\n\\`"),
                Token::Other('+'),
                Token::Text("\"\\\"//four\""),
                Token::Other('+'),
                Token::Text("'\"'"),
                Token::LineComment("// \u{e9}"),
            ]
        );
        for text in ["\"open\nx", "`open", "'", "/*", "/", "\"\\"] {
            let found: Vec<_> = Tokens::of(text).collect();
            assert!(found.len() < 3, "{text:?}: {found:?}");
        }
    }
}
