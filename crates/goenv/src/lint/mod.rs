//! What is wrong with settings, found by reading them.
//!
//! Every rule follows from what go, git or ssh do with a value, not from taste: a healthy setup gives no
//! warnings. What a person may well have meant is at most a note.

mod caches;
mod fixes;
mod goproxy;
mod layers;
mod modes;
mod private;
mod proxies;
mod tools;

pub use goproxy::{is_dead_mirror, is_internal_host};

use crate::finding::Finding;
use crate::fix::Fix;
use crate::key::Key;
use crate::report::Report;

/// All findings about a machine's settings, the gravest first; within one severity in the order of
/// [`fault::Rule`].
pub fn findings(report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    layers::check(report, &mut found);
    goproxy::check(report, &mut found);
    private::check(report, &mut found);
    modes::check(report, &mut found);
    proxies::check(report, &mut found);
    tools::check(report, &mut found);
    caches::check(report, &mut found);
    found.sort_by(|a, b| (b.severity, a.rule).cmp(&(a.severity, b.rule)));
    found.dedup();
    found
}

/// What sets a setting to another value, or to none, where its value comes from: the file of `go env -w`, the running
/// shell, and the one line of a file that exports it. The first is the recommended one.
pub fn setting(report: &Report, key: Key, value: Option<&str>) -> Vec<Fix> {
    fixes::change(report, key, value)
}
