//! Fixes: written as `go env -w` and `git config` write, and taken back to the byte.
#![cfg(unix)]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fault::Risk;
use goenv::fix::{ApplyError, Change, Fix, GitLevel, Plan, Scope, edit_env_file};
use goenv::{Environment, Shell};
use support::go_command;

fn environment(home: &Path) -> Environment {
    let path = Environment::from_process().get("PATH").unwrap().to_owned();
    Environment::from_pairs([("HOME", home.to_str().unwrap()), ("PATH", &path)])
}

fn fix(change: Change) -> Fix {
    Fix::new(change, Scope::User, Risk::Low)
}

fn go_env(name: &str, value: Option<&str>) -> Fix {
    fix(Change::GoEnv {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        previous: None,
    })
}

/// Every file below a directory, with its permissions and contents.
fn picture(directory: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode();
        if path.is_dir() {
            files.push((path.display().to_string(), mode, Vec::new()));
            files.extend(picture(&path));
        } else {
            files.push((path.display().to_string(), mode, fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn the_settings_file_is_written_as_go_writes_it() {
    let texts = [
        "",
        "GOPROXY=a",
        "GOPROXY=a\nGOSUMDB=off\n",
        "# c\n\nGOSUMDB=x\nGOFLAGS=-v\n# d\nGOPROXY=a\nGOAUTH=netrc\n",
        "GOPROXY=a\nGOSUMDB=x\nGOPROXY=b\n",
        "bad line\nGOSUMDB=x\n#GOPROXY=old\nGOPROXY=a\r\n",
        "GOSUMDB=z\n\n\nGOPROXY=q\nGOFLAGS=\n",
        "export GOPROXY=a\nGOPROXY=b",
    ];
    let changes = [
        ("GOPROXY", Some("https://x,direct")),
        ("GOPROXY", None),
        ("GONOSUMDB", Some("a.b")),
        ("GOSUMDB", None),
    ];
    for text in texts {
        for (name, value) in changes {
            let home = tempfile::tempdir().unwrap();
            let file = home.path().join("env");
            fs::write(&file, text).unwrap();
            let argument = value.map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
            let output = go_command()
                .args(["env", if value.is_some() { "-w" } else { "-u" }, &argument])
                .env("HOME", home.path())
                .env("GOENV", &file)
                .env("GOTOOLCHAIN", "local")
                .current_dir(home.path())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let theirs = fs::read_to_string(&file).unwrap();
            assert_eq!(
                edit_env_file(text, &[(name, value)]),
                theirs,
                "{text:?} {argument}"
            );
        }
    }
}

#[test]
fn a_setting_is_written_and_taken_back_to_the_byte() {
    for before in [None, Some("# mine\nGOPROXY=off\r\nGOFLAGS=-v")] {
        let home = tempfile::tempdir().unwrap();
        let environment = environment(home.path());
        if let Some(text) = before {
            fs::create_dir_all(home.path().join(".config/go")).unwrap();
            fs::write(home.path().join(".config/go/env"), text).unwrap();
            let mode = fs::Permissions::from_mode(0o640);
            fs::set_permissions(home.path().join(".config/go/env"), mode).unwrap();
        }
        let picture_before = picture(home.path());
        let plan = Plan::of(
            &go_env("GOPROXY", Some("https://x,direct")),
            &environment,
            home.path(),
        )
        .unwrap();
        assert_eq!(
            picture(home.path()),
            picture_before,
            "planning writes nothing"
        );
        let applied = plan.apply().unwrap();
        // go keeps files of its own beside the settings file.
        let elsewhere = tempfile::tempdir().unwrap();
        let said = go_command()
            .args(["env", "GOPROXY"])
            .env("HOME", elsewhere.path())
            .env("GOENV", home.path().join(".config/go/env"))
            .env("GOTOOLCHAIN", "local")
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout).trim(),
            "https://x,direct"
        );
        applied.roll_back().unwrap();
        assert_eq!(picture(home.path()), picture_before);
    }
}

#[test]
fn what_go_would_refuse_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let rows = [
        (
            "GOENV",
            "x",
            "GOENV can only be set using the OS environment",
        ),
        ("GOPROXYS", "x", "unknown go command variable GOPROXYS"),
        ("GO111MODULE", "yes", "invalid GO111MODULE value \"yes\""),
        (
            "GOMODCACHE",
            "a/b",
            "GOMODCACHE entry is relative; must be absolute path: \"a/b\"",
        ),
        ("GOPROXY", "a\nb", "invalid newline in GOPROXY=... value"),
    ];
    for (name, value, expected) in rows {
        let error = Plan::of(
            &go_env(name, Some(value)),
            &environment(home.path()),
            home.path(),
        )
        .unwrap_err();
        assert_eq!(error.to_string(), format!("go: {expected}"));
        let output = go_command()
            .args(["env", "-w", &format!("{name}={value}")])
            .env("HOME", home.path())
            .env("GOTOOLCHAIN", "local")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr)
            .trim()
            .replace("go: ", "");
        assert_eq!(said, expected);
    }
}

#[test]
fn git_configuration_is_changed_and_taken_back_to_the_byte() {
    let home = tempfile::tempdir().unwrap();
    let text =
        "[user]\n\tname = x ; mine\n[http]\n  sslVerify = false\n[http \"https://a\"]\n\tproxy=\n";
    fs::write(home.path().join(".gitconfig"), text).unwrap();
    let before = picture(home.path());
    let fix = fix(Change::Git {
        level: GitLevel::Global,
        key: "http.sslverify".to_owned(),
        value: None,
        previous: Some("false".to_owned()),
    });
    assert_eq!(
        fix.command(Shell::Posix),
        "git config --global --unset http.sslverify"
    );
    assert_eq!(
        fix.undo(Shell::Posix).unwrap(),
        "git config --global http.sslverify false"
    );
    let applied = Plan::of(&fix, &environment(home.path()), home.path())
        .unwrap()
        .apply()
        .unwrap();
    let now = fs::read_to_string(home.path().join(".gitconfig")).unwrap();
    assert!(
        !now.contains("sslVerify") && now.contains("name = x ; mine"),
        "{now}"
    );
    applied.roll_back().unwrap();
    assert_eq!(picture(home.path()), before);
}

#[test]
fn modes_lines_and_removals_are_taken_back() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at(".netrc"), "machine a login b password c\n").unwrap();
    fs::set_permissions(at(".netrc"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(at(".bashrc"), "a\nexport GOPROXY=off\nb").unwrap();
    fs::create_dir_all(at("mod/m@v1.0.0/sub")).unwrap();
    fs::write(at("mod/m@v1.0.0/sub/f"), "x").unwrap();
    fs::set_permissions(at("mod/m@v1.0.0/sub"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(at("mod/m@v1.0.0"), fs::Permissions::from_mode(0o555)).unwrap();
    let before = picture(home.path());
    let fix = Fix {
        changes: vec![
            Change::Mode {
                path: at(".netrc"),
                mode: 0o600,
                previous: 0o644,
            },
            Change::Line {
                path: at(".bashrc"),
                line: 2,
                old: "export GOPROXY=off".to_owned(),
                new: None,
            },
            Change::Remove {
                paths: vec![at("mod/m@v1.0.0"), at("mod/not-there")],
            },
        ],
        scope: Scope::User,
        risk: Risk::Low,
    };
    let plan = Plan::of(&fix, &environment(home.path()), home.path()).unwrap();
    assert_eq!(plan.steps().len(), 3);
    let applied = plan.clone().apply().unwrap();
    assert_eq!(fs::read_to_string(at(".bashrc")).unwrap(), "a\nb");
    assert!(!at("mod/m@v1.0.0").exists());
    applied.roll_back().unwrap();
    assert_eq!(picture(home.path()), before);

    plan.apply().unwrap().keep().unwrap();
    assert_eq!(
        fs::read_dir(at("mod")).unwrap().count(),
        0,
        "nothing is left aside"
    );
}

#[test]
fn what_others_changed_meanwhile_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".bashrc");
    fs::write(&file, "export GOPROXY=off\n").unwrap();
    let fix = fix(Change::Line {
        path: file.clone(),
        line: 1,
        old: "export GOPROXY=off".to_owned(),
        new: Some("export GOPROXY=direct".to_owned()),
    });
    let environment = environment(home.path());
    let plan = Plan::of(&fix, &environment, home.path()).unwrap();
    let applied = plan.clone().apply().unwrap();
    fs::write(&file, "something else\n").unwrap();
    assert!(matches!(
        applied.roll_back(),
        Err(ApplyError::Changed { .. })
    ));
    assert!(matches!(plan.apply(), Err(ApplyError::Changed { .. })));
    assert!(matches!(
        Plan::of(&fix, &environment, home.path()),
        Err(ApplyError::Changed { .. })
    ));
    assert_eq!(fs::read_to_string(&file).unwrap(), "something else\n");
}
