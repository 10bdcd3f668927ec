//! What is wrong in a project's own files: go.mod, go.work, go.sum, vendor/modules.txt.

mod sums;
mod vendor;
mod work;

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use fault::{Risk, Rule, Severity};
use gomod::gover;
use gomod::modfile::{ModFile, ParseErrors, Replacement};

use crate::finding::Finding;
use crate::fix::{Change, Fix, Scope};
use crate::report::{Report, above, read_text};

/// All findings about the project that the report's directory lies in, in the order of its files.
/// Outside of a project there is one note.
pub fn findings(report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    let workspace = work::check(report, &mut found);
    let Some(path) = above(&report.machine.directory, "go.mod") else {
        if workspace.is_none() {
            let directory = &report.machine.directory;
            found.push(Finding::new(Rule::GomodMissing).at(directory, None));
        }
        return found;
    };
    let Some(text) = read_text(&path) else {
        return found;
    };
    check_go_line(report, &path, &mut found);
    match ModFile::parse("go.mod", text.as_bytes()) {
        Err(errors) => found.extend(syntax(&path, &errors)),
        Ok(file) => {
            let project = Project {
                directory: path.parent().map(Path::to_owned).unwrap_or_default(),
                path,
                file,
            };
            project.check_replacements(&mut found);
            let uses_vendor = vendor::check(report, &project, workspace.is_some(), &mut found);
            sums::check(&project, uses_vendor || workspace.is_some(), &mut found);
        }
    }
    found
}

/// One finding for each line that go refuses.
fn syntax(path: &Path, errors: &ParseErrors) -> Vec<Finding> {
    let of = |error: &gomod::modfile::ParseError| {
        Finding::new(Rule::GomodSyntax)
            .at(path, Some(error.position.line))
            .with("detail", error.fault.to_string())
    };
    errors.iter().map(of).collect()
}

/// Go before 1.21 cannot read a `go` line with three numbers.
fn check_go_line(report: &Report, path: &Path, found: &mut Vec<Finding>) {
    let (Some(wanted), Some(have)) = (&report.toolchains.wanted, report.toolchains.version())
    else {
        return;
    };
    let is_old = gover::compare(have, "1.21") == Ordering::Less;
    if is_old && wanted.path == path && wanted.go.matches('.').count() > 1 {
        found.push(
            Finding::new(Rule::GoLineFormat)
                .at(path, wanted.go_line)
                .with("version", &wanted.go)
                .with("other", have),
        );
    }
}

/// A go.mod that go can read.
struct Project {
    path: PathBuf,
    directory: PathBuf,
    file: ModFile,
}

impl Project {
    fn check_replacements(&self, found: &mut Vec<Finding>) {
        for directive in self.file.replace() {
            let Replacement::Directory(target) = &directive.by else {
                continue;
            };
            let line = self.file.position(directive).map(|position| position.line);
            let directory = self.directory.join(target);
            let is_there = directory.join("go.mod").is_file();
            let rule = if is_there {
                Rule::ReplaceLocal
            } else {
                Rule::ReplaceMissing
            };
            let mut finding = Finding::new(rule)
                .at(&self.path, line)
                .with("module", &directive.path)
                .with("value", target);
            if !is_there && !self.requires(&directive.path) {
                // go does not look at a replacement it does not need.
                finding = finding.severity(Severity::Note);
            }
            if !is_there {
                finding = finding.fix(command(
                    &[
                        "go",
                        "mod",
                        "edit",
                        &format!("-dropreplace={}", directive.path),
                    ],
                    Risk::Low,
                ));
            }
            found.push(finding);
        }
    }

    fn requires(&self, path: &str) -> bool {
        self.file
            .require()
            .iter()
            .any(|require| require.path == path)
    }

    /// What takes the place of a module, if anything.
    fn replacement(&self, path: &str, version: &str) -> Option<&Replacement> {
        let of = |exact: bool| {
            self.file.replace().iter().find(move |directive| {
                directive.path == path
                    && match &directive.version {
                        Some(its) => exact && its.as_str() == version,
                        None => !exact,
                    }
            })
        };
        of(true)
            .or_else(|| of(false))
            .map(|directive| &directive.by)
    }
}

/// A command that a person runs in the project.
fn command(words: &[&str], risk: Risk) -> Fix {
    let change = Change::Run {
        command: words.iter().map(|word| (*word).to_owned()).collect(),
        undo: None,
    };
    Fix::new(change, Scope::Project, risk)
}
