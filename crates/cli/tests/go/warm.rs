use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::{Go, ModkeepCommand, Module, Port, Selected, Tree, UpstreamServer, escaped};

use crate::scene::{BINARY, Scene, file_url, go_through, isolated};

/// Runs `modkeep warm`; gives back the exit status and what it printed as JSON.
fn warm(chain: &str, data: &Path, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(BINARY)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("GOENV", "off")
        .current_dir(home.path())
        .args([
            "warm",
            "--format",
            "json",
            "--sumdb",
            "off",
            "--upstream",
            chain,
            "--data",
        ])
        .arg(data)
        .args(arguments)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&stdout)
        .unwrap_or_else(|_| panic!("{stdout}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// Files that were asked for, beside what tells whether the upstream is well.
fn fetched(upstream: &UpstreamServer) -> usize {
    upstream.count("*.mod") + upstream.count("*.zip")
}

fn offline(data: &Path) -> ModkeepCommand {
    isolated(ModkeepCommand::new(BINARY))
        .data(data)
        .upstream("off")
}

#[test]
fn what_was_warmed_builds_without_any_upstream() {
    let scene = Scene::with_modules(31, 60);
    let folder = scene.checkout("app");
    // Each of them is enough on its own.
    for (number, target) in ["go.mod", "."].into_iter().enumerate() {
        let target = folder.join(target);
        let data = scene.data().join(number.to_string());
        let target = target.to_str().unwrap();
        let (code, report) = warm(&scene.upstream.url(), &data, &[target]);
        assert_eq!(
            (code, report["failed"].as_array().unwrap().len()),
            (Some(0), 0),
            "{report}"
        );
        assert_eq!(report["already_there"], 0, "{report}");

        let modkeep = offline(&data).start();
        let go = go_through(&modkeep);
        let copy = scene.checkout(&format!("copy{number}"));
        go.run(&copy, &["mod", "download"]).expect_success();
        scene.build_and_run(&go, &copy);
        go.run(&copy, &["mod", "verify"]).expect_success();
        go.run(&copy, &["list", "-m", "all"]).expect_success();
        drop(modkeep);

        let (code, again) = warm("off", &data, &[target]);
        assert_eq!((code, &again["fetched"]), (Some(0), &0.into()), "{again}");
        assert_eq!(again["already_there"], report["fetched"]);
    }
}

#[test]
fn a_go_sum_file_alone_is_enough_for_the_build_it_was_written_by() {
    let scene = Scene::with_modules(32, 40);
    let folder = scene.checkout("app");
    // Written by go itself.
    Go::find()
        .proxy(&scene.upstream.url())
        .run(&folder, &["mod", "tidy"])
        .expect_success();
    scene.upstream.forget();
    let data = scene.data();
    let target = folder.join("go.sum");
    let (code, report) = warm(&scene.upstream.url(), &data, &[target.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{report}");
    let modkeep = offline(&data).start();
    scene.build_and_run(&go_through(&modkeep), &folder);
}

#[test]
fn what_is_no_target_is_said_before_anything_is_fetched() {
    let scene = Scene::with_modules(36, 5);
    let folder = scene.checkout("app");
    let output = Command::new(BINARY)
        .env("HOME", &folder)
        .env("GOENV", "off")
        .args([
            "warm",
            "--sumdb",
            "off",
            "--upstream",
            &scene.upstream.url(),
        ])
        .arg("--data")
        .arg(scene.data())
        .arg(folder.join("go.mod"))
        .args(["no such file", "main.go"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    for part in ["no such file: there is no such", "main.go: name a go.mod"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fetched(&scene.upstream), 0);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_workspace_a_replacement_and_a_module_alone_are_warmed() {
    let tree = Tree::temporary();
    for module in [
        Module::new("example.com/a", "v1.0.0").go_mod("module example.com/a\ngo 1.21\nrequire example.com/b v1.0.0\n").file("a.go", "package a\nimport _ \"example.com/b\"\n"),
        Module::new("example.com/b", "v1.0.0").file("b.go", "package b\n"),
        Module::new("example.com/b", "v1.1.0").file("b.go", "package b\n"),
        Module::new("example.com/fork", "v1.0.0").go_mod("module example.com/c\n").file("c.go", "package c\n"),
        Module::new("example.com/tool", "v1.0.0").go_mod("module example.com/tool\ngo 1.21\nrequire example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\n").file("main.go", "package main\nimport _ \"example.com/a\"\nfunc main() {}\n"),
    ] {
        tree.add(&module);
    }
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put(
        "work/go.work",
        "go 1.21\nuse ./x\nuse ./y\nreplace example.com/c v1.0.0 => example.com/fork v1.0.0\n",
    );
    put(
        "work/x/go.mod",
        "module x\ngo 1.21\nrequire example.com/a v1.0.0\nrequire example.com/b v1.0.0 // indirect\n",
    );
    put(
        "work/x/x.go",
        "package main\nimport _ \"example.com/a\"\nfunc main() {}\n",
    );
    put(
        "work/y/go.mod",
        "module y\ngo 1.21\nrequire example.com/b v1.1.0\nrequire example.com/c v1.0.0\n",
    );
    put(
        "work/y/y.go",
        "package main\nimport _ \"example.com/b\"\nimport _ \"example.com/c\"\nfunc main() {}\n",
    );
    let data = folder.path().join("data");
    let work = folder.path().join("work");
    let chain = file_url(tree.root());
    let (code, report) = warm(
        &chain,
        &data,
        &[work.to_str().unwrap(), "example.com/tool@latest"],
    );
    assert_eq!(code, Some(0), "{report}");

    let modkeep = offline(&data).start();
    let go = go_through(&modkeep)
        .env("GOWORK", work.join("go.work"))
        .env("GOFLAGS", "-modcacherw -mod=readonly");
    for member in ["x", "y"] {
        go.run(&work.join(member), &["build", "-o", "program", "."])
            .expect_success();
    }
    let go = go_through(&modkeep).env("GOBIN", folder.path());
    go.run(folder.path(), &["install", "example.com/tool@v1.0.0"])
        .expect_success();
    assert!(folder.path().join("tool").is_file());
}

#[test]
fn what_cannot_be_had_is_reported_and_the_rest_is_warmed() {
    let scene = Scene::with_modules(33, 20);
    let folder = scene.checkout("app");
    let Selected { path, version } = scene.project.selected()[3].clone();
    let missing = format!("/{}/@v/{}.zip", escaped(&path), escaped(&version));
    fs::remove_file(scene.tree.file(&missing[1..])).unwrap();
    let (code, report) = warm(
        &scene.upstream.url(),
        &scene.data(),
        &[folder.to_str().unwrap()],
    );
    assert_eq!(code, Some(1), "{report}");
    let failed = report["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 1, "{report}");
    assert!(
        failed[0]["what"].as_str().unwrap().contains(&version),
        "{report}"
    );
    assert!(
        failed[0]["cause"].as_str().unwrap().contains("not found"),
        "{report}"
    );
    assert!(
        report["fetched"].as_u64().unwrap() >= 20 * 3 - 1,
        "{report}"
    );
}

#[test]
fn a_running_server_is_warmed_through_its_own_door() {
    let scene = Scene::with_modules(34, 30);
    let folder = scene.checkout("app");
    // So that nothing is there that was not asked for.
    let modkeep = isolated(ModkeepCommand::new(BINARY))
        .data(scene.data())
        .upstream(&scene.upstream.url())
        .env("MODKEEP_PREFETCH_ENABLED", "false")
        .start();
    let data = scene.data().join("unused");
    let arguments = ["--server", modkeep.url(), folder.to_str().unwrap()];
    let (code, report) = warm("off", &data, &arguments);
    assert_eq!(
        (code, &report["already_there"]),
        (Some(0), &0.into()),
        "{report}"
    );
    let (code, again) = warm("off", &data, &arguments);
    assert_eq!((code, &again["fetched"]), (Some(0), &0.into()), "{again}");
    assert_eq!(again["already_there"], report["fetched"]);
    assert!(!data.exists());

    scene.upstream.forget();
    let copy = scene.checkout("copy");
    scene.build_and_run(&Go::find().proxy(modkeep.url()), &copy);
    assert_eq!(fetched(&scene.upstream), 0);
}

#[test]
fn a_server_warms_the_configured_projects_by_itself() {
    let scene = Scene::with_modules(35, 15);
    let folder = scene.checkout("app");
    let upstream = UpstreamServer::serve(scene.tree.root());
    let modkeep = isolated(ModkeepCommand::new(BINARY))
        .data(scene.data())
        .upstream(&upstream.url())
        .env("MODKEEP_WARM_TARGETS", folder.join("go.mod"))
        // What a client might ask for beyond what it needs is not warmed.
        .env("MODKEEP_PREFETCH_ENABLED", "false")
        .start();
    let warmed = "the configured projects were warmed";
    let is_warmed = modkeep.says_within(warmed, Duration::from_mins(1));
    assert!(is_warmed, "{}", modkeep.stderr());
    assert_eq!(upstream.count("*.zip"), 15);
    upstream.forget();
    let copy = scene.checkout("copy");
    scene.build_and_run(&go_through(&modkeep), &copy);
    assert_eq!(fetched(&upstream), 0);
}

#[test]
fn a_server_that_is_not_there_cannot_be_warmed() {
    let scene = Scene::with_modules(31, 5);
    let folder = scene.checkout("app");
    let port = Port::reserve();
    let url = format!("http://{}", port.address());
    let output = Command::new(BINARY)
        .env("GOENV", "off")
        .args(["warm", "--server", &url])
        .arg(&folder)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains(&url) && stderr.contains("refused"),
        "{stderr}"
    );
}
