//! Real modules, from the public module proxy and verified against the public checksum database, both of which `go`
//! reaches through `modkeep` alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use testkit::{GoOutput, Modkeep, ModkeepCommand, escaped, http, skipped};

use crate::scene::{BINARY, go_through};

/// Variables that say how this machine reaches the public network.
const WAY_OUT: [&str; 8] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

struct Subject {
    module: &'static str,
    version: &'static str,
    branch: &'static str,
    /// A package to import, and an expression that uses it.
    package: &'static str,
    usage: &'static str,
}

#[test]
fn gin_is_downloaded_built_and_updated() {
    exercise(&Subject {
        module: "github.com/gin-gonic/gin",
        version: "v1.10.1",
        branch: "master",
        package: "github.com/gin-gonic/gin",
        usage: "gin.Version",
    });
}

#[test]
fn grpc_is_downloaded_built_and_updated() {
    exercise(&Subject {
        module: "google.golang.org/grpc",
        version: "v1.72.0",
        branch: "master",
        package: "google.golang.org/grpc",
        usage: "grpc.Version",
    });
}

#[test]
fn client_go_is_downloaded_built_and_updated() {
    exercise(&Subject {
        module: "k8s.io/client-go",
        version: "v0.33.0",
        branch: "master",
        package: "k8s.io/client-go/rest",
        usage: "rest.DefaultKubernetesUserAgent()",
    });
}

fn exercise(subject: &Subject) {
    let Subject {
        module, version, ..
    } = subject;
    if std::env::var_os("MODKEEP_LIVE").is_none_or(|value| value != "1") {
        skipped(&format!(
            "{module} through the public services (MODKEEP_LIVE is not 1)"
        ));
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let modkeep = start(data.path());
    // Whatever `go` would ask without the program is out of its reach: the checksum database, too.
    let nowhere = "http://127.0.0.1:9";
    let go = go_through(&modkeep)
        .sumdb("sum.golang.org")
        .env("HTTPS_PROXY", nowhere);
    let folder = go.home().join("app");
    write_main(&folder, subject);
    let run = |arguments: &[&str]| go.run(&folder, arguments);

    run(&["mod", "tidy"]).expect_success();
    run(&["mod", "download"]).expect_success();
    run(&["build", "-o", "app", "."]).expect_success();
    run(&["mod", "verify"]).expect_success();
    let sums = fs::read_to_string(folder.join("go.sum")).unwrap();
    assert!(sums.contains(&format!("{module} {version} h1:")), "{sums}");
    assert_was_verified(data.path(), module, version);

    lists_versions(&modkeep, &run, module);
    asks_for_a_version_that_does_not_exist(&modkeep, &run, subject);
    gets_a_branch(&modkeep, &run, subject);

    run(&["get", &format!("{module}@latest")]).expect_success();
    let latest = run(&["list", "-m", module]).expect_success();
    assert_ne!(latest, format!("{module} {version}\n"));
    run(&["mod", "tidy"]).expect_success();
    run(&["build", "-o", "app", "."]).expect_success();

    // All that was needed so far is kept: a second machine needs no public service.
    modkeep.terminate();
    let modkeep = ModkeepCommand::new(BINARY)
        .data(data.path())
        .upstream("off")
        .env("GOENV", "off")
        .start();
    let second = go_through(&modkeep)
        .sumdb("sum.golang.org")
        .env("HTTPS_PROXY", nowhere);
    second
        .run(&folder, &["build", "-o", "app", "."])
        .expect_success();
}

fn start(data: &Path) -> Modkeep {
    WAY_OUT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)))
        .fold(
            ModkeepCommand::new(BINARY).data(data).env("GOENV", "off"),
            |command, (name, value)| command.env(name, value),
        )
        .start()
}

fn write_main(folder: &Path, subject: &Subject) {
    let Subject {
        module,
        version,
        package,
        usage,
        ..
    } = subject;
    fs::create_dir_all(folder).unwrap();
    fs::write(
        folder.join("go.mod"),
        format!("module example.com/app\n\ngo 1.24\n\nrequire {module} {version}\n"),
    )
    .unwrap();
    fs::write(
        folder.join("main.go"),
        format!("package main\n\nimport \"{package}\"\n\nfunc main() {{ println({usage}) }}\n"),
    )
    .unwrap();
}

/// The checksum database was asked through the relay, which keeps what it said.
fn assert_was_verified(data: &Path, module: &str, version: &str) {
    let lookup = data.join(format!(
        "answers/proven/sum.golang.org/lookup/{}@{}",
        escaped(module),
        escaped(version)
    ));
    let record = fs::read_to_string(&lookup).unwrap();
    assert!(
        record.contains(&format!("{module} {version} h1:")),
        "{record}"
    );
}

/// `go` names the versions that the list has, but for those that the module retracts.
fn lists_versions(modkeep: &Modkeep, run: &dyn Fn(&[&str]) -> GoOutput, module: &str) {
    let answer = run(&["list", "-m", "-versions", "-u", module]).expect_success();
    let url = format!("{}/{}/@v/list", modkeep.url(), escaped(module));
    let list = http::get(&url).unwrap().text();
    let listed: BTreeSet<&str> = list.split_whitespace().collect();
    let named: BTreeSet<&str> = answer.split_whitespace().skip(1).collect();
    assert!(named.is_subset(&listed), "{named:?} of {listed:?}");
    assert!(
        named.len() > 10 && named.len() > listed.len() / 2,
        "{named:?} of {listed:?}"
    );
}

/// `go` shows its user the line that the program gives as the reason.
fn asks_for_a_version_that_does_not_exist(
    modkeep: &Modkeep,
    run: &dyn Fn(&[&str]) -> GoOutput,
    subject: &Subject,
) {
    let missing = format!("{}.99999", subject.version.rsplit_once('.').unwrap().0);
    let reason = refusal(modkeep, subject.module, &missing)
        .unwrap_or_else(|| panic!("{missing} should not exist"));
    let said = run(&["mod", "download", &format!("{}@{missing}", subject.module)]).expect_failure();
    assert!(said.contains(&reason), "{reason:?} is not in {said}");
}

/// A branch becomes a pseudo-version where the public proxy knows it, and else the reason is shown.
fn gets_a_branch(modkeep: &Modkeep, run: &dyn Fn(&[&str]) -> GoOutput, subject: &Subject) {
    let Subject { module, branch, .. } = subject;
    let query = format!("{module}@{branch}");
    match refusal(modkeep, module, branch) {
        None => {
            run(&["get", &query]).expect_success();
            let got = run(&["list", "-m", module]).expect_success();
            assert!(got.starts_with(&format!("{module} v")), "{got}");
        }
        Some(reason) => {
            let said = run(&["get", &query]).expect_failure();
            assert!(said.contains(&reason), "{reason:?} is not in {said}");
            skipped(&format!(
                "go get {query} (the module proxy reached here does not serve it)"
            ));
        }
    }
}

/// The first line of the refusal to a question about a revision; `None` if there is an answer.
fn refusal(modkeep: &Modkeep, module: &str, revision: &str) -> Option<String> {
    let url = format!("{}/{}/@v/{revision}.info", modkeep.url(), escaped(module));
    let reply = http::get(&url).unwrap();
    (reply.status != 200).then(|| reply.text().lines().next().unwrap_or_default().to_owned())
}
