//! Splits a file into tokens. Rules: protocol reference "Lexing"; x/mod `modfile/read.go`.

use super::error::{ParseError, ParseFault};
use super::position::Position;
use crate::text::{decode_rune, is_print};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Eof,
    Newline,
    /// A comment after tokens; it ends its line.
    SuffixComment,
    /// A comment on a line of its own, including the end of that line.
    LineComment,
    Open,
    Close,
    /// Anything else: words, strings, brackets, braces and commas.
    Word,
}

impl Kind {
    pub(super) fn ends_line(self) -> bool {
        matches!(self, Self::Eof | Self::Newline | Self::SuffixComment)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) start: Position,
    /// The token as written; comments without the end of their line.
    pub(super) text: &'a [u8],
}

pub(super) struct Lexer<'a> {
    file: &'a str,
    data: &'a [u8],
    position: Position,
    /// True until a token other than a comment is found on the current line.
    fresh_line: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(file: &'a str, data: &'a [u8]) -> Self {
        Self {
            file,
            data,
            position: Position::START,
            fresh_line: true,
        }
    }

    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    /// An error at the place up to which the file was read.
    pub(super) fn error(&self, fault: ParseFault) -> Box<ParseError> {
        self.error_at(self.position, fault)
    }

    fn error_at(&self, position: Position, fault: ParseFault) -> Box<ParseError> {
        Box::new(ParseError {
            file: self.file.to_owned(),
            position,
            directive: None,
            fault,
        })
    }

    pub(super) fn next_token(&mut self) -> Result<Token<'a>, Box<ParseError>> {
        while matches!(self.rest().first(), Some(b' ' | b'\t' | b'\r')) {
            self.advance();
        }
        let start = self.position;
        if self.rest().starts_with(b"//") {
            return Ok(self.comment(start));
        }
        self.refuse_block_comment()?;
        let kind = match self.rest().first() {
            None => Kind::Eof,
            Some(b'\n') => self.single(Kind::Newline),
            Some(b'(') => self.single(Kind::Open),
            Some(b')') => self.single(Kind::Close),
            Some(b'[' | b']' | b'{' | b'}' | b',') => self.single(Kind::Word),
            Some(&quote @ (b'"' | b'`')) => self.string(start, quote)?,
            Some(_) => self.word()?,
        };
        self.fresh_line = kind == Kind::Newline;
        Ok(self.token(kind, start))
    }

    fn comment(&mut self, start: Position) -> Token<'a> {
        while self.advance().is_some_and(|rune| rune != '\n') {}
        let kind = if self.fresh_line {
            Kind::LineComment
        } else {
            Kind::SuffixComment
        };
        self.fresh_line = true;
        let mut token = self.token(kind, start);
        if let Some(line) = token.text.strip_suffix(b"\n") {
            token.text = line.strip_suffix(b"\r").unwrap_or(line);
        }
        token
    }

    fn single(&mut self, kind: Kind) -> Kind {
        self.advance();
        kind
    }

    fn string(&mut self, start: Position, quote: u8) -> Result<Kind, Box<ParseError>> {
        self.advance();
        loop {
            if self.rest().first() == Some(&b'\n') {
                return Err(self.error(ParseFault::NewlineInString));
            }
            let escapes = match self.advance() {
                Some(rune) if rune == char::from(quote) => return Ok(Kind::Word),
                Some(rune) => rune == '\\' && quote == b'"',
                None => return Err(self.error_at(start, ParseFault::EofInString)),
            };
            if escapes && self.advance().is_none() {
                return Err(self.error_at(start, ParseFault::EofInString));
            }
        }
    }

    fn word(&mut self) -> Result<Kind, Box<ParseError>> {
        let (first, _) = decode_rune(self.rest());
        if !is_word_rune(first) {
            return Err(self.error(ParseFault::UnexpectedChar(first)));
        }
        while !self.rest().is_empty() && is_word_rune(decode_rune(self.rest()).0) {
            if self.rest().starts_with(b"//") {
                break;
            }
            self.refuse_block_comment()?;
            self.advance();
        }
        Ok(Kind::Word)
    }

    fn refuse_block_comment(&self) -> Result<(), Box<ParseError>> {
        if self.rest().starts_with(b"/*") {
            return Err(self.error(ParseFault::BlockComment));
        }
        Ok(())
    }

    fn token(&self, kind: Kind, start: Position) -> Token<'a> {
        Token {
            kind,
            start,
            text: self
                .data
                .get(start.byte..self.position.byte)
                .unwrap_or_default(),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.data.get(self.position.byte..).unwrap_or_default()
    }

    fn advance(&mut self) -> Option<char> {
        let (rune, len) = decode_rune(self.rest());
        if len == 0 {
            return None;
        }
        self.position.byte += len;
        if rune == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += 1;
        }
        Some(rune)
    }
}

fn is_word_rune(rune: char) -> bool {
    !matches!(rune, ' ' | '(' | ')' | '[' | ']' | '{' | '}' | ',') && is_print(rune)
}
