//! `[[origin]]`: how the repositories of some modules are reached.

use std::path::PathBuf;

use goenv::RedactedUrl;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use url::Url;
use vcs::{ClientCertificate, CredentialSource, GoAuth, RouteProxy, UrlTemplate};

use super::value::scalar;
use super::{ConfigError, Origin};

/// One key of the table.
#[derive(Clone, Copy, Debug)]
pub struct OriginKey {
    /// Its name.
    pub name: &'static str,
    /// An example of a value.
    pub example: &'static str,
    /// What it does.
    pub doc: &'static str,
}

const fn key(name: &'static str, example: &'static str, doc: &'static str) -> OriginKey {
    OriginKey { name, example, doc }
}

/// Every key, in the order of the reference.
pub const ORIGIN_KEYS: &[OriginKey] = &[
    key(
        "pattern",
        "git.corp.example/*/*",
        "Which modules: a glob for the beginning of their paths, as in GOPRIVATE. Needed.",
    ),
    key(
        "exclusive",
        "true",
        "Whether these modules come from their repositories only and their names go to nobody else, as if `private` named \
         them. `false` leaves that to `private`. Default: `true`.",
    ),
    key(
        "remote",
        "ssh://git@{host}:2222/{path}.git",
        "Where the repositories are, so that nobody is asked for it: `https://`, `ssh://` or `file://`, with `{host}` (first \
         element), `{path}` (the others), `{root}` (both), `{0}` to `{9}`. A repository has as many elements as `pattern`.",
    ),
    key(
        "instead-of",
        "{ \"https://git.corp.example/\" = \"ssh://git@git.corp.example/\" }",
        "Beginnings of addresses, and what stands in their place; the longest counts.",
    ),
    key(
        "credentials",
        "command:/usr/local/bin/app-token",
        "For https: `netrc`; `git-credential` (the helpers this user's git has); `goauth:COMMAND`; `env:VARIABLE` or \
         `file:PATH` (nobody else may read it) with `user:password` or a token; `command:PROGRAM ARGUMENTS`, which prints the same, or lines with \
         `username=`, `password=`, `password_expiry_utc=`, and is run again when that has expired or was refused. Default: the setting `goauth`.",
    ),
    key(
        "username",
        "x-access-token",
        "The user name that goes with a bare token. Default: `oauth2`.",
    ),
    key(
        "ca-file",
        "/etc/ssl/corp.pem",
        "Certificate authorities to trust instead of the system's.",
    ),
    key(
        "client-certificate",
        "/etc/modkeep/client.pem",
        "Certificate to show to the server; needs `client-key`.",
    ),
    key("client-key", "/etc/modkeep/client.key", "Its private key."),
    key(
        "proxy",
        "socks5://proxy.corp.example:1080",
        "HTTP or SOCKS proxy, for ssh, too, or `direct` for none. Default: what the environment says for http and https \
         (`HTTPS_PROXY`, `NO_PROXY`).",
    ),
    key(
        "key-file",
        "/etc/modkeep/id_ed25519",
        "Private key for ssh, without passphrase. Default: the agent's and this user's keys.",
    ),
    key(
        "known-hosts",
        "/etc/modkeep/known_hosts",
        "The file with the right host keys for ssh. Default: this user's and this machine's.",
    ),
    key(
        "host-key",
        "SHA256:uNiVztksCsDhcc0u9e8BrqVpmDQhjsHyjqpg1Dm1Fpc",
        "Instead of `known-hosts`: the fingerprints of the right host keys, separated by commas.",
    ),
];

/// A table as it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct OriginTable {
    at: Origin,
    values: Vec<(&'static str, String, Origin)>,
    instead_of: Vec<(String, String)>,
}

/// A table whose values make sense.
#[derive(Clone, Debug, PartialEq)]
pub struct OriginRule {
    /// Which modules.
    pub pattern: String,
    /// Whether they are private.
    pub exclusive: bool,
    /// Where their repositories are.
    pub remote: Option<UrlTemplate>,
    /// Beginnings of addresses, and what stands in their place.
    pub instead_of: Vec<(String, String)>,
    /// Where credentials come from.
    pub credentials: Option<CredentialSource>,
    /// The user name for a bare token.
    pub username: String,
    /// Certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// For mTLS.
    pub client_certificate: Option<ClientCertificate>,
    /// The proxy.
    pub proxy: Option<RouteProxy>,
    /// Private key for ssh.
    pub key_file: Option<PathBuf>,
    /// File of known hosts.
    pub known_hosts: Option<PathBuf>,
    /// Pinned fingerprints.
    pub host_keys: Vec<String>,
}

impl OriginTable {
    /// Reads a table. `origin` tells the place of an offset.
    pub(super) fn read(
        value: &Spanned<DeValue<'_>>,
        origin: &dyn Fn(usize) -> Origin,
    ) -> Result<Self, Vec<ConfigError>> {
        let at = origin(value.span().start);
        let DeValue::Table(table) = value.get_ref() else {
            let reason = "origin: a table is expected: [[origin]]";
            return Err(vec![ConfigError::new(Some(at), reason)]);
        };
        let mut read = Self {
            at,
            values: Vec::new(),
            instead_of: Vec::new(),
        };
        let mut errors = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let at = origin(key.span().start);
            let known = ORIGIN_KEYS.iter().find(|key| key.name == name);
            let result = match (known, value.get_ref()) {
                (Some(known), DeValue::Table(pairs)) if known.name == "instead-of" => {
                    read.take_pairs(pairs)
                }
                (Some(known), _) if known.name != "instead-of" => match scalar(value) {
                    Some(text) => {
                        read.values.push((known.name, text, at.clone()));
                        Ok(())
                    }
                    None => Err("a text or true/false is expected"),
                },
                (Some(_), _) => Err("a table is expected: { \"old\" = \"new\" }"),
                (None, _) => {
                    Err("unknown key; docs/reference/settings.md lists those of [[origin]]")
                }
            };
            if let Err(reason) = result {
                errors.push(ConfigError::new(
                    Some(at),
                    format!("origin.{name}: {reason}"),
                ));
            }
        }
        if errors.is_empty() {
            Ok(read)
        } else {
            Err(errors)
        }
    }

    fn take_pairs(&mut self, pairs: &DeTable<'_>) -> Result<(), &'static str> {
        for (old, new) in pairs {
            let new = scalar(new).ok_or("a text is expected")?;
            self.instead_of.push((old.get_ref().to_string(), new));
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, ..)| *known == name);
        found
            .map(|(_, text, _)| text.as_str())
            .filter(|text| !text.is_empty())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn place(&self, name: &str) -> Origin {
        let found = self.values.iter().find(|(known, ..)| *known == name);
        found.map_or_else(|| self.at.clone(), |(_, _, at)| at.clone())
    }

    fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
        fail: &mut impl FnMut(&str, String),
    ) -> Option<T> {
        match parse(self.text(name)?) {
            Ok(value) => Some(value),
            Err(reason) => {
                fail(name, reason);
                None
            }
        }
    }

    /// The values as types.
    pub(super) fn check(&self) -> Result<OriginRule, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut fail = |name: &str, reason: String| {
            errors.push(ConfigError::new(
                Some(self.place(name)),
                format!("origin.{name}: {reason}"),
            ));
        };
        let pattern = self.text("pattern").unwrap_or_default().to_owned();
        if pattern.is_empty() {
            fail("pattern", "it is missing".to_owned());
        } else if pattern.contains(',') || gomod::glob::matches(&pattern, "").is_err() {
            fail(
                "pattern",
                format!("{pattern:?} is no glob; write one table for each pattern"),
            );
        }
        let exclusive = match self.text("exclusive") {
            None | Some("true") => true,
            Some("false") => false,
            Some(text) => {
                fail("exclusive", format!("{text:?} is neither true nor false"));
                true
            }
        };
        let remote = self.parsed("remote", remote, &mut fail);
        let credentials = self.parsed("credentials", credentials, &mut fail);
        let proxy = self.parsed("proxy", proxy, &mut fail);
        let client_certificate = match (self.path("client-certificate"), self.path("client-key")) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                fail(
                    "client-certificate",
                    "it needs its private key; set client-key, too".to_owned(),
                );
                None
            }
            (None, Some(_)) => {
                fail(
                    "client-key",
                    "it needs its certificate; set client-certificate, too".to_owned(),
                );
                None
            }
        };
        let host_keys: Vec<String> = self
            .text("host-key")
            .into_iter()
            .flat_map(|text| text.split(','))
            .map(|text| text.trim().to_owned())
            .collect();
        if host_keys.iter().any(|key| !key.starts_with("SHA256:")) {
            fail(
                "host-key",
                "write fingerprints as `ssh-keygen -l` prints them: SHA256:...".to_owned(),
            );
        }
        if !host_keys.is_empty() && self.text("known-hosts").is_some() {
            fail("host-key", "set this or known-hosts, not both".to_owned());
        }
        for name in [
            "ca-file",
            "client-certificate",
            "client-key",
            "key-file",
            "known-hosts",
        ] {
            if let Some(path) = self.path(name)
                && let Err(error) = std::fs::File::open(&path)
            {
                fail(name, format!("{}: {error}", path.display()));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(OriginRule {
            pattern,
            exclusive,
            remote,
            instead_of: self.instead_of.clone(),
            credentials,
            username: self.text("username").unwrap_or("oauth2").to_owned(),
            ca_file: self.path("ca-file"),
            client_certificate,
            proxy,
            key_file: self.path("key-file"),
            known_hosts: self.path("known-hosts"),
            host_keys,
        })
    }

    /// What `config show` prints: names, values without secrets, places.
    pub(super) fn shown(&self, number: usize) -> Vec<(String, String, Origin)> {
        let name = |key: &str| format!("origin.{number}.{key}");
        let values = self.values.iter().map(|(key, text, at)| {
            let text = goenv::redact::redact_text(text);
            (name(key), text, at.clone())
        });
        let pairs = self.instead_of.iter().map(|(old, new)| {
            let text = goenv::redact::redact_text(&format!("{old} -> {new}"));
            (name("instead-of"), text, self.at.clone())
        });
        values.chain(pairs).collect()
    }
}

fn remote(text: &str) -> Result<UrlTemplate, String> {
    let scheme = text.split("://").next().unwrap_or_default();
    if !text.contains("://") || !matches!(scheme, "https" | "http" | "ssh" | "file") {
        return Err("write an https://, ssh:// or file:// URL".to_owned());
    }
    let authority = text
        .split("://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let user = authority
        .and_then(|text| text.rsplit_once('@'))
        .map_or("", |(user, _)| user);
    if user.contains(':') || (!user.is_empty() && scheme != "ssh") {
        return Err("a password does not belong here; use credentials".to_owned());
    }
    UrlTemplate::new(text).map_err(|error| error.to_string())
}

fn credentials(text: &str) -> Result<CredentialSource, String> {
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    let words = || {
        rest.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    match (kind, rest.trim()) {
        ("netrc", "") => Ok(CredentialSource::Netrc),
        ("git-credential", "") => Ok(CredentialSource::GitCredential),
        // Only with its kind in front: text without one may be a secret that somebody wrote straight into the file.
        ("env" | "file", _) => text
            .parse()
            .map(CredentialSource::Secret)
            .map_err(|error: goenv::SecretError| error.to_string()),
        ("command", command) if !command.is_empty() => Ok(CredentialSource::Command(words())),
        ("goauth", setting) if !setting.is_empty() => GoAuth::parse(setting)
            .map(CredentialSource::GoAuth)
            .map_err(|error| error.to_string()),
        _ => Err(
            "write netrc, git-credential, goauth:COMMAND, env:VARIABLE, file:PATH or command:PROGRAM"
                .to_owned(),
        ),
    }
}

fn proxy(text: &str) -> Result<RouteProxy, String> {
    if text == "direct" {
        return Ok(RouteProxy::Direct);
    }
    // Names are resolved by the proxy, as Go has it.
    let text = text
        .strip_prefix("socks5://")
        .map_or_else(|| text.to_owned(), |rest| format!("socks5h://{rest}"));
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "socks5h") && url.has_host() => {
            Ok(RouteProxy::Url(RedactedUrl::new(url)))
        }
        _ => Err("write direct, or an http://, https:// or socks5:// URL".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use goenv::SecretRef;

    use super::*;

    #[test]
    fn credentials_name_a_place_and_not_a_secret() {
        assert_eq!(credentials("netrc"), Ok(CredentialSource::Netrc));
        assert_eq!(
            credentials("env:TOKEN"),
            Ok(CredentialSource::Secret(SecretRef::Variable(
                "TOKEN".to_owned()
            )))
        );
        assert_eq!(
            credentials("command:/bin/token --app 7"),
            Ok(CredentialSource::Command(
                ["/bin/token", "--app", "7"].map(str::to_owned).to_vec()
            ))
        );
        for bad in [
            "glpat-hush",
            "env:",
            "env:TOKEN=hush",
            "netrc:x",
            "goauth:",
            "user:password",
        ] {
            let reason = credentials(bad).unwrap_err();
            assert!(
                !reason.contains("hush") && !reason.contains("password"),
                "{reason}"
            );
        }
    }

    #[test]
    fn remotes_have_a_scheme_and_no_password() {
        for good in [
            "ssh://git@{host}/{path}",
            "https://{root}.git",
            "file:///srv/{path}",
        ] {
            assert!(remote(good).is_ok(), "{good}");
        }
        for bad in [
            "git@h:x",
            "ext::sh",
            "https://{nope}",
            "https://u:p@h/x",
            "https://u@h/x",
            "ssh://u:p@h/",
        ] {
            assert!(remote(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn proxies_are_urls_or_none() {
        assert_eq!(proxy("direct"), Ok(RouteProxy::Direct));
        for (text, scheme) in [("socks5://h:1", "socks5h"), ("http://h", "http")] {
            let Ok(RouteProxy::Url(url)) = proxy(text) else {
                panic!("{text}");
            };
            assert_eq!(url.as_url().scheme(), scheme);
        }
        assert!(proxy("h:1").is_err() && proxy("ftp://h").is_err());
    }
}
