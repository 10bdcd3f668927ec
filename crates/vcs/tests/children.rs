//! As the first process of a container: what programs leave behind becomes its child, and does not stay as a zombie.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "support/harm.rs"]
mod harm;
mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use harm::{large, over_http, real_git, zip};
use support::{Forge, Pages};
use testkit::{GitManner, GitServer, script};

/// Tells the child of the test where it may work.
const FOLDER: &str = "MODKEEP_REAPING_TEST";
const REPOSITORIES: usize = 5;

/// The children of this process that have ended and that nobody has asked how.
fn zombies() -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let states = processes.filter_map(|process| {
        let text = std::fs::read_to_string(process.path().join("stat")).ok()?;
        // The name in parentheses may have blanks in it.
        let (name, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next()?, fields.next()?);
        (state == "Z" && parent == own).then(|| name.to_owned())
    });
    states.collect()
}

/// What the child does, to which all orphans of its programs come.
#[tokio::test]
async fn work_of_the_child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let git = folder.join("git");
    // It ends before what it has begun.
    script(
        &git,
        &format!("sleep 0.3 & exec '{}' \"$@\"", real_git().display()),
    );
    let forge = Forge {
        root: tempfile::tempdir_in(&folder).unwrap(),
    };
    for number in 0..REPOSITORIES {
        large(&forge, &format!("r{number}"), 100_000);
    }
    let manner = GitManner {
        // Left to git altogether.
        old: true,
        delay: Duration::from_millis(5),
        ..GitManner::default()
    };
    let server = GitServer::start(forge.root.path(), manner);
    // One whose programs may end, and one whose programs are killed.
    for (time, is_answered) in [
        (Duration::from_mins(1), true),
        (Duration::from_millis(10), false),
    ] {
        let workplace = forge.vcs_with(Pages::default(), |settings| {
            over_http(settings, server.address(), None);
            settings.runner.git.clone_from(&git);
            settings.runner.listing_time = time;
        });
        for number in 0..REPOSITORIES {
            let fetched = zip(&workplace, &format!("r{number}"), "v1.0.0").await;
            assert_eq!(fetched.is_ok(), is_answered, "{fetched:?}");
        }
    }
    let began = Instant::now();
    loop {
        let left = zombies();
        if left.is_empty() {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(2), "{left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::write(folder.join("done"), "").unwrap();
}

#[test]
fn nothing_stays_a_zombie_of_the_first_process_of_a_container() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "work_of_the_child", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success() && folder.path().join("done").exists(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
