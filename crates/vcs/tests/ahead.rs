//! New versions are fetched before anybody asks for them.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "support/harm.rs"]
mod harm;
mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use harm::{large, module, over_http, real_git, zip};
use support::{Forge, Pages, Repository, Workplace};
use testkit::{GitManner, GitServer};

fn workplace(forge: &Forge, server: &GitServer, ahead: usize) -> Workplace {
    forge.vcs_with(Pages::default(), |settings| {
        settings.limits.listing_fresh = Duration::ZERO;
        settings.limits.ahead = ahead;
        over_http(settings, server.address(), None);
    })
}

/// A new version, and its commit.
fn release(repository: &Repository, version: &str) -> String {
    let commit = repository
        .write("more.go", format!("package x // {version}\n"))
        .commit();
    repository.tag(version);
    commit
}

/// The bare repositories of the cache.
fn mirrors(workplace: &Workplace) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![workplace.directory.path().to_path_buf()];
    while let Some(folder) = folders.pop() {
        if folder.join("objects").is_dir() {
            found.push(folder);
            continue;
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        folders.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        );
    }
    found
}

fn has(workplace: &Workplace, commit: &str) -> bool {
    mirrors(workplace).iter().any(|mirror| {
        let output = std::process::Command::new(real_git())
            .arg("--git-dir")
            .arg(mirror)
            .args(["cat-file", "-e", commit])
            .output()
            .unwrap();
        output.status.success()
    })
}

async fn comes(workplace: &Workplace, commit: &str) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(1) {
        if has(workplace, commit) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn what_is_new_in_a_repository_is_fetched_when_a_push_is_announced() {
    let forge = Forge::new();
    let repository = large(&forge, "one", 100);
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = workplace(&forge, &server, 1);
    zip(&workplace, "one", "v1.0.0").await.unwrap();
    let commit = release(&repository, "v1.1.0");
    assert!(!has(&workplace, &commit));
    let roots = workplace.vcs.pushed("https://git.example/one.git");
    assert!(roots.iter().any(|root| root == "git.example/one.git"));
    assert!(comes(&workplace, &commit).await);
    zip(&workplace, "one", "v1.1.0").await.unwrap();
}

#[tokio::test]
async fn nothing_is_fetched_before_somebody_asks_where_that_is_switched_off() {
    let forge = Forge::new();
    let repository = large(&forge, "one", 100);
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = workplace(&forge, &server, 0);
    zip(&workplace, "one", "v1.0.0").await.unwrap();
    let commit = release(&repository, "v1.1.0");
    let before = server.requests().len();
    workplace.vcs.pushed("https://git.example/one.git");
    // Whatever the push had begun would ask the server before this is answered.
    workplace.vcs.versions(&module("none")).await.unwrap_err();
    let requests = server.requests();
    let asked = requests[before..]
        .iter()
        .filter(|request| request.contains("/one/"));
    assert_eq!(asked.count(), 0, "{requests:?}");
    assert!(!has(&workplace, &commit));
}

#[tokio::test]
async fn a_new_version_has_the_others_on_its_server_looked_at() {
    let forge = Forge::new();
    let (one, two) = (large(&forge, "one", 100), large(&forge, "two", 100));
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = workplace(&forge, &server, 64);
    for name in ["one", "two"] {
        zip(&workplace, name, "v1.0.0").await.unwrap();
    }
    let wanted = release(&two, "v1.1.0");
    release(&one, "v1.1.0");
    // A listing that is younger is as good as a new one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    zip(&workplace, "one", "v1.1.0").await.unwrap();
    assert!(comes(&workplace, &wanted).await);
}
