//! Commits over a connection that is kept: the same answers, for two requests each.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "support/harm.rs"]
mod harm;
mod support;

use std::sync::Arc;
use std::time::Duration;

use fault::Label;
use gomod::Revision;
use harm::{large, logging_git, module, over_http, zip};
use support::{Forge, Pages, Workplace};
use testkit::{GitManner, GitServer};
use vcs::RemoteOptions;

fn workplace(forge: &Forge, server: &GitServer) -> Workplace {
    let address = server.address();
    forge.vcs_with(Pages::default(), |settings| {
        settings.limits.listing_fresh = Duration::ZERO;
        settings.rules.insecure = goenv::private::Patterns::parse("*");
        // A server that is known, so that no scheme need be tried.
        settings.rules.roots.push(vcs::discovery::RootRule {
            pattern: "git.example/*".to_owned(),
            system: vcs::VersionControl::Git,
            repository: vcs::UrlTemplate::new("http://git.example/{1}").unwrap(),
        });
        settings.configuration = Arc::new(move |url, _| {
            let name = url.rsplit('/').next().unwrap_or_default();
            RemoteOptions {
                url: Some(format!(
                    "http://{address}/{}/.git",
                    name.trim_end_matches(".git")
                )),
                ..RemoteOptions::default()
            }
        });
    })
}

/// What was asked since the last call, without the names of repositories.
fn news(server: &GitServer, told: &mut usize) -> Vec<String> {
    let requests = server.requests();
    let news = requests[*told..].iter().map(|request| {
        let request = request.trim_end();
        let (method, path) = request.split_once(" /").unwrap();
        format!("{method} {}", path.split_once('/').unwrap().1)
    });
    let news = news.collect();
    *told = requests.len();
    news
}

const COMMAND: &str = "POST .git/git-upload-pack";
const GREETING: &str = "GET .git/info/refs?service=git-upload-pack";

#[tokio::test]
async fn a_server_that_is_known_is_asked_twice_over_one_connection() {
    let forge = Forge::new();
    for name in ["one", "two"] {
        let repository = large(&forge, name, 10_000);
        repository.write("more.go", "package x\n").commit();
        repository.annotate("v1.1.0");
    }
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = workplace(&forge, &server);
    let direct = forge.vcs();
    let mut told = 0;
    workplace.vcs.versions(&module("one")).await.unwrap();
    assert_eq!(news(&server, &mut told), [GREETING, COMMAND]);
    for (name, version) in [("two", "v1.0.0"), ("two", "v1.1.0"), ("one", "v1.1.0")] {
        assert_eq!(
            zip(&workplace, name, version).await.unwrap(),
            zip(&direct, name, version).await.unwrap(),
            "{name} {version}"
        );
        assert_eq!(news(&server, &mut told), [COMMAND, COMMAND], "{name}");
    }
    // One, unless this machine is so busy that it was idle for half a minute.
    let (connections, requests) = (server.connections(), server.requests().len());
    assert!(connections * 3 < requests, "{connections} for {requests}");
    // What a repository looks like on disk is what git itself expects.
    for entry in std::fs::read_dir(workplace.directory.path().join("repositories")).unwrap() {
        let tip = entry.unwrap().path().join("tip.git");
        if tip.is_dir() {
            let checked = std::process::Command::new("git")
                .args(["fsck", "--strict", "--no-dangling"])
                .env("GIT_DIR", &tip)
                .output()
                .unwrap();
            assert!(checked.status.success(), "{checked:?}");
        }
    }
    // Branches need history, which git fetches; and what was moved is seen.
    let main = Revision::new("main").unwrap();
    let info = workplace.vcs.info(&module("one"), &main).await.unwrap();
    assert_eq!(info.version, "v1.1.0");
    let before = zip(&workplace, "one", "v1.0.0").await.unwrap();
    let repository = forge.root.path().join("one");
    let moved = std::process::Command::new("git")
        .args(["tag", "-f", "v1.0.0", "main"])
        .current_dir(repository)
        .output()
        .unwrap();
    assert!(moved.status.success());
    assert_ne!(zip(&workplace, "one", "v1.0.0").await.unwrap(), before);
    assert!(
        zip(&workplace, "one", "v9.9.9")
            .await
            .unwrap_err()
            .is_absence()
    );
}

#[tokio::test]
async fn tags_of_other_things_than_commits_are_unknown() {
    let forge = Forge::new();
    let repository = large(&forge, "odd", 100);
    repository.git(&["tag", "v1.1.0", "HEAD:go.mod"]);
    repository.git(&["tag", "v1.2.0", "HEAD^{tree}"]);
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = workplace(&forge, &server);
    zip(&workplace, "odd", "v1.0.0").await.unwrap();
    for version in ["v1.1.0", "v1.2.0"] {
        let error = zip(&workplace, "odd", version).await.unwrap_err();
        assert!(error.is_absence(), "{version}: {error}");
    }
}

#[tokio::test]
async fn servers_of_another_kind_are_left_to_git() {
    let forge = Forge::new();
    large(&forge, "plain", 1000);
    let hashes = forge.repository_with("hashes", &["--object-format=sha256"]);
    hashes
        .write("go.mod", "module git.example/hashes.git\n")
        .commit();
    hashes.tag("v1.0.0");
    let old = GitManner {
        old: true,
        ..GitManner::default()
    };
    let closing = GitManner {
        close: true,
        ..GitManner::default()
    };
    let direct = forge.vcs();
    for manner in [old, closing, GitManner::default()] {
        let server = GitServer::start(forge.root.path(), manner.clone());
        let workplace = workplace(&forge, &server);
        for name in ["plain", "hashes", "plain"] {
            assert_eq!(
                zip(&workplace, name, "v1.0.0").await.unwrap(),
                zip(&direct, name, "v1.0.0").await.unwrap(),
                "{name} {manner:?}"
            );
        }
    }
}

#[tokio::test]
async fn limits_hold_without_git_too() {
    let forge = Forge::new();
    large(&forge, "big", 8 << 20);
    let many = large(&forge, "many", 10);
    let commit = many.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let refs: Vec<String> = (0..1000)
        .map(|n| format!("{commit} refs/tags/v0.0.{n}\n"))
        .collect();
    std::fs::write(many.directory.join(".git/packed-refs"), refs.concat()).unwrap();
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        over_http(settings, server.address(), None);
        settings.limits.repository = 1 << 20;
        settings.limits.refs = 500;
    });
    let error = zip(&workplace, "big", "v1.0.0").await.unwrap_err();
    assert_eq!(error.label(), Label::ModZipTooLarge, "{error}");
    let error = workplace.vcs.versions(&module("many")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more than 500 branches and tags"),
        "{error}"
    );
    assert!(!error.is_absence());
}

#[tokio::test]
async fn a_repository_that_broke_on_disk_is_fetched_again() {
    let forge = Forge::new();
    large(&forge, "fragile", 100_000);
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let tools = tempfile::tempdir().unwrap();
    let (git, log) = logging_git(tools.path());
    let first = workplace(&forge, &server);
    let hash = zip(&first, "fragile", "v1.0.0").await.unwrap();
    for entry in std::fs::read_dir(first.directory.path().join("repositories")).unwrap() {
        let packs = entry.unwrap().path().join("tip.git/objects/pack");
        for pack in std::fs::read_dir(packs).into_iter().flatten().flatten() {
            let path = pack.path();
            if path.extension().is_some_and(|e| e == "pack") {
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, "PACK").unwrap();
            }
        }
    }
    let path = first.directory.path().to_path_buf();
    let address = server.address();
    let second = forge.vcs_with(Pages::default(), |settings| {
        over_http(settings, address, None);
        settings.runner.directory = path;
        settings.runner.git = git;
    });
    assert_eq!(zip(&second, "fragile", "v1.0.0").await.unwrap(), hash);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.lines().any(|line| line.starts_with("fetch")), "{log}");
}

#[tokio::test]
async fn what_is_new_in_one_repository_has_others_looked_at() {
    let forge = Forge::new();
    let names = ["one", "two", "three"];
    let repositories = names.map(|name| large(&forge, name, 1000));
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = workplace(&forge, &server);
    for name in names {
        zip(&workplace, name, "v1.0.0").await.unwrap();
    }
    for repository in &repositories {
        repository.write("new.go", "package x\n").commit();
        repository.tag("v1.1.0").tag("v1.0.1");
    }
    // A listing that is younger than this is not doubted.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut told = server.requests().len();
    zip(&workplace, "one", "v1.1.0").await.unwrap();
    let mut asked = Vec::new();
    // Two questions for the one that was asked for, and two for each of the others, the newest version only.
    while asked.len() < 6 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        asked.extend(news(&server, &mut told));
    }
    for name in ["two", "three"] {
        zip(&workplace, name, "v1.1.0").await.unwrap();
        // One to see whether the tag still is where it was.
        assert_eq!(news(&server, &mut told), [COMMAND], "{name}");
    }
    // Once a minute is enough.
    for repository in &repositories {
        repository.tag("v1.2.0");
    }
    zip(&workplace, "one", "v1.2.0").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let rest = news(&server, &mut told);
    assert!(rest.len() <= 2, "{rest:?}");
}

#[tokio::test]
async fn a_pack_that_breaks_off_is_trouble_and_the_next_try_succeeds() {
    let forge = Forge::new();
    let repository = large(&forge, "torn", 200_000);
    let torn = GitManner {
        cut: Some(100_000),
        ..GitManner::default()
    };
    let whole = GitServer::start(forge.root.path(), GitManner::default());
    let torn = GitServer::start(forge.root.path(), torn);
    let direct = forge.vcs();
    let address = Arc::new(std::sync::Mutex::new(torn.address()));
    let ways = Arc::clone(&address);
    let make = |directory: Option<&std::path::Path>| {
        let ways = Arc::clone(&ways);
        forge.vcs_with(Pages::default(), |settings| {
            over_http(settings, *ways.lock().unwrap(), None);
            if let Some(directory) = directory {
                settings.runner.directory = directory.to_path_buf();
            }
        })
    };
    let first = make(None);
    let error = zip(&first, "torn", "v1.0.0").await.unwrap_err();
    assert!(!error.is_absence() && error.is_retryable(), "{error}");
    *address.lock().unwrap() = whole.address();
    let second = make(Some(first.directory.path()));
    repository.write("new.go", "package x\n").commit();
    repository.tag("v1.1.0");
    for version in ["v1.0.0", "v1.1.0"] {
        assert_eq!(
            zip(&second, "torn", version).await.unwrap(),
            zip(&direct, "torn", version).await.unwrap()
        );
    }
}
