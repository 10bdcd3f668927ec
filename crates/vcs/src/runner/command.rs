//! One run: arguments, environment, where output goes, and what its failure means.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use super::messages::{Circumstances, classify, presentable};
use super::process::{Broken, Finished, Input, RunLimits, Sink, run};
use super::{Access, Runner};
use crate::error::{Error, ToolFault};

/// Output that is read into memory, in bytes, unless a run says otherwise.
const OUTPUT: u64 = 64 << 20;

/// Settings for every run of git. Nothing of the user's or the machine's configuration counts.
const SETTINGS: [(&str, &str); 24] = [
    ("advice.detachedHead", "false"),
    ("color.ui", "false"),
    ("core.askPass", ""),
    ("core.attributesFile", "/dev/null"),
    // With these two a file in an archive is what was committed, on every machine.
    ("core.autocrlf", "input"),
    ("core.eol", "lf"),
    ("core.excludesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.logAllRefUpdates", "false"),
    ("credential.helper", ""),
    ("fetch.recurseSubmodules", "false"),
    // One pack a fetch: packs are synced to disk before a ref names them, loose objects are not.
    ("fetch.unpackLimit", "1"),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("http.followRedirects", "initial"),
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "30"),
    ("log.showSignature", "false"),
    ("maintenance.auto", "false"),
    ("protocol.ext.allow", "never"),
    ("protocol.version", "2"),
    ("submodule.recurse", "false"),
    // Objects are never checked out, and old repositories are full of objects that the checks refuse: versions
    // that everybody else can fetch would be unavailable here.
    ("transfer.fsckObjects", "false"),
];

/// A run that is being put together.
pub(crate) struct Run<'a> {
    runner: &'a Runner,
    program: PathBuf,
    git: bool,
    check_version: bool,
    repository: Option<PathBuf>,
    arguments: Vec<OsString>,
    access: Option<&'a Access>,
    online: bool,
    directory: Option<PathBuf>,
    variables: Vec<(&'static str, OsString)>,
    input: Input,
    output: u64,
    time: Option<Duration>,
    disk: Option<(PathBuf, u64)>,
}

/// What a run that succeeded (or ended with an expected status) gave.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: Option<i32>,
}

impl<'a> Run<'a> {
    pub(super) fn git(runner: &'a Runner, repository: Option<&Path>) -> Self {
        Self {
            repository: repository.map(Path::to_path_buf),
            check_version: true,
            ..Self::unchecked_git(runner)
        }
    }

    pub(super) fn unchecked_git(runner: &'a Runner) -> Self {
        let mut run = Self::of(runner, runner.settings().git.clone());
        run.git = true;
        run
    }

    pub(super) fn program(runner: &'a Runner, name: &'static str) -> Self {
        Self::of(runner, PathBuf::from(name))
    }

    fn of(runner: &'a Runner, program: PathBuf) -> Self {
        Self {
            runner,
            program,
            git: false,
            check_version: false,
            repository: None,
            arguments: Vec::new(),
            access: None,
            online: false,
            directory: None,
            variables: Vec::new(),
            input: Input::Empty,
            output: OUTPUT,
            time: None,
            disk: None,
        }
    }

    pub(crate) fn args<S: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Has it talk to a server by itself.
    pub(crate) fn online(mut self) -> Self {
        self.online = true;
        self
    }

    /// Starts it in `directory`.
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_path_buf());
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn is_online(&self) -> bool {
        self.online || self.access.is_some()
    }

    /// Lets it talk to the server of `access`.
    pub(crate) fn network(mut self, access: &'a Access) -> Self {
        self.access = Some(access);
        self
    }

    pub(crate) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = Input::Bytes(bytes);
        self
    }

    /// Lets it read a file, from where it stands.
    pub(crate) fn input_file(mut self, file: File) -> Self {
        self.input = Input::File(file);
        self
    }

    /// Gives it a share of a lock, which it holds for as long as it lives.
    pub(crate) fn lock(mut self, file: File) -> Self {
        self.input = Input::Lock(file);
        self
    }

    pub(crate) fn max_output(mut self, bytes: u64) -> Self {
        self.output = bytes;
        self
    }

    pub(crate) fn time(mut self, limit: Duration) -> Self {
        self.time = Some(limit);
        self
    }

    /// Kills it when `directory` has more than `limit` bytes.
    pub(crate) fn disk(mut self, directory: &Path, limit: u64) -> Self {
        self.disk = Some((directory.to_path_buf(), limit));
        self
    }

    /// Runs it; only status 0 is success.
    pub(crate) async fn output(self) -> Result<Output, Error> {
        self.output_to(Sink::Memory, &[]).await
    }

    /// Runs it; status 0 and those in `expected` are success.
    pub(crate) async fn output_or(self, expected: &[i32]) -> Result<Output, Error> {
        self.output_to(Sink::Memory, expected).await
    }

    /// Runs it with its output going to `sink`.
    pub(crate) async fn output_to(self, sink: Sink<'_>, expected: &[i32]) -> Result<Output, Error> {
        if self.check_version {
            Box::pin(self.runner.git_version()).await?;
        }
        let network = self.is_online();
        let gate = if network {
            &self.runner.0.network
        } else {
            &self.runner.0.local
        };
        let _turn = gate.acquire().await.map_err(|_| Error::Lost)?;
        let what = self.what();
        let limits = self.limits();
        let command = self.command();
        let (access, program) = (self.access, self.program);
        match run(command, self.input, sink, &limits).await {
            Ok(finished) => judge(finished, what, access, network, expected),
            Err(broken) => Err(breakage(broken, what, &program, &limits, network)),
        }
    }

    fn limits(&self) -> RunLimits {
        let settings = self.runner.settings();
        let usual = if self.is_online() {
            settings.network_time
        } else {
            settings.local_time
        };
        RunLimits {
            time: self.time.unwrap_or(usual),
            output: self.output,
            memory: settings.memory,
            disk: self.disk.clone(),
        }
    }

    /// `git fetch`: what messages call it. The arguments stay out of them.
    fn what(&self) -> String {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        let verb = self
            .arguments
            .iter()
            .filter_map(|argument| argument.to_str())
            .find(|argument| !argument.starts_with('-'))
            .filter(|_| self.git || self.program.as_os_str() != "ssh-keyscan");
        match verb {
            Some(verb) => format!("{} {verb}", name.to_string_lossy()),
            None => name.to_string_lossy().into_owned(),
        }
    }

    fn command(&self) -> Command {
        let runner = &self.runner.0;
        let mut command = Command::new(resolved(&self.program, &runner.settings.path));
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", &runner.settings.path)
            .env("HOME", &runner.home)
            .env("XDG_CONFIG_HOME", &runner.home)
            .env("TMPDIR", &runner.home)
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("SSH_ASKPASS", "")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .current_dir(self.directory.as_ref().unwrap_or(&runner.home));
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        if self.git {
            self.git_environment(&mut command);
        }
        for (name, value) in self.access.iter().flat_map(|access| &access.variables) {
            command.env(name, value);
        }
        command
    }

    fn git_environment(&self, command: &mut Command) {
        command
            .env("GIT_ASKPASS", "")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env(
                "GIT_ALLOW_PROTOCOL",
                self.access.map_or("", |access| access.protocols),
            );
        if let Some(repository) = &self.repository {
            command.env("GIT_DIR", repository);
        } else {
            // Not to be taken for part of a repository that the directory happens to lie in.
            command.env("GIT_DIR", self.runner.0.home.join("no-repository"));
        }
        let mut settings: Vec<(&str, &str)> = SETTINGS.to_vec();
        let version = self.runner.0.git_version.get();
        let agent = format!(
            "git/{} (modkeep/{})",
            version.map_or("2", String::as_str),
            env!("CARGO_PKG_VERSION")
        );
        settings.push(("http.userAgent", &agent));
        match self.access {
            Some(access) => {
                settings.push(("remote.origin.url", &access.url));
                let own = access.settings.iter();
                settings.extend(own.map(|(key, value)| (key.as_str(), value.as_str())));
            }
            // What is missing in a partial clone is an error, not a reason to go and fetch it.
            None => {
                command.env("GIT_NO_LAZY_FETCH", "1");
            }
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.iter().enumerate() {
            command
                .env(format!("GIT_CONFIG_KEY_{index}"), key)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
    }
}

/// The program's file: looked up here, in the PATH that it will have.
fn resolved(program: &Path, path: &std::ffi::OsStr) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_path_buf();
    }
    std::env::split_paths(path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        // A name that cannot exist, so that nothing else's PATH is searched.
        .unwrap_or_else(|| Path::new("/nonexistent").join(program))
}

fn judge(
    finished: Finished,
    what: String,
    access: Option<&Access>,
    network: bool,
    expected: &[i32],
) -> Result<Output, Error> {
    let code = finished.status.code();
    if finished.status.success() || code.is_some_and(|code| expected.contains(&code)) {
        return Ok(Output {
            stdout: finished.stdout,
            stderr: finished.stderr,
            code,
        });
    }
    let secrets = access.map_or(&[][..], |access| &access.secrets);
    let stderr = presentable(&finished.stderr, secrets);
    let circumstances = Circumstances {
        network,
        authenticated: access.is_some_and(|access| access.authenticated),
    };
    Err(ToolFault::Failed {
        what,
        status: status_text(finished.status),
        label: classify(&stderr, circumstances),
        stderr,
    }
    .into())
}

fn status_text(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

fn breakage(
    broken: Broken,
    what: String,
    program: &Path,
    limits: &RunLimits,
    network: bool,
) -> Error {
    let tool = program.to_string_lossy().into_owned();
    match broken {
        Broken::Start(error) if error.kind() == std::io::ErrorKind::NotFound => {
            ToolFault::Missing { tool }.into()
        }
        Broken::Start(error) => ToolFault::Start {
            tool,
            source: Arc::new(error),
        }
        .into(),
        Broken::Io(error) => Error::io(format!("reading from {what}"))(error),
        Broken::Timeout => ToolFault::Timeout {
            what,
            seconds: limits.time.as_secs(),
            network,
        }
        .into(),
        Broken::OutputTooLarge | Broken::Stopped => ToolFault::OutputTooLarge {
            what,
            limit: limits.output,
        }
        .into(),
        Broken::DiskLimit(limit) => ToolFault::DiskLimit { what, limit }.into(),
    }
}
