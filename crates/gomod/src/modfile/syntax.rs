//! The tree of a file: statements with their tokens, places and comments, whatever they mean.

use bstr::{BStr, BString};

use super::position::Position;

/// A go.mod or go.work file as a list of statements.
///
/// Lines are held apart from the statements and named by [`LineId`], so that the meaning given to a
/// line stays tied to it when an edit moves it into a block or out of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Syntax {
    pub(super) name: String,
    pub(super) lines: Vec<Line>,
    pub(super) statements: Vec<Statement>,
}

/// Names a line of the [`Syntax`] it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(usize);

impl LineId {
    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// A top-level element of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Comments that stand apart from any line.
    Comments(Vec<Comment>),
    /// A line outside of blocks.
    Line(LineId),
    /// Lines in parentheses.
    Block(Block),
}

/// Lines in parentheses after a common keyword.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// Comments above the block, and after it if it is written on one line.
    pub comments: Comments,
    /// Place of the first token.
    pub start: Position,
    /// The tokens before the parenthesis.
    pub tokens: Vec<BString>,
    /// Comments after the opening parenthesis.
    pub open_comments: Vec<Comment>,
    /// The lines, from top to bottom.
    pub lines: Vec<LineId>,
    /// Comments around the closing parenthesis.
    pub close_comments: Comments,
}

/// One line of tokens. A line without tokens was removed by an edit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Comments above and after the line.
    pub comments: Comments,
    /// Place of the first token.
    pub start: Position,
    /// The tokens as written; in a block without the keyword of the block.
    pub tokens: Vec<BString>,
    /// True inside of a block.
    pub in_block: bool,
}

/// The comments that belong to an element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comments {
    /// Whole lines above the element; a blank line that is kept is an empty comment.
    pub before: Vec<Comment>,
    /// Comments at the end of the element's line.
    pub suffix: Vec<Comment>,
}

/// A `//` comment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comment {
    /// Place of the first slash.
    pub start: Position,
    /// The text with its slashes; empty for a blank line.
    pub text: BString,
}

impl Comment {
    pub(super) fn new(text: impl Into<BString>) -> Self {
        Self {
            start: Position::default(),
            text: text.into(),
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.is_empty()
    }
}

impl Line {
    /// True after the line was removed by an edit.
    pub fn is_removed(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The tokens after the keyword.
    pub(super) fn arguments(&self) -> &[BString] {
        let keyword = usize::from(!self.in_block);
        self.tokens.get(keyword..).unwrap_or_default()
    }
}

impl Syntax {
    /// The name of the file as given to the parser.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The statements from top to bottom.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// A line of this file; `None` if `id` belongs to another file.
    pub fn line(&self, id: LineId) -> Option<&Line> {
        self.lines.get(id.0)
    }

    pub(super) fn line_mut(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.get_mut(id.0)
    }

    /// Takes in a line, which is not part of any statement yet.
    pub(crate) fn add(&mut self, line: Line) -> LineId {
        self.lines.push(line);
        LineId(self.lines.len() - 1)
    }

    /// Adds a statement at the end.
    pub(crate) fn push(&mut self, statement: Statement) {
        self.statements.push(statement);
    }

    /// True for a line that an edit has removed, or that is not of this file.
    pub(super) fn is_removed(&self, id: LineId) -> bool {
        self.line(id).is_none_or(Line::is_removed)
    }

    /// The first token of a statement; `None` for comments and removed lines.
    pub(super) fn keyword<'a>(&'a self, statement: &'a Statement) -> Option<&'a BStr> {
        let tokens = match statement {
            Statement::Comments(_) => return None,
            Statement::Line(id) => &self.line(*id)?.tokens,
            Statement::Block(block) => &block.tokens,
        };
        tokens.first().map(|token| BStr::new(token.as_slice()))
    }
}
