//! TLS servers with certificates of every sort, HTTP proxies, and ports where nothing good happens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    Expired,
    NotYetValid,
    OtherName,
    CommonNameOnly,
    SelfSigned,
}

impl Authority {
    pub(crate) fn new(organisation: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("{organisation} root"));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn config(&self, host: &str, flaw: Flaw) -> ServerConfig {
        let names = match flaw {
            Flaw::OtherName => vec!["other.rig.test".to_owned()],
            Flaw::CommonNameOnly => Vec::new(),
            _ => vec![host.to_owned()],
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(2090, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().unwrap();
        let certificate = if flaw == Flaw::SelfSigned {
            params.self_signed(&key).unwrap()
        } else {
            params.signed_by(&key, &self.0).unwrap()
        };
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap()
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// TLS in front of `backend`.
pub(crate) async fn tls(
    authority: &Authority,
    host: &str,
    flaw: Flaw,
    backend: SocketAddr,
) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(authority.config(host, flaw)));
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut tls) = acceptor.accept(stream).await {
                    let mut server = TcpStream::connect(backend).await.unwrap();
                    let _one_side_left = copy_bidirectional(&mut tls, &mut server).await;
                }
            });
        }
    });
    address
}

/// What a server does with every connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rude {
    /// Says nothing, ever.
    Silent,
    /// Closes after the first bytes.
    Closes,
    /// Resets after the first bytes.
    Resets,
    /// Answers the first bytes with these.
    Says(&'static [u8]),
}

pub(crate) async fn rude(manner: Rude) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            match manner {
                Rude::Silent => kept.push(stream),
                Rude::Closes => {
                    let _any = stream.read(&mut buffer).await;
                }
                Rude::Resets => {
                    let _any = stream.read(&mut buffer[..1]).await;
                    stream.set_zero_linger().unwrap();
                }
                Rude::Says(bytes) => {
                    let _any = stream.read(&mut buffer).await;
                    let _gone = stream.write_all(bytes).await;
                    // The rest of what the client says is taken, lest closing become a reset.
                    tokio::spawn(async move {
                        let _shut = stream.shutdown().await;
                        while stream
                            .read(&mut buffer)
                            .await
                            .is_ok_and(|length| length > 0)
                        {}
                    });
                }
            }
        }
    });
    address
}

/// A port where nothing listens.
pub(crate) fn closed() -> SocketAddr {
    let port = testkit::Port::reserve();
    let address = port.address();
    // For as long as the test's process lives.
    std::mem::forget(port);
    address
}

/// An HTTP proxy: every name is this machine to it. With `refusal`, it answers every request so.
pub(crate) async fn http_proxy(refusal: Option<&'static str>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                if let Some(status) = refusal {
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    let _gone = stream.write_all(answer.as_bytes()).await;
                    let _gone = stream.shutdown().await;
                    return;
                }
                let text = String::from_utf8(head.clone()).unwrap();
                let target = text.split(' ').nth(1).unwrap();
                let authority = target
                    .trim_start_matches("http://")
                    .split('/')
                    .next()
                    .unwrap();
                let port: u16 = authority.rsplit_once(':').unwrap().1.parse().unwrap();
                let server = TcpStream::connect((IpAddr::from(Ipv4Addr::LOCALHOST), port)).await;
                let Ok(mut server) = server else {
                    let _gone = stream
                        .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                        .await;
                    return;
                };
                if text.starts_with("CONNECT ") {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                } else {
                    let path = target
                        .trim_start_matches("http://")
                        .split_once('/')
                        .map_or("", |(_, path)| path);
                    server
                        .write_all(text.replace(target, &format!("/{path}")).as_bytes())
                        .await
                        .unwrap();
                }
                let _one_side_left = copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    address
}
