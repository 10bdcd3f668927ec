//! `modkeep doctor` in a root directory in which there is nothing but the program and a file of CA certificates: no
//! resolv.conf, no hosts file, no /tmp, no /proc, no /sys, no home, no git, no go.
//!
//! With `MODKEEP_STATIC` naming a program that needs no shared libraries (see docs/static.md), that one is taken, and the
//! root is as empty as it sounds; else the one of this build, with the libraries that it needs put in beside it.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set its scene up fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use testkit::{Authority, Modkeep, ModkeepCommand, Module, Tree, UpstreamServer, skipped};

const HOST: &str = "modules.test";
const MODULE: &str = "example.com/sample@v1.2.3";

/// Puts the files into the root by mounts of its own, and goes there. 77 means that it could not.
const ENTER: &str = r#"
put() {
    mkdir -p "$root$(dirname "$2")" && : >"$root$2" && mount --bind "$1" "$root$2" || exit 77
}
root=$1
shift
put "$program" /modkeep
for library in $libraries; do put "$library" "$library"; done
enter=$(command -v chroot) || exit 77
exec env -i $variables "$enter" "$root" /modkeep "$@"
"#;

/// A server over TLS whose certificate an authority has signed that nobody else knows.
struct Scene {
    root: tempfile::TempDir,
    server: Modkeep,
    _data: tempfile::TempDir,
    _upstream: UpstreamServer,
    _tree: Tree,
}

impl Scene {
    fn new() -> Self {
        let tree = Tree::temporary();
        tree.add(&Module::new("example.com/sample", "v1.2.3"));
        let upstream = UpstreamServer::serve(tree.root());
        let data = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();

        let authority = Authority::new();
        let roots = root.path().join("etc/ssl/certs/ca-certificates.crt");
        fs::create_dir_all(roots.parent().unwrap()).unwrap();
        fs::write(&roots, authority.pem()).unwrap();
        let identity = authority.issue(&[HOST]);
        let file = |name: &str, text: &str| {
            let path = data.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let server = ModkeepCommand::new(env!("CARGO_BIN_EXE_modkeep"))
            .data(data.path().join("store"))
            .upstream(&upstream.url())
            .sumdb("off")
            .env(
                "MODKEEP_TLS_CERTIFICATE",
                file("server.pem", &identity.certificate),
            )
            .env("MODKEEP_TLS_KEY", file("server.key", &identity.key))
            .start();
        Self {
            root,
            server,
            _data: data,
            _upstream: upstream,
            _tree: tree,
        }
    }

    /// Runs it in there; `None` where no user may make a root of its own.
    fn run(&self, variables: &[&str], arguments: &[&str]) -> Option<Output> {
        let program = std::env::var_os("MODKEEP_STATIC").map_or_else(
            || PathBuf::from(env!("CARGO_BIN_EXE_modkeep")),
            PathBuf::from,
        );
        let output = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                ENTER,
                "sh",
            ])
            .arg(self.root.path())
            .args(arguments)
            .env("libraries", libraries(&program).join(" "))
            .env("program", program)
            .env("variables", variables.join(" "))
            .output();
        match output {
            Ok(output) if output.status.code() != Some(77) && !output.stdout.is_empty() => {
                Some(output)
            }
            _ => {
                skipped("the doctor in a bare root (this user cannot mount)");
                None
            }
        }
    }

    fn port(&self) -> &str {
        self.server.authority().rsplit(':').next().unwrap()
    }

    /// What is in the root that was not put there.
    fn left_behind(&self) -> Vec<PathBuf> {
        let allowed = ["etc", "modkeep", "lib", "lib64", "usr"];
        fs::read_dir(self.root.path())
            .unwrap()
            .map(|entry| PathBuf::from(entry.unwrap().file_name()))
            .filter(|name| !allowed.iter().any(|known| Path::new(known) == name))
            .collect()
    }
}

/// The shared libraries of a program; none when it is static.
fn libraries(program: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(str::to_owned)
        .collect()
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {text} {said}")
    })
}

#[test]
fn a_file_of_certificates_is_all_it_needs() {
    let scene = Scene::new();
    let proxy = format!("GOPROXY=https://{HOST}:{}", scene.port());
    let resolve = format!("{HOST}=127.0.0.1");
    let variables = [
        proxy.as_str(),
        "GOSUMDB=off",
        "GOMODCACHE=/cache/modules",
        "GOCACHE=/cache/build",
    ];
    let arguments = ["doctor", MODULE, "--timeout", "60", "--resolve", &resolve];
    let with_format = [&arguments[..], &["--format", "json"]].concat();
    let Some(output) = scene.run(&variables, &with_format) else {
        return;
    };
    let said = json(&output);
    assert_eq!(said["verdict"]["health"], "healthy", "{said:#}");
    assert_eq!(output.status.code(), Some(0));
    let output = scene.run(&variables, &arguments).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("example.com/sample can be downloaded here"),
        "{text}"
    );
    assert_eq!(scene.left_behind(), Vec::<PathBuf>::new());
}

#[test]
fn what_the_container_lacks_is_named() {
    let scene = Scene::new();
    let proxy = format!("GOPROXY=https://{HOST}:{}", scene.port());
    let arguments = ["doctor", MODULE, "--timeout", "10", "--format", "json"];
    let Some(output) = scene.run(&[&proxy, "GOSUMDB=off", "HOME=/home"], &arguments) else {
        return;
    };
    // Without a resolv.conf names are asked of this machine, where nobody answers as a rule.
    let said = json(&output);
    assert_eq!(said["verdict"]["hop"], "dns", "{said:#}");
    assert_eq!(output.status.code(), Some(1));

    // And without a home there is no place for the caches.
    let output = scene.run(&[&proxy, "GOSUMDB=off"], &arguments).unwrap();
    assert_eq!(json(&output)["verdict"]["label"], "env-home-unset");
    // Nothing was made to find that out.
    assert_eq!(scene.left_behind(), Vec::<PathBuf>::new());
}

#[test]
fn logs_are_explained_there() {
    let scene = Scene::new();
    fs::write(
        scene.root.path().join("etc/build.log"),
        "go: example.com/a@v1.0.0: dial tcp: lookup proxy.golang.org on 192.0.2.1:53: server misbehaving\n",
    )
    .unwrap();
    let arguments = ["explain", "/etc/build.log", "--format", "json"];
    let Some(output) = scene.run(&[], &arguments) else {
        return;
    };
    assert_eq!(json(&output)["causes"][0]["label"], "dns-servfail");
}
