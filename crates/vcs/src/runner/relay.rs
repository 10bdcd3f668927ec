//! ssh through an HTTP or SOCKS proxy: ssh itself knows no proxies, so it connects to a port of this machine, and what
//! it says there goes to its server through the proxy. The port leads nowhere else, and is gone with the run.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goenv::RedactedUrl;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use super::access::SshHost;
use crate::error::{Blocked, Error};

/// How long the proxy may take to connect.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of what an HTTP proxy answers before the connection is there.
const MOST_HEAD: usize = 16 << 10;
/// The port of ssh.
pub(super) const SSH_PORT: u16 = 22;

/// A port of this machine that leads to one server.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Opens a port that leads to `host` through `proxy`.
    pub(super) async fn open(proxy: &RedactedUrl, host: &SshHost) -> Result<Self, Error> {
        let way = Arc::new(Way::new(proxy.as_url(), host)?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(Error::io("opening a port for ssh"))?;
        let address = listener
            .local_addr()
            .map_err(Error::io("opening a port for ssh"))?;
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let way = Arc::clone(&way);
                connections.spawn(async move {
                    if let Err(error) = way.lead(client).await {
                        tracing::warn!(host = way.host, %error, "ssh through a proxy");
                    }
                });
            }
        });
        Ok(Self { address, task })
    }
}

/// What a proxy is asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Http,
    Socks,
}

pub(super) struct Way {
    language: Language,
    proxy: (String, u16),
    login: Option<(String, String)>,
    host: String,
    port: u16,
}

impl Way {
    pub(super) fn new(proxy: &Url, host: &SshHost) -> Result<Self, Error> {
        let refuse = |reason| {
            Error::from(Blocked::Address {
                url: goenv::redact::redact_text(proxy.as_str()),
                reason,
            })
        };
        let (language, usual_port) = match proxy.scheme() {
            "http" => (Language::Http, 80),
            "socks5" | "socks5h" => (Language::Socks, 1080),
            _ => {
                return Err(refuse(
                    "ssh goes through http:// and socks5:// proxies only",
                ));
            }
        };
        let proxy_host = proxy
            .host_str()
            .ok_or_else(|| refuse("it has no usable host"))?;
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = (!proxy.username().is_empty()).then(|| {
            let password = proxy.password().unwrap_or_default();
            (decoded(proxy.username()), decoded(password))
        });
        Ok(Self {
            language,
            proxy: (
                proxy_host.trim_matches(['[', ']']).to_owned(),
                proxy.port().unwrap_or(usual_port),
            ),
            login,
            host: host.name.clone(),
            port: host.port.unwrap_or(SSH_PORT),
        })
    }

    async fn lead(&self, mut client: TcpStream) -> io::Result<()> {
        let mut server = self.open().await?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }

    /// A connection to the server, as if there were no proxy.
    pub(super) async fn open(&self) -> io::Result<TcpStream> {
        let (host, port) = (self.proxy.0.as_str(), self.proxy.1);
        let connecting = async {
            let mut server = TcpStream::connect((host, port)).await?;
            match self.language {
                Language::Http => self.connect(&mut server).await?,
                Language::Socks => self.socks(&mut server).await?,
            }
            Ok::<_, io::Error>(server)
        };
        tokio::time::timeout(PATIENCE, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// RFC 9110, 9.3.6.
    async fn connect(&self, proxy: &mut TcpStream) -> io::Result<()> {
        let bare = self.host.trim_matches(['[', ']']);
        let target = if bare.contains(':') {
            format!("[{bare}]:{}", self.port)
        } else {
            format!("{bare}:{}", self.port)
        };
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some((user, password)) = &self.login {
            let coded = STANDARD.encode(format!("{user}:{password}"));
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&coded);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        proxy.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        // One byte at a time: what follows the head is the server's.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() >= MOST_HEAD {
                return Err(io::Error::other("the proxy's answer has no end"));
            }
            head.push(proxy.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&head);
        let line = text.lines().next().unwrap_or_default();
        match line.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(()),
            _ => Err(io::Error::other(format!("the proxy answers {line:?}"))),
        }
    }

    /// RFC 1928 and 1929. The proxy resolves the name.
    async fn socks(&self, proxy: &mut TcpStream) -> io::Result<()> {
        let offer: &[u8] = if self.login.is_some() {
            &[5, 2, 0, 2]
        } else {
            &[5, 1, 0]
        };
        proxy.write_all(offer).await?;
        let mut chosen = [0; 2];
        proxy.read_exact(&mut chosen).await?;
        match (chosen, &self.login) {
            ([5, 0], _) => {}
            ([5, 2], Some((user, password))) => {
                let mut login = vec![1];
                for text in [user, password] {
                    login.push(short(text)?);
                    login.extend(text.as_bytes());
                }
                proxy.write_all(&login).await?;
                let mut verdict = [0; 2];
                proxy.read_exact(&mut verdict).await?;
                if verdict[1] != 0 {
                    return Err(io::Error::other("the proxy refuses the login"));
                }
            }
            _ => return Err(io::Error::other("the proxy wants another way to log in")),
        }
        let bare = self.host.trim_matches(['[', ']']);
        let mut request = vec![5, 1, 0, 3, short(bare)?];
        request.extend(bare.as_bytes());
        request.extend(self.port.to_be_bytes());
        proxy.write_all(&request).await?;
        let mut reply = [0; 4];
        proxy.read_exact(&mut reply).await?;
        if reply[1] != 0 {
            let code = reply[1];
            return Err(io::Error::other(format!(
                "the proxy answers with code {code}"
            )));
        }
        let rest = match reply[3] {
            1 => 4,
            4 => 16,
            3 => usize::from(proxy.read_u8().await?),
            _ => return Err(io::Error::other("the proxy names no address")),
        };
        let mut bound = vec![0; rest + 2];
        proxy.read_exact(&mut bound).await.map(drop)
    }
}

fn short(text: &str) -> io::Result<u8> {
    u8::try_from(text.len()).map_err(|_| io::Error::other("a name is too long for the proxy"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy that expects the exchanges, and then echoes.
    async fn proxy(exchanges: Vec<(Vec<u8>, Vec<u8>)>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for (expected, answer) in exchanges {
                let mut got = vec![0; expected.len()];
                stream.read_exact(&mut got).await.unwrap();
                assert_eq!(got, expected);
                stream.write_all(&answer).await.unwrap();
            }
            let (mut read, mut write) = stream.split();
            let _ends = tokio::io::copy(&mut read, &mut write).await;
        });
        address
    }

    async fn echoed(proxy: &str) -> Vec<u8> {
        let host = SshHost {
            name: "git.example".to_owned(),
            port: Some(2222),
        };
        let url = RedactedUrl::new(Url::parse(proxy).unwrap());
        let relay = Relay::open(&url, &host).await.unwrap();
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = Vec::new();
        let _cut = stream.read_to_end(&mut back).await;
        back
    }

    #[tokio::test]
    async fn the_port_leads_through_either_kind_of_proxy() {
        let socks = [&[5, 1, 0, 3, 11][..], b"git.example", &[8, 174]].concat();
        let granted = vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let address = proxy(vec![
            (vec![5, 1, 0], vec![5, 0]),
            (socks.clone(), granted.clone()),
        ])
        .await;
        assert_eq!(echoed(&format!("socks5h://{address}")).await, b"hello");
        let login = [&[1, 2][..], b"me", &[2], b"pw"].concat();
        let address = proxy(vec![
            (vec![5, 2, 0, 2], vec![5, 2]),
            (login, vec![1, 0]),
            (socks, granted),
        ])
        .await;
        assert_eq!(echoed(&format!("socks5://me:pw@{address}")).await, b"hello");
        let request = b"CONNECT git.example:2222 HTTP/1.1\r\nHost: git.example:2222\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n";
        let granted = b"HTTP/1.1 200 Fine\r\nX: y\r\n\r\n";
        let address = proxy(vec![(request.to_vec(), granted.to_vec())]).await;
        assert_eq!(echoed(&format!("http://me:pw@{address}")).await, b"hello");
        let refused = b"HTTP/1.1 403 No\r\n\r\n";
        let address = proxy(vec![(request.to_vec(), refused.to_vec())]).await;
        assert_eq!(echoed(&format!("http://me:pw@{address}")).await, b"");
    }

    #[tokio::test]
    async fn other_proxies_are_refused_without_their_password() {
        let host = SshHost {
            name: "git.example".to_owned(),
            port: None,
        };
        let url = RedactedUrl::new(Url::parse("https://me:pw@proxy.example").unwrap());
        let error = Relay::open(&url, &host).await.unwrap_err().to_string();
        assert!(
            error.contains("http:// and socks5://") && !error.contains("pw"),
            "{error}"
        );
    }
}
