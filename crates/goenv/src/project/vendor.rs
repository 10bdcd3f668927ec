//! vendor/modules.txt against go.mod (modload/vendor.go).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use fault::{Risk, Rule};
use gomod::gover;
use gomod::modfile::Replacement;

use super::{Project, command};
use crate::finding::Finding;
use crate::key::Key;
use crate::report::{Report, read_text};
use crate::trace::goflags_mod;

/// What modules.txt says about a module.
#[derive(Default)]
struct Vendored {
    line: usize,
    is_explicit: bool,
    replacement: Option<String>,
}

/// True when go builds from the vendor directory.
pub(super) fn check(
    report: &Report,
    project: &Project,
    in_workspace: bool,
    found: &mut Vec<Finding>,
) -> bool {
    let path = project.directory.join("vendor/modules.txt");
    let go = project.file.go_version();
    let mode = goflags_mod(report.go.value(Key::GOFLAGS));
    let is_used = match mode {
        Some(mode) => mode == "vendor",
        None => gover::compare(go, "1.14") != Ordering::Less,
    };
    let text = read_text(&path).filter(|_| is_used && !in_workspace);
    let Some(text) = text else {
        return false;
    };
    let (modules, wildcards) = read(&text);
    let tidy = || command(&["go", "mod", "vendor"], Risk::Low);
    for (module, line, detail) in differences(project, &modules, &wildcards) {
        found.push(
            Finding::new(Rule::VendorDrift)
                .at(&path, line)
                .with("module", module)
                .with("detail", detail)
                .fix(tidy()),
        );
    }
    true
}

type Modules = BTreeMap<(String, String), Vendored>;

/// The modules with a version, and the replacements of all versions.
fn read(text: &str) -> (Modules, BTreeMap<String, String>) {
    let mut modules = Modules::new();
    let mut wildcards = BTreeMap::new();
    let mut last = None;
    for (at, line) in text.lines().enumerate() {
        if let Some(notes) = line.strip_prefix("## ") {
            let is_explicit = notes.split(';').any(|note| note.trim() == "explicit");
            if let Some(module) = last.as_ref().and_then(|key| modules.get_mut(key)) {
                module.is_explicit |= is_explicit;
            }
            continue;
        }
        let Some(rest) = line.strip_prefix("# ") else {
            continue;
        };
        let (module, replacement) = match rest.split_once(" => ") {
            Some((module, by)) => (module, Some(by.trim().to_owned())),
            None => (rest, None),
        };
        let mut words = module.split_whitespace();
        match (words.next(), words.next(), replacement) {
            (Some(path), Some(version), replacement) => {
                let key = (path.to_owned(), version.to_owned());
                let vendored = Vendored {
                    line: at + 1,
                    is_explicit: false,
                    replacement,
                };
                modules.insert(key.clone(), vendored);
                last = Some(key);
            }
            (Some(path), None, Some(by)) => {
                wildcards.insert(path.to_owned(), by);
                last = None;
            }
            _ => last = None,
        }
    }
    (modules, wildcards)
}

/// Module, line and what go says.
fn differences(
    project: &Project,
    modules: &Modules,
    wildcards: &BTreeMap<String, String>,
) -> Vec<(String, Option<usize>, String)> {
    let mut found = Vec::new();
    let required: Vec<(String, String)> = project
        .file
        .require()
        .iter()
        .map(|require| (require.path.clone(), require.version.as_str().to_owned()))
        .collect();
    for key in &required {
        let vendored = modules.get(key);
        if !vendored.is_some_and(|vendored| vendored.is_explicit) {
            let what = "is explicitly required in go.mod, but not marked as explicit in vendor/modules.txt";
            found.push((
                name(key),
                vendored.map(|vendored| vendored.line),
                what.to_owned(),
            ));
        }
    }
    replacements(project, modules, wildcards, &mut found);
    for (key, vendored) in modules {
        if vendored.is_explicit && !required.contains(key) {
            let what = "is marked as explicit in vendor/modules.txt, but not explicitly required in go.mod";
            found.push((name(key), Some(vendored.line), what.to_owned()));
        }
    }
    found
}

/// Each replacement has to stand in both files, with the same target.
fn replacements(
    project: &Project,
    modules: &Modules,
    wildcards: &BTreeMap<String, String>,
    found: &mut Vec<(String, Option<usize>, String)>,
) {
    for directive in project.file.replace() {
        let ours = shown(&directive.by);
        let (theirs, line, name) = match &directive.version {
            None => (wildcards.get(&directive.path), None, directive.path.clone()),
            Some(version) => {
                let key = (directive.path.clone(), version.as_str().to_owned());
                let vendored = modules.get(&key);
                (
                    vendored.and_then(|vendored| vendored.replacement.as_ref()),
                    vendored.map(|vendored| vendored.line),
                    name(&key),
                )
            }
        };
        let what = match theirs {
            None => {
                "is replaced in go.mod, but not marked as replaced in vendor/modules.txt".to_owned()
            }
            Some(theirs) if *theirs != ours => format!(
                "is replaced by {ours} in go.mod, but marked as replaced by {theirs} in vendor/modules.txt"
            ),
            Some(_) => continue,
        };
        found.push((name, line, what));
    }
    let what = "is marked as replaced in vendor/modules.txt, but not replaced in go.mod";
    for (key, vendored) in modules {
        if vendored.replacement.is_some() && project.replacement(&key.0, &key.1).is_none() {
            found.push((name(key), Some(vendored.line), what.to_owned()));
        }
    }
    for path in wildcards.keys() {
        if !project
            .file
            .replace()
            .iter()
            .any(|directive| directive.path == *path)
        {
            found.push((path.clone(), None, what.to_owned()));
        }
    }
}

fn name((path, version): &(String, String)) -> String {
    format!("{path}@{version}")
}

fn shown(replacement: &Replacement) -> String {
    match replacement {
        Replacement::Directory(directory) => directory.clone(),
        Replacement::Module { path, version } => format!("{path} {version}"),
    }
}
