//! `modkeep doctor` as people and scripts call it, with everything on loopback.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use testkit::{Fault, Module, Port, Tree, UpstreamServer};

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
        self.command(arguments)
            .env("GOENV", "off")
            .env("GOPROXY", self.upstream.url())
            .output()
            .unwrap()
    }

    /// With the file of `go env -w` and no setting in the environment but GOSUMDB.
    fn with_file(&self, settings: &str, arguments: &[&str]) -> Command {
        std::fs::write(self.file(), settings).unwrap();
        let mut command = self.command(arguments);
        command
            .env("GOENV", self.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("env")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_modkeep"));
        command
            .args(["doctor", "example.com/sample@v1.2.3"])
            .args(arguments)
            .args(["--timeout", "60"])
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("COLUMNS", "200")
            .current_dir(self.home.path())
            .env("GOSUMDB", "off");
        command
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
    // A server of one's own is not exchanged for others.
    assert!(!said.contains("$ export GOPROXY="), "{said}");
    assert!(!said.contains("$ go env -w GOPROXY="), "{said}");
    let chinese = text(&scene.doctor(&["--lang", "zh"]).stdout);
    assert!(chinese.contains("第一个故障环节是 goproxy"), "{chinese}");
}

#[test]
fn a_module_that_ones_own_server_does_not_have_may_be_asked_for_behind_it() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::status(404));
    let said = text(&scene.doctor(&[]).stdout);
    // Set in the environment, so that the file of `go env -w` would change nothing.
    let fix = format!("$ export GOPROXY={},direct", scene.upstream.url());
    assert!(said.contains(&fix), "{said}");
    assert!(!said.contains("$ go env -w GOPROXY="), "{said}");
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
    assert!(text(&scene.doctor(&["--trace", "tree"]).stdout).contains("404"));
    let chinese = text(&scene.doctor(&["--trace", "tree", "--lang", "zh"]).stdout);
    assert!(chinese.contains("没有"), "{chinese}");
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

#[test]
fn a_fix_that_helps_is_kept() {
    let scene = Scene::new();
    let url = scene.upstream.url();
    let settings = format!("GOPROXY=\"{url}\"\nGOFLAGS=-v\n");
    let output = scene
        .with_file(&settings, &["--fix", "--yes"])
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("+ GOPROXY={url}")), "{said}");
    assert!(said.contains("That helped"), "{said}");
    let now = std::fs::read_to_string(scene.file()).unwrap();
    assert_eq!(now, format!("GOFLAGS=-v\nGOPROXY={url}\n"));
}

#[test]
fn a_fix_that_does_not_help_is_taken_back() {
    let scene = Scene::new();
    // The other server of the chain answers while the first look is taken and not afterwards.
    let dead = Port::reserve();
    let address = dead.address();
    let settings = format!("GOPROXY=http://{address},{}\n", scene.upstream.url());
    let mut command = scene.with_file(&settings, &["--fix"]);
    let mut child = command.spawn().unwrap();
    let mut answers = child.stdin.take().unwrap();
    until(|| !scene.upstream.requests().is_empty());
    let mut seen = String::new();
    let stderr = child.stderr.take().unwrap();
    let mut lines = std::io::BufReader::new(stderr);
    while !seen.contains("[y/N]") {
        assert_ne!(
            std::io::BufRead::read_line(&mut lines, &mut seen).unwrap(),
            0,
            "{seen}"
        );
    }
    assert!(
        seen.contains(&format!("+ GOPROXY=http://{address}|")),
        "{seen}"
    );
    scene.upstream.fail("*", Fault::status(500));
    answers.write_all(b"y\n").unwrap();
    drop(answers);
    std::io::Read::read_to_string(&mut lines, &mut seen).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{seen}");
    assert!(seen.contains("taken back"), "{seen}");
    assert_eq!(std::fs::read_to_string(scene.file()).unwrap(), settings);
}

#[test]
fn a_fix_that_is_interrupted_is_taken_back() {
    let scene = Scene::new();
    let settings = format!("GOPROXY=\"{}\"\n", scene.upstream.url());
    // The second look never ends.
    scene.upstream.fail("*", Fault::Hang);
    let mut command = scene.with_file(&settings, &["--fix", "--yes"]);
    let child = command.spawn().unwrap();
    until(|| std::fs::read_to_string(scene.file()).unwrap() != settings);
    until(|| !scene.upstream.requests().is_empty());
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("taken back"), "{said}");
    assert_eq!(std::fs::read_to_string(scene.file()).unwrap(), settings);
}

#[test]
fn without_a_yes_nothing_is_changed() {
    let scene = Scene::new();
    let settings = format!("GOPROXY=\"{}\"\n", scene.upstream.url());
    let output = scene
        .with_file(&settings, &["--fix"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Nothing has been changed"), "{said}");
    assert_eq!(std::fs::read_to_string(scene.file()).unwrap(), settings);
}

#[test]
fn a_company_server_is_not_exchanged_for_a_public_one() {
    let scene = Scene::new();
    scene.upstream.fail("*", Fault::status(503));
    let settings = format!("GOPROXY={}\n", scene.upstream.url());
    let output = scene
        .with_file(&settings, &["--fix", "--yes"])
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("nothing here that can be changed safely"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(scene.file()).unwrap(), settings);
}

#[test]
fn a_report_keeps_internal_hosts_that_it_can_do_without_to_itself() {
    let scene = Scene::new();
    let file = scene.home.path().join("report.json");
    let output = scene
        .command(&[
            "--report",
            file.to_str().unwrap(),
            "--resolve",
            "mods.corp.test=127.0.0.1",
        ])
        .env("GOENV", "off")
        .env(
            "GOPROXY",
            scene.upstream.url().replace("127.0.0.1", "mods.corp.test"),
        )
        .env("GOPRIVATE", "*.secret.corp.test,git.corp.test/team")
        .output()
        .unwrap();
    assert!(text(&output.stdout).contains("mods.corp.test"));
    let report = std::fs::read_to_string(&file).unwrap();
    assert!(!report.contains("corp.test"), "{report}");
    assert!(report.contains("host-1.internal"), "{report}");
    let _json: serde_json::Value = serde_json::from_str(&report).unwrap();
}

/// Waits for what a program does in its own time.
fn until(happened: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !happened() {
        assert!(start.elapsed().as_secs() < 60, "it has not happened");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
