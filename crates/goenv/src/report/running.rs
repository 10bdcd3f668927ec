//! Other `go` commands of this machine, and the settings that they run with.
//!
//! An editor starts `gopls` with variables of its own; a service or a terminal of long ago keeps those of its start. What
//! such a process has differs from what is set here, and explains a download that fails there only.

use super::Row;
use super::machine::{Machine, read_text};
use super::provenance::variables_of;
use crate::redact::redact_text;

/// Programs that download modules, or run `go` for it.
const PROGRAMS: [&str; 4] = ["go", "gopls", "dlv", "golangci-lint"];
/// Most processes that are looked at.
const MOST: usize = 20_000;

/// A setting with which another process runs.
#[derive(Clone, PartialEq, Eq)]
pub struct Running {
    /// Number of the process.
    pub id: u32,
    /// Its program.
    pub program: String,
    /// Its value; it may hold a password. `None` when it has none, while one is set here.
    pub value: Option<String>,
}

impl Running {
    /// The value without passwords.
    pub fn redacted_value(&self) -> Option<String> {
        self.value.as_deref().map(redact_text)
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("id", &self.id)
            .field("program", &self.program)
            .field("value", &self.redacted_value())
            .finish()
    }
}

/// Adds to each row the processes whose environment says something else.
pub(super) fn compare(machine: &Machine, rows: &mut [Row]) {
    let Some(own) = machine.process else {
        return;
    };
    for (id, program) in programs(machine, own) {
        // That of other users cannot be read.
        let Some(variables) = variables_of(machine, id) else {
            continue;
        };
        for row in rows.iter_mut().filter(|row| is_variable(row)) {
            let its = variables
                .iter()
                .find(|(name, _)| *name == row.name)
                .map(|(_, value)| value.as_str())
                .filter(|value| !value.is_empty());
            let own = machine.environment.non_empty(&row.name);
            let differs = match its {
                // A parent hands down what it has worked out itself, such as GOROOT.
                Some(value) => value != row.value && own != its,
                None => own.is_some(),
            };
            if differs {
                row.elsewhere.push(Running {
                    id,
                    program: program.clone(),
                    value: its.map(str::to_owned),
                });
            }
        }
    }
}

/// Whether the row is of a variable that decides a download by itself: a home is one person's, and `go` sets GOROOT for the
/// programs that it runs.
fn is_variable(row: &Row) -> bool {
    !matches!(row.name.as_str(), "GOROOT" | "HOME")
}

fn programs(machine: &Machine, own: u32) -> Vec<(u32, String)> {
    let Ok(entries) = std::fs::read_dir(machine.system("/proc")) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, String)> = entries
        .take(MOST)
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id| *id != own && is_own(machine, *id))
        .filter_map(|id: u32| {
            let name = read_text(&machine.system(&format!("/proc/{id}/comm")))?;
            let name = name.trim();
            PROGRAMS.contains(&name).then(|| (id, name.to_owned()))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Whether a process is of the user this one acts as: what others have set is no business of a diagnosis.
#[cfg(unix)]
fn is_own(machine: &Machine, id: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(machine.system(&format!("/proc/{id}")));
    owner.is_ok_and(|owner| super::effective_user() == Some(owner.uid()))
}

#[cfg(not(unix))]
fn is_own(_machine: &Machine, _id: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use crate::environment::Environment;
    use crate::report::{Machine, Report};

    #[test]
    fn what_a_running_gopls_has_otherwise_stands_beside_the_setting() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/40/comm", "gopls\n");
        write(
            "proc/40/environ",
            "GOPROXY=https://u:hunter2@p.example\0GOFLAGS=-mod=mod\0GOSUMDB=\0GOROOT=/x\0GOENV=off\0",
        );
        write("proc/41/comm", "bash\n");
        write("proc/41/environ", "GOPROXY=off\0");
        write("proc/42/comm", "go\n");
        let machine = Machine {
            environment: Environment::from_pairs([
                ("GOENV", "off"),
                ("HOME", "/nonexistent"),
                ("GOFLAGS", "-mod=mod"),
                ("GOSUMDB", "sum.golang.org"),
            ]),
            directory: root.path().to_owned(),
            root: root.path().to_owned(),
            process: Some(9),
            patience: std::time::Duration::from_secs(1),
        };
        let report = Report::collect(machine);
        let told: Vec<String> = report
            .rows
            .iter()
            .flat_map(|row| {
                row.elsewhere.iter().map(move |its| {
                    format!(
                        "{} {} {} {:?}",
                        row.name,
                        its.id,
                        its.program,
                        its.redacted_value()
                    )
                })
            })
            .collect();
        assert_eq!(
            told,
            [
                "GOPROXY 40 gopls Some(\"https://u:xxxxx@p.example\")",
                "GOSUMDB 40 gopls None",
            ]
        );
        assert!(!format!("{report:?}").contains("hunter2"));
    }
}
