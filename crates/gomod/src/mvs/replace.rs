//! What stands in for what: replace directives of go.mod and go.work files.

use std::collections::HashMap;
use std::fmt;

use super::mains::MainError;
use super::node::Node;
use crate::modfile::{Directive, Replace, Replacement};
use crate::path::ModulePath;
use crate::version::{ModuleVersion, Version};

/// Where a go.mod file is to be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A version of a module, from a proxy or an origin.
    Module(ModuleVersion),
    /// A directory: rooted, or relative to the main module, or relative to the go.work file.
    Directory(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(module) => module.fmt(f),
            Self::Directory(directory) => f.write_str(directory),
        }
    }
}

/// The replace directives of one file.
#[derive(Debug, Clone, Default)]
pub(super) struct Replacements {
    by_path: HashMap<String, HashMap<Option<Version>, Replacement>>,
}

impl Replacements {
    /// Takes them from a file that lies in `base`, which is empty where the main module or the go.work
    /// file lies.
    pub(super) fn read(directives: &[Directive<Replace>], base: &str) -> Result<Self, MainError> {
        let mut all = Self::default();
        for replace in directives {
            let by = rebase(&replace.by, base);
            let versions = all.by_path.entry(replace.path.clone()).or_default();
            match versions.get(&replace.version) {
                Some(before) if *before != by => {
                    return Err(MainError::conflicting(
                        &replace.path,
                        replace.version.as_ref(),
                    ));
                }
                _ => drop(versions.insert(replace.version.clone(), by)),
            }
        }
        Ok(all)
    }

    /// What stands in for a version, and whether a directive names that very version.
    pub(super) fn find(&self, path: &str, version: &Version) -> Option<(bool, &Replacement)> {
        let versions = self.by_path.get(path)?;
        let exact = versions.get(&Some(version.clone())).map(|by| (true, by));
        exact.or_else(|| versions.get(&None).map(|by| (false, by)))
    }

    pub(super) fn names(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    pub(super) fn covers_all_versions_of(&self, path: &str) -> bool {
        self.by_path
            .get(path)
            .is_some_and(|versions| versions.contains_key(&None))
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&str, Option<&Version>, &Replacement)> {
        self.by_path.iter().flat_map(|(path, versions)| {
            versions
                .iter()
                .map(move |(version, by)| (path.as_str(), version.as_ref(), by))
        })
    }
}

/// A replacement as seen from the directory that `base` is relative to.
fn rebase(by: &Replacement, base: &str) -> Replacement {
    match by {
        Replacement::Directory(directory) if !base.is_empty() => {
            Replacement::Directory(join(base, directory))
        }
        _ => by.clone(),
    }
}

/// Joins a directory with one that may be relative to it, without `.` and `..` where that can be.
fn join(base: &str, directory: &str) -> String {
    let rooted = |path: &str| path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
    if rooted(directory) {
        return directory.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(directory.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if base.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let prefix = match parts.first() {
        _ if base.starts_with('/') => "/",
        Some(&"..") => "",
        _ => "./",
    };
    format!("{prefix}{}", parts.join("/"))
}

/// Where the content of a module comes from that is replaced by `by`.
pub(super) fn source_of(by: &Replacement) -> Option<Source> {
    match by {
        Replacement::Directory(directory) => Some(Source::Directory(directory.clone())),
        Replacement::Module { path, version } => {
            let path = ModulePath::new(path).ok()?;
            ModuleVersion::new(path, version.clone())
                .ok()
                .map(Source::Module)
        }
    }
}

/// Where the content of a module comes from that is not replaced.
pub(super) fn own_source(node: &Node) -> Option<Source> {
    node.module_version().map(Source::Module)
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn directories_are_joined_as_texts() {
        for (base, directory, joined) in [
            ("./a", "../b", "./b"),
            ("a/b", "../../../c", "../c"),
            ("/x/a", "../b", "/x/b"),
            ("/x", "../../b", "/b"),
            ("./a", "/b", "/b"),
            ("./a", r"C:\b", r"C:\b"),
            (".", ".", "./"),
        ] {
            assert_eq!(join(base, directory), joined, "{base} {directory}");
        }
    }
}
