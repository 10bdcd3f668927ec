//! The way to a server: its proxy or none, its name, the connection, TLS; and a second look at what fails there.

use std::net::IpAddr;

use fault::Label;
use goenv::http_proxy::{ProxyKind, ProxyUrl, Route};
use tokio::time::Instant;
use url::Url;

use super::Net;
use super::dns::public::{is_bogus, is_public_host};
use super::fetched::{Fetched, add, shown};
use super::http::Way;
use super::report::Failure;
use super::tls::{Bytes, handshake};
use super::{tcp, tunnel};

/// The proxy for a URL, by Go's rules.
pub(crate) fn proxy_for(net: &Net, url: &Url) -> Result<Option<ProxyUrl>, Failure> {
    match net.proxies.route(url) {
        Ok(Route::Proxy(proxy)) if !net.bypass_proxy => Ok(Some(proxy)),
        Ok(_) => Ok(None),
        Err(error) => Err(Failure::new(
            Label::HttpproxyMalformed,
            format!("proxyconnect tcp: {error}"),
        )),
    }
}

/// Opens the way that `go` would take to the server of a URL.
pub(super) async fn open(net: &Net, url: &Url, fetched: &mut Fetched) -> Result<Way, Failure> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(Failure::new(
            Label::CfgGoproxySyntax,
            format!("{}: no host in URL", shown(url)),
        ));
    };
    let host = host.trim_matches(['[', ']']);
    let is_tls = url.scheme() == "https";
    let proxy = proxy_for(net, url)?;
    fetched.via = Some(
        proxy
            .as_ref()
            .map_or_else(|| "direct".to_owned(), ToString::to_string),
    );
    let Some(proxy) = proxy else {
        let stream = dial(net, host, port, fetched).await?;
        if !is_tls {
            return Ok(Way {
                stream,
                absolute: None,
                is_h2: false,
            });
        }
        return secure(net, stream, host, fetched).await;
    };
    let stream = to_proxy(net, &proxy, fetched).await?;
    let start = Instant::now();
    let mut stream = stream;
    let limit = net.limits.first_byte.min(net.left());
    match proxy.kind() {
        ProxyKind::Socks5 => tunnel::socks(&mut stream, proxy.as_url(), host, port, limit).await?,
        ProxyKind::Http | ProxyKind::Https if is_tls => {
            let authority = if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            tunnel::connect(&mut stream, proxy.as_url(), &authority, limit).await?;
        }
        ProxyKind::Http | ProxyKind::Https => {
            return Ok(Way {
                stream,
                absolute: Some(proxy.as_url().clone()),
                is_h2: false,
            });
        }
    }
    add(&mut fetched.phases.proxy, start.elapsed());
    if is_tls {
        secure(net, stream, host, fetched).await
    } else {
        Ok(Way {
            stream,
            absolute: None,
            is_h2: false,
        })
    }
}

async fn dial(
    net: &Net,
    host: &str,
    port: u16,
    fetched: &mut Fetched,
) -> Result<Box<dyn Bytes>, Failure> {
    let looked = net.resolver.look_up(host).await;
    add(&mut fetched.phases.dns, looked.took);
    let addresses = looked.result.clone()?;
    let limit = net.limits.connect.min(net.left());
    let dialled = tcp::dial(host, &addresses, port, limit, fetched.small_segments).await;
    add(&mut fetched.phases.tcp, dialled.took);
    match dialled.stream {
        Ok((stream, address)) => {
            fetched.address = Some(address.to_string());
            let _slower_at_worst = stream.set_nodelay(true);
            Ok(Box::new(stream))
        }
        Err(failure) => Err(if_poisoned(
            failure,
            host,
            &addresses,
            looked.hosts_entry.as_deref(),
        )),
    }
}

/// A failure at an address that no public server has is the resolver's fault.
fn if_poisoned(failure: Failure, host: &str, addresses: &[IpAddr], place: Option<&str>) -> Failure {
    if !is_public_host(host) || !addresses.iter().any(|ip| is_bogus(*ip)) {
        return failure;
    }
    let from = place.unwrap_or("the resolver");
    let line = format!(
        "{host} is {} says {from}, which is no address of a public server",
        super::dns::list(addresses)
    );
    let mut failure = failure.relabelled(Label::DnsPoisoned);
    failure.evidence.insert(0, line);
    failure
}

async fn secure(
    net: &Net,
    stream: Box<dyn Bytes>,
    host: &str,
    fetched: &mut Fetched,
) -> Result<Way, Failure> {
    let limit = net.limits.tls.min(net.left());
    let done = handshake(stream, host, &net.trust, limit).await;
    add(&mut fetched.phases.tls, done.took);
    if done.seen.is_some() {
        fetched.certificate = done.seen;
    }
    let stream = match done.stream {
        Ok(stream) => stream,
        Err(mut failure) => {
            failure.subjects.address.clone_from(&fetched.address);
            return Err(closer(net, failure, host, fetched).await);
        }
    };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Way {
        stream: Box::new(stream),
        absolute: None,
        is_h2,
    })
}

/// A second look at a handshake that failed: the wrong name may be a wrong address, silence may be lost packets.
async fn closer(net: &Net, failure: Failure, host: &str, fetched: &Fetched) -> Failure {
    let is_direct = fetched.via.as_deref() == Some("direct");
    match failure.label {
        Label::TlsHostnameMismatch | Label::TlsUnknownCaMitm | Label::TlsPlainHttp if is_direct => {
            let looked = net.resolver.look_up(host).await;
            let contradiction = looked.views.iter().find(|view| view.contradicted.is_some());
            if let Some(view) = contradiction {
                return failure
                    .relabelled(Label::DnsPoisoned)
                    .because(view.line(host));
            }
            let addresses = looked.result.clone().unwrap_or_default();
            if failure.label == Label::TlsHostnameMismatch {
                return if_poisoned(failure, host, &addresses, looked.hosts_entry.as_deref());
            }
            failure
        }
        Label::TlsHandshakeTimeout
            if is_direct && failure.evidence.iter().any(|line| line.contains("timeout")) =>
        {
            if small_packets_pass(net, host, fetched).await {
                return failure
                    .relabelled(Label::TcpMtu)
                    .because("the handshake succeeds with segments of 536 bytes");
            }
            // Whatever listens where no public server is says nothing of the server.
            let looked = net.resolver.look_up(host).await;
            let addresses = looked.result.clone().unwrap_or_default();
            if_poisoned(failure, host, &addresses, looked.hosts_entry.as_deref())
        }
        _ => failure,
    }
}

async fn small_packets_pass(net: &Net, host: &str, fetched: &Fetched) -> bool {
    let Some(address) = fetched
        .address
        .as_deref()
        .and_then(|address| address.parse().ok())
    else {
        return false;
    };
    let limit = net.limits.tls.min(net.left()) / 2;
    let Ok(stream) = tcp::connect_small(address, limit).await else {
        return false;
    };
    handshake(Box::new(stream), host, &net.trust, limit)
        .await
        .seen
        .is_some()
}

/// A connection to the proxy itself.
async fn to_proxy(
    net: &Net,
    proxy: &ProxyUrl,
    fetched: &mut Fetched,
) -> Result<Box<dyn Bytes>, Failure> {
    let url = proxy.as_url();
    let default = match proxy.kind() {
        ProxyKind::Http => 80,
        ProxyKind::Https => 443,
        ProxyKind::Socks5 => 1080,
    };
    let host = url
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let stream = dial(
        net,
        &host,
        url.port_or_known_default().unwrap_or(default),
        fetched,
    )
    .await
    .map_err(|failure| at_proxy(failure, proxy))?;
    if proxy.kind() != ProxyKind::Https {
        return Ok(stream);
    }
    let mut trust = net.trust.clone();
    trust.alpn.clear();
    let done = handshake(stream, &host, &trust, net.limits.tls.min(net.left())).await;
    add(&mut fetched.phases.proxy, done.took);
    match done.stream {
        Ok(stream) => Ok(Box::new(stream)),
        Err(failure) if failure.label == Label::TlsPlainHttp => Err(Failure {
            evidence: vec![format!("proxyconnect {}", failure.evidence.join("; "))],
            ..failure.relabelled(Label::HttpproxyScheme)
        }),
        Err(failure) => Err(failure),
    }
}

/// Whether a text is a host's name and not a part of another URL.
fn is_host_name(text: &str) -> bool {
    let is_name_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(text, "" | "http" | "https" | "socks5") && text.bytes().all(is_name_byte)
}

/// A proxy that cannot be reached is another cause than a server that cannot be.
fn at_proxy(mut failure: Failure, proxy: &ProxyUrl) -> Failure {
    failure.label = match failure.label {
        Label::TcpRefused => Label::HttpproxyRefused,
        Label::TcpTimeout | Label::TcpReset | Label::TcpNoRoute => Label::HttpproxyConnectFailed,
        // `http://http://proxy:3128` makes the scheme a host.
        Label::DnsNxdomain if !is_host_name(proxy.as_url().host_str().unwrap_or_default()) => {
            Label::HttpproxyMalformed
        }
        other => other,
    };
    if let Some(first) = failure.evidence.first_mut() {
        *first = format!(
            "proxyconnect tcp: {}",
            first.trim_start_matches("dial tcp: ")
        );
    }
    failure.because(format!("proxy {proxy} from {}", proxy.origin()))
}
