//! GOFLAGS, GO111MODULE, GOPATH, GOWORK, toolchains.

use std::cmp::Ordering;
use std::path::Path;

use fault::{Risk, Rule, Severity};
use gomod::gover;

use super::fixes;
use crate::finding::Finding;
use crate::fix::Scope;
use crate::key::Key;
use crate::report::{Report, above};
use crate::trace::goflags_mod;

pub(super) fn check(report: &Report, found: &mut Vec<Finding>) {
    check_goflags(report, found);
    check_module_mode(report, found);
    check_paths(report, found);
    check_programs(report, found);
    check_wanted(report, found);
}

fn finding(report: &Report, rule: Rule, key: Key, value: Option<&str>) -> Finding {
    let setting = report.go.get(key);
    Finding::new(rule)
        .about(key.name())
        .with("value", &setting.value)
        .with("origin", setting.origin.to_string())
        .fixes(fixes::change(report, key, value))
}

fn check_goflags(report: &Report, found: &mut Vec<Finding>) {
    let key = Key::GOFLAGS;
    let value = report.go.value(key);
    let flags: Vec<&str> = value.split_whitespace().collect();
    let is_insecure =
        |flag: &str| matches!(flag.trim_start_matches('-'), "insecure" | "insecure=true");
    if flags.iter().any(|flag| is_insecure(flag)) {
        let kept: Vec<&str> = flags
            .iter()
            .copied()
            .filter(|flag| !is_insecure(flag))
            .collect();
        let kept = kept.join(" ");
        let kept = (!kept.is_empty()).then_some(kept.as_str());
        found.push(finding(report, Rule::GoflagsInsecure, key, kept));
        return;
    }
    if let Some(bad) = bad_flag(value) {
        found.push(finding(report, Rule::GoflagsInvalid, key, None).with("entry", bad));
    }
    if goflags_mod(value) == Some("vendor") {
        let vendored = above(&report.machine.directory, "go.mod")
            .and_then(|file| Some(file.parent()?.join("vendor/modules.txt")));
        match vendored {
            Some(list) if list.is_file() => {}
            Some(list) => found.push(
                finding(report, Rule::GoflagsVendor, key, None)
                    .with("path", list.to_string_lossy())
                    .severity(Severity::Fault),
            ),
            None => found.push(
                finding(report, Rule::GoflagsVendor, key, None)
                    .with("path", "vendor/modules.txt")
                    .severity(Severity::Note),
            ),
        }
    }
}

/// The first word that is no flag (cmd/go/internal/base `InitGOFLAGS`): each has to begin with a
/// dash, quotes may stand around a whole flag only.
fn bad_flag(value: &str) -> Option<String> {
    let mut rest = value.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            Some(quote) => match rest.get(1..).and_then(|inner| inner.split_once(quote)) {
                Some((word, after)) => (word, after),
                None => return Some(rest.to_owned()),
            },
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        let is_flag = name.is_some_and(|name| !name.is_empty() && !name.starts_with(['-', '=']));
        if !is_flag {
            return Some(word.to_owned());
        }
        rest = after.trim_start();
    }
    None
}

fn check_module_mode(report: &Report, found: &mut Vec<Finding>) {
    let rule = match report.go.value(Key::GO111MODULE) {
        "off" => Rule::ModuleModeOff,
        "auto" => Rule::ModuleModeAuto,
        "on" => Rule::ModuleModeOn,
        _ => return,
    };
    found.push(finding(report, rule, Key::GO111MODULE, None));
}

fn check_paths(report: &Report, found: &mut Vec<Finding>) {
    let (gopath, goroot) = (report.go.value(Key::GOPATH), report.go.value(Key::GOROOT));
    if !gopath.is_empty() && Path::new(gopath) == Path::new(goroot) {
        found.push(finding(report, Rule::GopathIsGoroot, Key::GOPATH, None).with("path", gopath));
    }
    let gowork = report.go.value(Key::GOWORK);
    let named = Path::new(gowork);
    if named.is_absolute() && !named.is_file() {
        found.push(finding(report, Rule::GoworkMissing, Key::GOWORK, None).at(named, None));
    }
}

fn check_programs(report: &Report, found: &mut Vec<Finding>) {
    let programs = &report.toolchains.programs;
    let Some(first) = programs.first() else {
        found.push(Finding::new(Rule::GoMissing));
        return;
    };
    let versions: Vec<&str> = programs
        .iter()
        .filter_map(|program| program.version.as_deref())
        .collect();
    if versions
        .iter()
        .any(|version| Some(version) != versions.first())
    {
        let all: Vec<String> = programs
            .iter()
            .map(|program| {
                let version = program.version.as_deref().unwrap_or("?");
                format!("{} ({version})", program.path.display())
            })
            .collect();
        found.push(
            Finding::new(Rule::GoSeveral)
                .about("PATH")
                .with("path", first.path.to_string_lossy())
                .with("version", first.version.as_deref().unwrap_or("?"))
                .with("detail", all.join(", ")),
        );
    }
    check_goroot(report, first.resolved.as_path(), found);
    if let Some(version) = report.toolchains.version()
        && gover::compare(version, "1.21") == Ordering::Less
    {
        // It works; it cannot fetch newer toolchains by itself.
        let severity = if gover::compare(version, "1.16") == Ordering::Less {
            Severity::Risk
        } else {
            Severity::Note
        };
        found.push(
            Finding::new(Rule::GoOld)
                .about("PATH")
                .with("version", version)
                .with("path", first.path.to_string_lossy())
                .severity(severity),
        );
    }
}

fn check_goroot(report: &Report, program: &Path, found: &mut Vec<Finding>) {
    let Some(set) = report.machine.environment.non_empty("GOROOT") else {
        return;
    };
    let named = Path::new(set);
    let is_around = named
        .canonicalize()
        .is_ok_and(|tree| program.starts_with(&tree));
    if is_around {
        return;
    }
    let theirs = crate::goroot::version_of(named);
    let ours = report
        .toolchains
        .programs
        .first()
        .and_then(|first| first.version.clone());
    // A wrapper may lead to the tree in its own way; what matters is another release.
    if theirs.is_some() && theirs == ours {
        return;
    }
    found.push(
        Finding::new(Rule::GorootMismatch)
            .about("GOROOT")
            .with("value", set)
            .with("path", program.to_string_lossy())
            .with("version", theirs.as_deref().unwrap_or("?"))
            .with("other", ours.as_deref().unwrap_or("?"))
            .fixes(fixes::change(report, Key::GOROOT, None)),
    );
}

fn check_wanted(report: &Report, found: &mut Vec<Finding>) {
    let key = Key::GOTOOLCHAIN;
    let value = report.go.value(key);
    if let Some(detail) = bad_toolchain(value) {
        found.push(finding(report, Rule::ToolchainInvalid, key, None).with("detail", detail));
        return;
    }
    let (Some(wanted), Some(have)) = (&report.toolchains.wanted, report.toolchains.version())
    else {
        return;
    };
    if wanted.go.is_empty() || gover::compare(&wanted.go, have) != Ordering::Greater {
        return;
    }
    // Before 1.21 there is no switching, and a newer line is only a remark in error messages.
    let switches = gover::compare(have, "1.21") != Ordering::Less;
    let rule = if value == "local" || !switches {
        Rule::ToolchainLocal
    } else if value == "auto" || value.ends_with("+auto") {
        Rule::ToolchainDownload
    } else {
        return;
    };
    let mut finding = Finding::new(rule)
        .about("GOTOOLCHAIN")
        .with("value", value)
        .with("version", &wanted.go)
        .with("other", have)
        .at(&wanted.path, wanted.go_line);
    if rule == Rule::ToolchainLocal && switches {
        finding = finding.fixes(fixes::change(report, key, Some("auto")));
    } else if rule == Rule::ToolchainDownload {
        let words = [
            "go",
            "mod",
            "download",
            &format!(
                "golang.org/toolchain@v0.0.1-go{}.{}-{}",
                wanted.go,
                goos(),
                goarch()
            ),
        ];
        let words: Vec<&str> = words.to_vec();
        finding = finding.fix(fixes::run(&words, None, Scope::User, Risk::None));
    }
    found.push(finding);
}

/// What go says about a GOTOOLCHAIN value it refuses (toolchain/select.go).
fn bad_toolchain(value: &str) -> Option<String> {
    let (min, suffix) = value.split_once('+').unwrap_or((value, ""));
    let named = |name: &str| gover::from_toolchain(name).is_some_and(gover::is_valid);
    let fits = match (min, suffix) {
        ("local" | "auto" | "path" | "", "") | ("local", "auto" | "path") => true,
        (name, "" | "auto" | "path") => named(name),
        _ => false,
    };
    (!fits).then(|| format!("invalid GOTOOLCHAIN {value:?}"))
}

fn goos() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

fn goarch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
