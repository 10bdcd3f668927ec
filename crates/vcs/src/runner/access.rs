//! What a program needs to reach one server: settings and secrets, in its environment and in files of its own.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goenv::go_url::GoUrl;
use goenv::redact::redact_text;
use tempfile::NamedTempFile;

use super::relay::{Relay, SSH_PORT};
use crate::discovery::headers;
use crate::error::{Blocked, Error};
use crate::options::{Credentials, KnownHosts, Remote};
use crate::outbound::{Outbound, Refused};
use crate::system::VersionControl;

/// A checked address with everything that belongs to it. Its files are removed with it.
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) protocols: &'static str,
    /// Settings of git. They go through the environment: command lines are for everyone to see.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// What must not be shown.
    pub(crate) secrets: Vec<String>,
    pub(crate) authenticated: bool,
    files: Vec<NamedTempFile>,
    /// Held for as long as ssh may use it.
    relay: Option<Relay>,
}

/// A server that ssh connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SshHost {
    pub(crate) name: String,
    pub(crate) port: Option<u16>,
}

impl SshHost {
    /// What it is called in files of known hosts.
    pub(super) fn alias(&self) -> String {
        match self.port {
            Some(port) if port != SSH_PORT => format!("[{}]:{port}", self.name),
            _ => self.name.clone(),
        }
    }
}

/// Checks the address of `remote` and prepares access to it. `pinned` are the lines of known hosts that were found
/// for [`KnownHosts::Pinned`]; files are made in `home`.
pub(crate) fn prepare(remote: &Remote, pinned: Option<&str>, home: &Path) -> Result<Access, Error> {
    let url = remote.fetch_url();
    let parts = check(url, remote)?;
    let mut access = Access {
        url: url.to_owned(),
        protocols: protocols(parts.scheme()),
        settings: Vec::new(),
        variables: Vec::new(),
        secrets: Vec::new(),
        authenticated: false,
        files: Vec::new(),
        relay: None,
    };
    match parts.scheme() {
        "http" | "https" => access.prepare_http(remote, &parts),
        "ssh" | "git+ssh" | "ssh+git" => access.prepare_ssh(remote, pinned, home)?,
        _ => {}
    }
    Ok(access)
}

/// The server of `remote`, if ssh is used.
pub(crate) fn ssh_host(remote: &Remote) -> Result<Option<SshHost>, Error> {
    let parts = check(remote.fetch_url(), remote)?;
    Ok(is_ssh(parts.scheme()).then(|| SshHost {
        name: parts.hostname().to_owned(),
        port: parts.port().parse().ok(),
    }))
}

fn is_ssh(scheme: &str) -> bool {
    matches!(scheme, "ssh" | "git+ssh" | "ssh+git")
}

pub(super) fn check(url: &str, remote: &Remote) -> Result<GoUrl, Error> {
    let refuse = |reason| {
        Error::from(Blocked::Address {
            url: redact_text(url),
            reason,
        })
    };
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(refuse("it has spaces or control characters"));
    }
    if url.starts_with('-') {
        return Err(refuse("it looks like an option"));
    }
    let parts = GoUrl::parse(url).map_err(|_| refuse("it is not a URL"))?;
    if !url.contains("://") || parts.scheme().is_empty() {
        return Err(refuse("it is not a URL with a scheme"));
    }
    let scheme = parts.scheme().to_owned();
    match scheme.as_str() {
        "file" if remote.options.allow_file => return Ok(parts),
        "https" | "ssh" | "git+ssh" | "ssh+git" => {}
        "http" | "git" if remote.insecure => {}
        "http" | "git" => {
            return Err(Blocked::Insecure {
                url: redact_text(url),
                scheme,
            }
            .into());
        }
        _ => return Err(refuse("its scheme is not allowed")),
    }
    if parts.hostname().is_empty() || parts.hostname().starts_with('-') {
        return Err(refuse("it has no usable host"));
    }
    let user = user_of(url);
    if user.contains(':') || (!user.is_empty() && !is_ssh(&scheme)) {
        return Err(refuse(
            "it has credentials in it, which belong into the configuration",
        ));
    }
    if user.starts_with('-') {
        return Err(refuse("its user name looks like an option"));
    }
    Ok(parts)
}

/// What stands before the at sign of the host.
fn user_of(url: &str) -> &str {
    url.split_once("://")
        .map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(rest))
        .and_then(|authority| authority.rsplit_once('@'))
        .map_or("", |(user, _)| user)
}

fn protocols(scheme: &str) -> &'static str {
    match scheme {
        // A redirect may lead to encryption, not away from it.
        "http" => "http:https",
        "https" => "https",
        "git" => "git",
        "file" => "file",
        _ => "ssh",
    }
}

impl Access {
    fn prepare_http(&mut self, remote: &Remote, parts: &GoUrl) {
        let options = &remote.options;
        if let Some(credentials) = &options.credentials
            && parts.scheme() == "https"
        {
            // Settings for a URL hold for what is below it, so that no other host is ever sent the headers.
            let key = format!("http.https://{}/.extraHeader", parts.host());
            for (name, value) in headers(credentials) {
                self.settings
                    .push((key.clone(), format!("{name}: {value}")));
                self.hide(&value);
            }
            self.hide_password(credentials);
            self.authenticated = true;
        }
        if let Some(file) = &options.ca_file {
            self.set("http.sslCAInfo", &file.to_string_lossy());
        }
        if let Some(client) = &options.client_certificate {
            self.set("http.sslCert", &client.certificate.to_string_lossy());
            self.set("http.sslKey", &client.key.to_string_lossy());
            self.authenticated = true;
        }
        if let Some(proxy) = &options.proxy {
            self.set("http.proxy", proxy.as_url().as_str());
            self.secrets
                .extend(proxy.as_url().password().map(str::to_owned));
        }
    }

    fn prepare_ssh(
        &mut self,
        remote: &Remote,
        pinned: Option<&str>,
        home: &Path,
    ) -> Result<(), Error> {
        let ssh = &remote.options.ssh;
        let mut words: Vec<String> = [
            "ssh",
            "-F",
            "/dev/null",
            "-oBatchMode=yes",
            "-oControlMaster=no",
            "-oControlPath=none",
            "-oForwardAgent=no",
            "-oClearAllForwardings=yes",
            "-oPermitLocalCommand=no",
            "-oConnectTimeout=20",
            "-oServerAliveInterval=15",
            "-oServerAliveCountMax=3",
            "-oStrictHostKeyChecking=yes",
            "-oUpdateHostKeys=no",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some(key) = &ssh.key {
            let mut text = key.expose().to_owned();
            if !text.ends_with('\n') {
                text.push('\n');
            }
            let file = self.private_file(home, text.as_bytes())?;
            words.extend(["-oIdentitiesOnly=yes".to_owned(), "-i".to_owned(), file]);
            self.authenticated = true;
        }
        if let Some(agent) = &ssh.agent {
            self.variables
                .push(("SSH_AUTH_SOCK", agent.to_string_lossy().into_owned()));
            self.authenticated = true;
        }
        let known_hosts = match &ssh.known_hosts {
            KnownHosts::System => None,
            KnownHosts::File(path) => Some(path.to_string_lossy().into_owned()),
            KnownHosts::Pinned(_) => {
                Some(self.private_file(home, pinned.unwrap_or_default().as_bytes())?)
            }
        };
        if let Some(file) = known_hosts {
            words.push(format!("-oUserKnownHostsFile={}", ssh_quoted(&file)));
            words.push("-oGlobalKnownHostsFile=/dev/null".to_owned());
        }
        let command: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
        self.variables.push(("GIT_SSH_COMMAND", command.join(" ")));
        self.variables.push(("GIT_SSH_VARIANT", "ssh".to_owned()));
        Ok(())
    }

    /// Lets it connect to permitted addresses only: names are resolved here, and once.
    pub(super) async fn confine(
        &mut self,
        remote: &Remote,
        outbound: &Outbound,
    ) -> Result<(), Error> {
        let parts = check(remote.fetch_url(), remote)?;
        let host = parts.hostname();
        let scheme = parts.scheme();
        if scheme == "file" {
            return Ok(());
        }
        if scheme.starts_with("http") {
            // Where a redirect leads is looked at by ourselves.
            self.set("http.followRedirects", "false");
        }
        if remote.options.proxy.is_some() && (scheme.starts_with("http") || is_ssh(scheme)) {
            // The proxy resolves names, and is the one to refuse them. An address needs no resolving.
            if let Ok(address) = host.parse::<std::net::IpAddr>()
                && !outbound.permits(host, address)
            {
                return Err(Blocked::Destination(Refused(host.to_owned())).into());
            }
            return Ok(());
        }
        let usual = match scheme {
            "https" => 443,
            "http" => 80,
            "git" => 9418,
            _ => 22,
        };
        let port = parts.port().parse().unwrap_or(usual);
        let addresses = outbound.resolve(host).await?;
        if scheme.starts_with("http") {
            let list: Vec<String> = addresses
                .iter()
                .map(|address| match address {
                    std::net::IpAddr::V4(v4) => v4.to_string(),
                    std::net::IpAddr::V6(v6) => format!("[{v6}]"),
                })
                .collect();
            if host.parse::<std::net::IpAddr>().is_err() {
                let pinned = format!("{host}:{port}:{}", list.join(","));
                self.set("http.curloptResolve", &pinned);
            }
        } else if is_ssh(scheme)
            && let Some(address) = addresses.first()
            && let Some((_, command)) = self
                .variables
                .iter_mut()
                .find(|(name, _)| *name == "GIT_SSH_COMMAND")
        {
            let named = SshHost {
                name: host.to_owned(),
                port: Some(port),
            };
            add_options(
                command,
                &[
                    format!("-oHostName={address}"),
                    format!("-oHostKeyAlias={}", named.alias()),
                ],
            );
        }
        Ok(())
    }

    /// Lets ssh reach `host` through `relay`, and know its key by its own name.
    pub(super) fn relay_through(&mut self, relay: Relay, host: &SshHost) {
        let command = self
            .variables
            .iter_mut()
            .find(|(name, _)| *name == "GIT_SSH_COMMAND");
        if let Some((_, command)) = command {
            // Of an option that is given twice the first counts, and git adds its own behind.
            add_options(
                command,
                &[
                    format!("-oHostName={}", relay.address.ip()),
                    format!("-oPort={}", relay.address.port()),
                    format!("-oHostKeyAlias={}", host.alias()),
                ],
            );
        }
        self.relay = Some(relay);
    }

    /// The name of a new file that only this user can read (tempfile makes no other).
    fn private_file(&mut self, home: &Path, content: &[u8]) -> Result<String, Error> {
        let write = || {
            let mut file = NamedTempFile::with_prefix_in("access-", home)?;
            file.write_all(content)?;
            Ok(file)
        };
        let file = write().map_err(Error::io("writing a file for ssh"))?;
        let name = file.path().to_string_lossy().into_owned();
        self.files.push(file);
        Ok(name)
    }

    fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// The value of a header, and what of it is coded or follows a word.
    fn hide(&mut self, header: &str) {
        self.secrets.push(header.to_owned());
        self.secrets
            .extend(header.split_once(' ').map(|(_, coded)| coded.to_owned()));
    }

    fn hide_password(&mut self, credentials: &Credentials) {
        if let Credentials::Basic {
            password: secret, ..
        }
        | Credentials::Bearer(secret) = credentials
        {
            self.secrets.push(secret.expose().to_owned());
            self.secrets.push(STANDARD.encode(secret.expose()));
        }
    }
}

fn add_options(command: &mut String, options: &[String]) {
    for option in options {
        command.push(' ');
        command.push_str(&shell_quoted(option));
    }
}

/// For the shell through which git runs the command for ssh.
fn shell_quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// For ssh, which splits this option's value at spaces.
fn ssh_quoted(file: &str) -> String {
    if file.contains([' ', '\t']) {
        format!("\"{file}\"")
    } else {
        file.to_owned()
    }
}

/// Whether repositories of `remote` are reached in a way that Go calls secure, or insecurity was allowed.
pub(crate) fn is_allowed(remote: &Remote, system: VersionControl) -> Result<(), Error> {
    let url = remote.fetch_url();
    if system == VersionControl::Git {
        return check(url, remote).map(drop);
    }
    let parts = GoUrl::parse(url).map_err(|_| Blocked::Address {
        url: redact_text(url),
        reason: "it is not a URL",
    })?;
    let as_git = match parts.scheme() {
        "svn" => "git",
        "svn+ssh" | "bzr+ssh" => "ssh",
        scheme => scheme,
    };
    check(&parts.with_scheme(as_git).expose(), remote).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{RemoteOptions, SshOptions};
    use goenv::netrc::Secret;

    fn complaint(remote: &Remote) -> String {
        let home = tempfile::tempdir().unwrap();
        prepare(remote, None, home.path()).map_or_else(|e| e.to_string(), |_| String::new())
    }

    #[test]
    fn addresses_that_could_do_harm_are_refused() {
        for (url, reason) in [
            ("-upload-pack=x", "it looks like an option"),
            ("--upload-pack=x://h", "it looks like an option"),
            (
                "ext::sh -c touch% /x",
                "it has spaces or control characters",
            ),
            ("ext::sh", "it is not a URL with a scheme"),
            ("ext::sh://x", "its scheme is not allowed"),
            ("ext://sh", "its scheme is not allowed"),
            ("file:///etc", "its scheme is not allowed"),
            ("/etc/x", "it is not a URL with a scheme"),
            ("git@h:x", "it is not a URL"),
            ("h:x", "it is not a URL with a scheme"),
            ("ssh://-oProxyCommand=x/y", "it has no usable host"),
            ("ssh://-x@h/y", "its user name looks like an option"),
            ("https://", "it has no usable host"),
            (
                "https://u:p@h/x",
                "it has credentials in it, which belong into the configuration",
            ),
            (
                "https://token@h/x",
                "it has credentials in it, which belong into the configuration",
            ),
            (
                "ssh://u:p@h/x",
                "it has credentials in it, which belong into the configuration",
            ),
            ("https://h/x\n", "it has spaces or control characters"),
            ("https://h/\u{7f}", "it has spaces or control characters"),
        ] {
            let complaint = complaint(&Remote::anonymous(url));
            assert!(
                complaint.ends_with(&format!("unusable repository address: {reason}")),
                "{url}: {complaint}"
            );
            assert!(!complaint.contains(":p@") && !complaint.contains("token@"));
        }
        for url in ["http://h/x", "git://h/x"] {
            assert!(complaint(&Remote::anonymous(url)).contains("refusing insecure scheme"));
            let mut remote = Remote::anonymous(url);
            remote.insecure = true;
            assert_eq!(complaint(&remote), "");
        }
        for url in [
            "https://h:8443/x/-y",
            "ssh://git@h/x",
            "git+ssh://h:22/~u/x",
        ] {
            assert_eq!(complaint(&Remote::anonymous(url)), "");
        }
    }

    #[test]
    fn a_token_goes_to_its_host_through_the_environment_only() {
        let home = tempfile::tempdir().unwrap();
        let mut remote = Remote::anonymous("https://git.example:8443/x");
        remote.options.credentials = Some(Credentials::Basic {
            username: "oauth2".to_owned(),
            password: Secret::new("hush"),
        });
        let access = prepare(&remote, None, home.path()).unwrap();
        assert_eq!(
            access.settings,
            [(
                "http.https://git.example:8443/.extraHeader".to_owned(),
                "Authorization: Basic b2F1dGgyOmh1c2g=".to_owned()
            )]
        );
        assert!(access.authenticated && !access.url.contains("hush"));
        assert!(access.secrets.contains(&"b2F1dGgyOmh1c2g=".to_owned()));
        remote.url = "http://git.example/x".to_owned();
        remote.insecure = true;
        assert!(
            prepare(&remote, None, home.path())
                .unwrap()
                .settings
                .is_empty()
        );
    }

    #[test]
    fn ssh_never_asks_and_its_files_vanish() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::Builder::new()
            .prefix("it's a ")
            .tempdir()
            .unwrap();
        let remote = Remote {
            url: "ssh://git@h/x".to_owned(),
            insecure: false,
            options: RemoteOptions {
                ssh: SshOptions {
                    key: Some(Secret::new("KEY")),
                    agent: None,
                    known_hosts: KnownHosts::Pinned(vec!["SHA256:x".to_owned()]),
                },
                ..RemoteOptions::default()
            },
        };
        let access = prepare(&remote, Some("h ssh-ed25519 AAAA\n"), home.path()).unwrap();
        let (_, command) = &access.variables[0];
        for part in [
            "'-oBatchMode=yes'",
            "'-oStrictHostKeyChecking=yes'",
            "'-oIdentitiesOnly=yes'",
            r"it'\''s a ",
        ] {
            assert!(command.contains(part), "{command}");
        }
        assert!(!command.contains("KEY"));
        let files: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().collect();
        assert_eq!(files.len(), 2);
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(access);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
        let host = ssh_host(&remote).unwrap().unwrap();
        assert_eq!((host.name.as_str(), host.port), ("h", None));
    }
}
