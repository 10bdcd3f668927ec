//! go.sum: lines that are no lines, and hashes that are missing.

use fault::{Risk, Rule};
use gomod::gosum::GoSum;
use gomod::modfile::Replacement;

use super::{Project, command};
use crate::finding::Finding;
use crate::report::read_text;

/// More modules than this are not named one by one.
const NAMED: usize = 5;

pub(super) fn check(project: &Project, hashes_elsewhere: bool, found: &mut Vec<Finding>) {
    let path = project.directory.join("go.sum");
    let text = read_text(&path).unwrap_or_default();
    let (sums, errors) = GoSum::parse_lenient("go.sum", text.as_bytes());
    for error in &errors {
        found.push(
            Finding::new(Rule::GosumMalformed)
                .at(&path, Some(error.line))
                .with("detail", error.fault.to_string())
                .fix(command(&["go", "mod", "tidy"], Risk::Low)),
        );
    }
    if hashes_elsewhere {
        return;
    }
    let missing: Vec<String> = required(project)
        .filter(|(module, version)| sums.lookup(module, &format!("{version}/go.mod")).is_empty())
        .map(|(module, version)| format!("{module}@{version}"))
        .collect();
    let Some(first) = missing.first() else {
        return;
    };
    let mut detail = missing
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if missing.len() > NAMED {
        detail += ", ...";
    }
    found.push(
        Finding::new(Rule::GosumMissing)
            .at(&path, None)
            .with("module", first)
            .with("value", missing.len().to_string())
            .with("detail", detail)
            .fix(command(&["go", "mod", "tidy"], Risk::Low)),
    );
}

/// The modules whose go.mod files a build reads, with replacements in their place. Directories have
/// no hashes.
fn required(project: &Project) -> impl Iterator<Item = (String, String)> {
    project.file.require().iter().filter_map(|require| {
        let version = require.version.as_str();
        match project.replacement(&require.path, version) {
            None => Some((require.path.clone(), version.to_owned())),
            Some(Replacement::Module { path, version }) => {
                Some((path.clone(), version.as_str().to_owned()))
            }
            Some(Replacement::Directory(_)) => None,
        }
    })
}
