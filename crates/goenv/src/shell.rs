//! Commands as a person can paste them into their shell.

use crate::environment::Environment;

/// A shell, by the way it quotes words and sets variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shell {
    /// sh, bash, zsh, dash.
    #[default]
    Posix,
    /// fish.
    Fish,
    /// `PowerShell`.
    PowerShell,
    /// cmd.exe.
    Cmd,
}

impl Shell {
    /// The shell the environment tells of: `SHELL` where it is set, else what the system uses.
    pub fn of(environment: &Environment) -> Self {
        if let Some(shell) = environment.non_empty("SHELL") {
            let name = shell.rsplit(['/', '\\']).next().unwrap_or(shell);
            return match name.strip_suffix(".exe").unwrap_or(name) {
                "fish" => Self::Fish,
                "pwsh" | "powershell" => Self::PowerShell,
                _ => Self::Posix,
            };
        }
        match (cfg!(windows), environment.non_empty("PSModulePath")) {
            (true, Some(paths)) if paths.to_lowercase().contains("documents") => Self::PowerShell,
            (true, _) => Self::Cmd,
            (false, _) => Self::Posix,
        }
    }

    /// One word, quoted if it has to be.
    pub fn quote(self, word: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:/@%+,=-".contains(c);
        let special: &[char] = match self {
            Self::Posix | Self::Fish => &[],
            Self::PowerShell => &[',', '@'],
            Self::Cmd => &['%'],
        };
        let is_plain = !word.is_empty() && word.chars().all(plain) && !word.contains(special);
        if is_plain {
            return word.to_owned();
        }
        match self {
            Self::Posix => format!("'{}'", word.replace('\'', r"'\''")),
            Self::Fish => format!("'{}'", word.replace('\\', r"\\").replace('\'', r"\'")),
            Self::PowerShell => format!("'{}'", word.replace('\'', "''")),
            // Inside of quotes cmd.exe still expands percent signs.
            Self::Cmd => format!("\"{}\"", word.replace('"', "\\\"").replace('%', "%%")),
        }
    }

    /// A command line.
    pub fn line<S: AsRef<str>>(self, words: &[S]) -> String {
        let words: Vec<String> = words.iter().map(|word| self.quote(word.as_ref())).collect();
        words.join(" ")
    }

    /// The line that sets a variable for this shell and what it starts, or removes it.
    pub fn variable(self, name: &str, value: Option<&str>) -> String {
        match (self, value) {
            (Self::Posix, Some(value)) => format!("export {name}={}", self.quote(value)),
            (Self::Posix, None) => format!("unset {name}"),
            (Self::Fish, Some(value)) => format!("set -gx {name} {}", self.quote(value)),
            (Self::Fish, None) => format!("set -e {name}"),
            (Self::PowerShell, Some(value)) => {
                format!("$env:{name} = '{}'", value.replace('\'', "''"))
            }
            (Self::PowerShell, None) => format!("Remove-Item Env:{name}"),
            (Self::Cmd, Some(value)) => format!("set \"{name}={}\"", value.replace('%', "%%")),
            (Self::Cmd, None) => format!("set {name}="),
        }
    }

    /// Puts commands on one line, to be run one after the other while they succeed.
    pub fn all_of(self, commands: &[String]) -> String {
        commands.join(match self {
            Self::Posix | Self::Cmd => " && ",
            Self::Fish => "; and ",
            Self::PowerShell => "; ",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell_that_reads_them() {
        let rows = [
            (Shell::Posix, "https://a,direct", "https://a,direct"),
            (Shell::Posix, "https://a|direct", "'https://a|direct'"),
            (Shell::Posix, "it's $HOME", r"'it'\''s $HOME'"),
            (Shell::Posix, "", "''"),
            (Shell::Fish, r"a\'b", r"'a\\\'b'"),
            (Shell::PowerShell, "a,b", "'a,b'"),
            (Shell::PowerShell, "it's", "'it''s'"),
            (Shell::Cmd, "a|b", "\"a|b\""),
            (Shell::Cmd, "50%", "\"50%%\""),
        ];
        for (shell, word, expected) in rows {
            assert_eq!(shell.quote(word), expected, "{shell:?} {word}");
        }
    }

    #[test]
    fn variables_are_set_and_removed_in_every_shell() {
        let rows = [
            (Shell::Posix, "export A='x y'", "unset A"),
            (Shell::Fish, "set -gx A 'x y'", "set -e A"),
            (Shell::PowerShell, "$env:A = 'x y'", "Remove-Item Env:A"),
            (Shell::Cmd, "set \"A=x y\"", "set A="),
        ];
        for (shell, set, unset) in rows {
            assert_eq!(shell.variable("A", Some("x y")), set);
            assert_eq!(shell.variable("A", None), unset);
        }
    }

    #[test]
    fn the_shell_is_told_by_its_variable() {
        for (value, expected) in [
            ("/bin/bash", Shell::Posix),
            ("/usr/bin/fish", Shell::Fish),
            ("/opt/pwsh", Shell::PowerShell),
        ] {
            assert_eq!(
                Shell::of(&Environment::from_pairs([("SHELL", value)])),
                expected
            );
        }
    }
}
