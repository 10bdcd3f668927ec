//! The TLS handshake. Certificates are read also when they are not accepted; a connection with such a server is never
//! used.

pub(crate) mod certificate;
pub(crate) mod roots;

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fault::{Label, Subjects};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dns::wire::os_words;
use super::report::Failure;
use certificate::{Summary, summarize, why_refused};
use roots::Roots;

/// Bytes over a connection of any kind.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// A handshake that came to its end.
pub(crate) struct Handshake {
    pub(crate) stream: Result<TlsStream<Box<dyn Bytes>>, Failure>,
    pub(crate) seen: Option<Summary>,
    pub(crate) took: Duration,
}

/// What to hold a server against.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    pub(crate) roots: Roots,
    pub(crate) now: SystemTime,
    /// Protocols to offer.
    pub(crate) alpn: Vec<Vec<u8>>,
}

/// Shakes hands with `host` over `stream`.
pub(crate) async fn handshake(
    stream: Box<dyn Bytes>,
    host: &str,
    trust: &Trust,
    limit: Duration,
) -> Handshake {
    let start = Instant::now();
    let recorder = Arc::new(Recorder::new(trust, host));
    let stream = match connector(trust, &recorder) {
        Ok(connector) => shake(connector, stream, host, limit).await,
        Err(error) => Err(io::Error::other(error)),
    };
    let chain = recorder.chain();
    Handshake {
        stream: stream.map_err(|error| explain(&error, host, trust, &chain)),
        seen: summarize(&chain),
        took: start.elapsed(),
    }
}

async fn shake(
    connector: TlsConnector,
    stream: Box<dyn Bytes>,
    host: &str,
    limit: Duration,
) -> io::Result<TlsStream<Box<dyn Bytes>>> {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    timeout(limit, connector.connect(name, stream))
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

fn connector(trust: &Trust, recorder: &Arc<Recorder>) -> Result<TlsConnector, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(recorder) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    config.alpn_protocols.clone_from(&trust.alpn);
    Ok(TlsConnector::from(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn explain(
    error: &io::Error,
    host: &str,
    trust: &Trust,
    chain: &[CertificateDer<'static>],
) -> Failure {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let mut failure = match tls {
        Some(tls @ rustls::Error::InvalidCertificate(_)) => {
            why_refused(chain, host, trust.now, &trust.roots, tls)
        }
        Some(rustls::Error::InvalidMessage(_)) => Failure::new(
            Label::TlsPlainHttp,
            "tls: first record does not look like a TLS handshake",
        ),
        Some(rustls::Error::AlertReceived(alert)) => Failure::new(
            Label::TlsHandshakeTimeout,
            format!("remote error: tls: {alert:?}"),
        ),
        Some(other) => Failure::new(Label::TlsHandshakeTimeout, format!("tls: {other}")),
        None => by_io(error),
    };
    failure.subjects = Box::new(Subjects {
        host: Some(host.to_owned()),
        ..Subjects::default()
    });
    failure
}

fn by_io(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::TimedOut => Failure::new(
            Label::TlsHandshakeTimeout,
            "net/http: TLS handshake timeout",
        ),
        ErrorKind::UnexpectedEof => {
            Failure::new(Label::TcpReset, "EOF (closed during the TLS handshake)")
        }
        ErrorKind::InvalidInput => {
            Failure::new(Label::TlsHostnameMismatch, format!("x509: {error}"))
        }
        _ => Failure::new(Label::TcpReset, format!("read tcp: {}", os_words(error))),
    }
}

/// Verifies as rustls does, and keeps the chain.
#[derive(Debug)]
struct Recorder {
    host: String,
    inner: Option<Arc<WebPkiServerVerifier>>,
    roots: Roots,
    now: SystemTime,
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recorder {
    fn new(trust: &Trust, host: &str) -> Self {
        // None without roots: then nothing is verified, and nothing accepted.
        let inner =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&trust.roots.store), provider());
        Self {
            host: host.to_owned(),
            inner: inner.build().ok(),
            roots: trust.roots.clone(),
            now: trust.now,
            chain: Mutex::default(),
        }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain
            .lock()
            .map(|chain| chain.clone())
            .unwrap_or_default()
    }

    /// Go accepts a certificate that is itself among the roots; webpki never takes one of an authority for a server's.
    fn is_a_root_itself(&self, leaf: &CertificateDer<'_>, now: UnixTime) -> bool {
        let Some(summary) = summarize(&[leaf.clone().into_owned()]) else {
            return false;
        };
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.roots.certificates.contains(leaf.as_ref())
            && (summary.not_before..=summary.not_after).contains(&now)
            && summary
                .names
                .iter()
                .any(|name| certificate::name_matches(name, &self.host))
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut chain) = self.chain.lock() {
            *chain = std::iter::once(end_entity)
                .chain(intermediates)
                .map(|certificate| certificate.clone().into_owned())
                .collect();
        }
        let since = self
            .now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = UnixTime::since_unix_epoch(since);
        let Some(inner) = &self.inner else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(_) if self.is_a_root_itself(end_entity, now) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
