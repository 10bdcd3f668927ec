//! The configuration file: TOML, every value with the line it stands on.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::origins::OriginTable;
use super::value::scalar;
use super::{ConfigError, Origin, SETTINGS};

/// A value as it stands in the file.
pub(super) struct FileValue {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// What a file says.
#[derive(Default)]
pub(super) struct FileContent {
    pub(super) values: Vec<FileValue>,
    pub(super) origins: Vec<OriginTable>,
}

/// Reads a file. All problems are found at once.
pub(super) fn read(path: &Path) -> Result<FileContent, Vec<ConfigError>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![ConfigError::new(
            None,
            format!("cannot read {}: {error}", path.display()),
        )]
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<FileContent, Vec<ConfigError>> {
    let lines = Lines {
        path: path.to_path_buf(),
        text,
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        vec![ConfigError::new(
            Some(lines.origin(at)),
            error.message().to_owned(),
        )]
    })?;
    let mut found = Found {
        lines,
        content: FileContent::default(),
        errors: Vec::new(),
    };
    found.table("", table.get_ref());
    if found.errors.is_empty() {
        Ok(found.content)
    } else {
        Err(found.errors)
    }
}

struct Lines<'a> {
    path: PathBuf,
    text: &'a str,
}

impl Lines<'_> {
    fn origin(&self, at: usize) -> Origin {
        let line = self
            .text
            .as_bytes()
            .iter()
            .take(at)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        Origin::File {
            path: self.path.clone(),
            line,
        }
    }
}

struct Found<'a> {
    lines: Lines<'a>,
    content: FileContent,
    errors: Vec<ConfigError>,
}

impl Found<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            let origin = self.lines.origin(key.span().start);
            let is_table = SETTINGS
                .iter()
                .any(|setting| setting.name.starts_with(&format!("{name}.")));
            if name == "origin"
                && let DeValue::Array(tables) = value.get_ref()
            {
                for table in tables {
                    let line = |at: usize| self.lines.origin(at);
                    match OriginTable::read(table, &line) {
                        Ok(table) => self.content.origins.push(table),
                        Err(errors) => self.errors.extend(errors),
                    }
                }
            } else if let DeValue::Table(inner) = value.get_ref()
                && is_table
            {
                self.table(&format!("{name}."), inner);
            } else if let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) {
                match scalar(value) {
                    Some(text) => self.content.values.push(FileValue {
                        name: setting.name,
                        text,
                        origin,
                    }),
                    None => self.errors.push(ConfigError::new(
                        Some(origin),
                        format!("{name}: a text, number or true/false is expected"),
                    )),
                }
            } else {
                self.errors.push(unknown(&name, origin));
            }
        }
    }
}

fn unknown(name: &str, origin: Origin) -> ConfigError {
    let near = SETTINGS
        .iter()
        .map(|setting| (distance(name, setting.name), setting.name))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    let hint = near.map_or_else(
        || "`modkeep config show` lists all settings".to_owned(),
        |(_, name)| format!("did you mean {name}?"),
    );
    ConfigError::new(Some(origin), format!("unknown setting {name}; {hint}"))
}

/// The number of letters to change, add or leave out to come from one name to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        parse(Path::new("modkeep.toml"), text)
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn values_know_their_line() {
        let text = "listen = \":1\"\n\n[limits]\nconnections = 7\n[upstreams]\nfirst-is-authoritative = true\n";
        let values = parse(Path::new("modkeep.toml"), text)
            .unwrap_or_default()
            .values;
        let seen: Vec<_> = values
            .iter()
            .map(|value| (value.name, value.text.as_str(), value.origin.to_string()))
            .collect();
        assert!(
            seen.contains(&("listen", ":1", "modkeep.toml:1".to_owned())),
            "{seen:?}"
        );
        assert!(
            seen.contains(&("limits.connections", "7", "modkeep.toml:4".to_owned())),
            "{seen:?}"
        );
        assert!(
            seen.contains(&(
                "upstreams.first-is-authoritative",
                "true",
                "modkeep.toml:6".to_owned()
            )),
            "{seen:?}"
        );
    }

    #[test]
    fn an_unknown_setting_is_an_error_with_its_line() {
        assert_eq!(
            errors("\nlisen = \":1\"\n"),
            ["modkeep.toml:2: unknown setting lisen; did you mean listen?"]
        );
        assert_eq!(
            errors("[limits]\nconections = 7\n"),
            ["modkeep.toml:2: unknown setting limits.conections; did you mean limits.connections?"]
        );
        assert_eq!(
            errors("[entirely]\ndifferent = 7\n"),
            ["modkeep.toml:1: unknown setting entirely; `modkeep config show` lists all settings"]
        );
    }

    #[test]
    fn what_is_no_toml_is_an_error_with_its_line() {
        let errors = errors("listen = \":1\"\ndata = \n");
        assert_eq!(errors.len(), 1);
        assert!(errors[0].starts_with("modkeep.toml:2: "), "{errors:?}");
    }

    #[test]
    fn a_value_of_the_wrong_shape_is_an_error() {
        assert_eq!(
            errors("listen = [1]\n"),
            ["modkeep.toml:1: listen: a text, number or true/false is expected"]
        );
    }
}
