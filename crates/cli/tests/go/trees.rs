use std::fs;
use std::path::Path;

use testkit::Go;

use crate::scene::{IMMUTABLE, Scene, file_url, files_below, go_through};

#[test]
fn a_folder_can_be_the_upstream() {
    let scene = Scene::with_modules(21, 40);
    let modkeep = scene.start_with(&file_url(scene.tree.root()));
    let go = go_through(&modkeep);
    let folder = scene.checkout("app");
    scene.build_and_run(&go, &folder);
    go.run(&folder, &["mod", "verify"]).expect_success();
    let answer = go.run(&folder, &["list", "-m", "-versions", &some_module(&scene)]);
    assert_eq!(answer.expect_success(), versions_in(&scene));
    assert_eq!(scene.upstream.connections(), 0);
}

#[test]
fn what_is_stored_is_of_use_without_the_program() {
    let scene = Scene::with_modules(22, 40);
    let modkeep = scene.start();
    let go = go_through(&modkeep);
    let folder = scene.checkout("through");
    scene.build_and_run(&go, &folder);
    go.run(&folder, &["mod", "verify"]).expect_success();
    let module = some_module(&scene);
    let latest = format!("{module}@latest");
    let questions: [&[&str]; 2] = [
        &["list", "-m", "-versions", &module],
        &["list", "-m", &latest],
    ];
    let answers = questions.map(|question| go.run(&folder, question).expect_success());
    assert_eq!(modkeep.terminate().code, Some(0));

    let go = Go::find().proxy(&file_url(&scene.stored_tree()));
    let folder = scene.checkout("without");
    scene.build_and_run(&go, &folder);
    go.run(&folder, &["mod", "verify"]).expect_success();
    assert_eq!(
        questions.map(|question| go.run(&folder, question).expect_success()),
        answers
    );
    for path in files_below(&scene.stored_tree(), &IMMUTABLE) {
        assert_eq!(
            fs::read(scene.stored_tree().join(&path)).unwrap(),
            fs::read(scene.tree.file(&path)).unwrap(),
            "{path}"
        );
    }
}

#[test]
fn a_module_cache_that_was_copied_in_is_served_without_any_upstream() {
    let scene = Scene::with_modules(23, 40);
    let go = Go::find().proxy(&scene.upstream.url());
    let folder = scene.checkout("source");
    scene.build_and_run(&go, &folder);
    go.run(&folder, &["mod", "verify"]).expect_success();
    copy(
        &go.module_cache().join("cache/download"),
        &scene.stored_tree(),
    );
    scene.upstream.forget();

    for chain in ["off", "http://127.0.0.1:9"] {
        let modkeep = scene.start_with(chain);
        let go = go_through(&modkeep);
        let folder = scene.checkout("target");
        scene.build_and_run(&go, &folder);
        go.run(&folder, &["mod", "verify"]).expect_success();
        let listed = go
            .run(&folder, &["list", "-m", "-versions", &some_module(&scene)])
            .expect_success();
        for version in stored_versions(&scene) {
            assert!(
                listed.split_whitespace().any(|word| word == version),
                "{chain}: {version} is stored, and not in {listed}"
            );
        }
        modkeep.terminate();
    }
    assert_eq!(scene.upstream.connections(), 0);
}

/// A module of the project that has a list: one with a released version.
fn some_module(scene: &Scene) -> String {
    let selected = scene.project.selected();
    let released = selected
        .iter()
        .find(|selected| !selected.version.contains('-') && !selected.version.contains('+'));
    released.unwrap().path.clone()
}

fn versions_in(scene: &Scene) -> String {
    let module = some_module(scene);
    let list = format!("{}/@v/list", testkit::escaped(&module));
    let text = fs::read_to_string(scene.tree.file(&list)).unwrap();
    // `go` names them in ascending order, as the list does, but hides pre-releases from nobody.
    format!("{module} {}\n", text.lines().collect::<Vec<_>>().join(" "))
}

/// The versions of [`some_module`] that the store's tree has complete.
fn stored_versions(scene: &Scene) -> Vec<String> {
    let module = testkit::escaped(&some_module(scene));
    let versions: Vec<String> =
        files_below(&scene.stored_tree().join(module).join("@v"), &[".zip"])
            .into_iter()
            .map(|name| name.trim_end_matches(".zip").to_owned())
            .collect();
    assert!(!versions.is_empty());
    versions
}

fn copy(from: &Path, to: &Path) {
    for path in files_below(from, &[""]) {
        let target = to.join(&path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&path), target).unwrap();
    }
}
