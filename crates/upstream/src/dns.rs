//! One question to one resolver: over UDP, TCP, TLS (RFC 7858) or HTTPS (RFC 8484).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use simple_dns::rdata::RData;
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

/// How long a packet is waited for before the question is sent once more: packets get lost.
const PACKET_WAIT: Duration = Duration::from_secs(2);
/// Largest answer in a packet; resolvers without extensions send 512 bytes at most.
const LARGEST_PACKET: usize = 4096;
/// What is read of an answer over HTTPS, at most: as much as a message may have.
const LARGEST: usize = 65_535;

/// The address family asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn kind(self) -> TYPE {
        match self {
            Self::V4 => TYPE::A,
            Self::V6 => TYPE::AAAA,
        }
    }
}

/// What a resolver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The name has these addresses, for so long; none if it has only others.
    Addresses(Vec<IpAddr>, Duration),
    /// The name does not exist.
    NoSuchName,
}

impl Said {
    /// As it is after it has lain in a cache for so long (RFC 8484, section 5.1).
    fn aged(self, age: Duration) -> Self {
        match self {
            Self::Addresses(addresses, ttl) => Self::Addresses(addresses, ttl.saturating_sub(age)),
            Self::NoSuchName => Self::NoSuchName,
        }
    }
}

/// Why a resolver said nothing of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// In words.
    Unusable(String),
    /// No answer in time.
    Silence,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

fn malformed() -> Trouble {
    Trouble::Unusable("server misbehaving (malformed answer)".to_owned())
}

/// A question on its way.
#[derive(Debug)]
pub(crate) struct Query {
    id: u16,
    name: String,
    family: Family,
    bytes: Vec<u8>,
}

/// Nobody who does not see the question can guess it, and answer first.
fn identity() -> u16 {
    let mut bytes = [0; 2];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    match random.fill(&mut bytes) {
        Ok(()) => u16::from_be_bytes(bytes),
        Err(_) => fastrand::u16(..),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// It is no answer to this question.
    Other,
    /// There is more over TCP.
    Truncated,
    Said(Result<Said, Trouble>),
}

impl Query {
    /// `None` for a name that no message can hold: there is no such name.
    pub(crate) fn new(name: &str, family: Family) -> Option<Self> {
        let id = identity();
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        packet.questions.push(Question::new(
            Name::new(name).ok()?,
            QTYPE::TYPE(family.kind()),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        Some(Self {
            id,
            name: name.to_owned(),
            family,
            bytes: packet.build_bytes_vec().ok()?,
        })
    }

    fn read(&self, answer: &[u8]) -> Read {
        if answer.get(..2) != Some(&self.id.to_be_bytes()) {
            return Read::Other;
        }
        let Ok(packet) = Packet::parse(answer) else {
            return Read::Said(Err(malformed()));
        };
        let is_asked = |question: &Question<'_>| {
            question.qtype == QTYPE::TYPE(self.family.kind())
                && question.qname.to_string().eq_ignore_ascii_case(&self.name)
        };
        if !packet.has_flags(PacketFlag::RESPONSE)
            || !packet.questions.first().is_some_and(is_asked)
        {
            return Read::Other;
        }
        if packet.has_flags(PacketFlag::TRUNCATION) {
            return Read::Truncated;
        }
        Read::Said(match packet.rcode() {
            RCODE::NoError => Ok(self.addresses(&packet)),
            RCODE::NameError => Ok(Said::NoSuchName),
            other => Err(Trouble::Unusable(format!("server misbehaving ({other:?})"))),
        })
    }

    fn addresses(&self, packet: &Packet<'_>) -> Said {
        let address = |record: &ResourceRecord<'_>| match (&record.rdata, self.family) {
            (RData::A(a), Family::V4) => Some(IpAddr::V4(Ipv4Addr::from(a.address))),
            (RData::AAAA(a), Family::V6) => Some(IpAddr::V6(Ipv6Addr::from(a.address))),
            _ => None,
        };
        let addresses = packet.answers.iter().filter_map(address).collect();
        // Names on the way have their own.
        let ttl = packet.answers.iter().map(|record| record.ttl).min();
        let ttl = ttl.unwrap_or_default();
        Said::Addresses(addresses, Duration::from_secs(ttl.into()))
    }
}

/// Asks over UDP, and over TCP when the answer does not fit into a packet.
pub(crate) async fn over_udp(server: SocketAddr, query: &Query) -> Result<Said, Trouble> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    for _ in 0..2 {
        socket.send(&query.bytes).await?;
        match timeout(PACKET_WAIT, receive(&socket, query)).await {
            Ok(Ok(Read::Said(said))) => return said,
            Ok(Ok(_)) => return over_stream(TcpStream::connect(server).await?, query).await,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    Err(Trouble::Silence)
}

/// The next packet that answers the question; others are passed over.
async fn receive(socket: &UdpSocket, query: &Query) -> io::Result<Read> {
    let mut buffer = vec![0; LARGEST_PACKET];
    loop {
        let size = socket.recv(&mut buffer).await?;
        match query.read(buffer.get(..size).unwrap_or_default()) {
            Read::Other => {}
            read => return Ok(read),
        }
    }
}

/// Asks over TLS. `name` is what the certificate is for.
pub(crate) async fn over_tls(
    servers: &[SocketAddr],
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    query: &Query,
) -> Result<Said, Trouble> {
    let stream = TcpStream::connect(servers).await?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    over_stream(stream, query).await
}

/// Each message has its length before it (RFC 1035, 4.2.2).
async fn over_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    query: &Query,
) -> Result<Said, Trouble> {
    let size = u16::try_from(query.bytes.len()).map_err(io::Error::other)?;
    let message = [&size.to_be_bytes(), query.bytes.as_slice()].concat();
    stream.write_all(&message).await?;
    stream.flush().await?;
    let size = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(size)];
    stream.read_exact(&mut answer).await?;
    whole(query, &answer)
}

/// Asks over HTTPS.
pub(crate) async fn over_https(
    client: &reqwest::Client,
    url: &Url,
    query: &Query,
) -> Result<Said, Trouble> {
    // Number 0 lets caches on the way know the same question (RFC 8484, section 4.1).
    let mut query = Query {
        id: 0,
        name: query.name.clone(),
        family: query.family,
        bytes: query.bytes.clone(),
    };
    if let Some(id) = query.bytes.get_mut(..2) {
        id.fill(0);
    }
    let mut url = url.clone();
    let question = BASE64_URL_SAFE_NO_PAD.encode(&query.bytes);
    url.query_pairs_mut().append_pair("dns", &question);
    let failed = |error: reqwest::Error| {
        let innermost = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
            error.source()
        })
        .last();
        Trouble::Unusable(innermost.map(ToString::to_string).unwrap_or_default())
    };
    let request = client.get(url).header("Accept", "application/dns-message");
    let mut response = request.send().await.map_err(failed)?;
    if response.status() != reqwest::StatusCode::OK {
        let words = format!("server misbehaving ({})", response.status());
        return Err(Trouble::Unusable(words));
    }
    let age = response.headers().get("Age");
    let age = age.and_then(|age| age.to_str().ok()?.parse().ok());
    let age = Duration::from_secs(age.unwrap_or_default());
    let mut answer = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        answer.extend_from_slice(&piece);
        if answer.len() > LARGEST {
            return Err(malformed());
        }
    }
    whole(&query, &answer).map(|said| said.aged(age))
}

fn whole(query: &Query, answer: &[u8]) -> Result<Said, Trouble> {
    match query.read(answer) {
        Read::Said(said) => said,
        Read::Other | Read::Truncated => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_from_outside_are_read_or_passed_over() {
        let query = Query::new("a.example.com", Family::V4).unwrap();
        assert_eq!(query.read(b""), Read::Other);
        assert_eq!(query.read(&query.bytes), Read::Other, "no answer");
        let other = Query::new("b.example.com", Family::V4).unwrap();
        let mut answer = other.bytes.clone();
        answer[..2].copy_from_slice(&query.id.to_be_bytes());
        answer[2] |= 0x80;
        assert_eq!(query.read(&answer), Read::Other, "to another question");
        let mut answer = query.bytes.clone();
        answer[2] |= 0x80;
        let none = Said::Addresses(Vec::new(), Duration::ZERO);
        assert_eq!(query.read(&answer), Read::Said(Ok(none)));
        answer[3] |= 3;
        assert_eq!(query.read(&answer), Read::Said(Ok(Said::NoSuchName)));
        answer[2] |= 2;
        assert_eq!(query.read(&answer), Read::Truncated);
        for len in 2..answer.len() {
            let read = query.read(&answer[..len]);
            assert!(
                matches!(read, Read::Other | Read::Said(Err(_))),
                "{len}: {read:?}"
            );
        }
    }

    #[test]
    fn a_name_that_is_too_long_has_no_question() {
        assert!(Query::new(&"a".repeat(64), Family::V4).is_none());
        assert!(Query::new("proxy.golang.org", Family::V6).is_some());
    }
}
