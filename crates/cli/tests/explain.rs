//! `modkeep explain` as people and scripts call it.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const LOG: &str = "go: example.com/m@v1.0.0: Get \"https://proxy.golang.org/example.com/m/@v/v1.0.0.info\": \
    dial tcp: lookup proxy.golang.org on 127.0.0.53:53: server misbehaving\n";

fn explain(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .arg("explain")
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_pasted_error_is_explained_with_its_fix_and_exits_with_1() {
    let output = explain(&[], LOG);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("1. dns-servfail [dns, "), "{said}");
    assert!(said.contains("\n   fix: "), "{said}");
    assert!(said.contains("127.0.0.53"), "{said}");
}

#[test]
fn programs_get_json() {
    let output = explain(&["--format", "json"], LOG);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let cause = &answer["causes"][0];
    assert_eq!(cause["label"], "dns-servfail");
    assert_eq!(cause["hop"], "dns");
    assert_eq!(cause["side"], "client");
    assert_eq!(cause["evidence"][0]["line"], 1);
    assert!(cause["fixes"][0]["text"].is_string());
}

#[test]
fn a_log_without_a_failure_is_no_finding() {
    let output = explain(
        &["-"],
        "go: downloading example.com/m v1.0.0\nok example.com/m 0.01s\n",
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn both_languages_have_every_page() {
    for (lang, heading) in [("en", "## "), ("zh", "## 原因")] {
        for label in fault::Label::ALL {
            let output = explain(&[label.as_str(), "--lang", lang], "");
            let page = text(&output.stdout);
            assert_eq!(output.status.code(), Some(0));
            assert!(
                page.starts_with(&format!("# {label}")) && page.contains(heading),
                "{page}"
            );
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let output = explain(&["no-such-file.log"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("modkeep: cannot read no-such-file.log: "));
}
