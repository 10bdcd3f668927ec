//! The changes that set a setting right, made where the value comes from.

use fault::Risk;

use crate::fix::{Change, Fix, Scope};
use crate::key::Key;
use crate::origin::Origin;
use crate::report::{Report, Row, Source};

/// Sets a Go setting to another value, or to none: in the file of `go env -w`, in the line that
/// exports it, or in the running shell, whichever it comes from.
pub(super) fn change(report: &Report, key: Key, value: Option<&str>) -> Vec<Fix> {
    let name = key.name();
    let Some(row) = report.row(name) else {
        return Vec::new();
    };
    match &row.origin {
        Origin::Environment { .. } => variable(row, value),
        Origin::Inherited { from } => change(report, *from, value),
        Origin::UserFile { .. }
        | Origin::GorootFile { .. }
        | Origin::ProjectFile { .. }
        | Origin::AutoConfig { .. }
        | Origin::Nearest { .. }
        | Origin::Default => {
            vec![go_env(row, value)]
        }
    }
}

/// Writes a Go setting to the file of `go env -w`.
pub(super) fn go_env(row: &Row, value: Option<&str>) -> Fix {
    let in_file = |origin: &Origin| matches!(origin, Origin::UserFile { .. });
    let previous = if in_file(&row.origin) {
        Some(row.value.clone())
    } else {
        let mut shadowed = row.shadowed.iter();
        shadowed
            .find(|one| in_file(&one.origin))
            .map(|one| one.value.clone())
    };
    let change = Change::GoEnv {
        name: row.name.clone(),
        value: value.map(str::to_owned),
        previous,
    };
    Fix::new(change, Scope::User, Risk::Low)
}

/// Sets or removes an environment variable: in this shell at once, and for good in the one file that
/// sets exactly this value.
pub(super) fn variable(row: &Row, value: Option<&str>) -> Vec<Fix> {
    let shell = Change::Variable {
        name: row.name.clone(),
        value: value.map(str::to_owned),
        previous: Some(row.value.clone()),
    };
    let mut fixes = vec![Fix::new(shell, Scope::Shell, Risk::None)];
    fixes.extend(line(row, value));
    fixes
}

/// Removing a line is offered only for a line that does nothing else.
fn line(row: &Row, value: Option<&str>) -> Option<Fix> {
    let (path, line, old) = row
        .set_by
        .iter()
        .find_map(|by| match (&by.source, &by.value) {
            (Source::File { path, line }, Some(its)) if *its == row.value => {
                let text = crate::report::read_text(path)?;
                let old = text.lines().nth(line - 1)?.to_owned();
                Some((path.clone(), *line, old))
            }
            _ => None,
        })?;
    if old.contains([';', '&']) || old.matches('=').count() > 1 || !old.contains(&row.value) {
        return None;
    }
    let scope = if path.starts_with("/etc") {
        Scope::System
    } else {
        Scope::User
    };
    let change = Change::Line {
        path,
        line,
        new: value.map(|value| old.replace(&row.value, value)),
        old,
    };
    Some(Fix::new(change, scope, Risk::Low))
}

/// A command for the person.
pub(super) fn run(words: &[&str], undo: Option<&[&str]>, scope: Scope, risk: Risk) -> Fix {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let change = Change::Run {
        command: owned(words),
        undo: undo.map(owned),
    };
    Fix::new(change, scope, risk)
}
