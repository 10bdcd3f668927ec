//! A name server that errs on demand, over UDP and TCP on one port.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

/// What is said about a name.
#[derive(Clone, Debug)]
pub(crate) enum Dns {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    ServFail,
    Refused,
    Silence,
    Garbage,
    /// Half an answer by UDP, the whole one by TCP.
    Truncated(IpAddr),
    /// A wrong answer first, the right one after it.
    TwoAnswers(IpAddr, IpAddr),
}

impl Dns {
    pub(crate) fn here() -> Self {
        Self::Addresses(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// Starts a name server; names that are not in the map do not exist.
pub(crate) async fn serve(names: HashMap<String, Dns>) -> SocketAddr {
    let names = Arc::new(names);
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // The port must be free for both.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let over_udp = Arc::clone(&names);
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            for answer in answers(&buffer[..length], &over_udp, false) {
                udp.send_to(&answer, from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let names = Arc::clone(&names);
            tokio::spawn(async move {
                let length = stream.read_u16().await.unwrap();
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await.unwrap();
                for answer in answers(&question, &names, true) {
                    stream
                        .write_u16(u16::try_from(answer.len()).unwrap())
                        .await
                        .unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    address
}

fn answers(question: &[u8], names: &HashMap<String, Dns>, is_tcp: bool) -> Vec<Vec<u8>> {
    let (name, end) = name(question);
    let question = &question[..end + 4];
    let is_v4 = question[end + 1] == 1;
    let answer = |code: u8, addresses: &[IpAddr]| reply(question, 0x80, code, is_v4, addresses);
    match names.get(&name) {
        None | Some(Dns::NoSuchName) => vec![answer(3, &[])],
        Some(Dns::Addresses(addresses)) => vec![answer(0, addresses)],
        Some(Dns::ServFail) => vec![answer(2, &[])],
        Some(Dns::Refused) => vec![answer(5, &[])],
        Some(Dns::Silence) => vec![],
        Some(Dns::Garbage) => vec![[&question[..2], &[0x81, 0x80, 0xff, 0xff, 0xff]].concat()],
        Some(Dns::Truncated(ip)) if is_tcp => vec![answer(0, &[*ip])],
        Some(Dns::Truncated(_)) => vec![reply(question, 0x82, 0, is_v4, &[])],
        Some(Dns::TwoAnswers(wrong, right)) => vec![answer(0, &[*wrong]), answer(0, &[*right])],
    }
}

/// The name asked for, and where it ends.
fn name(question: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    (labels.join("."), at + 1)
}

fn reply(question: &[u8], flags: u8, code: u8, is_v4: bool, addresses: &[IpAddr]) -> Vec<u8> {
    let addresses: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) if is_v4 => Some(ip.octets().to_vec()),
            IpAddr::V6(ip) if !is_v4 => Some(ip.octets().to_vec()),
            _ => None,
        })
        .collect();
    let count = u8::try_from(addresses.len()).unwrap();
    let mut bytes = vec![
        question[0],
        question[1],
        flags | 1,
        0x80 | code,
        0,
        1,
        0,
        count,
        0,
        0,
        0,
        0,
    ];
    bytes.extend_from_slice(&question[12..]);
    for address in addresses {
        let kind = if address.len() == 4 { 1 } else { 28 };
        bytes.extend_from_slice(&[
            0xc0,
            12,
            0,
            kind,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            u8::try_from(address.len()).unwrap(),
        ]);
        bytes.extend(address);
    }
    bytes
}
