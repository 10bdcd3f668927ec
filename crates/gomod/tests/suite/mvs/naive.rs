//! The rules as the specification words them, without regard for time, memory or depth: a graph is a set of edges that
//! grows until nothing changes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use gomod::modfile::{ModFile, Replacement, WorkFile};
use gomod::{gover, semver};

use super::universe::Universe;

/// A path and a version; that of a main module is empty.
type Name = (String, String);

#[derive(Clone)]
struct File {
    pruned: bool,
    requires: Vec<Name>,
}

pub(super) struct Naive<'a> {
    universe: &'a Universe,
    mains: BTreeMap<String, File>,
    excluded: BTreeSet<Name>,
    /// The go.work file's first, then those of the members.
    replaced: Vec<(String, Option<String>, Replacement, String)>,
    pub(super) missing: bool,
    edges: BTreeMap<Name, Vec<Name>>,
    /// Nodes that are followed, and whether everything below counts.
    followed: BTreeSet<(Name, bool)>,
}

pub(super) fn compare(path: &str, a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty(), path) {
        (true, _, _) | (_, true, _) => a.is_empty().cmp(&b.is_empty()),
        (_, _, "go") => gover::compare(a, b),
        (_, _, "toolchain") => gover::compare(&a[2..], &b[2..]),
        _ => semver::compare(a, b),
    }
}

impl<'a> Naive<'a> {
    pub(super) fn new(universe: &'a Universe) -> Self {
        let mut naive = Self {
            universe,
            mains: BTreeMap::new(),
            excluded: BTreeSet::new(),
            replaced: Vec::new(),
            missing: false,
            edges: BTreeMap::new(),
            followed: BTreeSet::new(),
        };
        if let Some(work) = &universe.work {
            let work = WorkFile::parse("go.work", work.as_bytes()).expect("sound");
            for replace in work.replace() {
                let version = replace.version.as_ref().map(ToString::to_string);
                naive.replaced.push((
                    replace.path.clone(),
                    version,
                    replace.by.clone(),
                    String::new(),
                ));
            }
        }
        for (directory, text) in &universe.members {
            let file = ModFile::parse("go.mod", text.as_bytes()).expect("sound");
            for exclude in file.exclude() {
                naive
                    .excluded
                    .insert((exclude.path.clone(), exclude.version.to_string()));
            }
            for replace in file.replace() {
                let version = replace.version.as_ref().map(ToString::to_string);
                naive.replaced.push((
                    replace.path.clone(),
                    version,
                    replace.by.clone(),
                    directory.clone(),
                ));
            }
        }
        for (_, text) in &universe.members {
            let file = ModFile::parse("go.mod", text.as_bytes()).expect("sound");
            let mut main = naive.file(&file);
            if universe.work.is_none() {
                main.requires.retain(|(path, _)| path != "go");
                main.requires
                    .push(("go".to_owned(), file.go_version().to_owned()));
                if let Some(toolchain) = file.toolchain() {
                    main.requires
                        .push(("toolchain".to_owned(), toolchain.name.clone()));
                }
            }
            let path = file.module().expect("it has a module line").path.clone();
            naive.mains.insert(path, main);
        }
        naive
    }

    fn file(&self, file: &ModFile) -> File {
        let mut requires: Vec<Name> = file
            .require()
            .iter()
            .map(|require| (require.path.clone(), require.version.to_string()))
            .filter(|name| !self.excluded.contains(name))
            .collect();
        let go = file.go().map(|go| go.version.clone());
        requires.extend(
            go.clone()
                .filter(|go| gover::compare(go, "1.21").is_ge())
                .map(|go| ("go".to_owned(), go)),
        );
        File {
            pruned: go.is_some_and(|go| gover::compare(&go, "1.17").is_ge()),
            requires,
        }
    }

    fn read(&mut self, name: &Name) -> Option<File> {
        let (path, version) = name;
        if version.is_empty() {
            return self.mains.get(path).cloned();
        }
        if path == "go" || path == "toolchain" {
            let toolchain = path == "go" && gover::compare(version, "1.21").is_ge();
            let requires = toolchain.then(|| ("toolchain".to_owned(), format!("go{version}")));
            return Some(File {
                pruned: true,
                requires: requires.into_iter().collect(),
            });
        }
        let find = |exact: Option<&str>, work: bool| {
            self.replaced
                .iter()
                .find(|(p, v, _, directory)| {
                    p == path
                        && v.as_deref() == exact
                        && (self.universe.work.is_some() && directory.is_empty()) == work
                })
                .cloned()
        };
        let replaced = find(Some(version), true)
            .or_else(|| find(None, true))
            .or_else(|| find(Some(version), false))
            .or_else(|| find(None, false));
        let text = match replaced {
            None => self.universe.modules.get(name),
            Some((_, _, Replacement::Module { path, version }, _)) => {
                self.universe.modules.get(&(path, version.to_string()))
            }
            Some((_, _, Replacement::Directory(directory), base)) => {
                let local = directory.trim_start_matches("./");
                let full = if base.is_empty() {
                    local.to_owned()
                } else {
                    format!("{base}/{local}")
                };
                self.universe.directories.get(&full)
            }
        };
        let Some(text) = text else {
            self.missing = true;
            return None;
        };
        let file = ModFile::parse_lax("go.mod", text.as_bytes()).expect("sound");
        Some(self.file(&file))
    }

    /// Adds what `name` requires, and follows it: `whole` when everything below counts.
    fn follow(&mut self, name: &Name, whole: bool) {
        if !self.followed.insert((name.clone(), whole)) {
            return;
        }
        let Some(file) = self.read(name) else { return };
        self.edges.insert(name.clone(), file.requires.clone());
        if whole || !file.pruned {
            for required in &file.requires {
                self.follow(required, true);
            }
        }
    }

    /// Adds what `name` requires as for a main module: each requirement counts with its own.
    fn follow_as_main(&mut self, name: &Name) {
        let Some(file) = self.read(name) else { return };
        self.edges.insert(name.clone(), file.requires.clone());
        for required in &file.requires {
            self.follow(required, !file.pruned);
        }
    }

    pub(super) fn selected(&self) -> BTreeMap<String, String> {
        let mut selected: BTreeMap<String, String> = self
            .mains
            .keys()
            .map(|path| (path.clone(), String::new()))
            .collect();
        if self.universe.work.is_some() {
            selected.insert("go".to_owned(), "1.22.0".to_owned());
        }
        for (path, version) in self.edges.values().flatten() {
            let best = selected
                .entry(path.clone())
                .or_insert_with(|| version.clone());
            if compare(path, best, version).is_lt() {
                version.clone_into(best);
            }
        }
        selected
    }

    pub(super) fn edges(&self) -> BTreeSet<(Name, Name)> {
        let all = self.edges.iter();
        all.flat_map(|(from, to)| to.iter().map(|to| (from.clone(), to.clone())))
            .collect()
    }

    pub(super) fn solve(&mut self) {
        if self.universe.work.is_some() {
            self.solve_workspace();
            return;
        }
        let (path, original) = self
            .mains
            .iter()
            .next()
            .map(|(p, f)| (p.clone(), f.clone()))
            .expect("a main module");
        loop {
            self.edges.clear();
            self.followed.clear();
            self.follow_as_main(&(path.clone(), String::new()));
            if !original.pruned || self.missing {
                return;
            }
            let selected = self.selected();
            let main = self.mains.get_mut(&path).expect("it is there");
            let raised: BTreeSet<Name> = main
                .requires
                .iter()
                .filter(|(p, _)| *p != path)
                .map(|(path, _)| (path.clone(), selected[path].clone()))
                .collect();
            if raised == main.requires.iter().cloned().collect() {
                return;
            }
            main.requires = raised.into_iter().collect();
        }
    }

    fn solve_workspace(&mut self) {
        let mut as_main: BTreeSet<Name> = self
            .mains
            .keys()
            .map(|path| (path.clone(), String::new()))
            .collect();
        as_main.insert(("go".to_owned(), "1.22.0".to_owned()));
        loop {
            for name in as_main.clone() {
                self.follow_as_main(&name);
            }
            let selected = self.selected();
            let mut more = as_main.clone();
            for (path, _) in &as_main {
                let own = (path.clone(), selected[path].clone());
                for (required, version) in self.edges.get(&own).cloned().unwrap_or_default() {
                    if compare(&required, &selected[&required], &version).is_gt() {
                        more.insert((required.clone(), selected[&required].clone()));
                    }
                }
                more.insert(own);
            }
            if more == as_main {
                return;
            }
            as_main = more;
        }
    }
}
