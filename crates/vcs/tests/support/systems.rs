//! Repositories of other systems than git, and servers for them.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "each test file uses its part of it"
)]

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::skipped;
use vcs::Govcs;

/// Whether a program is there; says so when not.
pub fn has(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        skipped(&format!("repositories of {program} (no {package})"));
    }
    found
}

pub fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    // What programs write there is not to be part of a repository.
    let home = match folder.parent() {
        Some(parent) if folder.ends_with("work") => parent,
        _ => folder,
    };
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("HOME", home)
        .env("USER", "tester")
        .env("HGRCPATH", "")
        .env("HGUSER", "a <a@example.com>")
        .env("BRZ_EMAIL", "a <a@example.com>")
        .env("BRZ_LOG", "/dev/null")
        .env("BZR_EMAIL", "a <a@example.com>")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

pub fn everything(settings: &mut vcs::Settings) {
    settings.rules.govcs = Govcs::parse("*:all").unwrap();
    settings.rules.insecure = goenv::private::Patterns::parse("*.vanity.example");
}

/// A server on loopback; ends with the test.
pub struct Server(Child, pub SocketAddr);

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// A server that listens at a port it is told, once it does. `{port}` in its arguments is that port.
pub fn listening(folder: &Path, program: &str, arguments: &[&str]) -> Server {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let port = address.port().to_string();
    let child = Command::new(program)
        .args(
            arguments
                .iter()
                .map(|argument| argument.replace("{port}", &port)),
        )
        .current_dir(folder)
        .env("HOME", folder)
        .env("USER", "tester")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child, address);
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "{program} does not listen"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    server
}

pub fn hg_serve(folder: &Path) -> Server {
    let mut child = Command::new("hg")
        .args(["serve", "-a", "127.0.0.1", "-p", "0", "--prefix", "hello"])
        // It ends when it cannot write its log.
        .args(["-A", "/dev/null", "-E", "/dev/null"])
        .current_dir(folder)
        .env("HGRCPATH", "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    // listening at http://localhost:39735/ (bound to 127.0.0.1:39735)
    let (_, port) = line.trim().trim_end_matches(')').rsplit_once(':').unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
    Server(child, address)
}

/// A repository of Mercurial with most of what versions can be.
pub fn mercurial(folder: &Path, module: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let hg = |arguments: &[&str]| run(folder, "hg", arguments);
    hg(&["init"]);
    let commit = |minute: usize, message: &str| {
        hg(&["addremove", "-q"]);
        let date = format!("2020-01-02 03:{minute:02}:05 +0100");
        hg(&["commit", "-q", "-m", message, "-d", &date]);
    };
    let tag = |minute: usize, name: &str| {
        let date = format!("2020-01-02 03:{minute:02}:07 +0100");
        hg(&["tag", "-d", &date, name]);
    };
    write(folder, "go.mod", &format!("module {module}\n"));
    write(folder, "a.go", "package a\n");
    write(folder, &format!("sub/{}.txt", "long".repeat(40)), "x\r\n");
    std::os::unix::fs::symlink("a.go", folder.join("link.go")).unwrap();
    write(folder, "sub/go.mod", &format!("module {module}/sub\n"));
    write(folder, "sub/s.go", "package sub\n");
    write(folder, "LICENSE", "as you like\n");
    commit(0, "one");
    tag(1, "v0.1.0");
    tag(2, "sub/v0.2.0");
    write(folder, "a.go", "package a // 2\n");
    commit(3, "two");
    tag(4, "v1.0.0");
    tag(5, "v1.0.1-rc.1");
    hg(&["branch", "-q", "side"]);
    write(folder, "side.go", "package a\n");
    commit(6, "three");
    hg(&["bookmark", "mark"]);
    hg(&["update", "-q", "default"]);
    write(folder, "v2/go.mod", &format!("module {module}/v2\n"));
    commit(7, "four");
    tag(8, "v2.0.0");
}
