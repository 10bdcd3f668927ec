//! Version control: the tool, its transports, and who may read the repository.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::url;
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    let rules = [tool, transfer, host_key, credentials, repository, revision];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

/// The tool itself: missing, or forbidden.
fn tool(case: &Case) -> Verdicts {
    const MISSING: &[&str] = &[
        "exec: \"git\"",
        "exec: \"hg\"",
        "exec: \"svn\"",
        "exec: \"bzr\"",
        "exec: \"fossil\"",
        "missing git command",
        "git: command not found",
        "git: not found",
        "'git' is not recognized",
        "missing mercurial command",
        "missing subversion command",
        "missing bazaar command",
        "hg: command not found",
        "no such file or directory: 'git'",
        "git executable not found",
        "git：未找到命令",
        "missing command git",
    ];
    const INSECURE: &[&str] = &[
        "insecure url",
        "to insecure url",
        "-insecure flag",
        "insecure protocol",
        "refusing to use insecure",
        "insecure scheme",
        "from secure url",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(&["govcs disallows", "disallows using"]) {
        return found(Label::VcsGovcsDisallowed, 0.98, at, words);
    }
    if let Some((at, words)) = client.any(MISSING) {
        let missing = words.starts_with("exec")
            && !client.has_any(&["not found", "no such file", "cannot find"]);
        return if missing {
            Verdicts::new()
        } else {
            found(Label::VcsGitMissing, 0.97, at, words)
        };
    }
    if let Some((at, words)) = client.any(&["malformed entry in govcs", "empty entry in govcs"]) {
        return found(Label::VcsGovcsDisallowed, 0.7, at, words);
    }
    if let Some((at, words)) = client.any(&["no secure protocol found"]) {
        return found(Label::VcsInsecureHttp, 0.75, at, words)
            .or(Label::AuthHttpsNoCredential, 0.45);
    }
    match client.any(INSECURE) {
        Some((at, words)) => found(Label::VcsInsecureHttp, 0.92, at, words),
        None => Verdicts::new(),
    }
}

/// A transfer that began and broke.
fn transfer(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "rpc failed",
        "early eof",
        "index-pack failed",
        "invalid index-pack output",
        "fetch-pack: unexpected disconnect",
        "bytes of body are still expected",
        "unpack-objects",
        "premature end of pack",
        "the remote end hung up unexpectedly",
        "protocol error: bad pack",
        "inflate: data stream error",
        "transfer closed with",
        "sideband packet",
    ];
    let client = &case.client;
    let Some((at, words)) = client.any(WORDS) else {
        return Verdicts::new();
    };
    let refused = client.has_any(&[
        "permission denied",
        "repository not found",
        "access denied",
        "authentication failed",
        "error: 403",
        "error: 401",
        "http 403",
        "http 401",
    ]);
    if refused && !client.has_any(&["early eof", "index-pack"]) {
        return Verdicts::new();
    }
    found(Label::GitTransferBroken, 0.95, at, words).or(Label::TcpReset, 0.25)
}

fn host_key(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "host key verification failed",
        "remote host identification has changed",
        "authenticity of host",
        "no matching host key type",
    ];
    const KEY: &[&str] = &[
        "permission denied (",
        "too many authentication failures",
        "sign_and_send_pubkey",
        "no supported authentication methods",
        "error in libcrypto",
        "agent refused operation",
        "bad permissions",
        "ignored private key",
        "no identities",
        "unprotected private key",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(WORDS) {
        return found(Label::AuthSshHostkey, 0.97, at, words);
    }
    // `Permanently added the … host key for IP address …` tells of success.
    let changed = client
        .lower()
        .position(|text| text.contains("host key for ") && text.contains("has changed"));
    if let Some(at) = changed {
        return found(Label::AuthSshHostkey, 0.97, at, "host key for ");
    }
    if let Some((at, words)) = client
        .any(KEY)
        .filter(|_| client.has_any(&["publickey", "key", "git@", "ssh", "permission denied ("]))
    {
        return found(Label::AuthSshPublickey, 0.95, at, words).or(Label::AuthRepoNotFound, 0.2);
    }
    Verdicts::new()
}

fn credentials(case: &Case) -> Verdicts {
    const REJECTED: &[&str] = &[
        "could not read password",
        "authentication failed for",
        "http basic: access denied",
        "invalid username or password",
        "invalid username or token",
        "invalid credentials",
        "support for password authentication was removed",
        "requested url returned error: 401",
        "requested url returned error: 403",
        "bad credentials",
        "token is expired",
        "token expired",
        "invalid token",
        "personal access token",
        "saml sso",
        "remote: access denied",
        "returned error: 403",
        "write access to repository not granted",
        "the token has",
        "remote: unauthorized",
        "authentication failed",
        "http 401",
        "http 403",
        "must use a personal access token",
        "remote: forbidden",
    ];
    let client = &case.client;
    let asked = client.any(&[
        "goauth=",
        "goauth command",
        "goauth encountered",
        "git credential fill",
        "could not read username",
        "terminal prompts disabled",
        "no credentials",
        "askpass",
    ]);
    if let Some((at, words)) = asked.filter(|_| !client.has("could not read password")) {
        return unknown_user(case, at, words);
    }
    match client.any(REJECTED).filter(|_| is_git(case)) {
        Some((at, words)) => {
            found(Label::AuthTokenRejected, 0.92, at, words).or(Label::AuthRepoNotFound, 0.3)
        }
        None => Verdicts::new(),
    }
}

/// git was asked for a user name: the repository is private, or does not exist.
fn unknown_user(case: &Case, at: usize, words: &'static str) -> Verdicts {
    let module = case.module().unwrap_or_default();
    let second = if url::is_forge(url::host_of(module.split('/').next().unwrap_or_default())) {
        0.45
    } else {
        0.3
    };
    found(Label::AuthHttpsNoCredential, 0.93, at, words).or(Label::ModRepoGone, second)
}

fn repository(case: &Case) -> Verdicts {
    const HIDDEN: &[&str] = &[
        "error: repository not found",
        "remote: repository not found",
        "repository not found",
        "could not be found or you don't have permission",
        "tf401019",
        "project you were looking for",
        "you may not have access",
        "does not exist or you do not have permission",
        "you do not have permission",
        "does not exist or you don't have",
        "repository or object not found",
        "conq: repository access denied",
        "access denied or repository not exported",
        "项目不存在",
        "您没有权限",
    ];
    const GONE: &[&str] = &[
        "repository unavailable due to dmca",
        "has been disabled by github",
        "access to this repository has been disabled",
        "takedown",
        "repository has been archived and deleted",
        "repository is disabled",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(GONE) {
        return found(Label::ModRepoGone, 0.93, at, words);
    }
    if let Some((at, words)) = client.any(HIDDEN).filter(|_| is_git(case)) {
        return found(Label::AuthRepoNotFound, 0.9, at, words).or(Label::ModRepoGone, 0.45);
    }
    let missing = client
        .lower()
        .enumerate()
        .find(|(_, text)| text.contains("fatal: repository '") && text.contains("not found"));
    if let Some((at, _)) = missing {
        return found(Label::ModRepoGone, 0.78, at, "not found").or(Label::AuthRepoNotFound, 0.45);
    }
    if let Some((at, words)) = client.any(&[
        "could not read from remote repository",
        "correct access rights",
    ]) {
        return found(Label::AuthSshPublickey, 0.6, at, words).or(Label::AuthRepoNotFound, 0.45);
    }
    Verdicts::new()
}

/// The repository is there, the revision is not.
fn revision(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "unknown revision",
        "couldn't find remote ref",
        "remote branch",
        "not our ref",
        "reference is not a tree",
        "did not match any file(s) known",
        "bad revision",
        "not a valid object name",
        "no such ref",
        "upload-pack: not our ref",
        "needed a single revision",
    ];
    let client = &case.client;
    let Some((at, words)) = client.any(WORDS).filter(|_| {
        is_git(case)
            || client.has("invalid version")
            || client.has("go: ")
            || case.module().is_some()
            || case.log.fragment
    }) else {
        return Verdicts::new();
    };
    if words == "remote branch" && !client.has("not found") {
        return Verdicts::new();
    }
    if client.has_any(&["should be v", "module path must match", "errors parsing"]) {
        return Verdicts::new();
    }
    if case.log.piped_chain {
        return found(Label::GoproxyFallbackMasksError, 0.82, at, words)
            .or(Label::ModUnknownRevision, 0.45);
    }
    if case.log.tagged {
        return found(Label::GoproxyLag, 0.8, at, words).or(Label::ModUnknownRevision, 0.45);
    }
    found(Label::ModUnknownRevision, 0.93, at, words).or(Label::GoproxyLag, 0.3)
}

fn is_git(case: &Case) -> bool {
    case.log.fragment
        || case.client.has_any(&[
            "fatal: ",
            "remote: ",
            "git",
            "exit status 128",
            "error: ",
            "unable to access",
        ])
}
