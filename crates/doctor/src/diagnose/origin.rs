//! Settings with the place they come from, for people.

use fault::Lang;
use goenv::Origin;
use goenv::report::{Row, Running, Source};

use super::words::word;

/// `NAME=value (where from; who has set it there)`.
pub(super) fn row(row: &Row, lang: Lang) -> String {
    let mut from = vec![origin(&row.origin, lang)];
    from.extend(row.set_by.iter().map(|by| source(&by.source, lang)));
    if row.is_ignored {
        from.push(word(lang, "origin", "ignored").to_owned());
    }
    format!(
        "{}={} ({})",
        row.name,
        row.redacted_value(),
        from.join("; ")
    )
}

/// A process that runs with another value.
pub(super) fn elsewhere(row: &Row, running: &Running, lang: Lang) -> String {
    let process = format!("{} ({})", running.program, running.id);
    let value = running.redacted_value();
    let (key, value) = match &value {
        Some(value) => ("running", value.as_str()),
        None => ("running-without", ""),
    };
    word(lang, "origin", key)
        .replace("{process}", &process)
        .replace("{name}", &row.name)
        .replace("{value}", value)
}

/// Where a value was set.
pub(super) fn origin(origin: &Origin, lang: Lang) -> String {
    let filled = |key, value: &str| word(lang, "origin", key).replace("{}", value);
    match origin {
        Origin::Environment { name } => filled("environment", name),
        Origin::Inherited { from } => filled("inherited", from.name()),
        Origin::Nearest { to } => filled("nearest", &to.display().to_string()),
        Origin::Default => word(lang, "origin", "default").to_owned(),
        Origin::UserFile { .. }
        | Origin::GorootFile { .. }
        | Origin::ProjectFile { .. }
        | Origin::AutoConfig { .. } => origin.to_string(),
    }
}

fn source(source: &Source, lang: Lang) -> String {
    let filled = |key, value: &str| word(lang, "origin", key).replace("{}", value);
    match source {
        Source::File { path, line } => filled("file", &format!("{}:{line}", path.display())),
        Source::Process { id, name } => filled("process", &format!("{name} ({id})")),
        Source::Ci(name) => filled("ci", name),
        Source::Container => word(lang, "origin", "container").to_owned(),
    }
}
