//! Commands of the handbook, which are written for a POSIX shell, in the words of another one.

use goenv::Shell;

/// A POSIX command in the words of this shell, as far as it is made of assignments and simple commands.
pub(super) fn spell(shell: Shell, command: &str) -> String {
    let parts: Vec<String> = command
        .split("; ")
        .map(|part| spell_one(shell, part))
        .collect();
    parts.join(if shell == Shell::Cmd { " & " } else { "; " })
}

fn spell_one(shell: Shell, command: &str) -> String {
    if shell == Shell::Posix {
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
        Some((&"export", rest)) => match shell {
            Shell::Fish => {
                assignments(rest, &|name, value| format!("set -gx {name} \"{value}\"")).join("; ")
            }
            Shell::PowerShell => assignments(rest, &|name, value| {
                format!("$env:{name} = \"{}\"", powershell_value(value))
            })
            .join("; "),
            Shell::Cmd => assignments(rest, &|name, value| {
                format!("set {name}={}", cmd_value(value))
            })
            .join(" & "),
            Shell::Posix => command.to_owned(),
        },
        Some((&"unset", names)) => {
            let one = |name: &&str| match shell {
                Shell::Fish => format!("set -e {name}"),
                Shell::PowerShell => {
                    format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue")
                }
                Shell::Cmd => format!("set {name}="),
                Shell::Posix => format!("unset {name}"),
            };
            let separator = if shell == Shell::Cmd { " & " } else { "; " };
            names.iter().map(one).collect::<Vec<_>>().join(separator)
        }
        Some((first, rest))
            if first.contains('=') && !rest.is_empty() && !first.starts_with('-') =>
        {
            let set = assignments(&[first], &|name, value| match shell {
                Shell::PowerShell => format!("$env:{name} = '{value}'; "),
                Shell::Cmd => format!("set {name}={value}&& "),
                Shell::Fish | Shell::Posix => format!("env {name}={value} "),
            });
            format!("{}{}", set.concat(), rest.join(" "))
        }
        // cmd.exe knows no single quotes.
        _ if shell == Shell::Cmd => command.replace('\'', "\""),
        _ => command.to_owned(),
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
            assert_eq!(spell(shell, posix), expected, "{posix} {shell:?}");
        }
    }
}
