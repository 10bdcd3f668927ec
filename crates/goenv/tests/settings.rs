//! Where settings come from: own rows for every rule. `go_env.rs` compares the same with the real
//! `go`.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use goenv::{Environment, GoEnv, Key, Origin, Problem};

/// A home directory and a Go tree to put files in.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        machine.write(
            "goroot/go.env",
            "# defaults\nGOPROXY=https://tree,direct\nGOSUMDB=sum.golang.org\n",
        );
        machine.write("goroot/VERSION", "go1.26.1\n");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// `HOME`, `GOROOT` and the given variables.
    fn load(&self, variables: &[(&str, &str)]) -> GoEnv {
        let base = [("HOME", self.text("home")), ("GOROOT", self.text("goroot"))];
        let base = base
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let more = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        GoEnv::load(&Environment::from_pairs(base.chain(more)))
    }

    fn user_line(&self, line: usize) -> Origin {
        Origin::UserFile {
            path: self.path("home/.config/go/env"),
            line,
        }
    }

    fn tree_line(&self, line: usize) -> Origin {
        Origin::GorootFile {
            path: self.path("goroot/go.env"),
            line,
        }
    }
}

fn variable(name: &str) -> Origin {
    Origin::Environment {
        name: name.to_owned(),
    }
}

fn shadowed(settings: &GoEnv, key: Key) -> Vec<(String, Origin)> {
    settings
        .get(key)
        .shadowed
        .iter()
        .map(|other| (other.value.clone(), other.origin.clone()))
        .collect()
}

fn problems(settings: &GoEnv) -> Vec<String> {
    settings
        .problems()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn environment_comes_before_user_file_before_tree() {
    let machine = Machine::new();
    machine.write(
        "home/.config/go/env",
        "GOPROXY=https://first\nGOFLAGS=-v\nGOPROXY=https://user\n",
    );

    let settings = machine.load(&[("GOPROXY", "https://shell")]);
    let proxy = settings.get(Key::GOPROXY);
    assert_eq!(
        (proxy.value.as_str(), &proxy.origin),
        ("https://shell", &variable("GOPROXY"))
    );
    let expected = [
        ("https://user".to_owned(), machine.user_line(3)),
        ("https://first".to_owned(), machine.user_line(1)),
        ("https://tree,direct".to_owned(), machine.tree_line(2)),
    ];
    assert_eq!(shadowed(&settings, Key::GOPROXY), expected);

    let settings = machine.load(&[("GOPROXY", "")]);
    assert_eq!(settings.get(Key::GOPROXY).origin, machine.user_line(3));
    assert_eq!(settings.value(Key::GOFLAGS), "-v");

    let settings = machine.load(&[("GOENV", "off")]);
    assert_eq!(settings.get(Key::GOPROXY).origin, machine.tree_line(2));
    assert_eq!(settings.get(Key::GOENV).value, "off");
    assert_eq!(settings.user_file(), None);
    assert_eq!(problems(&settings), Vec::<String>::new());
}

#[test]
fn an_empty_line_hides_the_tree_and_brings_the_default_back() {
    let machine = Machine::new();
    machine.write("home/.config/go/env", "GOPROXY=\nGOAUTH=\n");
    let settings = machine.load(&[]);
    let proxy = settings.get(Key::GOPROXY);
    assert_eq!(
        (proxy.value.as_str(), &proxy.origin),
        ("", &machine.user_line(1))
    );
    assert_eq!(
        shadowed(&settings, Key::GOPROXY),
        [("https://tree,direct".to_owned(), machine.tree_line(2))]
    );
    let auth = settings.get(Key::GOAUTH);
    assert_eq!(
        (auth.value.as_str(), &auth.origin),
        ("netrc", &Origin::Default)
    );
    assert_eq!(
        shadowed(&settings, Key::GOAUTH),
        [(String::new(), machine.user_line(2))]
    );
}

#[test]
fn private_patterns_are_inherited() {
    let machine = Machine::new();
    let settings = machine.load(&[("GOPRIVATE", "corp.com"), ("GONOSUMDB", "none")]);
    let inherited = Origin::Inherited {
        from: Key::GOPRIVATE,
    };
    let proxy = settings.get(Key::GONOPROXY);
    assert_eq!(
        (proxy.value.as_str(), &proxy.origin),
        ("corp.com", &inherited)
    );
    let sumdb = settings.get(Key::GONOSUMDB);
    assert_eq!(
        (sumdb.value.as_str(), &sumdb.origin),
        ("none", &variable("GONOSUMDB"))
    );

    let nothing = machine.load(&[]);
    assert_eq!(nothing.get(Key::GONOPROXY).origin, Origin::Default);
}

#[test]
fn directories_follow_home_and_gopath() {
    let machine = Machine::new();
    let settings = machine.load(&[]);
    assert_eq!(settings.value(Key::GOPATH), machine.text("home/go"));
    assert_eq!(
        settings.value(Key::GOMODCACHE),
        machine.text("home/go/pkg/mod")
    );
    assert_eq!(
        settings.value(Key::GOCACHE),
        machine.text("home/.cache/go-build")
    );
    assert_eq!(
        settings.value(Key::GOENV),
        machine.text("home/.config/go/env")
    );
    assert_eq!(
        settings.user_file(),
        Some(machine.path("home/.config/go/env").as_path())
    );
    assert_eq!(settings.goroot_version(), Some("go1.26.1"));

    let settings = machine.load(&[("GOPATH", "/a/../g:/b"), ("XDG_CACHE_HOME", "/c")]);
    let cache = settings.get(Key::GOMODCACHE);
    assert_eq!(
        (cache.value.as_str(), &cache.origin),
        ("/g/pkg/mod", &Origin::Inherited { from: Key::GOPATH })
    );
    assert_eq!(settings.value(Key::GOCACHE), "/c/go-build");

    let settings = machine.load(&[("HOME", "")]);
    assert_eq!(settings.value(Key::GOPATH), "");
    assert_eq!(settings.value(Key::GOMODCACHE), "");
    assert_eq!(settings.value(Key::GOCACHE), "off");
    assert_eq!(settings.user_file(), None);
    let expected = "no file for 'go env -w': neither $XDG_CONFIG_HOME nor $HOME are defined";
    assert_eq!(
        problems(&settings).first().map(String::as_str),
        Some(expected)
    );
}

#[test]
fn home_go_is_no_gopath_when_it_is_the_tree() {
    let machine = Machine::new();
    machine.write("home/go/go.env", "GOPROXY=direct\n");
    let settings = machine.load(&[("GOROOT", &machine.text("home/go"))]);
    assert_eq!(settings.value(Key::GOPATH), "");
    assert_eq!(settings.value(Key::GOPROXY), "direct");
}

#[test]
fn the_user_file_may_name_the_tree() {
    let machine = Machine::new();
    machine.write("other/go.env", "GOPROXY=https://other\n");
    machine.write(
        "home/.config/go/env",
        &format!("GOROOT={}/\n", machine.text("other")),
    );
    // Go reads go.env of the tree in the file, although the one in the environment is GOROOT.
    let settings = machine.load(&[]);
    assert_eq!(settings.value(Key::GOPROXY), "https://other");
    assert_eq!(settings.get(Key::GOROOT).origin, variable("GOROOT"));
    assert_eq!(shadowed(&settings, Key::GOROOT).len(), 1);

    let settings = machine.load(&[("GOROOT", "")]);
    assert_eq!(settings.value(Key::GOROOT), machine.text("other"));
    assert_eq!(settings.get(Key::GOROOT).origin, machine.user_line(1));
}

#[test]
fn built_in_defaults_stand_in_where_go_has_no_file_for_them() {
    let machine = Machine::new();
    let default = "https://proxy.golang.org,direct";

    let no_go = GoEnv::load(&Environment::from_pairs([("HOME", machine.text("home"))]));
    assert_eq!(
        (no_go.value(Key::GOPROXY), no_go.value(Key::GOSUMDB)),
        (default, "sum.golang.org")
    );
    assert_eq!(no_go.get(Key::GOPROXY).origin, Origin::Default);
    assert_eq!(no_go.problems(), [Problem::NoGoroot]);

    machine.write("old/VERSION", "go1.20.14\n");
    let old = machine.load(&[("GOROOT", &machine.text("old"))]);
    assert_eq!(
        (old.value(Key::GOPROXY), problems(&old).len()),
        (default, 0)
    );

    machine.write("broken/VERSION", "go1.22.0\n");
    let broken = machine.load(&[("GOROOT", &machine.text("broken"))]);
    assert_eq!(broken.value(Key::GOPROXY), "");
    assert_eq!(
        broken.problems(),
        [Problem::MissingGorootFile {
            path: machine.path("broken/go.env")
        }]
    );
}

#[test]
fn problems_of_files_are_collected() {
    let machine = Machine::new();
    machine.write(
        "home/.config/go/env",
        "export GOPROXY=x\nGOPROXI=x\nGOENV=off\nGOPRIVATE=a.com\r\nnonsense\n",
    );
    machine.write("goroot/go.env", "GOPROXY=direct\nGOROOT=/x\n");
    let settings = machine.load(&[]);
    assert_eq!(settings.value(Key::GOPRIVATE), "a.com\r");
    assert_eq!(settings.value(Key::GOROOT), machine.text("goroot"));
    let user = machine.text("home/.config/go/env");
    let expected = [
        format!("{user}:1: line ignored by go: it does not begin with a letter from A to Z"),
        format!(
            "{user}:2: GOPROXI is no setting that Go 1.26 knows (of a newer Go, or misspelled)"
        ),
        format!("{user}:3: GOENV cannot be set in this file"),
        format!("{user}:4: go makes the carriage return at the end of the line part of GOPRIVATE"),
        format!("{user}:5: line ignored by go: no '='"),
        format!(
            "{}:2: GOROOT cannot be set in this file",
            machine.text("goroot/go.env")
        ),
    ];
    assert_eq!(problems(&settings), expected);
    assert_eq!(
        settings.problems()[1].location(),
        Some((Path::new(&user), Some(2)))
    );
}

#[test]
fn a_named_user_file_has_to_be_readable() {
    let machine = Machine::new();
    let missing = machine.load(&[("GOENV", "/nonexistent/env")]);
    assert_eq!(
        problems(&missing),
        ["/nonexistent/env: GOENV names a file that does not exist"]
    );
    assert_eq!(missing.value(Key::GOENV), "/nonexistent/env");

    let directory = machine.load(&[("GOENV", &machine.text("goroot"))]);
    assert!(
        matches!(directory.problems(), [Problem::UnreadableFile { .. }]),
        "{:?}",
        directory.problems()
    );

    machine.write("named", "GOPROXY=https://named\n");
    let named = machine.load(&[("GOENV", &machine.text("named"))]);
    assert_eq!(named.value(Key::GOPROXY), "https://named");
    assert_eq!(
        named.get(Key::GOPROXY).origin,
        Origin::UserFile {
            path: machine.path("named"),
            line: 1
        }
    );
}

#[test]
fn values_that_stop_go_are_told() {
    let machine = Machine::new();
    let rows = [
        (
            "GO111MODULE",
            "yes",
            "unknown environment setting GO111MODULE=yes",
        ),
        (
            "GOPATH",
            "/a::g",
            r#"GOPATH entry is relative; must be absolute path: "g""#,
        ),
        (
            "GOPATH",
            "~/go",
            r#"GOPATH entry cannot start with shell metacharacter '~': "~/go""#,
        ),
        (
            "GOMODCACHE",
            "m",
            r#"GOMODCACHE entry is relative; must be absolute path: "m""#,
        ),
        (
            "GOCACHE",
            "c",
            "GOCACHE is off or not an absolute path; a build needs a cache",
        ),
        ("GOWORK", "go.work", "invalid GOWORK: not an absolute path"),
    ];
    for (name, value, expected) in rows {
        assert!(
            problems(&machine.load(&[(name, value)])).contains(&expected.to_owned()),
            "{name}={value}"
        );
    }
    for (name, value) in [
        ("GO111MODULE", "auto"),
        ("GOPATH", "/a::/b"),
        ("GOWORK", "off"),
        ("GOWORK", "auto"),
    ] {
        assert_eq!(
            problems(&machine.load(&[(name, value)])),
            Vec::<String>::new(),
            "{name}={value}"
        );
    }
}

#[test]
fn passwords_stay_out_of_debug_output() {
    let machine = Machine::new();
    machine.write("home/.config/go/env", "GOPROXY=https://u:hunter2@h\n");
    let settings = machine.load(&[("GOPROXY", "https://u:hunter3@h")]);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter"), "{shown}");
}
