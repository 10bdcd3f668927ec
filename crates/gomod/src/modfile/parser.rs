//! Builds the tree of a file from its tokens. Rules: x/mod `modfile/read.go`.

use bstr::BString;

use super::error::{ParseError, ParseErrors, ParseFault};
use super::lexer::{Kind, Lexer, Token};
use super::syntax::{Block, Comment, Comments, Line, LineId, Statement, Syntax};

impl Syntax {
    /// Reads the statements of `data` without asking for their meaning. `name` is the file name that
    /// errors show. Reading stops at the first error.
    pub fn parse(name: &str, data: &[u8]) -> Result<Self, ParseErrors> {
        let mut lexer = Lexer::new(name, data);
        let next = lexer.next_token()?;
        let parser = Parser {
            lexer,
            next,
            tree: Self {
                name: name.to_owned(),
                ..Self::default()
            },
        };
        Ok(parser.file()?)
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token to be taken next.
    next: Token<'a>,
    tree: Syntax,
}

impl<'a> Parser<'a> {
    fn file(mut self) -> Result<Syntax, Box<ParseError>> {
        let mut above: Vec<Comment> = Vec::new();
        loop {
            match self.next.kind {
                Kind::LineComment => {
                    let token = self.take()?;
                    above.push(comment(&token));
                }
                Kind::Newline | Kind::Eof => {
                    if !above.is_empty() {
                        let comments = std::mem::take(&mut above);
                        self.tree.push(Statement::Comments(comments));
                    }
                    if self.take()?.kind == Kind::Eof {
                        return Ok(self.tree);
                    }
                }
                _ => {
                    let statement = self.statement(std::mem::take(&mut above))?;
                    self.tree.push(statement);
                }
            }
        }
    }

    fn take(&mut self) -> Result<Token<'a>, Box<ParseError>> {
        let next = self.lexer.next_token()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn statement(&mut self, above: Vec<Comment>) -> Result<Statement, Box<ParseError>> {
        let first = self.take()?;
        let mut tokens = vec![BString::from(first.text)];
        loop {
            let token = self.take()?;
            if token.kind.ends_line() {
                let line = self.line(above, &first, tokens, &token, false);
                return Ok(Statement::Line(line));
            }
            if token.kind != Kind::Open {
                tokens.push(token.text.into());
            } else if self.next.kind.ends_line() {
                return self.block(above, &first, tokens);
            } else if self.next.kind == Kind::Close {
                let close = self.take()?;
                if self.next.kind.ends_line() {
                    let mut block = new_block(above, &first, tokens);
                    block.comments.suffix = suffix(&self.take()?);
                    return Ok(Statement::Block(block));
                }
                tokens.extend([token.text.into(), close.text.into()]);
            } else {
                tokens.push(token.text.into());
            }
        }
    }

    /// Reads on after the opening parenthesis of a block.
    fn block(
        &mut self,
        above: Vec<Comment>,
        first: &Token<'a>,
        tokens: Vec<BString>,
    ) -> Result<Statement, Box<ParseError>> {
        let mut block = new_block(above, first, tokens);
        let mut above: Vec<Comment> = Vec::new();
        loop {
            match self.next.kind {
                Kind::SuffixComment => block.open_comments = suffix(&self.take()?),
                Kind::Newline => {
                    self.take()?;
                    // Keep blank lines, but several as one, and none at the top of the block.
                    let keep = match above.last() {
                        Some(last) => !last.is_blank(),
                        None => !block.lines.is_empty(),
                    };
                    if keep {
                        above.push(Comment::default());
                    }
                }
                Kind::LineComment => above.push(comment(&self.take()?)),
                Kind::Eof => {
                    return Err(self.lexer.error(ParseFault::UnterminatedBlock {
                        file: self.lexer.file().to_owned(),
                        line: block.start.line,
                        column: block.start.column,
                    }));
                }
                Kind::Close => {
                    self.take()?;
                    if let [only] = above.as_slice()
                        && only.is_blank()
                    {
                        above.clear();
                    }
                    block.close_comments.before = above;
                    if !self.next.kind.ends_line() {
                        return Err(self.lexer.error(ParseFault::TextAfterBlock));
                    }
                    block.close_comments.suffix = suffix(&self.take()?);
                    return Ok(Statement::Block(block));
                }
                Kind::Open | Kind::Word => {
                    let line = self.block_line(std::mem::take(&mut above))?;
                    block.lines.push(line);
                }
            }
        }
    }

    fn block_line(&mut self, above: Vec<Comment>) -> Result<LineId, Box<ParseError>> {
        let first = self.take()?;
        let mut tokens = vec![BString::from(first.text)];
        loop {
            let token = self.take()?;
            if token.kind.ends_line() {
                return Ok(self.line(above, &first, tokens, &token, true));
            }
            tokens.push(token.text.into());
        }
    }

    fn line(
        &mut self,
        before: Vec<Comment>,
        first: &Token<'a>,
        tokens: Vec<BString>,
        end: &Token<'a>,
        in_block: bool,
    ) -> LineId {
        self.tree.add(Line {
            comments: Comments {
                before,
                suffix: suffix(end),
            },
            start: first.start,
            tokens,
            in_block,
        })
    }
}

fn new_block(before: Vec<Comment>, first: &Token<'_>, tokens: Vec<BString>) -> Block {
    Block {
        comments: Comments {
            before,
            suffix: Vec::new(),
        },
        start: first.start,
        tokens,
        ..Block::default()
    }
}

fn comment(token: &Token<'_>) -> Comment {
    Comment {
        start: token.start,
        text: token.text.into(),
    }
}

/// The comment that ends a line, if it does not end without one.
fn suffix(end: &Token<'_>) -> Vec<Comment> {
    if end.kind == Kind::SuffixComment {
        vec![comment(end)]
    } else {
        Vec::new()
    }
}
