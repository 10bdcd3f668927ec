//! The forward HTTP proxy between client and server.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::net::Failure;
use crate::explain::url;
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    if !case.may_be_about_modules() {
        return Verdicts::new();
    }
    let rules = [malformed, connect, tunnel, phrase, link, local_proxy, unset];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

/// A proxy URL that cannot be used.
fn malformed(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "invalid proxy address",
        "proxy: unknown scheme",
        "unsupported proxy syntax",
        "unsupported proxy scheme",
        "could not resolve proxy",
        "unknown proxy scheme",
        "invalid proxy url",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(WORDS) {
        let confidence = if words == "could not resolve proxy" {
            0.75
        } else {
            0.95
        };
        return found(Label::HttpproxyMalformed, confidence, at, words).or(Label::DnsNxdomain, 0.3);
    }
    let credentials = client
        .after("parse \"")
        .is_some_and(|value| value.contains('@') || value.contains("proxy"));
    match client
        .any(&["invalid port", "invalid userinfo", "invalid url escape"])
        .filter(|_| credentials || client.has("proxyconnect"))
    {
        Some((at, words)) => {
            found(Label::HttpproxyMalformed, 0.85, at, words).or(Label::CfgGoproxySyntax, 0.3)
        }
        None => Verdicts::new(),
    }
}

/// `proxyconnect tcp: …` and `socks connect …`: the link to the proxy itself.
fn connect(case: &Case) -> Verdicts {
    let client = &case.client;
    let Some((at, words)) = client.any(&["proxyconnect", "socks connect"]) else {
        return Verdicts::new();
    };
    if let Some((at, lookup)) = client.lookups.iter().find(|(_, lookup)| lookup.of_proxy) {
        let piece = matches!(
            lookup.host.as_str(),
            "http" | "https" | "socks5" | "socks" | "tcp"
        ) || !lookup.host.contains('.');
        return if piece && lookup.host != "localhost" {
            found(Label::HttpproxyMalformed, 0.9, *at, "lookup ").or(Label::DnsNxdomain, 0.3)
        } else {
            found(Label::HttpproxyMalformed, 0.55, *at, "lookup ")
                .or(super::dns::label(case, lookup), 0.45)
        };
    }
    if client.has_any(&[
        "first record does not look",
        "oversized record",
        "http response to https client",
    ]) {
        return found(Label::HttpproxyScheme, 0.97, at, words);
    }
    if client.has("x509") {
        return Verdicts::new();
    }
    let failure = client
        .sockets
        .iter()
        .find(|(_, socket)| socket.of_proxy)
        .map(|(_, socket)| socket.failure);
    match failure {
        Some(Failure::Refused) => found(Label::HttpproxyRefused, 0.97, at, words),
        Some(Failure::NoRoute | Failure::Unreachable) => {
            found(Label::HttpproxyConnectFailed, 0.7, at, words).or(Label::TcpNoRoute, 0.4)
        }
        _ => found(Label::HttpproxyConnectFailed, 0.9, at, words).or(Label::HttpproxyRefused, 0.2),
    }
}

/// curl's and git's words for an answer to CONNECT.
fn tunnel(case: &Case) -> Verdicts {
    let client = &case.client;
    for words in [
        "from proxy after connect",
        "connect tunnel failed, response",
        "proxy connect aborted",
        "received http code",
        "tunneling socket could not be",
    ] {
        let Some(at) = client.line_with(words) else {
            continue;
        };
        let code = |code: &str| {
            client
                .lower()
                .any(|text| text.contains(words) && text.contains(code))
        };
        return if code("407") {
            found(Label::Httpproxy407, 0.97, at, "407")
        } else if code("403") {
            found(Label::HttpproxyConnectForbidden, 0.96, at, "403")
        } else {
            found(Label::HttpproxyConnectFailed, 0.9, at, words)
        };
    }
    Verdicts::new()
}

/// A bare reason phrase behind a URL is the proxy's answer to CONNECT.
fn phrase(case: &Case) -> Verdicts {
    const ASKS: &[&str] = &[
        "proxy authentication required",
        "proxyauthenticationrequired",
        "407 proxy",
        "407 authentication",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(ASKS) {
        return found(Label::Httpproxy407, 0.96, at, words);
    }
    if let Some(status) = client.statuses.iter().find(|status| status.code == 407) {
        return found(Label::Httpproxy407, 0.93, status.at, "407");
    }
    let Some(status) = client
        .statuses
        .iter()
        .find(|status| status.bare && status.url.text.starts_with("http"))
    else {
        return Verdicts::new();
    };
    if status.url.text.starts_with("http://") {
        return Verdicts::new();
    }
    let label = match status.code {
        403 => Label::HttpproxyConnectForbidden,
        401 => Label::Httpproxy407,
        _ => Label::HttpproxyConnectFailed,
    };
    let confidence = if status.code == 403 { 0.93 } else { 0.75 };
    found(label, confidence, status.at, "\": ").or(Label::HttpproxyConnectForbidden, 0.3)
}

/// A connection for an https URL that went to another port than 443, or broke before the request was sent: that is the
/// link to the proxy.
fn link(case: &Case) -> Verdicts {
    let client = &case.client;
    let plain_url = client
        .urls
        .iter()
        .any(|(_, url)| url.text.starts_with("https://") && !has_port(&url.text));
    if !plain_url {
        return Verdicts::new();
    }
    let socket = client.sockets.iter().find(|(_, socket)| {
        !socket.address.ends_with(":443") && !socket.dialling && socket.failure != Failure::Unknown
    });
    if let Some((at, _)) = socket {
        return found(Label::HttpproxyConnectFailed, 0.88, *at, "tcp").or(Label::TcpReset, 0.45);
    }
    let cut = client.lower().position(|text| {
        text.contains("get \"https://") && text.trim_end().ends_with("\": unexpected eof")
    });
    match cut {
        Some(at) => found(Label::HttpproxyConnectFailed, 0.72, at, "unexpected eof")
            .or(Label::GoproxyTruncated, 0.45),
        None => Verdicts::new(),
    }
}

fn has_port(url: &str) -> bool {
    let authority = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default();
    authority
        .rsplit('@')
        .next()
        .is_some_and(|host| host.contains(':'))
}

/// git or curl connecting to a local or private port for a public host: a proxy is configured there.
fn local_proxy(case: &Case) -> Verdicts {
    const PORTS: &[&str] = &[
        "7890", "7891", "1080", "1081", "1086", "1087", "8118", "8889", "10808", "10809", "3128",
        "8888", "33210", "7897",
    ];
    let client = &case.client;
    let Some(rest) = client.after("failed to connect to ") else {
        return Verdicts::new();
    };
    let at = client
        .line_with("failed to connect to ")
        .unwrap_or_default();
    let host = rest.split([' ', ':']).next().unwrap_or_default();
    let port = rest
        .split_once("port ")
        .or_else(|| rest.split_once(':'))
        .map_or("", |(_, rest)| {
            rest.split([' ', ':', ',']).next().unwrap_or_default()
        });
    let target = client
        .urls
        .iter()
        .map(|(_, url)| url.host.as_str())
        .find(|target| *target != host);
    let indirect = target.is_some_and(|target| !url::is_private_address(target));
    if !url::is_private_address(host) || !(indirect || PORTS.contains(&port)) {
        return Verdicts::new();
    }
    let timed_out = rest.contains("timed out");
    let label = if timed_out {
        Label::HttpproxyConnectFailed
    } else {
        Label::HttpproxyRefused
    };
    found(label, 0.92, at, "failed to connect to ").or(Label::TcpRefused, 0.2)
}

/// `HTTP_PROXY` alone is set, and an https target is dialled directly.
pub(super) fn unset(case: &Case) -> Verdicts {
    let log = case.log;
    if !log.http_proxy || log.https_proxy {
        return Verdicts::new();
    }
    let direct = case
        .client
        .sockets
        .iter()
        .find(|(_, socket)| socket.address.ends_with(":443") && socket.dialling);
    match direct {
        Some((at, _)) => {
            found(Label::HttpproxyHttpsUnset, 0.85, *at, "dial tcp").or(Label::TcpTimeout, 0.4)
        }
        None => Verdicts::new(),
    }
}
