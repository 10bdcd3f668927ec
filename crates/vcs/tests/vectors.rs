//! The test vectors of Go's own tests, where they are at hand: every revision, version, list and query of
//! `coderepo_tests.json` and `query_tests.json`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say how much was tested"
)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gomod::{ModulePath, Revision, Version};
use serde_json::Value;
use support::{Forge, Pages, Workplace};
use vcs::Error;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance");

/// Repositories that the vectors take from the network, and where they are.
const REMOTE: [(&str, &str); 8] = [
    ("github.com/rsc/vgotest1", "https://github.com/rsc/vgotest1"),
    ("rsc.io/quote", "https://github.com/rsc/quote"),
    ("github.com/rsc/quote", "https://github.com/rsc/quote"),
    ("golang.org/x/text", "https://go.googlesource.com/text"),
    ("github.com/pkg/errors", "https://github.com/pkg/errors"),
    ("gopkg.in/yaml.v2", "https://gopkg.in/yaml.v2"),
    ("gopkg.in/check.v1", "https://gopkg.in/check.v1"),
    (
        "gopkg.in/natefinch/lumberjack.v2",
        "https://gopkg.in/natefinch/lumberjack.v2",
    ),
];

struct Vectors {
    table: Value,
    forge: Forge,
    workplace: Workplace,
    skipped: Vec<String>,
}

/// The vectors of `name` with their repositories; `None` where there are none.
fn vectors(name: &str) -> Option<Vectors> {
    let file = Path::new(FOLDER).join("cmd-go").join(name);
    let Ok(text) = std::fs::read_to_string(&file) else {
        testkit::skipped(&format!("{name} (no ../shared/conformance)"));
        return None;
    };
    let forge = Forge::new();
    let script = Path::new(FOLDER).join("vcstest/build.py");
    let built = Command::new("python3")
        .arg(script)
        .arg(forge.root.path())
        .output();
    let Ok(output) = built else {
        testkit::skipped(&format!("{name} (no python3 to build its repositories)"));
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    let pages = Pages::default()
        .import("vcs-test.golang.org/go/mod/gitrepo1", "vcs-test.golang.org/go/mod/gitrepo1 git https://vcs-test.golang.org/git/gitrepo1")
        .import("vcs-test.golang.org/go/gitreposubdir", "vcs-test.golang.org/go/gitreposubdir git https://vcs-test.golang.org/git/gitreposubdir foo/subdir")
        .import("vcs-test.golang.org/go/gitreposubdirv2/v2", "vcs-test.golang.org/go/gitreposubdirv2 git https://vcs-test.golang.org/git/gitreposubdirv2 subdir")
        .import("vcs-test.golang.org/go/gitreposubdirv2", "vcs-test.golang.org/go/gitreposubdirv2 git https://vcs-test.golang.org/git/gitreposubdirv2 subdir");
    let pages = REMOTE
        .iter()
        .filter(|(root, _)| !root.starts_with("github.com"))
        .fold(pages, |pages, (root, url)| {
            pages.import(root, &format!("{root} git {url}"))
        });
    let root = forge.root.path().to_path_buf();
    let workplace = forge.vcs_with(pages, |settings| {
        settings.configuration = std::sync::Arc::new(move |url, _| configuration(&root, url));
    });
    Some(Vectors {
        table: serde_json::from_str(&text).unwrap(),
        forge,
        workplace,
        skipped: Vec::new(),
    })
}

fn configuration(forge: &Path, url: &str) -> vcs::RemoteOptions {
    match mirror_of(url) {
        Some(copy) => vcs::RemoteOptions {
            url: Some(format!("file://{}", copy.display())),
            allow_file: true,
            ..vcs::RemoteOptions::default()
        },
        None if REMOTE.iter().any(|(_, remote)| *remote == url) => vcs::RemoteOptions::default(),
        None => support::local(forge, url),
    }
}

/// A copy of a remote repository in the folder that `MODKEEP_MIRRORS` names, as `host+path` (`owner+name` for GitHub).
fn mirror_of(url: &str) -> Option<PathBuf> {
    let mirrors = PathBuf::from(std::env::var_os("MODKEEP_MIRRORS")?);
    let name = url.strip_prefix("https://")?;
    let name = name.strip_prefix("github.com/").unwrap_or(name);
    let name = name.replace('/', "+");
    let copy = mirrors.join(name);
    copy.is_dir().then_some(copy)
}

impl Vectors {
    fn rows(&self, name: &str) -> Vec<Value> {
        let rows = self.table[name].as_array().unwrap().clone();
        assert!(!rows.is_empty(), "{name} is empty");
        rows
    }

    /// Whether the repository of `path` can be had.
    fn reachable(&mut self, path: &str) -> bool {
        let remote = REMOTE.iter().find(|(root, _)| path.starts_with(root));
        let Some((root, url)) = remote else {
            return true;
        };
        let live = std::env::var_os("MODKEEP_LIVE").is_some_and(|live| live == "1");
        let there = mirror_of(url).is_some() || live && answers(url);
        if !there && !self.skipped.iter().any(|s| s == root) {
            self.skipped.push((*root).to_owned());
        }
        there
    }

    fn finish(self, what: &str, ran: usize) {
        println!("{what}: {ran} rows");
        assert!(ran > 0, "{what}: no row ran");
        for root in self.skipped {
            testkit::skipped(&format!(
                "{what}: rows of {root} (MODKEEP_LIVE is not 1, or it does not answer)"
            ));
        }
        drop(self.forge);
    }
}

fn answers(url: &str) -> bool {
    Command::new("git")
        .args(["ls-remote", "-q", url, "HEAD"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn text<'a>(row: &'a Value, key: &str) -> Option<&'a str> {
    row[key].as_str()
}

/// Errors about paths come from the type of the path here.
fn module(path: &str) -> Result<ModulePath, String> {
    ModulePath::new(path)
        .map_err(|error| format!("invalid module path {}: {error}", gomod::quote(path)))
}

#[tokio::test]
async fn revisions_become_the_versions_that_go_gives_them() {
    let Some(mut vectors) = vectors("coderepo_tests.json") else {
        return;
    };
    let mut ran = 0;
    for row in vectors.rows("stat") {
        let (path, rev) = (text(&row, "path").unwrap(), text(&row, "rev").unwrap());
        if !vectors.reachable(path) {
            continue;
        }
        ran += 1;
        let result = check_stat(&vectors.workplace, path, rev, &row).await;
        match (result, text(&row, "err_contains")) {
            (Ok(()), None) => {}
            (Err(error), Some(want)) => {
                assert!(error.contains(want), "{path}@{rev}: {error}\nwant {want}");
            }
            (result, want) => panic!("{path}@{rev}: {result:?}, want {want:?}"),
        }
    }
    vectors.finish("coderepo stat", ran);
}

async fn check_stat(
    workplace: &Workplace,
    path: &str,
    rev: &str,
    row: &Value,
) -> Result<(), String> {
    let module = module(path)?;
    let vcs = &workplace.vcs;
    let info = vcs
        .info(&module, &Revision::new(rev).unwrap())
        .await
        .map_err(|error| error.to_string())?;
    let Some(want) = text(row, "version") else {
        return Ok(());
    };
    assert_eq!(info.version, want, "{path}@{rev}");
    if let Some(time) = text(row, "time") {
        assert_eq!(info.time.as_ref().unwrap().as_str(), time, "{path}@{rev}");
    }
    if let Some(name) = text(row, "name") {
        assert_eq!(info.origin.as_ref().unwrap().hash, name, "{path}@{rev}");
    }
    let version = Version::new(want).unwrap();
    let go_mod = vcs
        .go_mod(&module, &version)
        .await
        .map_err(|e| e.to_string())?;
    if let Some(want) = text(row, "gomod") {
        assert_eq!(String::from_utf8_lossy(&go_mod), want, "{path}@{rev}");
    }
    if row.get("zip_h1").is_some() || row.get("zip_files").is_some() {
        check_zip(vcs, &module, &version, row).await;
    }
    Ok(())
}

async fn check_zip(vcs: &vcs::Vcs, module: &ModulePath, version: &Version, row: &Value) {
    let zip = tempfile::tempfile().unwrap();
    let created = vcs
        .zip(module, version, zip.try_clone().unwrap())
        .await
        .unwrap();
    if let Some(want) = text(row, "zip_h1") {
        assert_eq!(created.hash.to_string(), want, "{module}@{version}");
    }
    if let Some(want) = row["zip_files"].as_array() {
        let mut want: Vec<String> = want
            .iter()
            .map(|file| format!("{module}@{version}/{}", file.as_str().unwrap()))
            .collect();
        want.sort();
        let archive = modzip::Archive::open(zip, created.size).unwrap();
        let mut names: Vec<String> = archive.entries().map(|e| e.name().to_string()).collect();
        names.sort();
        assert_eq!(names, want);
    }
}

#[tokio::test]
async fn versions_latest_and_origins_are_those_of_go() {
    let Some(mut vectors) = vectors("coderepo_tests.json") else {
        return;
    };
    let mut ran = 0;
    for row in vectors.rows("versions") {
        let path = text(&row, "path").unwrap();
        if !vectors.reachable(path) {
            continue;
        }
        ran += 1;
        let prefix = text(&row, "prefix").unwrap();
        let listed = vectors
            .workplace
            .vcs
            .versions(&module(path).unwrap())
            .await
            .unwrap();
        let names = listed.list.iter().map(Version::as_str);
        let names: Vec<&str> = names.filter(|v| v.starts_with(prefix)).collect();
        let want: Vec<&str> = row["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_str().unwrap())
            .collect();
        assert_eq!(names, want, "{path} {prefix}");
    }
    for row in vectors.rows("latest") {
        let path = text(&row, "path").unwrap();
        if !vectors.reachable(path) {
            continue;
        }
        ran += 1;
        // Go's test asks for the newest commit.
        let result = vectors
            .workplace
            .vcs
            .info(&module(path).unwrap(), &Revision::new("latest").unwrap())
            .await;
        match (result, text(&row, "version")) {
            (Ok(info), Some(want)) => assert_eq!(info.version, want, "{path}"),
            (Err(error), None) => {
                let want = text(&row, "err").unwrap();
                assert!(error.to_string().contains(want), "{path}: {error}");
            }
            (result, want) => panic!("{path}: {result:?} {want:?}"),
        }
    }
    for row in vectors.rows("origin") {
        let (path, query) = (text(&row, "path").unwrap(), text(&row, "query").unwrap());
        ran += 1;
        let vcs = &vectors.workplace.vcs;
        let module = module(path).unwrap();
        let info = match query {
            "latest" => vcs.latest(&module).await,
            query => vcs.info(&module, &Revision::new(query).unwrap()).await,
        };
        let origin: Value = serde_json::from_str(&info.unwrap().to_json()).unwrap();
        for key in ["TagSum", "Ref", "Hash", "Subdir", "TagPrefix"] {
            if let Some(want) = text(&row, key) {
                assert_eq!(origin["Origin"][key], want, "{path}@{query} {key}");
            }
        }
        for key in row["absent"].as_array().into_iter().flatten() {
            assert!(
                origin["Origin"].get(key.as_str().unwrap()).is_none(),
                "{path}@{query} {key}"
            );
        }
        assert_eq!(origin["Version"], row["Version"]);
    }
    vectors.finish("coderepo versions, latest, origin", ran);
}

#[tokio::test]
async fn only_canonical_tags_are_versions() {
    let Some(vectors) = vectors("coderepo_tests.json") else {
        return;
    };
    let table = vectors.table["noncanonical"].clone();
    let strings = |key: &str| -> Vec<String> {
        let list = table[key].as_array().unwrap().iter();
        list.map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    let repository = vectors.forge.repository("noncanonical");
    repository
        .write("go.mod", "module x.example/noncanonical.git\n")
        .commit();
    let mut ran = 0;
    for tag in strings("tags")
        .iter()
        .filter(|tag| !tag.is_empty() && !tag.contains('?'))
    {
        repository.tag(tag);
        ran += 1;
    }
    let module = module("x.example/noncanonical.git").unwrap();
    let listed = vectors.workplace.vcs.versions(&module).await.unwrap().list;
    let listed: Vec<&str> = listed.iter().map(Version::as_str).collect();
    assert_eq!(listed, strings("versions"));
    vectors.finish("coderepo noncanonical", ran);
}

#[tokio::test]
async fn queries_choose_what_go_chooses() {
    let Some(vectors) = vectors("query_tests.json") else {
        return;
    };
    let mut ran = BTreeMap::new();
    for row in vectors.rows("tests") {
        let field = |key: &str| text(&row, key).unwrap_or_default().to_owned();
        let (path, query, current, allow) = (
            field("path"),
            field("query"),
            field("current"),
            field("allow"),
        );
        let allowed = |version: &str| gomod::glob::matches(&allow, version) == Ok(true);
        let current = (!current.is_empty()).then_some(current.as_str());
        let result: Result<_, Error> = vectors
            .workplace
            .vcs
            .query(&module(&path).unwrap(), &query, current, allowed)
            .await;
        match (result, text(&row, "vers")) {
            (Ok(info), Some(want)) => assert_eq!(info.version, want, "{row}"),
            (Err(error), None) => {
                // The texts are informative.
                assert!(
                    error.is_absence() && !field("err").is_empty(),
                    "{row}: {error}"
                );
            }
            (result, _) => panic!("{row}: {result:?}"),
        }
        *ran.entry(path).or_insert(0_usize) += 1;
    }
    let total = ran.values().sum();
    vectors.finish("queries", total);
}
