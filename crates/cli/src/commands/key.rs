use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use goenv::{Environment, SecretRef};
use serde::Serialize;
use sumlog::{KeyRing, LogName};

use super::{CannotDo, Status};
use crate::args::{Format, KeyCommand};
use crate::output;

/// Who may read a private key.
const OWNER_ONLY: u32 = 0o600;

pub(super) fn run(environment: &Environment, command: &KeyCommand) -> Result<Status, CannotDo> {
    match command {
        KeyCommand::Generate { name, out, format } => {
            let name = LogName::parse(name).map_err(CannotDo::new)?;
            let file = match out {
                Some(file) => file.clone(),
                None => default_file(environment, &name).map_err(CannotDo::new)?,
            };
            let keys = KeyRing::generate(&name).map_err(CannotDo::new)?;
            create(&file, &keys)?;
            show(&keys, Some(&file), *format)
        }
        KeyCommand::Rotate {
            key,
            finish,
            format,
        } => {
            let SecretRef::File(file) = find(environment, key)? else {
                return Err(CannotDo::new(format!(
                    "{key}: only a key in a file can be replaced by this command"
                )));
            };
            let keys = read(environment, &SecretRef::File(file.clone()))?;
            let keys = if *finish {
                keys.finish()
            } else {
                keys.rotate().map_err(CannotDo::new)?
            };
            replace(&file, &keys)?;
            show(&keys, Some(&file), *format)
        }
        KeyCommand::Show { key, format } => {
            let keys = read(environment, &find(environment, key)?)?;
            show(&keys, None, *format)
        }
    }
}

/// Where the key of a log is when nobody says where.
pub(crate) fn default_file(environment: &Environment, name: &LogName) -> Result<PathBuf, String> {
    let directory = environment.user_config_dir().map_err(|error| {
        format!("there is no directory for the key of {name}: {error}; name a file")
    })?;
    let file = format!("{}.key", name.file_name());
    Ok(directory.join("modkeep").join(file))
}

/// Reads the keys from a place.
pub(crate) fn read(environment: &Environment, place: &SecretRef) -> Result<KeyRing, CannotDo> {
    let text = place.read(environment).map_err(CannotDo::new)?;
    KeyRing::parse(&text).map_err(|error| CannotDo::new(format!("{place}: {error}")))
}

/// A file of that name comes first, then the default place of the log of that name.
fn find(environment: &Environment, key: &str) -> Result<SecretRef, CannotDo> {
    if !Path::new(key).exists()
        && let Ok(name) = LogName::parse(key)
        && let Ok(file) = default_file(environment, &name)
        && file.exists()
    {
        return Ok(SecretRef::File(file));
    }
    key.parse().map_err(CannotDo::new)
}

/// Writes a new file, durably, and never over another one.
fn create(file: &Path, keys: &KeyRing) -> Result<(), CannotDo> {
    let text = keys.reveal().map_err(CannotDo::new)?;
    let write = || -> io::Result<()> {
        let directory = directory_of(file);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let mut created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(OWNER_ONLY)
            .open(file)?;
        created.write_all(text.as_bytes())?;
        created.sync_all()?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| {
        let advice = if error.kind() == io::ErrorKind::AlreadyExists {
            "; a key is never overwritten: name another file with --out, or see `modkeep key rotate`"
        } else {
            ""
        };
        CannotDo::new(format!("cannot write {}: {error}{advice}", file.display()))
    })
}

/// Replaces the file in one step: a crash leaves the old keys or the new ones.
fn replace(file: &Path, keys: &KeyRing) -> Result<(), CannotDo> {
    let text = keys.reveal().map_err(CannotDo::new)?;
    let write = || -> io::Result<()> {
        let directory = directory_of(file);
        let mut temporary = tempfile::Builder::new()
            .prefix(".key-")
            .permissions(Permissions::from_mode(OWNER_ONLY))
            .tempfile_in(directory)?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(file).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| CannotDo::new(format!("cannot write {}: {error}", file.display())))
}

fn directory_of(file: &Path) -> &Path {
    file.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[derive(Serialize)]
struct Shown {
    name: String,
    verifier_key: String,
    former_verifier_keys: Vec<String>,
    gosumdb: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

fn show(keys: &KeyRing, file: Option<&Path>, format: Format) -> Result<Status, CannotDo> {
    let verifier_key = keys.verifier().to_string();
    let shown = Shown {
        name: keys.name().to_owned(),
        former_verifier_keys: keys.former().map(ToString::to_string).collect(),
        gosumdb: verifier_key.clone(),
        verifier_key,
        file: file.map(|file| file.display().to_string()),
    };
    if format == Format::Json {
        output::result(serde_json::to_string(&shown).map_err(CannotDo::new)?);
        return Ok(Status::Done);
    }
    output::result(&shown.verifier_key);
    for former in &shown.former_verifier_keys {
        output::result(format!("  still signs  {former}"));
    }
    if let Some(file) = &shown.file {
        output::result(format!("  private key  {file}"));
    }
    output::result(format!(
        "  clients      go env -w GOSUMDB='{}'",
        shown.gosumdb
    ));
    Ok(Status::Done)
}
