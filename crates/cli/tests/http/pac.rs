//! The way to upstreams by a proxy auto-configuration file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Port, UpstreamServer};

use crate::proxies::PlainProxy;
use crate::scene::{Ask as _, BINARY, INFO, LIST, Scene};

const BASE: &str = "http://modules.test/goproxy";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Writes a file with this body of its one function, and names it.
fn pac(scene: &Scene, body: &str) -> String {
    let file = scene.file("corp.pac");
    let script = format!("function FindProxyForURL(url, host) {{\n{body}\n}}\n");
    std::fs::write(&file, script).unwrap();
    file.to_str().unwrap().to_owned()
}

fn address(server: &UpstreamServer) -> String {
    server.url().trim_start_matches("http://").to_owned()
}

#[test]
fn the_file_says_which_proxy_leads_where_and_the_first_that_is_up_is_taken() {
    let scene = Scene::new();
    let proxy = PlainProxy::for_base(&scene, BASE);
    let store = Scene::empty();
    let gone = Port::reserve();
    let body = format!(
        "return url == 'http://modules.test/' && host == 'modules.test' ? 'PROXY {}; PROXY {}' : 'PROXY 127.0.0.1:9'",
        gone.address(),
        address(&proxy.server)
    );
    let modkeep = store
        .command_with(&[("upstream", BASE), ("outbound.pac", &pac(&store, &body))])
        .env("HTTP_PROXY", NOWHERE)
        .start();
    let reply = modkeep.get(LIST);
    assert!(
        reply.body == scene.source(LIST),
        "{}{}",
        reply.text(),
        modkeep.stderr()
    );
    let requests = proxy.server.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(request.target.starts_with(BASE), "{}", request.target);
    }
}

#[test]
fn where_the_file_gives_no_answer_the_environment_counts_and_the_log_says_so() {
    let scene = Scene::new();
    let proxy = PlainProxy::for_base(&scene, BASE);
    let store = Scene::empty();
    let body = "if (host == 'modules.test') throw new Error('a mistake')\nreturn 'DIRECT'";
    let modkeep = store
        .command_with(&[("upstream", BASE), ("outbound.pac", &pac(&store, body))])
        .env("HTTP_PROXY", proxy.server.url())
        .start();
    assert!(modkeep.get(INFO).body == scene.source(INFO));
    assert!(!proxy.server.requests().is_empty());
    assert!(
        modkeep.says_within("a mistake", Duration::from_secs(30)),
        "{}",
        modkeep.stderr()
    );
}

#[test]
fn a_file_that_cannot_answer_is_a_mistake_in_the_configuration() {
    let scene = Scene::new();
    for (body, words) in [
        ("return 'DIRECT' +", "outbound.pac"),
        // A function of the engine that does not look at the clock.
        (
            "return Array.prototype.indexOf.call({length: 2 ** 32}, 1)",
            "it does not end",
        ),
        (
            "const all = []; for (;;) all.push('x'.repeat(1 << 20) + all.length)",
            "outbound.pac",
        ),
    ] {
        let file = pac(&scene, body);
        let output = Command::new(BINARY)
            .args(["config", "check"])
            .env("MODKEEP_OUTBOUND_PAC", &file)
            .env("MODKEEP_DATA", scene.file("data"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{body}: {said}");
        assert!(
            said.contains(words) && said.contains("MODKEEP_OUTBOUND_PAC") && said.contains(&file),
            "{body}: {said}"
        );
    }
}

#[test]
fn a_file_runs_in_a_process_that_can_open_nothing() {
    let mut child = Command::new(BINARY)
        .arg("run-proxy-auto-configuration")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let question = r#"{"script": "function FindProxyForURL() { return 'DIRECT' }", "url": "https://a.test/", "world": {"names": {}, "own": null}, "patience": {"secs": 20, "nanos": 0}}"#;
    writeln!(input, "{question}").unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let greeting = lines.next().unwrap().unwrap();
    let answer = lines.next().unwrap().unwrap();
    assert_eq!(answer, "{\"Ok\":{\"Answered\":\"DIRECT\"}}");
    if let Ok(limits) = std::fs::read_to_string(format!("/proc/{}/limits", child.id())) {
        for name in [
            "Max open files",
            "Max processes",
            "Max file size",
            "Max core file size",
        ] {
            let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
            let values = line.trim_start_matches(name).split_whitespace();
            assert_eq!(values.take(2).collect::<Vec<_>>(), ["0", "0"], "{line}");
        }
    }
    if greeting != "null" {
        testkit::skipped(&format!("the filter of PAC processes ({greeting})"));
    } else if let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", child.id())) {
        // What it may ask of the system is filtered, in all of its threads.
        for task in tasks {
            let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let mode = status.lines().find(|line| line.starts_with("Seccomp:"));
            assert_eq!(mode, Some("Seccomp:\t2"), "{status}");
        }
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}
