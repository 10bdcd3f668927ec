use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http;
use crate::process::{CpuSeconds, Memory, cpu_of_tree, memory_of};

/// Longer than any start or drain on a busy machine; only a fault is slower.
const PATIENCE: Duration = Duration::from_mins(1);

/// `modkeep serve`, not started yet: on a free port of 127.0.0.1, in an environment without settings of this machine.
#[derive(Debug)]
pub struct ModkeepCommand {
    binary: PathBuf,
    listen: String,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    socket: Option<Arc<TcpListener>>,
}

/// A running `modkeep serve`. Dropping it kills it.
#[derive(Debug)]
pub struct Modkeep {
    child: Child,
    url: String,
    stdout: Captured,
    stderr: Captured,
    started_in: Duration,
    _home: TempDir,
}

/// How a process ended, and what it had said.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl ModkeepCommand {
    /// The command for this binary; tests of the binary's own package give `env!("CARGO_BIN_EXE_modkeep")`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            listen: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            socket: None,
        }
    }

    /// Sets `--listen`.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Sets `--data`.
    #[must_use]
    pub fn data(self, folder: impl AsRef<Path>) -> Self {
        self.flag("--data", folder.as_ref())
    }

    /// Sets `--upstream`.
    #[must_use]
    pub fn upstream(self, chain: &str) -> Self {
        self.flag("--upstream", chain)
    }

    /// Sets `--sumdb`.
    #[must_use]
    pub fn sumdb(self, setting: &str) -> Self {
        self.flag("--sumdb", setting)
    }

    /// Sets `--config`.
    #[must_use]
    pub fn config(self, file: impl AsRef<Path>) -> Self {
        self.flag("--config", file.as_ref())
    }

    /// Adds a flag and its value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.arguments.extend([name.into(), value.as_ref().into()]);
        self
    }

    /// Sets a variable of its environment, which has only `PATH`, `HOME` and `TMPDIR` at first.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.into(), value.as_ref().into()));
        self
    }

    /// Hands it a listening socket, as a service manager does.
    #[must_use]
    pub fn socket(mut self, socket: &Arc<TcpListener>) -> Self {
        self.socket = Some(socket.clone());
        self
    }

    /// The program, or a shell that puts the socket where the program looks for it and then becomes the program.
    fn program(&self) -> Command {
        let Some(socket) = &self.socket else {
            let mut command = Command::new(&self.binary);
            command.stdin(Stdio::null());
            return command;
        };
        let socket = socket.try_clone().expect("a socket can be shared");
        let mut command = Command::new("sh");
        let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$; export LISTEN_PID; exec \"$0\" \"$@\"";
        command
            .args([
                OsStr::new("-c"),
                OsStr::new(script),
                self.binary.as_os_str(),
            ])
            .stdin(OwnedFd::from(socket));
        command
    }

    /// Starts it and waits for its base URL.
    pub fn start(&self) -> Modkeep {
        self.try_start().unwrap_or_else(|exit| {
            panic!(
                "modkeep did not start: status {:?}\n{}{}",
                exit.code, exit.stdout, exit.stderr
            )
        })
    }

    /// As [`ModkeepCommand::start`]; a process that ends without having printed a URL is no panic.
    pub fn try_start(&self) -> Result<Modkeep, Exit> {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = self.program();
        let handed_over = self.socket.is_some();
        command
            .env_clear()
            .envs(handed_over.then_some(("LISTEN_FDS", "1")))
            .current_dir(home.path())
            .env("HOME", home.path());
        for name in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .args(["serve", "--listen", &self.listen])
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let began = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()));
        let stderr = Captured::collect(child.stderr.take().expect("stderr is piped"), |_| {});
        let (sender, first_line) = mpsc::channel();
        let mut sender = Some(sender);
        let stdout =
            Captured::collect(child.stdout.take().expect("stdout is piped"), move |line| {
                if let Some(sender) = sender.take_if(|_| line.ends_with('\n')) {
                    drop(sender.send(line.to_owned()));
                }
            });
        let mut modkeep = Modkeep {
            child,
            url: String::new(),
            stdout,
            stderr,
            started_in: Duration::ZERO,
            _home: home,
        };
        match first_line.recv_timeout(PATIENCE) {
            Ok(line) => {
                modkeep.started_in = began.elapsed();
                line.trim()
                    .trim_end_matches('/')
                    .clone_into(&mut modkeep.url);
                assert!(
                    modkeep.url.starts_with("http"),
                    "the first line of stdout is no URL: {line:?}"
                );
                Ok(modkeep)
            }
            Err(RecvTimeoutError::Disconnected) => Err(modkeep.wait()),
            Err(RecvTimeoutError::Timeout) => {
                panic!(
                    "modkeep neither printed its URL nor ended in {PATIENCE:?}\n{}",
                    modkeep.stderr()
                )
            }
        }
    }
}

impl Modkeep {
    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its `host:port`.
    pub fn authority(&self) -> &str {
        self.url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, rest)| rest)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From before `exec` to the line with its URL.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// What it has said on standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits until standard error contains `text`; says whether it came in time.
    pub fn says_within(&self, text: &str, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while !self.stderr().contains(text) {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// How many of its requests to upstreams were no first ones: sent beside one that took more than its time, for the rest
    /// of a zip that stood still, or to see whether an upstream answers. On a busy machine there are some; whoever counts what an upstream was asked for allows
    /// for them.
    pub fn second_questions(&self) -> usize {
        let metrics = http::get(&format!("{}/metrics", self.url)).expect("modkeep answers");
        let text = metrics.text();
        let is_second = |series: &str| {
            series.starts_with("modkeep_upstream_events_total{")
                && ["hedge", "resumed", "probe"]
                    .iter()
                    .any(|event| series.contains(&format!("event=\"{event}\"")))
        };
        text.lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| is_second(series))
            .map(|(_, count)| count.parse::<usize>().expect("a counter is a number"))
            .sum()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its memory.
    pub fn memory(&self) -> Memory {
        memory_of(self.pid()).expect("modkeep runs")
    }

    /// Its processor time, with that of its children.
    pub fn cpu(&self) -> CpuSeconds {
        cpu_of_tree(self.pid())
    }

    /// Ends it at once (SIGKILL), as a crash of the machine would.
    pub fn kill(mut self) -> Exit {
        self.child.kill().expect("modkeep can be killed");
        self.wait()
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn terminate(mut self) -> Exit {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Asks it to end (SIGTERM) and does not wait.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits for its end. Panics when it does not come.
    pub fn wait(&mut self) -> Exit {
        let until = Instant::now() + PATIENCE;
        let status: ExitStatus = loop {
            match self.child.try_wait().expect("a child can be waited for") {
                Some(status) => break status,
                None if Instant::now() > until => {
                    panic!("modkeep did not end in {PATIENCE:?}\n{}", self.stderr())
                }
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        // The readers see the end of the pipes a moment later; a child of it may hold them open.
        let until = Instant::now() + Duration::from_secs(10);
        while !(self.stdout.is_whole() && self.stderr.is_whole()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        Exit {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("modkeep can be signalled");
    }
}

impl Drop for Modkeep {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What came out of a pipe so far.
#[derive(Debug)]
struct Captured {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Captured {
    fn text(&self) -> String {
        self.text.lock().expect("no reader panicked").clone()
    }

    fn is_whole(&self) -> bool {
        self.reader.is_finished()
    }

    fn collect(
        pipe: impl Read + Send + 'static,
        mut each_line: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while let Ok(1..) = pipe.read_until(b'\n', &mut line) {
                let decoded = String::from_utf8_lossy(&line);
                shared
                    .lock()
                    .expect("no reader panicked")
                    .push_str(&decoded);
                each_line(&decoded);
                line.clear();
            }
        });
        Self { text, reader }
    }
}
