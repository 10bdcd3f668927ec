use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gomod::mvs::{NodeVersion, Scope};
use testkit::{Go, escaped};

use super::universe::{Shape, Universe, generate};
use super::walk;

/// Writes all modules as a folder that `GOPROXY=file://` serves, and the project.
fn write(universe: &Universe, tree: &Path, project: &Path) {
    let put = |file: &Path, text: &str| {
        fs::create_dir_all(file.parent().expect("a file lies in a folder"))
            .expect("folders can be made");
        fs::write(file, text).expect("files can be written");
    };
    for ((path, version), text) in &universe.modules {
        let folder = tree.join(escaped(path)).join("@v");
        put(&folder.join(format!("{}.mod", escaped(version))), text);
        let info = format!("{{\"Version\":\"{version}\",\"Time\":\"2021-02-03T04:05:06Z\"}}");
        put(&folder.join(format!("{}.info", escaped(version))), &info);
    }
    for (directory, text) in &universe.directories {
        put(&project.join(directory).join("go.mod"), text);
    }
    for (directory, text) in &universe.members {
        put(&project.join(directory).join("go.mod"), text);
    }
    if let Some(work) = &universe.work {
        put(&project.join("go.work"), work);
    }
}

/// Compares one universe; `false` when `go` refuses it.
fn compare(shape: Shape) -> bool {
    let universe = generate(shape);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (tree, project) = (folder.path().join("tree"), folder.path().join("project"));
    write(&universe, &tree, &project);
    let mut go = Go::find().proxy(&format!("file://{}", tree.display()));
    let inside = project.join(&universe.members[0].0);
    if shape.workspace {
        go = go.env("GOWORK", project.join("go.work"));
    } else {
        go = go.env("GOFLAGS", "-mod=mod");
    }
    let outcome = walk(&universe, Scope::All, |_| 0);

    let graph = go.run(&inside, &["mod", "graph"]);
    if !graph.success {
        assert!(
            !outcome.failures().is_empty(),
            "{shape:?}: go refuses what we read\n{}",
            graph.stderr
        );
        return false;
    }
    assert!(
        outcome.failures().is_empty(),
        "{shape:?}: {:?}",
        outcome.failures()
    );
    let theirs: BTreeSet<&str> = graph.stdout.lines().collect();
    let ours: BTreeSet<String> = outcome
        .edges()
        .map(|(from, to)| format!("{from} {to}"))
        .collect();
    let unpruned_and_raised = !shape.workspace && !outcome.raised().is_empty();
    if !unpruned_and_raised {
        // Of an unpruned module whose requirements are out of date, go shows the least set of requirements that it
        // would write in their place; what is selected stays the same.
        assert_eq!(
            ours.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            theirs,
            "{shape:?}"
        );
    }

    if shape.holes {
        return true;
    }
    let list = go
        .run(
            &inside,
            &["list", "-m", "-f", "{{.Path}} {{.Version}}", "all"],
        )
        .expect_success();
    let mut theirs: Vec<&str> = list.lines().map(str::trim_end).collect();
    theirs.sort_unstable();
    let mut ours: Vec<String> = outcome
        .build_list()
        .into_iter()
        .filter(|node| !node.is_toolchain())
        .map(|node| match node.version() {
            NodeVersion::Main => node.path().to_owned(),
            _ => node.to_string().replace('@', " "),
        })
        .collect();
    ours.sort_unstable();
    assert_eq!(ours, theirs, "{shape:?}");
    true
}

/// How many universes of each kind: a few in an ordinary run, more when asked.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that is asked for more does more"
)]
fn rounds() -> u64 {
    let asked = std::env::var("MODKEEP_MVS_UNIVERSES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(16)
}

fn compare_all(workspace: bool) {
    let mut accepted = 0;
    for seed in 0..rounds() {
        let shape = Shape {
            seed,
            modules: 2 + usize::try_from(seed % 13).expect("small"),
            workspace,
            holes: false,
        };
        accepted += u64::from(compare(shape));
    }
    println!("{accepted} of {} module graphs accepted by go", rounds());
    assert!(
        accepted * 2 > rounds(),
        "most generated module graphs are sound"
    );
}

#[test]
fn single_modules_have_the_graph_and_the_build_list_of_go() {
    compare_all(false);
}

#[test]
fn workspaces_have_the_graph_and_the_build_list_of_go() {
    compare_all(true);
}

#[test]
fn go_fails_where_a_file_is_missing_that_we_miss() {
    let mut refused = 0;
    for seed in 0..rounds() / 2 {
        let shape = Shape {
            seed,
            modules: 8,
            workspace: seed % 3 == 0,
            holes: true,
        };
        refused += u64::from(!compare(shape));
    }
    assert!(refused > 0, "some files are missing");
}
