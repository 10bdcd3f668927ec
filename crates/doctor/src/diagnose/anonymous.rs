//! A diagnosis to attach to a ticket, without what nobody else has to know: users, home directories, internal hosts.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fault::Lang;
use goenv::{Environment, Key};
use url::Url;

use super::{Diagnosis, Layout};
use crate::probe::dns::public::{is_bogus, is_public_domain};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Markdown,
    /// For programs.
    Json,
}

/// Writes a report. Internal hosts become `host-1.internal` and so on, but for the one that the first cause is about.
pub fn write_report(diagnosis: &Diagnosis, form: Form, layout: &Layout) -> String {
    let lang: Lang = layout.lang;
    let report = match form {
        Form::Json => format!("{:#}\n", diagnosis.to_json(lang, layout.shell)),
        Form::Markdown => {
            let sentence = diagnosis.sentence(lang);
            let text = diagnosis.to_text(layout);
            let fence = fence(&text);
            format!("# modkeep doctor\n\n{sentence}\n\n{fence}\n{text}\n{fence}\n")
        }
    };
    let mut report = without_people(&report, &diagnosis.report.machine.environment);
    let mut number = 1;
    for host in internal_hosts(diagnosis) {
        let replaced = replace_host(&report, &host, &format!("host-{number}.internal"));
        number += usize::from(replaced != report);
        report = replaced;
    }
    report
}

/// A fence that no line of the text closes.
fn fence(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    fence
}

fn without_people(report: &str, environment: &Environment) -> String {
    let mut report = report.to_owned();
    if let Ok(home) = environment.home_dir() {
        let home = home.display().to_string();
        if home.len() > 1 {
            report = report.replace(&home, "~");
        }
    }
    for name in ["USER", "LOGNAME", "USERNAME"] {
        // Short or common names would take words apart that are no names.
        if let Some(user) = environment
            .non_empty(name)
            .filter(|user| user.len() > 2 && *user != "root")
        {
            report = report.replace(&format!("/{user}"), "/USER");
        }
    }
    report
}

/// Hosts that only this network knows and that the ticket can do without, the longest first.
fn internal_hosts(diagnosis: &Diagnosis) -> Vec<String> {
    let mut hosts = BTreeSet::new();
    let report = &diagnosis.report;
    let mut add = |host: &str| {
        let host = host.trim_matches(['[', ']', '.', '*']).to_lowercase();
        if is_internal(&host) {
            hosts.insert(host);
        }
    };
    for row in &report.rows {
        let is_patterns = [
            Key::GOPRIVATE,
            Key::GONOPROXY,
            Key::GONOSUMDB,
            Key::GOINSECURE,
        ]
        .iter()
        .any(|key| key.name() == row.name);
        let shadowed = row.shadowed.iter().map(|one| one.value.as_str());
        let elsewhere = row.elsewhere.iter().filter_map(|one| one.value.as_deref());
        let values = std::iter::once(row.value.as_str())
            .chain(shadowed)
            .chain(elsewhere);
        for word in values
            .flat_map(|value| value.split(|c: char| c.is_whitespace() || ",|;'\"".contains(c)))
        {
            if is_patterns {
                add(word.split('/').next().unwrap_or_default());
            } else {
                add(&host_of(word).unwrap_or_default());
            }
        }
        if row.name.eq_ignore_ascii_case("NO_PROXY") {
            for word in row.value.split(',') {
                add(word.trim());
            }
        }
    }
    for value in &report.git.values {
        add(&host_of(&value.value).unwrap_or_default());
        for word in value.key.split("url.") {
            add(&host_of(word).unwrap_or_default());
        }
    }
    if let Some(host) = report.machine.environment.non_empty("HOSTNAME") {
        add(host);
    }
    for probe in &diagnosis.hops {
        for word in probe
            .target
            .split_whitespace()
            .chain(probe.facts.iter().flat_map(|(_, value)| value.split(' ')))
        {
            let word = word.trim_start_matches('@');
            match host_of(word) {
                Some(host) => add(&host),
                None => add(&address_of(word).unwrap_or_default()),
            }
        }
    }
    for cause in &diagnosis.verdict.causes {
        if let Some(host) = &cause.failure.subjects.host {
            add(host);
        }
    }
    let needed = needed(diagnosis);
    let mut hosts: Vec<String> = hosts
        .into_iter()
        .filter(|host| !needed.contains(host))
        .collect();
    hosts.sort_by_key(|host| (std::cmp::Reverse(host.len()), host.clone()));
    hosts
}

/// What the first cause is about cannot be left out.
fn needed(diagnosis: &Diagnosis) -> Vec<String> {
    let Some(cause) = diagnosis.verdict.causes.first() else {
        return Vec::new();
    };
    let subjects = &cause.failure.subjects;
    let of_url = subjects.url.as_deref().and_then(host_of);
    let needed = subjects.host.clone().into_iter().chain(of_url);
    needed.map(|host| host.to_ascii_lowercase()).collect()
}

fn host_of(word: &str) -> Option<String> {
    let (_, rest) = word.split_once("://")?;
    let url = Url::parse(&format!("http://{rest}")).ok()?;
    url.host_str().map(str::to_owned)
}

/// An address with or without a port.
fn address_of(word: &str) -> Option<String> {
    let bare = word.parse::<IpAddr>().ok();
    let with_port = || Some(word.parse::<std::net::SocketAddr>().ok()?.ip());
    bare.or_else(with_port).map(|ip| ip.to_string())
}

fn is_internal(host: &str) -> bool {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return is_bogus(ip) && !ip.is_loopback() && !ip.is_unspecified();
    }
    let is_name = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    // Words without a dot would be found in the middle of sentences.
    is_name && host.contains('.') && !is_public_domain(host)
}

/// Replaces whole names only.
fn replace_host(text: &str, host: &str, by: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let lower = text.to_ascii_lowercase();
    let mut behind = lower.as_str();
    while let Some(at) = behind.find(host) {
        let (Some((before, from)), Some((_, low_from))) =
            (rest.split_at_checked(at), behind.split_at_checked(at))
        else {
            break;
        };
        let (Some((found, after)), Some((_, low_after))) = (
            from.split_at_checked(host.len()),
            low_from.split_at_checked(host.len()),
        ) else {
            break;
        };
        out.push_str(before);
        let last = before.chars().next_back();
        let is_whole = !last.is_some_and(is_part) && !after.chars().next().is_some_and(is_part);
        out.push_str(if is_whole { by } else { found });
        rest = after;
        behind = low_after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_replaced() {
        assert_eq!(
            replace_host(
                "git.corp.test, agit.corp.test; GIT.corp.test:8 git.corp.test2",
                "git.corp.test",
                "X"
            ),
            "X, agit.corp.test; X:8 git.corp.test2"
        );
    }

    #[test]
    fn internal_is_what_is_not_known_to_everybody() {
        for (host, expected) in [
            ("goproxy.corp.test", true),
            ("10.1.2.3", true),
            ("127.0.0.1", false),
            ("8.8.8.8", false),
            ("proxy.golang.org", false),
            ("api.github.com", false),
            ("direct", false),
            ("", false),
        ] {
            assert_eq!(is_internal(host), expected, "{host}");
        }
    }

    #[test]
    fn neither_home_nor_user_stays() {
        let environment =
            Environment::from_pairs([("HOME", "/home/somebody"), ("USER", "somebody")]);
        let report = without_people("/home/somebody/go/pkg /srv/somebody/x", &environment);
        assert_eq!(report, "~/go/pkg /srv/USER/x");
    }
}
