//! What the fuzzers hold against the parsers. Each function takes any bytes, panics when a property is broken, and
//! tells whether the bytes were accepted.

use std::cmp::Ordering;

use gomod::gosum::GoSum;
use gomod::info::RevInfo;
use gomod::modfile::{ModFile, Syntax, WorkFile, module_path};
use gomod::{
    ModulePath, Revision, Version, check, check_path_major, glob, gover, path, pseudo, semver,
};

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A go.mod file: what is accepted is written as something that is accepted, says the same and is written the same
/// again; a dependency's file is read at least as patiently as one's own.
pub(crate) fn go_mod(data: &[u8]) -> bool {
    let scanned = module_path(data);
    if let Ok(syntax) = Syntax::parse("go.mod", data) {
        let written = syntax.format();
        let again = Syntax::parse("go.mod", &written).expect("what was written can be read");
        assert_eq!(again.format(), written, "formatting is stable");
    }
    let lax = ModFile::parse_lax("go.mod", data);
    let Ok(file) = ModFile::parse("go.mod", data) else {
        return false;
    };
    assert!(lax.is_ok(), "a lax reader refuses what a strict one takes");
    let again = ModFile::parse("go.mod", &file.format()).expect("what was written can be read");
    assert_eq!(again.format(), file.format());
    assert_eq!(requirements(&again), requirements(&file));
    assert_eq!(again.go_version(), file.go_version());
    let names = |file: &ModFile| file.module().map(|module| module.path.clone());
    assert_eq!(names(&again), names(&file));
    if let (Some(scanned), Some(read)) = (module_path(&file.format()), names(&file)) {
        // A module directive in a block is no line that begins with `module path`.
        assert!(
            scanned == read || scanned == "(",
            "{scanned:?} and {read:?}"
        );
    }
    drop(scanned);
    true
}

fn requirements(file: &ModFile) -> Vec<(String, Version, bool)> {
    let require = file.require().iter();
    require
        .map(|require| {
            (
                require.path.clone(),
                require.version.clone(),
                require.indirect,
            )
        })
        .collect()
}

/// A go.work file, as [`go_mod`].
pub(crate) fn go_work(data: &[u8]) -> bool {
    let Ok(file) = WorkFile::parse("go.work", data) else {
        return false;
    };
    let again = WorkFile::parse("go.work", &file.format()).expect("what was written can be read");
    assert_eq!(again.format(), file.format());
    let uses = |file: &WorkFile| {
        let uses = file.uses().iter();
        uses.map(|r#use| r#use.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(uses(&again), uses(&file));
    true
}

/// A go.sum file: what is accepted is written as something with the same lines.
pub(crate) fn go_sum(data: &[u8]) -> bool {
    let (lenient, errors) = GoSum::parse_lenient("go.sum", data);
    let parsed = GoSum::parse("go.sum", data);
    assert_eq!(parsed.is_ok(), errors.is_empty());
    let again = GoSum::parse("go.sum", lenient.format().as_bytes());
    let again = again.expect("what was written can be read");
    assert_eq!(again.format(), lenient.format());
    assert_eq!(again.len(), lenient.len());
    parsed.is_ok()
}

/// A module path, its escaped form, or a pattern for paths.
pub(crate) fn module_path_text(data: &[u8]) -> bool {
    let is_file_path = path::check_file_path(data).is_ok();
    let is_import_path = path::check_import_path(data).is_ok();
    let is_path = path::check_path(data).is_ok();
    let Some(text) = text(data) else {
        assert!(!is_path && !is_import_path && !is_file_path);
        return false;
    };
    if let Ok(unescaped) = ModulePath::unescape(text) {
        assert_eq!(unescaped.escaped().as_str(), text, "one spelling only");
    }
    let (globs, target) = text.split_once(' ').unwrap_or((text, text));
    let _ = glob::matches(globs, target);
    let _ = glob::match_prefix_patterns(globs, target);
    let parsed = ModulePath::new(text);
    assert_eq!(parsed.is_ok(), is_path);
    let Ok(parsed) = parsed else { return false };
    assert!(
        is_import_path && is_file_path,
        "{text:?} is a path of all kinds"
    );
    let escaped = parsed.escaped();
    assert!(
        !escaped
            .as_str()
            .bytes()
            .any(|byte| byte.is_ascii_uppercase())
    );
    let again = ModulePath::unescape(escaped.as_str()).expect("an escaped path");
    assert_eq!(again, parsed);
    let (prefix, major) = parsed.split_version();
    assert_eq!(format!("{prefix}{major}"), text);
    assert!(parsed.contains_package(text));
    true
}

/// A version, its escaped form, or two versions with a space between them.
pub(crate) fn version_text(data: &[u8]) -> bool {
    let Some(text) = text(data) else { return false };
    let (a, b) = text.split_once(' ').unwrap_or((text, "v1.0.0"));
    for compare in [semver::compare, semver::compare_total, gover::compare] {
        assert_eq!(compare(a, b), compare(b, a).reverse(), "{a:?} and {b:?}");
        assert_eq!(compare(a, a), Ordering::Equal, "{a:?}");
    }
    let _ = check(a, b);
    let _ = check_path_major(a, b);
    let _ = (gover::lang(a), gover::prev(a), gover::from_toolchain(a));
    if let Some(canonical) = semver::canonical(a) {
        assert_eq!(semver::canonical(&canonical), Some(canonical.clone()));
        assert_eq!(semver::compare(a, &canonical), Ordering::Equal);
    }
    if pseudo::is_pseudo_version(a) {
        assert!(semver::is_valid(a));
    }
    let _ = (
        pseudo::base(a),
        pseudo::rev(a),
        pseudo::pseudo_version_time(a),
    );
    if let Ok(revision) = Revision::unescape(text) {
        assert_eq!(revision.escaped().as_str(), text, "one spelling only");
    }
    let Ok(version) = Version::new(text) else {
        return false;
    };
    let escaped = version.escaped();
    let again = Version::unescape(escaped.as_str()).expect("an escaped version");
    assert_eq!(again, version);
    assert_eq!(
        Version::canonicalize(text).expect("it is canonical"),
        version
    );
    true
}

/// An `.info` document: what is accepted is written as something that says the same.
pub(crate) fn info(data: &[u8]) -> bool {
    let Ok(info) = RevInfo::parse(data) else {
        return false;
    };
    let written = info.to_json();
    let again = RevInfo::parse(written.as_bytes()).expect("what was written can be read");
    assert_eq!(again.to_json(), written);
    true
}
