//! The file of `go env -w`, changed as `go env -w` and `go env -u` change it (cmd/go/internal/envcmd,
//! `updateEnvFile`).

use std::collections::BTreeMap;

/// The new text of the file. Each change is a name and its new value; `None` removes it.
///
/// Of several lines for one name only the last is kept, as it is the one that counts, and runs of
/// settings are sorted. Comments and lines that are no settings stay where they are.
pub fn edit(text: &str, changes: &[(&str, Option<&str>)]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push('\n');
    }
    let mut last: BTreeMap<String, usize> = BTreeMap::new();
    for at in 0..lines.len() {
        let Some(name) = lines
            .get(at)
            .and_then(|line| name_of(line))
            .map(str::to_owned)
        else {
            continue;
        };
        if let Some(before) = last
            .insert(name, at)
            .and_then(|before| lines.get_mut(before))
        {
            before.clear();
        }
    }
    for (name, value) in changes {
        let line = value.map(|value| format!("{name}={value}\n"));
        match (last.get(*name).and_then(|&at| lines.get_mut(at)), line) {
            (Some(there), line) => *there = line.unwrap_or_default(),
            (None, Some(line)) => lines.push(line),
            (None, None) => {}
        }
    }
    sort_runs(&mut lines);
    lines.concat()
}

/// Why go would refuse to write this value; `None` when it would not. In go's words.
pub fn refusal(name: &str, value: &str) -> Option<String> {
    let is_absolute = std::path::Path::new(value).is_absolute();
    match name {
        "GOEXE" | "GOGCCFLAGS" | "GOHOSTARCH" | "GOHOSTOS" | "GOMOD" | "GOWORK" | "GOTOOLDIR"
        | "GOVERSION" | "GOTELEMETRY" | "GOTELEMETRYDIR" => {
            return Some(format!("{name} cannot be modified"));
        }
        "GOENV" | "GODEBUG" => {
            return Some(format!("{name} can only be set using the OS environment"));
        }
        _ if !crate::key::is_known_to_go(name) => {
            return Some(format!("unknown go command variable {name}"));
        }
        "GO111MODULE" if !matches!(value, "" | "auto" | "on" | "off") => {
            return Some(format!("invalid {name} value {value:?}"));
        }
        "GOPATH" if value.starts_with('~') => {
            return Some(format!(
                "GOPATH entry cannot start with shell metacharacter '~': {value:?}"
            ));
        }
        "GOPATH" | "GOMODCACHE" if !is_absolute && !value.is_empty() => {
            return Some(format!(
                "{name} entry is relative; must be absolute path: {value:?}"
            ));
        }
        _ => {}
    }
    if value.contains('\0') {
        Some(format!("invalid NUL in {name}=... value"))
    } else if value.contains(['\u{b}', '\r', '\n']) {
        Some(format!("invalid newline in {name}=... value"))
    } else {
        None
    }
}

/// What stands before the first `=`, unless it holds a `#`.
fn name_of(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    (!name.contains('#') && !name.is_empty()).then_some(name)
}

fn sort_runs(lines: &mut [String]) {
    for run in lines.split_mut(|line| name_of(line).is_none()) {
        run.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
    }
}
