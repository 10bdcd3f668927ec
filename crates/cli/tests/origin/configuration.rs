//! `[[origin]]` tables: mistakes are errors with file and line, and nothing secret is shown.

use std::process::{Command, Output};

fn run(command: &str, config: &str) -> (Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("modkeep.toml");
    std::fs::write(&file, config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .env_clear()
        .env("HOME", folder.path())
        .env("GOENV", "off")
        .args(["config", command, "--config"])
        .arg(&file)
        .output()
        .unwrap();
    (output, folder)
}

#[test]
fn mistakes_are_errors_with_their_line() {
    let table = [
        (
            "[[origin]]\nremote = \"https://h/{path}\"\n",
            ":1: origin.pattern: it is missing",
        ),
        (
            "[[origin]]\npattern = \"a.example\"\nremotes = \"x\"\n",
            ":3: origin.remotes: unknown key",
        ),
        ("[[origin]]\npattern = \"[\"\n", ":2: origin.pattern: "),
        ("[[origin]]\npattern = \"a,b\"\n", ":2: origin.pattern: "),
        (
            "[[origin]]\npattern = \"a\"\n\n[[origin]]\npattern = \"b\"\nremote = \"ext::x\"\n",
            ":6: origin.remote: ",
        ),
        (
            "[[origin]]\npattern = \"a\"\ncredentials = \"glpat-hush\"\n",
            ":3: origin.credentials: write netrc",
        ),
        (
            "[[origin]]\npattern = \"a\"\nca-file = \"/nonexistent/x\"\n",
            ":3: origin.ca-file: /nonexistent/x: ",
        ),
        (
            "[[origin]]\npattern = \"a\"\nhost-key = \"md5:x\"\n",
            ":3: origin.host-key: ",
        ),
        (
            "[[origin]]\npattern = \"a\"\nexclusive = 3\n",
            ":3: origin.exclusive: ",
        ),
        (
            "[[origin]]\npattern = \"a\"\ninstead-of = \"x\"\n",
            ":3: origin.instead-of: a table",
        ),
        (
            "[[origin]]\npattern = \"a\"\nproxy = \"h:1\"\n",
            ":3: origin.proxy: ",
        ),
        ("origin = [1]\n", "origin: a table is expected"),
        ("govcs = \"x\"\n", ":1: govcs: malformed entry"),
        ("goauth = \"off;netrc\"\n", ":1: goauth: GOAUTH=off"),
        (
            "[outbound]\nallow = \"10.0.0.0/99\"\n",
            ":2: outbound.allow: ",
        ),
        (
            "[outbound]\npac = \"/nonexistent/x\"\n",
            ":2: outbound.pac: /nonexistent/x: ",
        ),
    ];
    for (config, expected) in table {
        let (output, _folder) = run("check", config);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{config}{said}");
        assert!(said.contains(expected), "{config}{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn tables_are_shown_without_passwords() {
    let config = "[[origin]]\npattern = \"git.corp.test/*\"\ncredentials = \"env:TOKEN\"\n\
                  proxy = \"http://me:hush@proxy.corp.test:3128\"\n\
                  instead-of = { \"https://git.corp.test/\" = \"https://mirror.corp.test/\" }\n";
    let (output, _folder) = run("show", config);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(!said.contains("hush"), "{said}");
    for part in [
        "origin.1.pattern",
        "git.corp.test/*",
        "env:TOKEN",
        "proxy.corp.test",
        "mirror.corp.test",
        "modkeep.toml:4",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    assert!(run("check", config).0.status.success());
}
