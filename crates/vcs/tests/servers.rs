//! Servers that want a password, misbehave, or do not answer; and what all of it costs them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and say how much was tested"
)]

#[path = "support/harm.rs"]
mod harm;
#[path = "support/smart.rs"]
mod smart;
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fault::Label;
use goenv::netrc::Secret;
use goenv::private::Patterns;
use gomod::{ModulePath, Revision};
use harm::{large, logging_git, module, over_http, zip};
use smart::misbehaving;
use support::{Forge, Pages};
use testkit::{GitManner, GitServer, script};
use vcs::{Credentials, Error, KnownHosts, RemoteOptions, SshOptions, ToolFault};

#[tokio::test]
async fn programs_get_an_environment_of_their_own_and_no_secret_on_the_command_line() {
    let forge = Forge::new();
    large(&forge, "secret", 1000);
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let tools = tempfile::tempdir().unwrap();
    let (git, log) = logging_git(tools.path());
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.runner.git = git;
        // Credentials go to https only.
        over_http(
            settings,
            server.address(),
            Some(Credentials::Bearer(Secret::new("hush"))),
        );
    });
    zip(&workplace, "secret", "v1.0.0").await.unwrap();
    let arguments = std::fs::read_to_string(&log).unwrap();
    assert!(
        arguments.contains("index-pack")
            && arguments.contains("archive")
            && !arguments.contains("hush"),
        "{arguments}"
    );
    let environment = std::fs::read_to_string(log.with_extension("env"))
        .unwrap_or_else(|_| std::fs::read_to_string(format!("{}.env", log.display())).unwrap());
    for line in environment.lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        match name {
            "HOME" | "XDG_CONFIG_HOME" | "TMPDIR" => {
                assert!(
                    Path::new(value).starts_with(workplace.directory.path()),
                    "{line}"
                );
            }
            "SSH_AUTH_SOCK" | "GIT_TRACE" | "GIT_EXEC_PATH" | "USER" => panic!("{line}"),
            "GIT_TERMINAL_PROMPT" => assert_eq!(value, "0"),
            _ => {}
        }
    }
    let requests = server.requests();
    assert!(requests.iter().all(|request| !request.contains("hush")));
}

#[tokio::test]
async fn a_version_costs_one_fetch_that_does_not_wait_for_the_listing_and_few_runs_of_git() {
    let forge = Forge::new();
    let repository = large(&forge, "few", 1000);
    repository.write("second.go", "package x\n").commit();
    repository.git(&["tag", "-a", "-m", "annotated", "v1.1.0"]);
    let tools = tempfile::tempdir().unwrap();
    let (git, log) = logging_git(tools.path());
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.runner.git = git;
        settings.limits.listing_fresh = Duration::ZERO;
    });
    let mut said = 0;
    for (version, runs) in [
        (
            "v1.0.0",
            // One listing shows which scheme works.
            &[
                "archive",
                "cat-file",
                "fetch",
                "ls-remote",
                "ls-remote",
                "version",
            ][..],
        ),
        (
            "v1.1.0",
            &[
                "archive",
                "cat-file",
                "fetch",
                "ls-remote",
                "rev-parse",
                "update-ref",
            ],
        ),
    ] {
        zip(&workplace, "few", version).await.unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        let mut found: Vec<&str> = text[said..]
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        found.sort_unstable();
        assert_eq!(found, runs, "{version}: {text}");
        said = text.len();
    }
    // What does not exist is no trouble, and what was moved is not mistaken for what it was.
    assert!(
        zip(&workplace, "few", "v1.2.0")
            .await
            .unwrap_err()
            .is_absence()
    );
    let first = zip(&workplace, "few", "v1.0.0").await.unwrap();
    repository.git(&["tag", "-f", "v1.0.0", "HEAD"]);
    assert_ne!(zip(&workplace, "few", "v1.0.0").await.unwrap(), first);
    repository.git(&["tag", "-f", "v1.3.0", "HEAD:second.go"]);
    let refused = zip(&workplace, "few", "v1.3.0").await.unwrap_err();
    assert!(refused.is_absence(), "{refused}");
}

#[tokio::test]
async fn a_wrong_password_is_no_absence_and_does_not_show() {
    let forge = Forge::new();
    large(&forge, "locked", 1000);
    let server = GitServer::start(
        forge.root.path(),
        GitManner {
            login: Some("Basic Zm9vOmJhcg=="),
            ..GitManner::default()
        },
    );
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        over_http(settings, server.address(), None);
    });
    let started = Instant::now();
    let error = zip(&workplace, "locked", "v1.0.0").await.unwrap_err();
    assert!(
        matches!(
            error.label(),
            Label::AuthHttpsNoCredential | Label::AuthRepoNotFound
        ),
        "{error}"
    );
    assert!(!error.is_absence() && started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn ssh_is_run_with_the_key_and_the_known_hosts_of_the_configuration() {
    let forge = Forge::new();
    large(&forge, "private", 1000);
    let tools = tempfile::tempdir().unwrap();
    let log = tools.path().join("log");
    script(
        &tools.path().join("ssh"),
        &format!(
            "echo \"$@\" >> '{log}'; while [ $# -gt 1 ]; do [ \"$1\" = -i ] && cat \"$2\" >> '{log}'; shift; done; exec sh -c \"$1\"",
            log = log.display()
        ),
    );
    let mut path = tools.path().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let root = forge.root.path().to_path_buf();
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.runner.path = path;
        settings.configuration = Arc::new(move |_, _| RemoteOptions {
            url: Some(format!(
                "ssh://git@h.example:2222{}/private/.git",
                root.display()
            )),
            ssh: SshOptions {
                key: Some(Secret::new("THE KEY")),
                agent: None,
                known_hosts: KnownHosts::File("/etc/known".into()),
            },
            ..RemoteOptions::default()
        });
    });
    zip(&workplace, "private", "v1.0.0").await.unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    for part in [
        "-F /dev/null",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=yes",
        "-oUserKnownHostsFile=/etc/known",
        "-p 2222",
        "git@h.example",
        "THE KEY",
        "-oIdentitiesOnly=yes",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let home = workplace.directory.path().join("home");
    assert_eq!(
        std::fs::read_dir(home).unwrap().count(),
        0,
        "no key stays behind"
    );
}

#[tokio::test]
async fn twenty_clients_cost_one_listing_and_one_fetch() {
    let forge = Forge::new();
    large(&forge, "popular", 100_000);
    let tools = tempfile::tempdir().unwrap();
    let (git, log) = logging_git(tools.path());
    let workplace =
        Arc::new(forge.vcs_with(Pages::default(), |settings| settings.runner.git = git));
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let workplace = Arc::clone(&workplace);
            tokio::spawn(async move { zip(&workplace, "popular", "v1.0.0").await.unwrap() })
        })
        .collect();
    let mut hashes = Vec::new();
    for client in clients {
        hashes.push(client.await.unwrap());
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1);
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(
        log.lines()
            .filter(|line| line.starts_with("ls-remote"))
            .count(),
        1,
        "{log}"
    );
    assert_eq!(
        log.lines().filter(|line| line.starts_with("fetch")).count(),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn a_new_tag_costs_the_difference_and_a_listing_costs_no_file() {
    let forge = Forge::new();
    let repository = large(&forge, "growing", 3 << 20);
    repository.git(&["config", "uploadpack.allowFilter", "true"]);
    let server = GitServer::start(forge.root.path(), GitManner::default());
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        over_http(settings, server.address(), None);
        settings.limits.listing_fresh = Duration::ZERO;
    });
    let sent = || server.take_sent();
    let listed = workplace.vcs.versions(&module("growing")).await.unwrap();
    assert_eq!(listed.list.len(), 1);
    let for_go_mod = sent();
    zip(&workplace, "growing", "v1.0.0").await.unwrap();
    let for_first = for_go_mod + sent();
    assert!((3 << 20..4 << 20).contains(&for_first), "{for_first}");
    for step in 1..5 {
        repository.write("step", step.to_string()).commit();
        repository.tag(&format!("v1.{step}.0"));
        zip(&workplace, "growing", &format!("v1.{step}.0"))
            .await
            .unwrap();
        let bytes = sent();
        assert!(bytes < 10_000, "v1.{step}.0: {bytes} bytes");
    }
    repository.write("step", "6").commit();
    let main = Revision::new("main").unwrap();
    let info = workplace.vcs.info(&module("growing"), &main).await.unwrap();
    assert!(info.version.starts_with("v1.4.1-0."), "{}", info.version);
    let bytes = sent();
    assert!(bytes < 20_000, "history: {bytes} bytes");
}

#[tokio::test]
async fn absence_is_not_told_from_an_old_listing() {
    let forge = Forge::new();
    let repository = large(&forge, "late", 1000);
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        settings.limits.listing_fresh = Duration::from_hours(1);
    });
    let versions = || async {
        let listed = workplace.vcs.versions(&module("late")).await.unwrap();
        listed.list.len()
    };
    assert_eq!(versions().await, 1);
    repository.tag("v1.1.0").tag("v1.2.0");
    assert_eq!(versions().await, 1);
    // How old a listing may be to say that something does not exist.
    tokio::time::sleep(Duration::from_secs(1)).await;
    zip(&workplace, "late", "v1.1.0").await.unwrap();
    assert_eq!(versions().await, 3);
    repository.git(&["branch", "news"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let news = Revision::new("news").unwrap();
    let found = workplace.vcs.info(&module("late"), &news).await.unwrap();
    assert_eq!(found.version, "v1.2.0");
}

#[tokio::test]
async fn a_web_server_with_files_is_enough() {
    let forge = Forge::new();
    let repository = large(&forge, "dumb", 1000);
    repository.write("more", "more").commit();
    repository.git(&["repack", "-a", "-d", "-q"]);
    repository.git(&["update-server-info"]);
    let server = GitServer::start(
        forge.root.path(),
        GitManner {
            dumb: true,
            ..GitManner::default()
        },
    );
    let workplace = forge.vcs_with(Pages::default(), |settings| {
        over_http(settings, server.address(), None);
    });
    let direct = forge.vcs();
    assert_eq!(
        zip(&workplace, "dumb", "v1.0.0").await.unwrap(),
        zip(&direct, "dumb", "v1.0.0").await.unwrap()
    );
    let main = Revision::new("main").unwrap();
    let info = workplace.vcs.info(&module("dumb"), &main).await.unwrap();
    assert!(info.version.starts_with("v1.0.1-0."));
}

#[tokio::test]
async fn servers_that_stall_drip_redirect_or_talk_nonsense_are_trouble_not_absence() {
    let second = Duration::from_secs(1);
    let servers = [
        ("silent", misbehaving(b"", 1, second, true)),
        ("stalls", misbehaving(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n001e", 200, second, true)),
        ("drips", misbehaving(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n", 1, second, true)),
        ("nonsense", misbehaving(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n<html>\n", 200, Duration::ZERO, false)),
        ("garbage", misbehaving(&[0xff; 300], 300, Duration::ZERO, false)),
        ("cut", misbehaving(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 900\r\nConnection: close\r\n\r\n001e# service=git-upload-pack\n0000", 900, Duration::ZERO, false)),
        ("file", misbehaving(b"HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 900, Duration::ZERO, false)),
        ("loop", misbehaving(b"HTTP/1.1 302 X\r\nLocation: /info/refs\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 900, Duration::ZERO, false)),
        ("error", misbehaving(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 900, Duration::ZERO, false)),
        ("slow down", misbehaving(b"HTTP/1.1 429 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 900, Duration::ZERO, false)),
    ];
    for (what, address) in servers {
        let forge = Forge::new();
        let workplace = forge.vcs_with(Pages::default(), |settings| {
            over_http(settings, address, None);
            settings.rules.roots.push(vcs::discovery::RootRule {
                pattern: "git.example/*".to_owned(),
                system: vcs::VersionControl::Git,
                repository: vcs::UrlTemplate::new("http://git.example/{1}").unwrap(),
            });
            settings.runner.listing_time = Duration::from_secs(2);
        });
        let started = Instant::now();
        let error = workplace.vcs.versions(&module("x")).await.unwrap_err();
        assert!(!error.is_absence(), "{what}: {error} ({})", error.label());
        assert!(error.is_retryable(), "{what}: {error} ({})", error.label());
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{what}: {:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn unreachable_addresses_name_the_hop() {
    let forge = Forge::new();
    for (url, label) in [
        ("http://127.0.0.1:9/x", Label::TcpRefused),
        ("http://nosuchhost.invalid/x", Label::DnsNxdomain),
    ] {
        let workplace = forge.vcs_with(Pages::default(), |settings| {
            settings.rules.insecure = Patterns::parse("*");
            settings.configuration = Arc::new(move |_, _| RemoteOptions {
                url: Some(url.to_owned()),
                ..RemoteOptions::default()
            });
        });
        let error = workplace
            .vcs
            .versions(&ModulePath::new("github.com/a/b").unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.label(), label, "{error}");
        assert!(matches!(error, Error::Tool(ToolFault::Failed { .. })));
    }
}
