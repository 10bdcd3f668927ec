//! What programs say when they fail: without secrets, and sorted by hop.

use bstr::ByteSlice as _;
use fault::Label;
use goenv::redact::redact_text;

/// How much of the messages is shown, in bytes.
const SHOWN: usize = 2 << 10;

/// The end of `stderr`, fit to be shown: printable, without passwords in URLs and without any of `secrets`.
pub(crate) fn presentable(stderr: &[u8], secrets: &[String]) -> String {
    let mut text = stderr.to_str_lossy().into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "***");
    }
    let lines = text
        .split(['\n', '\r'])
        .map(|line| {
            line.chars()
                .filter(|c| !c.is_control() || *c == '\t')
                .collect::<String>()
        })
        .filter(|line| !line.trim().is_empty())
        .map(|line| redact_text(line.trim_end()));
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut start = text.len().saturating_sub(SHOWN);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default().to_owned()
}

/// What kind of run failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// It talked to a server.
    pub(crate) network: bool,
    /// It had credentials for it.
    pub(crate) authenticated: bool,
}

/// The hop that failed, by what git, ssh and their libraries say (in English: `LC_ALL=C`).
pub(crate) fn classify(messages: &str, run: Circumstances) -> Label {
    let text = messages.to_lowercase();
    let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    local_label(&any)
        .or_else(|| {
            run.network
                .then(|| auth_label(&any, run.authenticated))
                .flatten()
        })
        .or_else(|| run.network.then(|| transport_label(&any)).flatten())
        .unwrap_or(if run.network {
            Label::GitTransferBroken
        } else {
            Label::DiskCacheCorrupt
        })
}

fn local_label(any: &dyn Fn(&[&str]) -> bool) -> Option<Label> {
    if any(&[
        "no space left on device",
        "disk quota exceeded",
        "file too large",
    ]) {
        Some(Label::DiskFull)
    } else if any(&["read-only file system"]) {
        Some(Label::DiskReadonly)
    } else if any(&[
        "out of memory",
        "cannot fork",
        "too many open files",
        "resource temporarily unavailable",
        "cannot allocate memory",
    ]) {
        Some(Label::OsResourceLimit)
    } else if any(&["dubious ownership"]) {
        Some(Label::VcsDubiousOwnership)
    } else if any(&["unable to create", "insufficient permission"]) && any(&["permission denied"]) {
        Some(Label::DiskPermission)
    } else {
        None
    }
}

fn auth_label(any: &dyn Fn(&[&str]) -> bool, authenticated: bool) -> Option<Label> {
    let refused = if authenticated {
        Label::AuthTokenRejected
    } else {
        Label::AuthHttpsNoCredential
    };
    if any(&[
        "host key verification failed",
        "remote host identification has changed",
        "no matching host key",
        "host key is known for",
    ]) {
        Some(Label::AuthSshHostkey)
    } else if any(&["permission denied (", "too many authentication failures"]) {
        Some(Label::AuthSshPublickey)
    } else if any(&[
        "could not read username",
        "could not read password",
        "terminal prompts disabled",
        "authentication failed",
        "access denied",
        "invalid username or password",
        "returned error: 401",
        "returned error: 403",
        "http error 401",
        "http error 403",
        "e170001",
        "authorization failed",
    ]) {
        Some(refused)
    } else if any(&[
        "repository not found",
        "returned error: 404",
        "returned error: 410",
        "does not appear to be a git repository",
        "could not be found or you don't have permission",
        "' not found",
        "does not exist",
        "no repository found",
        "repository does not exist",
        "http error 404",
        "http error 410",
        "404 not found",
        "not a branch",
        "e160013",
        "e180001",
    ]) {
        Some(if authenticated {
            Label::AuthRepoNotFound
        } else {
            Label::ModRepoGone
        })
    } else {
        None
    }
}

fn transport_label(any: &dyn Fn(&[&str]) -> bool) -> Option<Label> {
    if any(&[
        "error: 407",
        "http code 407",
        "proxy authentication required",
        "407 from proxy",
    ]) {
        Some(Label::Httpproxy407)
    } else if any(&["from proxy after connect", "connect tunnel failed"]) {
        Some(Label::HttpproxyConnectForbidden)
    } else if any(&["could not resolve proxy"]) {
        Some(Label::HttpproxyConnectFailed)
    } else if any(&[
        "could not resolve host",
        "name or service not known",
        "no address associated",
    ]) {
        Some(Label::DnsNxdomain)
    } else if any(&["temporary failure in name resolution"]) {
        Some(Label::DnsServfail)
    } else if any(&[
        "connection refused",
        "couldn't connect to server",
        "failed to connect to",
    ]) {
        Some(Label::TcpRefused)
    } else if any(&[
        "port 22: connection timed out",
        "port 22: operation timed out",
    ]) {
        Some(Label::VcsSshBlocked)
    } else if any(&[
        "connection timed out",
        "operation timed out",
        "timed out after",
    ]) {
        Some(Label::TcpTimeout)
    } else if any(&["no route to host", "network is unreachable"]) {
        Some(Label::TcpNoRoute)
    } else if any(&[
        "certificate has expired",
        "certificate is expired",
        "expired certificate",
    ]) {
        Some(Label::TlsCertExpired)
    } else if any(&[
        "does not match target host",
        "no alternative certificate subject name",
    ]) {
        Some(Label::TlsHostnameMismatch)
    } else if any(&[
        "ssl certificate",
        "certificate verification failed",
        "certificate verify failed",
        "unable to get local issuer",
        "self-signed certificate",
        "self signed certificate",
    ]) {
        Some(Label::TlsUnknownCaMitm)
    } else if any(&[
        "wrong version number",
        "unexpected tls packet",
        "an unexpected packet",
    ]) {
        Some(Label::TlsPlainHttp)
    } else if any(&["connection reset", "recv failure"]) {
        Some(Label::TcpReset)
    } else if any(&["not allowed", "is not supported"]) && any(&["transport '"]) {
        Some(Label::VcsInsecureHttp)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_secrets_and_control_characters() {
        let stderr = b"remote: \x1b[31mhello\x07\rfatal: unable to access 'https://u:p@h/x/': token S3CRET\n\n\xff\n";
        let shown = presentable(stderr, &["S3CRET".to_owned(), String::new()]);
        assert_eq!(
            shown,
            "remote: [31mhello\nfatal: unable to access 'https://xxxxx@h/x/': token ***\n\u{fffd}"
        );
        let long = presentable(&vec![b'x'; 100_000], &[]);
        assert_eq!(long.len(), SHOWN);
        assert!(presentable("é".repeat(5000).as_bytes(), &[]).len() <= SHOWN);
    }

    #[test]
    fn messages_tell_the_hop() {
        let rows = [
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                Label::AuthHttpsNoCredential,
            ),
            (
                "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://h/x/'",
                Label::AuthHttpsNoCredential,
            ),
            (
                "remote: Repository not found.\nfatal: repository 'https://h/x/' not found",
                Label::ModRepoGone,
            ),
            (
                "fatal: unable to access 'https://h/': The requested URL returned error: 503",
                Label::GitTransferBroken,
            ),
            (
                "fatal: unable to access 'https://h/': Could not resolve host: h",
                Label::DnsNxdomain,
            ),
            (
                "ssh: Could not resolve hostname h: Temporary failure in name resolution",
                Label::DnsNxdomain,
            ),
            (
                "fatal: unable to access: Failed to connect to 127.0.0.1 port 9: Connection refused",
                Label::TcpRefused,
            ),
            (
                "ssh: connect to host h port 22: Connection timed out",
                Label::VcsSshBlocked,
            ),
            (
                "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                Label::AuthSshPublickey,
            ),
            ("Host key verification failed.", Label::AuthSshHostkey),
            (
                "fatal: unable to access: SSL certificate problem: certificate has expired",
                Label::TlsCertExpired,
            ),
            (
                "fatal: unable to access: server certificate verification failed. CAfile: none",
                Label::TlsUnknownCaMitm,
            ),
            (
                "error: RPC failed; curl 18 transfer closed\nfatal: early EOF",
                Label::GitTransferBroken,
            ),
            (
                "fatal: write error: No space left on device",
                Label::DiskFull,
            ),
            ("fatal: transport 'ext' not allowed", Label::VcsInsecureHttp),
            (
                "fatal: Out of memory, malloc failed",
                Label::OsResourceLimit,
            ),
        ];
        for (messages, want) in rows {
            let anonymous = Circumstances {
                network: true,
                authenticated: false,
            };
            assert_eq!(classify(messages, anonymous), want, "{messages}");
        }
        let known = Circumstances {
            network: true,
            authenticated: true,
        };
        assert_eq!(
            classify("terminal prompts disabled", known),
            Label::AuthTokenRejected
        );
        assert_eq!(
            classify("repository 'x' not found", known),
            Label::AuthRepoNotFound
        );
        let local = Circumstances {
            network: false,
            authenticated: false,
        };
        assert_eq!(
            classify("fatal: bad object", local),
            Label::DiskCacheCorrupt
        );
    }
}
