//! `modkeep verify`, as scripts see it.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Go, Project, ProjectShape, Tree, UpstreamServer};

fn verify(folder: &Path, cache: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .arg("verify")
        .args(arguments)
        .current_dir(folder)
        .env("GOENV", "off")
        .env("GOMODCACHE", cache)
        .output()
        .unwrap()
}

#[test]
fn the_exit_status_tells_whether_a_module_was_modified() {
    let project = Project::generate(ProjectShape {
        seed: 3,
        modules: 8,
        padding: 100,
    });
    let tree = Tree::temporary();
    project.publish(&tree);
    let upstream = UpstreamServer::serve(tree.root());
    let go = Go::find().proxy(&upstream.url()).sumdb("off");
    let folder = tempfile::tempdir().unwrap();
    project.write_main(folder.path());
    go.run(folder.path(), &["mod", "download"]).expect_success();
    let cache = go.module_cache();

    let good = verify(folder.path(), &cache, &[]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(good.stdout, b"all modules verified\n");
    assert!(good.stderr.is_empty());
    let all = verify(Path::new("/"), &cache, &["--all", "--format", "json"]);
    assert_eq!(all.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert!(report["verified"].as_u64().unwrap() >= 8, "{report}");

    let module = project.selected().into_iter().next().unwrap();
    let name = format!("{}@{}", module.path, module.version);
    let directory = cache.join(testkit::escaped(&name));
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    fs::write(directory.join("added.go"), "package added\n").unwrap();
    let bad = verify(folder.path(), &cache, &[]);
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8(bad.stdout).unwrap();
    assert!(said.contains("dir has been modified"), "{said}");
    assert!(said.contains("added.go: added"), "{said}");
    let json = verify(folder.path(), &cache, &["--format", "json"]);
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["problems"][0]["problem"], "dir-modified");
    assert_eq!(report["problems"][0]["module"], module.path.as_str());

    for (folder, arguments, reason) in [
        (Path::new("/"), &[][..], "there is no go.mod"),
        (
            folder.path(),
            &["--all", "--cache", "/nonexistent"],
            "cannot read the module cache",
        ),
    ] {
        let output = verify(folder, &cache, arguments);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(reason), "{said}");
    }
}
