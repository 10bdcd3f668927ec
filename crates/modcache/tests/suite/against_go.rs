//! The verdict on caches that a real `go mod download` has filled and something has damaged since, beside the verdict of
//! `go mod verify`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use modcache::{ModuleCache, Problem, Project, Verdict, verify};
use tempfile::TempDir;
use testkit::{Go, Module, Tree, UpstreamServer};

use crate::damage::{flip, writable};

struct Scene {
    go: Go,
    folder: TempDir,
    _upstream: UpstreamServer,
    _tree: Tree,
}

impl Scene {
    /// A project with two modules, both in the cache, zipped and extracted.
    fn new() -> Self {
        let tree = Tree::temporary();
        let folder = tempfile::tempdir().unwrap();
        let mut sums = String::new();
        for name in ["Alpha", "beta"] {
            let module = Module::new(&format!("example.com/{name}"), "v1.0.0")
                .file("a.go", &format!("package {0}\n", name.to_lowercase()))
                .file("sub/b.go", "package sub\n");
            tree.add(&module);
            let (path, zip, go_mod) = (module.path(), module.zip_h1(), module.go_mod_h1());
            writeln!(sums, "{path} v1.0.0 {zip}\n{path} v1.0.0/go.mod {go_mod}").unwrap();
        }
        let upstream = UpstreamServer::serve(tree.root());
        let go = Go::find().proxy(&upstream.url()).sumdb("off");
        let text = "module example.com/main\n\ngo 1.20\n\nrequire (\n\texample.com/Alpha v1.0.0\n\texample.com/beta v1.0.0\n)\n";
        fs::write(folder.path().join("go.mod"), text).unwrap();
        fs::write(folder.path().join("go.sum"), sums).unwrap();
        go.run(folder.path(), &["mod", "download"]).expect_success();
        Self {
            go,
            folder,
            _upstream: upstream,
            _tree: tree,
        }
    }

    fn download(&self, ending: &str) -> PathBuf {
        let name = format!("cache/download/example.com/!alpha/@v/v1.0.0.{ending}");
        self.go.module_cache().join(name)
    }

    fn extracted(&self, name: &str) -> PathBuf {
        let directory = self.go.module_cache().join("example.com/!alpha@v1.0.0");
        directory.join(name)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let project = Project::find(self.folder.path(), None).unwrap();
        let cache = ModuleCache::new(self.go.module_cache());
        verify(&cache, &project.modules, Some(&project.sums), 2)
    }

    /// Checks that both say the same, and returns the names of the problems.
    fn agreed(&self, what: &str) -> Vec<&'static str> {
        let verdicts = self.verdicts();
        let lines: Vec<String> = verdicts
            .iter()
            .filter(|verdict| !verdict.problems.is_empty())
            .map(ToString::to_string)
            .collect();
        let output = self.go.run(self.folder.path(), &["mod", "verify"]);
        if lines.is_empty() {
            assert_eq!(
                output.expect_success().trim(),
                "all modules verified",
                "{what}"
            );
        } else {
            let said = output.expect_failure();
            for line in lines.iter().flat_map(|text| text.lines()) {
                assert!(
                    said.contains(line.trim()),
                    "{what}: {line:?} is not in {said:?}"
                );
            }
        }
        let problems = verdicts.iter().flat_map(|verdict| &verdict.problems);
        problems.map(Problem::name).collect()
    }
}

#[test]
fn an_untouched_cache_is_verified() {
    let scene = Scene::new();
    assert!(scene.agreed("untouched").is_empty());
    assert!(scene.verdicts().iter().all(|verdict| verdict.in_cache));
    let cache = ModuleCache::new(scene.go.module_cache());
    assert_eq!(cache.versions().unwrap().len(), 2);
}

#[test]
fn files_of_the_directory_that_changed_vanished_or_came_are_found() {
    let scene = Scene::new();
    flip(&scene.extracted("a.go"), 0);
    assert_eq!(scene.agreed("changed"), ["dir-modified"]);
    let verdicts = scene.verdicts();
    let [Problem::DirModified { differences, .. }] = &verdicts[0].problems[..] else {
        panic!("{verdicts:?}");
    };
    assert_eq!(differences, &["a.go: changed"]);
    flip(&scene.extracted("a.go"), 0);
    assert!(scene.agreed("flipped back").is_empty());

    writable(&scene.extracted(""));
    fs::write(scene.extracted("extra.go"), "package extra\n").unwrap();
    assert_eq!(scene.agreed("extra"), ["dir-modified"]);
    fs::remove_file(scene.extracted("extra.go")).unwrap();
    writable(&scene.extracted("sub"));
    fs::remove_file(scene.extracted("sub/b.go")).unwrap();
    assert_eq!(scene.agreed("missing"), ["dir-modified"]);
    fs::remove_dir_all(scene.extracted("")).unwrap();
    assert!(scene.agreed("no directory").is_empty());
}

#[test]
fn another_hash_on_record_makes_both_modified() {
    let scene = Scene::new();
    flip(&scene.download("ziphash"), 10);
    let verdicts = scene.verdicts();
    let names: Vec<_> = verdicts[0].problems.iter().map(Problem::name).collect();
    assert_eq!(names, ["go-sum-mismatch", "zip-modified", "dir-modified"]);
    let said = scene.go.run(scene.folder.path(), &["mod", "verify"]);
    let said = said.expect_failure();
    for problem in &verdicts[0].problems[1..] {
        assert!(
            said.contains(&problem.describe(&verdicts[0].module)),
            "{said}"
        );
    }
}

#[test]
fn a_missing_record_is_a_problem_while_the_zip_is_there() {
    let scene = Scene::new();
    fs::remove_file(scene.download("ziphash")).unwrap();
    assert_eq!(scene.agreed("no ziphash"), ["missing-ziphash"]);
}

#[test]
fn a_bit_of_the_zip_is_found_wherever_it_counts_for_go() {
    let scene = Scene::new();
    let len = fs::read(scene.download("zip")).unwrap().len();
    let mut refused = 0;
    for at in (0..len).step_by(len / 24) {
        flip(&scene.download("zip"), at);
        let ours = scene.verdicts()[0].problems.clone();
        let go_is_content = scene
            .go
            .run(scene.folder.path(), &["mod", "verify"])
            .success;
        // This reader is the stricter one: a zip that could be read in two ways is refused.
        assert!(go_is_content || !ours.is_empty(), "byte {at}");
        refused += usize::from(!ours.is_empty());
        flip(&scene.download("zip"), at);
    }
    assert!(refused > 5, "{refused}");
    assert!(scene.agreed("flipped back").is_empty());
}

#[test]
fn hashes_of_go_sum_are_compared() {
    let scene = Scene::new();
    let go_sum = scene.folder.path().join("go.sum");
    let text = fs::read_to_string(&go_sum).unwrap();
    // That of go.mod: `go mod verify` does not get past it.
    let at = text.find("/go.mod h1:").unwrap() + 15;
    flip(&go_sum, at);
    let names: Vec<_> = scene.verdicts()[0]
        .problems
        .iter()
        .map(Problem::name)
        .collect();
    assert_eq!(names, ["go-sum-mismatch"]);
    let said = scene.go.run(scene.folder.path(), &["mod", "verify"]);
    assert!(said.expect_failure().contains("checksum mismatch"));
    flip(&go_sum, at);
    // That of the zip: `go mod verify` does not look at it, `go build` does.
    flip(&go_sum, text.find("v1.0.0 h1:").unwrap() + 14);
    let names: Vec<_> = scene.verdicts()[0]
        .problems
        .iter()
        .map(Problem::name)
        .collect();
    assert_eq!(names, ["go-sum-mismatch"]);
}

#[test]
fn modules_of_the_build_list_are_verified_without_a_line_in_go_sum() {
    let scene = Scene::new();
    let tree = Tree::temporary();
    let leaf = Module::new("example.com/leaf", "v1.1.0").file("l.go", "package leaf\n");
    let branch = Module::new("example.com/branch", "v1.0.0")
        .go_mod("module example.com/branch\n\ngo 1.20\n\nrequire example.com/leaf v1.1.0\n")
        .file("b.go", "package branch\n");
    tree.add(&leaf);
    tree.add(&branch);
    let upstream = UpstreamServer::serve(tree.root());
    let go = Go::find().proxy(&upstream.url()).sumdb("off");
    let folder = scene.folder.path();
    let text = "module example.com/main\n\ngo 1.20\n\nrequire example.com/branch v1.0.0\n";
    fs::write(folder.join("go.mod"), text).unwrap();
    let sums = [&branch, &leaf].map(|module| {
        format!(
            "{} {}/go.mod {}\n",
            module.path(),
            module.version(),
            module.go_mod_h1()
        )
    });
    fs::write(folder.join("go.sum"), sums.concat()).unwrap();
    go.run(folder, &["mod", "download", "example.com/leaf@v1.1.0"])
        .expect_success();
    go.run(folder, &["list", "-m", "all"]).expect_success();
    let cache = ModuleCache::new(go.module_cache());
    let verdicts = || {
        let project = Project::find(folder, None).unwrap().with_build_list(&cache);
        verify(&cache, &project.modules, Some(&project.sums), 1)
    };
    let found: Vec<_> = verdicts()
        .iter()
        .map(|verdict| (verdict.module.to_string(), verdict.in_cache))
        .collect();
    let expected = [
        ("example.com/branch@v1.0.0", false),
        ("example.com/leaf@v1.1.0", true),
    ];
    assert_eq!(
        found,
        expected.map(|(name, there)| (name.to_owned(), there))
    );
    flip(&go.module_cache().join("example.com/leaf@v1.1.0/l.go"), 0);
    let names: Vec<_> = verdicts()[1].problems.iter().map(Problem::name).collect();
    assert_eq!(names, ["dir-modified"]);
    let said = go.run(folder, &["mod", "verify"]).expect_failure();
    assert!(
        said.contains("example.com/leaf v1.1.0: dir has been modified"),
        "{said}"
    );
}

#[test]
fn a_directory_that_replaces_a_module_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "module example.com/main\n\ngo 1.20\n\nrequire example.com/a v1.0.0\n\nreplace example.com/a => ../a\n";
    fs::write(folder.path().join("go.mod"), text).unwrap();
    let project = Project::find(&folder.path().join("sub"), None).unwrap();
    assert_eq!(project.unverifiable[0].directory, "../a");
    let error = Project::find(Path::new("/"), None).unwrap_err().to_string();
    assert!(error.starts_with("there is no go.mod"), "{error}");
}
