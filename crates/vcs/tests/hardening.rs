//! Repositories that mean harm, programs that are missing or killed, and what is too large.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say how much was tested"
)]

#[path = "support/harm.rs"]
mod harm;
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fault::Label;
use gomod::{Revision, Version};
use harm::{large, module, over_http, zip};
use support::{Forge, Pages, Workplace, local};
use testkit::{GitManner, GitServer, script};
use vcs::Settings;

#[tokio::test]
async fn revisions_that_look_like_something_else_are_just_unknown() {
    let forge = Forge::new();
    let repository = forge.repository("plain");
    repository
        .write("go.mod", "module git.example/plain.git\n")
        .commit();
    repository.git(&["update-ref", "refs/tags/--upload-pack=touch", "HEAD"]);
    let workplace = forge.vcs();
    for revision in [
        "--all",
        "-n1",
        "HEAD~1",
        "HEAD^{tree}",
        "@",
        "main@{0}",
        ".git",
        "refs",
        "$(id)",
        "a b",
        "HEAD~",
        "--output=x",
    ] {
        let Ok(revision) = Revision::new(revision) else {
            continue;
        };
        let error = workplace
            .vcs
            .info(&module("plain"), &revision)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("unknown revision {revision}")),
            "{error}"
        );
        assert!(error.is_absence());
    }
    let tagged = Revision::new("--upload-pack=touch").unwrap();
    let info = workplace.vcs.info(&module("plain"), &tagged).await.unwrap();
    assert_eq!(
        info.origin.unwrap().ref_name,
        "refs/tags/--upload-pack=touch"
    );
}

#[tokio::test]
async fn what_a_repository_brings_along_is_never_run() {
    let forge = Forge::new();
    let mark = forge.root.path().join("mark");
    let touch = format!("touch {}", mark.display());
    let repository = forge.repository("evil");
    repository
        .write("go.mod", "module git.example/evil.git\n")
        .write(
            ".gitattributes",
            "* filter=evil diff=evil merge=evil\n*.go filter=lfs\n",
        )
        .write(
            ".gitmodules",
            format!("[submodule \"x\"]\n\tpath = x\n\turl = ext::{touch}\n\tupdate = !{touch}\n"),
        )
        .write(
            ".gitconfig",
            format!("[filter \"evil\"]\n\tsmudge = {touch}\n\tclean = {touch}\n"),
        )
        .write("hooks/post-checkout", format!("#!/bin/sh\n{touch}\n"))
        .write(
            "config",
            format!("[core]\n\tfsmonitor = {touch}\n\tsshCommand = {touch}\n"),
        );
    repository.commit();
    repository.tag("v1.0.0");
    let workplace = forge.vcs();
    zip(&workplace, "evil", "v1.0.0").await.unwrap();
    assert!(!mark.exists());
}

#[tokio::test]
async fn limits_end_what_grows_too_large() {
    let forge = Forge::new();
    large(&forge, "big", 40 << 20);
    let bomb = forge.repository("bomb");
    bomb.write("go.mod", "module git.example/bomb.git\n")
        .write("zeros", vec![0; 64 << 20])
        .commit();
    bomb.tag("v1.0.0");
    let many = forge.repository("many");
    let commit = many
        .write("go.mod", "module git.example/many.git\n")
        .commit();
    many.git(&["pack-refs", "--all"]);
    let refs: Vec<String> = (0..120_000)
        .map(|n| format!("{commit} refs/tags/v0.0.{n}\n"))
        .collect();
    std::fs::write(many.directory.join(".git/packed-refs"), refs.concat()).unwrap();
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.limits.repository = 4 << 20;
        settings.limits.archive = 16 << 20;
        settings.limits.refs = 50_000;
    });
    let error = zip(&workplace, "big", "v1.0.0").await.unwrap_err();
    assert_eq!(error.label(), Label::ModZipTooLarge, "{error}");
    let error = zip(&workplace, "bomb", "v1.0.0").await.unwrap_err();
    assert_eq!(error.label(), Label::ModZipTooLarge, "{error}");
    assert!(
        error
            .to_string()
            .contains("output is larger than 16777216 bytes"),
        "{error}"
    );
    let error = workplace.vcs.versions(&module("many")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more than 50000 branches and tags"),
        "{error}"
    );
    let generous = forge.vcs();
    let started = Instant::now();
    assert_eq!(
        generous
            .vcs
            .versions(&module("many"))
            .await
            .unwrap()
            .list
            .len(),
        120_000
    );
    assert!(started.elapsed() < Duration::from_mins(1));
    zip(&generous, "big", "v1.0.0").await.unwrap();
}

#[tokio::test]
async fn a_missing_or_old_git_is_said_clearly() {
    let forge = Forge::new();
    large(&forge, "x", 10);
    let nothing = tempfile::tempdir().unwrap();
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.runner.path = nothing.path().into();
    });
    let error = zip(&workplace, "x", "v1.0.0").await.unwrap_err();
    assert_eq!(error.label(), Label::VcsGitMissing, "{error}");
    assert!(
        error
            .to_string()
            .contains("exec: \"git\": executable file not found in $PATH"),
        "{error}"
    );
    let git = nothing.path().join("git");
    script(&git, "echo git version 2.20.1");
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.runner.git.clone_from(&git);
    });
    let error = zip(&workplace, "x", "v1.0.0").await.unwrap_err();
    assert_eq!(
        error.to_string().lines().last(),
        Some("git 2.20.1 is too old: 2.31 or newer is needed")
    );
    assert!(!error.is_absence());
}

#[tokio::test]
async fn a_broken_repository_on_disk_is_fetched_again() {
    let forge = Forge::new();
    let repository = large(&forge, "fragile", 100_000);
    repository.write("more", "more").commit();
    let workplace = forge.vcs();
    let hash = zip(&workplace, "fragile", "v1.0.0").await.unwrap();
    let main = Revision::new("main").unwrap();
    let version = workplace
        .vcs
        .info(&module("fragile"), &main)
        .await
        .unwrap()
        .version;
    for damage in ["packs", "HEAD", "config", "index"] {
        for repository in repositories(&workplace) {
            hurt(&repository, damage);
        }
        assert_eq!(
            zip(&workplace, "fragile", "v1.0.0").await.unwrap(),
            hash,
            "{damage}"
        );
        let info = workplace.vcs.info(&module("fragile"), &main).await.unwrap();
        assert_eq!(info.version, version, "{damage}");
    }
}

fn repositories(workplace: &Workplace) -> Vec<PathBuf> {
    let root = workplace.directory.path().join("repositories");
    let mut found = Vec::new();
    for mirror in std::fs::read_dir(root).unwrap().flatten() {
        let inside = std::fs::read_dir(mirror.path())
            .into_iter()
            .flatten()
            .flatten();
        found.extend(
            inside
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "git")),
        );
    }
    assert!(!found.is_empty());
    found
}

fn hurt(repository: &Path, damage: &str) {
    let extension = match damage {
        "packs" => "pack",
        "index" => "idx",
        file => {
            std::fs::write(repository.join(file), "\0garbage\n").unwrap();
            return;
        }
    };
    for entry in std::fs::read_dir(repository.join("objects/pack"))
        .unwrap()
        .flatten()
    {
        if entry.path().extension().is_some_and(|e| e == extension) {
            let mut data = std::fs::read(entry.path()).unwrap();
            let middle = data.len() / 2;
            data.truncate(middle);
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
            std::fs::write(entry.path(), data).unwrap();
        }
    }
}

#[tokio::test]
async fn callers_that_go_away_leave_nothing_behind() {
    let forge = Forge::new();
    large(&forge, "abandoned", 4 << 20);
    let workplace = Arc::new(forge.vcs());
    for millis in (0..60).step_by(3) {
        let workplace = Arc::clone(&workplace);
        let caller = tokio::spawn(async move { zip(&workplace, "abandoned", "v1.0.0").await });
        tokio::time::sleep(Duration::from_millis(millis)).await;
        caller.abort();
    }
    zip(&workplace, "abandoned", "v1.0.0").await.unwrap();
}

/// What the killed processes of the next test do.
#[tokio::test]
async fn child_of_the_kill_test() {
    let Some(folder) = std::env::var_os("MODKEEP_KILL_TEST") else {
        return;
    };
    let folder = PathBuf::from(folder);
    let (root, work) = (folder.join("forge"), folder.join("work"));
    let mut settings = Settings::new(vcs::RunnerSettings::new(
        std::env::var_os("PATH").unwrap(),
        work,
    ));
    match std::env::var_os("MODKEEP_KILL_SERVER") {
        Some(server) => {
            let server = server.to_str().unwrap().parse().unwrap();
            over_http(&mut settings, server, None);
        }
        None => settings.configuration = Arc::new(move |url, _| local(&root, url)),
    }
    let vcs = vcs::Vcs::new(settings, Arc::new(Pages::default())).unwrap();
    let module = module("victim");
    let file = tempfile::tempfile().unwrap();
    let version = Version::new("v1.0.0").unwrap();
    let created = vcs.zip(&module, &version, file).await.unwrap();
    let info = vcs
        .info(&module, &Revision::new("main").unwrap())
        .await
        .unwrap();
    println!("RESULT {} {}", created.hash, info.version);
}

#[test]
fn killed_processes_leave_no_lock_and_no_broken_repository() {
    kill_many(false);
}

#[test]
fn killed_processes_that_talk_to_a_server_themselves_leave_none_either() {
    kill_many(true);
}

fn kill_many(over_http: bool) {
    let folder = tempfile::tempdir().unwrap();
    let forge = Forge {
        root: tempfile::tempdir_in(folder.path()).unwrap(),
    };
    let repository = large(&forge, "victim", 6 << 20);
    for step in 0..30 {
        repository.write("step", step.to_string()).commit();
    }
    std::fs::rename(forge.root.path(), folder.path().join("forge")).unwrap();
    std::fs::create_dir(forge.root.path()).unwrap();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    let server = GitServer::start(&folder.path().join("forge"), GitManner::default());
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        if over_http {
            command.env("MODKEEP_KILL_SERVER", server.address().to_string());
        }
        command
            .args(["--exact", "child_of_the_kill_test", "--nocapture"])
            .env("MODKEEP_KILL_TEST", folder.path())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command
    };
    for round in 0..100_u64 {
        if round % 10 == 0 {
            let _nothing_yet = std::fs::remove_dir_all(folder.path().join("work/repositories"));
        }
        let mut killed = child().spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10 + round * 7 % 260));
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let started = Instant::now();
    let output = child().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = text
        .lines()
        .find_map(|line| line.split_once("RESULT ").map(|(_, r)| r.to_owned()));
    assert!(
        output.status.success() && result.is_some(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(started.elapsed() < Duration::from_mins(2));
    // The same as without any kill.
    std::fs::remove_dir_all(folder.path().join("work")).unwrap();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    let fresh = child().output().unwrap();
    assert!(String::from_utf8_lossy(&fresh.stdout).contains(&result.unwrap()));
}
