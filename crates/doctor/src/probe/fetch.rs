//! One request made as `go` makes it: its proxy, its resolver, its roots, its credentials, its redirects; each phase
//! timed, and a failure named by the hop it happened at.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ::http::{HeaderMap, Request, Uri, header};
use bytes::Bytes as Chunk;
use fault::Label;
use goenv::http_proxy::{ProxyKind, ProxyUrl, Route};
use goenv::redact::RedactedUrl;
use http_body_util::Empty;
use tokio::time::{Instant, timeout};
use url::Url;

use super::Net;
use super::credentials::Login;
use super::dns::public::{is_bogus, is_public_host};
use super::http::{Body, Way, read, send};
use super::report::{Failure, Phases};
use super::tls::certificate::Summary;
use super::tls::{Bytes, handshake};
use super::{tcp, tunnel};

/// Redirects that are followed, as by Go's client.
const MOST_REDIRECTS: usize = 10;

/// Which part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, as far as the limit for what is kept goes.
    Whole,
    /// So many bytes at its end.
    End(u64),
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The URL asked for in the end, without secrets.
    pub(crate) url: String,
    pub(crate) phases: Phases,
    pub(crate) result: Result<Answer, Failure>,
    /// Which way it went, for reading: `direct`, or the proxy.
    pub(crate) via: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) certificate: Option<Summary>,
    /// Hosts that redirects led to.
    pub(crate) redirects: Vec<String>,
    /// Connections are made with segments so small that they pass any link.
    small_segments: bool,
}

/// An answer with any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The body as far as it is kept went past the limit.
    pub(crate) is_cut: bool,
    /// True for HTTP/2.
    pub(crate) is_h2: bool,
    /// What was sent to log in.
    pub(crate) login: Option<Login>,
    /// Why a program of GOAUTH brought nothing, where the server wanted credentials.
    pub(crate) goauth: Option<String>,
    /// The time was over while the body came in.
    pub(crate) is_slow: bool,
    /// Why the body ended too early.
    pub(crate) broken: Option<Failure>,
    /// Local time when the head was there.
    pub(crate) at: SystemTime,
}

impl Answer {
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_html(&self) -> bool {
        let typed = self
            .header(header::CONTENT_TYPE)
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("text/html"));
        let start: String =
            String::from_utf8_lossy(self.body.get(..64.min(self.body.len())).unwrap_or_default())
                .trim_start()
                .to_ascii_lowercase();
        typed || start.starts_with("<!doctype html") || start.starts_with("<html")
    }

    /// The first line of a plain text body.
    pub(crate) fn first_line(&self) -> Option<String> {
        if self.is_html() {
            return None;
        }
        let text = String::from_utf8_lossy(&self.body);
        let line: String = text
            .lines()
            .next()?
            .chars()
            .filter(|c| !c.is_control())
            .take(300)
            .collect();
        Some(line).filter(|line| !line.is_empty())
    }

    /// How far the server's clock is ahead of the local one, in seconds; negative when it is behind.
    pub(crate) fn clock_offset(&self, now: SystemTime) -> Option<i64> {
        let date = httpdate::parse_http_date(self.header(header::DATE)?).ok()?;
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Some(match date.duration_since(now) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        })
    }
}

/// Fetches `url`, keeping at most `keep` bytes of the body.
pub(crate) async fn fetch(net: &Net, url: &Url, part: Part, keep: usize) -> Fetched {
    let mut fetched = Fetched {
        url: shown(url),
        phases: Phases::default(),
        result: Err(Failure::new(Label::GoproxySlow, "out of time")),
        via: None,
        address: None,
        certificate: None,
        redirects: Vec::new(),
        small_segments: false,
    };
    let left = net.left();
    let mut current = url.clone();
    let run = async {
        for _ in 0..=MOST_REDIRECTS {
            let answer = Box::pin(ask(net, &current, part, keep, &mut fetched)).await?;
            let target = redirect(&answer, &current);
            let Some(target) = target else {
                return Ok(answer);
            };
            if current.scheme() == "https" && target.scheme() == "http" {
                return Err(Failure::new(
                    Label::CaptivePortalHtml,
                    format!(
                        "redirected from secure URL {} to insecure URL {}",
                        shown(&current),
                        shown(&target)
                    ),
                ));
            }
            fetched
                .redirects
                .push(target.host_str().unwrap_or_default().to_owned());
            fetched.url = shown(&target);
            current = target;
        }
        Err(Failure::new(
            Label::GoproxyHtml,
            "stopped after 10 redirects",
        ))
    };
    let result = timeout(left, run).await;
    fetched.result = result.unwrap_or_else(|_| {
        Err(Failure::new(
            Label::GoproxySlow,
            format!(
                "Get \"{}\": no answer in {:.1} s",
                fetched.url,
                left.as_secs_f64()
            ),
        ))
    });
    if let Err(failure) = &mut fetched.result {
        failure
            .subjects
            .url
            .get_or_insert_with(|| fetched.url.clone());
        if failure.subjects.host.is_none() {
            failure.subjects.host = Url::parse(&fetched.url)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned));
        }
    }
    fetched
}

fn shown(url: &Url) -> String {
    RedactedUrl::new(url.clone()).to_string()
}

fn redirect(answer: &Answer, from: &Url) -> Option<Url> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(answer.header(header::LOCATION)?).ok()
}

/// As `go` does it, once more with what GOAUTH says after a refusal (cmd/go/internal/web, `get`).
async fn ask(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    fetched: &mut Fetched,
) -> Result<Answer, Failure> {
    let patience = || net.limits.first_byte.min(net.left());
    let login = net.credentials.first(url, patience()).await;
    let mut answer = exchange(net, url, part, keep, login, fetched).await?;
    if !matches!(answer.status, 401 | 403 | 404) {
        return Ok(answer);
    }
    let again = net
        .credentials
        .again(url, answer.login.as_ref(), patience());
    if let Some(login) = again.await {
        return exchange(net, url, part, keep, Some(login), fetched).await;
    }
    answer.goauth = net.credentials.trouble().await;
    Ok(answer)
}

async fn exchange(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    login: Option<Login>,
    fetched: &mut Fetched,
) -> Result<Answer, Failure> {
    let mut result = exchange_once(net, url, part, keep, login.clone(), fetched).await;
    if fetched.via.as_deref() == Some("direct") && has_stalled(&result) && !net.left().is_zero() {
        let limit = net.left() / 2;
        let again = |small| {
            let sized = sized(net, url, part, keep, login.clone(), small);
            timeout(limit, Box::pin(sized))
        };
        let (small, usual) = tokio::join!(again(true), again(false));
        let passes = |answer: Result<Result<Answer, Failure>, _>| matches!(answer, Ok(answer) if answer.is_ok() && !has_stalled(&answer));
        if passes(small) && !passes(usual) {
            let failure = Failure::new(
                Label::TcpMtu,
                format!("Get \"{}\": nothing comes in", shown(url)),
            );
            let mut failure =
                failure.because("the same request succeeds with segments of 536 bytes");
            failure.subjects.address.clone_from(&fetched.address);
            result = Err(failure);
        }
    }
    result
}

/// Whether a connection that stood went silent.
fn has_stalled(result: &Result<Answer, Failure>) -> bool {
    match result {
        Ok(answer) => answer
            .broken
            .as_ref()
            .is_some_and(|failure| failure.label == Label::GoproxySlow),
        Err(failure) => failure.label == Label::GoproxySlow,
    }
}

/// The same exchange once more, with small segments or with usual ones.
async fn sized(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    login: Option<Login>,
    small_segments: bool,
) -> Result<Answer, Failure> {
    let mut fetched = Fetched {
        url: shown(url),
        phases: Phases::default(),
        result: Err(Failure::new(Label::GoproxySlow, "out of time")),
        via: None,
        address: None,
        certificate: None,
        redirects: Vec::new(),
        small_segments,
    };
    exchange_once(net, url, part, keep, login, &mut fetched).await
}

async fn exchange_once(
    net: &Net,
    url: &Url,
    part: Part,
    keep: usize,
    login: Option<Login>,
    fetched: &mut Fetched,
) -> Result<Answer, Failure> {
    let way = open(net, url, fetched).await?;
    let request = request(url, part, &way, login.as_ref())?;
    let start = Instant::now();
    let is_h2 = way.is_h2;
    let response = send(net, way, request)
        .await
        .map_err(|failure| failure_with_url(failure, url))?;
    add(&mut fetched.phases.first_byte, start.elapsed());
    let at = SystemTime::now();
    let (head, body) = response.into_parts();
    let start = Instant::now();
    let Body {
        bytes,
        is_cut,
        is_slow,
        broken,
    } = read(net, body, keep).await;
    add(&mut fetched.phases.transfer, start.elapsed());
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: bytes,
        is_cut,
        is_slow,
        is_h2,
        login,
        goauth: None,
        broken: broken.map(|failure| failure_with_url(failure, url)),
        at,
    })
}

fn failure_with_url(mut failure: Failure, url: &Url) -> Failure {
    if let Some(first) = failure.evidence.first_mut()
        && !first.starts_with("Get ")
    {
        *first = format!("Get \"{}\": {first}", shown(url));
    }
    failure
}

fn add(phase: &mut Option<Duration>, time: Duration) {
    *phase = Some(phase.unwrap_or_default() + time);
}

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

async fn open(net: &Net, url: &Url, fetched: &mut Fetched) -> Result<Way, Failure> {
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

fn request(
    url: &Url,
    part: Part,
    way: &Way,
    login: Option<&Login>,
) -> Result<Request<Empty<Chunk>>, Failure> {
    let target = if way.is_h2 || way.absolute.is_some() {
        let mut plain = url.clone();
        let _no_host = (plain.set_username(""), plain.set_password(None));
        plain.set_fragment(None);
        plain.to_string()
    } else {
        url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
    };
    let uri: Uri = target.parse().map_err(|error| {
        Failure::new(Label::CfgGoproxySyntax, format!("{}: {error}", shown(url)))
    })?;
    let mut builder =
        Request::get(uri).header(header::USER_AGENT, "Go-http-client/1.1 (modkeep doctor)");
    if !way.is_h2 {
        builder = builder.header(
            header::HOST,
            &url[url::Position::BeforeHost..url::Position::AfterPort],
        );
    }
    if let Part::End(bytes) = part {
        builder = builder.header(header::RANGE, format!("bytes=-{bytes}"));
    }
    if let Some(credentials) = way.absolute.as_ref().and_then(tunnel::basic) {
        builder = builder.header(header::PROXY_AUTHORIZATION, format!("Basic {credentials}"));
    }
    if let Some(login) = login {
        for (name, value) in login.headers() {
            builder = builder.header(name, value);
        }
    }
    builder
        .body(Empty::new())
        .map_err(|error| Failure::new(Label::CfgGoproxySyntax, format!("{}: {error}", shown(url))))
}
