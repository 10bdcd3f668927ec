//! Settings: this crate and `go env` must agree, whatever environment and files say.
#![cfg(unix)]
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and tells how much it has compared"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use goenv::{Environment, GoEnv, Key, Origin};
use serde_json::Value;
use support::{go_command, go_program, some};

#[test]
fn the_module_and_the_workspace_in_force_are_those_of_go() {
    let machine = Machine::new();
    machine.write("alone/go.mod", "module alone.test\n\ngo 1.21\n");
    machine.write("alone/pkg/x.go", "package pkg\n");
    machine.write("space/go.work", "go 1.21\n\nuse ./a\n");
    machine.write("space/a/go.mod", "module a.test\n\ngo 1.21\n");
    machine.write("space/a/deep/x.go", "package deep\n");
    machine.write("space/root/src/m/go.mod", "module m.test\n\ngo 1.21\n");
    machine.write("space/root/src/m/deep/x.go", "package deep\n");
    let mut compared = 0;
    for (directory, goroot) in [
        ("alone", None),
        ("alone/pkg", None),
        ("space", None),
        ("space/a", None),
        ("space/a/deep", None),
        ("work", None),
        // A search from within Go's own tree does not leave it, unless it begins at its root.
        ("space/root", Some("@/space/root")),
        ("space/root/src", Some("@/space/root")),
        ("space/root/src/m/deep", Some("@/space/root")),
        ("space/root/src/m/deep", Some("@/space/root/src/..")),
        ("space/root/src/m/deep", Some("@/space/root/")),
        ("space/root/src/m", Some("@/space/root/src/m")),
        ("space/a/deep", Some("@/space/root")),
        ("space/root/src/m", Some("@/space/a")),
    ] {
        for gowork in [None, Some("off"), Some("auto"), Some("@/space/go.work")] {
            let mut pairs = vec![("HOME", "@/home"), ("GOTOOLCHAIN", "local")];
            pairs.extend(gowork.map(|value| ("GOWORK", value)));
            pairs.extend(goroot.map(|value| ("GOROOT", value)));
            let variables = machine.variables(&pairs);
            let output = go_command()
                .args(["env", "-json", "GOMOD", "GOWORK"])
                .envs(variables.clone())
                .current_dir(machine.path(directory))
                .output()
                .unwrap();
            let said: Value = serde_json::from_slice(&output.stdout).unwrap();
            let report = goenv::report::Report::collect(goenv::report::Machine {
                process: None,
                ..goenv::report::Machine::this(
                    Environment::from_pairs(variables),
                    machine.path(directory),
                )
            });
            let value = |name: &str| report.row(name).map_or("", |row| row.value.as_str());
            let what = format!("{directory} {gowork:?}");
            // In a workspace without a module of its own `go` names none.
            if !(directory == "space" && said["GOMOD"] == "/dev/null") {
                let module = said["GOMOD"].as_str().unwrap().replace("/dev/null", "");
                assert_eq!(value("GOMOD"), module, "{what}");
            }
            // Where none is found `go` prints nothing; what was asked for is shown here.
            let work = value("GOWORK").trim_start_matches("auto");
            assert_eq!(work, said["GOWORK"], "{what}");
            compared += 1;
        }
    }
    println!("{compared} directories compared with go env");
}

type Variables = Vec<(String, String)>;

/// A directory with a home, Go trees and links to `go`, thrown away at the end.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for dir in [
            "home",
            "work",
            "empty/bin",
            "linked/bin",
            "copied/bin",
            "copied/pkg/tool",
            "bare",
        ] {
            fs::create_dir_all(machine.path(dir)).unwrap();
        }
        machine.write(
            "tree/go.env",
            "# own defaults\nGOPROXY=https://tree\nGOSUMDB=off\nGOFLAGS=-tree\nGOROOT=/elsewhere\n",
        );
        machine.write("other/go.env", "GOPROXY=https://other\nGOVCS=*:git\n");
        machine.write(
            "copied/go.env",
            "GOPROXY=https://copied|direct\nGOTOOLCHAIN=local\n",
        );
        machine.write("copied/VERSION", "go1.26.1\n");
        std::os::unix::fs::symlink(real_go(), machine.path("linked/bin/go")).unwrap();
        // By another process: what this one writes, a child that it has just forked may hold open, and it cannot be run.
        let copied = Command::new("cp")
            .arg(real_go())
            .arg(machine.path("copied/bin/go"))
            .status();
        assert!(copied.unwrap().success());
        machine
    }

    /// The directory's name without symbolic links in it, as the kernel tells it to `go`.
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces `@` by the machine's directory.
    fn variables(&self, pairs: &[(&str, &str)]) -> Variables {
        let dir = self.text("");
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.replace("@/", &dir)))
            .collect()
    }

    /// `HOME` and `PATH`, then the given variables.
    fn environment(&self, pairs: &[(&str, &str)]) -> Variables {
        let bin = real_go().parent().unwrap().to_str().unwrap().to_owned();
        let mut all = vec![
            ("HOME".to_owned(), self.text("home")),
            ("PATH".to_owned(), bin),
        ];
        all.extend(self.variables(pairs));
        all
    }

    fn compare(&self, variables: &Variables) {
        let go = Environment::from_pairs(variables.clone())
            .look_path("go")
            .expect("a go in PATH");
        let expected = go_env(&go, variables, &self.path("work"));
        let settings = GoEnv::load(&Environment::from_pairs(variables.clone()));
        for key in Key::all() {
            let mut value = settings.value(key);
            if key == Key::GOENV && value == "off" {
                value = "";
            }
            assert_eq!(
                value,
                expected[key.name()],
                "{key} with {variables:#?}\n{settings:#?}"
            );
        }
    }
}

fn real_go() -> PathBuf {
    go_program().canonicalize().unwrap()
}

/// What `go env` says about every key.
fn go_env(go: &Path, variables: &Variables, dir: &Path) -> Value {
    let output = Command::new(go)
        .args(["env", "-json"])
        .args(Key::all().map(Key::name))
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir(dir)
        .output()
        .expect("go env runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{variables:#?}\n{stderr}");
    serde_json::from_slice(&output.stdout).expect("go env writes JSON")
}

#[test]
fn settings_agree_with_go_env() {
    let machine = Machine::new();
    let user_files = [
        "",
        "GOPROXY=https://user\nGOPRIVATE=a.com\n",
        "GOPROXY=\nGOSUMDB=\nGOAUTH=\nGONOPROXY=\nGOTOOLCHAIN=\nGOCACHE=\nGOPATH=\n",
        "# GOPROXY=x\n\n GOFLAGS=-x\nGOFLAGS=-mod=mod\nGOFLAGS=-v\ngovcs=y\n=z\n",
        "GOROOT=@/other\n",
        "GOROOT=@/other/\nGOPATH=@/g:@/h\nGOENV=off\nGOWORK=off\n",
        "GOMODCACHE=/m/../n/\nGOCACHE=/c//d/\nGOINSECURE=a.com\r\nGOPROXY= https://x ",
    ];
    let environments: [&[(&str, &str)]; 21] = [
        &[],
        &[
            ("GOPROXY", "direct"),
            ("GOFLAGS", ""),
            ("GONOSUMDB", "none"),
        ],
        &[
            ("GOPRIVATE", "b.com"),
            ("GONOPROXY", "c.com"),
            ("GOAUTH", "off"),
        ],
        &[("GOENV", "off")],
        &[("GOENV", "@/nowhere")],
        &[("GOENV", "@/named"), ("GOPROXY", "x")],
        &[("GOROOT", "@/tree")],
        &[("GOROOT", "@/tree//")],
        &[("GOROOT", "@/bare")],
        &[("PATH", "@/linked/bin")],
        &[("PATH", "@/copied/bin")],
        &[("PATH", "@/empty/bin:@/copied/bin:@/linked/bin")],
        &[("PATH", "@/copied/bin"), ("GOROOT", "@/tree")],
        &[
            ("XDG_CONFIG_HOME", "@/xdg"),
            ("XDG_CACHE_HOME", "@/xdg/cache/"),
        ],
        &[
            ("XDG_CONFIG_HOME", "relative"),
            ("XDG_CACHE_HOME", "relative"),
        ],
        &[("HOME", "")],
        &[("HOME", "@/home/../home/")],
        &[("GOPATH", "@/g//x:@/h"), ("GOCACHE", "relative")],
        &[
            ("GOPATH", ":@/h"),
            ("GOCACHE", "off"),
            ("GOMODCACHE", "@/m/"),
        ],
        &[
            ("GOWORK", "off"),
            ("GO111MODULE", "on"),
            ("GOVCS", "*:all"),
            ("GOTOOLCHAIN", "local"),
        ],
        &[("HOME", "@/copied/.."), ("GOROOT", "@/go")],
    ];
    machine.write("named", "GOPROXY=https://named\nGOPRIVATE=n.com");
    machine.write("go/go.env", "GOPROXY=https://go\n");
    let mut compared = 0;
    for user_file in user_files {
        let text = user_file.replace("@/", &machine.text(""));
        machine.write("home/.config/go/env", &text);
        machine.write("xdg/go/env", &text.replace("https://user", "https://xdg"));
        for environment in environments {
            machine.compare(&machine.environment(environment));
            compared += 1;
        }
    }
    println!("{compared} environments compared");
}

#[test]
fn random_settings_agree_with_go_env() {
    let names = Key::all()
        .map(Key::name)
        .filter(|name| !["GOROOT", "GOENV", "GOWORK"].contains(name));
    let names: Vec<&str> = names.collect();
    let values = [
        "", "", "/a", "/a/", "/b:/c", "off", "auto", "on", " x", "x,y", "a=b", "#",
    ];
    let lines = [
        "",
        "#",
        "# GOPROXY=x",
        "nonsense",
        " GOPROXY=x",
        "=",
        "A=",
        "GOPROXY",
        "GOPROXY =x",
        "x=y",
        "GOOS=linux",
    ];
    let machine = Machine::new();
    let mut random = fastrand::Rng::with_seed(3);
    let pair = |random: &mut fastrand::Rng| {
        let name = names[random.usize(..names.len())];
        // Values that make go stop are no use here.
        let value = match name {
            "GO111MODULE" => ["", "on", "off", "auto"][random.usize(..4)],
            "GOPATH" => ["", "/a", "/b:/c", "/d/../e"][random.usize(..4)],
            "GOTOOLCHAIN" => ["", "local", "local+auto"][random.usize(..3)],
            "GOFLAGS" => ["", "-mod=mod", "-v"][random.usize(..3)],
            _ => values[random.usize(..values.len())],
        };
        (name, value)
    };
    for _ in 0..120 {
        let mut file: Vec<String> = some(&mut random, &lines, 5)
            .into_iter()
            .map(str::to_owned)
            .collect();
        for _ in 0..random.usize(..8) {
            let (name, value) = pair(&mut random);
            file.insert(random.usize(..=file.len()), format!("{name}={value}"));
        }
        machine.write("home/.config/go/env", &file.join("\n"));
        let environment: Vec<(&str, &str)> =
            (0..random.usize(..5)).map(|_| pair(&mut random)).collect();
        machine.compare(&machine.environment(&environment));
    }
}

#[test]
fn what_go_env_w_writes_is_found() {
    let machine = Machine::new();
    let run = |arguments: &[&str]| {
        let output = go_command()
            .arg("env")
            .args(arguments)
            .env("HOME", machine.path("home"))
            .current_dir(machine.path("work"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let load = || GoEnv::load(&Environment::from_pairs(machine.environment(&[])));
    let file = machine.path("home/.config/go/env");

    run(&[
        "-w",
        "GOPROXY=https://written,direct",
        "GOPRIVATE=corp.com",
        "GOAUTH=netrc;git /srv",
    ]);
    let settings = load();
    assert_eq!(settings.problems(), []);
    // Go sorts the lines.
    let rows = [
        ("netrc;git /srv", Key::GOAUTH, 1),
        ("corp.com", Key::GOPRIVATE, 2),
        ("https://written,direct", Key::GOPROXY, 3),
    ];
    for (value, key, line) in rows {
        let setting = settings.get(key);
        assert_eq!(setting.value, value);
        assert_eq!(
            setting.origin,
            Origin::UserFile {
                path: file.clone(),
                line
            }
        );
    }
    assert_eq!(settings.value(Key::GONOSUMDB), "corp.com");
    machine.compare(&machine.environment(&[]));

    run(&["-u", "GOPROXY"]);
    assert!(matches!(
        load().get(Key::GOPROXY).origin,
        Origin::GorootFile { .. }
    ));
    machine.compare(&machine.environment(&[]));
}
