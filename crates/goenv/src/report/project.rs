//! What decides a download beside settings: flags that GOFLAGS holds, and lines of go.mod and go.work.

use gomod::gover;

use super::machine::Machine;
use super::toolchains::{Toolchains, above, nearest_work_file};
use super::{Row, SetBy};
use crate::key::Key;
use crate::origin::{Origin, Shadowed};
use crate::settings::GoEnv;

/// Flags that decide where modules come from.
const FLAGS: [&str; 4] = ["mod", "modfile", "modcacherw", "workfile"];

/// From this release on, a vendor directory is used without a flag.
const VENDOR_BY_DEFAULT: &str = "1.14";
/// The same of a workspace.
const WORK_VENDOR_BY_DEFAULT: &str = "1.22";

/// One row for each flag and each line.
pub(super) fn rows(machine: &Machine, go: &GoEnv, toolchains: &Toolchains) -> Vec<Row> {
    let mut rows: Vec<Row> = flags(go).collect();
    rows.extend(main_module(machine));
    let Some(wanted) = &toolchains.wanted else {
        return rows;
    };
    let from = |line: Option<usize>| Origin::ProjectFile {
        path: wanted.path.clone(),
        line,
    };
    if !wanted.go.is_empty() {
        rows.push(row("go", &wanted.go, from(wanted.go_line)));
    }
    if let Some(toolchain) = &wanted.toolchain {
        rows.push(row("toolchain", toolchain, from(wanted.toolchain_line)));
    }
    let least = match wanted.path.file_name().and_then(|name| name.to_str()) {
        Some("go.mod") => VENDOR_BY_DEFAULT,
        _ => WORK_VENDOR_BY_DEFAULT,
    };
    let is_vendored = wanted
        .path
        .parent()
        .is_some_and(|directory| directory.join("vendor/modules.txt").is_file());
    let is_new = !wanted.go.is_empty() && gover::compare(&wanted.go, least).is_ge();
    if is_vendored && is_new && rows.iter().all(|row| row.name != "-mod") {
        rows.push(row("-mod", "vendor", from(wanted.go_line)));
    }
    if machine.environment.non_empty("GO111MODULE") == Some("off") {
        // GOPATH mode looks at none of these files.
        rows.retain(|row| row.name.starts_with('-'));
    }
    rows
}

fn flags(go: &GoEnv) -> impl Iterator<Item = Row> {
    let words = go.value(Key::GOFLAGS).split_whitespace();
    let rows = words.filter_map(|word| {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
        let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
        let origin = Origin::Inherited { from: Key::GOFLAGS };
        FLAGS
            .contains(&name)
            .then(|| row(&format!("-{name}"), value, origin))
    });
    // Of a flag that stands there twice the last one counts.
    let mut last: Vec<Row> = Vec::new();
    for row in rows {
        last.retain(|known| known.name != row.name);
        last.push(row);
    }
    last.into_iter()
}

fn row(name: &str, value: &str, origin: Origin) -> Row {
    Row {
        name: name.to_owned(),
        value: value.to_owned(),
        origin,
        set_by: Vec::<SetBy>::new(),
        shadowed: Vec::new(),
        is_ignored: false,
        elsewhere: Vec::new(),
    }
}

/// The go.mod of the module that the directory lies in; without one, `go` works outside of modules.
fn main_module(machine: &Machine) -> Option<Row> {
    let path = above(&machine.directory, "go.mod")?;
    let nearest = Origin::Nearest {
        to: machine.directory.clone(),
    };
    Some(row("GOMOD", &path.to_string_lossy(), nearest))
}

/// Which go.work is in force: unless GOWORK names one it is looked for, and `off` passes over the one that is there.
pub(super) fn workspace(machine: &Machine, go: &GoEnv, rows: &mut [Row]) {
    let Some(row) = rows.iter_mut().find(|row| row.name == "GOWORK") else {
        return;
    };
    let Some(found) = nearest_work_file(&machine.directory, go) else {
        return;
    };
    let value = found.to_string_lossy().into_owned();
    let nearest = Origin::Nearest {
        to: machine.directory.clone(),
    };
    match go.value(Key::GOWORK) {
        "" | "auto" => {
            let was_set = row.origin != Origin::Default;
            let before = std::mem::replace(&mut row.value, value);
            let origin = std::mem::replace(&mut row.origin, nearest);
            if was_set {
                row.shadowed.insert(
                    0,
                    Shadowed {
                        value: before,
                        origin,
                    },
                );
            }
        }
        named if named != value => row.shadowed.insert(
            0,
            Shadowed {
                value,
                origin: nearest,
            },
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::environment::Environment;
    use crate::report::Report;

    fn rows_of(directory: &Path, pairs: &[(&str, &str)]) -> Vec<Row> {
        let mut all = vec![("GOENV", "off"), ("HOME", "/nonexistent")];
        all.extend(pairs);
        let machine = Machine {
            environment: Environment::from_pairs(all),
            directory: directory.to_owned(),
            root: directory.to_owned(),
            process: None,
            patience: std::time::Duration::from_secs(3),
        };
        Report::collect(machine).rows
    }

    fn rows_in(directory: &Path, pairs: &[(&str, &str)]) -> Vec<String> {
        let rows = rows_of(directory, pairs);
        let base = format!("{}/", directory.display());
        let of_project = rows.iter().filter(|row| {
            row.name.starts_with('-') || matches!(row.origin, Origin::ProjectFile { .. })
        });
        of_project
            .map(|row| format!("{}={} {}", row.name, row.value, row.origin).replace(&base, ""))
            .collect()
    }

    #[test]
    fn flags_and_lines_of_the_project_stand_with_their_places() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert!(rows_in(directory.path(), &[]).is_empty());
        write(
            "go.mod",
            "module a.test/m\n\ngo 1.24.0\n\ntoolchain go1.25.1\n",
        );
        let flags = [("GOFLAGS", "-v -mod=mod --mod=readonly -modcacherw")];
        assert_eq!(
            rows_in(directory.path(), &flags),
            [
                "-mod=readonly inherited from GOFLAGS",
                "-modcacherw=true inherited from GOFLAGS",
                "go=1.24.0 go.mod:3",
                "toolchain=go1.25.1 go.mod:5"
            ]
        );
        write("vendor/modules.txt", "");
        assert_eq!(rows_in(directory.path(), &[])[2], "-mod=vendor go.mod:3");
        write("go.work", "go 1.21\n\nuse .\n");
        assert_eq!(rows_in(directory.path(), &[]), ["go=1.21 go.work:1"]);
        let named = |pairs: &[(&str, &str)]| {
            let all = rows_of(directory.path(), pairs);
            let row = all.iter().find(|row| row.name == "GOWORK").unwrap();
            let base = format!("{}/", directory.path().display());
            let shadowed = row.shadowed.iter().map(ToString::to_string);
            [format!("{} ({})", row.value, row.origin)]
                .into_iter()
                .chain(shadowed)
                .map(|text| {
                    text.replace(&base, "")
                        .replace(base.trim_end_matches('/'), ".")
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(named(&[]), ["go.work (nearest to .)"]);
        assert_eq!(
            named(&[("GOWORK", "off")]),
            [
                "off (environment variable GOWORK)",
                "go.work (nearest to .)"
            ]
        );
        assert_eq!(
            named(&[("GOWORK", "auto")]),
            [
                "go.work (nearest to .)",
                "auto (environment variable GOWORK)"
            ]
        );
        let off = [("GO111MODULE", "off"), ("GOFLAGS", "-modfile=x.mod")];
        assert_eq!(
            rows_in(directory.path(), &off),
            ["-modfile=x.mod inherited from GOFLAGS"]
        );
    }
}
