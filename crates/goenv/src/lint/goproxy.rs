//! GOPROXY: what go refuses, and what does not do what it looks like.

use fault::{Rule, Severity};

use super::fixes;
use crate::error::Error;
use crate::finding::Finding;
use crate::goproxy::{Entry, Fallback, ProxyList, Target};
use crate::key::Key;
use crate::private::Patterns;
use crate::redact::redact_text;
use crate::report::Report;

/// Hosts that once served modules and do not, or whose operator has another address.
const DEAD: [&str; 4] = [
    "goproxy.baidu.com",
    "goproxy.qiniu.com",
    "goproxy.huaweicloud.com",
    "gocenter.io",
];

/// Hosts that serve public modules to everybody.
const PUBLIC: [&str; 5] = [
    "proxy.golang.org",
    "goproxy.cn",
    "goproxy.io",
    "mirrors.aliyun.com",
    "repo.huaweicloud.com",
];

/// Go's own default (go.env).
const DEFAULT: &str = "https://proxy.golang.org,direct";

pub(super) fn check(report: &Report, found: &mut Vec<Finding>) {
    let value = report.go.value(Key::GOPROXY);
    match ProxyList::parse(value) {
        Ok(list) => {
            if let Some(finding) = looks_wrong(report, value) {
                // Go takes it, but not for what was meant.
                found.push(finding);
            } else {
                check_list(report, value, &list, found);
            }
        }
        Err(error) => found.push(refused(report, value, &error)),
    }
}

fn finding(report: &Report, rule: Rule) -> Finding {
    let setting = report.go.get(Key::GOPROXY);
    Finding::new(rule)
        .about("GOPROXY")
        .with("value", &setting.value)
        .with("origin", setting.origin.to_string())
}

fn repaired(report: &Report, rule: Rule, value: Option<String>) -> Finding {
    let fixes = match value.filter(|value| ProxyList::parse(value).is_ok()) {
        // A value with a password is not spread over command lines.
        Some(value) if redact_text(&value) == value => {
            fixes::change(report, Key::GOPROXY, Some(&value))
        }
        _ => fixes::change(report, Key::GOPROXY, Some(DEFAULT)),
    };
    finding(report, rule).fixes(fixes)
}

fn refused(report: &Report, value: &str, error: &Error) -> Finding {
    if let Some(finding) = looks_wrong(report, value) {
        return finding;
    }
    if matches!(error, Error::GoproxyEmpty) {
        return repaired(report, Rule::GoproxyEmpty, Some(DEFAULT.to_owned()));
    }
    let detail = error.to_string();
    let bad = value
        .split([',', '|'])
        .map(str::trim)
        .find(|entry| !entry.is_empty() && ProxyList::parse(entry).is_err());
    let entry = bad.unwrap_or(value);
    let rule = match error {
        Error::GoproxyMissingScheme { .. } | Error::GoproxyScheme { .. } => Rule::GoproxyScheme,
        _ => Rule::GoproxyInvalid,
    };
    let fixed = mended_scheme(entry).map(|mended| value.replacen(entry, &mended, 1));
    repaired(report, rule, fixed)
        .with("entry", entry)
        .with("detail", detail)
}

/// Spellings that are never meant.
fn looks_wrong(report: &Report, value: &str) -> Option<Finding> {
    if value.contains(['"', '\'', '“', '”', '‘', '’', '`']) {
        let plain = value.replace(['"', '\'', '“', '”', '‘', '’', '`'], "");
        return Some(repaired(report, Rule::GoproxyQuotes, Some(plain)));
    }
    let entries = value.split([',', '|']).map(str::trim);
    let has_blank = entries
        .clone()
        .any(|entry| entry.contains(char::is_whitespace));
    if value.contains([';', '，', '；', '、', '｜']) || has_blank {
        let parts = value.split([',', ';', '，', '；', '、', ' ', '\t', '\n']);
        let parts: Vec<&str> = parts
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        return Some(repaired(
            report,
            Rule::GoproxySeparator,
            Some(parts.join(",")),
        ));
    }
    let entry = entries
        .clone()
        .find(|entry| mended_scheme(entry).is_some())?;
    let mended = mended_scheme(entry)?;
    Some(
        repaired(
            report,
            Rule::GoproxyScheme,
            Some(value.replacen(entry, &mended, 1)),
        )
        .with("entry", entry)
        .with("detail", "invalid proxy URL"),
    )
}

/// `https//h`, `https:/h`, `htps://h`, `HTTPS:h` and the like.
fn mended_scheme(entry: &str) -> Option<String> {
    if ["https://", "http://", "file://"]
        .iter()
        .any(|scheme| entry.starts_with(scheme))
    {
        let doubled = entry
            .strip_prefix("https://")
            .or_else(|| entry.strip_prefix("http://"))?;
        return doubled
            .starts_with("http")
            .then(|| doubled.contains("://"))
            .filter(|is| *is)
            .map(|_| doubled.to_owned());
    }
    let (scheme, rest) = entry.split_once('/')?;
    let rest = rest.trim_start_matches(['/', ':']);
    let name = scheme.trim_end_matches(':').to_ascii_lowercase();
    let meant = match name.as_str() {
        "https" | "htps" | "htpps" | "httpss" | "htttps" | "hhttps" | "ttps" | "hppts" => "https",
        "http" | "htp" | "htttp" | "hhttp" | "ttp" => "http",
        _ => return None,
    };
    (!rest.is_empty()).then(|| format!("{meant}://{rest}"))
}

fn check_list(report: &Report, value: &str, list: &ProxyList, found: &mut Vec<Finding>) {
    if value.trim() != value || value.split([',', '|']).any(|entry| entry.trim() != entry) {
        found.push(finding(report, Rule::GoproxyBlanks));
    }
    if !list.unreachable.is_empty() {
        let ends = list.entries.last().map(|entry| entry.target.to_string());
        let kept = reordered(list);
        found.push(
            repaired(report, Rule::GoproxyUnreachable, kept)
                .with("entry", list.unreachable.join(","))
                .with("other", ends.unwrap_or_default()),
        );
    }
    match list.entries.as_slice() {
        [only] if only.target == Target::Off => {
            found.push(repaired(report, Rule::GoproxyOff, Some(DEFAULT.to_owned())));
        }
        [only] if only.target == Target::Direct && list.unreachable.is_empty() => {
            found.push(repaired(
                report,
                Rule::GoproxyDirectOnly,
                Some(DEFAULT.to_owned()),
            ));
        }
        _ => {}
    }
    if list
        .entries
        .last()
        .is_some_and(|last| matches!(last.target, Target::Url(_)))
    {
        found.push(finding(report, Rule::GoproxyNoFallback));
    }
    check_servers(report, value, list, found);
}

/// The servers first, then what ended the list too early.
fn reordered(list: &ProxyList) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let servers = list
        .urls()
        .map(|url| url.as_url().as_str().trim_end_matches('/').to_owned());
    for word in servers.chain(list.unreachable.iter().cloned()) {
        if word != "direct" && word != "off" && !words.contains(&word) {
            words.push(word);
        }
    }
    // `off` was put there to end the list.
    if list.entries.last()?.target == Target::Direct {
        words.push("direct".to_owned());
    }
    Some(words.join(","))
}

fn check_servers(report: &Report, value: &str, list: &ProxyList, found: &mut Vec<Finding>) {
    let servers: Vec<(&Entry, &url::Url)> = list
        .entries
        .iter()
        .filter_map(|entry| match &entry.target {
            Target::Url(url) => Some((entry, url.as_url())),
            _ => None,
        })
        .collect();
    let mut seen: Vec<&str> = Vec::new();
    for (at, (entry, url)) in servers.iter().enumerate() {
        let text = url.as_str().trim_end_matches('/');
        let host = url.host_str().unwrap_or_default();
        if seen.contains(&text) {
            found.push(finding(report, Rule::GoproxyDuplicate).with("entry", text));
        }
        seen.push(text);
        if DEAD.contains(&host) {
            found.push(
                repaired(report, Rule::GoproxyDeadMirror, Some(without(list, at)))
                    .with("host", host),
            );
        }
        if url.scheme() == "file" {
            check_directory(report, url, found);
        }
        check_password(report, url, found);
        let next = servers.get(at + 1);
        if entry.fallback == Fallback::OnAbsent && next.is_some() && PUBLIC.contains(&host) {
            found.push(finding(report, Rule::GoproxyCommaMirrors).with("entry", text));
        }
        let private = servers
            .iter()
            .skip(at + 1)
            .find(|(_, later)| is_private(later));
        if let Some((_, private)) = private.filter(|_| PUBLIC.contains(&host)) {
            found.push(
                repaired(report, Rule::GoproxyPublicFirst, Some(private_first(value)))
                    .with("entry", text)
                    .with("other", private.as_str()),
            );
        }
    }
}

/// The list without the server at this place among the servers.
fn without(list: &ProxyList, server: usize) -> String {
    let mut at = 0;
    let mut kept = ProxyList {
        entries: Vec::new(),
        unreachable: Vec::new(),
    };
    for entry in &list.entries {
        let is_server = matches!(entry.target, Target::Url(_));
        if !(is_server && at == server) {
            kept.entries.push(entry.clone());
        }
        at += usize::from(is_server);
    }
    let has_server = kept
        .entries
        .iter()
        .any(|entry| matches!(entry.target, Target::Url(_)));
    if has_server {
        kept.to_string()
    } else {
        DEFAULT.to_owned()
    }
}

fn private_first(value: &str) -> String {
    let (public, private): (Vec<&str>, Vec<&str>) = value
        .split([',', '|'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .partition(|entry| {
            let host = url::Url::parse(entry).ok();
            matches!(*entry, "direct" | "off") || !host.as_ref().is_some_and(is_private)
        });
    [private, public].concat().join(",")
}

fn check_directory(report: &Report, url: &url::Url, found: &mut Vec<Finding>) {
    if let Ok(path) = url.to_file_path()
        && !path.is_dir()
    {
        found.push(finding(report, Rule::GoproxyFileMissing).at(&path, None));
    }
}

fn check_password(report: &Report, url: &url::Url, found: &mut Vec<Finding>) {
    if url.username().is_empty() && url.password().is_none() {
        return;
    }
    let rule = if url.scheme() == "http" {
        Rule::GoproxyCleartextPassword
    } else {
        Rule::GoproxyPassword
    };
    let host = url.host_str().unwrap_or_default();
    found.push(finding(report, rule).with("host", host));
}

/// A server that is not open to everybody, as far as its name tells.
pub(super) fn is_private(url: &url::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() != "file" && is_internal_host(host)
}

/// Whether a host once served modules and does not, or its operator has another address.
pub fn is_dead_mirror(host: &str) -> bool {
    DEAD.contains(&host)
}

/// Whether a host is a name or an address that exists inside of a network only.
pub fn is_internal_host(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    if let Ok(address) = address {
        return match address {
            std::net::IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
            std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
        };
    }
    let endings = [
        "local",
        "internal",
        "intranet",
        "corp",
        "lan",
        "home",
        "private",
        "localhost",
    ];
    let mut labels = host.rsplit('.');
    let last = labels.next().unwrap_or_default();
    !host.contains('.')
        || endings.contains(&last)
        || labels.any(|label| matches!(label, "corp" | "intranet" | "internal"))
}

/// True when GOPRIVATE or GONOSUMDB says anything.
pub(super) fn has_private_patterns(report: &Report) -> bool {
    !Patterns::parse(report.go.value(Key::GONOSUMDB)).is_empty()
}

/// Lowers a finding to a note.
pub(super) fn as_note(finding: Finding) -> Finding {
    finding.severity(Severity::Note)
}
