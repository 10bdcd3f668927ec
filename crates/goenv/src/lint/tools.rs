//! git's configuration, netrc, ssh.

use fault::{Risk, Rule};

use crate::finding::Finding;
use crate::fix::{Change, Fix, GitLevel, Scope};
use crate::go_url::GoUrl;
use crate::goproxy::{ProxyList, Target};
use crate::key::Key;
use crate::private::Patterns;
use crate::redact::redact_text;
use crate::report::{GitValue, Report};

pub(super) fn check(report: &Report, found: &mut Vec<Finding>) {
    check_git(report, found);
    check_rewrites(report, found);
    check_netrc(report, found);
    for (key, mode) in &report.ssh.keys {
        if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
            let fix = Change::Mode {
                path: key.clone(),
                mode: 0o600,
                previous: mode,
            };
            found.push(
                Finding::new(Rule::SshKeyReadable)
                    .at(key, None)
                    .with("value", format!("{mode:o}"))
                    .fix(Fix::new(fix, Scope::User, Risk::Low)),
            );
        }
    }
}

fn check_git(report: &Report, found: &mut Vec<Finding>) {
    let git = &report.git;
    if git.program.is_none() {
        let list = ProxyList::parse(report.go.value(Key::GOPROXY)).ok();
        let uses = list.is_some_and(|list| list.entries.iter().any(|e| e.target == Target::Direct));
        if uses {
            found.push(Finding::new(Rule::GitMissing));
        }
        return;
    }
    if let Some(error) = &git.error {
        found.push(Finding::new(Rule::GitConfigBroken).with("detail", error));
    }
    for value in git.named("http", "sslverify") {
        if matches!(
            value.value.to_lowercase().as_str(),
            "false" | "no" | "off" | "0" | ""
        ) {
            found.push(about(Rule::GitSslVerifyOff, value).fix(unset(report, value)));
        }
    }
    let home = report.machine.home();
    for name in ["sslcainfo", "sslcapath"] {
        for value in git.named("http", name) {
            let path = match (value.value.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => std::path::PathBuf::from(&value.value),
            };
            if !path.as_os_str().is_empty() && !path.exists() {
                let finding =
                    about(Rule::GitCaMissing, value).with("value", path.to_string_lossy());
                found.push(finding.fix(unset(report, value)));
            }
        }
    }
    check_git_proxy(report, found);
}

fn about(rule: Rule, value: &GitValue) -> Finding {
    let finding = Finding::new(rule)
        .about(redact_text(&value.key))
        .with("value", &value.value);
    match &value.file {
        Some(file) => finding.at(file, None),
        None => finding,
    }
}

/// Removes a value from the file it stands in.
fn unset(report: &Report, value: &GitValue) -> Fix {
    let level = level(report, value);
    let change = Change::Git {
        level,
        key: value.key.clone(),
        value: None,
        previous: Some(value.value.clone()),
    };
    let scope = match level {
        GitLevel::System => Scope::System,
        GitLevel::Global => Scope::User,
        GitLevel::Local => Scope::Project,
    };
    Fix::new(change, scope, Risk::Low)
}

fn level(report: &Report, value: &GitValue) -> GitLevel {
    let Some(file) = &value.file else {
        return GitLevel::Global;
    };
    if file.ends_with(".git/config") {
        GitLevel::Local
    } else if report
        .machine
        .home()
        .is_some_and(|home| file.starts_with(home))
    {
        GitLevel::Global
    } else {
        GitLevel::System
    }
}

fn check_git_proxy(report: &Report, found: &mut Vec<Finding>) {
    for value in report.git.named("http", "proxy") {
        if value.value.is_empty() {
            continue;
        }
        let is_url = value.value.contains("://");
        let known = [
            "http://",
            "https://",
            "socks://",
            "socks4://",
            "socks4a://",
            "socks5://",
            "socks5h://",
        ];
        let has_scheme = known.iter().any(|scheme| value.value.starts_with(scheme));
        let malformed = is_url && (!has_scheme || GoUrl::parse(&value.value).is_err());
        if malformed || value.value.contains(char::is_whitespace) {
            found.push(about(Rule::GitProxyMalformed, value).fix(unset(report, value)));
        } else if value.key == "http.proxy" && report.http.https().is_none() {
            found.push(about(Rule::GitProxyOnly, value));
        }
    }
}

fn check_rewrites(report: &Report, found: &mut Vec<Finding>) {
    for value in report.git.named("url", "insteadof") {
        let base = value
            .key
            .strip_prefix("url.")
            .and_then(|key| key.strip_suffix(".insteadof"));
        let Some(base) = base else { continue };
        if redact_text(base) != base {
            found.push(about(Rule::GitSecret, value));
        }
        let Some(host) = ssh_host(base).filter(|_| value.value.starts_with("http")) else {
            continue;
        };
        let has_command = report.git.get("core.sshcommand").is_some()
            || report
                .machine
                .environment
                .non_empty("GIT_SSH_COMMAND")
                .is_some();
        // A configuration may name keys in ways that are not looked into.
        if !report.ssh.can_log_in() && report.ssh.config.is_none() && !has_command {
            found.push(about(Rule::GitInsteadOfNoKey, value).with("host", host));
        } else if report.ssh.knows(host) == Some(false)
            && report.ssh.config.is_none()
            && !has_command
        {
            found.push(about(Rule::SshHostUnknown, value).with("host", host));
        }
    }
}

/// The host of `ssh://user@host/` or `user@host:`.
fn ssh_host(base: &str) -> Option<&str> {
    let rest = match base.split_once("://") {
        Some(("ssh" | "git+ssh" | "ssh+git", rest)) => rest,
        None if base.contains('@') => base,
        _ => return None,
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split(['/', ':'])
        .next()
        .filter(|host| !host.is_empty())
}

fn check_netrc(report: &Report, found: &mut Vec<Finding>) {
    let netrc = &report.netrc;
    let Some(path) = &netrc.path else {
        return;
    };
    if !netrc.exists {
        check_private_hosts(report, found);
        return;
    }
    if let Some(error) = &netrc.error {
        found.push(
            Finding::new(Rule::NetrcUnreadable)
                .at(path, None)
                .with("detail", error),
        );
    }
    if let Some(mode) = netrc.mode.filter(|mode| mode & 0o077 != 0) {
        let change = Change::Mode {
            path: path.clone(),
            mode: 0o600,
            previous: mode,
        };
        found.push(
            Finding::new(Rule::NetrcReadable)
                .at(path, None)
                .with("value", format!("{mode:o}"))
                .fix(Fix::new(change, Scope::User, Risk::Low)),
        );
    }
    for (line, machine) in &netrc.incomplete {
        found.push(
            Finding::new(Rule::NetrcIncomplete)
                .at(path, Some(*line))
                .with("host", machine),
        );
    }
    if let Some(line) = netrc.default_line {
        found.push(Finding::new(Rule::NetrcDefault).at(path, Some(line)));
    }
    check_private_hosts(report, found);
}

/// Hosts of private modules for which nothing is there to log in with.
fn check_private_hosts(report: &Report, found: &mut Vec<Finding>) {
    let globs = Patterns::parse(report.go.value(Key::GOPRIVATE));
    let has_helper = report.git.get("credential.helper").is_some();
    let goauth = report.go.value(Key::GOAUTH);
    if has_helper || report.ssh.can_log_in() || !matches!(goauth, "" | "netrc") {
        return;
    }
    for host in globs.globs().filter_map(|glob| glob.split('/').next()) {
        let mut helpers = report.git.named("credential", "helper");
        if helpers.any(|helper| helper.key.contains(host)) {
            continue;
        }
        let is_plain = host.contains('.') && !host.contains(['*', '?', '[']);
        let prefix = format!("https://{host}/");
        let rewritten = report
            .git
            .rewrites()
            .iter()
            .any(|rule| rule.prefix.starts_with(&prefix) || prefix.starts_with(&rule.prefix));
        if is_plain && !rewritten && report.netrc.entries.lookup_text(host).is_none() {
            found.push(
                Finding::new(Rule::NetrcMissing)
                    .about("GOPRIVATE")
                    .with("host", host),
            );
        }
    }
}
