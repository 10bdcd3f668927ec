//! One question to one resolver, over UDP and, when the answer does not fit, TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

/// The address family asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// What a resolver said, or why it said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The name has these addresses of the family asked for; none if it has others only.
    Addresses(Vec<IpAddr>),
    /// The name does not exist.
    NoSuchName,
    /// An answer that is of no use: SERVFAIL, REFUSED, malformed.
    Unusable(&'static str),
    /// No answer in time.
    Silence,
    /// The resolver could not be reached.
    Unreachable(io::ErrorKind, String),
}

/// An answer with its circumstances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) said: Said,
    pub(crate) took: Duration,
    /// A second answer to the same question that differs from the first: somebody on the way has answered too.
    pub(crate) contradicted: Option<Vec<IpAddr>>,
}

/// Most bytes of an answer that are read, as the length field of TCP allows.
const LARGEST: usize = 65_535;

/// Asks `server` for the addresses of `name`. The question is repeated once when half the time is over, for packets get
/// lost. With `linger`, a first answer is held against any that come within that time.
pub(crate) async fn ask(
    server: SocketAddr,
    name: &str,
    family: Family,
    limit: Duration,
    linger: Duration,
) -> Reply {
    let start = Instant::now();
    let deadline = start + limit;
    let (said, contradicted) = match over_udp(server, name, family, deadline, linger).await {
        Ok(Exchange::Whole(said, contradicted)) => (said, contradicted),
        Ok(Exchange::Truncated) => (over_tcp(server, name, family, deadline).await, None),
        Err(error) => (unreachable(&error), None),
    };
    Reply {
        said,
        took: start.elapsed().saturating_sub(if contradicted.is_some() {
            linger
        } else {
            Duration::ZERO
        }),
        contradicted,
    }
}

enum Exchange {
    Whole(Said, Option<Vec<IpAddr>>),
    Truncated,
}

async fn over_udp(
    server: SocketAddr,
    name: &str,
    family: Family,
    deadline: Instant,
    linger: Duration,
) -> io::Result<Exchange> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    let id = fastrand::u16(..);
    let Some(question) = question(id, name, family) else {
        return Ok(Exchange::Whole(Said::NoSuchName, None));
    };
    let halfway = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let mut buffer = vec![0; 4096];
    for until in [halfway, deadline] {
        socket.send(&question).await?;
        let Ok(first) = timeout_at(until, receive(&socket, &mut buffer, id, family)).await else {
            continue;
        };
        let said = match first? {
            Parsed::Truncated => return Ok(Exchange::Truncated),
            Parsed::Said(said) => said,
        };
        let contradicted = match &said {
            Said::Addresses(first) if !linger.is_zero() => {
                contradiction(&socket, &mut buffer, id, family, first, linger).await
            }
            _ => None,
        };
        return Ok(Exchange::Whole(said, contradicted));
    }
    Ok(Exchange::Whole(Said::Silence, None))
}

/// A later answer with none of the addresses of the first.
async fn contradiction(
    socket: &UdpSocket,
    buffer: &mut [u8],
    id: u16,
    family: Family,
    first: &[IpAddr],
    linger: Duration,
) -> Option<Vec<IpAddr>> {
    let second = timeout(linger, receive(socket, buffer, id, family))
        .await
        .ok()?
        .ok()?;
    match second {
        Parsed::Said(Said::Addresses(second)) if !second.iter().any(|ip| first.contains(ip)) => {
            Some(second)
        }
        _ => None,
    }
}

/// The next answer to question `id`; others are passed over.
async fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    id: u16,
    family: Family,
) -> io::Result<Parsed> {
    loop {
        let length = socket.recv(buffer).await?;
        if let Some(parsed) = parse(buffer.get(..length).unwrap_or_default(), id, family) {
            return Ok(parsed);
        }
    }
}

async fn over_tcp(server: SocketAddr, name: &str, family: Family, deadline: Instant) -> Said {
    match timeout_at(deadline, exchange_over_tcp(server, name, family)).await {
        Ok(Ok(said)) => said,
        // The resolver was reached by UDP and sent half an answer.
        Ok(Err(error)) => unreachable(&error),
        Err(_) => Said::Silence,
    }
}

async fn exchange_over_tcp(server: SocketAddr, name: &str, family: Family) -> io::Result<Said> {
    let id = fastrand::u16(..);
    let Some(question) = question(id, name, family) else {
        return Ok(Said::NoSuchName);
    };
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_u16(length).await?;
    stream.write_all(&question).await?;
    let length = usize::from(stream.read_u16().await?).min(LARGEST);
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    Ok(match parse(&answer, id, family) {
        Some(Parsed::Said(said)) => said,
        Some(Parsed::Truncated) | None => Said::Unusable("malformed answer"),
    })
}

/// A question as a parameter of a URL (RFC 8484, section 4.1: number 0, base 64 for URLs without padding).
pub(crate) fn question_in_url(name: &str, family: Family) -> Option<String> {
    use base64::Engine as _;
    let question = question(0, name, family)?;
    Some(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(question))
}

/// The answer to such a question.
pub(crate) fn answer_in_body(body: &[u8], family: Family) -> Said {
    match parse(body, 0, family) {
        Some(Parsed::Said(said)) => said,
        Some(Parsed::Truncated) | None => Said::Unusable("malformed answer"),
    }
}

/// `None` for a name that no DNS message can hold: such a name does not exist.
fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(
        Name::new(name).ok()?,
        QTYPE::TYPE(match family {
            Family::V4 => TYPE::A,
            Family::V6 => TYPE::AAAA,
        }),
        QCLASS::CLASS(CLASS::IN),
        false,
    ));
    packet.build_bytes_vec().ok()
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Said(Said),
    Truncated,
}

/// `None` for bytes that are no answer to question `id`.
fn parse(bytes: &[u8], id: u16, family: Family) -> Option<Parsed> {
    if bytes.get(..2)? != id.to_be_bytes() {
        return None;
    }
    let Ok(packet) = Packet::parse(bytes) else {
        return Some(Parsed::Said(Said::Unusable("malformed answer")));
    };
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Parsed::Truncated);
    }
    Some(Parsed::Said(match packet.rcode() {
        RCODE::NoError => Said::Addresses(addresses(&packet, family)),
        RCODE::NameError => Said::NoSuchName,
        RCODE::ServerFailure => Said::Unusable("SERVFAIL"),
        RCODE::Refused => Said::Unusable("REFUSED"),
        RCODE::FormatError => Said::Unusable("FORMERR"),
        RCODE::NotImplemented => Said::Unusable("NOTIMP"),
        _ => Said::Unusable("an error code of its own"),
    }))
}

fn addresses(packet: &Packet<'_>, family: Family) -> Vec<IpAddr> {
    let addresses = packet
        .answers
        .iter()
        .filter_map(|record| match &record.rdata {
            RData::A(a) if family == Family::V4 => Some(IpAddr::V4(Ipv4Addr::from(a.address))),
            RData::AAAA(a) if family == Family::V6 => Some(IpAddr::V6(Ipv6Addr::from(a.address))),
            _ => None,
        });
    addresses.collect()
}

fn unreachable(error: &io::Error) -> Said {
    Said::Unreachable(error.kind(), os_words(error))
}

/// An error of the system without the number that Rust adds.
pub(crate) fn os_words(error: &io::Error) -> String {
    let words = error.to_string();
    match words.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_from_outside_are_read_or_passed_over() {
        assert_eq!(parse(b"", 7, Family::V4), None);
        assert_eq!(parse(&[0, 8, 0x80, 0], 7, Family::V4), None);
        assert_eq!(
            parse(&[0, 7, 0x80, 0], 7, Family::V4),
            Some(Parsed::Said(Said::Unusable("malformed answer")))
        );
        let question = question(7, "a.example", Family::V4).unwrap();
        assert_eq!(parse(&question, 7, Family::V4), None, "no answer");
    }

    #[test]
    fn a_name_that_is_too_long_has_no_question() {
        assert!(question(1, &"a".repeat(64), Family::V4).is_none());
        assert!(question(1, "proxy.golang.org", Family::V6).is_some());
    }
}
