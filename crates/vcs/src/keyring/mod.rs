//! Where credentials for https servers come from. They are asked for when they are needed, kept while they are good,
//! and never shown.

mod goauth;
mod programs;

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goenv::netrc::{Netrc, Secret};
use goenv::{Environment, SecretRef};
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::error::{Error, ToolFault};
use crate::goauth::GoAuth;
use crate::options::Credentials;

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
mod tests;
