//! What goes into a bundle.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::scene::{PRIVATE, Scene, expect_done, expect_refused, library, run, secret};

impl Scene {
    pub(crate) fn bundle_shown(&self, file: &str) -> String {
        let file = self.file(file);
        let shown = run(&["bundle", "show", file.to_str().unwrap()]);
        expect_done(&shown);
        shown.stdout
    }
}

#[test]
fn the_same_versions_make_the_same_bytes_in_any_store() {
    let scene = Scene::new();
    scene.create_from_project("one.bundle", &[]);
    scene.create_from_project("two.bundle", &[]);
    scene.store_private("other", &secret());
    let (go_sum, three) = (scene.project().join("go.sum"), scene.file("three.bundle"));
    let arguments = [
        "create",
        three.to_str().unwrap(),
        "--from",
        go_sum.to_str().unwrap(),
    ];
    expect_done(&scene.bundle("other", &scene.upstream.url(), &arguments));
    let read = |name: &str| fs::read(scene.file(name)).unwrap();
    assert_eq!(read("one.bundle"), read("two.bundle"));
    assert_eq!(read("one.bundle"), read("three.bundle"));
    let mode = fs::metadata(scene.file("one.bundle"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn a_bundle_shows_what_is_in_it_and_why_it_is_believed() {
    let scene = Scene::new();
    scene.create_from_project("app.bundle", &[]);
    let shown = scene.bundle_shown("app.bundle");
    for line in [
        "example.com/Mid@v1.0.0",
        "proven by sum.example.com, record 302",
        "record 0  go.mod only",
        "corp.example.com/secret@v1.0.0",
        "unproven: pinned at first sight",
        "head of 303 records",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let file = scene.file("app.bundle");
    let json = run(&["bundle", "show", file.to_str().unwrap(), "--format", "json"]);
    assert!(
        json.stdout.contains("\"kind\": \"unproven\""),
        "{}",
        json.stdout
    );
    // Any tar can read it.
    let list = std::process::Command::new("tar")
        .arg("-tf")
        .arg(&file)
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.starts_with(
            "manifest.json\nmanifest.json.sha256\nmodules/corp.example.com/secret/@v/v1.0.0.info\n"
        ),
        "{list}"
    );
}

#[test]
fn versions_are_chosen_by_module_graph_by_list_and_by_name() {
    let scene = Scene::new();
    let deep = library(
        "example.com/deep",
        "v1.0.0",
        &[("example.com/Mid", "v1.0.0")],
    );
    scene.publish(&deep);
    let zips = |name: &str| -> Vec<String> {
        let shown = scene.bundle_shown(name);
        shown
            .lines()
            .filter(|line| line.starts_with("  ") && !line.contains("go.mod only"))
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .collect()
    };
    // A go.mod file without its go.sum.
    let lone = scene.folder.path().join("lone");
    fs::create_dir(&lone).unwrap();
    fs::copy(scene.project().join("go.mod"), lone.join("go.mod")).unwrap();
    let go_mod = lone.join("go.mod");
    expect_done(&scene.create("graph.bundle", &["--from", go_mod.to_str().unwrap()]));
    let project = [
        "corp.example.com/secret@v1.0.0",
        "example.com/Mid@v1.0.0",
        "example.com/base@v1.1.0",
    ];
    assert_eq!(zips("graph.bundle"), project);
    // A list.
    let list = scene.file("versions.txt");
    fs::write(
        &list,
        "# wanted\nexample.com/base@v1.0.0\n\nexample.com/base v1.1.0 # both\n",
    )
    .unwrap();
    expect_done(&scene.create("list.bundle", &["--from", list.to_str().unwrap()]));
    assert_eq!(
        zips("list.bundle"),
        ["example.com/base@v1.0.0", "example.com/base@v1.1.0"]
    );
    // A version, alone and with what it needs.
    let named = ["--from", "example.com/deep@v1.0.0"];
    expect_done(&scene.create("alone.bundle", &named));
    assert_eq!(zips("alone.bundle"), ["example.com/deep@v1.0.0"]);
    assert!(
        scene
            .bundle_shown("alone.bundle")
            .contains("example.com/Mid@v1.0.0")
    );
    expect_done(&scene.create(
        "deep.bundle",
        &[&named[..], &["--with-dependencies"]].concat(),
    ));
    assert!(zips("deep.bundle").contains(&"example.com/Mid@v1.0.0".to_owned()));
    for bad in [
        "example.com/base@latest",
        "example.com/base@main",
        "nothing.txt",
    ] {
        expect_refused(&scene.create("bad.bundle", &["--from", bad]));
    }
    assert!(!scene.file("bad.bundle").exists());
}

#[test]
fn what_is_not_proven_is_refused_where_proof_is_required() {
    let scene = Scene::new();
    let go_sum = scene.project().join("go.sum");
    let arguments = ["--from", go_sum.to_str().unwrap(), "--require-proof"];
    let refused = expect_refused(&scene.create("app.bundle", &arguments));
    assert!(
        refused.contains(&format!("{PRIVATE}/secret@v1.0.0")),
        "{refused}"
    );
    expect_done(&scene.create(
        "public.bundle",
        &["--from", "example.com/base@v1.1.0", "--require-proof"],
    ));
    assert!(!scene.file("app.bundle").exists());
}

#[test]
fn what_is_not_what_go_sum_or_the_database_says_goes_into_no_bundle() {
    let scene = Scene::new();
    let go_sum = scene.project().join("go.sum");
    let good = fs::read_to_string(&go_sum).unwrap();
    let line = good
        .lines()
        .find(|line| line.contains("secret v1.0.0 "))
        .unwrap();
    let bad = good.replace(
        line,
        &format!("{PRIVATE}/secret v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    );
    fs::write(&go_sum, bad).unwrap();
    let arguments = ["--from", go_sum.to_str().unwrap()];
    let refused = expect_refused(&scene.create("app.bundle", &arguments));
    assert!(
        refused.contains("SECURITY ERROR") && refused.contains("47DEQpj8"),
        "{refused}"
    );
    fs::write(&go_sum, good).unwrap();
    // Somebody has put another zip into a store.
    let forged = library("example.com/base", "v1.1.0", &[]).file("more.go", "package lib\n");
    for module in [&forged, &secret()] {
        scene.store_private("forged", module);
    }
    let out = scene.file("app.bundle");
    let arguments = [&["create", out.to_str().unwrap()], &arguments[..]].concat();
    let refused = expect_refused(&scene.bundle("forged", &scene.upstream.url(), &arguments));
    assert!(refused.contains(&forged.zip_h1()), "{refused}");
    assert!(!out.exists());
}
