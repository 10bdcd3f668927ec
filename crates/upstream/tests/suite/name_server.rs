//! A name server on loopback, which says what it is told to: over UDP and TCP, TLS, and HTTPS.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use testkit::Authority;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

/// What is said about a name. Answers are good for no time, if nothing else is said.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Addresses(Vec<Ipv4Addr>),
    /// For an hour.
    ForLong(Ipv4Addr),
    /// Nothing to the question for addresses of the other family.
    OnlyIpv4(Ipv4Addr),
    /// The first, by somebody else who answers sooner and has to guess the question's number; then the second.
    Forged(Ipv4Addr, Ipv4Addr),
    /// Nothing over UDP but that there is more over TCP.
    Truncated(Ipv4Addr),
    NoSuchName,
    ServFail,
    Silence,
}

/// A name server. Names that it was told nothing about do not exist.
pub(crate) struct NameServer {
    plain: SocketAddr,
    tls: SocketAddr,
    https: SocketAddr,
    zone: Arc<Zone>,
}

#[derive(Default)]
struct Zone {
    names: Mutex<HashMap<String, Say>>,
    asked: Mutex<Vec<String>>,
}

impl NameServer {
    pub(crate) fn start(names: &[(&str, Say)]) -> Self {
        Self::start_with(names, None)
    }

    /// With a certificate of this authority; without one, nothing is said over TLS.
    pub(crate) fn start_with(names: &[(&str, Say)], authority: Option<&Authority>) -> Self {
        let zone = Arc::new(Zone::default());
        let acceptor = |protocol: &[&[u8]]| {
            let mut config = authority?
                .issue(&["127.0.0.1", "localhost"])
                .server_config();
            config.alpn_protocols = protocol.iter().map(|name| name.to_vec()).collect();
            Some(TlsAcceptor::from(Arc::new(config)))
        };
        let acceptors = (acceptor(&[]), acceptor(&[b"h2"]));
        let (sender, receiver) = std::sync::mpsc::channel();
        let served = zone.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let (udp, tcp) = same_port().await;
                let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let https = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let addresses = [
                    udp.local_addr().unwrap(),
                    tls.local_addr().unwrap(),
                    https.local_addr().unwrap(),
                ];
                sender.send(addresses).unwrap();
                tokio::join!(
                    over_udp(udp, &served),
                    over_tcp(tcp, &served),
                    over_tls(tls, acceptors.0, &served),
                    over_https(https, acceptors.1, &served),
                )
            });
        });
        let [plain, tls, https] = receiver.recv().unwrap();
        let server = Self {
            plain,
            tls,
            https,
            zone,
        };
        for (name, say) in names {
            server.say(name, say.clone());
        }
        server
    }

    /// Changes what is said about a name.
    pub(crate) fn say(&self, name: &str, say: Say) {
        self.zone.names.lock().unwrap().insert(name.to_owned(), say);
    }

    pub(crate) fn udp(&self) -> String {
        format!("udp://{}", self.plain)
    }

    pub(crate) fn tls(&self, host: &str) -> String {
        format!("tls://{host}:{}", self.tls.port())
    }

    pub(crate) fn https(&self, host: &str) -> String {
        format!("https://{host}:{}/dns-query", self.https.port())
    }

    /// The names that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.zone.asked.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.zone.asked.lock().unwrap().clear();
    }
}

async fn same_port() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn over_udp(socket: UdpSocket, zone: &Zone) {
    let mut buffer = [0; 1500];
    while let Ok((size, from)) = socket.recv_from(&mut buffer).await {
        for answer in zone.answers(&buffer[..size], true) {
            socket.send_to(&answer, from).await.unwrap();
        }
    }
}

async fn over_tcp(listener: TcpListener, zone: &Arc<Zone>) {
    while let Ok((stream, _)) = listener.accept().await {
        let zone = zone.clone();
        tokio::spawn(async move { messages(stream, &zone).await });
    }
}

async fn over_tls(listener: TcpListener, acceptor: Option<TlsAcceptor>, zone: &Arc<Zone>) {
    while let (Ok((stream, _)), Some(acceptor)) = (listener.accept().await, acceptor.clone()) {
        let zone = zone.clone();
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                messages(stream, &zone).await;
            }
        });
    }
}

/// Each with its length before it, until one is not answered or the client leaves.
async fn messages(mut stream: impl AsyncRead + AsyncWrite + Unpin, zone: &Zone) {
    while let Ok(size) = stream.read_u16().await {
        let mut question = vec![0; usize::from(size)];
        stream.read_exact(&mut question).await.unwrap();
        let Some(answer) = zone.answers(&question, false).pop() else {
            return std::future::pending().await;
        };
        let size = u16::try_from(answer.len()).unwrap();
        stream.write_u16(size).await.unwrap();
        stream.write_all(&answer).await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn over_https(listener: TcpListener, acceptor: Option<TlsAcceptor>, zone: &Arc<Zone>) {
    while let (Ok((stream, _)), Some(acceptor)) = (listener.accept().await, acceptor.clone()) {
        let zone = zone.clone();
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request: hyper::Request<Incoming>| {
                let zone = zone.clone();
                async move {
                    assert_eq!(request.uri().path(), "/dns-query");
                    let question = request.uri().query().unwrap().strip_prefix("dns=").unwrap();
                    let question = BASE64_URL_SAFE_NO_PAD.decode(question).unwrap();
                    let answer = zone.answers(&question, false).pop().unwrap();
                    let response = hyper::Response::builder()
                        .header("Content-Type", "application/dns-message")
                        .body(Full::new(Bytes::from(answer)));
                    Ok::<_, Infallible>(response.unwrap())
                }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _client_left = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Zone {
    /// The answers to a question.
    fn answers(&self, question: &[u8], is_udp: bool) -> Vec<Vec<u8>> {
        let (name, end) = name_in(question);
        self.asked.lock().unwrap().push(name.clone());
        let said = self.names.lock().unwrap().get(&name).cloned();
        let is_ipv4 = question[end..end + 2] == [0, 1];
        let answer = |flags, code, addresses: &[Ipv4Addr], seconds| {
            let addresses = if is_ipv4 { addresses } else { &[] };
            message(&question[..end + 4], flags, code, addresses, seconds)
        };
        let one = match said.unwrap_or(Say::NoSuchName) {
            Say::Silence => return Vec::new(),
            Say::OnlyIpv4(_) if !is_ipv4 => return Vec::new(),
            Say::NoSuchName => answer(0, 3, &[], 0),
            Say::ServFail => answer(0, 2, &[], 0),
            Say::Truncated(_) if is_udp => answer(2, 0, &[], 0),
            Say::Truncated(address) | Say::OnlyIpv4(address) => answer(0, 0, &[address], 0),
            Say::ForLong(address) => answer(0, 0, &[address], 3600),
            Say::Addresses(addresses) => answer(0, 0, &addresses, 0),
            Say::Forged(wrong, right) => {
                let mut forged = answer(0, 0, &[wrong], 0);
                forged[0] ^= 0xff;
                return vec![forged, answer(0, 0, &[right], 0)];
            }
        };
        vec![one]
    }
}

/// The answer to a question: addresses, and for how many seconds they are good.
fn message(question: &[u8], flags: u8, code: u8, addresses: &[Ipv4Addr], seconds: u16) -> Vec<u8> {
    let count = u8::try_from(addresses.len()).unwrap();
    // Identity; a response, recursion desired and available; one question, so many answers (RFC 1035, 4.1.1).
    let mut answer = question[..2].to_vec();
    answer.extend([0x81 | flags, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&question[12..]);
    for address in addresses {
        // The name of the question, an address of the internet, its time to live, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0]);
        answer.extend(seconds.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    answer
}

/// The name asked for, in lower case, and where it ends.
fn name_in(question: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}
