//! Carrying a fix out: first what every file shall hold, then writing, and the way back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Change, Fix, GitLevel, env_edit};
use crate::environment::Environment;
use crate::settings::GoEnv;

/// Why a fix cannot be carried out, or not be taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Only the person at the shell can make this change.
    #[error("this change has to be made by hand")]
    ByHand,
    /// `GOENV=off`, or there is no home directory.
    #[error("there is no file for 'go env -w'")]
    NoUserFile,
    /// go would not write this value.
    #[error("go: {0}")]
    Refused(String),
    /// What is on disk is not what the fix was made for.
    #[error("{path} has changed since it was looked at")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// git did not do it.
    #[error("git config: {0}")]
    Git(String),
    /// The operating system did not do it.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file gets other contents.
    Write {
        /// The file.
        path: PathBuf,
        /// What it holds; `None` when it does not exist.
        before: Option<Vec<u8>>,
        /// What it shall hold.
        after: Vec<u8>,
    },
    /// A file gets other permissions.
    Mode {
        /// The file.
        path: PathBuf,
        /// What they are.
        before: u32,
        /// What they shall be.
        after: u32,
    },
    /// A file or directory is moved aside, and removed only when the fix is [kept](Applied::keep).
    Remove {
        /// What goes.
        path: PathBuf,
        /// Where it waits, beside its old place.
        aside: PathBuf,
    },
}

/// What carrying out a fix would do, worked out without writing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Step>,
}

impl Plan {
    /// Works out the steps. `directory` is where `git config --local` applies.
    pub fn of(fix: &Fix, environment: &Environment, directory: &Path) -> Result<Self, ApplyError> {
        let mut plan = Self { steps: Vec::new() };
        for change in &fix.changes {
            plan.add(change, environment, directory)?;
        }
        Ok(plan)
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn add(
        &mut self,
        change: &Change,
        environment: &Environment,
        directory: &Path,
    ) -> Result<(), ApplyError> {
        match change {
            Change::GoEnv { name, value, .. } => {
                if let Some(reason) = env_edit::refusal(name, value.as_deref().unwrap_or_default())
                {
                    return Err(ApplyError::Refused(reason));
                }
                let settings = GoEnv::load(environment);
                let path = settings.user_file().ok_or(ApplyError::NoUserFile)?;
                self.edit(path, |text| {
                    Ok(env_edit::edit(text, &[(name, value.as_deref())]))
                })
            }
            Change::Line {
                path,
                line,
                old,
                new,
            } => self.edit(path, |text| {
                edit_line(text, *line, old, new.as_deref())
                    .ok_or_else(|| ApplyError::Changed { path: path.clone() })
            }),
            Change::Git {
                level, key, value, ..
            } => self.git(*level, key, value.as_deref(), environment, directory),
            Change::Mode { path, mode, .. } => {
                let before = mode_of(path)?;
                self.steps.push(Step::Mode {
                    path: path.clone(),
                    before,
                    after: *mode,
                });
                Ok(())
            }
            Change::Remove { paths } => {
                for path in paths.iter().filter(|path| path.symlink_metadata().is_ok()) {
                    self.steps.push(Step::Remove {
                        path: path.clone(),
                        aside: aside(path),
                    });
                }
                Ok(())
            }
            Change::Variable { .. } | Change::Run { .. } => Err(ApplyError::ByHand),
        }
    }

    /// Plans new contents; several changes of one file become one step.
    fn edit(
        &mut self,
        path: &Path,
        change: impl FnOnce(&str) -> Result<String, ApplyError>,
    ) -> Result<(), ApplyError> {
        let planned = self.steps.iter_mut().find_map(|step| match step {
            Step::Write {
                path: there, after, ..
            } if there == path => Some(after),
            _ => None,
        });
        if let Some(after) = planned {
            let text = utf8(after.clone(), path)?;
            *after = change(&text)?.into_bytes();
            return Ok(());
        }
        let before = read(path)?;
        let text = utf8(before.clone().unwrap_or_default(), path)?;
        let after = change(&text)?.into_bytes();
        if before.as_ref() != Some(&after) {
            self.steps.push(Step::Write {
                path: path.to_owned(),
                before,
                after,
            });
        }
        Ok(())
    }

    /// git itself edits a copy of its file, so that the result is exactly what git would write.
    fn git(
        &mut self,
        level: GitLevel,
        key: &str,
        value: Option<&str>,
        environment: &Environment,
        directory: &Path,
    ) -> Result<(), ApplyError> {
        let path = git_file(level, environment, directory)
            .ok_or_else(|| ApplyError::Git(format!("no file for {}", level.option())))?;
        self.edit(&path, |text| {
            let copy = tempfile::NamedTempFile::new().map_err(|e| io_error(&path, e))?;
            fs::write(copy.path(), text).map_err(|e| io_error(copy.path(), e))?;
            let mut command = Command::new("git");
            command.arg("config").arg("--file").arg(copy.path());
            match value {
                Some(value) => command.args([key, value]),
                None => command.args(["--unset", key]),
            };
            if let Some(path) = environment.get("PATH") {
                command.env("PATH", path);
            }
            let output = command
                .stdin(Stdio::null())
                .output()
                .map_err(|e| ApplyError::Git(e.to_string()))?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(ApplyError::Git(format!("{} ({said})", output.status)));
            }
            utf8(
                fs::read(copy.path()).map_err(|e| io_error(copy.path(), e))?,
                &path,
            )
        })
    }

    /// Carries the steps out. When one fails, those before it are taken back.
    pub fn apply(self) -> Result<Applied, ApplyError> {
        let mut applied = Applied { done: Vec::new() };
        for step in self.steps {
            match forward(&step) {
                Ok(made) => applied.done.push((step, made)),
                Err(error) => {
                    applied.roll_back()?;
                    return Err(error);
                }
            }
        }
        Ok(applied)
    }
}

/// A fix that has been carried out and can still be taken back.
#[derive(Debug)]
#[must_use = "a fix is kept or rolled back"]
pub struct Applied {
    /// The steps, each with the directories that were made for it, outermost first.
    done: Vec<(Step, Vec<PathBuf>)>,
}

impl Applied {
    /// The steps that were carried out.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.done.iter().map(|(step, _)| step)
    }

    /// Restores every file to the byte, with its permissions. A file that somebody else has changed
    /// since is left alone, and the first such is the error.
    pub fn roll_back(self) -> Result<(), ApplyError> {
        let mut first = Ok(());
        for (step, made) in self.done.into_iter().rev() {
            let undone = backward(&step, &made);
            if first.is_ok() {
                first = undone;
            }
        }
        first
    }

    /// Keeps the changes: what was moved aside is removed for good.
    pub fn keep(self) -> Result<(), ApplyError> {
        for (step, _) in self.done {
            if let Step::Remove { aside, .. } = step {
                remove(&aside).map_err(|e| io_error(&aside, e))?;
            }
        }
        Ok(())
    }
}

fn forward(step: &Step) -> Result<Vec<PathBuf>, ApplyError> {
    match step {
        Step::Write {
            path,
            before,
            after,
        } => {
            if read(path)? != *before {
                return Err(ApplyError::Changed { path: path.clone() });
            }
            let made = make_parents(path)?;
            replace(path, after)?;
            Ok(made)
        }
        Step::Mode { path, after, .. } => set_mode(path, *after).map(|()| Vec::new()),
        Step::Remove { path, aside } => {
            move_aside(path, aside).map_err(|e| io_error(path, e))?;
            Ok(Vec::new())
        }
    }
}

fn backward(step: &Step, made: &[PathBuf]) -> Result<(), ApplyError> {
    match step {
        Step::Write {
            path,
            before,
            after,
        } => {
            if read(path)?.as_ref() != Some(after) {
                return Err(ApplyError::Changed { path: path.clone() });
            }
            match before {
                Some(before) => replace(path, before)?,
                None => fs::remove_file(path).map_err(|e| io_error(path, e))?,
            }
            for directory in made.iter().rev() {
                // Somebody may have put something into it meanwhile.
                let _ = fs::remove_dir(directory);
            }
            Ok(())
        }
        Step::Mode { path, before, .. } => set_mode(path, *before),
        Step::Remove { path, aside } => move_aside(aside, path).map_err(|e| io_error(path, e)),
    }
}

/// Replaces the contents in one go, through symbolic links, keeping the permissions.
fn replace(path: &Path, contents: &[u8]) -> Result<(), ApplyError> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = real.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        use std::io::Write as _;
        let mut draft = tempfile::NamedTempFile::new_in(directory)?;
        draft.write_all(contents)?;
        draft.as_file().sync_all()?;
        match fs::metadata(&real) {
            Ok(metadata) => fs::set_permissions(draft.path(), metadata.permissions())?,
            Err(_) => set_default_mode(draft.path())?,
        }
        draft.persist(&real).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|e| io_error(path, e))
}

fn make_parents(path: &Path) -> Result<Vec<PathBuf>, ApplyError> {
    let missing: Vec<PathBuf> = path
        .ancestors()
        .skip(1)
        .take_while(|directory| !directory.as_os_str().is_empty() && !directory.exists())
        .map(Path::to_owned)
        .collect();
    let parent = path.parent().unwrap_or(Path::new(""));
    if !missing.is_empty() {
        fs::create_dir_all(parent).map_err(|e| io_error(parent, e))?;
    }
    Ok(missing.into_iter().rev().collect())
}

fn edit_line(text: &str, line: usize, old: &str, new: Option<&str>) -> Option<String> {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let there = lines.get_mut(line.checked_sub(1)?)?;
    let end = there.trim_end_matches(['\r', '\n']).len();
    let (content, ending) = there.split_at_checked(end)?;
    if content != old {
        return None;
    }
    *there = new.map_or_else(String::new, |new| format!("{new}{ending}"));
    Some(lines.concat())
}

/// The file git writes for this level (git-config, "FILES").
fn git_file(level: GitLevel, environment: &Environment, directory: &Path) -> Option<PathBuf> {
    match level {
        GitLevel::System => {
            let named = environment.non_empty("GIT_CONFIG_SYSTEM");
            Some(PathBuf::from(named.unwrap_or("/etc/gitconfig")))
        }
        GitLevel::Global => {
            if let Some(named) = environment.non_empty("GIT_CONFIG_GLOBAL") {
                return Some(PathBuf::from(named));
            }
            let home = environment.home_dir().ok()?.join(".gitconfig");
            let xdg = environment.user_config_dir().ok()?.join("git/config");
            Some(if !home.exists() && xdg.exists() {
                xdg
            } else {
                home
            })
        }
        GitLevel::Local => directory
            .ancestors()
            .map(|dir| dir.join(".git/config"))
            .find(|file| file.is_file()),
    }
}

fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.aside-{}", std::process::id()))
}

/// A directory of the module cache is read-only, and cannot be renamed or removed as such on every
/// system.
fn move_aside(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && from.is_dir() => {
            let permissions = fs::metadata(from)?.permissions();
            set_writable(from)?;
            fs::rename(from, to)?;
            fs::set_permissions(to, permissions)
        }
        other => other,
    }
}

/// Removes a file, or a directory with everything in it, read-only as the module cache makes them.
///
/// # Errors
///
/// The operating system does not do it.
pub fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        make_writable_below(path)?;
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

fn make_writable_below(directory: &Path) -> io::Result<()> {
    set_writable(directory)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable_below(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn set_writable(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(directory)?.permissions().mode();
    fs::set_permissions(directory, fs::Permissions::from_mode(mode | 0o700))
}

#[cfg(not(unix))]
fn set_writable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn set_default_mode(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_default_mode(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn mode_of(path: &Path) -> Result<u32, ApplyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(path).map_err(|e| io_error(path, e))?;
    Ok(metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode_of(_: &Path) -> Result<u32, ApplyError> {
    Err(ApplyError::ByHand)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), ApplyError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|e| io_error(path, e))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> Result<(), ApplyError> {
    Err(ApplyError::ByHand)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, ApplyError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path, error)),
    }
}

fn utf8(bytes: Vec<u8>, path: &Path) -> Result<String, ApplyError> {
    String::from_utf8(bytes)
        .map_err(|error| io_error(path, io::Error::new(io::ErrorKind::InvalidData, error)))
}

fn io_error(path: &Path, source: io::Error) -> ApplyError {
    ApplyError::Io {
        path: path.to_owned(),
        source,
    }
}
