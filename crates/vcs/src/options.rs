//! How a repository is reached: address, credentials, certificates, keys.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use goenv::RedactedUrl;
use goenv::netrc::Secret;

use crate::keyring::Keyring;
use crate::outbound::Outbound;

/// A repository and the way to it.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The address that discovery found, which is also the one that answers name as their origin.
    pub url: String,
    /// Whether an unencrypted connection will do (GOINSECURE).
    pub insecure: bool,
    /// What was configured for it.
    pub options: RemoteOptions,
}

impl Remote {
    /// A repository that is reached anonymously at its own address.
    pub fn anonymous(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            insecure: false,
            options: RemoteOptions::default(),
        }
    }

    /// Where to fetch from.
    pub(crate) fn fetch_url(&self) -> &str {
        self.options.url.as_deref().unwrap_or(&self.url)
    }
}

/// Configuration for one repository. The default is what an anonymous user has.
#[derive(Clone, Debug, Default)]
pub struct RemoteOptions {
    /// Fetch from here instead of the address that discovery found. Set from a [`UrlTemplate`].
    pub url: Option<String>,
    /// Where credentials come from that are not fixed.
    pub keyring: Option<Arc<Keyring>>,
    /// Judges the addresses of the server, which was named by a stranger. Without it every address will do.
    pub outbound: Option<Arc<Outbound>>,
    /// Sent to https servers, and to no other host than that of the address.
    pub credentials: Option<Credentials>,
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate to show to the server (mTLS).
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy: for http and https addresses, and an HTTP or SOCKS proxy for ssh addresses, too. Without it none is used.
    pub proxy: Option<RedactedUrl>,
    /// For ssh addresses.
    pub ssh: SshOptions,
    /// Allows `file` addresses. For tests and air-gapped mirrors.
    pub allow_file: bool,
}

/// A secret for an https server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// User name with password or token.
    Basic {
        /// The user name. Some hosts want a fixed one with a token, such as `oauth2`.
        username: String,
        /// Password or token.
        password: Secret,
    },
    /// A token for `Authorization: Bearer`.
    Bearer(Secret),
    /// These headers, by name: what a GOAUTH command says.
    Headers(Vec<(String, Secret)>),
}

/// A client certificate and its key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// Its key, without a password.
    pub key: PathBuf,
}

/// How ssh servers are logged in to and recognized. Never asks, never reads the user's ssh configuration.
#[derive(Clone, Debug, Default)]
pub struct SshOptions {
    /// A private key in OpenSSH format. Without it ssh tries the agent and the default keys of this user.
    pub key: Option<Secret>,
    /// Socket of an ssh agent.
    pub agent: Option<PathBuf>,
    /// Which host keys are right.
    pub known_hosts: KnownHosts,
}

/// Which host keys of ssh servers are right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KnownHosts {
    /// Those in the files of this user and machine.
    #[default]
    System,
    /// Those in this file of known hosts.
    File(PathBuf),
    /// Those with one of these fingerprints: `SHA256:` and unpadded base64, as `ssh-keygen -l` prints them.
    Pinned(Vec<String>),
}

/// An address with places for parts of a repository root: `{root}`, `{host}` (first element), `{path}` (the rest),
/// `{0}` to `{9}` (single elements).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate(String);

/// A template with a place that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown place {0:?} in URL template; there are {{root}}, {{host}}, {{path}} and {{0}} to {{9}}"
)]
pub struct UnknownPlace(String);

impl UrlTemplate {
    /// Checks the places of `template`.
    pub fn new(template: impl Into<String>) -> Result<Self, UnknownPlace> {
        let template = Self(template.into());
        template.fill_with(|place| match place {
            "root" | "host" | "path" => Some(String::new()),
            digit if digit.len() == 1 && digit.bytes().all(|b| b.is_ascii_digit()) => {
                Some(String::new())
            }
            _ => None,
        })?;
        Ok(template)
    }

    /// The address for the repository with the import path `root`.
    pub fn fill(&self, root: &str) -> String {
        let (host, path) = root.split_once('/').unwrap_or((root, ""));
        let filled = self.fill_with(|place| {
            Some(match place {
                "root" => root.to_owned(),
                "host" => host.to_owned(),
                "path" => path.to_owned(),
                index => {
                    let index: usize = index.parse().ok()?;
                    root.split('/').nth(index).unwrap_or_default().to_owned()
                }
            })
        });
        filled.unwrap_or_default()
    }

    fn fill_with(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, UnknownPlace> {
        let mut filled = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, behind)) = rest.split_once('{') {
            let (place, after) = behind
                .split_once('}')
                .ok_or_else(|| UnknownPlace(behind.to_owned()))?;
            filled.push_str(before);
            filled.push_str(&value(place).ok_or_else(|| UnknownPlace(place.to_owned()))?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_with_parts_of_the_root() {
        for (template, want) in [
            (
                "ssh://git@{host}:2222/{path}.git",
                "ssh://git@a.example:2222/b/c.git",
            ),
            (
                "https://mirror.example/{root}",
                "https://mirror.example/a.example/b/c",
            ),
            ("https://{0}/scm/{1}/{2}/{3}", "https://a.example/scm/b/c/"),
            ("https://x", "https://x"),
        ] {
            let template = UrlTemplate::new(template).unwrap();
            assert_eq!(template.fill("a.example/b/c"), want);
        }
        for bad in ["https://{nope}", "https://{root", "{10}"] {
            assert!(UrlTemplate::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let options = RemoteOptions {
            credentials: Some(Credentials::Basic {
                username: "u".to_owned(),
                password: Secret::new("hush"),
            }),
            ssh: SshOptions {
                key: Some(Secret::new("hush")),
                ..SshOptions::default()
            },
            ..RemoteOptions::default()
        };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
