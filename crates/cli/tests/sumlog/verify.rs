//! `modkeep verify --sumdb`: a go.sum that a real `go` has written, against a checksum database.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Go, Module, Tree, UpstreamServer};

use crate::scene::{self, Ended, modkeep};
use crate::server::{Scene, module};

/// A project whose modules `go` has downloaded, and what `go` was set to.
struct Project {
    folder: TempDir,
    go: Go,
    proxy: String,
    sumdb: String,
}

impl Project {
    /// Downloads through `proxy`, without a database; it is asked later.
    fn download(proxy: &str, sumdb: &str, modules: &[&Module]) -> Self {
        let go = Go::find().proxy(proxy).sumdb("off");
        let folder = tempfile::tempdir().unwrap();
        let mut text = "module example.com/main\n\ngo 1.20\n".to_owned();
        let mut program = "package main\n\n".to_owned();
        for module in modules {
            writeln!(text, "\nrequire {} {}", module.path(), module.version()).unwrap();
            writeln!(program, "import _ \"{}\"", module.path()).unwrap();
        }
        fs::write(folder.path().join("go.mod"), text).unwrap();
        fs::write(folder.path().join("main.go"), program).unwrap();
        go.run(folder.path(), &["mod", "tidy"]).expect_success();
        Self {
            folder,
            go,
            proxy: proxy.to_owned(),
            sumdb: sumdb.to_owned(),
        }
    }

    /// The outcome of `modkeep verify` with these arguments and variables.
    fn verify(&self, home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let folder = self.folder.path().to_str().unwrap();
        let cache = self.go.module_cache();
        let mut all = vec![
            ("GOENV", "off"),
            ("GOMODCACHE", cache.to_str().unwrap()),
            ("GOPROXY", &self.proxy),
            ("GOSUMDB", &self.sumdb),
        ];
        all.extend(variables);
        modkeep(home, &[&["verify", "-C", folder], arguments].concat(), &all)
    }

    /// As [`Project::verify`], against the database, by somebody who never did before.
    fn against_database(&self, variables: &[(&str, &str)]) -> Ended {
        let home = tempfile::tempdir().unwrap();
        self.verify(home.path(), &["--sumdb"], variables)
    }
}

fn said(ended: &Ended) -> String {
    format!("{:?}\n{}{}", ended.code, ended.stdout, ended.stderr)
}

#[test]
fn what_the_log_of_a_server_has_is_proven() {
    let scene = Scene::new();
    let server = scene.command().start();
    let key = scene.keys.verifier().to_string();
    let modules = [&scene.public[0], &scene.public[1], &scene.private[0]];
    let project = Project::download(server.url(), &key, &modules);
    let home = tempfile::tempdir().unwrap();
    let good = project.verify(home.path(), &["--sumdb"], &[]);
    assert_eq!(good.code, Some(0), "{}", said(&good));
    assert_eq!(
        good.stdout,
        "all modules verified\ngo.sum: 3 versions proven by the checksum database, 0 covered by none\n"
    );
    // What was proven once is on record, and what was not is not.
    drop(server);
    let again = project.verify(home.path(), &["--sumdb"], &[]);
    assert_eq!(again.code, Some(0), "{}", said(&again));
    let unanswered = project.against_database(&[]);
    assert_eq!(unanswered.code, Some(2), "{}", said(&unanswered));
    assert!(
        unanswered.stdout.contains("not verified: verifying"),
        "{}",
        said(&unanswered)
    );
}

#[test]
fn nobody_is_asked_about_what_no_database_covers() {
    let scene = Scene::new();
    let server = scene.command().start();
    let setting = scene.database.setting();
    let modules = [&scene.public[0], &scene.private[0]];
    let project = Project::download(server.url(), &setting, &modules);
    let before = scene.database.server.requests().len();
    // The server's own relay is not asked: the setting names an address.
    let good = project.against_database(&[("GONOSUMDB", "corp.example.com"), ("GOPROXY", "off")]);
    assert_eq!(good.code, Some(0), "{}", said(&good));
    assert!(
        good.stdout
            .contains("1 version proven by the checksum database, 1 covered by none"),
        "{}",
        said(&good)
    );
    let requests = scene.database.server.requests();
    assert!(requests.len() > before);
    assert!(
        requests
            .iter()
            .all(|asked| !asked.path.contains("corp.example.com"))
    );

    // Without the setting, the database is asked, and does not know it.
    let unknown = project.against_database(&[("GOPROXY", "off")]);
    assert_eq!(unknown.code, Some(1), "{}", said(&unknown));
    assert!(
        unknown
            .stdout
            .contains("verifying corp.example.com/Private0@v1.2.3:"),
        "{}",
        said(&unknown)
    );
    let off = project.against_database(&[("GOSUMDB", "off")]);
    assert_eq!(off.code, Some(2), "{}", said(&off));
    assert!(off.stderr.contains("GOSUMDB is off"), "{}", said(&off));
}

#[test]
fn a_forgery_that_cache_and_go_sum_agree_on_is_found() {
    let scene = Scene::new();
    let honest = &scene.public[0];
    let forged = module(honest.path(), "forged");
    let tree = Tree::temporary();
    tree.add(&forged);
    tree.add(&scene.public[1]);
    let evil = UpstreamServer::serve(tree.root());
    let modules = [&forged, &scene.public[1]];
    let project = Project::download(&evil.url(), &scene.database.setting(), &modules);
    let home = tempfile::tempdir().unwrap();
    let unaware = project.verify(home.path(), &[], &[]);
    assert_eq!(unaware.code, Some(0), "{}", said(&unaware));

    let found = project.verify(home.path(), &["--sumdb"], &[]);
    assert_eq!(found.code, Some(1), "{}", said(&found));
    for hash in [forged.zip_h1(), honest.zip_h1()] {
        assert!(found.stdout.contains(&hash), "{}", said(&found));
    }
    let json = project.verify(home.path(), &["--sumdb", "--format", "json"], &[]);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    let problems = report["sumdb"]["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{report}");
    assert_eq!(problems[0]["problem"], "sumdb-mismatch");
    assert_eq!(problems[0]["module"], honest.path());
    assert_eq!(report["sumdb"]["proven"], 1);
}

#[test]
fn a_database_that_is_not_what_it_says_is_found() {
    let scene = Scene::new();
    let server = scene.command().start();
    // The same name, another key.
    let key = scene::keys().verifier().to_string();
    let project = Project::download(server.url(), &key, &[&scene.public[0]]);
    let found = project.against_database(&[]);
    assert_eq!(found.code, Some(1), "{}", said(&found));
    assert!(
        found.stdout.contains("is not to be believed"),
        "{}",
        said(&found)
    );
}
