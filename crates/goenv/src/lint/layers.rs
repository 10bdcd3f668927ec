//! Layers of settings: files go cannot use, values that hide each other, variables go does not know.

use fault::{Risk, Rule};

use super::fixes;
use crate::finding::Finding;
use crate::fix::{Change, Fix, Scope};
use crate::key::Key;
use crate::origin::Origin;
use crate::problem::Problem;
use crate::report::{Report, Row, Source};

/// Variables that advice names and go does not read.
const UNKNOWN: [&str; 5] = [
    "GONOSUMCHECK",
    "GOSUMDBTOKEN",
    "GOLOGGING",
    "GOPROXYS",
    "GO_PROXY",
];

pub(super) fn check(report: &Report, found: &mut Vec<Finding>) {
    for problem in report.go.problems() {
        found.extend(of_problem(report, problem));
    }
    for setting in report.go.settings() {
        if let Some(row) = report.row(setting.key.name()) {
            found.extend(shadowed(row));
            found.extend(conflict(report, row));
            found.extend(blanks(report, setting.key));
        }
    }
    for name in UNKNOWN {
        if let Some(value) = report.machine.environment.non_empty(name) {
            let change = Change::Variable {
                name: name.to_owned(),
                value: None,
                previous: Some(value.to_owned()),
            };
            found.push(
                Finding::new(Rule::UnknownVariable)
                    .about(name)
                    .fix(Fix::new(change, Scope::Shell, Risk::None)),
            );
        }
    }
}

fn of_problem(report: &Report, problem: &Problem) -> Option<Finding> {
    let rule = match problem {
        Problem::UnreadableFile { .. } => Rule::EnvFileUnreadable,
        Problem::MissingUserFile { .. } => Rule::EnvFileMissing,
        Problem::MalformedLine { .. } | Problem::NotUtf8 { .. } => Rule::EnvFileLine,
        Problem::UnknownKey { .. } => Rule::EnvFileUnknownKey,
        Problem::DeafKey { .. } => Rule::EnvFileDeafKey,
        Problem::CarriageReturn { .. } => Rule::EnvFileCarriageReturn,
        Problem::MissingGorootFile { .. } => Rule::GorootFileMissing,
        Problem::InvalidValue { key, reason } => return Some(invalid(report, *key, reason)),
        // Without a home there is a finding of its own, and without Go, too.
        Problem::NoUserFile { .. } | Problem::NoGoroot => return None,
    };
    let mut finding = Finding::new(rule).with("detail", problem.to_string());
    if let Some((path, line)) = problem.location() {
        finding = finding.at(path, line);
    }
    if let Problem::UnknownKey { name, .. }
    | Problem::DeafKey { name, .. }
    | Problem::CarriageReturn { name, .. } = problem
    {
        finding = finding.about(name.clone());
    }
    Some(finding.fixes(without_line(problem)))
}

/// A line go skips can go; one with a carriage return can lose that.
fn without_line(problem: &Problem) -> Option<Fix> {
    let is_useless = matches!(
        problem,
        Problem::DeafKey { .. } | Problem::CarriageReturn { .. }
    );
    let (path, Some(line)) = problem.location().filter(|_| is_useless)? else {
        return None;
    };
    let text = crate::report::read_text(path)?;
    let old = text.split('\n').nth(line.checked_sub(1)?)?;
    if matches!(problem, Problem::CarriageReturn { .. }) {
        let (name, value) = old.trim_end_matches('\r').split_once('=')?;
        let change = Change::GoEnv {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            previous: None,
        };
        return Some(Fix::new(change, Scope::User, Risk::Low));
    }
    let change = Change::Line {
        path: path.to_owned(),
        line,
        old: old.trim_end_matches('\r').to_owned(),
        new: None,
    };
    Some(Fix::new(change, Scope::User, Risk::Low))
}

fn invalid(report: &Report, key: Key, reason: &str) -> Finding {
    let no_home = report.machine.environment.home_dir().is_err();
    let set = report.go.get(key).origin != Origin::Default;
    let rule = if no_home && !set {
        Rule::HomeUnset
    } else {
        Rule::SettingInvalid
    };
    let finding = Finding::new(rule).about(key.name()).with("detail", reason);
    if set {
        finding.fixes(fixes::change(report, key, None))
    } else {
        finding
    }
}

/// The environment hides another value in the file of `go env -w`.
fn shadowed(row: &Row) -> Option<Finding> {
    let Origin::Environment { .. } = row.origin else {
        return None;
    };
    let hidden = row.shadowed.iter().find(|other| {
        matches!(other.origin, Origin::UserFile { .. }) && other.value != row.value
    })?;
    Some(
        Finding::new(Rule::SettingShadowed)
            .about(row.name.clone())
            .with("value", &row.value)
            .with("other", &hidden.value)
            .with("origin", who(row))
            .with("path", hidden.origin.to_string())
            .fixes(fixes::variable(row, None)),
    )
}

/// Who has set it, in one phrase.
pub(super) fn who(row: &Row) -> String {
    let file = row.set_by.iter().find_map(|by| match &by.source {
        Source::File { path, line } => Some(format!("{}:{line}", path.display())),
        _ => None,
    });
    let other = || {
        row.set_by.iter().find_map(|by| match &by.source {
            Source::Process { id, name } => Some(format!("{name} (process {id})")),
            Source::Ci(name) => Some((*name).to_owned()),
            Source::Container => Some("container".to_owned()),
            Source::File { .. } => None,
        })
    };
    file.or_else(other)
        .unwrap_or_else(|| row.origin.to_string())
}

/// Several files set it to different values.
fn conflict(report: &Report, row: &Row) -> Option<Finding> {
    let lines = report.provenance.lines(&row.name);
    let mut values: Vec<&str> = lines.iter().filter_map(|by| by.value.as_deref()).collect();
    values.sort_unstable();
    values.dedup();
    if values.len() < 2 {
        return None;
    }
    let places: Vec<String> = lines
        .iter()
        .filter_map(|by| match &by.source {
            Source::File { path, line } => Some(format!("{}:{line}", path.display())),
            _ => None,
        })
        .collect();
    Some(
        Finding::new(Rule::SettingConflict)
            .about(row.name.clone())
            .with("detail", places.join(", ")),
    )
}

/// Blanks or quotes around a value, which go makes part of it. GOPROXY and the patterns have rules
/// of their own.
fn blanks(report: &Report, key: Key) -> Option<Finding> {
    let own = [
        Key::GOPROXY,
        Key::GOPRIVATE,
        Key::GONOPROXY,
        Key::GONOSUMDB,
        Key::GOINSECURE,
        Key::GOFLAGS,
        Key::GOVCS,
    ];
    let setting = report.go.get(key);
    let is_set = matches!(
        setting.origin,
        Origin::Environment { .. } | Origin::UserFile { .. }
    );
    let value = setting.value.as_str();
    let plain = value.trim().trim_matches(['"', '\'']);
    if own.contains(&key) || !is_set || plain == value || plain.is_empty() {
        return None;
    }
    Some(
        Finding::new(Rule::SettingBlanks)
            .about(key.name())
            .with("value", value)
            .fixes(fixes::change(report, key, Some(plain))),
    )
}
