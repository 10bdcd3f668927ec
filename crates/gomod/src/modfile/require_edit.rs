//! Setting all requirements of a go.mod file at once, with as little change to its looks as possible.
//!
//! Rules: x/mod `modfile/rule.go`; Go's `go mod tidy` sets two blocks from go 1.17 on and merges
//! other blocks into them from go 1.27 on.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::directive::{Directive, Require};
use super::directive_edit::line_tokens;
use super::file::ModFile;
use super::strings::auto_quote;
use super::syntax::{Block, Comment, Line, LineId, Statement};
use crate::version::Version;

impl ModFile {
    /// Makes the requirements exactly `wanted`, keeping blocks and comments (except for the mark
    /// `// indirect`) of the first requirement on each path. New ones go to the last block. If `wanted`
    /// names a path twice, the last counts.
    pub fn set_require(&mut self, wanted: &[Require]) {
        let mut missing = by_path(wanted);
        self.keep_required(|path| missing.remove(path));
        for require in missing.into_values() {
            self.add_new_require(&require.path, &require.version, require.indirect);
        }
        self.sort_blocks();
    }

    /// Like [`ModFile::set_require`], with direct and indirect requirements in blocks of their own,
    /// as from go 1.17 on. Requirements move between these two blocks only, except that a single
    /// block without comments is divided.
    pub fn set_require_separate_indirect(&mut self, wanted: &[Require]) {
        self.set_require_in_blocks(wanted, false);
    }

    /// Like [`ModFile::set_require_separate_indirect`], but all other blocks and lines are merged
    /// into the two, as from go 1.27 on.
    pub fn set_require_at_most_two(&mut self, wanted: &[Require]) {
        self.set_require_in_blocks(wanted, true);
    }

    fn set_require_in_blocks(&mut self, wanted: &[Require], merge: bool) {
        let mut missing = by_path(wanted);
        let layout = self.require_layout();
        let comments = if merge {
            self.take_block_comments(&missing)
        } else {
            BlockComments::default()
        };
        let targets = self.ensure_targets(&layout);
        self.put_block_comments(comments, targets);

        self.keep_required(|path| missing.remove(path));
        let divide = merge || layout.one_plain_group;
        let mut require = std::mem::take(&mut self.require);
        for directive in &mut require {
            let (other_block, target) = if directive.indirect {
                (&layout.direct_lines, targets.indirect)
            } else {
                (&layout.indirect_lines, targets.direct)
            };
            if divide || other_block.contains(&directive.line()) {
                let line = self.syntax.move_line(directive.line(), target);
                directive.set_line(line);
            }
        }
        self.require = require;
        for require in missing.into_values() {
            self.append_require(require, targets);
        }
        self.sort_blocks();
    }

    /// Brings the first requirement on each path up to date with what `wanted` gives for it and
    /// removes all others. `wanted` gives each requirement once.
    fn keep_required<'a>(&mut self, mut wanted: impl FnMut(&str) -> Option<&'a Require>) {
        let syntax = &mut self.syntax;
        self.require.retain_mut(|directive| {
            let Some(require) = wanted(&directive.path) else {
                syntax.remove_line(directive.line());
                return false;
            };
            if let Some(line) = syntax.line_mut(directive.line()) {
                line.set_required_version(&require.version);
                line.set_indirect(require.indirect);
            }
            (**directive).clone_from(require);
            true
        });
    }

    fn append_require(&mut self, require: &Require, targets: Targets) {
        let mut line = Line {
            tokens: line_tokens([&auto_quote(&require.path), require.version.as_str()]),
            in_block: true,
            ..Line::default()
        };
        line.set_indirect(require.indirect);
        let line = self.syntax.add(line);
        let target = if require.indirect {
            targets.indirect
        } else {
            targets.direct
        };
        if let Some(block) = self.block_mut(target) {
            block.lines.push(line);
        }
        self.require.push(Directive::new(require.clone(), line));
    }

    fn block_mut(&mut self, index: usize) -> Option<&mut Block> {
        match self.syntax.statements.get_mut(index)? {
            Statement::Block(block) => Some(block),
            Statement::Comments(_) | Statement::Line(_) => None,
        }
    }
}

fn by_path(wanted: &[Require]) -> BTreeMap<&str, &Require> {
    wanted.iter().map(|r| (r.path.as_str(), r)).collect()
}

impl Line {
    fn set_required_version(&mut self, version: &Version) {
        // A blank line above would split the block for the eye after sorting.
        if self.in_block
            && let [only] = self.comments.before.as_slice()
            && only.is_blank()
        {
            self.comments.before.clear();
        }
        let at = if self.in_block { 1 } else { 2 };
        if let Some(token) = self.tokens.get_mut(at) {
            *token = version.as_str().into();
        }
    }
}

/// How the requirements of a file are laid out.
#[derive(Default)]
struct Layout {
    /// The last line or block of direct requirements only, without comments.
    direct: Option<usize>,
    /// The last line or block of indirect requirements only, without other comments.
    indirect: Option<usize>,
    /// The last line or block of requirements.
    last: Option<usize>,
    /// The lines of the direct block.
    direct_lines: HashSet<LineId>,
    /// The lines of the indirect block.
    indirect_lines: HashSet<LineId>,
    /// There is exactly one line or block, and no comment on it.
    one_plain_group: bool,
}

/// The statements that hold direct and indirect requirements; both are blocks.
#[derive(Clone, Copy)]
struct Targets {
    direct: usize,
    indirect: usize,
}

/// Comments above blocks that are merged.
#[derive(Default)]
struct BlockComments {
    direct: Vec<Comment>,
    indirect: Vec<Comment>,
}

impl ModFile {
    fn require_layout(&self) -> Layout {
        let mut layout = Layout::default();
        let mut groups = 0;
        for (index, statement) in self.syntax.statements.iter().enumerate() {
            let is_require = self
                .syntax
                .keyword(statement)
                .is_some_and(|k| k == "require");
            let (comments, lines) = match statement {
                Statement::Line(id) if is_require => match self.syntax.line(*id) {
                    Some(line) => (&line.comments, vec![line]),
                    None => continue,
                },
                Statement::Block(block) if is_require => {
                    let lines = block.lines.iter().filter_map(|id| self.syntax.line(*id));
                    (&block.comments, lines.collect())
                }
                _ => continue,
            };
            groups += 1;
            layout.last = Some(index);
            let plain = !comments.say_more_than_indirect();
            layout.one_plain_group = groups == 1 && plain;
            let all = |indirect: bool| {
                plain
                    && !lines.is_empty()
                    && lines.iter().all(|line| {
                        !line.comments.say_more_than_indirect() && line.is_indirect() == indirect
                    })
            };
            let in_block = block_lines(statement);
            if all(false) {
                (layout.direct, layout.direct_lines) = (Some(index), in_block);
            } else if all(true) {
                (layout.indirect, layout.indirect_lines) = (Some(index), in_block);
            }
        }
        layout
    }

    /// Makes sure that there is a block for direct and one for indirect requirements.
    fn ensure_targets(&mut self, layout: &Layout) -> Targets {
        let (direct, old_indirect) = match (layout.direct, layout.indirect) {
            (Some(direct), indirect) => {
                self.syntax.ensure_block(direct);
                (direct, indirect)
            }
            (None, Some(indirect)) => {
                self.syntax.insert_block(indirect, "require");
                (indirect, Some(indirect + 1))
            }
            (None, None) => {
                let end = self.syntax.statements.len();
                let index = layout.last.map_or(end, |last| last + 1);
                self.syntax.insert_block(index, "require");
                (index, None)
            }
        };
        let indirect = if let Some(indirect) = old_indirect {
            self.syntax.ensure_block(indirect);
            indirect
        } else {
            self.syntax.insert_block(direct + 1, "require");
            direct + 1
        };
        Targets { direct, indirect }
    }

    /// Takes the comments off all blocks of requirements: a block counts as indirect when none of its
    /// requirements will be direct.
    fn take_block_comments(&mut self, wanted: &BTreeMap<&str, &Require>) -> BlockComments {
        let will_be_direct: HashMap<LineId, bool> = self
            .require
            .iter()
            .filter_map(|old| Some((old.line(), !wanted.get(old.path.as_str())?.indirect)))
            .collect();
        let mut taken = BlockComments::default();
        for statement in &mut self.syntax.statements {
            let Statement::Block(block) = statement else {
                continue;
            };
            if block
                .tokens
                .first()
                .is_none_or(|keyword| keyword != "require")
            {
                continue;
            }
            let any_direct = block
                .lines
                .iter()
                .any(|id| will_be_direct.get(id) == Some(&true));
            let target = if any_direct || block.lines.is_empty() {
                &mut taken.direct
            } else {
                &mut taken.indirect
            };
            if !target.is_empty() && !block.comments.before.is_empty() {
                target.push(Comment::new("//"));
            }
            target.append(&mut block.comments.before);
        }
        taken
    }

    fn put_block_comments(&mut self, comments: BlockComments, targets: Targets) {
        if let Some(block) = self.block_mut(targets.direct) {
            block.comments.before.extend(comments.direct);
        }
        if let Some(block) = self.block_mut(targets.indirect) {
            block.comments.before.extend(comments.indirect);
        }
    }
}

/// The lines of a block; none for a statement that is a line.
fn block_lines(statement: &Statement) -> HashSet<LineId> {
    match statement {
        Statement::Block(block) => block.lines.iter().copied().collect(),
        Statement::Comments(_) | Statement::Line(_) => HashSet::new(),
    }
}
