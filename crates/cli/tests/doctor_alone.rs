//! `modkeep doctor` where there is next to nothing: no programs, no home, no space; and what it takes of the machine.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests that say what they found or skipped"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use testkit::{Module, Tree, UpstreamServer};

const MODULE: &str = "example.com/sample@v1.2.3";

fn server(module: &Module) -> (UpstreamServer, Tree) {
    let tree = Tree::temporary();
    tree.add(module);
    (UpstreamServer::serve(tree.root()), tree)
}

fn bare(upstream: &UpstreamServer, cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_modkeep"));
    command
        .args(["doctor", MODULE, "--timeout", "60", "--format", "json"])
        .env_clear()
        .env("GOPROXY", upstream.url())
        .env("GOSUMDB", "off")
        .env("GOCACHE", cache.join("build"))
        .env("GOMODCACHE", cache);
    command
}

fn verdict(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "{error}: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    json["verdict"].clone()
}

#[test]
fn it_needs_no_program_no_path_and_no_home() {
    let (upstream, _tree) = server(&Module::new("example.com/sample", "v1.2.3"));
    let empty = tempfile::tempdir().unwrap();
    let output = bare(&upstream, &empty.path().join("modcache"))
        .env("PATH", "")
        .current_dir(empty.path())
        .output()
        .unwrap();
    assert_eq!(verdict(&output)["health"], "healthy");
    assert_eq!(output.status.code(), Some(0));
    // It has left nothing behind.
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn it_takes_less_than_60_mib() {
    let (upstream, _tree) = server(&Module::big("example.com/sample", "v1.2.3", 48 << 20));
    let empty = tempfile::tempdir().unwrap();
    let mut child = bare(&upstream, &empty.path().join("modcache"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_of(&status).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(2));
    }
    println!("peak memory: {peak} KiB");
    assert!(peak > 0, "the peak is read while it runs");
    assert!(peak < 60 << 10, "{peak} KiB");
}

/// The most memory a process has had, in KiB.
fn peak_of(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn every_hop_dead_ends_within_the_timeout() {
    let empty = tempfile::tempdir().unwrap();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let resolver = silent.local_addr().unwrap().to_string();
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_modkeep"))
        .args([
            "doctor",
            MODULE,
            "--timeout",
            "3",
            "--format",
            "json",
            "--resolver",
            &resolver,
        ])
        .env_clear()
        .env(
            "GOPROXY",
            "https://a.corp.example|https://b.corp.example|direct",
        )
        .env("GOMODCACHE", empty.path().join("modcache"))
        .output()
        .unwrap();
    let took = start.elapsed();
    assert_eq!(verdict(&output)["health"], "broken");
    println!("with every hop dead: {:.1} s of 3", took.as_secs_f64());
    // Generous, since the machine may be busy; what is meant is that nothing is waited for one after the other.
    assert!(took < Duration::from_secs(9), "{took:?}");
}

/// Runs it with a file system of its own as module cache, in a user and mount namespace.
fn with_disk(options: &str, prepare: &str) -> Option<Output> {
    let (upstream, _tree) = server(&Module::new("example.com/sample", "v1.2.3"));
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o {options} tmpfs '{disk}' && cd '{disk}' && {{ {prepare}; }} || exit 77; exec \"$0\" \"$@\"",
        disk = disk.display()
    );
    let doctor = bare(&upstream, &disk.join("modcache"));
    let arguments: Vec<_> = doctor.get_args().map(ToOwned::to_owned).collect();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_modkeep"))
        .args(arguments)
        .env("GOPROXY", upstream.url())
        .env("GOSUMDB", "off")
        .env("GOENV", "off")
        .env("GOMODCACHE", disk.join("modcache"))
        .output();
    match output {
        Ok(output) if output.status.code() != Some(77) && !output.stdout.is_empty() => Some(output),
        _ => {
            println!("skipped: disks (no mount namespaces for this user)");
            None
        }
    }
}

#[test]
fn full_disks_and_read_only_ones_are_named() {
    for (options, prepare, label) in [
        (
            "size=1m",
            "head -c 2m /dev/zero > full 2>/dev/null; true",
            "disk-full",
        ),
        (
            "size=400m,nr_inodes=8",
            "i=0; while touch f$i 2>/dev/null; do i=$((i+1)); done; true",
            "disk-full",
        ),
        ("size=400m", "mount -o remount,ro .", "disk-readonly"),
    ] {
        let Some(output) = with_disk(options, prepare) else {
            return;
        };
        let verdict = verdict(&output);
        assert_eq!(verdict["label"], label, "{options}: {verdict}");
        assert_eq!(verdict["health"], "broken");
    }
}
