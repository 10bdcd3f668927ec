//! Programs that print credentials, and what they print.

use std::time::{Duration, SystemTime};

use goenv::netrc::Secret;
use tokio::process::Command;

use super::{Keyring, fault};
use crate::error::Error;
use crate::options::Credentials;
use crate::runner::{Broken, Input, RunLimits, Sink, run};

/// How long what a program printed is used when it does not say how long it is good.
const USUAL_LIFE: Duration = Duration::from_mins(10);
/// What a program said is used no longer than until so long before its end.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a program may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

impl Keyring {
    /// What a program printed as credentials, and how long they are good.
    pub(super) fn of_output(&self, output: &str) -> Option<(Credentials, Duration)> {
        let field = |name: &str| {
            output
                .lines()
                .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let Some(password) = field("password") else {
            let first = output.lines().next().map(str::trim)?;
            let is_text = !first.is_empty() && !first.contains('=') || first.ends_with('=');
            return is_text.then(|| (self.of_text(first), USUAL_LIFE));
        };
        let life = field("password_expiry_utc")
            .and_then(|seconds| seconds.parse().ok())
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .map_or(USUAL_LIFE, |end| {
                let left = end.duration_since(SystemTime::now()).unwrap_or_default();
                left.saturating_sub(MARGIN)
            });
        let credentials = Credentials::Basic {
            username: field("username").unwrap_or(&self.username).to_owned(),
            password: Secret::new(password),
        };
        Some((credentials, life))
    }

    /// `git credential` with this user's own configuration, and without ever asking anybody.
    pub(super) async fn git_credential(
        &self,
        action: &str,
        input: Vec<u8>,
        directory: Option<&std::path::Path>,
    ) -> Result<String, Error> {
        let mut command = self.command("git");
        command.args(["-c", "credential.interactive=false", "credential", action]);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        self.finish(command, input, "git credential").await
    }

    pub(super) async fn program(
        &self,
        words: &[String],
        argument: Option<&str>,
        input: Vec<u8>,
        what: &str,
    ) -> Result<String, Error> {
        let Some((program, rest)) = words.split_first() else {
            return Err(fault(what, "it is empty".to_owned()));
        };
        let mut command = self.command(program);
        command.args(rest).args(argument);
        self.finish(command, input, what).await
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        for name in self.environment.names() {
            if let Some(value) = self.environment.get(name) {
                command.env(name, value);
            }
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS", "")
            .env("SSH_ASKPASS_REQUIRE", "never");
        command
    }

    async fn finish(&self, command: Command, input: Vec<u8>, what: &str) -> Result<String, Error> {
        let limits = RunLimits {
            time: TIME_LIMIT,
            output: 1 << 20,
            memory: 4 << 30,
            disk: None,
        };
        match run(command, Input::Bytes(input), Sink::Memory, &limits).await {
            Ok(finished) if finished.status.success() => {
                Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
            }
            // Its messages might have the secret in them.
            Ok(finished) => Err(fault(what, finished.status.to_string())),
            Err(Broken::Start(error)) => Err(fault(what, format!("it cannot be run: {error}"))),
            Err(Broken::Timeout) => Err(fault(what, format!("no answer in {TIME_LIMIT:?}"))),
            Err(_) => Err(fault(what, "it was broken off".to_owned())),
        }
    }
}
