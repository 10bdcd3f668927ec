//! go.work: what it says, and whether the module here is part of it.

use std::path::{Path, PathBuf};

use fault::{Risk, Rule};
use gomod::modfile::WorkFile;

use super::{command, syntax};
use crate::finding::Finding;
use crate::fix::{Change, Fix, Scope};
use crate::paths::clean;
use crate::report::{Report, above, read_text, work_file};

/// Checks the go.work file in use; returns its path when there is one.
pub(super) fn check(report: &Report, found: &mut Vec<Finding>) -> Option<PathBuf> {
    let path = work_file(&report.machine.directory, &report.go).filter(|path| path.is_file())?;
    let file = match WorkFile::parse("go.work", read_text(&path)?.as_bytes()) {
        Ok(file) => file,
        Err(errors) => {
            found.extend(syntax(&path, &errors));
            return Some(path);
        }
    };
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let modules: Vec<PathBuf> = file
        .uses()
        .iter()
        .map(|used| clean(&base.join(&used.path)))
        .collect();
    let lines = read_text(&path)?;
    for (used, directory) in file.uses().iter().zip(&modules) {
        if !directory.join("go.mod").is_file() {
            let line = lines.lines().position(|line| {
                line.split_whitespace()
                    .any(|word| word.trim_matches('"') == used.path)
            });
            found.push(
                Finding::new(Rule::WorkspaceUse)
                    .at(&path, line.map(|at| at + 1))
                    .with("value", &used.path)
                    .fix(command(
                        &["go", "work", "edit", &format!("-dropuse={}", used.path)],
                        Risk::Low,
                    )),
            );
        }
    }
    let here = above(&report.machine.directory, "go.mod")?;
    let here = clean(here.parent()?);
    if !modules.contains(&here) {
        let change = Change::Variable {
            name: "GOWORK".to_owned(),
            value: Some("off".to_owned()),
            previous: report.machine.environment.get("GOWORK").map(str::to_owned),
        };
        let target = here.to_string_lossy().into_owned();
        found.push(
            Finding::new(Rule::WorkspaceShadows)
                .about("GOWORK")
                .at(&path, None)
                .with("value", &target)
                .fix(command(&["go", "work", "use", &target], Risk::Low))
                .fix(Fix::new(change, Scope::Shell, Risk::None)),
        );
    }
    Some(path)
}
