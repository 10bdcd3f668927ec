//! Which `go` is found, and which one the project wants.

use std::iter;
use std::path::{Path, PathBuf};

use gomod::gover;
use gomod::modfile::{ModFile, WorkFile};

use super::machine::{Machine, read_text};
use crate::goroot;
use crate::key::Key;
use crate::settings::GoEnv;

/// A `go` program in `PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoProgram {
    /// As found in `PATH`.
    pub path: PathBuf,
    /// Where that leads to.
    pub resolved: PathBuf,
    /// The release its tree says it is, such as `go1.26.1`.
    pub version: Option<String>,
}

/// What a project asks of the toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The go.mod or go.work that says so.
    pub path: PathBuf,
    /// The `go` line's version, such as `1.24.0`; empty when there is none.
    pub go: String,
    /// Its line, from 1.
    pub go_line: Option<usize>,
    /// The `toolchain` line's name.
    pub toolchain: Option<String>,
    /// Its line, from 1.
    pub toolchain_line: Option<usize>,
}

/// The toolchains of a machine.
#[derive(Clone, Debug, Default)]
pub struct Toolchains {
    /// The programs in `PATH`, each only once, in order.
    pub programs: Vec<GoProgram>,
    /// What the project in the directory wants.
    pub wanted: Option<Wanted>,
}

impl Toolchains {
    /// Looks at `PATH` and at the project's files. Nothing is run.
    pub fn read(machine: &Machine, go: &GoEnv) -> Self {
        let name = format!("go{}", std::env::consts::EXE_SUFFIX);
        let mut programs: Vec<GoProgram> = Vec::new();
        for path in machine.environment.path_matches(&name).take(32) {
            let Ok(resolved) = path.canonicalize() else {
                continue;
            };
            if programs.iter().all(|known| known.resolved != resolved) {
                let tree = resolved
                    .ancestors()
                    .skip(2)
                    .take(2)
                    .find_map(goroot::version_of);
                programs.push(GoProgram {
                    version: tree,
                    path,
                    resolved,
                });
            }
        }
        Self {
            programs,
            wanted: wanted(machine, go),
        }
    }

    /// The version of the first program, without `go` in front.
    pub fn version(&self) -> Option<&str> {
        let name = self.programs.first()?.version.as_deref()?;
        gover::from_toolchain(name)
    }
}

/// The go.work file go would use in this directory, whether it exists or not; none when workspaces
/// are off or none is found.
pub fn work_file(directory: &Path, go: &GoEnv) -> Option<PathBuf> {
    match go.value(Key::GOWORK) {
        "off" => None,
        "" | "auto" => nearest_work_file(directory, go),
        named => Some(PathBuf::from(named)),
    }
}

/// The go.work file in the directory or the nearest one above it. From within GOROOT the search ends below GOROOT: the
/// modules of Go itself bring what they need (cmd/go/internal/modload/init.go, `findWorkspaceFile`).
pub(super) fn nearest_work_file(directory: &Path, go: &GoEnv) -> Option<PathBuf> {
    // Compared as text, which is what `go` does: a GOROOT written in another way is none that it comes to.
    let goroot = go.value(Key::GOROOT);
    let mut directories = iter::successors(Some(directory), |directory| {
        directory
            .parent()
            .filter(|parent| parent.as_os_str() != goroot)
    });
    directories.find_map(|directory| file_in(directory, "go.work"))
}

/// The file of that name in the directory or the nearest one above it.
pub(crate) fn above(directory: &Path, name: &str) -> Option<PathBuf> {
    let mut directories = directory.ancestors();
    directories.find_map(|directory| file_in(directory, name))
}

fn file_in(directory: &Path, name: &str) -> Option<PathBuf> {
    let file = directory.join(name);
    file.is_file().then_some(file)
}

fn wanted(machine: &Machine, go: &GoEnv) -> Option<Wanted> {
    let work = work_file(&machine.directory, go).filter(|path| path.is_file());
    if let Some(path) = work {
        let text = read_text(&path)?;
        let file = WorkFile::parse("go.work", text.as_bytes()).ok()?;
        return Some(Wanted {
            go: file
                .go()
                .map(|line| line.version.clone())
                .unwrap_or_default(),
            go_line: line_of(&text, "go"),
            toolchain: file.toolchain().map(|line| line.name.clone()),
            toolchain_line: line_of(&text, "toolchain"),
            path,
        });
    }
    let path = above(&machine.directory, "go.mod")?;
    let text = read_text(&path)?;
    // Leniently only where it has errors: a lenient reader passes over `toolchain`.
    let file = ModFile::parse("go.mod", text.as_bytes())
        .or_else(|_| ModFile::parse_lax("go.mod", text.as_bytes()))
        .ok()?;
    let line = file.go().and_then(|line| file.position(line));
    let toolchain_line = file.toolchain().and_then(|line| file.position(line));
    Some(Wanted {
        go: file
            .go()
            .map(|line| line.version.clone())
            .unwrap_or_default(),
        go_line: line.map(|position| position.line),
        toolchain: file.toolchain().map(|line| line.name.clone()),
        toolchain_line: toolchain_line.map(|position| position.line),
        path,
    })
}

/// The line that begins with a word; neither `go` nor `toolchain` stands in a block.
fn line_of(text: &str, word: &str) -> Option<usize> {
    let at = text
        .lines()
        .position(|line| line.split_whitespace().next() == Some(word))?;
    Some(at + 1)
}
