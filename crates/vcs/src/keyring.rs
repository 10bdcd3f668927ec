//! Where credentials for https servers come from. They are asked for when they are needed, kept while they are good,
//! and never shown.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goenv::netrc::{Netrc, Secret};
use goenv::{Environment, SecretRef};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::error::{Error, ToolFault};
use crate::goauth::{GoAuth, Method, parse_headers};
use crate::options::Credentials;
use crate::runner::{Broken, Input, RunLimits, Sink, run};

/// How long what a program printed is used when it does not say how long it is good.
const USUAL_LIFE: Duration = Duration::from_mins(10);
/// What a program said is used no longer than until so long before its end.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a program may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A place that credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// What GOAUTH says, as the `go` command reads it.
    GoAuth(GoAuth),
    /// The netrc file.
    Netrc,
    /// The credential helpers that git is configured with for this user.
    GitCredential,
    /// An environment variable or a file: `user:password` or a token.
    Secret(SecretRef),
    /// A program that prints `user:password`, a token, or lines as git's credential helpers do (`username=`,
    /// `password=`, `password_expiry_utc=`). Run again when what it printed has expired or was refused.
    Command(Vec<String>),
}

/// Whether credentials are wanted for the first time, or because a server refused without or with earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// For the first time.
    First,
    /// Again.
    Refused,
}

/// Credentials from one source, kept while they are good.
#[derive(Debug)]
pub struct Keyring {
    source: CredentialSource,
    /// The user name for a bare token.
    username: String,
    environment: Environment,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By prefix of URLs without scheme.
    by_prefix: HashMap<String, (Credentials, Instant)>,
    goauth_ran: bool,
    /// Why a method of GOAUTH brought nothing when it was last run.
    trouble: Option<String>,
    /// What git's helpers said, by host, until it is known whether it is right.
    filled: HashMap<String, Zeroizing<String>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("count", &self.by_prefix.len())
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// A keyring. Programs run in `environment`; `username` goes with a bare token.
    pub fn new(source: CredentialSource, username: &str, environment: Environment) -> Self {
        Self {
            source,
            username: username.to_owned(),
            environment,
            kept: Mutex::default(),
        }
    }

    /// What to send to `url`, an https URL.
    pub async fn credentials(
        &self,
        url: &str,
        attempt: Attempt,
    ) -> Result<Option<Credentials>, Error> {
        match &self.source {
            CredentialSource::Netrc => self.netrc(url),
            CredentialSource::Secret(place) => {
                let text = place
                    .read(&self.environment)
                    .map_err(|error| fault("credentials", error.to_string()))?;
                Ok(Some(self.of_text(text.trim())))
            }
            CredentialSource::GitCredential => self.kept_or(url, attempt, Vec::new()).await,
            CredentialSource::Command(words) => self.kept_or(url, attempt, words.clone()).await,
            CredentialSource::GoAuth(goauth) => self.goauth(goauth, url, attempt).await,
        }
    }

    /// Why a method of GOAUTH brought nothing when it was last run; without anything that it printed.
    pub async fn trouble(&self) -> Option<String> {
        self.kept.lock().await.trouble.clone()
    }

    fn netrc(&self, url: &str) -> Result<Option<Credentials>, Error> {
        let netrc = Netrc::load(&self.environment)
            .map_err(|error| fault("credentials", error.to_string()))?;
        Ok(netrc.lookup_text(url).map(|entry| Credentials::Basic {
            username: entry.login.clone(),
            password: entry.password.clone(),
        }))
    }

    /// `user:password` or a token.
    fn of_text(&self, text: &str) -> Credentials {
        if let Some(token) = text.strip_prefix("Bearer ") {
            return Credentials::Bearer(Secret::new(token.trim()));
        }
        let (username, password) = text
            .split_once(':')
            .unwrap_or((self.username.as_str(), text));
        Credentials::Basic {
            username: username.to_owned(),
            password: Secret::new(password),
        }
    }

    /// What a program prints for the host of `url`; `git credential fill` where no words are given.
    async fn kept_or(
        &self,
        url: &str,
        attempt: Attempt,
        words: Vec<String>,
    ) -> Result<Option<Credentials>, Error> {
        // Whoever else wants the same waits for the one run.
        let mut kept = self.kept.lock().await;
        let host = host_of(url).to_owned();
        if attempt == Attempt::First
            && let Some((credentials, until)) = kept.by_prefix.get(&host)
            && *until > Instant::now()
        {
            return Ok(Some(credentials.clone()));
        }
        kept.by_prefix.remove(&host);
        let (output, what) = if words.is_empty() {
            let output = self.git_credential("fill", url_line(url), None).await?;
            kept.filled
                .insert(host.clone(), Zeroizing::new(output.clone()));
            (output, "git credential fill")
        } else {
            let output = self
                .program(&words, None, Vec::new(), "credential command")
                .await?;
            (output, "credential command")
        };
        let Some((credentials, life)) = self.of_output(&output) else {
            return Err(fault(what, "it printed no credentials".to_owned()));
        };
        kept.by_prefix
            .insert(host, (credentials.clone(), after(life)));
        Ok(Some(credentials))
    }

    fn of_output(&self, output: &str) -> Option<(Credentials, Duration)> {
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

    /// As `AddCredentials` in cmd/go/internal/auth: everything is run once, and again for a URL that was refused.
    async fn goauth(
        &self,
        goauth: &GoAuth,
        url: &str,
        attempt: Attempt,
    ) -> Result<Option<Credentials>, Error> {
        let mut kept = self.kept.lock().await;
        let mut trouble = None;
        if !kept.goauth_ran {
            trouble = self.run_goauth(goauth, &mut kept, None).await.err();
            kept.goauth_ran = true;
        }
        if attempt == Attempt::Refused {
            trouble = self.run_goauth(goauth, &mut kept, Some(url)).await.err();
        }
        if let Some(error) = trouble {
            // As for go, another method, or nothing at all, may do.
            tracing::warn!(%error, "GOAUTH");
            kept.trouble = Some(error.to_string());
        } else if attempt == Attempt::Refused {
            kept.trouble = None;
        }
        let mut prefix = trimmed(url);
        loop {
            if let Some((credentials, _)) = kept.by_prefix.get(prefix) {
                return Ok(Some(credentials.clone()));
            }
            match prefix.rsplit_once('/') {
                Some((shorter, _)) => prefix = shorter,
                None => return Ok(None),
            }
        }
    }

    /// Earlier methods win, so they come last.
    async fn run_goauth(
        &self,
        goauth: &GoAuth,
        kept: &mut Kept,
        url: Option<&str>,
    ) -> Result<(), Error> {
        let mut trouble = None;
        for method in goauth.methods().iter().rev() {
            let found = match (method, url) {
                (Method::Netrc, _) => self.netrc_entries(),
                (Method::Git(_), None) => continue,
                (Method::Git(directory), Some(url)) => self.git_entry(url, directory, kept).await,
                (Method::Command(words), url) => self.goauth_command(words, url).await,
            };
            match found {
                Ok(entries) => {
                    for (prefix, credentials) in entries {
                        let prefix = trimmed(&prefix).to_owned();
                        match credentials {
                            Some(credentials) => {
                                kept.by_prefix.insert(prefix, (credentials, Instant::now()));
                            }
                            None => {
                                kept.by_prefix.remove(&prefix);
                            }
                        }
                    }
                }
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    fn netrc_entries(&self) -> Result<Vec<(String, Option<Credentials>)>, Error> {
        let netrc = Netrc::load(&self.environment)
            .map_err(|error| fault("GOAUTH=netrc", error.to_string()))?;
        let entries = netrc.entries().iter().rev().map(|entry| {
            let credentials = Credentials::Basic {
                username: entry.login.clone(),
                password: entry.password.clone(),
            };
            (entry.machine.clone(), Some(credentials))
        });
        Ok(entries.collect())
    }

    async fn git_entry(
        &self,
        url: &str,
        directory: &std::path::Path,
        kept: &mut Kept,
    ) -> Result<Vec<(String, Option<Credentials>)>, Error> {
        let output = self
            .git_credential("fill", url_line(url), Some(directory))
            .await?;
        let said = Zeroizing::new(output.clone());
        kept.filled.insert(host_of(url).to_owned(), said);
        let found = self.of_output(&output).map(|(credentials, _)| credentials);
        let found = found.ok_or_else(|| {
            fault(
                "git credential fill",
                "it printed no credentials".to_owned(),
            )
        })?;
        Ok(vec![(host_of(url).to_owned(), Some(found))])
    }

    async fn goauth_command(
        &self,
        words: &[String],
        url: Option<&str>,
    ) -> Result<Vec<(String, Option<Credentials>)>, Error> {
        // The protocol hands over the answer that asked for credentials; git does not show it, only what it meant.
        let input = url.map_or_else(Vec::new, |_| b"HTTP/1.1 401 Unauthorized\n\n".to_vec());
        let output = self.program(words, url, input, "GOAUTH command").await?;
        parse_headers(&output).map_err(|reason| fault("GOAUTH command", reason))
    }

    /// Tells git's helpers, if the credentials for `url` were theirs, whether a server took them: they keep those that
    /// are good, and forget those that are not.
    pub(crate) async fn judged(&self, url: &str, are_good: bool) {
        let said = {
            let mut kept = self.kept.lock().await;
            kept.filled.remove(host_of(url))
        };
        let Some(said) = said else {
            return;
        };
        let action = if are_good { "approve" } else { "reject" };
        let told = self
            .git_credential(action, said.as_bytes().to_vec(), None)
            .await;
        if let Err(error) = told {
            tracing::debug!(%error, "git's credential helpers were not told how it went");
        }
    }

    /// `git credential` with this user's own configuration, and without ever asking anybody.
    async fn git_credential(
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

    async fn program(
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

fn fault(what: &str, reason: String) -> Error {
    ToolFault::Credentials {
        what: what.to_owned(),
        reason,
    }
    .into()
}

fn url_line(url: &str) -> Vec<u8> {
    format!("url={url}\n").into_bytes()
}

fn after(life: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(life).unwrap_or(now)
}

fn trimmed(url: &str) -> &str {
    let url = url.strip_prefix("https://").unwrap_or(url);
    url.strip_suffix('/').unwrap_or(url)
}

fn host_of(url: &str) -> &str {
    let rest = trimmed(url);
    rest.split('/').next().unwrap_or(rest)
}

/// The value of an `Authorization` header as credentials.
pub(crate) fn of_header(value: &str) -> Option<Credentials> {
    let (scheme, rest) = value.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Credentials::Bearer(Secret::new(rest.trim())));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Credentials::Basic {
        username: username.to_owned(),
        password: Secret::new(password),
    })
}

#[cfg(test)]
mod tests {

    use super::*;

    const URL: &str = "https://git.example/team/x";

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: Secret::new(password),
        }
    }

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let path = [("PATH", "/usr/local/bin:/usr/bin:/bin")];
        Environment::from_pairs(path.iter().chain(pairs).copied())
    }

    fn script(folder: &std::path::Path, text: &str) -> String {
        let file = folder.join("helper");
        testkit::script(&file, text);
        file.display().to_string()
    }

    #[tokio::test]
    async fn variables_and_files_hold_a_pair_or_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let environment = environment(&[("PAIR", "me:pw:x"), ("BEARER", "Bearer t")]);
        let ask = async |source| {
            Keyring::new(source, "oauth2", environment.clone())
                .credentials(URL, Attempt::First)
                .await
        };
        let variable = |name: &str| CredentialSource::Secret(SecretRef::Variable(name.to_owned()));
        assert_eq!(
            ask(variable("PAIR")).await.unwrap(),
            Some(basic("me", "pw:x"))
        );
        assert_eq!(
            ask(variable("BEARER")).await.unwrap(),
            Some(Credentials::Bearer(Secret::new("t")))
        );
        let error = ask(variable("NONE")).await.unwrap_err();
        assert!(!error.is_absence() && !error.is_without_rights(), "{error}");
        std::fs::write(&file, "tok\n").unwrap();
        let source = || CredentialSource::Secret(SecretRef::File(file.clone()));
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode(0o600)).unwrap();
        assert_eq!(ask(source()).await.unwrap(), Some(basic("oauth2", "tok")));
        std::fs::set_permissions(&file, mode(0o644)).unwrap();
        let error = ask(source()).await.unwrap_err();
        assert!(
            error.to_string().contains("can be read by others"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_command_is_run_again_only_when_its_token_expired_or_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let program = script(
            folder.path(),
            &format!(
                "echo x >> '{0}'; n=$(wc -l < '{0}'); echo username=app; echo password=t$n; \
                 [ $n -ge 2 ] && echo password_expiry_utc=1 || echo password_expiry_utc=4102444800",
                count.display()
            ),
        );
        let source = CredentialSource::Command(vec![program]);
        let keyring = Keyring::new(source, "oauth2", environment(&[]));
        let ask = async |attempt| keyring.credentials(URL, attempt).await.unwrap().unwrap();
        assert_eq!(ask(Attempt::First).await, basic("app", "t1"));
        assert_eq!(ask(Attempt::First).await, basic("app", "t1"));
        assert_eq!(ask(Attempt::Refused).await, basic("app", "t2"));
        assert_eq!(
            ask(Attempt::First).await,
            basic("app", "t3"),
            "the second has expired"
        );
    }

    #[tokio::test]
    async fn a_command_that_fails_tells_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), "echo hush; echo hush >&2; exit 3");
        let source = CredentialSource::Command(vec![program]);
        let keyring = Keyring::new(source, "oauth2", environment(&[]));
        let error = keyring.credentials(URL, Attempt::First).await.unwrap_err();
        assert!(!error.to_string().contains("hush"), "{error}");
    }

    #[tokio::test]
    async fn goauth_commands_are_asked_once_and_again_with_the_url_that_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let program = script(
            folder.path(),
            "if [ -z \"$1\" ]; then printf 'https://git.example\\n\\nAuthorization: Bearer a\\n\\n'; \
             else read line; printf 'https://git.example/team\\n\\nAuthorization: Bearer %s\\n\\n' \"${line#* }\" | sed 's/401 Unauthorized/b/'; fi",
        );
        let goauth = GoAuth::parse(&program).unwrap();
        let source = CredentialSource::GoAuth(goauth);
        let keyring = Keyring::new(source, "", environment(&[("NETRC", "/nonexistent")]));
        let bearer = |token: &str| Some(Credentials::Bearer(Secret::new(token)));
        let ask = async |url: &str, attempt| keyring.credentials(url, attempt).await.unwrap();
        assert_eq!(ask(URL, Attempt::First).await, bearer("a"));
        assert_eq!(ask("https://other.example/x", Attempt::First).await, None);
        assert_eq!(ask(URL, Attempt::Refused).await, bearer("b"));
        assert_eq!(
            ask("https://git.example/y", Attempt::First).await,
            bearer("a")
        );
    }

    #[tokio::test]
    async fn netrc_is_what_goauth_is_by_default() {
        let folder = tempfile::tempdir().unwrap();
        let netrc = folder.path().join("netrc");
        std::fs::write(&netrc, "machine git.example login me password one\nmachine git.example login me password two\n").unwrap();
        let environment = environment(&[("NETRC", netrc.to_str().unwrap())]);
        for source in [
            CredentialSource::Netrc,
            CredentialSource::GoAuth(GoAuth::parse("netrc").unwrap()),
        ] {
            let keyring = Keyring::new(source, "", environment.clone());
            let found = keyring.credentials(URL, Attempt::First).await.unwrap();
            assert_eq!(found, Some(basic("me", "one")));
        }
    }

    #[tokio::test]
    async fn credential_helpers_of_git_are_asked() {
        let folder = tempfile::tempdir().unwrap();
        let helper = script(
            folder.path(),
            "[ \"$1\" = get ] && printf 'username=u\\npassword=p\\n'",
        );
        let config = folder.path().join(".gitconfig");
        std::fs::write(&config, format!("[credential]\n\thelper = {helper}\n")).unwrap();
        let environment = environment(&[("HOME", folder.path().to_str().unwrap())]);
        let keyring = Keyring::new(CredentialSource::GitCredential, "", environment.clone());
        let found = keyring.credentials(URL, Attempt::First).await.unwrap();
        assert_eq!(found, Some(basic("u", "p")));
        let goauth = GoAuth::parse(&format!("git {}", folder.path().display())).unwrap();
        let keyring = Keyring::new(CredentialSource::GoAuth(goauth), "", environment);
        assert_eq!(
            keyring.credentials(URL, Attempt::First).await.unwrap(),
            None
        );
        let found = keyring.credentials(URL, Attempt::Refused).await.unwrap();
        assert_eq!(found, Some(basic("u", "p")));
    }

    #[tokio::test]
    async fn credential_helpers_of_git_are_told_whether_they_were_right() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let helper = script(
            folder.path(),
            &format!(
                "{{ echo $1; cat; }} >> '{}'; [ \"$1\" = get ] && printf 'username=u\\npassword=p\\n'; exit 0",
                log.display()
            ),
        );
        let config = folder.path().join(".gitconfig");
        std::fs::write(&config, format!("[credential]\n\thelper = {helper}\n")).unwrap();
        let environment = environment(&[("HOME", folder.path().to_str().unwrap())]);
        let keyring = Keyring::new(CredentialSource::GitCredential, "", environment);
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        keyring.judged(URL, true).await;
        assert_eq!(said(), "", "nobody was asked yet");
        keyring.credentials(URL, Attempt::First).await.unwrap();
        keyring.judged(URL, false).await;
        let (_, rejected) = said()
            .split_once("erase\n")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert!(
            rejected.contains("password=p") && rejected.contains("host=git.example"),
            "{rejected}"
        );
        keyring.credentials(URL, Attempt::Refused).await.unwrap();
        keyring.judged(URL, true).await;
        keyring.judged(URL, true).await;
        assert_eq!(said().matches("store\n").count(), 1, "{}", said());
    }
}
