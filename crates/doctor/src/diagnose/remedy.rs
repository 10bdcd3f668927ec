//! The fixes of a cause, in the words of the shell they are pasted into, each with its scope and how to undo it.

use fault::{Lang, Risk};
use goenv::{GoEnv, Key, Origin};

use super::Finding;

/// A command language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// sh, bash, zsh.
    Posix,
    /// fish.
    Fish,
    /// PowerShell.
    PowerShell,
    /// cmd.exe.
    Cmd,
}

/// How far a fix reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    None,
    Session,
    User,
    System,
}

impl Scope {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Session => "session",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// One way to remove a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What to do, in words.
    pub text: String,
    /// The command as it can be pasted.
    pub command: Option<String>,
    /// The command that takes it back.
    pub undo: Option<String>,
    /// What it may change.
    pub risk: Risk,
    pub(crate) scope: Scope,
}

impl Remedy {
    /// The setting of `go env -w` that the command makes, if it is no more than that.
    pub fn setting(&self) -> Option<(Key, String)> {
        setting(self.command.as_deref()?)
    }
}

impl Finding {
    /// The remedies of this cause, the recommended one first.
    pub fn remedies(&self, settings: &GoEnv, shell: Shell, lang: Lang) -> Vec<Remedy> {
        let subjects = &self.failure.subjects;
        let advice = self.label().advice(lang);
        let remedies = advice.fixes.iter().map(|fix| {
            let posix = fix
                .command
                .as_deref()
                .map(|command| subjects.fill_command(command));
            let scope = posix
                .as_deref()
                .map_or(Scope::None, |command| scope(command, fix.risk));
            Remedy {
                text: subjects.fill_text(&fix.text, lang),
                undo: posix
                    .as_deref()
                    .and_then(|command| undo(command, settings, shell)),
                command: posix.map(|command| shell.spell(&command)),
                risk: fix.risk,
                scope,
            }
        });
        remedies.collect()
    }
}

fn scope(command: &str, risk: Risk) -> Scope {
    if risk == Risk::None {
        return Scope::None;
    }
    match command.split_whitespace().next() {
        Some("export" | "unset") => Scope::Session,
        Some("go" | "git" | "chmod" | "printf") => Scope::User,
        Some(word) if word.contains('=') => Scope::None,
        _ => Scope::System,
    }
}

/// `KEY=VALUE` of a lone `go env -w`.
fn setting(command: &str) -> Option<(Key, String)> {
    let assignment = command.strip_prefix("go env -w ")?;
    let (name, value) = assignment.split_once('=')?;
    let value = value.trim_matches('\'');
    let plain = !value.contains(|c: char| c.is_whitespace() || ";&$`\"'()<>".contains(c));
    Some((Key::from_name(name)?, value.to_owned())).filter(|_| plain)
}

/// What puts things back as they were.
fn undo(command: &str, settings: &GoEnv, shell: Shell) -> Option<String> {
    if let Some((key, _)) = setting(command) {
        let before = settings.get(key);
        let was_in_file = matches!(before.origin, Origin::UserFile { .. });
        return Some(if was_in_file {
            shell.spell(&format!(
                "go env -w {}='{}'",
                key.name(),
                before.redacted_value()
            ))
        } else {
            format!("go env -u {}", key.name())
        });
    }
    let assignments = command.strip_prefix("export ")?;
    let names: Vec<&str> = assignments
        .split_whitespace()
        .filter_map(|word| Some(word.split_once('=')?.0))
        .collect();
    Some(shell.spell(&format!("unset {}", names.join(" "))))
}

impl Shell {
    /// The shell that `SHELL` names, or the usual one of the system.
    pub fn of(shell_variable: Option<&str>) -> Self {
        match shell_variable.and_then(|path| path.rsplit(['/', '\\']).next()) {
            Some("fish") => Self::Fish,
            Some("pwsh" | "powershell" | "powershell.exe" | "pwsh.exe") => Self::PowerShell,
            Some("cmd.exe" | "cmd") => Self::Cmd,
            None if cfg!(windows) => Self::PowerShell,
            Some(_) | None => Self::Posix,
        }
    }

    /// A POSIX command in the words of this shell, as far as it is made of assignments and simple commands.
    fn spell(self, command: &str) -> String {
        let parts: Vec<String> = command
            .split("; ")
            .map(|part| self.spell_one(part))
            .collect();
        parts.join(if self == Self::Cmd { " & " } else { "; " })
    }

    fn spell_one(self, command: &str) -> String {
        if self == Self::Posix {
            return command.to_owned();
        }
        let words: Vec<&str> = command.split(' ').collect();
        let assignments = |words: &[&str], set: &dyn Fn(&str, &str) -> String| {
            let set: Vec<String> = words
                .iter()
                .filter_map(|word| word.split_once('='))
                .map(|(name, value)| set(name, value.trim_matches(['"', '\''])))
                .collect();
            set
        };
        match words.split_first() {
            Some((&"export", rest)) => match self {
                Self::Fish => {
                    assignments(rest, &|name, value| format!("set -gx {name} \"{value}\""))
                        .join("; ")
                }
                Self::PowerShell => assignments(rest, &|name, value| {
                    format!("$env:{name} = \"{}\"", powershell_value(value))
                })
                .join("; "),
                Self::Cmd => assignments(rest, &|name, value| {
                    format!("set {name}={}", cmd_value(value))
                })
                .join(" & "),
                Self::Posix => command.to_owned(),
            },
            Some((&"unset", names)) => {
                let one = |name: &&str| match self {
                    Self::Fish => format!("set -e {name}"),
                    Self::PowerShell => {
                        format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue")
                    }
                    Self::Cmd => format!("set {name}="),
                    Self::Posix => format!("unset {name}"),
                };
                let separator = if self == Self::Cmd { " & " } else { "; " };
                names.iter().map(one).collect::<Vec<_>>().join(separator)
            }
            Some((first, rest))
                if first.contains('=') && !rest.is_empty() && !first.starts_with('-') =>
            {
                let set = assignments(&[first], &|name, value| match self {
                    Self::PowerShell => format!("$env:{name} = '{value}'; "),
                    Self::Cmd => format!("set {name}={value}&& "),
                    Self::Fish | Self::Posix => format!("env {name}={value} "),
                });
                format!("{}{}", set.concat(), rest.join(" "))
            }
            // cmd.exe knows no single quotes.
            _ if self == Self::Cmd => command.replace('\'', "\""),
            _ => command.to_owned(),
        }
    }
}

fn powershell_value(value: &str) -> String {
    match value.strip_prefix('$') {
        Some(name) => format!("$env:{name}"),
        None => value.to_owned(),
    }
}

fn cmd_value(value: &str) -> String {
    match value.strip_prefix('$') {
        Some(name) => format!("%{name}%"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_spelled_for_the_shell() {
        let rows = [
            (
                "export HTTPS_PROXY=http://p:1",
                Shell::Fish,
                "set -gx HTTPS_PROXY \"http://p:1\"",
            ),
            (
                "export HTTPS_PROXY=\"$HTTP_PROXY\"",
                Shell::PowerShell,
                "$env:HTTPS_PROXY = \"$env:HTTP_PROXY\"",
            ),
            ("export A=b", Shell::Cmd, "set A=b"),
            ("unset A B", Shell::Fish, "set -e A; set -e B"),
            (
                "NO_PROXY=h go mod download",
                Shell::PowerShell,
                "$env:NO_PROXY = 'h'; go mod download",
            ),
            (
                "NO_PROXY=h go mod download",
                Shell::Cmd,
                "set NO_PROXY=h&& go mod download",
            ),
            (
                "go env -w GOPROXY='a|b'",
                Shell::Cmd,
                "go env -w GOPROXY=\"a|b\"",
            ),
            (
                "go env -w GOPROXY='a|b'",
                Shell::Posix,
                "go env -w GOPROXY='a|b'",
            ),
        ];
        for (posix, shell, expected) in rows {
            assert_eq!(shell.spell(posix), expected, "{posix} {shell:?}");
        }
    }

    #[test]
    fn a_lone_setting_is_recognized() {
        assert_eq!(
            setting("go env -w GOPROXY='https://a|https://b'"),
            Some((Key::GOPROXY, "https://a|https://b".to_owned()))
        );
        assert_eq!(setting("go env -w GOPROXY=x; rm y"), None);
        assert_eq!(setting("go env -u GOPROXY"), None);
    }

    #[test]
    fn shells_are_told_by_their_program() {
        assert_eq!(Shell::of(Some("/usr/bin/fish")), Shell::Fish);
        assert_eq!(Shell::of(Some("/bin/zsh")), Shell::Posix);
        assert_eq!(Shell::of(Some("pwsh")), Shell::PowerShell);
    }
}
