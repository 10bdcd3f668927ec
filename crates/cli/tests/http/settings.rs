//! Settings that are wrong: status 2, where, what, and what would be right.

use std::fs;
use std::process::{Command, Output};

use crate::scene::{BINARY, Scene};

fn run(scene: &Scene, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(BINARY)
        .env_clear()
        .env("HOME", scene.file(""))
        .env("GOENV", "off")
        .envs(variables.iter().copied())
        .current_dir(scene.file(""))
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `serve` and `config check` say about a file.
fn complaints(scene: &Scene, text: &str) -> String {
    let (_, file) = scene.command_with_file(text);
    let file = file.to_str().unwrap();
    let checked = run(scene, &["config", "check", "--config", file], &[]);
    assert_eq!(checked.status.code(), Some(2), "{text}");
    let served = run(scene, &["serve", "--config", file, "--data", "data"], &[]);
    assert_eq!(served.status.code(), Some(2), "{text}");
    assert_eq!(stderr(&served), stderr(&checked), "{text}");
    assert!(
        served.stdout.is_empty() && checked.stdout.is_empty(),
        "{text}"
    );
    assert!(!scene.data().exists(), "something was done:\n{text}");
    stderr(&checked).replace(file, "FILE")
}

#[test]
fn an_unknown_setting_is_an_error_with_its_line() {
    let scene = Scene::empty();
    let table = [
        (
            "\n\nlisen = \":0\"\n",
            "FILE:3: unknown setting lisen; did you mean listen?",
        ),
        (
            "[cache]\nttl = \"1s\"\ntl = \"1s\"\n",
            "FILE:3: unknown setting cache.tl",
        ),
        ("[cachee]\nttl = \"1s\"\n", "FILE:1: unknown setting cachee"),
        (
            "[limits]\n[limits.more]\nx = 1\n",
            "FILE:2: unknown setting limits.more",
        ),
        (
            "cache.ttl.x = 1\n",
            "FILE:1: cache.ttl: a text, number or true/false",
        ),
    ];
    for (text, expected) in table {
        let said = complaints(&scene, text);
        assert!(said.contains(expected), "{text}{said}");
    }
}

#[test]
fn a_value_that_makes_no_sense_is_an_error_with_its_line() {
    let scene = Scene::empty();
    let table = [
        ("listen = \"nowhere\"\n", "FILE:1: listen: "),
        ("\nlisten = \"1.2.3.4:99999\"\n", "FILE:2: listen: "),
        ("upstream = \"\"\n", "FILE:1: upstream: "),
        ("upstream = \"ftp://x\"\n", "FILE:1: upstream: "),
        ("sumdb = \"a b c\"\n", "FILE:1: sumdb: "),
        ("sumdb = \"sum.example.com\"\n", "FILE:1: sumdb: "),
        ("[cache]\nttl = \"soon\"\n", "FILE:2: cache.ttl: "),
        ("[cache]\nttl = 60\n", "FILE:2: cache.ttl: "),
        ("[cache]\nmemory = \"1KB\"\n", "FILE:2: cache.memory: "),
        (
            "[limits]\nconnections = 0\n",
            "FILE:2: limits.connections: ",
        ),
        (
            "[limits]\nheader-bytes = 10\n",
            "FILE:2: limits.header-bytes: ",
        ),
        (
            "[limits]\nstall-timeout = \"0s\"\n",
            "FILE:2: limits.stall-timeout: ",
        ),
        (
            "[upstreams]\nfirst-is-authoritative = \"maybe\"\n",
            "FILE:2: ",
        ),
        ("[log]\nlevel = \"loud\"\n", "FILE:2: log.level: "),
        ("[log]\nformat = \"xml\"\n", "FILE:2: log.format: "),
        ("listen = [\":0\"]\n", "FILE:1: listen: "),
        ("listen = \":0\nupstream = \n", "FILE:1: "),
        ("listen = \":0\"\nlisten = \":1\"\n", "FILE:2: "),
    ];
    for (text, expected) in table {
        let said = complaints(&scene, text);
        assert!(said.contains(expected), "{text}{said}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_an_error_with_a_line() {
    let scene = Scene::empty();
    let table = [
        (
            "[tls]\ncertificate = \"a.pem\"\n",
            "FILE:2: tls.certificate: ",
        ),
        ("[tls]\nkey = \"a.key\"\n", "FILE:2: tls.key: "),
        (
            "listen = \"127.0.0.1:8123\"\nupstream = \"http://localhost:8123,direct\"\n",
            "FILE:2: upstream: http://localhost:8123/ is this server's own address",
        ),
    ];
    for (text, expected) in table {
        let said = complaints(&scene, text);
        assert!(said.contains(expected), "{text}{said}");
    }
}

#[test]
fn every_mistake_is_named_at_once() {
    let scene = Scene::empty();
    let said = complaints(&scene, "lisen = 1\n[cache]\ntl = 1\n[log]\nlvl = 1\n");
    assert_eq!(said.lines().count(), 3, "{said}");
    let said = complaints(
        &scene,
        "[cache]\nttl = \"x\"\n[log]\nlevel = \"x\"\nformat = \"x\"\n",
    );
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.lines().all(|line| line.starts_with("modkeep: FILE:")),
        "{said}"
    );
}

#[test]
fn mistakes_elsewhere_are_named_by_their_place() {
    /// Arguments, environment, and what the complaint names.
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let scene = Scene::empty();
    let table: [Row<'_>; 7] = [
        (&["serve", "--listen", "x"], &[], "--listen"),
        (
            &["serve"],
            &[("MODKEEP_CACHE_TTL", "x")],
            "MODKEEP_CACHE_TTL",
        ),
        (&["serve"], &[("MODKEEP_LISTEN", "x")], "MODKEEP_LISTEN"),
        (&["serve", "--lisen", "x"], &[], "--listen"),
        (&["serv"], &[], "serve"),
        (&["serve", "--config", "none.toml"], &[], "none.toml"),
        (&["serve"], &[("MODKEEP_CONFIG", "none.toml")], "none.toml"),
    ];
    for (arguments, variables, expected) in table {
        let output = run(&scene, arguments, variables);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn a_misspelt_variable_is_noted() {
    let scene = Scene::empty();
    let variables = [("MODKEEP_CACH_TTL", "1s")];
    let output = run(&scene, &["config", "check"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("MODKEEP_CACH_TTL"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn flag_goes_before_environment_before_file_before_default() {
    let scene = Scene::empty();
    let file = "modkeep.toml";
    let text = "upstream = \"https://c.test\"\n[cache]\nttl = \"3s\"\nabsent-ttl = \"4s\"\n";
    fs::write(scene.file(file), text).unwrap();
    let variables = [
        ("MODKEEP_UPSTREAM", "https://b.test"),
        ("MODKEEP_CACHE_TTL", "2s"),
    ];
    let shown = run(
        &scene,
        &[
            "config",
            "show",
            "--format",
            "json",
            "--upstream",
            "https://u:s3cret@a.test",
        ],
        &variables,
    );
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let setting = |name: &str| {
        let all = shown.as_array().unwrap();
        let found = all.iter().find(|setting| setting["name"] == name).unwrap();
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        (text("value"), text("origin"))
    };
    let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(
        setting("upstream"),
        pair("https://u:xxxxx@a.test", "--upstream")
    );
    assert_eq!(
        setting("cache.ttl"),
        pair("2s", "environment variable MODKEEP_CACHE_TTL")
    );
    assert_eq!(setting("cache.absent-ttl"), pair("4s", "modkeep.toml:4"));
    assert_eq!(setting("log.level"), pair("info", "default"));
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let scene = Scene::new();
    let address = scene.upstream.address().to_string();
    let output = run(
        &scene,
        &[
            "serve",
            "--listen",
            &address,
            "--upstream",
            "off",
            "--data",
            "data",
        ],
        &[],
    );
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
}
