//! `modkeep mirrors` as people and scripts call it, with everything on loopback, and what the real go makes of its advice.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{ChecksumDatabase, Fault, Go, Module, Tree, UpstreamServer};

const MODULE: &str = "example.com/sample";

struct Scene {
    home: tempfile::TempDir,
    database: ChecksumDatabase,
    mirrors: Vec<UpstreamServer>,
    _trees: Vec<Tree>,
}

impl Scene {
    /// Two mirrors that relay one database; the second is slower.
    fn new() -> Self {
        let database = ChecksumDatabase::new("sum.mirrors.test", 1);
        let module = Module::new(MODULE, "v1.2.3").file("sample.go", "package sample\n");
        database.add(&module);
        let trees: Vec<Tree> = (0..2).map(|_| Tree::temporary()).collect();
        let mirrors: Vec<UpstreamServer> = trees
            .iter()
            .map(|tree| {
                tree.add(&module);
                database.be_relayed_in(tree);
                UpstreamServer::serve(tree.root())
            })
            .collect();
        mirrors[1].set_delay(std::time::Duration::from_millis(500));
        let scene = Self {
            home: tempfile::tempdir().unwrap(),
            database,
            mirrors,
            _trees: trees,
        };
        scene.set_goproxy("direct");
        scene
    }

    fn go_env(&self) -> PathBuf {
        self.home.path().join("go.env")
    }

    fn set_goproxy(&self, value: &str) {
        std::fs::write(self.go_env(), format!("GOPROXY={value}\n")).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_modkeep"))
            .arg("mirrors")
            .args(["--no-catalogue", "--module", "example.com/sample@v1.2.3"])
            .args(
                self.mirrors
                    .iter()
                    .flat_map(|mirror| ["--add".to_owned(), mirror.url()]),
            )
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("GOENV", self.go_env())
            .env("GOSUMDB", self.database.key())
            .env("GOPRIVATE", "*.corp.example.com")
            .output()
            .unwrap()
    }

    /// The line that is recommended.
    fn recommended(&self) -> String {
        let output = self.run(&[]);
        let text = text(&output.stdout);
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("$ go env -w "));
        line.unwrap_or_else(|| panic!("{text}{}", self::text(&output.stderr)))
            .to_owned()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A real go with a settings file of its own, and a module that requires the sample.
fn project(scene: &Scene) -> (Go, tempfile::TempDir) {
    let settings = scene.home.path().join("real-go.env");
    let go = Go::find()
        .env("GOENV", &settings)
        .sumdb(&scene.database.key());
    let folder = tempfile::tempdir().unwrap();
    let go_mod = format!("module example.com/main\n\ngo 1.21\n\nrequire {MODULE} v1.2.3\n");
    std::fs::write(folder.path().join("go.mod"), go_mod).unwrap();
    (go, folder)
}

#[test]
fn go_takes_the_line_as_printed_and_survives_the_loss_of_the_first_mirror() {
    let mut scene = Scene::new();
    let line = scene.recommended();
    let (first, second) = (scene.mirrors[0].url(), scene.mirrors[1].url());
    assert_eq!(line, format!("'GOPROXY={first}|{second},direct'"));
    let (go, folder) = project(&scene);
    // As a shell would give it to go; the variable of the test's own environment must not win.
    let mut command = go.command(folder.path());
    let status = command
        .env_remove("GOPROXY")
        .args(["env", "-w", line.trim_matches('\'')])
        .status();
    assert!(status.unwrap().success());
    let download = |what: &str| {
        let mut command = go.command(folder.path());
        let output = command
            .env_remove("GOPROXY")
            .args(["mod", "download", "-x", MODULE])
            .output()
            .unwrap();
        assert!(output.status.success(), "{what}: {}", text(&output.stderr));
    };
    download("with both mirrors");
    assert!(scene.mirrors[0].count("*.zip") > 0);
    std::fs::remove_dir_all(go.module_cache()).unwrap();
    let _no_sums_yet = std::fs::remove_file(folder.path().join("go.sum"));
    scene.mirrors[0].stop();
    let before = scene.mirrors[1].count("*.zip");
    download("with the second mirror only");
    assert_eq!(scene.mirrors[1].count("*.zip"), before + 1);
}

#[test]
fn what_is_applied_is_in_force_and_the_private_settings_are_not_touched() {
    let scene = Scene::new();
    std::fs::write(
        scene.go_env(),
        "GOPROXY=direct\nGONOSUMDB=*.corp.example.com\n",
    )
    .unwrap();
    let output = scene.run(&["--apply", "--yes"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let settings = std::fs::read_to_string(scene.go_env()).unwrap();
    let (first, second) = (scene.mirrors[0].url(), scene.mirrors[1].url());
    // In the order that `go env -w` has.
    assert_eq!(
        settings,
        format!("GONOSUMDB=*.corp.example.com\nGOPROXY={first}|{second},direct\n")
    );
    // And now there is nothing to change.
    let again = scene.run(&["--apply"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert!(
        text(&again.stdout).contains("nothing to change"),
        "{}",
        text(&again.stdout)
    );
}

#[test]
fn without_a_yes_nothing_is_applied() {
    let scene = Scene::new();
    let before = std::fs::read_to_string(scene.go_env()).unwrap();
    // Nobody answers: tests have no input.
    let output = scene.run(&["--apply"]);
    let said = text(&output.stderr);
    assert!(
        said.contains("go env -w") && said.contains("[y/N]"),
        "{said}"
    );
    assert!(said.contains("Nothing has been changed"), "{said}");
    assert_eq!(std::fs::read_to_string(scene.go_env()).unwrap(), before);
}

#[test]
fn a_host_that_is_to_be_skipped_is_not_contacted() {
    let scene = Scene::new();
    let output = scene.run(&["--skip", "0.0.1", "--format", "json"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(
        scene
            .mirrors
            .iter()
            .all(|mirror| mirror.requests().is_empty())
    );
}

#[test]
fn a_mirror_of_goproxy_that_is_down_is_a_finding() {
    let mut scene = Scene::new();
    scene.set_goproxy(&format!("{},direct", scene.mirrors[1].url()));
    scene.mirrors[1].stop();
    let all = [scene.mirrors.remove(1)];
    let output = scene.run(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(
        text(&output.stdout).contains("tcp-refused"),
        "{}",
        text(&output.stdout)
    );
    drop(all);
}

#[test]
fn a_private_module_is_refused_before_anything_is_sent() {
    let scene = Scene::new();
    let output = scene.run(&["--module", "git.corp.example.com/secret"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("GOPRIVATE"),
        "{}",
        text(&output.stderr)
    );
    assert!(scene.mirrors.iter().all(|mirror| mirror.connections() == 0));
}

#[test]
fn the_document_and_both_languages_are_printed_without_colour() {
    let scene = Scene::new();
    for arguments in [&["--json"][..], &["--format", "json"]] {
        let output = scene.run(arguments);
        assert!(output.status.success());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["mirrors"].as_array().unwrap().len(), 2);
        assert_eq!(document["mirrors"][0]["rank"], 1);
    }
    let output = scene.run(&["--lang", "zh", "--repeat", "2"]);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("推荐") && shown.contains("测了 2 次"),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'));
}

#[test]
fn a_watch_prints_and_keeps_what_it_saw() {
    let scene = Scene::new();
    scene.mirrors[1].fail("*.zip", Fault::status(503));
    let history = scene.home.path().join("mirrors.jsonl");
    let file = history.to_str().unwrap();
    let output = scene.run(&[
        "--watch",
        "--interval",
        "1",
        "--rounds",
        "2",
        "--history",
        file,
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(
        lines.contains(&format!("UP {}", scene.mirrors[0].url())),
        "{lines}"
    );
    assert!(lines.contains("goproxy-5xx"), "{lines}");
    assert_eq!(
        std::fs::read_to_string(&history).unwrap().lines().count(),
        4
    );
    // A later comparison tells how it went.
    let output = scene.run(&["--history", file, "--repeat", "1"]);
    assert!(
        text(&output.stdout).contains("up in 100.0 % of 2 checks"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn bad_arguments_are_told_in_one_line() {
    let scene = Scene::new();
    for (arguments, words) in [
        (&["--add", "ftp://x"][..], "--add ftp://x"),
        (&["--add", "/no/such/file"], "/no/such/file"),
        (&["--timeout", "0"], "--timeout"),
        (&["--resolve", "x"], "--resolve x"),
        (&["--module", "x y"], "x y"),
    ] {
        let output = scene.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    }
}
