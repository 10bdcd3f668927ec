//! TLS: an authority that nobody knows but those who are told, what it signs, and servers that show it.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A connection whose other end speaks TLS.
pub type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// A certificate authority that nobody knows but those who are told.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// When a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Today.
    Now,
    /// Not any more.
    Ended,
    /// Not yet.
    Later,
}

/// A certificate and its key, both in PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// With a key of its own.
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these hosts and addresses that is good today.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_for(names, Validity::Now)
    }

    /// A certificate for these hosts and addresses.
    pub fn issue_for(&self, names: &[&str], validity: Validity) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names of hosts");
        match validity {
            Validity::Now => {}
            Validity::Ended => params.not_after = date_time_ymd(2020, 1, 1),
            Validity::Later => params.not_before = date_time_ymd(2090, 1, 1),
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer);
        Identity {
            certificate: certificate.expect("a certificate").pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// The certificate as it goes over the wire.
    pub fn der(&self) -> Vec<u8> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        certificate.expect("a certificate").to_vec()
    }

    /// What a server needs to show it to everybody.
    pub fn server_config(&self) -> ServerConfig {
        self.server_config_with(WebPkiClientVerifier::no_client_auth())
    }

    /// What a server needs to show it, and to let in who has a certificate of `clients` only.
    pub fn server_config_for(&self, clients: &Authority) -> ServerConfig {
        let root = CertificateDer::from_pem_slice(clients.pem.as_bytes()).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(root).expect("an authority");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        self.server_config_with(verifier.build().expect("a verifier"))
    }

    fn server_config_with(&self, verifier: Arc<dyn ClientCertVerifier>) -> ServerConfig {
        let chain = vec![CertificateDer::from(self.der())];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("a key that belongs to its certificate")
    }
}

/// Hands every connection at a port of loopback to `answer`, in a thread of its own. Ends with the test's process.
pub fn serve_tls(
    config: ServerConfig,
    answer: impl Fn(TlsStream) + Send + Sync + 'static,
) -> SocketAddr {
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
            thread::spawn(move || {
                let connection = ServerConnection::new(config).expect("a connection");
                answer(StreamOwned::new(connection, stream));
            });
        }
    });
    address
}

/// An HTTPS server on loopback that gives the same answer to every request.
#[derive(Debug)]
pub struct TlsPeer {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl TlsPeer {
    /// Answers with this text.
    pub fn text(identity: &Identity, text: &str) -> Self {
        let length = text.len();
        let head = format!("200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}");
        Self::start(identity, &head, text)
    }

    /// Sends every client to `target`.
    pub fn redirect(identity: &Identity, target: &str) -> Self {
        let head = format!("302 Found\r\nLocation: {target}\r\nContent-Length: 0");
        Self::start(identity, &head, "")
    }

    fn start(identity: &Identity, head: &str, body: &str) -> Self {
        let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}");
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&heads);
        let address = serve_tls(identity.server_config(), move |stream| {
            // A client that does not like the certificate, or hangs up, has made no request.
            let _cut = serve(stream, &answer, &heard);
        });
        Self { address, heads }
    }

    /// `https://` and its address.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of the requests that came through.
    pub fn heads(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.clone()
    }
}

fn serve(mut stream: TlsStream, answer: &str, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    stream
        .sock
        .set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut heard = heads.lock().unwrap_or_else(PoisonError::into_inner);
    heard.push(head);
    drop(heard);
    stream.write_all(answer.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
