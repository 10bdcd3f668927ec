//! GOAUTH, method by method.

use goenv::netrc::Netrc;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{Attempt, Kept, Keyring, fault, host_of, trimmed, url_line};
use crate::error::Error;
use crate::goauth::{GoAuth, Method, parse_headers};
use crate::options::Credentials;

impl Keyring {
    /// As `AddCredentials` in cmd/go/internal/auth: everything is run once, and again for a URL that was refused.
    pub(super) async fn goauth(
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
}
