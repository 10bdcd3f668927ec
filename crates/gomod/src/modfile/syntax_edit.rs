//! Changes to the tree of a file: adding, replacing and removing lines.
//!
//! A removed line stays where it is, without tokens, until [`Syntax::cleanup`]: so lines removed and
//! added in one go do not make blocks collapse and open again.

use bstr::BString;

use super::syntax::{Block, Comments, Line, LineId, Statement, Syntax};

/// Where a line is found.
#[derive(Clone, Copy)]
enum Place {
    /// A statement, whole.
    Statement(usize),
    /// The n-th line of a block.
    InBlock(usize, usize),
}

impl Syntax {
    /// Adds a line. With a `hint` of the same keyword it goes right after the hint, in one block with
    /// it; with a hint of another keyword after the hint's statement. Without hint it goes to the end
    /// of the last statement with this keyword, or of the file.
    pub(super) fn add_line(&mut self, hint: Option<LineId>, tokens: Vec<BString>) -> LineId {
        let Some(keyword) = tokens.first().cloned() else {
            return self.add(Line::default());
        };
        let place = match hint {
            Some(line) => self.find(line),
            None => self
                .statements
                .iter()
                .rposition(|statement| self.keyword(statement) == Some(keyword.as_slice().into()))
                .map(Place::Statement),
        };
        let Some(place) = place else {
            return self.insert_statement(self.statements.len(), tokens);
        };
        let (Place::Statement(index) | Place::InBlock(index, _)) = place;
        let same = self.statements.get(index).and_then(|s| self.keyword(s))
            == Some(keyword.as_slice().into());
        if !same {
            return self.insert_statement(index + 1, tokens);
        }
        let line = self.add(Line {
            tokens: tokens.into_iter().skip(1).collect(),
            in_block: true,
            ..Line::default()
        });
        if let Some(block) = self.ensure_block(index) {
            let at = match place {
                Place::InBlock(_, at) => at + 1,
                Place::Statement(_) => block.lines.len(),
            };
            block.lines.insert(at, line);
        }
        line
    }

    /// Adds a line next to `neighbour`, in one block with it, or at the end of the file if there is no
    /// neighbour, even if there are lines with this keyword.
    pub(super) fn add_line_beside(
        &mut self,
        neighbour: Option<LineId>,
        tokens: Vec<BString>,
    ) -> LineId {
        match neighbour {
            Some(line) => self.add_line(Some(line), tokens),
            None => self.insert_statement(self.statements.len(), tokens),
        }
    }

    /// Puts a new line between the statements.
    pub(super) fn insert_statement(&mut self, index: usize, tokens: Vec<BString>) -> LineId {
        let line = self.add(Line {
            tokens,
            ..Line::default()
        });
        self.statements.insert(index, Statement::Line(line));
        line
    }

    /// Puts an empty block between the statements.
    pub(super) fn insert_block(&mut self, index: usize, keyword: &str) {
        let block = Block {
            tokens: vec![keyword.into()],
            ..Block::default()
        };
        self.statements.insert(index, Statement::Block(block));
    }

    /// The block at `index`; a single line there becomes a block of one line.
    pub(super) fn ensure_block(&mut self, index: usize) -> Option<&mut Block> {
        if let Some(&Statement::Line(id)) = self.statements.get(index) {
            let line = self.line_mut(id)?;
            line.in_block = true;
            let keyword = (!line.tokens.is_empty()).then(|| line.tokens.remove(0));
            let block = Block {
                tokens: keyword.into_iter().collect(),
                start: line.start,
                lines: vec![id],
                ..Block::default()
            };
            if let Some(statement) = self.statements.get_mut(index) {
                *statement = Statement::Block(block);
            }
        }
        match self.statements.get_mut(index)? {
            Statement::Block(block) => Some(block),
            Statement::Comments(_) | Statement::Line(_) => None,
        }
    }

    fn find(&self, line: LineId) -> Option<Place> {
        self.statements
            .iter()
            .enumerate()
            .find_map(|(index, statement)| match statement {
                Statement::Line(id) => (*id == line).then_some(Place::Statement(index)),
                Statement::Block(block) => {
                    let at = block.lines.iter().position(|id| *id == line)?;
                    Some(Place::InBlock(index, at))
                }
                Statement::Comments(_) => None,
            })
    }

    /// Replaces the tokens of a line, the keyword included; comments stay.
    pub(super) fn update_line(&mut self, line: LineId, tokens: Vec<BString>) {
        if let Some(line) = self.line_mut(line) {
            let keyword = usize::from(line.in_block);
            line.tokens = tokens.into_iter().skip(keyword).collect();
        }
    }

    /// Marks a line as removed.
    pub(super) fn remove_line(&mut self, line: LineId) {
        if let Some(line) = self.line_mut(line) {
            line.tokens.clear();
            line.comments.suffix.clear();
        }
    }

    /// Moves a line to the end of the block at `index` and returns its new name; the old one is
    /// removed.
    pub(super) fn move_line(&mut self, line: LineId, index: usize) -> LineId {
        let mut moved = self.line(line).cloned().unwrap_or_default();
        if !moved.in_block && !moved.tokens.is_empty() {
            moved.tokens.remove(0);
        }
        moved.in_block = true;
        if let Some(old) = self.line_mut(line) {
            old.tokens.clear();
        }
        let id = self.add(moved);
        if let Some(Statement::Block(block)) = self.statements.get_mut(index) {
            block.lines.push(id);
        }
        id
    }

    /// Drops what was removed: lines, blocks without lines, and the parentheses around a single line.
    pub fn cleanup(&mut self) {
        for statement in std::mem::take(&mut self.statements) {
            match statement {
                Statement::Line(id) if self.is_removed(id) => {}
                Statement::Block(mut block) => {
                    block.lines.retain(|id| !self.is_removed(*id));
                    match block.lines.as_slice() {
                        [] => {}
                        [only] if block.close_comments.before.is_empty() => {
                            let only = *only;
                            self.unwrap_line(only, block);
                            self.statements.push(Statement::Line(only));
                        }
                        _ => self.statements.push(Statement::Block(block)),
                    }
                }
                kept => self.statements.push(kept),
            }
        }
    }

    /// Turns the only line of a block into a line of its own.
    fn unwrap_line(&mut self, id: LineId, block: Block) {
        let Some(line) = self.line_mut(id) else {
            return;
        };
        let inner = std::mem::take(&mut line.comments);
        line.comments = Comments {
            before: [block.comments.before, inner.before].concat(),
            suffix: [inner.suffix, block.comments.suffix].concat(),
        };
        line.tokens.splice(0..0, block.tokens);
        line.in_block = false;
    }
}
