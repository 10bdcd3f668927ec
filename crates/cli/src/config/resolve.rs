use std::fmt;
use std::path::{Path, PathBuf};

use goenv::redact::redact_text;
use goenv::{Environment, GoEnv, Key};

use super::effective::Effective;
use super::file::{self, FileContent, FileValue};
use super::origins::OriginTable;
use super::{ConfigError, Origin, SETTINGS, Setting};

/// The value of one setting, and who set it.
#[derive(Clone, PartialEq, Eq)]
pub struct ResolvedSetting {
    /// Which setting.
    pub name: &'static str,
    /// Its value as text.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

impl ResolvedSetting {
    /// The value without passwords.
    pub fn redacted_value(&self) -> String {
        redact_text(&self.value)
    }
}

impl fmt::Debug for ResolvedSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}={} ({})",
            self.name,
            self.redacted_value(),
            self.origin
        )
    }
}

/// All settings, each with its origin.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// In the order of [`SETTINGS`].
    pub settings: Vec<ResolvedSetting>,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// What the `go` command would use, for what depends on it.
    pub go: GoEnv,
    /// The `[[origin]]` tables of the file, in their order.
    pub(super) origins: Vec<OriginTable>,
}

impl Resolved {
    /// What the `[[origin]]` tables say, without secrets: name, value, place.
    pub fn shown_origins(&self) -> Vec<(String, String, Origin)> {
        let tables = self.origins.iter().enumerate();
        tables
            .flat_map(|(index, table)| table.shown(index + 1))
            .collect()
    }

    /// One of the settings of the table.
    pub fn get(&self, name: &str) -> &ResolvedSetting {
        let position = SETTINGS
            .iter()
            .position(|setting| setting.name == name)
            .unwrap_or_default();
        &self.settings[position]
    }
}

/// Finds the value of every setting: flag, environment, file, default, in this order.
///
/// # Errors
/// All problems of the file, or that it cannot be read.
pub fn resolve<'a>(
    environment: &Environment,
    flags: impl Iterator<Item = (&'static str, &'a str)>,
    config_file: Option<&Path>,
) -> Result<Resolved, Vec<ConfigError>> {
    let file = find_file(environment, config_file);
    let FileContent {
        values: in_file,
        origins,
    } = file
        .as_deref()
        .map(file::read)
        .transpose()?
        .unwrap_or_default();
    let flags: Vec<_> = flags.collect();
    let go = GoEnv::load(environment);
    let settings = SETTINGS
        .iter()
        .map(|setting| {
            let (value, origin) = from_flag(setting, &flags)
                .or_else(|| from_environment(setting, environment))
                .or_else(|| from_file(setting, &in_file))
                .unwrap_or_else(|| default(setting, environment, &go));
            ResolvedSetting {
                name: setting.name,
                value,
                origin,
            }
        })
        .collect();
    Ok(Resolved {
        settings,
        file,
        go,
        origins,
    })
}

/// As [`resolve`], and checks the values.
pub fn resolve_and_check<'a>(
    environment: &Environment,
    flags: impl Iterator<Item = (&'static str, &'a str)>,
    config_file: Option<&Path>,
) -> Result<(Resolved, Effective), Vec<ConfigError>> {
    let resolved = resolve(environment, flags, config_file)?;
    let effective = Effective::check(&resolved)?;
    Ok((resolved, effective))
}

/// The file named, else the first that exists of those looked for. A file that is named must exist.
fn find_file(environment: &Environment, named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_path_buf());
    }
    if let Some(path) = environment.non_empty("MODKEEP_CONFIG") {
        return Some(path.into());
    }
    let in_home = environment
        .user_config_dir()
        .ok()
        .map(|directory| directory.join("modkeep").join("modkeep.toml"));
    [Some(PathBuf::from("modkeep.toml")), in_home]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
}

fn from_flag(setting: &Setting, flags: &[(&'static str, &str)]) -> Option<(String, Origin)> {
    let (_, value) = flags.iter().find(|(name, _)| *name == setting.name)?;
    Some(((*value).to_owned(), Origin::Flag(setting.flag)))
}

fn from_environment(setting: &Setting, environment: &Environment) -> Option<(String, Origin)> {
    let variable = setting.variable();
    let value = environment.get(&variable)?.to_owned();
    Some((value, Origin::Environment(variable)))
}

fn from_file(setting: &Setting, values: &[FileValue]) -> Option<(String, Origin)> {
    let value = values.iter().find(|value| value.name == setting.name)?;
    Some((value.text.clone(), value.origin.clone()))
}

fn default(setting: &Setting, environment: &Environment, go: &GoEnv) -> (String, Origin) {
    let from_go = |key: Key| {
        let setting = go.get(key);
        (setting.value.clone(), Origin::Go(setting.origin.clone()))
    };
    match setting.name {
        "upstream" => from_go(Key::GOPROXY),
        "private" => from_go(Key::GOPRIVATE),
        "sumdb" => from_go(Key::GOSUMDB),
        "no-sumdb" => from_go(Key::GONOSUMDB),
        "govcs" => from_go(Key::GOVCS),
        "insecure" => from_go(Key::GOINSECURE),
        "goauth" => from_go(Key::GOAUTH),
        "data" => {
            let directory = environment
                .user_data_dir()
                .map(|directory| directory.join("modkeep"));
            let directory = directory.map(|directory| directory.to_string_lossy().into_owned());
            (directory.unwrap_or_default(), Origin::Default)
        }
        _ => (setting.default.to_owned(), Origin::Default),
    }
}
