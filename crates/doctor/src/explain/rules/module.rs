//! The module itself: its paths, versions and contents.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::url;
use crate::explain::verdict::{Also, Verdicts, found};

/// Words that one cause alone explains, most telling first.
const PLAIN: &[(&str, Label)] = &[
    ("case-insensitive import collision", Label::ModCaseCollision),
    ("ambiguous import", Label::ModAmbiguousImport),
    ("source tree too large", Label::ModZipTooLarge),
    ("zip file too large", Label::ModZipTooLarge),
    ("zip file is too large", Label::ModZipTooLarge),
    ("go.mod file too large", Label::ModZipTooLarge),
    ("license file too large", Label::ModZipTooLarge),
    ("exceeds allowed size", Label::ModZipTooLarge),
    ("total uncompressed size", Label::ModZipTooLarge),
    ("is larger than declared size", Label::ModZipTooLarge),
    ("module too large", Label::ModZipTooLarge),
    ("case-insensitive file name collision", Label::ModZipBadFile),
    ("malformed file path", Label::ModZipBadFile),
    (
        "disallowed as path element component on windows",
        Label::ModZipBadFile,
    ),
    ("is both a file and a directory", Label::ModZipBadFile),
    ("multiple entries for file", Label::ModZipBadFile),
    ("file path is not clean", Label::ModZipBadFile),
    ("invalid path element", Label::ModZipBadFile),
    (
        "go.mod files must have lowercase names",
        Label::ModZipBadFile,
    ),
    ("should be v", Label::ModMajorSuffix),
    (
        "module path must match major version",
        Label::ModMajorSuffix,
    ),
    ("go.mod has post-v", Label::ModMajorSuffix),
    ("go.mod has non-", Label::ModMajorSuffix),
    ("has post-v", Label::ModMajorSuffix),
    ("has non-...", Label::ModMajorSuffix),
    ("go.mod has malformed module path", Label::ModMajorSuffix),
    (
        "major version without preceding tag must be v0",
        Label::ModMajorSuffix,
    ),
    ("/go.mod and ...", Label::ModMajorSuffix),
    ("module contains a go.mod file", Label::ModMajorSuffix),
    ("+incompatible suffix not allowed", Label::ModMajorSuffix),
    (
        "major version suffixes must be in the form",
        Label::ModMajorSuffix,
    ),
    ("always have a major version suffix", Label::ModMajorSuffix),
    ("declares its path as", Label::ModPathMismatch),
    ("but was required as", Label::ModPathMismatch),
    ("unexpected module path", Label::ModPathMismatch),
    (
        "used for two different module paths",
        Label::ModPathMismatch,
    ),
    ("but does not contain package", Label::ModNoPackage),
    ("does not contain package", Label::ModNoPackage),
    ("contains module", Label::ModNoPackage),
    ("but not at required version", Label::ModNoPackage),
    ("no go-import meta tag", Label::ModGoImportMissing),
    ("did not match import path", Label::ModGoImportMissing),
    (
        "meta tags do not match import path",
        Label::ModGoImportMissing,
    ),
    ("multiple meta tags match", Label::ModGoImportMissing),
    ("disagree about go-import", Label::ModGoImportMissing),
    ("parse meta tags", Label::ModGoImportMissing),
];

pub(crate) fn judge(case: &Case) -> Verdicts {
    let rules = [plain, revision, not_found, retracted];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

fn plain(case: &Case) -> Verdicts {
    let client = &case.client;
    let hit = PLAIN
        .iter()
        .find_map(|(words, label)| client.line_with(words).map(|at| (at, *words, *label)));
    let Some((at, words, label)) = hit else {
        return Verdicts::new();
    };
    if matches!(words, "should be v" | "contains module")
        && !client.has_any(&["not v", "invalid", "version"])
    {
        return Verdicts::new();
    }
    let verdicts = found(label, 0.95, at, words);
    match label {
        Label::ModPathMismatch if differs_in_case_only(case) => {
            found(label, 0.85, at, words).or(Label::ModCaseCollision, 0.49)
        }
        Label::ModGoImportMissing => {
            let host = case.module().unwrap_or_default();
            if url::looks_private(&host) {
                verdicts.or(Label::AuthHttpsNoCredential, 0.3)
            } else {
                verdicts.or(Label::CaptivePortalHtml, 0.2)
            }
        }
        Label::ModMajorSuffix => verdicts.or(Label::ModUnknownRevision, 0.2),
        Label::ModNoPackage => verdicts.or(Label::ModAmbiguousImport, 0.15),
        _ => verdicts,
    }
}

/// Whether the declared and the required path are two spellings of one.
fn differs_in_case_only(case: &Case) -> bool {
    let path = |words: &str| {
        case.client.lines.iter().find_map(|line| {
            let at = line.text.to_ascii_lowercase().find(words)?;
            line.text.get(at + words.len()..)?.split_whitespace().next()
        })
    };
    match (path("declares its path as:"), path("but was required as:")) {
        (Some(declared), Some(required)) => {
            declared != required && declared.eq_ignore_ascii_case(required)
        }
        _ => false,
    }
}

/// Versions that do not exist.
fn revision(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "unknown revision",
        "no matching versions for query",
        "invalid pseudo-version",
        "no matching versions",
        "does not match version-control timestamp",
        "does not match short name of revision",
        "not a descendent of preceding tag",
        "preceding tag",
        "invalid version: version",
        "is not a tag",
        "reading revision",
        "invalid module version",
        "matched no versions",
        "ambiguous revision",
        "resolves to version",
        "revision not found",
    ];
    let client = &case.client;
    let Some((at, words)) = client.any(WORDS) else {
        return Verdicts::new();
    };
    if client.has("errors parsing") || (words == "invalid module version" && client.has("go.mod:"))
    {
        return Verdicts::new();
    }
    if case.log.piped_chain {
        return found(Label::GoproxyFallbackMasksError, 0.82, at, words)
            .or(Label::ModUnknownRevision, 0.45);
    }
    if case.log.tagged {
        return found(Label::GoproxyLag, 0.8, at, words).or(Label::ModUnknownRevision, 0.45);
    }
    let sure = if words == "unknown revision" {
        0.93
    } else {
        0.8
    };
    found(Label::ModUnknownRevision, sure, at, words).or(Label::GoproxyLag, 0.35)
}

/// Wrappers without an inner cause.
fn not_found(case: &Case) -> Verdicts {
    let client = &case.client;
    if client.has_any(&[
        "missing go.sum entry",
        "in goroot",
        "is not in std",
        "go.mod file not found",
    ]) {
        return Verdicts::new();
    }
    if let Some((at, words)) = client.any(&[
        "missing dot in first path element",
        "import path does not begin with hostname",
    ]) {
        return found(Label::ProjStdMissing, 0.78, at, words).or(Label::ModNoPackage, 0.35);
    }
    if let Some((at, words)) = client.any(&[
        "cannot find module providing package",
        "could not find module providing package",
    ]) {
        return found(Label::ModNoPackage, 0.75, at, words).or(Label::ProjUpdatesNeeded, 0.4);
    }
    if let Some((at, words)) = client.any(&["unrecognized import path"]) {
        return found(Label::ModGoImportMissing, 0.6, at, words).or(Label::ModImportHostGone, 0.4);
    }
    let (Some(at), true) = (client.line_with("exit status 128"), client.has("git ")) else {
        return Verdicts::new();
    };
    found(Label::ModRepoGone, 0.5, at, "exit status 128").or(Label::AuthHttpsNoCredential, 0.45)
}

/// A warning, not a failure.
fn retracted(case: &Case) -> Verdicts {
    match case
        .client
        .any(&["retracted by module author", "(retracted)"])
    {
        Some((at, words)) => found(Label::ModRetracted, 0.9, at, words),
        None => Verdicts::new(),
    }
}
