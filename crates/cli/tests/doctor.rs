//! `modkeep doctor` as people and scripts call it, with everything on loopback.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

use std::process::{Command, Output};

use testkit::{Fault, Module, Tree, UpstreamServer};

struct Scene {
    upstream: UpstreamServer,
    home: tempfile::TempDir,
    _tree: Tree,
}

impl Scene {
    fn new() -> Self {
        let tree = Tree::temporary();
        tree.add(&Module::new("example.com/sample", "v1.2.3"));
        Self {
            upstream: UpstreamServer::serve(tree.root()),
            home: tempfile::tempdir().unwrap(),
            _tree: tree,
        }
    }

    fn doctor(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_modkeep"))
            .args(["doctor", "example.com/sample@v1.2.3", "--timeout", "20"])
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("COLUMNS", "200")
            .env("GOENV", "off")
            .env("GOPROXY", self.upstream.url())
            .env("GOSUMDB", "off")
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn when_all_is_well_there_is_nothing_to_complain_about() {
    let scene = Scene::new();
    let output = scene.doctor(&[]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("nothing is in the way"), "{said}");
    assert!(!said.contains("FAILED"), "{said}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_broken_hop_is_named_with_its_fix_in_both_languages() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::status(503));
    let english = scene.doctor(&[]);
    let said = text(&english.stdout);
    assert_eq!(english.status.code(), Some(1), "{said}");
    assert!(said.contains("The first broken hop is goproxy"), "{said}");
    assert!(said.contains("[goproxy / goproxy-5xx]"), "{said}");
    assert!(said.contains("undo: go env -u GOPROXY"), "{said}");
    let chinese = text(&scene.doctor(&["--lang", "zh"]).stdout);
    assert!(chinese.contains("第一个故障环节是 goproxy"), "{chinese}");
}

#[test]
fn programs_get_json_and_drawings() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::status(404));
    let output = scene.doctor(&["--format", "json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["verdict"]["label"], "goproxy-404");
    assert_eq!(answer["verdict"]["health"], "broken");
    assert_eq!(answer["causes"][0]["hop"], "goproxy");
    let drawing = text(&scene.doctor(&["--trace", "mermaid"]).stdout);
    assert!(drawing.starts_with("flowchart TD\n"), "{drawing}");
    assert!(text(&scene.doctor(&["--trace", "tree"]).stdout).contains("goproxy-404"));
}

#[test]
fn a_report_is_written_without_the_home_directory() {
    let scene = Scene::new();
    let file = scene.home.path().join("report.md");
    scene.doctor(&["--all-settings", "--report", file.to_str().unwrap()]);
    let report = std::fs::read_to_string(&file).unwrap();
    assert!(report.starts_with("# modkeep doctor\n"), "{report}");
    assert!(
        !report.contains(scene.home.path().to_str().unwrap()),
        "{report}"
    );
}

#[test]
fn what_cannot_be_done_exits_with_2() {
    let scene = Scene::new();
    for arguments in [
        ["--timeout", "0"],
        ["--resolve", "nonsense"],
        ["--resolver", "nobody"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_modkeep"))
            .arg("doctor")
            .args(arguments)
            .env("GOPROXY", scene.upstream.url())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
