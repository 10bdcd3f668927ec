//! Vendor directories that a real `go mod vendor` has made and something has changed since, beside what `go` says to a
//! build from them.

use std::fs;
use std::path::{Path, PathBuf};

use modcache::{ModuleCache, Project, UnvouchedReason, VendorProblem, VendorReport, verify_vendor};
use tempfile::TempDir;
use testkit::{Go, Module, Tree, UpstreamServer};

use crate::damage::writable;

struct Scene {
    go: Go,
    folder: TempDir,
    _upstream: UpstreamServer,
    _tree: Tree,
}

const GO_MOD: &str = "module example.com/main

go 1.20

require (
\texample.com/alpha v1.0.0
\texample.com/beta v1.0.0
\texample.com/local v0.0.0
)

replace example.com/beta => example.com/fork v1.2.0

replace example.com/local => ./local
";

impl Scene {
    /// A project with a module, one that is replaced by another, and one that is replaced by a directory.
    fn new() -> Self {
        let tree = Tree::temporary();
        let folder = tempfile::tempdir().unwrap();
        tree.add(
            &Module::new("example.com/alpha", "v1.0.0")
                .go_mod("module example.com/alpha\n\ngo 1.13\n")
                .file("a.go", "package alpha\n")
                .file("a_test.go", "package alpha\n")
                .file("a_windows.go", "package alpha\n")
                .file("tagged.go", "//go:build linux && !cgo\n\npackage alpha\n")
                .file("NOTICE.txt", "take notice\n")
                .file("docs/NOTICE", "of nothing that is vendored\n")
                .file("deep/COPYING", "of what is above\n")
                .file("deep/notes.txt", "of what is above\n")
                .file("deep/er/d.go", "package er\n")
                .file("gen.go", "//go:build ignore\n\npackage main\n")
                .file("old.go", "// +build ignore\n\npackage main\n")
                .file("notes.txt", "notes\n")
                .file("LICENSE", "do as you like\n")
                .file("sub/s.go", "package sub\n")
                .file("unused/u.go", "package unused\n")
                .file(
                    "embed/e.go",
                    "package embed\n\nimport \"embed\"\n\n//go:embed data/* \"all:more\"\n//go:embed tree\nvar F embed.FS\n",
                )
                .file("embed/e_test.go", "package embed\n\nimport _ \"embed\"\n\n//go:embed testing.d\nvar S string\n")
                .file("embed/testing.d/t.txt", "for tests\n")
                .file("embed/data/d.txt", "data\n")
                .file("embed/data/.hidden", "data\n")
                .file("embed/more/.hidden/x", "data\n")
                .file("embed/tree/.hidden/x", "data\n")
                .file("embed/tree/_under", "data\n")
                .file("embed/tree/branch/leaf", "data\n")
                .file("embed/other/o.txt", "not embedded\n"),
        );
        let fork = Module::new("example.com/fork", "v1.2.0")
            .go_mod("module example.com/beta\n\ngo 1.13\n");
        tree.add(&fork.file("b.go", "package beta\n"));
        let upstream = UpstreamServer::serve(tree.root());
        let go = Go::find().proxy(&upstream.url()).sumdb("off");
        let scene = Self {
            go,
            folder,
            _upstream: upstream,
            _tree: tree,
        };
        scene.write("go.mod", GO_MOD);
        scene.write("local/go.mod", "module example.com/local\n\ngo 1.13\n");
        scene.write("local/l.go", "package local\n");
        scene.write(
            "main.go",
            "package main\n\nimport (\n\t_ \"example.com/alpha\"\n\t_ \"example.com/alpha/deep/er\"\n\t_ \"example.com/alpha/embed\"\n\t_ \"example.com/alpha/sub\"\n\t_ \"example.com/beta\"\n\t_ \"example.com/local\"\n)\n\nfunc main() {}\n",
        );
        scene.go("mod", &["tidy"]).unwrap();
        scene.go("mod", &["vendor"]).unwrap();
        scene
    }

    /// What go says, if it fails.
    fn go(&self, command: &str, arguments: &[&str]) -> Result<(), String> {
        let all: Vec<&str> = [&[command], arguments].concat();
        let output = self.go.run(self.folder.path(), &all);
        if output.success {
            Ok(())
        } else {
            Err(output.expect_failure())
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        let path = self.path(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(text)).unwrap();
    }

    fn report(&self) -> VendorReport {
        let project = Project::find(self.folder.path(), None).unwrap();
        let cache = ModuleCache::new(self.go.module_cache());
        verify_vendor(&cache, self.folder.path(), project.go_mod.as_ref())
            .unwrap()
            .unwrap()
    }

    fn problems(&self) -> Vec<VendorProblem> {
        self.report().problems
    }
}

#[test]
fn what_go_mod_vendor_made_is_verified() {
    let scene = Scene::new();
    let report = scene.report();
    assert_eq!(report.problems, []);
    assert!(report.files >= 8, "{report:?}");
    assert_eq!(report.unverifiable.len(), 1, "{report:?}");
    assert_eq!(report.unverifiable[0].module, "example.com/local@v0.0.0");
    let local = UnvouchedReason::Directory("./local".to_owned());
    assert_eq!(report.unverifiable[0].reason, local);
    let modules: Vec<String> = report.modules.iter().map(ToString::to_string).collect();
    assert_eq!(
        modules,
        ["example.com/alpha@v1.0.0", "example.com/fork@v1.2.0"]
    );
    fs::remove_dir_all(scene.path("vendor")).unwrap();
    let project = Project::find(scene.folder.path(), None).unwrap();
    let cache = ModuleCache::new(scene.go.module_cache());
    let none = verify_vendor(&cache, scene.folder.path(), project.go_mod.as_ref()).unwrap();
    assert_eq!(none, None);
}

/// Every file below a directory, by name.
fn files_below(directory: &Path, prefix: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path(), &name));
        } else {
            files.push(name);
        }
    }
    files
}

#[test]
fn whatever_go_mod_vendor_has_copied_is_missed() {
    let scene = Scene::new();
    let mut counts = Vec::new();
    // What is copied depends on the version of Go that go.mod names.
    for version in ["1.13", "1.16", "1.20", "1.22", "1.24.0"] {
        scene.write("go.mod", &GO_MOD.replace("1.20", version));
        scene.go("mod", &["vendor"]).unwrap();
        assert_eq!(scene.problems(), [], "{version}");
        let files: Vec<String> = ["alpha", "beta"]
            .iter()
            .flat_map(|module| {
                let name = format!("vendor/example.com/{module}");
                files_below(&scene.path(&name), &name)
            })
            .collect();
        for name in &files {
            let bytes = fs::read(scene.path(name)).unwrap();
            fs::remove_file(scene.path(name)).unwrap();
            let missing = VendorProblem::Missing(name.clone());
            assert_eq!(scene.problems(), [missing], "{version}");
            fs::write(scene.path(name), bytes).unwrap();
        }
        counts.push(files.len());
    }
    // go.mod stays out from 1.17 on, what tests embed from 1.22 on.
    assert_eq!(counts[0], counts[1]);
    assert!(counts[1] > counts[2], "{counts:?}");
    assert!(counts[2] > counts[3], "{counts:?}");
    assert!(counts[3] > 12, "{counts:?}");
    assert_eq!(counts[3], counts[4]);
}

#[test]
fn a_vendor_directory_of_a_workspace_is_compared_too() {
    let mut scene = Scene::new();
    scene.go = scene.go.env("GOWORK", "auto");
    fs::remove_dir_all(scene.path("vendor")).unwrap();
    scene.write("go.work", "go 1.24.0\n\nuse .\n");
    scene.go("work", &["vendor"]).unwrap();
    assert_eq!(scene.problems(), []);
    scene.write("vendor/example.com/alpha/a.go", "package evil\n");
    fs::remove_file(scene.path("vendor/example.com/beta/b.go")).unwrap();
    let name = |name: &str| format!("vendor/example.com/{name}");
    assert_eq!(
        scene.problems(),
        [
            VendorProblem::Modified(name("alpha/a.go")),
            VendorProblem::Missing(name("beta/b.go"))
        ]
    );
}

#[test]
fn files_that_changed_vanished_or_came_are_found() {
    let scene = Scene::new();
    let name = |name: &str| format!("vendor/example.com/{name}");
    for (changed, problem) in [
        (
            "alpha/a.go",
            VendorProblem::Modified as fn(String) -> VendorProblem,
        ),
        ("alpha/LICENSE", VendorProblem::Modified),
        ("alpha/embed/data/d.txt", VendorProblem::Modified),
        ("beta/b.go", VendorProblem::Modified),
        ("alpha/new.go", VendorProblem::Added),
        ("alpha/embed/data/new.txt", VendorProblem::Added),
        ("nobody/x.go", VendorProblem::Added),
    ] {
        let path = scene.path(&name(changed));
        let before = fs::read(&path).ok();
        let mut evil = before.clone().unwrap_or(b"package alpha\n".to_vec());
        evil.extend_from_slice(b"\n// evil\n");
        scene.write(&name(changed), str::from_utf8(&evil).unwrap());
        // A build does not notice.
        scene.go("list", &["-mod=vendor", "all"]).unwrap();
        assert_eq!(scene.problems(), [problem(name(changed))]);
        match before {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    // Longer and shorter by a byte.
    let path = scene.path(&name("alpha/notes.txt"));
    for text in ["notes\n\n", "notes", ""] {
        fs::write(&path, text).unwrap();
        let modified = VendorProblem::Modified(name("alpha/notes.txt"));
        assert_eq!(scene.problems(), [modified], "{text:?}");
    }
    fs::write(&path, "notes\n").unwrap();
    assert_eq!(scene.problems(), []);
    // A link instead of the file, also to one that has the same content.
    let path = scene.path(&name("alpha/a.go"));
    fs::rename(&path, scene.path("kept.go")).unwrap();
    std::os::unix::fs::symlink(scene.path("kept.go"), &path).unwrap();
    assert_eq!(
        scene.problems(),
        [VendorProblem::Modified(name("alpha/a.go"))]
    );
}

#[test]
fn inconsistencies_are_those_that_go_tells() {
    type Change = fn(String) -> String;
    let cases: [(&str, &str, Change); 7] = [
        ("another version", "go.mod", |text| {
            text.replace("alpha v1.0.0", "alpha v1.0.1")
        }),
        ("no requirement", "go.mod", |text| {
            text.replace("\texample.com/alpha v1.0.0\n", "")
        }),
        ("another replacement", "go.mod", |text| {
            text.replace("fork v1.2.0", "fork v1.3.0")
        }),
        ("another directory", "go.mod", |text| {
            text.replace("=> ./local", "=> ./other")
        }),
        ("no replacement", "go.mod", |text| {
            text.replace("replace example.com/beta", "// example.com/beta")
        }),
        ("one more", "go.mod", |text| {
            text + "\nreplace example.com/far v1.0.0 => ../far\n"
        }),
        ("not explicit", "vendor/modules.txt", |text| {
            text.replace("## explicit", "## later")
        }),
    ];
    for (name, file, change) in cases {
        let scene = Scene::new();
        scene.edit(file, change);
        let said = scene.go("list", &["-mod=vendor", "all"]).unwrap_err();
        assert!(said.contains("inconsistent vendoring"), "{name}: {said}");
        let lines: Vec<&str> = said.lines().map(str::trim).collect();
        let found = scene.problems();
        let ours: Vec<&str> = found
            .iter()
            .filter_map(|problem| match problem {
                VendorProblem::Inconsistent(words) => Some(words.as_str()),
                _ => None,
            })
            .collect();
        assert!(!ours.is_empty(), "{name}: {said}");
        for words in &ours {
            assert!(lines.contains(words), "{name}: {words:?} is not in {said}");
        }
        let theirs = lines
            .iter()
            .filter(|line| line.starts_with("example.com/"))
            .count();
        assert_eq!(theirs, ours.len(), "{name}: {said}");
    }
    let scene = Scene::new();
    fs::remove_file(scene.path("vendor/modules.txt")).unwrap();
    assert!(!scene.problems().is_empty());
}

#[test]
fn what_nothing_in_the_cache_vouches_for_is_said() {
    let scene = Scene::new();
    let zip = scene
        .go
        .module_cache()
        .join("cache/download/example.com/alpha/@v/v1.0.0.zip");
    writable(zip.parent().unwrap());
    let bytes = fs::read(&zip).unwrap();
    fs::remove_file(&zip).unwrap();
    scene.write("vendor/example.com/alpha/a.go", "package evil\n");
    let report = scene.report();
    assert_eq!(report.problems, []);
    let names: Vec<_> = report
        .unverifiable
        .iter()
        .map(|unvouched| unvouched.module.as_str())
        .collect();
    assert_eq!(
        names,
        ["example.com/alpha@v1.0.0", "example.com/local@v0.0.0"]
    );
    assert!(matches!(
        report.unverifiable[0].reason,
        UnvouchedReason::NotInCache(_)
    ));
    fs::write(&zip, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(
        scene.problems()[..],
        [VendorProblem::Unreadable(_)]
    ));
}
