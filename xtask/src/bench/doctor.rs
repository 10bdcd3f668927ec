//! What `modkeep doctor` and `modkeep explain` cost where they are used: on a healthy machine, where every hop is dead,
//! and on logs of any size.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use testkit::{
    ChecksumDatabase, Go, Module, Project, ProjectShape, Tree, UpstreamServer, memory_of,
};

use super::Context;
use super::report::{Table, figure, mebibytes, median};

/// A network namespace in which packets leave and never arrive: a pair of interfaces, nobody behind the second.
const BLACK_HOLE: &str = "ip link set lo up && ip link add out0 type veth peer name out1 && \
     ip link set out0 arp off && ip link set out0 up && ip link set out1 up && \
     ip addr add 192.0.2.1/24 dev out0 && ip route add default dev out0 || exit 77; exec \"$0\" \"$@\"";
/// Addresses behind the black hole that public names may have.
const NOWHERE: [&str; 4] = ["9.9.9.1", "9.9.9.2", "9.9.9.3", "9.9.9.4"];

/// Several runs of one command.
#[derive(Default)]
struct Runs {
    seconds: Vec<f64>,
    peak: u64,
}

impl Runs {
    /// Runs it; `code` is how it ends when it has found what it should.
    fn add(&mut self, mut command: Command, code: i32) -> Result<()> {
        let began = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let status = loop {
            // The peak is gone with the process, so it is read while that runs.
            if let Some(memory) = memory_of(child.id()) {
                self.peak = self.peak.max(memory.peak);
            }
            if let Some(status) = child.try_wait()? {
                break status;
            }
            thread::sleep(Duration::from_millis(1));
        };
        self.seconds.push(began.elapsed().as_secs_f64());
        if status.code() == Some(77) {
            bail!("no network namespace with a pair of interfaces can be made here");
        }
        ensure!(status.code() == Some(code), "{command:?}: {status}");
        Ok(())
    }

    fn row(&self, what: impl Into<String>, asked: &str) -> Vec<String> {
        let worst = self.seconds.iter().copied().fold(f64::NAN, f64::max);
        vec![
            what.into(),
            figure(median(&self.seconds)),
            figure(worst),
            asked.to_owned(),
            mebibytes(self.peak),
        ]
    }
}

pub(super) fn run(context: &Context) -> Result<Vec<Table>> {
    let turns = context.turns().max(3);
    let head = vec![
        "what",
        "median, s",
        "worst, s",
        "asked for, s",
        "peak memory, MiB (60 asked for)",
    ];
    let machine = Machine::new()?;
    let mut rows = Vec::new();
    let mut runs = Runs::default();
    for _ in 0..turns {
        runs.add(machine.doctor(context, Some("example.com/big@v1.0.0")), 0)?;
    }
    rows.push(runs.row("doctor, all well, one module of 48 MB", "2"));
    let mut runs = Runs::default();
    for _ in 0..turns {
        runs.add(machine.doctor(context, None), 0)?;
    }
    let project = format!("doctor, all well, a project of {} modules", machine.modules);
    rows.push(runs.row(project, "2"));
    for (what, arguments) in dead() {
        let mut runs = Runs::default();
        for _ in 0..turns {
            runs.add(machine.in_black_hole(context, &arguments), 1)?;
        }
        rows.push(runs.row(format!("doctor, {what}"), "10"));
    }
    let doctor = Table {
        intro: format!(
            "With `go` {} and git in PATH, a home directory, a module server and a checksum database on loopback. Every \
             hop dead: in a network namespace whose packets leave and never arrive. {turns} runs each.",
            machine.release
        ),
        head: head.clone(),
        rows,
    };
    let logs = Logs::new(context)?;
    let mut rows = Vec::new();
    for (what, file, asked) in logs.all() {
        let mut runs = Runs::default();
        for _ in 0..turns * 2 {
            let mut command = Command::new(&context.binary);
            command.arg("explain").arg(file);
            runs.add(command, 1)?;
        }
        rows.push(runs.row(format!("explain, {what}"), asked));
    }
    let explain = Table {
        intro: format!(
            "From exec to exit, start of the process included; every 50th line of the logs tells of a failure, one of \
             {} kinds. {} runs each.",
            FAILURES.len(),
            turns * 2
        ),
        head,
        rows,
    };
    Ok(vec![doctor, explain])
}

/// What is dead, and what says so on the command line.
fn dead() -> Vec<(&'static str, Vec<String>)> {
    let hosts = ["proxy.golang.org", "sum.golang.org", "rsc.io", "github.com"];
    let pins = hosts
        .iter()
        .zip(NOWHERE)
        .flat_map(|(host, address)| ["--resolve".to_owned(), format!("{host}={address}")]);
    vec![
        (
            "no name server answers",
            vec!["--resolver".to_owned(), "192.0.2.53".to_owned()],
        ),
        ("no address answers", pins.collect()),
    ]
}

/// A machine on which all is well, and a project on it.
struct Machine {
    go: Go,
    release: String,
    upstream: UpstreamServer,
    database: ChecksumDatabase,
    home: tempfile::TempDir,
    project: tempfile::TempDir,
    modules: usize,
    _tree: Tree,
}

impl Machine {
    fn new() -> Result<Self> {
        let go = Go::find();
        let tree = Tree::temporary();
        let project = Project::generate(ProjectShape {
            seed: 7,
            modules: 190,
            padding: 2_000,
        });
        project.publish(&tree);
        let big = Module::big("example.com/big", "v1.0.0", 48 << 20);
        tree.add(&big);
        let database = ChecksumDatabase::new("sum.example.com", 1);
        for module in project.modules() {
            database.add(&module);
        }
        database.add(&big);
        database.answer_with_newest_head();
        let folder = tempfile::tempdir()?;
        project.write_main(folder.path());
        let version = Command::new(go.binary())
            .args(["env", "GOVERSION"])
            .env("GOTOOLCHAIN", "local")
            .output()
            .context("starting go")?;
        Ok(Self {
            release: String::from_utf8_lossy(&version.stdout)
                .trim()
                .trim_start_matches("go")
                .to_owned(),
            upstream: UpstreamServer::serve(tree.root()),
            database,
            home: tempfile::tempdir()?,
            project: folder,
            modules: project.selected().len(),
            go,
            _tree: tree,
        })
    }

    fn environment(&self, command: &mut Command) -> Result<()> {
        let go = self.go.binary().parent().unwrap_or_else(|| Path::new("/"));
        let own = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(std::iter::once(go.to_owned()).chain(std::env::split_paths(&own)))
                .context("making PATH")?;
        command
            .current_dir(self.project.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", path);
        Ok(())
    }

    fn doctor(&self, context: &Context, module: Option<&str>) -> Command {
        let mut command = Command::new(&context.binary);
        // Without a PATH it would find no go, and be faster.
        if self.environment(&mut command).is_err() {
            command.env_clear();
        }
        command
            .arg("doctor")
            .args(module)
            .env("GOPROXY", self.upstream.url())
            .env("GOSUMDB", self.database.setting());
        command
    }

    fn in_black_hole(&self, context: &Context, arguments: &[String]) -> Command {
        let mut command = Command::new("unshare");
        if self.environment(&mut command).is_err() {
            command.env_clear();
        }
        command
            .args(["--user", "--map-root-user", "--net", "sh", "-c", BLACK_HOLE])
            .arg(&context.binary)
            .args(["doctor", "rsc.io/quote@v1.5.2"])
            .args(arguments);
        command
    }
}

/// Lines of failures; `N` is a number that differs from one to the next.
const FAILURES: [&str; 6] = [
    "go: example.com/lib/n@v1.N.0: Get \"https://proxy.golang.org/example.com/lib/n/@v/v1.N.0.mod\": dial tcp 203.0.113.9:443: i/o timeout",
    "go: example.com/lib/n@v1.N.0: reading https://goproxy.corp.example/example.com/lib/n/@v/v1.N.0.zip: 502 Bad Gateway",
    "go: example.com/lib/n@v1.N.0: dial tcp: lookup proxy.golang.org on 192.0.2.N:53: server misbehaving",
    "verifying example.com/lib/n@v1.N.0: checksum mismatch",
    "go: example.com/lib/n@v1.N.0: git ls-remote -q origin in /go/pkg/mod/cache/vcs/N: exit status 128:",
    "main.go:N:2: no required module provides package example.com/lib/nN; to add it:",
];

/// Logs of a page, of a megabyte and of ten.
struct Logs {
    page: PathBuf,
    megabyte: PathBuf,
    ten: PathBuf,
}

impl Logs {
    fn new(context: &Context) -> Result<Self> {
        let write = |name: &str, size: usize| -> Result<PathBuf> {
            let file = context.folder.path().join(name);
            fs::write(&file, log(size)?).with_context(|| format!("writing {}", file.display()))?;
            Ok(file)
        };
        Ok(Self {
            page: write("page.log", 4_000)?,
            megabyte: write("megabyte.log", 1 << 20)?,
            ten: write("ten.log", 10 << 20)?,
        })
    }

    fn all(&self) -> [(&'static str, &Path, &'static str); 3] {
        [
            ("a page of log", &self.page, "0.05"),
            ("1 MiB of log", &self.megabyte, "0.05"),
            ("10 MiB of log", &self.ten, "1"),
        ]
    }
}

/// A build log of about this size.
fn log(size: usize) -> Result<String> {
    let mut text = String::with_capacity(size + 200);
    let mut number = 0;
    while text.len() < size {
        number += 1;
        if number % 50 == 10 {
            let failure = FAILURES[number / 50 % FAILURES.len()];
            writeln!(
                text,
                "#12 {}.{:02} {}",
                number / 100,
                number % 100,
                failure.replace('N', &number.to_string())
            )?;
        } else {
            writeln!(
                text,
                "#12 {}.{:02} go: downloading example.com/lib/part{number} v1.{number}.0",
                number / 100,
                number % 100
            )?;
        }
    }
    Ok(text)
}
