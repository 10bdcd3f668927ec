//! The rules, in the order in which they are asked: the innermost cause of an error first, its wrappers last.

mod checksum;
mod config;
mod disk;
mod dns;
mod git;
mod http_proxy;
mod module;
mod project;
mod server;
mod sumdb;
mod tcp;
mod tls;

use super::case::Case;
use super::verdict::Verdicts;

type Rule = fn(&Case) -> Verdicts;

/// Each rule gives up (an empty answer) when its kind of fact is not there.
const RULES: &[Rule] = &[
    config::judge,
    disk::limits,
    checksum::judge,
    sumdb::judge,
    http_proxy::judge,
    tls::judge,
    dns::judge,
    tcp::judge,
    disk::judge,
    server::judge,
    git::judge,
    module::judge,
    project::judge,
];

/// The causes of one error block, most likely first.
pub(crate) fn judge(case: &Case) -> Verdicts {
    if case.is_foreign() {
        return Verdicts::new();
    }
    RULES
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}
