//! Patterns of private modules, the checksum database, GOAUTH, GOVCS.

use fault::Rule;

use super::{fixes, goproxy};
use crate::finding::Finding;
use crate::gosumdb::SumdbSetting;
use crate::key::Key;
use crate::origin::Origin;
use crate::private::Patterns;
use crate::report::Report;
use crate::trace::Govcs;

/// Hosts whose modules are mostly public.
const FORGES: [&str; 8] = [
    "github.com",
    "gitlab.com",
    "bitbucket.org",
    "gitee.com",
    "golang.org",
    "gopkg.in",
    "google.golang.org",
    "go.uber.org",
];

pub(super) fn check(report: &Report, found: &mut Vec<Finding>) {
    for key in [
        Key::GOPRIVATE,
        Key::GONOPROXY,
        Key::GONOSUMDB,
        Key::GOINSECURE,
    ] {
        let setting = report.go.get(key);
        // What is inherited is reported where it stands.
        if !matches!(setting.origin, Origin::Inherited { .. }) {
            check_patterns(report, key, &setting.value, found);
        }
    }
    check_sumdb(report, found);
    check_goauth(report, found);
    check_govcs(report, found);
}

fn finding(report: &Report, rule: Rule, key: Key, value: Option<&str>) -> Finding {
    let setting = report.go.get(key);
    Finding::new(rule)
        .about(key.name())
        .with("value", &setting.value)
        .with("origin", setting.origin.to_string())
        .fixes(fixes::change(report, key, value))
}

fn check_patterns(report: &Report, key: Key, value: &str, found: &mut Vec<Finding>) {
    // `none` is the usual word for a pattern that matches nothing.
    if value.is_empty() || value == "none" {
        return;
    }
    if value.contains([';', '|', '，', '；', '、', '"', '\''])
        || value
            .split(',')
            .any(|glob| glob.trim().contains(char::is_whitespace))
    {
        let parts = value.split([',', ';', '|', '，', '；', '、', ' ', '\t', '"', '\'']);
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        found.push(finding(
            report,
            Rule::PrivateSeparator,
            key,
            Some(&parts.join(",")),
        ));
        return;
    }
    let malformed: Vec<String> = Patterns::parse(value)
        .malformed_globs()
        .map(str::to_owned)
        .collect();
    for glob in value.split(',').filter(|glob| !glob.is_empty()) {
        let with = |rule, mended: Option<&str>| {
            let fixed = replaced(value, glob, mended);
            finding(report, rule, key, Some(&fixed)).with("entry", glob)
        };
        if malformed.iter().any(|bad| bad == glob) {
            found.push(finding(report, Rule::PrivateBadGlob, key, None).with("entry", glob));
        } else if matches!(glob, "*" | "**" | "*/*" | "*.*") {
            let rule = match key {
                Key::GONOSUMDB => Rule::NosumdbEverything,
                Key::GOINSECURE => Rule::InsecureEverything,
                _ => Rule::PrivateEverything,
            };
            found.push(finding(report, rule, key, None).with("entry", glob));
        } else if let Some(path) = url_as_glob(glob) {
            found.push(with(Rule::PrivateUrl, Some(&path)).with("other", path));
        } else if let Some(mended) = matches_nothing(glob) {
            found.push(with(Rule::PrivateNoMatch, Some(&mended)).with("other", mended));
        } else if FORGES.contains(&glob.trim_end_matches('/')) || is_whole_domain(glob) {
            found.push(finding(report, Rule::PrivateTooWide, key, None).with("entry", glob));
        }
    }
}

fn replaced(value: &str, glob: &str, mended: Option<&str>) -> String {
    let globs = value
        .split(',')
        .filter_map(|its| if its == glob { mended } else { Some(its) });
    let globs: Vec<&str> = globs.filter(|its| !its.is_empty()).collect();
    globs.join(",")
}

/// The module path in `https://host/path`, `git@host:path`, `host:port/path`.
fn url_as_glob(glob: &str) -> Option<String> {
    let path = if let Some((_, rest)) = glob.split_once("://") {
        rest.rsplit_once('@')
            .map_or(rest, |(_, host)| host)
            .to_owned()
    } else if let Some((_, rest)) = glob.split_once('@') {
        rest.replacen(':', "/", 1)
    } else if let Some((host, rest)) = glob.split_once(':') {
        let path = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        format!("{host}{path}")
    } else {
        return None;
    };
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    // No module path has a port.
    let (host, rest) = path.split_once('/').unwrap_or((path, ""));
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    Some(if rest.is_empty() {
        host.to_owned()
    } else {
        format!("{host}/{rest}")
    })
}

/// Patterns of another kind, which no module path can match, and what was meant.
fn matches_nothing(glob: &str) -> Option<String> {
    if glob.trim() != glob {
        return Some(glob.trim().to_owned());
    }
    if let Some(rest) = glob.strip_prefix('.') {
        return Some(format!("*.{rest}"));
    }
    for ending in ["/...", "/**"] {
        if let Some(rest) = glob.strip_suffix(ending) {
            return Some(rest.to_owned());
        }
    }
    let first = glob.split('/').next()?;
    let upper = first.chars().any(|c| c.is_ascii_uppercase());
    upper.then(|| glob.replacen(first, &first.to_lowercase(), 1))
}

/// `*.com` and the like.
fn is_whole_domain(glob: &str) -> bool {
    let top = ["com", "org", "net", "io", "dev", "cn", "in"];
    glob.strip_prefix("*.")
        .is_some_and(|rest| top.contains(&rest))
}

fn check_sumdb(report: &Report, found: &mut Vec<Finding>) {
    let key = Key::GOSUMDB;
    let setting = report.go.get(key);
    match SumdbSetting::parse(&setting.value) {
        Ok(SumdbSetting::Off) => found.push(finding(report, Rule::GosumdbOff, key, None)),
        Ok(SumdbSetting::Database { .. }) => {}
        Err(error) => found.push(
            finding(report, Rule::GosumdbInvalid, key, None).with("detail", error.to_string()),
        ),
    }
    let private = crate::goproxy::ProxyList::parse(report.go.value(Key::GOPROXY)).ok();
    let server = private
        .as_ref()
        .and_then(|list| list.urls().find(|url| goproxy::is_private(url.as_url())));
    let asks = matches!(
        SumdbSetting::parse(&setting.value),
        Ok(SumdbSetting::Database { url: None, .. })
    );
    if let Some(server) = server.filter(|_| asks && !goproxy::has_private_patterns(report)) {
        // Whether there are private modules at all is not known.
        let finding = Finding::new(Rule::PrivateNotCovered)
            .about("GOPRIVATE")
            .about("GOPROXY")
            .with("entry", server.to_string());
        found.push(goproxy::as_note(finding));
    }
}

fn check_goauth(report: &Report, found: &mut Vec<Finding>) {
    let key = Key::GOAUTH;
    let value = report.go.value(key);
    let commands: Vec<&str> = value.split(';').map(str::trim).collect();
    let detail = commands.iter().find_map(|command| {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            [] => Some(format!(
                "GOAUTH encountered an empty command (GOAUTH={value})"
            )),
            ["off", ..] if commands.len() > 1 => {
                Some("GOAUTH=off cannot be combined with other authentication commands".to_owned())
            }
            ["git", directory] if std::path::Path::new(directory).is_dir() => {
                let is_absolute = std::path::Path::new(directory).is_absolute();
                (!is_absolute).then(|| "GOAUTH=git dir is not absolute".to_owned())
            }
            ["git", directory] => Some(format!("GOAUTH=git: {directory} is no directory")),
            ["git", ..] => Some(
                "GOAUTH=git dir method requires an absolute path to the git working directory"
                    .to_owned(),
            ),
            _ => None,
        }
    });
    if let Some(detail) = detail {
        found.push(finding(report, Rule::GoauthInvalid, key, None).with("detail", detail));
    } else if value == "off" && !report.netrc.entries.entries().is_empty() {
        found.push(finding(report, Rule::GoauthOff, key, None));
    }
}

fn check_govcs(report: &Report, found: &mut Vec<Finding>) {
    match Govcs::parse(report.go.value(Key::GOVCS)) {
        Err(detail) => {
            found
                .push(finding(report, Rule::GovcsInvalid, Key::GOVCS, None).with("detail", detail));
        }
        Ok(govcs) if govcs.is_wide_open() => {
            found.push(finding(report, Rule::GovcsEverything, Key::GOVCS, None));
        }
        Ok(_) => {}
    }
}
