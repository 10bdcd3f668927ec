//! The real `go` accepts what the generator makes, straight from the simulated upstream.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use testkit::{Go, Module, Project, ProjectShape, Selected, Tree, UpstreamServer, escaped};

struct Scene {
    tree: Tree,
    project: Project,
    folder: tempfile::TempDir,
}

fn scene(seed: u64, modules: usize) -> Scene {
    let project = Project::generate(ProjectShape {
        seed,
        modules,
        padding: 500,
    });
    let tree = Tree::temporary();
    project.publish(&tree);
    let folder = tempfile::tempdir().unwrap();
    project.write_main(folder.path());
    Scene {
        tree,
        project,
        folder,
    }
}

#[test]
fn a_real_go_builds_the_generated_project() {
    let Scene {
        tree,
        project,
        folder,
    } = scene(7, 130);
    let upstream = UpstreamServer::serve(tree.root());
    let go = Go::find().proxy(&upstream.url());
    assert_eq!(
        go.run(folder.path(), &["run", "-mod=readonly", "."])
            .expect_success(),
        project.expected_output()
    );
    for Selected { path, version } in project.selected() {
        let zip = format!("/{}/@v/{}.zip", escaped(&path), escaped(&version));
        assert_eq!(upstream.count(zip.as_str()), 1, "{zip}");
    }
    assert_eq!(
        upstream.count("*.zip"),
        130,
        "nothing but what the build needs was fetched"
    );
    go.run(folder.path(), &["mod", "verify"]).expect_success();
}

#[test]
fn many_seeds_give_projects_that_are_tidy_and_whole() {
    for seed in 0..12 {
        let Scene {
            tree,
            project,
            folder,
        } = scene(seed, 40);
        let go = Go::find().proxy(&format!("file://{}", tree.root().display()));
        let before = project.go_mod();
        assert_eq!(
            go.run(folder.path(), &["run", "-mod=readonly", "."])
                .expect_success(),
            project.expected_output()
        );
        go.run(folder.path(), &["mod", "tidy"]).expect_success();
        assert_eq!(
            read(folder.path(), "go.mod"),
            before,
            "seed {seed}: go.mod was tidy"
        );
        let known: BTreeSet<String> = project.go_sum().lines().map(str::to_owned).collect();
        for line in read(folder.path(), "go.sum").lines() {
            assert!(known.contains(line), "seed {seed}: go.sum lacked {line}");
        }
    }
}

#[test]
fn listing_the_modules_of_a_project_needs_no_zip() {
    let Scene {
        tree,
        project,
        folder,
    } = scene(3, 60);
    let upstream = UpstreamServer::serve(tree.root());
    let go = Go::find().proxy(&upstream.url());
    let listed = go
        .run(folder.path(), &["list", "-m", "all"])
        .expect_success();
    for Selected { path, version } in project.selected() {
        assert!(
            listed
                .lines()
                .any(|line| line == format!("{path} {version}")),
            "{path} {version}"
        );
    }
    assert_eq!(upstream.count("*.zip"), 0);
}

#[test]
fn the_same_seed_gives_the_same_project() {
    let shape = ProjectShape {
        seed: 5,
        modules: 30,
        padding: 100,
    };
    assert_eq!(
        Project::generate(shape).go_sum(),
        Project::generate(shape).go_sum()
    );
    assert_ne!(
        Project::generate(shape).go_sum(),
        Project::generate(ProjectShape { seed: 6, ..shape }).go_sum()
    );
}

#[test]
fn a_project_has_what_real_projects_have() {
    let project = Project::generate(ProjectShape {
        seed: 2,
        modules: 200,
        padding: 0,
    });
    let text = project.go_mod();
    for wanted in [
        "// indirect",
        "+incompatible",
        "/v2 v2.",
        "v0.0.0-202",
        "/Acme/",
        "/tools",
        "-rc.1",
    ] {
        assert!(text.contains(wanted), "{wanted}");
    }
    let direct = text
        .lines()
        .filter(|line| line.starts_with('\t') && !line.ends_with("// indirect"))
        .count();
    assert!((5..100).contains(&direct), "{direct} direct requirements");
}

#[test]
fn a_real_go_accepts_a_big_zip() {
    let tree = Tree::temporary();
    let module = Module::big("example.com/Big", "v1.0.0", 20_000_000);
    tree.add(&module);
    let upstream = UpstreamServer::serve(tree.root());
    let go = Go::find().proxy(&upstream.url());
    let answer = go
        .run(
            go.home(),
            &["mod", "download", "-json", "example.com/Big@v1.0.0"],
        )
        .expect_success();
    assert!(answer.contains(&module.zip_h1()), "{answer}");
    assert!(answer.contains(&module.go_mod_h1()), "{answer}");
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}
