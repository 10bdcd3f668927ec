use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use testkit::{Go, Modkeep, Module, Selected, escaped, http};

use crate::scene::{Scene, go_through};

#[test]
fn a_project_of_a_hundred_modules_builds_with_and_then_without_the_upstream() {
    let mut scene = Scene::with_modules(11, 120);
    let modkeep = scene.start();
    let go = go_through(&modkeep);
    let folder = scene.checkout("first");
    go.run(&folder, &["mod", "download"]).expect_success();
    scene.build_and_run(&go, &folder);
    go.run(&folder, &["mod", "verify"]).expect_success();
    for Selected { path, version } in scene.project.selected() {
        let zip = format!("/{}/@v/{}.zip", escaped(&path), escaped(&version));
        assert!(scene.upstream.count(zip.as_str()) > 0, "{zip}");
    }
    assert_fetched_once(&scene, &modkeep, 120);

    scene.upstream.stop();
    let go = go_through(&modkeep);
    let folder = scene.checkout("second");
    scene.build_and_run(&go, &folder);
    go.run(&folder, &["mod", "verify"]).expect_success();
}

#[test]
fn listing_the_modules_of_a_project_moves_no_zip() {
    let scene = Scene::with_modules(12, 60);
    let modkeep = scene.start();
    let folder = scene.checkout("app");
    let listed = go_through(&modkeep)
        .run(&folder, &["list", "-m", "all"])
        .expect_success();
    for Selected { path, version } in scene.project.selected() {
        let line = format!("{path} {version}");
        assert!(listed.lines().any(|listed| listed == line), "{line}");
    }
    assert_eq!(scene.upstream.count("*.zip"), 0);
    assert!(scene.upstream.count("*.mod") > 60);
}

#[test]
fn thirty_clients_at_once_cost_the_upstream_one_fetch_of_each_file() {
    const CLIENTS: usize = 30;
    let scene = Scene::with_modules(13, 25);
    // Long enough that many ask for the same before the first of them has it.
    scene.upstream.set_delay(Duration::from_millis(20));
    let modkeep = scene.start();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (scene, modkeep) = (&scene, &modkeep);
            scope.spawn(move || {
                let folder = scene.checkout(&format!("client{number}"));
                let go = go_through(modkeep);
                go.run(&folder, &["mod", "download"]).expect_success();
                go.run(&folder, &["mod", "verify"]).expect_success();
            });
        }
    });
    assert_fetched_once(&scene, &modkeep, 25);
}

#[test]
fn a_fork_that_still_bears_the_name_of_its_origin_can_replace_it() {
    let scene = Scene::with_modules(14, 1);
    let fork = Module::new("example.com/Fork", "v1.0.1")
        .go_mod("module example.com/origin\n\ngo 1.21\n")
        .file("origin.go", "package origin\n\nconst Name = \"the fork\"\n");
    let origin = Module::new("example.com/origin", "v1.0.0").file(
        "origin.go",
        "package origin\n\nconst Name = \"the origin\"\n",
    );
    scene.tree.add(&fork);
    scene.tree.add(&origin);
    let modkeep = scene.start();
    let go = go_through(&modkeep);
    write(
        go.home(),
        "go.mod",
        "module example.com/main\n\ngo 1.21\n\nrequire example.com/origin v1.0.0\n\n\
         replace example.com/origin => example.com/Fork v1.0.1\n",
    );
    write(
        go.home(),
        "main.go",
        "package main\n\nimport \"example.com/origin\"\n\nfunc main() { println(origin.Name) }\n",
    );
    go.run(go.home(), &["mod", "tidy"]).expect_success();
    let sums = fs::read_to_string(go.home().join("go.sum")).unwrap();
    assert!(
        sums.contains(&format!("example.com/Fork v1.0.1 {}\n", fork.zip_h1())),
        "{sums}"
    );
    let ran = go.run(go.home(), &["run", "."]);
    assert!(ran.success, "{}", ran.stderr);
    assert_eq!(ran.stderr, "the fork\n");
}

#[test]
fn a_module_of_a_language_that_is_not_there_yet_is_served_as_it_is() {
    let scene = Scene::with_modules(15, 1);
    let module = Module::new("example.com/future", "v1.0.0")
        .go_mod(
            "module example.com/future\n\ngo 1.99\n\ntoolchain go1.99.3\n\nunheard (\n\tof v9\n)\n",
        )
        .file("future.go", "package future\n");
    scene.tree.add(&module);
    let modkeep = scene.start();
    for ending in ["info", "mod", "zip"] {
        let path = format!("/{}.{ending}", module.stem());
        let reply = http::get(&format!("{}{path}", modkeep.url())).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.body, fs::read(scene.tree.file(&path)).unwrap());
    }
    // What `go` makes of it must be its own affair: the same words as straight from the upstream.
    let ask = |go: Go| {
        let output = go.run(
            go.home(),
            &["mod", "download", "-json", "example.com/future@v1.0.0"],
        );
        let cache = go.module_cache().display().to_string();
        (
            output.success,
            output.stdout.replace(&cache, "CACHE"),
            output.stderr,
        )
    };
    assert_eq!(
        ask(go_through(&modkeep)),
        ask(Go::find().proxy(&scene.upstream.url()))
    );
}

/// So many zips were fetched, and no file twice, but for what a server asks again because an answer is long in coming.
pub(crate) fn assert_fetched_once(scene: &Scene, modkeep: &Modkeep, zips: usize) {
    let counts = scene.upstream.counts();
    let paths = counts.keys().filter(|path| path.ends_with(".zip"));
    assert_eq!(paths.count(), zips, "{counts:?}");
    let more = counts.values().sum::<usize>() - counts.len();
    assert!(more <= modkeep.second_questions(), "{counts:?}");
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}
