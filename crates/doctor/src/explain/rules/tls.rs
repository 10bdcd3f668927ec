//! The TLS handshake and the certificate, in the words of Go, `OpenSSL`, `GnuTLS`, curl and the systems' verifiers.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::url;
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    if !case.may_be_about_modules() {
        return Verdicts::new();
    }
    let rules = [roots, dates, names, issuer, plain, handshake];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

/// Words that only a missing bundle explains.
fn roots(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "failed to load system roots",
        "error setting certificate verify locations",
        "error setting certificate file",
        "error adding trust anchors",
        "ca-certificates.crt: no such file",
        "problem with the ssl ca cert",
        "failed to load root certificates",
    ];
    match case.client.any(WORDS) {
        Some((at, words)) => found(Label::TlsMissingCaBundle, 0.95, at, words),
        None => Verdicts::new(),
    }
}

/// Expired, not yet valid, or judged by a wrong clock.
fn dates(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "has expired or is not yet valid",
        "certificate has expired",
        "certificate is expired",
        "certificate is not yet valid",
        "certificate expired",
        "not yet valid",
        "not yet activated",
        "has expired",
    ];
    let client = &case.client;
    let about_certificate = client.has_any(&["certificate", "x509", "ssl", "cert"]);
    let Some((at, words)) = client.any(WORDS).filter(|_| about_certificate) else {
        return Verdicts::new();
    };
    let line = client
        .lower()
        .find(|text| text.contains(words))
        .unwrap_or_default();
    if line.contains(" is before ")
        || words.starts_with("not yet")
        || words == "certificate is not yet valid"
    {
        return found(Label::TlsClockSkew, 0.95, at, words);
    }
    let Some((now, end)) = dates_in(line) else {
        return found(Label::TlsCertExpired, 0.85, at, words).or(Label::TlsClockSkew, 0.3);
    };
    // The root that many old systems still held when it lapsed.
    if end.starts_with("2021-09-30t14:01") || end.starts_with("2021-09-29t19:21") {
        return found(Label::TlsMissingCaBundle, 0.7, at, words).or(Label::TlsCertExpired, 0.45);
    }
    let kept = case
        .url()
        .map(|url| url.host.as_str())
        .or(case.lookup().map(|(_, lookup)| lookup.host.as_str()));
    let well_kept = kept.is_some_and(|host| {
        url::is_google_host(host) || matches!(host, "github.com" | "gitlab.com")
    });
    let years = |date: &str| {
        date.get(..4)
            .and_then(|year| year.parse::<i32>().ok())
            .unwrap_or_default()
    };
    let implausible = !(2018..=2036).contains(&years(now)) || years(now) - years(end) > 4;
    if implausible || well_kept {
        let confidence = if implausible { 0.88 } else { 0.7 };
        return found(Label::TlsClockSkew, confidence, at, words).or(Label::TlsCertExpired, 0.45);
    }
    found(Label::TlsCertExpired, 0.9, at, words).or(Label::TlsClockSkew, 0.3)
}

/// The two dates of `current time X is after Y`.
fn dates_in(line: &str) -> Option<(&str, &str)> {
    let rest = line.split_once("current time ")?.1;
    let (now, rest) = rest.split_once(" is ")?;
    let end = rest.split_once("after ")?.1.split([' ', ',', ')']).next()?;
    Some((now, end))
}

/// The certificate of another name.
fn names(case: &Case) -> Verdicts {
    const OTHER: &[&str] = &[
        "certificate is valid for",
        "certificate is not valid for any names",
        "no alternative certificate subject name matches",
        "certificate subject name",
        "does not match target host name",
        "certificate name does not match",
        "doesn't match the requested",
        "the certificate's owner does not match",
        "certificate subject does not match",
        "not valid for any names",
        "x509: cannot validate certificate for",
        "remote error: tls: unrecognized name",
        "alert unrecognized name",
        "target principal name is incorrect",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(&["legacy common name", "use sans or temporarily enable"])
    {
        return found(Label::TlsLegacyCn, 0.98, at, words);
    }
    let Some((at, words)) = client.any(OTHER) else {
        return Verdicts::new();
    };
    if client.has("doesn't contain any ip sans") {
        return found(Label::TlsHostnameMismatch, 0.75, at, words).or(Label::TlsLegacyCn, 0.45);
    }
    let sinkhole = client.has_any(&[
        "sinkhole",
        "opendns",
        "umbrella",
        "blockpage",
        "block.",
        "fortiguard",
        "dnsfilter",
    ]);
    if sinkhole {
        return found(Label::TlsHostnameMismatch, 0.8, at, words).or(Label::DnsPoisoned, 0.45);
    }
    found(Label::TlsHostnameMismatch, 0.95, at, words).or(Label::DnsPoisoned, 0.3)
}

/// An issuer that this machine does not trust.
fn issuer(case: &Case) -> Verdicts {
    const UNTRUSTED: &[&str] = &[
        "signed by unknown authority",
        "unable to get local issuer certificate",
        "self signed certificate",
        "self-signed certificate",
        "server certificate verification failed",
        "certificate verification failed",
        "certificate is not trusted",
        "unable to verify the first certificate",
        "certificate verify failed",
        "ssl certificate problem",
        "issuer certificate is unknown",
        "peer's certificate issuer",
        "certificate chain was issued by an authority that is not trusted",
        "unable to get issuer certificate",
        "untrusted root",
        "root certificate which is not trusted",
        "certificate is not standards compliant",
        "failed to verify certificate",
        "not authorized to sign",
        "remote error: tls: bad certificate",
        "tlsv1 alert unknown ca",
        "osstatus",
        "sec_e_untrusted_root",
        "does not comply with",
        "negative serial number",
        "no_revocation_check",
        "revocation function was unable",
        "revocation server was offline",
        "cannot verify signature",
        "unhandled critical extension",
    ];
    const COMPANY: &[&str] = &[
        "zscaler",
        "netskope",
        "umbrella",
        "forcepoint",
        "palo alto",
        "blue coat",
        "bluecoat",
        "mcafee",
        "fortinet",
        "fortigate",
        "sophos",
        "checkpoint",
        "kaspersky",
        "certificate chain",
        "issuer: ",
        "candidate authority certificate",
        "inspection",
    ];
    const PUBLIC: &[&str] = &[
        "google trust services",
        "let's encrypt",
        "digicert",
        "globalsign",
        "isrg",
        "gts root",
        "gts ca",
        "sectigo",
        "amazon rsa",
    ];
    let client = &case.client;
    let Some((at, words)) = client.any(UNTRUSTED) else {
        return Verdicts::new();
    };
    let bundle = case.log.no_roots || client.has_any(PUBLIC);
    let company = client.has_any(COMPANY) || client.has("self signed") || client.has("self-signed");
    let host = case.url().map(|url| url.host.clone()).unwrap_or_default();
    let private = url::looks_private(&host)
        || case
            .module()
            .is_some_and(|module| url::looks_private(&module));
    if bundle && !company {
        return found(Label::TlsMissingCaBundle, 0.88, at, words).or(Label::TlsUnknownCaMitm, 0.4);
    }
    if case.log.container && !company && !private {
        return found(Label::TlsMissingCaBundle, 0.65, at, words).or(Label::TlsUnknownCaMitm, 0.49);
    }
    if words == "server certificate verification failed" && !company {
        // GnuTLS says the same for every reason.
        return found(Label::TlsUnknownCaMitm, 0.68, at, words).or(Label::TlsMissingCaBundle, 0.45);
    }
    let confidence = if company { 0.95 } else { 0.8 };
    found(Label::TlsUnknownCaMitm, confidence, at, words).or(Label::TlsMissingCaBundle, 0.4)
}

/// Plain HTTP where TLS was expected.
fn plain(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "server gave http response to https client",
        "first record does not look like a tls handshake",
        "wrong version number",
        "oversized record received",
        "unexpected message",
        "packet length too long",
        "ssl23_get_server_hello:unknown protocol",
        "an unexpected tls packet was received",
        "record layer failure",
        "http request was sent to https port",
    ];
    let client = &case.client;
    match client.any(WORDS) {
        Some((at, words)) => {
            let discovery = client.urls.iter().any(|(_, url)| {
                url.purpose == url::Purpose::Discovery && url::looks_private(&url.host)
            });
            let verdicts = found(Label::TlsPlainHttp, 0.92, at, words);
            if discovery {
                verdicts.or(Label::VcsInsecureHttp, 0.45)
            } else {
                verdicts
            }
        }
        None => Verdicts::new(),
    }
}

/// No or no usable answer to the hello.
fn handshake(case: &Case) -> Verdicts {
    const CUT: &[&str] = &[
        "ssl_error_syscall",
        "gnutls_handshake() failed",
        "tls connection was non-properly terminated",
        "error in the pull function",
        "gnutls recv error",
        "ssl_read:",
        "schannel: failed to receive handshake",
        "sec_e_illegal_message",
        "openssl ssl_connect",
    ];
    const REFUSED: &[&str] = &[
        "remote error: tls: handshake failure",
        "tls: protocol version not supported",
        "alert handshake failure",
        "alert protocol version",
        "server selected unsupported protocol version",
        "remote error: tls:",
        "no mutual cipher suite",
        "handshake failed",
        "tls: no supported versions",
        "tls: server selected",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(&[
        "tls handshake timeout",
        "ssl connection timeout",
        "handshake timed out",
        "handshake timeout",
    ]) {
        let mtu = case.log.mtu;
        let (first, second) = if mtu {
            (Label::TcpMtu, Label::TlsHandshakeTimeout)
        } else {
            (Label::TlsHandshakeTimeout, Label::TcpMtu)
        };
        return found(first, if mtu { 0.8 } else { 0.95 }, at, words)
            .or(second, if mtu { 0.45 } else { 0.25 });
    }
    if let Some((at, words)) = client.any(CUT) {
        if client.has_any(&["rpc failed", "early eof", "index-pack"]) {
            return Verdicts::new();
        }
        return found(Label::TcpReset, 0.7, at, words).or(Label::TlsHandshakeTimeout, 0.45);
    }
    match client.any(REFUSED) {
        Some((at, words)) => {
            found(Label::TlsHandshakeTimeout, 0.55, at, words).or(Label::TlsHostnameMismatch, 0.35)
        }
        None => Verdicts::new(),
    }
}
