//! Writes a tree back in the standard style. Rules: x/mod `modfile/print.go`.

use bstr::{BString, ByteSlice as _};

use super::syntax::{Block, Comment, LineId, Statement, Syntax};

impl Syntax {
    /// The file in the standard style: one blank line between statements, a tab before the lines of
    /// a block, one space between tokens. Formatting the result again changes nothing.
    pub fn format(&self) -> Vec<u8> {
        let mut printer = Printer::default();
        let mut statements = self
            .statements
            .iter()
            .filter(|statement| !matches!(statement, Statement::Line(id) if self.is_removed(*id)))
            .peekable();
        while let Some(statement) = statements.next() {
            printer.statement(self, statement);
            if statements.peek().is_some() {
                printer.end_line();
            }
        }
        printer.finish()
    }
}

#[derive(Default)]
struct Printer {
    out: Vec<u8>,
    /// Comments waiting for the end of the current line.
    pending: Vec<BString>,
    /// Tabs before each line.
    indent: usize,
}

impl Printer {
    fn statement(&mut self, tree: &Syntax, statement: &Statement) {
        match statement {
            Statement::Comments(comments) => self.above(comments),
            Statement::Line(id) => {
                self.line(tree, *id);
                self.end_line();
            }
            Statement::Block(block) => {
                self.block(tree, block);
                self.end_line();
            }
        }
    }

    fn line(&mut self, tree: &Syntax, id: LineId) {
        let Some(line) = tree.line(id) else { return };
        self.above(&line.comments.before);
        self.tokens(&line.tokens);
        self.queue(&line.comments.suffix);
    }

    fn block(&mut self, tree: &Syntax, block: &Block) {
        self.above(&block.comments.before);
        self.tokens(&block.tokens);
        self.out.extend_from_slice(b" (");
        self.queue(&block.open_comments);
        self.indent += 1;
        for &id in block.lines.iter().filter(|id| !tree.is_removed(**id)) {
            self.end_line();
            self.line(tree, id);
        }
        self.indent -= 1;
        self.end_line();
        self.above(&block.close_comments.before);
        self.out.push(b')');
        self.queue(&block.close_comments.suffix);
        self.queue(&block.comments.suffix);
    }

    /// Whole-line comments, at the margin of what follows.
    fn above(&mut self, comments: &[Comment]) {
        if comments.is_empty() {
            return;
        }
        self.trim_line();
        if !self.out.is_empty() && !self.out.ends_with(b"\n") {
            self.out.push(b'\n');
        }
        self.margin();
        for comment in comments {
            self.out.extend_from_slice(comment.text.trim_unicode());
            self.end_line();
        }
    }

    fn tokens(&mut self, tokens: &[BString]) {
        let mut glued = true;
        for token in tokens {
            let closes = matches!(token.as_slice(), b"," | b")" | b"]" | b"}");
            if !glued && !closes {
                self.out.push(b' ');
            }
            self.out.extend_from_slice(token);
            glued = matches!(token.as_slice(), b"(" | b"[" | b"{");
        }
    }

    fn queue(&mut self, comments: &[Comment]) {
        self.pending
            .extend(comments.iter().map(|comment| comment.text.clone()));
    }

    /// Ends the line with the comments that wait for it. There are never two blank lines in a row,
    /// and none at the top.
    fn end_line(&mut self) {
        for (i, comment) in std::mem::take(&mut self.pending).iter().enumerate() {
            if i == 0 {
                self.out.push(b' ');
            } else {
                self.trim_line();
                self.out.push(b'\n');
                self.margin();
            }
            self.out.extend_from_slice(comment.trim_unicode());
        }
        self.trim_line();
        if !self.out.is_empty() && !self.out.ends_with(b"\n\n") {
            self.out.push(b'\n');
        }
        self.margin();
    }

    fn margin(&mut self) {
        self.out.extend(std::iter::repeat_n(b'\t', self.indent));
    }

    fn trim_line(&mut self) {
        let kept = self.out.trim_end_with(|c| matches!(c, ' ' | '\t')).len();
        self.out.truncate(kept);
    }

    fn finish(mut self) -> Vec<u8> {
        while self.out == b"\n" || self.out.ends_with(b"\n\n") {
            self.out.pop();
        }
        self.out
    }
}

/// Trimming as Go's `strings.TrimSpace` does it.
trait TrimUnicode {
    fn trim_unicode(&self) -> &[u8];
}

impl TrimUnicode for BString {
    fn trim_unicode(&self) -> &[u8] {
        self.trim_with(char::is_whitespace)
    }
}
