//! From a client library's error to the hop that failed, in the words of the `go` command.

use std::error::Error as StdError;
use std::io;

use fault::Label;

use crate::connect::ConnectExpired;
use crate::guard::LookupError;

/// What is known of a failed exchange.
pub(crate) struct Classified {
    pub(crate) label: Label,
    pub(crate) words: String,
}

/// The part of an exchange in which an error happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Up to and including the response's head.
    Head,
    /// In the response's body.
    Body,
}

/// Classifies an error of the HTTP client. `url` is the redacted URL asked for; `through_proxy` says whether the
/// connection was to an HTTP proxy.
pub(crate) fn classify(
    error: &reqwest::Error,
    url: &str,
    phase: Phase,
    through_proxy: bool,
) -> Classified {
    let causes = Causes(error);
    let (label, words) = if let Some(lookup) = causes.find::<LookupError>() {
        (lookup.label(), format!("dial tcp: {lookup}"))
    } else if let Some(expired) = causes.find::<ConnectExpired>() {
        if through_proxy {
            (
                Label::HttpproxyConnectFailed,
                format!("proxyconnect tcp: dial tcp: {expired}"),
            )
        } else {
            (Label::TcpTimeout, format!("dial tcp: {expired}"))
        }
    } else if error.is_redirect() {
        (Label::GoproxyCorrupt, causes.innermost())
    } else if let Some(tls) = causes.find::<rustls::Error>() {
        (tls_label(tls), format!("tls: {tls}"))
    } else if let Some(refusal) = proxy_refusal(&causes, through_proxy && error.is_connect()) {
        refusal
    } else if let Some(io) = causes.find_last_io() {
        let label = io_label(io, phase);
        let text = io_words(io);
        (
            label,
            if error.is_connect() {
                format!("dial tcp: {text}")
            } else {
                format!("read: {text}")
            },
        )
    } else if error.is_timeout() {
        match phase {
            Phase::Head if error.is_connect() => {
                (Label::TcpTimeout, "dial tcp: i/o timeout".to_owned())
            }
            Phase::Head | Phase::Body => (Label::GoproxySlow, "no bytes for too long".to_owned()),
        }
    } else if causes.any_text(|text| text.contains("GOAWAY") || text.contains("go away")) {
        (Label::Http2Goaway, causes.innermost())
    } else if causes.any_text(|text| text.contains("stream error")) {
        (Label::Http2StreamError, causes.innermost())
    } else if causes.any(hyper::Error::is_parse) {
        (
            Label::GoproxyCorrupt,
            format!("malformed HTTP response ({})", causes.innermost()),
        )
    } else if error.is_connect() {
        (Label::TcpRefused, causes.innermost())
    } else {
        match phase {
            Phase::Head => (Label::TcpReset, causes.innermost()),
            Phase::Body => (
                Label::GoproxyTruncated,
                format!("unexpected EOF ({})", causes.innermost()),
            ),
        }
    };
    Classified {
        label,
        words: format!("Get \"{url}\": {words}"),
    }
}

struct Causes<'a>(&'a (dyn StdError + 'static));

impl<'a> Causes<'a> {
    fn iter(&self) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
        std::iter::successors(Some(self.0), |error| inner(*error))
    }

    fn find<T: StdError + 'static>(&self) -> Option<&'a T> {
        self.iter().find_map(|error| error.downcast_ref())
    }

    fn any<T: StdError + 'static>(&self, test: impl Fn(&T) -> bool) -> bool {
        self.find().is_some_and(test)
    }

    fn find_last_io(&self) -> Option<&'a io::Error> {
        self.iter().filter_map(|error| error.downcast_ref()).last()
    }

    fn any_text(&self, test: impl Fn(&str) -> bool) -> bool {
        self.iter().any(|error| test(&error.to_string()))
    }

    fn innermost(&self) -> String {
        self.iter()
            .last()
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}

/// What an error was made from. An I/O error often wraps another error that `source` passes over.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// What an HTTP proxy did in place of passing the request on. `to_proxy`: no connection to it came about.
fn proxy_refusal(causes: &Causes<'_>, to_proxy: bool) -> Option<(Label, String)> {
    if causes.any_text(|text| {
        text.contains("proxy authorization required") || text.contains("proxy authentication")
    }) {
        return Some((
            Label::Httpproxy407,
            "Proxy Authentication Required".to_owned(),
        ));
    }
    if causes.any_text(|text| {
        text.contains("unsuccessful tunnel") || text.contains("tunnel error: unsuccessful")
    }) {
        return Some((
            Label::HttpproxyConnectForbidden,
            format!("proxyconnect tcp: {}", causes.innermost()),
        ));
    }
    if !to_proxy && !causes.any_text(|text| text.contains("tunnel error") || text.contains("socks"))
    {
        return None;
    }
    Some(match causes.find_last_io() {
        Some(io) if io.kind() == io::ErrorKind::ConnectionRefused => (
            Label::HttpproxyRefused,
            format!("proxyconnect tcp: dial tcp: {}", io_words(io)),
        ),
        Some(io) => (
            Label::HttpproxyConnectFailed,
            format!("proxyconnect tcp: {}", io_words(io)),
        ),
        None => (
            Label::HttpproxyConnectFailed,
            format!("proxyconnect tcp: {}", causes.innermost()),
        ),
    })
}

fn tls_label(error: &rustls::Error) -> Label {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            Certificate::Expired | Certificate::ExpiredContext { .. } => Label::TlsCertExpired,
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                Label::TlsClockSkew
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                Label::TlsHostnameMismatch
            }
            _ => Label::TlsUnknownCaMitm,
        },
        rustls::Error::InvalidMessage(_) => Label::TlsPlainHttp,
        _ => Label::TlsHandshakeTimeout,
    }
}

fn io_label(error: &io::Error, phase: Phase) -> Label {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Label::TcpRefused,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => Label::TcpNoRoute,
        Kind::TimedOut => match phase {
            Phase::Head => Label::TcpTimeout,
            Phase::Body => Label::GoproxySlow,
        },
        Kind::UnexpectedEof => match phase {
            Phase::Head => Label::TcpReset,
            Phase::Body => Label::GoproxyTruncated,
        },
        // Reset, aborted, broken pipe, and whatever else ends a connection.
        _ => Label::TcpReset,
    }
}

fn io_words(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "connect: connection refused".to_owned(),
        Kind::ConnectionReset => "connection reset by peer".to_owned(),
        Kind::HostUnreachable => "connect: no route to host".to_owned(),
        Kind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        Kind::TimedOut => "i/o timeout".to_owned(),
        Kind::UnexpectedEof => "unexpected EOF".to_owned(),
        _ => error.to_string(),
    }
}
