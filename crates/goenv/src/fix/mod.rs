//! What can be done about a finding, as data: shown as a command, or carried out and taken back.
//!
//! A [`Fix`] only says what is to be changed. [`Plan::of`] looks at the files concerned and works
//! out their new contents without writing anything; [`Plan::apply`] writes them and remembers what
//! was there; [`Applied::roll_back`] restores that to the byte.

mod env_edit;
mod plan;

pub use env_edit::{edit as edit_env_file, refusal as env_file_refusal};
pub use fault::Risk;
pub use plan::{Applied, ApplyError, Plan, Step, remove};

use std::path::PathBuf;

use crate::redact::redact_text;
use crate::shell::Shell;

/// Who is affected by a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// This shell and what it starts.
    Shell,
    /// This project.
    Project,
    /// Everything this user does on this machine.
    User,
    /// All users of this machine.
    System,
}

impl Scope {
    /// `shell`, `project`, `user` or `system`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Project => "project",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// Which of git's files a change goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GitLevel {
    /// The system's.
    System,
    /// The user's.
    Global,
    /// The repository's.
    Local,
}

impl GitLevel {
    /// git's option for this file.
    pub const fn option(self) -> &'static str {
        match self {
            Self::System => "--system",
            Self::Global => "--global",
            Self::Local => "--local",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A line of the file of `go env -w`; `None` removes it.
    GoEnv {
        /// The setting.
        name: String,
        /// What it shall be.
        value: Option<String>,
        /// What that file says now.
        previous: Option<String>,
    },
    /// A variable of the running shell, which only the person at it can change.
    Variable {
        /// Its name.
        name: String,
        /// What it shall be.
        value: Option<String>,
        /// What it is.
        previous: Option<String>,
    },
    /// A value of git's configuration; `None` removes it.
    Git {
        /// Which file.
        level: GitLevel,
        /// The key, such as `http.proxy`.
        key: String,
        /// What it shall be.
        value: Option<String>,
        /// What it is.
        previous: Option<String>,
    },
    /// One line of a text file.
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The line as it is, without its end. The change is refused when it is another by then.
        old: String,
        /// The line as it shall be; `None` removes it.
        new: Option<String>,
    },
    /// The permissions of a file.
    Mode {
        /// The file.
        path: PathBuf,
        /// What they shall be.
        mode: u32,
        /// What they are.
        previous: u32,
    },
    /// Files and directories of a cache, to be made again on next use.
    Remove {
        /// What is to be removed.
        paths: Vec<PathBuf>,
    },
    /// A command that is not carried out here.
    Run {
        /// Its words.
        command: Vec<String>,
        /// The command that takes it back.
        undo: Option<Vec<String>>,
    },
}

/// One way to remove the cause of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What is changed, in order.
    pub changes: Vec<Change>,
    /// Who is affected.
    pub scope: Scope,
    /// What it may do besides.
    pub risk: Risk,
}

impl Fix {
    /// A fix of one change.
    pub fn new(change: Change, scope: Scope, risk: Risk) -> Self {
        Self {
            changes: vec![change],
            scope,
            risk,
        }
    }

    /// The commands that make the changes, on one line. Passwords are masked.
    pub fn command(&self, shell: Shell) -> String {
        let commands: Vec<String> = self.changes.iter().map(|c| c.command(shell)).collect();
        shell.all_of(&commands)
    }

    /// The commands that take the changes back, on one line; `None` when something cannot be taken
    /// back by a command.
    pub fn undo(&self, shell: Shell) -> Option<String> {
        let commands: Option<Vec<String>> =
            self.changes.iter().rev().map(|c| c.undo(shell)).collect();
        Some(shell.all_of(&commands?))
    }

    /// True when [`Plan`] can carry it out.
    pub fn is_applicable(&self) -> bool {
        self.changes
            .iter()
            .all(|change| !matches!(change, Change::Variable { .. } | Change::Run { .. }))
    }
}

impl Change {
    fn command(&self, shell: Shell) -> String {
        match self {
            Self::GoEnv { name, value, .. } => go_env(shell, name, value.as_deref()),
            Self::Variable { name, value, .. } => {
                shell.variable(name, value.as_deref().map(redact_text).as_deref())
            }
            Self::Git {
                level, key, value, ..
            } => git(shell, *level, key, value.as_deref()),
            Self::Line {
                path,
                line,
                old,
                new,
            } => edit_line(shell, path, *line, old, new.as_deref()),
            Self::Mode { path, mode, .. } => {
                shell.line(&["chmod", &format!("{mode:o}"), &path.to_string_lossy()])
            }
            Self::Remove { paths } => remove_line(shell, paths),
            Self::Run { command, .. } => shell.line(command),
        }
    }

    fn undo(&self, shell: Shell) -> Option<String> {
        match self {
            Self::GoEnv { name, previous, .. } => Some(go_env(shell, name, previous.as_deref())),
            Self::Variable { name, previous, .. } => {
                Some(shell.variable(name, previous.as_deref().map(redact_text).as_deref()))
            }
            Self::Git {
                level,
                key,
                previous,
                ..
            } => Some(git(shell, *level, key, previous.as_deref())),
            Self::Line {
                path,
                line,
                old,
                new: Some(new),
            } => Some(edit_line(shell, path, *line, new, Some(old))),
            Self::Line {
                path,
                line,
                old,
                new: None,
            } => insert_line(shell, path, *line, old),
            Self::Mode { path, previous, .. } => {
                Some(shell.line(&["chmod", &format!("{previous:o}"), &path.to_string_lossy()]))
            }
            // What was removed is downloaded again, so nothing is lost.
            Self::Remove { .. } => None,
            Self::Run { undo, .. } => undo.as_ref().map(|words| shell.line(words)),
        }
    }
}

fn go_env(shell: Shell, name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => shell.line(&["go", "env", "-w", &format!("{name}={}", redact_text(value))]),
        None => shell.line(&["go", "env", "-u", name]),
    }
}

fn git(shell: Shell, level: GitLevel, key: &str, value: Option<&str>) -> String {
    let level = level.option();
    match value {
        Some(value) => shell.line(&["git", "config", level, key, &redact_text(value)]),
        None => shell.line(&["git", "config", level, "--unset", key]),
    }
}

/// `sed` with a line address; the person sees the line itself in the finding.
fn edit_line(
    shell: Shell,
    path: &std::path::Path,
    line: usize,
    old: &str,
    new: Option<&str>,
) -> String {
    let path = path.to_string_lossy();
    if matches!(shell, Shell::PowerShell | Shell::Cmd) {
        // No editor of lines is always there.
        return shell.line(&["notepad", &path]);
    }
    let script = match new {
        None => format!("{line}d"),
        Some(new) if !redact_text(old).eq(old) || new.contains('\n') => {
            return shell.line(&["vi", &format!("+{line}"), &path]);
        }
        Some(new) => format!("{line}c\\{}", new.replace('\\', r"\\")),
    };
    shell.line(&["sed", "-i.bak", &script, &path])
}

fn insert_line(shell: Shell, path: &std::path::Path, line: usize, text: &str) -> Option<String> {
    if matches!(shell, Shell::PowerShell | Shell::Cmd) || redact_text(text) != text {
        return None;
    }
    let script = format!("{line}i\\{}", text.replace('\\', r"\\"));
    Some(shell.line(&["sed", "-i.bak", &script, &path.to_string_lossy()]))
}

/// Directories of the module cache are read-only, so they are made writable first.
fn remove_line(shell: Shell, paths: &[PathBuf]) -> String {
    let mut words: Vec<String> = match shell {
        Shell::Posix | Shell::Fish => {
            let directories: Vec<String> = paths
                .iter()
                .filter(|path| path.is_dir())
                .map(|path| path.to_string_lossy().into_owned())
                .collect();
            if !directories.is_empty() {
                let mut chmod = vec!["chmod".to_owned(), "-R".to_owned(), "u+w".to_owned()];
                chmod.extend(directories);
                let mut rm = vec!["rm".to_owned(), "-rf".to_owned()];
                rm.extend(paths.iter().map(|path| path.to_string_lossy().into_owned()));
                return shell.all_of(&[shell.line(&chmod), shell.line(&rm)]);
            }
            vec!["rm".to_owned(), "-f".to_owned()]
        }
        Shell::PowerShell => vec![
            "Remove-Item".to_owned(),
            "-Recurse".to_owned(),
            "-Force".to_owned(),
        ],
        Shell::Cmd => vec!["del".to_owned(), "/f".to_owned()],
    };
    words.extend(paths.iter().map(|path| path.to_string_lossy().into_owned()));
    shell.line(&words)
}
