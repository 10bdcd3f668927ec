//! The checksum database: requests with `/lookup/`, `/tile/` or `/sumdb/` in their URL.

use fault::Label;

use crate::explain::case::{Case, Status};
use crate::explain::net::Failure;
use crate::explain::url::{self, Purpose};
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    let client = &case.client;
    if let Some(status) = client
        .statuses
        .iter()
        .find(|status| status.url.purpose == Purpose::Sumdb && !status.bare)
    {
        return answered(case, status);
    }
    if let Some(told) = pasted_body(case) {
        return told;
    }
    let Some(url) = client.url_for(Purpose::Sumdb) else {
        return unreadable(case);
    };
    if client.has_any(&["proxyconnect", "x509", "tls: ", "socks connect"])
        || client.statuses.iter().any(|status| status.bare)
    {
        return Verdicts::new();
    }
    if url.text.ends_with("/supported") && client.has_any(&["invalid", "malformed"]) {
        return found(Label::SumdbProxyUnsupported, 0.8, 0, "/supported").by_server();
    }
    if let Some((at, lookup)) = case.lookup() {
        // A resolver that is broken for every name is the earlier cause; a name it hides is the database's.
        return match super::dns::label(case, lookup) {
            label if lookup.failure == Failure::NoSuchHost => {
                found(Label::SumdbUnreachable, 0.7, *at, "lookup ").or(label, 0.45)
            }
            label => found(label, 0.75, *at, "lookup ").or(Label::SumdbUnreachable, 0.45),
        };
    }
    let unreachable = client
        .sockets
        .first()
        .map(|(at, socket)| (*at, socket.failure));
    let bypassed = super::http_proxy::unset(case);
    if !bypassed.is_empty() {
        return bypassed;
    }
    if let Some((at, failure)) = unreachable {
        let second = if failure == Failure::Reset {
            Label::TcpReset
        } else {
            Label::TcpBlockedRegion
        };
        return found(Label::SumdbUnreachable, 0.9, at, "dial tcp").or(second, 0.3);
    }
    // The connection stood: what broke is the transport, whatever was asked over it.
    let transport = super::server::http2(case);
    if !transport.is_empty() {
        return transport.or(Label::SumdbUnreachable, 0.4);
    }
    let words = [
        "handshake timeout",
        "timeout",
        "deadline exceeded",
        "eof",
        "connection reset",
        "connection refused",
    ];
    if let Some((at, words)) = client.any(&words) {
        let second = if words == "handshake timeout" {
            Label::TlsHandshakeTimeout
        } else {
            Label::TcpTimeout
        };
        return found(Label::SumdbUnreachable, 0.85, at, words).or(second, 0.35);
    }
    unreadable(case)
}

/// The database answered with an error status.
fn answered(case: &Case, status: &Status) -> Verdicts {
    let path = status
        .url
        .module
        .clone()
        .or_else(|| case.module())
        .unwrap_or_default();
    let text = format!("{}", status.code);
    let verdicts = |label, confidence| found(label, confidence, status.at, &text).by_server();
    if status.url.text.contains("/supported") {
        return match status.code {
            404 | 410 => {
                verdicts(Label::SumdbUnreachable, 0.5).or(Label::SumdbProxyUnsupported, 0.4)
            }
            _ => verdicts(Label::SumdbProxyUnsupported, 0.93).or(Label::Sumdb5xx, 0.2),
        };
    }
    let private = url::looks_private(&path) || is_hidden(case, &path);
    match status.code {
        404 | 410 if status.url.text.contains("/sumdb/") && status.url.text.contains("/tile/") => {
            verdicts(Label::SumdbProxyUnsupported, 0.75).or(Label::Sumdb404, 0.45)
        }
        404 | 410 if private => verdicts(Label::SumdbPrivateLeak, 0.95).or(Label::Sumdb404, 0.3),
        404 | 410 => fetched(case).unwrap_or_else(|| absent(case, status)),
        500..=599 if url::looks_private(&path) => {
            verdicts(Label::Sumdb5xx, 0.7).or(Label::SumdbPrivateLeak, 0.45)
        }
        500..=599 => match fetched(case) {
            Some(fetched) => fetched.or(Label::Sumdb5xx, 0.4),
            None => verdicts(Label::Sumdb5xx, 0.93).or(Label::SumdbUpstreamFetch, 0.2),
        },
        429 => verdicts(Label::Sumdb5xx, 0.6).or(Label::Goproxy429, 0.4),
        401 | 403 | 407 if status.url.text.contains("/sumdb/") => {
            verdicts(Label::SumdbProxyUnsupported, 0.6).or(Label::SumdbUnreachable, 0.4)
        }
        401 | 403 | 407 => {
            verdicts(Label::SumdbUnreachable, 0.6).or(Label::HttpproxyConnectForbidden, 0.4)
        }
        _ if status.url.text.contains("/sumdb/") => {
            verdicts(Label::SumdbProxyUnsupported, 0.7).or(Label::Sumdb5xx, 0.3)
        }
        _ => verdicts(Label::Sumdb404, 0.5).or(Label::SumdbUnreachable, 0.3),
    }
}

/// The server could not see the repository, which the client evidently has: it is private.
fn is_hidden(case: &Case, path: &str) -> bool {
    const HIDDEN: &[&str] = &[
        "terminal prompts disabled",
        "could not read username",
        "authentication failed",
        "repository not found",
        "access denied",
        "permission denied (publickey",
        "could not read from remote",
        "private repository",
        "host key verification failed",
        "no go-import meta tags",
        "could not read password",
    ];
    // Everybody reaches a public forge: a connection that fails there is a fault of the moment.
    const OUT_OF_REACH: &[&str] = &["no such host", "connection refused", "no route to host"];
    let forge = url::is_forge(path.split('/').next().unwrap_or_default());
    case.server.has_any(HIDDEN)
        || (!forge && case.server.has_any(OUT_OF_REACH))
        || (case.client.statuses.len() == 1
            && case.server.lines.is_empty()
            && case.client.has_any(HIDDEN))
}

/// The server's own fetch broke.
fn fetched(case: &Case) -> Option<Verdicts> {
    const BROKEN: &[&str] = &[
        "fetch timed out",
        "timed out",
        "early eof",
        "rpc failed",
        "index-pack",
        "unable to access",
        "the remote end hung up",
        "exit status 128",
        "context deadline",
        "i/o timeout",
        "signal: killed",
        "no space left",
        "internal error",
    ];
    let (at, words) = case.server.any(BROKEN).or_else(|| {
        let inline = case.client.any(&["fetch timed out"]);
        inline.filter(|_| case.server.lines.is_empty())
    })?;
    let unknown = case.server.has_any(&[
        "unknown revision",
        "invalid version: unknown",
        "couldn't find remote ref",
    ]);
    (!unknown).then(|| {
        found(Label::SumdbUpstreamFetch, 0.9, 0, words)
            .quoted(at, words)
            .or(Label::Sumdb404, 0.35)
    })
}

/// The body of the database's 404 without the words of go around it, as curl or a browser shows it. The public servers
/// fetch into a directory that nobody else has.
fn pasted_body(case: &Case) -> Option<Verdicts> {
    let own = |text: &str| text.contains(" in /tmp/gopath/pkg/mod/cache/vcs/");
    let at = case.client.lower().position(|text| {
        let told = text.starts_with("not found: ") || text.contains(": not found: ");
        told && own(text)
    })?;
    case.server.lines.is_empty().then(|| {
        found(Label::SumdbUpstreamFetch, 0.85, at, "/tmp/gopath/")
            .or(Label::Goproxy404, 0.45)
            .by_server()
    })
}

/// 404 or 410 for a path that looks public.
fn absent(case: &Case, status: &Status) -> Verdicts {
    let text = status.code.to_string();
    if let Some(unfit) = unfit(case) {
        return unfit.or(Label::Sumdb404, 0.45);
    }
    let verdicts = found(Label::Sumdb404, 0.78, status.at, &text)
        .by_server()
        .or(Label::SumdbPrivateLeak, 0.45);
    match case.server.any(&[
        "unknown revision",
        "invalid version",
        "no matching versions",
    ]) {
        Some((at, words)) => verdicts.quoted(at, words),
        None => verdicts,
    }
}

/// The module cannot be packed, so the database cannot know it.
fn unfit(case: &Case) -> Option<Verdicts> {
    const REASONS: &[(&str, Label)] = &[
        ("malformed file path", Label::ModZipBadFile),
        ("file name collision", Label::ModZipBadFile),
        ("source tree too large", Label::ModZipTooLarge),
        ("zip file too large", Label::ModZipTooLarge),
    ];
    REASONS.iter().find_map(|(words, label)| {
        let quoted = case.server.line_with(words);
        let plain = || case.client.line_with(words);
        quoted
            .map(|at| found(*label, 0.8, 0, words).quoted(at, words))
            .or_else(|| plain().map(|at| found(*label, 0.8, at, words).by_server()))
    })
}

/// An answer of the database that does not verify.
fn unreadable(case: &Case) -> Verdicts {
    const FORGED: &[&str] = &[
        "misbehaving checksum",
        "sumdb.client",
        "cannot authenticate record",
        "malformed note",
        "invalid transparency proof",
        "downloaded inconsistent tile",
        "malformed record data",
        "unverified",
        "verification failed for",
    ];
    const SETTING: &[&str] = &["invalid gosumdb", "invalid sumdb name", "unknown gosumdb"];
    let client = &case.client;
    if let Some((at, words)) = client.any(SETTING) {
        // Nothing was asked yet: the database that the setting names cannot be had.
        return found(Label::SumdbUnreachable, 0.75, at, words)
            .or(Label::SumdbProxyUnsupported, 0.3);
    }
    if let Some(at) = client.line_with("checksum database disabled by gosumdb=off") {
        return found(
            Label::ToolchainNotAvailable,
            0.55,
            at,
            "checksum database disabled",
        )
        .or(Label::SumdbUnreachable, 0.4);
    }
    if let Some((at, words)) = client
        .any(&["not found: fetch timed out"])
        .filter(|_| case.log.go || case.log.fragment)
    {
        // The body of an answer, as curl prints it.
        return found(Label::SumdbUpstreamFetch, 0.75, at, words)
            .or(Label::Goproxy404, 0.4)
            .by_server();
    }
    match client
        .any(FORGED)
        .filter(|_| client.has_any(&["sumdb", "sum.golang", "checksum", "verifying"]))
    {
        Some((at, words @ ("malformed record data" | "malformed note" | "sumdb.client"))) => {
            found(Label::SumdbProxyUnsupported, 0.75, at, words).or(Label::CaptivePortalHtml, 0.45)
        }
        Some((at, words)) => {
            found(Label::SumdbMismatch, 0.55, at, words).or(Label::SumdbProxyUnsupported, 0.45)
        }
        None => Verdicts::new(),
    }
}
