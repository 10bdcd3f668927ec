//! The way to servers for programs that know no rules: they are told of a proxy on this machine, and that leads nowhere
//! but to permitted addresses. The port is gone with the run.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use goenv::RedactedUrl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use super::access::SshHost;
use super::relay::Way;
use crate::error::{Blocked, Error};
use crate::options::Remote;
use crate::outbound::{Outbound, Refused};

/// Bytes of what a program asks before it is connected.
const MOST_HEAD: usize = 32 << 10;
/// How long a server may take to be connected to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy on this machine, unless none is needed.
#[derive(Debug)]
pub(crate) struct Gate(Option<(SocketAddr, JoinHandle<()>)>);

struct Rules {
    outbound: Option<Arc<Outbound>>,
    proxy: Option<RedactedUrl>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.0 {
            task.abort();
        }
    }
}

impl Gate {
    /// Opens the way to the server of `remote`, under the rules and through the proxy that were configured for it.
    pub(crate) async fn open(remote: &Remote) -> Result<Self, Error> {
        let opening = || Error::io("opening a port for a program");
        if remote.fetch_url().starts_with("file:") {
            return Ok(Self(None));
        }
        let rules = Arc::new(Rules {
            outbound: remote.options.outbound.clone(),
            proxy: remote.options.proxy.clone(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(opening())?;
        let address = listener.local_addr().map_err(opening())?;
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let rules = Arc::clone(&rules);
                connections.spawn(async move {
                    if let Err(error) = rules.lead(client).await {
                        tracing::debug!(%error, "a program was not led to a server");
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self(Some((address, task))))
    }

    /// Where programs find it.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(|(address, _)| *address)
    }
}

impl Rules {
    async fn lead(&self, mut client: TcpStream) -> io::Result<()> {
        let (head, behind) = read_head(&mut client).await?;
        let Some(asked) = Asked::parse(&head) else {
            return refuse(client, "400 Bad Request", "what was asked for is no URL").await;
        };
        let connecting = tokio::time::timeout(PATIENCE, self.connect(&asked.host, asked.port));
        let mut server = match connecting.await {
            Ok(Ok(server)) => server,
            Ok(Err(error)) => {
                return refuse(client, "403 Forbidden", &error.to_string()).await;
            }
            Err(_) => return refuse(client, "504 Gateway Timeout", "no connection").await,
        };
        match &asked.request {
            Some(request) => server.write_all(request.as_bytes()).await?,
            None => client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?,
        }
        server.write_all(&behind).await?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let reaching = || Error::io(format!("connecting to {host}"));
        let bare = host.trim_matches(['[', ']']);
        let literal = bare.parse::<IpAddr>();
        if let Some(proxy) = &self.proxy {
            if let (Some(outbound), Ok(literal)) = (&self.outbound, literal)
                && !outbound.permits(bare, literal)
            {
                return Err(Blocked::Destination(Refused(bare.to_owned())).into());
            }
            let host = SshHost {
                name: bare.to_owned(),
                port: Some(port),
            };
            let way = Way::new(proxy.as_url(), &host)?;
            return way.open().await.map_err(reaching());
        }
        let addresses: Vec<SocketAddr> = match &self.outbound {
            Some(outbound) => {
                let permitted = outbound.resolve(bare).await?;
                permitted.into_iter().map(|ip| (ip, port).into()).collect()
            }
            None => tokio::net::lookup_host((bare, port))
                .await
                .map_err(reaching())?
                .collect(),
        };
        TcpStream::connect(addresses.as_slice())
            .await
            .map_err(reaching())
    }
}

/// What a program asks a proxy for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    host: String,
    port: u16,
    /// What its server is asked then; a tunnel has nothing.
    request: Option<String>,
}

impl Asked {
    fn parse(head: &str) -> Option<Self> {
        let (line, rest) = head.split_once("\r\n")?;
        let mut words = line.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if method == "CONNECT" {
            let (host, port) = target.rsplit_once(':')?;
            return Some(Self {
                host: host.to_owned(),
                port: port.parse().ok()?,
                request: None,
            });
        }
        let url = Url::parse(target)
            .ok()
            .filter(|url| url.scheme() == "http")?;
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let mut request = format!("{method} {path} {version}\r\n");
        // The next request of the same connection may be for another server.
        let is_for_us = |line: &str| {
            let name = line.split(':').next().unwrap_or_default();
            ["connection", "proxy-connection", "keep-alive"]
                .iter()
                .any(|ours| name.eq_ignore_ascii_case(ours))
        };
        for line in rest.lines().filter(|line| !line.is_empty()) {
            if !is_for_us(line) {
                request.push_str(line);
                request.push_str("\r\n");
            }
        }
        request.push_str("Connection: close\r\n\r\n");
        Some(Self {
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
            request: Some(request),
        })
    }
}

/// The head of a request, and what came behind it.
async fn read_head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
            let behind = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), behind));
        }
        if bytes.len() > MOST_HEAD || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

async fn refuse(mut client: TcpStream, status: &str, why: &str) -> io::Result<()> {
    tracing::warn!(
        why,
        "a program wanted to reach a server that it may not, or cannot, reach"
    );
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::RemoteOptions;

    #[test]
    fn what_is_asked_of_a_proxy_is_understood() {
        let asked = Asked::parse("CONNECT hg.example:443 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!((asked.host.as_str(), asked.port), ("hg.example", 443));
        assert_eq!(asked.request, None);
        let asked = Asked::parse(
            "GET http://hg.example:81/a?b=c HTTP/1.1\r\nHost: hg.example:81\r\nProxy-Connection: keep-alive\r\n\r\n",
        )
        .unwrap();
        assert_eq!((asked.host.as_str(), asked.port), ("hg.example", 81));
        assert_eq!(
            asked.request.unwrap(),
            "GET /a?b=c HTTP/1.1\r\nHost: hg.example:81\r\nConnection: close\r\n\r\n"
        );
        for nonsense in [
            "",
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT x HTTP/1.1\r\n\r\n",
            "GET file:///x HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(Asked::parse(nonsense), None, "{nonsense}");
        }
    }

    #[tokio::test]
    async fn a_program_is_led_to_permitted_addresses_only() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (head, _) = read_head(&mut client).await.unwrap();
                    client.write_all(head.as_bytes()).await.unwrap();
                });
            }
        });
        for (allow, expected) in [
            (vec!["127.0.0.0/8".parse().unwrap()], "GET /x"),
            (Vec::new(), "HTTP/1.1 403"),
        ] {
            let remote = Remote {
                url: "http://hg.example/x".to_owned(),
                insecure: true,
                options: RemoteOptions {
                    outbound: Some(Arc::new(Outbound::new(allow))),
                    ..RemoteOptions::default()
                },
            };
            let gate = Gate::open(&remote).await.unwrap();
            let mut client = TcpStream::connect(gate.address().unwrap()).await.unwrap();
            let request = format!("GET http://{target}/x HTTP/1.1\r\nHost: x\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(expected), "{answer}");
        }
    }
}
