//! Through a proxy to a server: HTTP CONNECT and SOCKS5.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use fault::{Label, Subjects};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use url::Url;

use super::report::Failure;
use super::tls::Bytes;

/// Most bytes of a proxy's head that are read.
const LONGEST_HEAD: usize = 16 << 10;

/// Asks an HTTP proxy for a connection to `authority` (host and port).
pub(crate) async fn connect(
    stream: &mut Box<dyn Bytes>,
    proxy: &Url,
    authority: &str,
    limit: Duration,
) -> Result<(), Failure> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let answer = timeout(limit, converse(stream, proxy, authority)).await;
    let answer = match answer {
        Ok(Ok(head)) => head,
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(failed(
                Label::HttpproxyConnectFailed,
                "proxyconnect tcp: EOF",
                host,
            ));
        }
        Ok(Err(error)) => {
            let words = format!("proxyconnect tcp: {}", super::dns::wire::os_words(&error));
            return Err(failed(Label::HttpproxyConnectFailed, &words, host));
        }
        Err(_) => {
            return Err(failed(
                Label::HttpproxyConnectFailed,
                "proxyconnect tcp: i/o timeout",
                host,
            ));
        }
    };
    judge(&answer, host)
}

async fn converse(
    stream: &mut Box<dyn Bytes>,
    proxy: &Url,
    authority: &str,
) -> io::Result<Vec<u8>> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(credentials) = basic(proxy) {
        request.extend(["Proxy-Authorization: Basic ", &credentials, "\r\n"]);
    }
    request.push_str("User-Agent: Go-http-client/1.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The user information of a proxy's URL for a header.
pub(crate) fn basic(proxy: &Url) -> Option<String> {
    if proxy.username().is_empty() && proxy.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_decoded(text);
    let pair = format!(
        "{}:{}",
        decode(proxy.username()),
        decode(proxy.password().unwrap_or_default())
    );
    Some(base64::engine::general_purpose::STANDARD.encode(pair))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| *first == b'%');
        let value = hex
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn judge(head: &[u8], host: &str) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(head);
    let line = text.lines().next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse::<u16>().ok());
    let (label, words) = match status {
        Some(200..=299) => return Ok(()),
        Some(407) => (Label::Httpproxy407, "Proxy Authentication Required"),
        Some(403 | 451) => (Label::HttpproxyConnectForbidden, "Forbidden"),
        Some(_) => (Label::HttpproxyConnectFailed, "CONNECT refused"),
        None => (
            Label::HttpproxyConnectFailed,
            "proxyconnect tcp: malformed HTTP response",
        ),
    };
    Err(failed(label, words, host).because(format!("proxy answered: {line}")))
}

/// Asks a SOCKS5 proxy for a connection (RFC 1928, 1929). Names are resolved by the proxy, as in Go.
pub(crate) async fn socks(
    stream: &mut Box<dyn Bytes>,
    proxy: &Url,
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<(), Failure> {
    let outcome = timeout(limit, greet_socks(stream, proxy, host, port)).await;
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(
            Label::HttpproxyConnectFailed,
            &format!("socks connect: {}", super::dns::wire::os_words(&error)),
            host,
        )),
        Err(_) => Err(failed(
            Label::HttpproxyConnectFailed,
            "socks connect: i/o timeout",
            host,
        )),
    }
}

async fn greet_socks(
    stream: &mut Box<dyn Bytes>,
    proxy: &Url,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let user = percent_decoded(proxy.username());
    let password = percent_decoded(proxy.password().unwrap_or_default());
    let method = u8::from(!user.is_empty()) * 2;
    stream.write_all(&[5, 1, method]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen != [5, method] {
        return Err(io::Error::other("no acceptable authentication method"));
    }
    if method == 2 {
        let mut message = vec![1];
        for field in [&user, &password] {
            message.push(u8::try_from(field.len()).map_err(io::Error::other)?);
            message.extend_from_slice(field.as_bytes());
        }
        stream.write_all(&message).await?;
        stream.read_exact(&mut chosen).await?;
        if chosen[1] != 0 {
            return Err(io::Error::other("username/password authentication failed"));
        }
    }
    let mut request = vec![
        5,
        1,
        0,
        3,
        u8::try_from(host.len()).map_err(io::Error::other)?,
    ];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    if reply[1] != 0 {
        return Err(io::Error::other(format!(
            "the proxy answered with code {}",
            reply[1]
        )));
    }
    let length = match reply[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(io::Error::other("unknown address type")),
    };
    let mut bound = vec![0; length + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

fn failed(label: Label, words: &str, host: &str) -> Failure {
    let mut failure = Failure::new(label, words);
    failure.subjects = Box::new(Subjects {
        host: Some(host.to_owned()),
        ..Subjects::default()
    });
    failure
}
