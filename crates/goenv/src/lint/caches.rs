//! The directories downloads need.

use std::path::Path;

use fault::{Risk, Rule, Severity};

use super::fixes;
use crate::finding::Finding;
use crate::fix::Scope;
use crate::key::Key;
use crate::report::{Directory, Report, effective_user};

/// Below this nothing can be downloaded.
const FULL: u64 = 16 << 20;
/// Below this a larger download fails.
const LOW: u64 = 512 << 20;
/// Modules have many small files.
const FEW_INODES: u64 = 1000;

pub(super) fn check(report: &Report, found: &mut Vec<Finding>) {
    for directory in &report.directories {
        check_space(directory, found);
        check_rights(report, directory, found);
        if let Some(file) = &directory.future_file {
            found.push(
                Finding::new(Rule::ClockBehind)
                    .about(directory.setting)
                    .at(file, None),
            );
        }
    }
    check_nesting(report, found);
}

fn about(rule: Rule, directory: &Directory) -> Finding {
    Finding::new(rule)
        .about(directory.setting)
        .at(&directory.existing, None)
        .with("path", directory.path.to_string_lossy())
}

fn check_space(directory: &Directory, found: &mut Vec<Finding>) {
    // On a read-only file system none is needed.
    if directory.is_read_only {
        return;
    }
    if let Some(free) = directory.free_bytes.filter(|free| *free < LOW) {
        let rule = if free < FULL {
            Rule::DiskFull
        } else {
            Rule::DiskLow
        };
        let mebibytes = format!("{} MiB", free >> 20);
        found.push(about(rule, directory).with("value", mebibytes));
    }
    if let Some(free) = directory.free_inodes.filter(|free| *free < FEW_INODES) {
        found.push(about(Rule::DiskInodes, directory).with("value", free.to_string()));
    }
}

fn check_rights(report: &Report, directory: &Directory, found: &mut Vec<Finding>) {
    let user = effective_user();
    if directory.is_read_only {
        // A filled module cache may well be read-only; one that is not there cannot be made.
        let severity = match directory.setting {
            "GOMODCACHE" if directory.exists() => Severity::Note,
            _ => Severity::Fault,
        };
        found.push(about(Rule::CacheReadOnly, directory).severity(severity));
    } else if !directory.is_writable {
        let is_foreign = directory.owner.is_some() && directory.owner != user;
        let rule = if is_foreign {
            Rule::CacheForeign
        } else {
            Rule::CacheNotWritable
        };
        let owner = directory
            .owner
            .map_or_else(|| "?".to_owned(), |owner| owner.to_string());
        found.push(
            about(rule, directory)
                .with(
                    "value",
                    directory
                        .mode
                        .map_or_else(|| "?".to_owned(), |mode| format!("{mode:o}")),
                )
                .with("other", owner)
                .fixes(own(report, directory, is_foreign)),
        );
    }
    if directory.is_noexec && directory.setting == "GOTMPDIR" {
        found.push(about(Rule::CacheNoexec, directory));
    }
    let is_open = directory
        .mode
        .is_some_and(|mode| mode & 0o002 != 0 && mode & 0o1000 == 0);
    if is_open && directory.exists() && directory.setting != "GOTMPDIR" {
        let mode = directory.mode.unwrap_or_default();
        let change = crate::fix::Change::Mode {
            path: directory.path.clone(),
            mode: mode & !0o022,
            previous: mode,
        };
        let fix = crate::fix::Fix::new(change, Scope::User, Risk::Low);
        found.push(
            about(Rule::CacheWorldWritable, directory)
                .with("value", format!("{mode:o}"))
                .fix(fix),
        );
    }
}

fn own(report: &Report, directory: &Directory, is_foreign: bool) -> Vec<crate::fix::Fix> {
    let path = directory.existing.to_string_lossy().into_owned();
    let in_home = report
        .machine
        .home()
        .is_some_and(|home| directory.existing.starts_with(home));
    if is_foreign && in_home {
        let Some(user) = effective_user() else {
            return Vec::new();
        };
        let user = user.to_string();
        return vec![fixes::run(
            &["sudo", "chown", "-R", &user, &path],
            None,
            Scope::User,
            Risk::High,
        )];
    }
    if is_foreign {
        // Somebody else's directory is left to them.
        return match directory.setting {
            "GOMODCACHE" => fixes::change(report, Key::GOMODCACHE, None),
            "GOCACHE" => fixes::change(report, Key::GOCACHE, None),
            _ => Vec::new(),
        };
    }
    vec![fixes::run(
        &["chmod", "u+rwx", &path],
        None,
        Scope::User,
        Risk::Low,
    )]
}

fn check_nesting(report: &Report, found: &mut Vec<Finding>) {
    let (modules, builds) = (
        report.go.value(Key::GOMODCACHE),
        report.go.value(Key::GOCACHE),
    );
    let (inner, outer) = (Path::new(modules), Path::new(builds));
    let both = inner.is_absolute() && outer.is_absolute();
    if both && (inner.starts_with(outer) || outer.starts_with(inner)) {
        found.push(
            Finding::new(Rule::CacheNested)
                .about("GOMODCACHE")
                .about("GOCACHE")
                .with("value", modules)
                .with("other", builds)
                .fixes(fixes::change(report, Key::GOMODCACHE, None)),
        );
    }
}
