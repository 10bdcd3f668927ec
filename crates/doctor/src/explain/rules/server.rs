//! Answers of the module proxy: HTTP status, unreadable bodies, HTTP/2 faults, slowness.

use fault::Label;

use crate::explain::case::{Case, Status};
use crate::explain::url::{self, Purpose};
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    let rules = [slow, http2, body, answered];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

/// Traced requests (`# get URL: 200 OK (34.5s)`) that took tens of seconds.
fn slow(case: &Case) -> Verdicts {
    for (at, line) in case.client.lines.iter().enumerate() {
        let Some(rest) = line.lower.strip_prefix("# get ") else {
            continue;
        };
        let seconds = rest
            .rsplit_once('(')
            .and_then(|(_, time)| time.strip_suffix("s)"))
            .and_then(|time| time.parse::<f32>().ok());
        let served = [": 200", ": 404", ": 410"]
            .iter()
            .any(|status| rest.contains(status));
        if served && seconds.is_some_and(|seconds| seconds >= 10.0) {
            return found(Label::GoproxySlow, 0.76, at, "# get ").by_server();
        }
    }
    Verdicts::new()
}

pub(super) fn http2(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "stream error: stream id",
        "was not closed cleanly",
        "http2 framing layer",
        "http/2 stream",
        "http2: ",
        "http/2 framing",
    ];
    let client = &case.client;
    if !case.may_be_about_modules() {
        return Verdicts::new();
    }
    if let Some((at, words)) = client.any(&["sent goaway", "goaway and closed"]) {
        return found(Label::Http2Goaway, 0.97, at, words).or(Label::Http2StreamError, 0.2);
    }
    let git = client.has_any(&["rpc failed", "early eof", "index-pack", "fetch-pack"]);
    match client.any(WORDS).filter(|_| !git) {
        Some((at, words)) => found(Label::Http2StreamError, 0.93, at, words),
        None => Verdicts::new(),
    }
}

/// Bodies that are not what the protocol says.
fn body(case: &Case) -> Verdicts {
    const PORTAL: &[&str] = &[
        "captive",
        "hotspot",
        "wi-fi",
        "wifi",
        "guest",
        "sign in",
        "signin",
        "log in",
        "login",
        "portal",
        "blocked",
        "zscaler",
        "fortiguard",
        "fortinet",
        "web filter",
        "webfilter",
        "access to this site",
        "authenticate",
        "your organization",
        "policy violation",
        "网页已被",
        "登录",
        "认证",
    ];
    const HTML: &[&str] = &["invalid character '<'", "<!doctype", "<html", "<head>"];
    let client = &case.client;
    if case.log.other_tool && !case.is_about_modules() {
        return Verdicts::new();
    }
    if let Some((at, words)) = client.any(&[
        "malformed http response",
        "malformed http status",
        "http/0.9",
    ]) {
        return found(Label::TlsPlainHttp, 0.5, at, words).or(Label::HttpproxyConnectFailed, 0.4);
    }
    if let Some((at, words)) = client.any(HTML).or_else(|| {
        case.server
            .any(HTML)
            .map(|(_, words)| (client.lines.len().saturating_sub(1), words))
    }) {
        let portal = case.log.portal || client.has_any(PORTAL) || case.server.has_any(PORTAL);
        let status = client
            .statuses
            .iter()
            .any(|status| matches!(status.code, 401 | 404 | 410 | 429 | 500..=599));
        return match (portal, status) {
            (true, _) if !status || client.has("302") => {
                found(Label::CaptivePortalHtml, 0.85, at, words).or(Label::GoproxyHtml, 0.45)
            }
            (_, true) => Verdicts::new(),
            _ if case.log.go || case.is_about_modules() || case.log.fragment => {
                found(Label::GoproxyHtml, 0.9, at, words)
                    .or(Label::CaptivePortalHtml, 0.45)
                    .by_server()
            }
            _ => Verdicts::new(),
        };
    }
    if let Some((at, words)) = client.any(&["captive portal", "redirected to login"]) {
        return found(Label::CaptivePortalHtml, 0.85, at, words);
    }
    if let Some((at, words)) = client
        .any(&["stopped after 10 redirects", "maximum (50) redirects"])
        .filter(|_| case.is_about_modules())
    {
        return found(Label::CaptivePortalHtml, 0.7, at, words)
            .or(Label::Goproxy4xx, 0.4)
            .by_server();
    }
    damaged(case)
}

fn damaged(case: &Case) -> Verdicts {
    const CORRUPT: &[&str] = &[
        "not a valid zip file",
        "gzip: invalid header",
        "zip: checksum error",
        "flate: corrupt",
        "zip: unsupported",
        "invalid zip",
        "gzip: invalid checksum",
        "zip: format error",
        "checksum error",
        "zlib: invalid",
        "has unexpected file",
    ];
    const ODD: &[&str] = &[
        "invalid response from proxy",
        "looking for beginning of value",
        "unexpected end of json input",
        "invalid character '",
        "does not match requested version",
        "json: cannot unmarshal",
        "instead of requested version",
        "parsing go.mod: missing module line",
    ];
    let client = &case.client;
    if !case.may_be_about_modules() {
        return Verdicts::new();
    }
    if let Some((at, words)) = client.any(CORRUPT) {
        return found(Label::GoproxyCorrupt, 0.92, at, words).or(Label::DiskCacheCorrupt, 0.4);
    }
    if let Some((at, words)) = client.any(ODD) {
        return found(Label::GoproxyHtml, 0.85, at, words)
            .or(Label::CaptivePortalHtml, 0.3)
            .by_server();
    }
    let git = client.has_any(&[
        "rpc failed",
        "early eof",
        "index-pack",
        "fetch-pack",
        "fatal: ",
    ]);
    match client
        .any(&["unexpected eof", "content-length", "body closed by"])
        .filter(|_| !git)
    {
        Some((at, words)) => {
            found(Label::GoproxyTruncated, 0.9, at, words).or(Label::TcpReset, 0.35)
        }
        None => Verdicts::new(),
    }
}

/// An HTTP status for a file of the module proxy, a discovery page or the redirect target.
fn answered(case: &Case) -> Verdicts {
    let statuses = &case.client.statuses;
    let chain = [
        Purpose::Toolchain,
        Purpose::Goproxy,
        Purpose::Storage,
        Purpose::Discovery,
    ];
    if case.client.has("errors parsing") {
        return Verdicts::new();
    }
    let status = chain.iter().find_map(|purpose| {
        statuses
            .iter()
            .find(|status| status.url.purpose == *purpose && !status.bare)
    });
    let Some(status) = status else {
        return other(case);
    };
    let text = status.code.to_string();
    if status.url.purpose == Purpose::Discovery {
        return discovery(status, &text);
    }
    if status.url.purpose == Purpose::Toolchain && matches!(status.code, 404 | 410) {
        return found(Label::ToolchainNotAvailable, 0.88, status.at, &text)
            .or(Label::Goproxy404, 0.4)
            .by_server();
    }
    match status.code {
        404 | 410 => absent(case, status, &text),
        code => by_code(code, status.at, &text, &status.url.host),
    }
}

fn by_code(code: u16, at: usize, text: &str, host: &str) -> Verdicts {
    let verdicts = match code {
        300..=399 => found(Label::CaptivePortalHtml, 0.6, at, text).or(Label::Goproxy4xx, 0.3),
        401 if url::is_public_mirror(host) => {
            found(Label::Goproxy401, 0.75, at, text).or(Label::CaptivePortalHtml, 0.45)
        }
        401 => found(Label::Goproxy401, 0.95, at, text),
        403 => found(Label::Goproxy403, 0.95, at, text).or(Label::HttpproxyConnectForbidden, 0.25),
        404 => found(Label::Goproxy404, 0.9, at, text),
        410 => found(Label::Goproxy410, 0.9, at, text),
        407 => found(Label::Httpproxy407, 0.95, at, text),
        408 | 504 => found(Label::Goproxy5xx, 0.93, at, text).or(Label::GoproxySlow, 0.3),
        429 => found(Label::Goproxy429, 0.97, at, text),
        400..=499 => found(Label::Goproxy4xx, 0.92, at, text),
        _ => found(Label::Goproxy5xx, 0.95, at, text),
    };
    verdicts.by_server()
}

/// 404 or 410 from a module proxy: the body says why, if the server is a good one.
fn absent(case: &Case, status: &Status, text: &str) -> Verdicts {
    let plain = if status.code == 404 {
        Label::Goproxy404
    } else {
        Label::Goproxy410
    };
    let path = status.url.module.clone().unwrap_or_default();
    if url::looks_private(&path) && url::is_public_mirror(&status.url.host) {
        return found(Label::CfgGoproxyNoDirect, 0.88, status.at, text)
            .or(plain, 0.49)
            .by_server();
    }
    let reason = quoted_reason(case).unwrap_or_default();
    if let Some(first) = reason.first().cloned() {
        return if case.log.tagged && first.label == Label::ModUnknownRevision {
            found(Label::GoproxyLag, 0.85, status.at, text)
                .or(Label::ModUnknownRevision, 0.45)
                .by_server()
        } else {
            reason.or(plain, 0.49)
        };
    }
    if case.log.tagged {
        return found(Label::GoproxyLag, 0.8, status.at, text)
            .or(plain, 0.45)
            .by_server();
    }
    let second = if status.code == 410 {
        Label::CfgGoproxyNoDirect
    } else {
        Label::ModRepoGone
    };
    found(plain, 0.9, status.at, text)
        .or(second, 0.35)
        .by_server()
}

/// The reason that a proxy states in the body of its 404.
fn quoted_reason(case: &Case) -> Option<Verdicts> {
    const REASONS: &[(&str, Label)] = &[
        ("unknown revision", Label::ModUnknownRevision),
        ("couldn't find remote ref", Label::ModUnknownRevision),
        ("no matching versions", Label::ModUnknownRevision),
        ("declares its path as", Label::ModPathMismatch),
        ("but was required as", Label::ModPathMismatch),
        (
            "module path must match major version",
            Label::ModMajorSuffix,
        ),
        ("should be v", Label::ModMajorSuffix),
        ("go.mod has post-v", Label::ModMajorSuffix),
        ("go.mod has non-", Label::ModMajorSuffix),
        ("no such host", Label::ModImportHostGone),
        ("no go-import meta tag", Label::ModGoImportMissing),
        ("source tree too large", Label::ModZipTooLarge),
        ("zip file too large", Label::ModZipTooLarge),
        ("file name collision", Label::ModZipBadFile),
        ("malformed file path", Label::ModZipBadFile),
        ("repository not found", Label::ModRepoGone),
    ];
    let (at, words, label) = REASONS
        .iter()
        .find_map(|(words, label)| case.server.line_with(words).map(|at| (at, *words, *label)))?;
    Some(found(label, 0.8, 0, words).quoted(at, words))
}

/// A discovery page that could not be read.
fn discovery(status: &Status, text: &str) -> Verdicts {
    let verdicts = match status.code {
        404 | 410 => {
            found(Label::ModGoImportMissing, 0.7, status.at, text).or(Label::ModRepoGone, 0.45)
        }
        401 | 403 => found(Label::ModGoImportMissing, 0.65, status.at, text)
            .or(Label::AuthHttpsNoCredential, 0.45),
        429 => found(Label::Goproxy429, 0.6, status.at, text).or(Label::ModGoImportMissing, 0.4),
        _ => found(Label::ModGoImportMissing, 0.6, status.at, text).or(Label::Goproxy5xx, 0.45),
    };
    verdicts.by_server()
}

/// A module proxy's own log of a request that it could not serve, where it does not say why.
pub(super) fn logged(case: &Case) -> Verdicts {
    const KINDS: &[&str] = &[
        "kind=\"internal server error\"",
        "kind=\"bad gateway\"",
        "kind=\"gateway timeout\"",
    ];
    let client = &case.client;
    match client
        .any(KINDS)
        .filter(|_| client.has_any(&["/@v/", "/@latest"]))
    {
        Some((at, words)) => found(Label::Goproxy5xx, 0.7, at, words)
            .or(Label::GoproxySlow, 0.2)
            .by_server(),
        None => Verdicts::new(),
    }
}

/// Statuses in the words of other programs, and without a recognisable URL.
fn other(case: &Case) -> Verdicts {
    const PHRASES: &[(&str, u16)] = &[
        ("429 too many requests", 429),
        ("502 bad gateway", 502),
        ("503 service unavailable", 503),
        ("504 gateway time", 504),
        ("500 internal server error", 500),
        ("410 gone", 410),
        ("401 unauthorized", 401),
        ("403 forbidden", 403),
        ("404 not found", 404),
        ("400 bad request", 400),
    ];
    let client = &case.client;
    if !case.may_be_about_modules() {
        return Verdicts::new();
    }
    let git = client.has_any(&["fatal: ", "unable to access", "remote: ", "rpc failed"]);
    let hit = PHRASES
        .iter()
        .find_map(|(words, code)| client.line_with(words).map(|at| (at, *words, *code)));
    match hit.filter(|_| !git) {
        Some((at, words, code)) => {
            let host = case.url().map(|url| url.host.clone()).unwrap_or_default();
            let mut verdicts = by_code(code, at, words, &host);
            for verdict in &mut verdicts {
                verdict.confidence *= 0.85;
            }
            verdicts
        }
        None => Verdicts::new(),
    }
}
