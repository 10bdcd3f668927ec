//! `modkeep verify`, as scripts see it.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Go, ModkeepCommand, Project, ProjectShape, Tree, UpstreamServer};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

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

#[test]
fn a_vendor_directory_is_verified_too() {
    let module = testkit::Module::new("example.com/a", "v1.0.0").file("a.go", "package a\n");
    let tree = Tree::temporary();
    tree.add(&module);
    let upstream = UpstreamServer::serve(tree.root());
    let go = Go::find().proxy(&upstream.url()).sumdb("off");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "go.mod",
        "module example.com/main\n\ngo 1.20\n\nrequire example.com/a v1.0.0\n",
    );
    write(
        "main.go",
        "package main\n\nimport _ \"example.com/a\"\n\nfunc main() {}\n",
    );
    go.run(folder.path(), &["mod", "tidy"]).expect_success();
    go.run(folder.path(), &["mod", "vendor"]).expect_success();
    let cache = go.module_cache();
    let good = verify(folder.path(), &cache, &[]);
    assert_eq!(good.status.code(), Some(0));
    let said = String::from_utf8(good.stdout).unwrap();
    assert_eq!(said, "all modules verified\n1 file in vendor verified\n");

    write("vendor/example.com/a/a.go", "package evil\n");
    let bad = verify(folder.path(), &cache, &["--format", "json"]);
    assert_eq!(bad.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(
        report["vendor"]["problems"][0]["problem"],
        "vendor-modified"
    );
    assert_eq!(report["problems"].as_array().unwrap().len(), 0);

    // Without the zip nobody can tell, whatever the file has become.
    let zip = cache.join("cache/download/example.com/a/@v/v1.0.0.zip");
    fs::remove_file(zip).unwrap();
    let untold = verify(folder.path(), &cache, &[]);
    assert_eq!(untold.status.code(), Some(2), "{untold:?}");
    let said = String::from_utf8(untold.stdout).unwrap();
    let reason = "the zip of example.com/a@v1.0.0 is not in the cache";
    assert!(said.contains(reason), "{said}");
}

#[test]
fn in_a_workspace_the_modules_of_all_members_are_verified() {
    let tree = Tree::temporary();
    for name in ["a", "b"] {
        let module = testkit::Module::new(&format!("example.com/{name}"), "v1.0.0");
        tree.add(&module.file("x.go", &format!("package {name}\n")));
    }
    let upstream = UpstreamServer::serve(tree.root());
    let go = Go::find()
        .proxy(&upstream.url())
        .sumdb("off")
        .env("GOWORK", "auto");
    let folder = tempfile::tempdir().unwrap();
    for (member, uses) in [("one", "a"), ("two", "b")] {
        let directory = folder.path().join(member);
        fs::create_dir(&directory).unwrap();
        let text = format!(
            "module example.com/{member}\n\ngo 1.21\n\nrequire example.com/{uses} v1.0.0\n"
        );
        fs::write(directory.join("go.mod"), text).unwrap();
    }
    let work_file = folder.path().join("go.work");
    fs::write(&work_file, "go 1.21\n\nuse (\n\t./one\n\t./two\n)\n").unwrap();
    go.run(folder.path(), &["mod", "download"]).expect_success();
    let cache = go.module_cache();
    let damaged = cache.join("example.com/b@v1.0.0/x.go");
    fs::set_permissions(&damaged, Permissions::from_mode(0o644)).unwrap();
    fs::write(&damaged, "package evil\n").unwrap();

    let verify_with = |directory: &Path, gowork: &str| {
        Command::new(env!("CARGO_BIN_EXE_modkeep"))
            .arg("verify")
            .current_dir(directory)
            .env("GOENV", "off")
            .env("GOMODCACHE", &cache)
            .env("GOWORK", gowork)
            .output()
            .unwrap()
    };
    let one = folder.path().join("one");
    for (directory, gowork, status) in [
        (one.as_path(), "", 1),
        (one.as_path(), "auto", 1),
        // The directory of go.work has no go.mod file.
        (folder.path(), "", 1),
        (Path::new("/"), work_file.to_str().unwrap(), 1),
        // Without the workspace nobody uses the damaged module.
        (one.as_path(), "off", 0),
        (folder.path(), "off", 2),
        (one.as_path(), "go.work", 2),
        (one.as_path(), "/nonexistent/go.work", 2),
    ] {
        let output = verify_with(directory, gowork);
        let place = directory.display();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{place} {gowork}: {output:?}"
        );
    }

    // As `go`, it does not leave its own tree to look for a workspace.
    let from_goroot = |goroot: &Path, arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_modkeep"))
            .arg("verify")
            .args(arguments)
            .current_dir(&one)
            .env("GOENV", "off")
            .env("GOMODCACHE", &cache)
            .env("GOROOT", goroot)
            .env_remove("GOWORK")
            .output()
            .unwrap()
    };
    for (goroot, arguments, status) in [
        (folder.path(), &[][..], 0),
        (one.as_path(), &[], 1),
        // The directory above, and not that of the module below it.
        (folder.path(), &["--project", ".."], 1),
        (Path::new("/nonexistent"), &["--project", "../one/.."], 1),
        (Path::new("/nonexistent"), &["--project", "../.."], 2),
    ] {
        let output = from_goroot(goroot, arguments);
        let place = goroot.display();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{place} {arguments:?}: {output:?}"
        );
    }
}

#[test]
fn the_zips_of_a_store_are_verified() {
    let project = Project::generate(ProjectShape {
        seed: 5,
        modules: 6,
        padding: 100,
    });
    let tree = Tree::temporary();
    project.publish(&tree);
    let upstream = UpstreamServer::serve(tree.root());
    let store = tempfile::tempdir().unwrap();
    let server = ModkeepCommand::new(env!("CARGO_BIN_EXE_modkeep"))
        .data(store.path())
        .upstream(&upstream.url())
        .sumdb("off")
        .start();
    let go = Go::find().proxy(server.url()).sumdb("off");
    let folder = tempfile::tempdir().unwrap();
    project.write_main(folder.path());
    go.run(folder.path(), &["mod", "download"]).expect_success();
    let named = store.path().to_str().unwrap();
    let verify = |arguments: &[&str]| verify(Path::new("/"), &go.module_cache(), arguments);
    // Beside the server that has it, and stores a zip a moment after it was given out.
    let began = Instant::now();
    loop {
        let good = verify(&["--store", named, "--format", "json"]);
        assert_eq!(good.status.code(), Some(0), "{good:?}");
        let report: Value = serde_json::from_slice(&good.stdout).unwrap();
        if report["verified"] == project.selected().len() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{report}");
    }
    drop(server);

    let module = project.selected().into_iter().next().unwrap();
    let stem = testkit::escaped(&format!("{}/@v/{}", module.path, module.version));
    let zip = store.path().join("tree").join(format!("{stem}.zip"));
    let bytes = fs::read(&zip).unwrap();
    fs::set_permissions(&zip, Permissions::from_mode(0o644)).unwrap();
    fs::write(&zip, &bytes[..bytes.len() / 2]).unwrap();
    let cut = verify(&["--store", named, "--format", "json"]);
    assert_eq!(cut.status.code(), Some(1), "{cut:?}");
    let report: Value = serde_json::from_slice(&cut.stdout).unwrap();
    assert_eq!(report["problems"].as_array().unwrap().len(), 1);
    assert_eq!(report["problems"][0]["problem"], "unreadable");
    fs::write(&zip, bytes).unwrap();
    let hash = zip.with_extension("ziphash");
    fs::set_permissions(&hash, Permissions::from_mode(0o644)).unwrap();
    fs::write(hash, "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let bad = verify(&["--store", named]);
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8(bad.stdout).unwrap();
    assert!(said.contains("zip has been modified"), "{said}");
    let none = verify(&["--store", "/nonexistent"]);
    assert_eq!(none.status.code(), Some(2));
}
