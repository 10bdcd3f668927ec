//! The files for operations, judged by the programs that they are for. Where one of these is missing, that is said.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use testkit::workspace_root;

/// Runs a program in the workspace. `None`: it is not installed, which is said.
fn run(program: &str, arguments: &[&str], for_what: &str) -> Option<Output> {
    // Some are where only root looks for programs.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let Some(found) = folders
        .iter()
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
    else {
        testkit::skipped(&format!("lint of {for_what} (no {program})"));
        return None;
    };
    let mut command = Command::new(found);
    command.args(arguments).current_dir(workspace_root());
    Some(command.output().unwrap())
}

fn words(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn promtool_accepts_the_rules_for_prometheus() {
    let rules = ["check", "rules", "deploy/prometheus/modkeep.rules.yml"];
    if let Some(output) = run("promtool", &rules, "the rules for Prometheus") {
        let words = words(&output);
        assert!(
            output.status.success() && words.contains("SUCCESS"),
            "{words}"
        );
    }
}

#[test]
fn systemd_accepts_the_units_and_finds_the_service_confined() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["modkeep.service", "modkeep.socket"] {
        let unit = workspace_root().join("deploy/systemd").join(name);
        // Whether there is such a program is looked at, too.
        let text = fs::read_to_string(unit).unwrap();
        let text = text.replace("/usr/local/bin/modkeep", env!("CARGO_BIN_EXE_modkeep"));
        fs::write(folder.path().join(name), text).unwrap();
    }
    let unit = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (service, socket) = (unit("modkeep.service"), unit("modkeep.socket"));
    let verify = ["verify", "--man=no", &service, &socket];
    if let Some(output) = run("systemd-analyze", &verify, "the units of systemd") {
        let words = words(&output);
        assert!(
            output.status.success() && words.trim().is_empty(),
            "{words}"
        );
        // From 0, nothing can be done, to 10, everything; a service without any hardening has 9.6.
        let security = ["security", "--offline=true", "--threshold=20", &service];
        let output = run("systemd-analyze", &security, "the units of systemd").unwrap();
        assert!(output.status.success(), "{}", self::words(&output));
    }
}

#[test]
fn helm_accepts_the_chart_with_every_value_that_changes_what_there_is() {
    let chart = "deploy/helm/modkeep";
    if let Some(output) = run("helm", &["lint", "--strict", chart], "the Helm chart") {
        assert!(output.status.success(), "{}", words(&output));
        for values in [
            "replicas=1",
            "serviceMonitor.enabled=true",
            "storage.className=fast,nodeSelector.disk=ssd,image.tag=x",
            "env[0].name=A,env[0].value=b,imagePullSecrets[0].name=c",
        ] {
            let arguments = ["template", "x", chart, "--set", values];
            let output = run("helm", &arguments, "the Helm chart").unwrap();
            let words = words(&output);
            assert!(output.status.success(), "{values}: {words}");
            assert!(words.contains("kind: StatefulSet"), "{values}: {words}");
        }
    }
}

#[test]
fn hadolint_has_nothing_to_say_about_the_dockerfile() {
    if let Some(output) = run("hadolint", &["deploy/Dockerfile"], "the Dockerfile") {
        assert!(output.status.success(), "{}", words(&output));
    }
}

#[test]
fn logrotate_accepts_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    // It wants to be the only one who can write it, and a log that there is.
    let log = folder.path().join("modkeep.log");
    fs::write(&log, "a line\n").unwrap();
    let text = fs::read_to_string(workspace_root().join("deploy/logrotate/modkeep")).unwrap();
    let text = text.replace("/var/log/modkeep/modkeep.log", log.to_str().unwrap());
    let file = folder.path().join("modkeep");
    fs::write(&file, text).unwrap();
    let state = folder.path().join("state");
    let arguments = ["--debug", "--state", path(&state), path(&file)];
    if let Some(output) = run("logrotate", &arguments, "the configuration of logrotate") {
        let words = words(&output);
        assert!(
            output.status.success() && !words.contains("error:"),
            "{words}"
        );
        assert!(words.contains("(14 rotations)"), "{words}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
