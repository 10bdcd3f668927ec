//! What an unrecognised text comes closest to, so that the answer can point somewhere.

use fault::Hop;

use super::scan::Log;

/// Words that belong to a hop without proving a fault there.
const WORDS: &[(Hop, &[&str])] = &[
    (
        Hop::Config,
        &["goproxy", "goflags", "go111module", "gosumdb", "goprivate"],
    ),
    (Hop::Dns, &["lookup", "dns", "resolve", "nslookup"]),
    (
        Hop::Tcp,
        &["timeout", "timed out", "refused", "reset", "unreachable"],
    ),
    (
        Hop::Tls,
        &["tls", "x509", "certificate", "ssl", "handshake"],
    ),
    (
        Hop::HttpProxy,
        &["http_proxy", "https_proxy", "proxyconnect", "407"],
    ),
    (Hop::Goproxy, &["/@v/", "404", "410", "502", "503", "429"]),
    (Hop::Sumdb, &["checksum", "sumdb", "sum.golang.org"]),
    (Hop::Vcs, &["git", "clone", "fetch", "vcs"]),
    (
        Hop::Auth,
        &[
            "publickey",
            "username",
            "password",
            "token",
            "unauthorized",
            "credential",
        ],
    ),
    (Hop::Module, &["module", "revision", "version", "import"]),
    (Hop::Project, &["go.mod", "go.sum", "vendor", "go.work"]),
    (Hop::Toolchain, &["toolchain", "goroot", "requires go"]),
    (
        Hop::Disk,
        &["permission", "space", "read-only", "too many open"],
    ),
];

/// At most three hops, nearest first; empty when nothing in the text points anywhere.
pub(crate) fn nearest(log: &Log) -> Vec<Hop> {
    let lines: Vec<&str> = log
        .blocks
        .iter()
        .flat_map(|block| &block.lines)
        .map(|line| line.lower.as_str())
        .take(2000)
        .collect();
    let score = |words: &[&str]| {
        lines
            .iter()
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .count()
    };
    let mut hops: Vec<(usize, Hop)> = WORDS
        .iter()
        .map(|(hop, words)| (score(words), *hop))
        .filter(|(score, _)| *score > 0)
        .collect();
    hops.sort_by_key(|(score, hop)| (std::cmp::Reverse(*score), *hop));
    hops.into_iter().take(3).map(|(_, hop)| hop).collect()
}
