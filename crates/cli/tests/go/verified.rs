//! The `go` command verifies what it gets, and reaches no checksum database but through the program.

use std::fs;
use std::path::Path;

use testkit::{ChecksumDatabase, Go, Modkeep, ModkeepCommand, Module, Selected, escaped, http};

use crate::scene::{BINARY, Scene};

const NAME: &str = "sum.example.com";

/// A scene whose modules are all in a database, which has more records than one tile.
struct Stage {
    scene: Scene,
    database: ChecksumDatabase,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let scene = Scene::with_modules(seed, 40);
        let database = ChecksumDatabase::new(NAME, 1);
        for module in scene.project.modules() {
            database.add(&module);
        }
        for number in 0..260 {
            database.add(&Module::new(
                &format!("example.com/later{number}"),
                "v1.0.0",
            ));
        }
        Self { scene, database }
    }

    fn command(&self) -> ModkeepCommand {
        ModkeepCommand::new(BINARY)
            .data(self.scene.data())
            .upstream(&self.scene.upstream.url())
            .sumdb(&self.database.setting())
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("GOENV", "off")
    }

    /// A `go` with nothing of its own, that knows the database by name and key alone and reaches this `modkeep` alone.
    fn go(&self, modkeep: &Modkeep) -> Go {
        Go::find()
            .proxy(modkeep.url())
            .sumdb(&self.database.key())
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("NO_PROXY", "127.0.0.1")
    }

    /// A checkout of the project without go.sum: everything is to be looked up.
    fn checkout(&self, name: &str) -> std::path::PathBuf {
        let folder = self.scene.checkout(name);
        fs::remove_file(folder.join("go.sum")).unwrap();
        folder
    }

    /// Downloads, builds and verifies; what `go` has looked up is what the project is made of.
    fn build(&self, go: &Go, folder: &Path) {
        go.run(folder, &["mod", "tidy"]).expect_success();
        self.scene.build_and_run(go, folder);
        go.run(folder, &["mod", "verify"]).expect_success();
        let sums = fs::read_to_string(folder.join("go.sum")).unwrap();
        for line in self.scene.project.go_sum().lines() {
            let is_of_a_zip = !line.contains("/go.mod ");
            assert!(!is_of_a_zip || sums.contains(line), "no {line} in\n{sums}");
        }
    }
}

#[test]
fn verification_stays_on_without_a_way_to_the_database_and_then_without_any_network() {
    let mut stage = Stage::new(41);
    let modkeep = stage.command().start();
    // From the client the database cannot be reached: the relay is all it has.
    let first = stage.go(&modkeep);
    stage.build(&first, &stage.checkout("first"));
    assert!(stage.database.server.count("/lookup/*") >= stage.scene.project.selected().len());

    // Now the server cannot reach it either, nor the upstream.
    stage.database.server.stop();
    stage.scene.upstream.stop();
    stage.build(&stage.go(&modkeep), &stage.checkout("second"));
    modkeep.kill();
    let modkeep = stage.command().start();
    let third = stage.go(&modkeep);
    stage.build(&third, &stage.checkout("third"));

    // What was never seen is not vouched for.
    let unseen = third.run(
        third.home(),
        &["mod", "download", "example.com/later0@v1.0.0"],
    );
    unseen.expect_failure();
}

#[test]
fn a_client_that_has_seen_a_newer_head_is_served_without_the_database() {
    let mut stage = Stage::new(42);
    let modkeep = stage.command().start();
    let go = stage.go(&modkeep);
    let folder = stage.checkout("first");
    stage.build(&go, &folder);
    // The tree grows, and the client learns of it.
    let fresh = Module::new("example.com/fresh", "v1.0.0");
    for number in 0..300 {
        let path = format!("example.com/grown{number}");
        stage.database.add(&Module::new(&path, "v1.0.0"));
    }
    stage.database.add(&fresh);
    stage.scene.tree.add(&fresh);
    go.run(&folder, &["mod", "download", "example.com/fresh@v1.0.0"])
        .expect_success();
    let settled = || {
        let metrics = http::get(&format!("{}/metrics", modkeep.url())).unwrap();
        metrics.text().contains("modkeep_fetches_in_flight 0\n")
    };
    while !settled() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    stage.database.server.stop();
    stage.scene.upstream.stop();
    // Of what it has read it keeps its head alone.
    let cache = go.module_cache().join("cache/download");
    for Selected { path, .. } in stage.scene.project.selected() {
        fs::remove_dir_all(cache.join(escaped(&path))).unwrap();
    }
    fs::remove_dir_all(cache.join("sumdb")).unwrap();
    stage.build(&go, &stage.checkout("second"));
}

#[test]
fn go_refuses_what_the_program_was_made_to_serve_against_the_database() {
    let stage = Stage::new(43);
    let Selected { path, version } = stage.scene.project.selected().remove(0);
    let forged = Module::new(&path, &version).file("evil.go", "package evil\n");
    stage.scene.tree.add(&forged);
    // Somebody has switched verification off here, and the relay goes on.
    let modkeep = stage.command().env("MODKEEP_NO_SUMDB", &path).start();
    let go = stage.go(&modkeep);
    let module = format!("{path}@{version}");
    let said = go
        .run(go.home(), &["mod", "download", &module])
        .expect_failure();
    assert!(said.contains("SECURITY ERROR"), "{said}");
    assert!(
        said.contains(&forged.zip_h1()) || said.contains(&forged.go_mod_h1()),
        "{said}"
    );
}

/// Go's own toolchain is looked up whatever is exempt (Go's modfetch `useSumDB`).
#[test]
fn a_toolchain_is_verified_by_the_program_and_by_go_although_no_other_module_is() {
    let names = Go::find();
    let names = names
        .run(names.home(), &["env", "GOHOSTOS", "GOHOSTARCH"])
        .expect_success();
    let platform = names.trim().replace('\n', "-");
    let version = format!("v0.0.1-go1.99.0.{platform}");
    let toolchain = |words: &str| {
        let script = format!("#!/bin/sh\necho {words}\n");
        Module::new("golang.org/toolchain", &version)
            .file("bin/go", &script)
            .file("bin/gofmt", &script)
            .file("pkg/tool/none", "none\n")
            .file("lib/none", "none\n")
    };
    let (right, wrong) = (toolchain("it is right"), toolchain("it is wrong"));
    let mut stage = Stage::new(44);
    stage.database.add(&right);
    let exempt = |stage: &Stage| {
        stage
            .command()
            .env("MODKEEP_NO_SUMDB", "golang.org/*")
            .start()
    };
    let switch = |go: Go| {
        let go = go
            .env("GOTOOLCHAIN", "go1.99.0")
            .env("GONOSUMDB", "golang.org/*");
        go.run(go.home(), &["version"])
    };

    stage.scene.tree.add(&wrong);
    let modkeep = exempt(&stage);
    let said = switch(stage.go(&modkeep)).expect_failure();
    assert!(
        said.contains("sumdb-mismatch") || said.contains("502"),
        "{said}"
    );
    let stored = stage
        .scene
        .stored_tree()
        .join(right.stem())
        .with_extension("x");
    let left = fs::read_dir(stored.parent().unwrap()).into_iter().flatten();
    let zips = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".zip")
    });
    assert_eq!(zips.count(), 0);

    stage.scene.tree.add(&right);
    assert_eq!(switch(stage.go(&modkeep)).expect_success(), "it is right\n");
    stage.database.server.stop();
    assert_eq!(switch(stage.go(&modkeep)).expect_success(), "it is right\n");
}
