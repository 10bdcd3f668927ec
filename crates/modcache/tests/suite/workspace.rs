//! Workspaces: the verdict on what the modules of a go.work file use, beside that of `go mod verify`.

use std::fs;
use std::path::PathBuf;

use modcache::{ModuleCache, Problem, Project, Verdict, verify};
use tempfile::TempDir;
use testkit::{Go, Module, Tree, UpstreamServer};

use crate::damage::flip;

/// A workspace of two modules in a cache that `go mod download` has filled. What is selected of example.com/leaf neither
/// of them requires.
struct Scene {
    go: Go,
    folder: TempDir,
    _upstream: UpstreamServer,
    _tree: Tree,
}

impl Scene {
    fn new() -> Self {
        let tree = Tree::temporary();
        for version in ["v1.0.0", "v1.1.0"] {
            tree.add(&Module::new("example.com/leaf", version).file("l.go", "package leaf\n"));
        }
        let branch = "module example.com/branch\n\ngo 1.21\n\nrequire example.com/leaf v1.1.0\n";
        tree.add(
            &Module::new("example.com/branch", "v1.0.0")
                .go_mod(branch)
                .file("b.go", "package branch\n"),
        );
        let upstream = UpstreamServer::serve(tree.root());
        let go = Go::find()
            .proxy(&upstream.url())
            .sumdb("off")
            .env("GOWORK", "auto");
        let folder = tempfile::tempdir().unwrap();
        for (member, uses) in [("one", "leaf"), ("two", "branch")] {
            let directory = folder.path().join(member);
            fs::create_dir(&directory).unwrap();
            let text = format!(
                "module example.com/{member}\n\ngo 1.21\n\nrequire example.com/{uses} v1.0.0\n\n\
                 replace example.com/nobody => ../elsewhere\n"
            );
            fs::write(directory.join("go.mod"), text).unwrap();
        }
        let work = "go 1.21\n\nuse (\n\t./one\n\t./two\n)\n";
        fs::write(folder.path().join("go.work"), work).unwrap();
        for member in ["one", "two"] {
            let directory = folder.path().join(member);
            let mut command = go.command(&directory);
            command
                .args(["mod", "download", "all"])
                .env("GOWORK", "off");
            assert!(command.status().unwrap().success());
        }
        go.run(folder.path(), &["mod", "download"]).expect_success();
        Self {
            go,
            folder,
            _upstream: upstream,
            _tree: tree,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn project(&self) -> Project {
        Project::find(&self.path("one"), Some(&self.path("go.work"))).unwrap()
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let cache = ModuleCache::new(self.go.module_cache());
        let project = self.project().with_build_list(&cache);
        verify(&cache, &project.modules, Some(&project.sums), 2)
    }

    fn problems(&self) -> Vec<String> {
        let verdicts = self.verdicts();
        let bad = verdicts.iter().filter(|found| !found.problems.is_empty());
        bad.map(ToString::to_string).collect()
    }

    fn go_verify(&self) -> testkit::GoOutput {
        self.go.run(&self.path("one"), &["mod", "verify"])
    }
}

#[test]
fn all_members_count_and_what_is_selected_for_them_together() {
    let scene = Scene::new();
    assert_eq!(scene.problems(), Vec::<String>::new());
    let said = scene.go_verify().expect_success();
    assert_eq!(said.trim(), "all modules verified");
    let verdicts = scene.verdicts();
    let names: Vec<String> = verdicts
        .iter()
        .map(|verdict| verdict.module.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "example.com/branch@v1.0.0",
            "example.com/leaf@v1.0.0",
            "example.com/leaf@v1.1.0"
        ]
    );
    assert_eq!(scene.project().directory, scene.folder.path());
    let unverifiable = scene.project().unverifiable;
    assert_eq!(unverifiable.len(), 1, "{unverifiable:?}");

    for (name, file) in [("branch@v1.0.0", "b.go"), ("leaf@v1.1.0", "l.go")] {
        let file = scene
            .go
            .module_cache()
            .join("example.com")
            .join(name)
            .join(file);
        flip(&file, 0);
        let found = scene.problems();
        let said = scene.go_verify().expect_failure();
        let [line] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(line.contains("dir has been modified"), "{line}");
        assert!(said.contains(line.as_str()), "{line:?} is not in {said:?}");
        flip(&file, 0);
    }
}

#[test]
fn a_hash_in_any_file_of_the_workspace_contradicts() {
    let scene = Scene::new();
    // That of a go.mod file, so that `go mod verify` looks at it, too.
    for member in ["one", "two"] {
        let sums = scene.path(member).join("go.sum");
        let text = fs::read_to_string(&sums).unwrap();
        let at = text.find("/go.mod h1:").unwrap() + 15;
        flip(&sums, at);
        let found = scene.problems();
        let said = scene.go_verify().expect_failure();
        assert_eq!(found.len(), 1, "{found:?}");
        for line in found[0].lines() {
            assert!(said.contains(line.trim()), "{line:?} is not in {said:?}");
        }
        assert!(found[0].contains(&sums.display().to_string()), "{found:?}");
        flip(&sums, at);
    }
    let own = scene.path("go.work.sum");
    let text = format!("example.com/leaf v1.1.0/go.mod h1:{}=\n", "A".repeat(43));
    fs::write(&own, text).unwrap();
    let verdicts = scene.verdicts();
    let found: Vec<&Problem> = verdicts
        .iter()
        .flat_map(|verdict| &verdict.problems)
        .collect();
    let [Problem::SumMismatch { file, .. }] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(file, "go.work.sum");
    let said = scene.go_verify().expect_failure();
    assert!(said.contains("go.work.sum:     h1:AAAA"), "{said}");
}

#[test]
fn a_workspace_that_go_would_not_take_is_refused() {
    let scene = Scene::new();
    let refused = || Project::find(&scene.path("one"), Some(&scene.path("go.work"))).unwrap_err();
    fs::write(scene.path("go.work"), "go 1.21\n\nuse ./three\n").unwrap();
    let error = refused().to_string();
    assert!(error.contains("three"), "{error}");
    fs::write(
        scene.path("go.work"),
        "go 1.21\n\nuse ./one\n\nuse ./again\n",
    )
    .unwrap();
    fs::create_dir(scene.path("again")).unwrap();
    fs::copy(scene.path("one/go.mod"), scene.path("again/go.mod")).unwrap();
    let error = refused().to_string();
    assert!(error.contains("example.com/one"), "{error}");
    fs::write(scene.path("go.work"), "use ???(\n").unwrap();
    let error = refused().to_string();
    assert!(error.contains("go.work"), "{error}");
}
