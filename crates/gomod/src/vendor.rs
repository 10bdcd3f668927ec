//! `vendor/modules.txt`: which modules a vendor directory was made from, and whether go.mod still says the same.
//!
//! Rules: Go's `modload/vendor.go` (reading, consistency) and `modcmd/vendor.go` (writing). As there, a line that is not
//! understood is passed over: later releases of Go may write what earlier ones do not know.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::modfile::{ModFile, Replacement};
use crate::path::check_import_path;
use crate::{gover, semver};

/// A module as modules.txt and go.mod name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VendoredModule {
    /// The module path; of a replacement: the module path or the directory.
    pub path: String,
    /// The version; empty where all versions are meant, or a directory.
    pub version: String,
}

impl VendoredModule {
    fn new(path: &str, version: &str) -> Self {
        Self {
            path: path.to_owned(),
            version: version.to_owned(),
        }
    }
}

impl fmt::Display for VendoredModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version.as_str() {
            "" => f.write_str(&self.path),
            version => write!(f, "{}@{version}", self.path),
        }
    }
}

/// What a vendor directory says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModulesTxt {
    is_of_workspace: bool,
    /// Modules that provide packages, in the order in which they were met.
    providing: Vec<VendoredModule>,
    replaced: Vec<VendoredModule>,
    versions: HashMap<String, String>,
    packages: BTreeMap<String, VendoredModule>,
    notes: HashMap<VendoredModule, Notes>,
}

/// What is noted of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Notes {
    is_explicit: bool,
    replacement: Option<VendoredModule>,
    go_version: String,
}

/// One way in which modules.txt and go.mod contradict each other, in the words of the `go` command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inconsistency {
    /// The module.
    pub module: VendoredModule,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.module, self.detail)
    }
}

impl ModulesTxt {
    /// Reads the file.
    pub fn parse(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        let mut file = Self {
            is_of_workspace: text.lines().next().is_some_and(is_workspace_line),
            ..Self::default()
        };
        let mut module = None;
        for line in text.split('\n') {
            if line.starts_with("# ") {
                module = file.module_line(line, module);
            } else if let Some(module) = &module {
                if let Some(annotations) = line.strip_prefix("## ") {
                    file.annotate(module, annotations);
                } else {
                    file.package_line(module, line);
                }
            }
        }
        file
    }

    /// Whether `go work vendor` wrote it, for more than one main module.
    pub fn is_of_workspace(&self) -> bool {
        self.is_of_workspace
    }

    /// The packages, each with the module it is from.
    pub fn packages(&self) -> impl Iterator<Item = (&str, &VendoredModule)> {
        self.packages
            .iter()
            .map(|(package, module)| (package.as_str(), module))
    }

    /// The modules that provide packages.
    pub fn modules(&self) -> &[VendoredModule] {
        &self.providing
    }

    /// What a module was replaced by when the directory was made.
    pub fn replacement(&self, module: &VendoredModule) -> Option<&VendoredModule> {
        self.notes.get(module)?.replacement.as_ref()
    }

    /// The version of Go that a module's go.mod asks for, where that was noted.
    pub fn go_version(&self, module: &VendoredModule) -> Option<&str> {
        let version = self.notes.get(module)?.go_version.as_str();
        (!version.is_empty()).then_some(version)
    }

    /// Takes a line that names a module. Gives the module that the lines behind it are about.
    fn module_line(
        &mut self,
        line: &str,
        before: Option<VendoredModule>,
    ) -> Option<VendoredModule> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (module, rest) = match fields.as_slice() {
            [_, path, "=>", rest @ ..] => (VendoredModule::new(path, ""), rest),
            [_, path, version, rest @ ..] if semver::is_valid(version) => {
                let module = VendoredModule::new(path, version);
                match rest {
                    ["=>", rest @ ..] => (module, rest),
                    _ => return Some(module),
                }
            }
            [_, _, _, ..] => return None,
            _ => return before,
        };
        let replacement = match rest {
            [directory] => VendoredModule::new(directory, ""),
            [path, version] if semver::is_valid(version) => VendoredModule::new(path, version),
            _ => return Some(module),
        };
        self.notes.entry(module.clone()).or_default().replacement = Some(replacement);
        self.replaced.push(module.clone());
        Some(module)
    }

    fn annotate(&mut self, module: &VendoredModule, annotations: &str) {
        let notes = self.notes.entry(module.clone()).or_default();
        for entry in annotations.split(';').map(str::trim) {
            if entry == "explicit" {
                notes.is_explicit = true;
            }
            if let Some(version) = entry.strip_prefix("go ") {
                version.clone_into(&mut notes.go_version);
            }
        }
    }

    fn package_line(&mut self, module: &VendoredModule, line: &str) {
        let mut fields = line.split_whitespace();
        let (Some(package), None) = (fields.next(), fields.next()) else {
            return;
        };
        if check_import_path(package).is_err() {
            return;
        }
        self.packages.insert(package.to_owned(), module.clone());
        let is_news = self.versions.get(&module.path).is_none_or(|known| {
            gover::compare_of_module(&module.path, known, &module.version) == Ordering::Less
        });
        if is_news {
            self.providing.push(module.clone());
            self.versions
                .insert(module.path.clone(), module.version.clone());
        }
    }

    fn is_explicit(&self, module: &VendoredModule) -> bool {
        self.notes
            .get(module)
            .is_some_and(|notes| notes.is_explicit)
    }

    /// Where go.mod of a single main module and modules.txt contradict each other, in the order in which the `go` command
    /// tells it. Empty: a build with `-mod=vendor` goes on.
    pub fn inconsistencies(&self, go_mod: &ModFile) -> Vec<Inconsistency> {
        let go_version = go_mod.go().map_or("", |go| go.version.as_str());
        Comparison {
            vendor: self,
            go_mod,
            is_before_1_14: gover::compare(go_version, "1.14") == Ordering::Less,
            found: Vec::new(),
        }
        .run()
    }
}

fn is_workspace_line(line: &str) -> bool {
    line.strip_prefix("## ").is_some_and(|annotations| {
        annotations
            .split(';')
            .any(|entry| entry.trim() == "workspace")
    })
}

/// Of modules.txt with go.mod.
struct Comparison<'a> {
    vendor: &'a ModulesTxt,
    go_mod: &'a ModFile,
    /// Before that release modules.txt did not tell all of go.mod.
    is_before_1_14: bool,
    found: Vec<Inconsistency>,
}

impl Comparison<'_> {
    fn run(mut self) -> Vec<Inconsistency> {
        self.requirements();
        self.replacements();
        self.marked_as_explicit();
        self.marked_as_replaced();
        self.found
    }

    fn report(&mut self, module: &VendoredModule, detail: impl Into<String>) {
        self.found.push(Inconsistency {
            module: module.clone(),
            detail: detail.into(),
        });
    }

    fn requirements(&mut self) {
        for require in self.go_mod.require() {
            let module = VendoredModule::new(&require.path, require.version.as_str());
            if self.vendor.is_explicit(&module) {
                continue;
            }
            if !self.is_before_1_14 {
                self.report(
                    &module,
                    "is explicitly required in go.mod, but not marked as explicit in vendor/modules.txt",
                );
            } else if let Some(version) = self.vendor.versions.get(&module.path)
                && *version != module.version
            {
                let detail = format!(
                    "is explicitly required in go.mod, but vendor/modules.txt indicates {}@{version}",
                    module.path
                );
                self.report(&module, detail);
            }
        }
    }

    fn replacements(&mut self) {
        let mut seen = HashSet::new();
        for replace in self.go_mod.replace() {
            let version = replace
                .version
                .as_ref()
                .map_or("", |version| version.as_str());
            let old = VendoredModule::new(&replace.path, version);
            if !seen.insert(old.clone()) {
                continue;
            }
            let is_missed = !self.is_before_1_14
                || !(old.version.is_empty()
                    || self.vendor.versions.get(&old.path) != Some(&old.version));
            match (
                self.vendor.replacement(&old),
                self.replacement_in_go_mod(&old),
            ) {
                (None, Some(_)) if is_missed => self.report(
                    &old,
                    "is replaced in go.mod, but not marked as replaced in vendor/modules.txt",
                ),
                (Some(marked), new) if new.as_ref() != Some(marked) => {
                    let new = new.map(|new| new.to_string()).unwrap_or_default();
                    let detail = format!(
                        "is replaced by {new} in go.mod, but marked as replaced by {marked} in vendor/modules.txt"
                    );
                    self.report(&old, detail);
                }
                _ => {}
            }
        }
    }

    fn marked_as_explicit(&mut self) {
        for module in &self.vendor.providing {
            let is_required = self.go_mod.require().iter().any(|require| {
                require.path == module.path && require.version.as_str() == module.version
            });
            if self.vendor.is_explicit(module) && !is_required {
                self.report(
                    module,
                    "is marked as explicit in vendor/modules.txt, but not explicitly required in go.mod",
                );
            }
        }
    }

    fn marked_as_replaced(&mut self) {
        for module in &self.vendor.replaced {
            if self.replacement_in_go_mod(module).is_none() {
                self.report(
                    module,
                    "is marked as replaced in vendor/modules.txt, but not replaced in go.mod",
                );
            }
        }
    }

    /// What go.mod replaces a module by: the line for its version counts before that for all (Go's `replacementFrom`).
    fn replacement_in_go_mod(&self, module: &VendoredModule) -> Option<VendoredModule> {
        let is_main = self
            .go_mod
            .module()
            .is_some_and(|main| main.path == module.path);
        if is_main && module.version.is_empty() {
            return None;
        }
        let lines = self.go_mod.replace().iter();
        let mut for_all = None;
        for line in lines.filter(|line| line.path == module.path) {
            match &line.version {
                Some(version) if version.as_str() == module.version => {
                    return Some(named(&line.by));
                }
                Some(_) => {}
                None => for_all = Some(named(&line.by)),
            }
        }
        for_all
    }
}

fn named(replacement: &Replacement) -> VendoredModule {
    let version = replacement.version().map_or("", |version| version.as_str());
    VendoredModule::new(replacement.path(), version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go_mod(text: &str) -> ModFile {
        ModFile::parse(
            "go.mod",
            format!("module example.com/main\n\n{text}").as_bytes(),
        )
        .unwrap()
    }

    fn complaints(go_mod_text: &str, modules_txt: &str) -> Vec<String> {
        let file = ModulesTxt::parse(modules_txt.as_bytes());
        let found = file.inconsistencies(&go_mod(go_mod_text));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn modules_packages_and_notes_are_read() {
        let file = ModulesTxt::parse(
            b"# example.com/a v1.0.0\n## explicit; go 1.20\nexample.com/a\nexample.com/a/sub\n\
              # example.com/b v1.2.3 => example.com/fork v1.2.4\n## go 1.21; later\nexample.com/b\n\
              # example.com/c v0.1.0 => ../c\n## explicit\n# example.com/d => example.com/e v1.0.0\n",
        );
        assert!(!file.is_of_workspace());
        let a = VendoredModule::new("example.com/a", "v1.0.0");
        let b = VendoredModule::new("example.com/b", "v1.2.3");
        assert_eq!(file.modules(), [a.clone(), b.clone()]);
        let packages: Vec<_> = file
            .packages()
            .map(|(package, module)| (package, module.clone()))
            .collect();
        assert_eq!(
            packages,
            [
                ("example.com/a", a.clone()),
                ("example.com/a/sub", a.clone()),
                ("example.com/b", b.clone())
            ]
        );
        assert_eq!(file.go_version(&a), Some("1.20"));
        assert_eq!(file.go_version(&b), Some("1.21"));
        assert_eq!(file.replacement(&a), None);
        let fork = VendoredModule::new("example.com/fork", "v1.2.4");
        assert_eq!(file.replacement(&b), Some(&fork));
        let c = VendoredModule::new("example.com/c", "v0.1.0");
        assert_eq!(file.replacement(&c), Some(&VendoredModule::new("../c", "")));
        assert!(file.is_explicit(&c) && file.is_explicit(&a) && !file.is_explicit(&b));
        let d = VendoredModule::new("example.com/d", "");
        assert!(file.replacement(&d).is_some());
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let file = ModulesTxt::parse(
            b"## workspace\nexample.com/before\n# short\n# example.com/a what\nexample.com/a\n\
              # example.com/b v1.0.0 => a b c\n## \xff; explicit\nexample.com/b\n../bad\nexample.com/two words\n",
        );
        assert!(file.is_of_workspace());
        let packages: Vec<_> = file.packages().map(|(package, _)| package).collect();
        assert_eq!(packages, ["example.com/b"]);
        let b = VendoredModule::new("example.com/b", "v1.0.0");
        assert_eq!(file.replacement(&b), None);
        assert!(file.is_explicit(&b));
        assert_eq!(ModulesTxt::parse(b""), ModulesTxt::default());
    }

    #[test]
    fn contradictions_are_told_as_go_tells_them() {
        let required = "go 1.20\n\nrequire example.com/a v1.0.0\n";
        let marked = "# example.com/a v1.0.0\n## explicit\nexample.com/a\n";
        assert!(complaints(required, marked).is_empty());
        for (go_mod, modules_txt, expected) in [
            (
                required,
                "# example.com/a v1.0.0\nexample.com/a\n",
                vec![
                    "example.com/a@v1.0.0: is explicitly required in go.mod, but not marked as explicit in vendor/modules.txt",
                ],
            ),
            (
                "go 1.20\n",
                marked,
                vec![
                    "example.com/a@v1.0.0: is marked as explicit in vendor/modules.txt, but not explicitly required in go.mod",
                ],
            ),
            (
                "go 1.20\n\nrequire example.com/a v1.0.0\nreplace example.com/a => ../a\n",
                marked,
                vec![
                    "example.com/a: is replaced in go.mod, but not marked as replaced in vendor/modules.txt",
                ],
            ),
            (
                required,
                "# example.com/a v1.0.0 => ../a\n## explicit\nexample.com/a\n",
                vec![
                    "example.com/a@v1.0.0: is marked as replaced in vendor/modules.txt, but not replaced in go.mod",
                ],
            ),
            (
                "go 1.20\n\nrequire example.com/a v1.0.0\nreplace example.com/a v1.0.0 => example.com/x v1.0.1\n",
                "# example.com/a v1.0.0 => ../a\n## explicit\nexample.com/a\n",
                vec![
                    "example.com/a@v1.0.0: is replaced by example.com/x@v1.0.1 in go.mod, but marked as replaced by ../a in vendor/modules.txt",
                ],
            ),
            // Before 1.14 less was written down.
            (
                "go 1.13\n\nrequire example.com/a v1.0.0\n",
                "# example.com/a v1.0.0\nexample.com/a\n",
                vec![],
            ),
            (
                "require example.com/b v1.0.0\nreplace example.com/b => ../b\n",
                "",
                vec![],
            ),
            (
                "go 1.13\n\nrequire example.com/a v1.0.1\n",
                "# example.com/a v1.0.0\nexample.com/a\n",
                vec![
                    "example.com/a@v1.0.1: is explicitly required in go.mod, but vendor/modules.txt indicates example.com/a@v1.0.0",
                ],
            ),
            // A replacement of the main module itself has no effect.
            (
                "go 1.20\n\nreplace example.com/main => ../main\n",
                "",
                vec![],
            ),
        ] {
            assert_eq!(
                complaints(go_mod, modules_txt),
                expected,
                "{go_mod}{modules_txt}"
            );
        }
    }
}
