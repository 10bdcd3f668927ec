//! Settings with the place they come from, for people.

use fault::Lang;
use goenv::Origin;
use goenv::report::{Row, Source};

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

/// Where a value was set.
pub(super) fn origin(origin: &Origin, lang: Lang) -> String {
    let filled = |key, value: &str| word(lang, "origin", key).replace("{}", value);
    match origin {
        Origin::Environment { name } => filled("environment", name),
        Origin::Inherited { from } => filled("inherited", from.name()),
        Origin::Default => word(lang, "origin", "default").to_owned(),
        Origin::UserFile { .. } | Origin::GorootFile { .. } | Origin::ProjectFile { .. } => {
            origin.to_string()
        }
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
