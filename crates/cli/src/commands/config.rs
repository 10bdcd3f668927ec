use std::borrow::Cow;

use goenv::Environment;
use serde::Serialize;

use super::{CannotDo, Status, load};
use crate::args::{ConfigCommand, Format, Settings};
use crate::config::{Resolved, SETTINGS, Setting, resolve};
use crate::output;

pub(super) fn run(environment: &Environment, command: &ConfigCommand) -> Result<Status, CannotDo> {
    match command {
        ConfigCommand::Show { settings, format } => show(environment, settings, *format),
        ConfigCommand::Check(settings) => check(environment, settings),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: Cow<'a, str>,
    value: String,
    origin: String,
}

/// Shows values that do not pass the check, too: whoever asks may be looking for the mistake.
fn show(
    environment: &Environment,
    settings: &Settings,
    format: Format,
) -> Result<Status, CannotDo> {
    let resolved = resolve(environment, settings.given(), settings.config.as_deref())?;
    let shown: Vec<Shown<'_>> = resolved
        .settings
        .iter()
        .map(|setting| Shown {
            name: setting.name.into(),
            value: setting.redacted_value(),
            origin: setting.origin.to_string(),
        })
        .chain(
            resolved
                .shown_origins()
                .into_iter()
                .map(|(name, value, origin)| Shown {
                    name: name.into(),
                    value,
                    origin: origin.to_string(),
                }),
        )
        .collect();
    match format {
        Format::Json => {
            output::result(serde_json::to_string_pretty(&shown).map_err(CannotDo::new)?);
        }
        Format::Human => output::result(table(&shown)),
    }
    warn_of_unknown_variables(environment);
    Ok(Status::Done)
}

fn table(shown: &[Shown<'_>]) -> String {
    let names = shown.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let values = shown
        .iter()
        .map(|row| row.value.chars().count())
        .max()
        .unwrap_or(0)
        .min(48);
    let rows: Vec<String> = shown
        .iter()
        .map(
            |Shown {
                 name,
                 value,
                 origin,
             }| format!("{name:names$}  {value:values$}  {origin}"),
        )
        .collect();
    rows.join("\n")
}

fn check(environment: &Environment, settings: &Settings) -> Result<Status, CannotDo> {
    let (resolved, effective) = load(environment, settings)?;
    if let Some(tls) = &effective.tls {
        tls.check().map_err(CannotDo::new)?;
    }
    for problem in resolved.go.problems() {
        output::note(format!("note: {problem}"));
    }
    warn_of_unknown_variables(environment);
    output::result(match source(&resolved) {
        Some(file) => format!("{file} is good"),
        None => "the configuration is good (no file was found)".to_owned(),
    });
    Ok(Status::Done)
}

fn source(resolved: &Resolved) -> Option<String> {
    resolved
        .file
        .as_ref()
        .map(|file| file.display().to_string())
}

/// A misspelt variable does nothing, which its author should know.
fn warn_of_unknown_variables(environment: &Environment) {
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    for name in environment
        .names()
        .filter(|name| name.starts_with("MODKEEP_"))
    {
        if name != "MODKEEP_CONFIG" && !known.iter().any(|known| known == name) {
            output::note(format!(
                "note: the environment variable {name} is no setting of modkeep"
            ));
        }
    }
}
