//! The HTTP proxy variables, and what go makes of them.

use fault::{Rule, Severity};

use super::{fixes, goproxy};
use crate::finding::Finding;
use crate::go_url::GoUrl;
use crate::goproxy::{ProxyList, Target};
use crate::http_proxy::{HttpProxyRules, Route, Variable};
use crate::key::Key;
use crate::origin::Origin;
use crate::redact::redact_text;
use crate::report::Report;

/// Ports on which proxies usually speak plain HTTP.
const PLAIN_PORTS: [&str; 9] = [
    "80", "1080", "3128", "7890", "7897", "8080", "8118", "8888", "10809",
];

pub(super) fn check(report: &Report, found: &mut Vec<Finding>) {
    for variable in [report.http.http(), report.http.https()]
        .into_iter()
        .flatten()
    {
        check_value(report, variable, found);
    }
    for (origin, error) in report.http.malformed() {
        let name = name_of(&origin);
        let finding = finding(
            report,
            Rule::ProxyMalformed,
            &name,
            plain(report, &name).as_deref(),
        );
        found.push(finding.with("detail", error.to_string()));
    }
    check_cases(report, found);
    check_missing(report, found);
    if let Some(no_proxy) = report.http.no_proxy() {
        check_no_proxy(report, no_proxy, found);
    }
    check_private(report, found);
}

fn name_of(origin: &Origin) -> String {
    match origin {
        Origin::Environment { name } => name.clone(),
        other => other.to_string(),
    }
}

fn finding(report: &Report, rule: Rule, name: &str, value: Option<&str>) -> Finding {
    let finding = Finding::new(rule).about(name);
    match report.row(name) {
        Some(row) => finding
            .with("value", redact_text(&row.value))
            .fixes(fixes::variable(row, value)),
        None => finding,
    }
}

/// The value without quotes, blanks and a doubled scheme, when that is a URL.
fn plain(report: &Report, name: &str) -> Option<String> {
    let value = report
        .row(name)?
        .value
        .trim()
        .trim_matches(['"', '\''])
        .trim();
    let value = match value.rsplit_once("://") {
        Some((schemes, rest)) => {
            let scheme = schemes.rsplit("://").next().unwrap_or(schemes);
            format!("{scheme}://{rest}")
        }
        None => value.to_owned(),
    };
    (GoUrl::parse(&value).is_ok() && redact_text(&value) == value).then_some(value)
}

fn check_value(report: &Report, variable: &Variable, found: &mut Vec<Finding>) {
    let name = name_of(&variable.origin);
    let value = variable.value.as_str();
    let is_quoted = value.trim() != value || value.contains(['"', '\'']);
    let malformed = report.http.malformed();
    if malformed
        .iter()
        .any(|(origin, _)| *origin == variable.origin)
    {
        return;
    }
    if is_quoted || value.matches("://").count() > 1 {
        let finding = finding(
            report,
            Rule::ProxyMalformed,
            &name,
            plain(report, &name).as_deref(),
        );
        found.push(finding.with("detail", "invalid URL"));
        return;
    }
    let Ok(url) = GoUrl::parse(value) else {
        return;
    };
    let known = ["http", "https", "socks5", "socks5h"];
    if value.contains("://") && !known.contains(&url.scheme()) {
        // socks:// and socks4:// are taken for HTTP proxies.
        let finding = finding(report, Rule::ProxyScheme, &name, None);
        found.push(finding.with("detail", url.scheme()));
    } else if url.scheme() == "https"
        && (PLAIN_PORTS.contains(&url.port()) || is_loopback(url.hostname()))
    {
        let mended = value.replacen("https://", "http://", 1);
        let mended = (redact_text(&mended) == mended).then_some(mended);
        found.push(finding(report, Rule::ProxyTls, &name, mended.as_deref()));
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn check_cases(report: &Report, found: &mut Vec<Finding>) {
    let variables = [
        report.http.http(),
        report.http.https(),
        report.http.no_proxy(),
    ];
    for variable in variables.into_iter().flatten() {
        let Some(hidden) = variable
            .shadowed
            .as_ref()
            .filter(|other| other.value != variable.value)
        else {
            continue;
        };
        let (upper, lower) = (name_of(&variable.origin), name_of(&hidden.origin));
        found.push(
            finding(report, Rule::ProxyCases, &upper, Some(&hidden.value))
                .about(lower)
                .with("value", variable.redacted_value())
                .with("other", hidden.redacted_value()),
        );
    }
}

/// Servers of GOPROXY, without those on this machine.
fn servers(report: &Report) -> Vec<url::Url> {
    let list = ProxyList::parse(report.go.value(Key::GOPROXY)).ok();
    let entries = list.map(|list| list.entries).unwrap_or_default();
    entries
        .into_iter()
        .filter_map(|entry| match entry.target {
            Target::Url(url) => Some(url.into_url()),
            _ => None,
        })
        .filter(|url| url.host_str().is_some_and(|host| !is_loopback(host)))
        .collect()
}

/// A proxy is set, but not in a variable that counts for HTTPS.
fn check_missing(report: &Report, found: &mut Vec<Finding>) {
    let environment = &report.machine.environment;
    let needs_https = servers(report).iter().any(|url| url.scheme() == "https");
    if report.http.https().is_some() || !needs_https {
        return;
    }
    if let Some(http) = report.http.http() {
        let name = name_of(&http.origin);
        let other = if name == "http_proxy" {
            "https_proxy"
        } else {
            "HTTPS_PROXY"
        };
        let change = crate::fix::Change::Variable {
            name: other.to_owned(),
            value: Some(http.value.clone()),
            previous: None,
        };
        let fix = crate::fix::Fix::new(change, crate::fix::Scope::Shell, fault::Risk::None);
        found.push(
            Finding::new(Rule::ProxyHttpOnly)
                .about(name)
                .about(other)
                .with("value", http.redacted_value())
                .with("other", other)
                .fix(fix),
        );
    } else if let Some(name) = ["ALL_PROXY", "all_proxy"]
        .into_iter()
        .find(|name| environment.non_empty(name).is_some())
    {
        let value = environment.get(name).unwrap_or_default();
        let change = crate::fix::Change::Variable {
            name: "HTTPS_PROXY".to_owned(),
            value: Some(value.to_owned()),
            previous: None,
        };
        let fix = crate::fix::Fix::new(change, crate::fix::Scope::Shell, fault::Risk::None);
        found.push(
            Finding::new(Rule::ProxyAllOnly)
                .about(name)
                .about("HTTPS_PROXY")
                .with("value", redact_text(value))
                .fix(fix),
        );
    }
}

fn check_no_proxy(report: &Report, variable: &Variable, found: &mut Vec<Finding>) {
    let name = name_of(&variable.origin);
    let value = variable.value.as_str();
    let is_separated = |c: char| c.is_whitespace() || ";|，；、".contains(c);
    let mut parts = value.split(',').map(str::trim);
    if parts.clone().any(|part| part.contains(is_separated)) {
        let parts = value.split(|c: char| c == ',' || is_separated(c));
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        found.push(finding(
            report,
            Rule::NoProxySeparator,
            &name,
            Some(&parts.join(",")),
        ));
        return;
    }
    if let Some((entry, meant)) = parts.find_map(|part| Some((part, misunderstood(part)?))) {
        let mended: Vec<&str> = value
            .split(',')
            .map(|part| {
                if part.trim() == entry {
                    meant.as_str()
                } else {
                    part
                }
            })
            .collect();
        found.push(
            finding(report, Rule::NoProxyEntry, &name, Some(&mended.join(",")))
                .with("entry", entry)
                .with("other", &meant),
        );
    }
}

/// An entry that never matches, and what was meant.
fn misunderstood(entry: &str) -> Option<String> {
    if let Some((_, rest)) = entry.split_once("://") {
        return Some(rest.split('/').next().unwrap_or(rest).to_owned());
    }
    let is_address = |text: &str| {
        text.trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok()
    };
    if let Some((address, bits)) = entry.split_once('/') {
        let limit = if address.contains(':') { 128 } else { 32 };
        let fits = bits.parse::<u8>().is_ok_and(|bits| bits <= limit);
        return match (is_address(address), fits) {
            (true, true) => None,
            // Too many bits, or a path behind a name.
            _ => Some(address.to_owned()),
        };
    }
    // 10.* and 192.168.*.*: only networks in CIDR notation match addresses.
    let fixed: Vec<&str> = entry.split('.').take_while(|part| *part != "*").collect();
    let is_number = |part: &&str| part.parse::<u8>().is_ok();
    if entry.contains('*') && (1..=3).contains(&fixed.len()) && fixed.iter().all(is_number) {
        let mut octets: Vec<&str> = fixed.clone();
        octets.resize(4, "0");
        return Some(format!("{}/{}", octets.join("."), fixed.len() * 8));
    }
    let inner = entry.strip_prefix("*.").unwrap_or(entry);
    if entry != "*" && inner.contains('*') {
        return Some(inner.replace('*', "").trim_matches('.').to_owned())
            .filter(|rest| !rest.is_empty());
    }
    None
}

/// Internal servers of GOPROXY that are reached through the proxy.
fn check_private(report: &Report, found: &mut Vec<Finding>) {
    let rules: &HttpProxyRules = &report.http;
    for url in servers(report)
        .iter()
        .filter(|url| goproxy::is_private(url))
    {
        if let Ok(Route::Proxy(proxy)) = rules.route(url) {
            let host = url.host_str().unwrap_or_default();
            found.push(
                Finding::new(Rule::NoProxyPrivate)
                    .about("NO_PROXY")
                    .about("GOPROXY")
                    .with("host", host)
                    .with("other", proxy.to_string())
                    .severity(Severity::Note),
            );
        }
    }
}
