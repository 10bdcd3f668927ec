//! Paths, versions, globs and go.sum files.

use jiff::Timestamp;

use super::{Tables, vectors};
use crate::path::{check_file_path, check_import_path, check_path, split_path_version};
use crate::pseudo::{
    base, dec_decimal, inc_decimal, is_pseudo_version, pseudo_version, pseudo_version_time, rev,
};
use crate::{ModulePath, check, check_path_major, glob, gosum, gover, semver};

#[test]
fn semantic_versions() {
    let Some(tables) = Tables::open("x-mod/tables/semver_semver.json") else {
        return;
    };
    let mut seen: Vec<(String, String)> = Vec::new();
    tables.each("tests", |row| {
        let (version, canonical) = (row.text("in"), row.text("out"));
        assert_eq!(semver::canonical(version).unwrap_or_default(), canonical);
        assert_eq!(semver::is_valid(version), !canonical.is_empty());
        let major = canonical.split('.').next().unwrap_or_default();
        assert_eq!(semver::major(version).unwrap_or_default(), major);
        // The table is in ascending order.
        for (lower, lower_canonical) in &seen {
            let order = semver::compare(lower, version);
            assert_eq!(
                order.is_eq(),
                lower_canonical == canonical,
                "{lower} {version}"
            );
            assert!(order.is_le(), "{lower} {version}");
            assert_eq!(semver::compare(version, lower), order.reverse());
        }
        seen.push((version.to_owned(), canonical.to_owned()));
    });
    let mut sorted = Vec::new();
    let mut golden = Vec::new();
    tables.each("TestSort.golden", |row| {
        golden.push(row.value.as_str().unwrap().to_owned());
    });
    sorted.extend(golden.iter().rev().cloned());
    semver::sort(&mut sorted);
    assert_eq!(sorted, golden);
}

#[test]
fn module_paths() {
    let Some(tables) = Tables::open("x-mod/tables/module_module.json") else {
        return;
    };
    tables.each("checkTests", |row| {
        let (path, version) = (row.text("path"), row.text("version"));
        assert_eq!(
            check(path, version).is_ok(),
            row.flag("ok"),
            "{path} {version}"
        );
    });
    tables.each("checkPathTests", |row| {
        let path = row.bytes("path");
        assert_eq!(check_path(&path).is_ok(), row.flag("ok"), "{path}");
        assert_eq!(
            check_import_path(&path).is_ok(),
            row.flag("importOK"),
            "{path}"
        );
        assert_eq!(check_file_path(&path).is_ok(), row.flag("fileOK"), "{path}");
    });
    tables.each("splitPathVersionTests", |row| {
        let (prefix, path_major) = (row.text("pathPrefix"), row.text("version"));
        let path = format!("{prefix}{path_major}");
        assert_eq!(split_path_version(&path), Some((prefix, path_major)));
    });
    tables.each("escapeTests", |row| {
        let path = ModulePath::new(row.text("path")).unwrap();
        let escaped = row.value["esc"].as_str().unwrap_or(path.as_str());
        assert_eq!(path.escaped().as_str(), escaped);
        assert_eq!(ModulePath::unescape(escaped), Ok(path));
    });
    tables.each("badUnescape", |row| {
        let escaped = row.value.as_str().unwrap();
        assert!(ModulePath::unescape(escaped).is_err(), "{escaped}");
    });
    tables.each("TestMatchPathMajor.test", |row| {
        let (version, path_major) = (row.text("v"), row.text("pathMajor"));
        let fits = check_path_major(version, path_major).is_ok();
        assert_eq!(fits, row.flag("want"), "{version} {path_major}");
    });
    tables.each("TestMatchPrefixPatterns.test", |row| {
        let (globs, target) = (row.text("globs"), row.text("target"));
        let matched = glob::match_prefix_patterns(globs, target);
        assert_eq!(matched, row.flag("want"), "{globs} {target}");
    });
}

#[test]
fn pseudo_versions() {
    let Some(tables) = Tables::open("x-mod/tables/module_pseudo.json") else {
        return;
    };
    let time: Timestamp = "2006-01-02T15:04:05Z".parse().unwrap();
    tables.each("pseudoTests", |row| {
        let (older, version) = (row.text("older"), row.text("version"));
        assert_eq!(
            pseudo_version(row.text("major"), older, time, "hash"),
            version
        );
        assert!(is_pseudo_version(version));
        assert_eq!(pseudo_version_time(version), Ok(time));
        assert_eq!(rev(version), Ok("hash"));
        assert_eq!(
            base(version).map(Option::unwrap_or_default).as_deref(),
            Ok(older)
        );
        // A cut version must not be taken for a pseudo-version.
        let cut = version.rsplit_once('-').unwrap().0;
        assert!(!is_pseudo_version(cut), "{cut}");
    });
    tables.each("TestInvalidPseudoVersionBase.in", |row| {
        let version = row.value.as_str().unwrap();
        assert!(base(version).is_err(), "{version}");
    });
    tables.each("TestIncDecimal.cases", |row| {
        assert_eq!(inc_decimal(row.text("in")), row.text("want"));
    });
    tables.each("TestDecDecimal.cases", |row| {
        assert_eq!(
            dec_decimal(row.text("in")).unwrap_or_default(),
            row.text("want")
        );
    });
}

#[test]
fn go_versions() {
    let Some(tables) = Tables::open("cmd-go/gover_tests.json") else {
        return;
    };
    tables.each("compare", |row| {
        let (a, b) = (
            row.value[0].as_str().unwrap(),
            row.value[1].as_str().unwrap(),
        );
        let order = gover::compare(a, b);
        assert_eq!(Some(order as i64), row.value[2].as_i64(), "{a} {b}");
        assert_eq!(gover::compare(b, a), order.reverse());
    });
    tables.each("lang", |row| {
        assert_eq!(
            gover::lang(row.value[0].as_str().unwrap()),
            row.value[1].as_str().unwrap()
        );
    });
    tables.each("is_lang", |row| {
        assert_eq!(
            Some(gover::is_lang(row.value[0].as_str().unwrap())),
            row.value[1].as_bool()
        );
    });
    tables.each("prev", |row| {
        assert_eq!(
            gover::prev(row.value[0].as_str().unwrap()),
            row.value[1].as_str().unwrap()
        );
    });
    tables.each("is_valid", |row| {
        assert_eq!(
            Some(gover::is_valid(row.value[0].as_str().unwrap())),
            row.value[1].as_bool()
        );
    });
}

#[test]
fn a_go_sum_file() {
    let Some(path) = vectors("x-mod/gosumcheck/test.sum") else {
        return;
    };
    let data = std::fs::read(path).unwrap();
    let sums = gosum::GoSum::parse("test.sum", &data).unwrap();
    assert_eq!(sums.len(), 6);
    let hash = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=";
    assert_eq!(
        sums.verify("rsc.io/quote", "v1.5.2", hash),
        gosum::Verdict::Match
    );
    assert_eq!(
        sums.verify("rsc.io/quote", "v1.5.2/go.mod", hash),
        gosum::Verdict::Mismatch
    );
    // The file is sorted but for its last line.
    let mut lines: Vec<&str> = std::str::from_utf8(&data).unwrap().lines().collect();
    lines.swap(4, 5);
    assert_eq!(sums.format().lines().collect::<Vec<_>>(), lines);
}
