//! Connections to addresses, each on its own so that families and replicas can be told apart.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fault::{Hop, Label, Subjects};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::dns::wire::os_words;
use super::report::{Check, Failure, Phases, Probe};

/// How much later the second address family is tried, as in Go (net.Dialer, fast fallback).
const FALLBACK: Duration = Duration::from_millis(300);

/// The segment size at which packets pass any link that carries IP at all.
const SMALL_SEGMENT: u32 = 536;

/// One attempt.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) address: SocketAddr,
    pub(crate) took: Duration,
    pub(crate) error: Option<io::Error>,
}

/// What came of dialling: a connection, or why there is none.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) stream: Result<(TcpStream, SocketAddr), Failure>,
    pub(crate) took: Duration,
}

/// Connects to one of `addresses`: IPv6 and IPv4 race as they do in Go, with a head start for the family that comes
/// first.
pub(crate) async fn dial(
    host: &str,
    addresses: &[IpAddr],
    port: u16,
    limit: Duration,
    small_segments: bool,
) -> Dialled {
    let start = Instant::now();
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let mut attempts: FuturesUnordered<_> = addresses
        .iter()
        .take(8)
        .map(|ip| {
            let address = SocketAddr::new(*ip, port);
            let wait = if ip.is_ipv6() == first_is_v6 {
                Duration::ZERO
            } else {
                FALLBACK
            };
            async move {
                sleep(wait).await;
                let connected = if small_segments {
                    connect_small(address, limit).await
                } else {
                    connect(address, limit).await
                };
                (address, connected)
            }
        })
        .collect();
    let mut failed: Vec<Attempt> = Vec::new();
    while let Some((address, result)) = attempts.next().await {
        match result {
            Ok(stream) => {
                return Dialled {
                    stream: Ok((stream, address)),
                    took: start.elapsed(),
                };
            }
            Err(error) => failed.push(Attempt {
                address,
                took: start.elapsed(),
                error: Some(error),
            }),
        }
    }
    failed.sort_by_key(|attempt| addresses.iter().position(|ip| *ip == attempt.address.ip()));
    Dialled {
        stream: Err(why_none(host, &failed)),
        took: start.elapsed(),
    }
}

pub(crate) async fn connect(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    timeout(limit, TcpStream::connect(address))
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// As [`connect`], with segments so small that no link drops them: what works so and not otherwise is a matter of
/// packet size.
pub(crate) async fn connect_small(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    #[cfg(unix)]
    SockRef::from(&socket).set_tcp_mss(SMALL_SEGMENT)?;
    timeout(limit, socket.connect(address))
        .await
        .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

/// Tries one address.
pub(crate) async fn try_address(address: SocketAddr, limit: Duration) -> Attempt {
    let start = Instant::now();
    let error = connect(address, limit).await.err();
    Attempt {
        address,
        took: start.elapsed(),
        error,
    }
}

impl Attempt {
    pub(crate) fn line(&self) -> String {
        let words = self
            .error
            .as_ref()
            .map_or_else(|| "connected".to_owned(), words);
        format!("dial tcp {}: {words}", self.address)
    }

    pub(crate) fn probe(&self, host: &str) -> Probe {
        let probe =
            Probe::new(Check::Address, Hop::Tcp, format!("{host} {}", self.address)).took(Phases {
                tcp: Some(self.took),
                ..Phases::default()
            });
        match &self.error {
            None => probe,
            Some(error) => probe.failed(Failure::new(label_of(error), self.line())),
        }
    }

    /// True when this machine has no way to the whole address family, which is no fault while the other works.
    pub(crate) fn has_no_family(&self) -> bool {
        self.address.is_ipv6()
            && self.error.as_ref().is_some_and(|error| {
                matches!(
                    error.kind(),
                    ErrorKind::NetworkUnreachable
                        | ErrorKind::AddrNotAvailable
                        | ErrorKind::Unsupported
                )
            })
    }
}

/// The words Go has for an error of connecting.
pub(crate) fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut if error.raw_os_error().is_none() => "i/o timeout".to_owned(),
        _ => format!("connect: {}", os_words(error)),
    }
}

pub(crate) fn label_of(error: &io::Error) -> Label {
    match error.kind() {
        ErrorKind::ConnectionRefused => Label::TcpRefused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            Label::TcpReset
        }
        ErrorKind::NetworkUnreachable
        | ErrorKind::HostUnreachable
        | ErrorKind::AddrNotAvailable
        | ErrorKind::NetworkDown
        | ErrorKind::PermissionDenied => Label::TcpNoRoute,
        _ => Label::TcpTimeout,
    }
}

/// The failure of all attempts: that of the first address, as Go says it, unless that family is not there at all.
fn why_none(host: &str, failed: &[Attempt]) -> Failure {
    let decisive = failed
        .iter()
        .find(|attempt| !attempt.has_no_family())
        .or_else(|| failed.first());
    let Some(attempt) = decisive else {
        return Failure::new(
            Label::TcpNoRoute,
            format!("dial tcp: {host}: no suitable address"),
        );
    };
    let label = attempt.error.as_ref().map_or(Label::TcpTimeout, label_of);
    let mut failure = Failure::new(label, attempt.line());
    failure.evidence.extend(
        failed
            .iter()
            .filter(|other| other.address != attempt.address)
            .map(Attempt::line),
    );
    failure.subjects = Box::new(Subjects {
        host: Some(host.to_owned()),
        address: Some(attempt.address.to_string()),
        ..Subjects::default()
    });
    failure
}
