//! The table tests of `cmd/go/internal/vcs`, where they are at hand.
#![expect(clippy::print_stdout, reason = "says how many rows ran")]

use std::path::Path;

use serde_json::Value;

use crate::discovery::check_repository_url;
use crate::discovery::hosts::{Address, static_root};
use crate::discovery::meta::{GoImport, ModTags, go_imports, matching};
use crate::govcs::Govcs;
use crate::system::VersionControl;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/conformance/cmd-go/vcs_tests.json"
);

fn rows(table: &str) -> Option<Vec<Value>> {
    let Ok(text) = std::fs::read_to_string(Path::new(FILE)) else {
        testkit::skipped(&format!(
            "vcs_tests.json {table} (no ../shared/conformance)"
        ));
        return None;
    };
    let tables: Value = serde_json::from_str(&text).unwrap();
    let rows = tables[table].as_array().unwrap().clone();
    println!("vcs {table}: {} rows", rows.len());
    assert!(!rows.is_empty());
    Some(rows)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn imports(value: &Value) -> Vec<GoImport> {
    let rows = value.as_array().unwrap().iter();
    rows.map(|row| GoImport {
        prefix: text(&row[0]).to_owned(),
        system: text(&row[1]).to_owned(),
        repository: text(&row[2]).to_owned(),
        subdir: row[3].as_str().unwrap_or_default().to_owned(),
    })
    .collect()
}

#[test]
fn govcs_rows() {
    for row in rows("govcs").into_iter().flatten() {
        let rules = Govcs::parse_alone(text(&row["govcs"])).unwrap();
        let allowed = rules.allows_name(
            text(&row["path"]),
            row["private"].as_bool().unwrap(),
            text(&row["vcs"]),
        );
        assert_eq!(allowed, row["ok"].as_bool().unwrap(), "{row}");
    }
}

#[test]
fn secure_rows() {
    for row in rows("secure").into_iter().flatten() {
        let system = VersionControl::from_command(text(&row[0])).unwrap();
        let secure = system.is_secure_url(text(&row[1]), None);
        assert_eq!(secure, row[2].as_bool().unwrap(), "{row}");
    }
}

#[test]
fn static_root_rows() {
    for row in rows("static_roots").into_iter().flatten() {
        let found = static_root(text(&row[0])).ok().flatten();
        let url = found.map(|root| match root.address {
            Address::Url(url) | Address::Schemeless(url) => url,
        });
        assert_eq!(url.as_deref(), row[1].as_str(), "{row}");
    }
}

#[test]
fn meta_tag_rows() {
    for row in rows("parse_meta").into_iter().flatten() {
        let mode = match text(&row[1]) {
            "prefer" => ModTags::Prefer,
            _ => ModTags::Ignore,
        };
        assert_eq!(go_imports(text(&row[0]), mode), imports(&row[2]), "{row}");
    }
}

#[test]
fn matching_rows() {
    for row in rows("match_go_import").into_iter().flatten() {
        let imports = imports(&row[0]);
        let found = matching(&imports, text(&row[1])).ok();
        let want = row[2]
            .as_u64()
            .map(|index| &imports[usize::try_from(index).unwrap()]);
        assert_eq!(found, want, "{row}");
    }
}

#[test]
fn repository_url_rows() {
    for row in rows("validate_repo_root").into_iter().flatten() {
        let valid = check_repository_url(text(&row[0])).is_ok();
        assert_eq!(valid, row[1].as_bool().unwrap(), "{row}");
    }
}
