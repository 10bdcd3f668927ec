//! `modkeep doctor` in a network of its own, with a real packet filter in it: what the filter of this machine stops, what
//! gets lost because it is big, and packets that leave and never arrive.
//!
//! Each test starts itself anew in a user and network namespace; where that cannot be, it says so.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests that say what they found"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use testkit::{Module, Tree, UpstreamServer, skipped};

const MODULE: &str = "example.com/sample@v1.2.3";
/// Set in the namespace.
const INSIDE: &str = "MODKEEP_TEST_NETWORK";

/// True in the namespace. Outside of it the test of this name is run in one, and must succeed.
fn inside(test: &str, prepare: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let script = format!("ip link set lo up && {{ {prepare}; }} || exit 77; exec \"$0\" \"$@\"");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output();
    match output {
        Ok(output) if output.status.code() != Some(77) => {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(output.status.success(), "{said}");
            let kept = said.lines().filter(|line| line.starts_with("seen: "));
            kept.for_each(|line| println!("{line}"));
        }
        _ => skipped(&format!(
            "{test} (no network namespace with nft for this user)"
        )),
    }
    false
}

/// Loads rules; false when this kernel does not know what they need.
fn filter(rules: &str) -> bool {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(rules.as_bytes()).unwrap();
    drop(input);
    child.wait().unwrap().success()
}

fn server(module: &Module) -> (UpstreamServer, Tree) {
    let tree = Tree::temporary();
    tree.add(module);
    (UpstreamServer::serve(tree.root()), tree)
}

fn diagnose(proxy: &str, cache: &Path, more: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .args(["doctor", MODULE, "--format", "json"])
        .args(more)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GOPROXY", proxy)
        .env("GOSUMDB", "off")
        .env("GOCACHE", cache.join("build"))
        .env("GOMODCACHE", cache)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {text} {said}")
    })
}

fn evidence(said: &Value) -> String {
    let lines = said["causes"][0]["evidence"].as_array().unwrap();
    let texts = lines.iter().filter_map(|line| line["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_filter_of_this_machine_is_named_by_its_rule() {
    if !inside(
        "the_filter_of_this_machine_is_named_by_its_rule",
        "nft list ruleset",
    ) {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let (upstream, _tree) = server(&Module::new("example.com/sample", "v1.2.3"));
    let port = upstream.address().port();
    for (verdict, label) in [
        ("drop", "tcp-timeout"),
        ("reject with tcp reset", "tcp-refused"),
    ] {
        let rules = format!(
            "flush ruleset\ntable inet guard {{ chain out {{ type filter hook output priority 0; policy accept; tcp dport {port} {verdict}; }}; }}\n"
        );
        assert!(filter(&rules));
        let said = diagnose(&upstream.url(), empty.path(), &["--timeout", "4"]);
        assert_eq!(said["verdict"]["label"], label, "{said:#}");
        let shown = evidence(&said);
        let rule = format!(
            "this machine's own packet filter stops tcp to 127.0.0.1:{port}: tcp dport {port} {}",
            verdict.split(' ').next().unwrap()
        );
        assert!(shown.contains(&rule), "{shown}");
        assert!(shown.contains("inet guard, out"), "{shown}");
        println!("seen: {rule}");
    }
    // Rules that have nothing to do with it are left in peace.
    assert!(filter(
        "flush ruleset\ntable inet guard { chain out { type filter hook output priority 0; policy accept; tcp dport 1 drop; }; }\n"
    ));
    let said = diagnose(&upstream.url(), empty.path(), &["--timeout", "30"]);
    assert_eq!(said["verdict"]["health"], "healthy", "{said:#}");
}

#[test]
fn big_packets_that_get_lost_are_told_from_a_slow_server() {
    if !inside(
        "big_packets_that_get_lost_are_told_from_a_slow_server",
        "nft list ruleset",
    ) {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let (upstream, _tree) = server(&Module::big("example.com/sample", "v1.2.3", 1 << 20));
    let port = upstream.address().port();
    // As on a way with a narrow link whose complaints are filtered: what is big is lost, unless both ends have agreed
    // to send nothing big. Loopback joins segments, so it is the agreement that is looked at.
    let rules = format!(
        "table inet link {{ chain out {{ type filter hook output priority 0; policy accept; \
         tcp flags & (syn|ack) == syn tcp option maxseg size > 600 ct mark set 1; \
         tcp sport {port} ct mark 1 meta length > 1000 drop; }}; }}\n"
    );
    if !filter(&rules) {
        println!("seen: this kernel cannot filter by segment size");
        return;
    }
    let said = diagnose(&upstream.url(), empty.path(), &["--timeout", "12"]);
    assert_eq!(said["verdict"]["label"], "tcp-mtu", "{said:#}");
    let shown = evidence(&said);
    assert!(shown.contains("segments of 536 bytes"), "{shown}");
    println!("seen: {}", shown.lines().last().unwrap_or_default());
}

#[test]
fn packets_that_never_arrive_are_waited_for_ten_seconds_at_most() {
    let prepare = "ip link add out0 type veth peer name out1 && ip link set out0 arp off && \
         ip link set out0 up && ip link set out1 up && ip addr add 192.0.2.1/24 dev out0 && \
         ip route add default dev out0";
    if !inside(
        "packets_that_never_arrive_are_waited_for_ten_seconds_at_most",
        prepare,
    ) {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    for (more, label) in [
        (&["--resolver", "192.0.2.53"][..], "dns-timeout"),
        (
            &[
                "--resolve",
                "goproxy.example=9.9.9.1",
                "--resolve",
                "example.com=9.9.9.2",
            ][..],
            "tcp-timeout",
        ),
    ] {
        let start = Instant::now();
        let said = diagnose("https://goproxy.example|direct", empty.path(), more);
        let took = start.elapsed().as_secs_f64();
        assert_eq!(said["verdict"]["label"], label, "{said:#}");
        println!("seen: {label} after {took:.1} s");
        // Ten seconds is what it allows itself; a busy machine starts it later.
        assert!(took < 20.0, "{took}");
    }
}
