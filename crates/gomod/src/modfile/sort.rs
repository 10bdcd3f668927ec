//! The order of lines inside blocks, and what counts as said twice.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::Hash;

use bstr::ByteSlice as _;

use super::directive::Directive;
use super::syntax::{Line, LineId, Statement, Syntax};
use crate::semver;

type LineOrder = fn(&Line, &Line) -> Ordering;

impl Syntax {
    /// Sorts the lines of every block, each by the order that `order` gives for its keyword.
    pub(super) fn sort_blocks(&mut self, order: impl Fn(&[u8]) -> LineOrder) {
        let lines = &self.lines;
        let find = |id: &LineId| -> Option<&Line> { lines.get(id.index()) };
        for statement in &mut self.statements {
            if let Statement::Block(block) = statement {
                let order = order(
                    block
                        .tokens
                        .first()
                        .map_or(b"", |keyword| keyword.as_slice()),
                );
                block.lines.sort_by(|a, b| match (find(a), find(b)) {
                    (Some(a), Some(b)) => order(a, b),
                    (a, b) => a.is_some().cmp(&b.is_some()),
                });
            }
        }
    }

    /// Takes lines out of the tree, and blocks that have no line left.
    pub(super) fn drop_lines(&mut self, lines: &HashSet<LineId>) {
        self.statements.retain_mut(|statement| match statement {
            Statement::Comments(_) => true,
            Statement::Line(id) => !lines.contains(id),
            Statement::Block(block) => {
                block.lines.retain(|id| !lines.contains(id));
                !block.lines.is_empty()
            }
        });
    }
}

/// Removes all but the first directive with the same key; gives back their lines.
pub(super) fn keep_first<T, K: Eq + Hash>(
    directives: &mut Vec<Directive<T>>,
    key: impl Fn(&T) -> K,
) -> Vec<LineId> {
    let mut seen = HashSet::new();
    directives
        .extract_if(.., |directive| !seen.insert(key(directive)))
        .map(|directive| directive.line())
        .collect()
}

/// Like [`keep_first`], but the last one stays.
pub(super) fn keep_last<T, K: Eq + Hash>(
    directives: &mut Vec<Directive<T>>,
    key: impl Fn(&T) -> K,
) -> Vec<LineId> {
    directives.reverse();
    let dropped = keep_first(directives, key);
    directives.reverse();
    dropped
}

/// By tokens, as text.
pub(super) fn by_tokens(a: &Line, b: &Line) -> Ordering {
    a.tokens.cmp(&b.tokens)
}

/// `path version`: by path as text, then by semantic precedence.
pub(super) fn by_version(a: &Line, b: &Line) -> Ordering {
    match (a.tokens.as_slice(), b.tokens.as_slice()) {
        ([path, version], [other_path, other_version]) => path
            .cmp(other_path)
            .then_with(|| compare_versions(version, other_version)),
        _ => by_tokens(a, b),
    }
}

/// Retracted versions, the newest first; a single version counts as an interval.
pub(super) fn by_interval_descending(a: &Line, b: &Line) -> Ordering {
    let (low, high) = interval(a);
    let (other_low, other_high) = interval(b);
    compare_versions(other_low, low).then_with(|| compare_versions(other_high, high))
}

fn interval(line: &Line) -> (&[u8], &[u8]) {
    match line.tokens.as_slice() {
        [version] => (version, version),
        [open, low, comma, high, close] if open == "[" && comma == "," && close == "]" => {
            (low, high)
        }
        _ => (b"", b""),
    }
}

fn compare_versions(a: &[u8], b: &[u8]) -> Ordering {
    semver::compare(&a.to_str_lossy(), &b.to_str_lossy())
}
