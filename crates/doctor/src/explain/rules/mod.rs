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
    server::logged,
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

#[cfg(test)]
mod tests {
    use fault::Label;

    use crate::explain::{Options, explain};

    fn top(text: &str) -> Option<Label> {
        let said = explain(text, &Options::default());
        said.causes.first().map(|cause| cause.label)
    }

    fn holds(table: &[(&str, Option<Label>)]) {
        for (text, label) in table {
            assert_eq!(top(text), *label, "{text}");
        }
    }

    #[test]
    fn a_stream_of_the_checksum_database_breaks_like_any_stream() {
        let asked = "go: a.example/m@v1.0.0: verifying module: a.example/m@v1.0.0: reading https://mirror.example/sumdb/sum.golang.org/lookup/a.example/m@v1.0.0: ";
        holds(&[
            (
                format!("{asked}stream error: stream ID 7; INTERNAL_ERROR; received from peer")
                    .as_str(),
                Some(Label::Http2StreamError),
            ),
            (
                format!("{asked}http2: server sent GOAWAY and closed the connection").as_str(),
                Some(Label::Http2Goaway),
            ),
            (
                format!("{asked}dial tcp 192.0.2.4:443: i/o timeout").as_str(),
                Some(Label::SumdbUnreachable),
            ),
            (
                format!("{asked}EOF").as_str(),
                Some(Label::SumdbUnreachable),
            ),
        ]);
    }

    #[test]
    fn a_proxy_that_is_set_for_http_only_explains_the_database_out_of_reach() {
        let failure = "go: a.example/m@v1.0.0: verifying module: a.example/m@v1.0.0: Get \"https://sum.golang.org/lookup/a.example/m@v1.0.0\": dial tcp 192.0.2.4:443: i/o timeout";
        holds(&[
            (
                format!("$ HTTP_PROXY=http://127.0.0.1:9000 go get a.example/m\n{failure}").as_str(),
                Some(Label::HttpproxyHttpsUnset),
            ),
            (
                format!(
                    "$ HTTP_PROXY=http://127.0.0.1:9000 HTTPS_PROXY=http://127.0.0.1:9000 go get a.example/m\n{failure}"
                )
                .as_str(),
                Some(Label::SumdbUnreachable),
            ),
        ]);
    }

    #[test]
    fn what_the_database_says_of_itself_is_read_without_the_words_of_go_too() {
        holds(&[
            (
                "not found: a.example/m@v1.0.0: invalid version: git ls-remote -q https://a.example/m in /tmp/gopath/pkg/mod/cache/vcs/77aa: exit status 128:\n\tfatal: unable to access 'https://a.example/m/': Failed to connect to a.example port 443: Connection refused",
                Some(Label::SumdbUpstreamFetch),
            ),
            (
                "go: a.example/m@v1.0.0: invalid version: git ls-remote -q https://a.example/m in /root/go/pkg/mod/cache/vcs/77aa: exit status 128:\n\tfatal: unable to access 'https://a.example/m/': Failed to connect to a.example port 443: Connection refused",
                Some(Label::TcpRefused),
            ),
            (
                "go: a.example/m@v1.0.0: verifying go.mod: reading https://sum.golang.org/lookup/a.example/m@v1.0.0: 404 Not Found\n\tserver response: not found: create zip: docs/a:b.md: malformed file path \"docs/a:b.md\": invalid char ':'",
                Some(Label::ModZipBadFile),
            ),
            (
                "go: a.example/m@v1.0.0: verifying go.mod: reading https://sum.golang.org/lookup/a.example/m@v1.0.0: 404 Not Found\n\tserver response: not found: a.example/m@v1.0.0: invalid version: unknown revision v1.0.0",
                Some(Label::Sumdb404),
            ),
        ]);
    }

    #[test]
    fn damaged_entries_of_the_cache_are_told_from_other_directories_without_a_repository() {
        holds(&[
            (
                "verifying a.example/m@v1.0.0: unexpected ziphash: \"\"",
                Some(Label::DiskCacheCorrupt),
            ),
            (
                "go: a.example/m@v1.0.0: invalid version: git fetch -f origin in /root/go/pkg/mod/cache/vcs/77aa: exit status 128:\n\tfatal: not a git repository (or any of the parent directories): .git",
                Some(Label::DiskCacheCorrupt),
            ),
            (
                "go: a.example/m@v1.0.0: invalid version: git fetch -f origin in /root/go/pkg/mod/cache/vcs/77aa: exit status 128:\n\tfatal: Kein Git-Repository (oder irgendein Elternverzeichnis): .git",
                Some(Label::DiskCacheCorrupt),
            ),
            (
                "$ git status\nfatal: not a git repository (or any of the parent directories): .git",
                None,
            ),
        ]);
    }

    #[test]
    fn a_host_key_that_was_learnt_is_not_one_that_is_refused() {
        holds(&[
            (
                "Warning: Permanently added the ED25519 host key for IP address '192.0.2.9' to the list of known hosts.\ngit@git.example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                Some(Label::AuthSshPublickey),
            ),
            (
                "ED25519 host key for git.example.com has changed and you have requested strict checking.\nfatal: Could not read from remote repository.",
                Some(Label::AuthSshHostkey),
            ),
        ]);
    }

    #[test]
    fn a_discovery_page_that_leads_to_a_host_that_is_gone_is_the_imports_fault() {
        holds(&[
            (
                "go: unrecognized import path \"a.example/m\": https fetch: Get \"https://pages.a.example/m/\": dial tcp: lookup pages.a.example: no such host",
                Some(Label::ModImportHostGone),
            ),
            (
                "go: a.example/m@v1.0.0: Get \"https://proxy.golang.org/a.example/m/@v/v1.0.0.mod\": dial tcp: lookup proxy.golang.org: no such host",
                Some(Label::DnsNxdomain),
            ),
        ]);
    }

    #[test]
    fn the_log_of_a_proxy_that_does_not_say_why_is_its_own_trouble() {
        let logged = |message: &str, kind: &str| {
            format!(
                "time=\"2024-05-06T07:08:09Z\" level=error msg=\"{message}\" http-path=/a.example/m/@v/v1.0.0.info kind=\"{kind}\""
            )
        };
        holds(&[
            (
                logged(
                    "exit status 1: go: finding a.example/m v1.0.0",
                    "Internal Server Error",
                )
                .as_str(),
                Some(Label::Goproxy5xx),
            ),
            (
                logged(
                    "a.example/m@v1.0.0: invalid version: unknown revision v1.0.0",
                    "Internal Server Error",
                )
                .as_str(),
                Some(Label::ModUnknownRevision),
            ),
        ]);
    }

    #[test]
    fn places_of_the_system_are_not_those_of_modules() {
        holds(&[
            (
                "unlinkat //lib/modules/6.1.0/modules.dep: read-only file system",
                None,
            ),
            (
                "open /usr/lib/locale/C.utf8/LC_CTYPE: too many open files",
                None,
            ),
            (
                "mkdir /home/dev/.cache/go-build: read-only file system",
                Some(Label::DiskReadonly),
            ),
            (
                "write /data/mod.zip: no space left on device",
                Some(Label::DiskFull),
            ),
        ]);
    }

    #[test]
    fn words_that_stand_alone_on_their_line_are_found() {
        holds(&[
            (
                "go: directory /src/tools outside available modules",
                Some(Label::ProjNoGomod),
            ),
            (
                "main.go:1:1: package requires newer Go version go1.26",
                Some(Label::ToolchainGoTooOld),
            ),
            (
                "Cloning into '/go/src/a.example/m'...\nfatal: unable to access 'https://a.example/m/': SSL: certificate verification failed (result: 5)",
                Some(Label::TlsUnknownCaMitm),
            ),
            (
                "fatal: unable to access 'https://a.example/m/':\nGnuTLS recv error (-110): The TLS connection was non-properly terminated.",
                Some(Label::TcpReset),
            ),
        ]);
    }
}
