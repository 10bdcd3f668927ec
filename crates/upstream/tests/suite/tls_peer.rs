//! The other end of a TLS connection: a certificate authority, and a server for one answer.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A certificate authority that nobody knows but those who are told.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }
}

/// What is particular about a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// For 127.0.0.1, and valid now.
    Right,
    /// For another host.
    OtherName,
    /// No longer valid.
    Expired,
    /// Not valid yet.
    Future,
}

/// An HTTPS server on loopback that gives the same list of versions to every request.
pub(crate) struct TlsPeer {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl TlsPeer {
    pub(crate) fn start(authority: &Authority, certificate: Certificate) -> Self {
        let config = Arc::new(server_config(authority, certificate));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
        };
        let heads = Arc::clone(&peer.heads);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up early has made its request, or has not.
                let _cut = stream.and_then(|stream| serve(&config, stream, &heads));
            }
        });
        peer
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The heads of the requests that came through.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

pub(crate) fn server_config(authority: &Authority, certificate: Certificate) -> ServerConfig {
    let names: &[&str] = match certificate {
        Certificate::OtherName => &["other.example"],
        Certificate::Right | Certificate::Expired | Certificate::Future => {
            &["127.0.0.1", "localhost"]
        }
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    match certificate {
        Certificate::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        Certificate::Future => params.not_before = date_time_ymd(2090, 1, 1),
        Certificate::Right | Certificate::OtherName => {}
    }
    let key = KeyPair::generate().unwrap();
    let signed = params.signed_by(&key, &authority.issuer).unwrap();
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(signed.pem().as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        )
        .unwrap()
}

fn serve(
    config: &Arc<ServerConfig>,
    stream: TcpStream,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    let mut block = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut block)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            size => head.extend_from_slice(&block[..size]),
        }
    }
    // Before whoever asks has the answer, and looks.
    let head = String::from_utf8_lossy(&head).into_owned();
    heads.lock().unwrap().push(head);
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\nConnection: close\r\n\r\nv1.0.0\n";
    stream.write_all(answer.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}
