use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use goenv::http_proxy::HttpProxyRules;
use reqwest::redirect;
use url::{Host, Url};

use crate::connect::ConnectLimit;
use crate::guard::{GuardedResolver, is_link_local};

/// How many requests may follow from one, as in the `go` command (checkRedirect in cmd/go/internal/web/http.go).
const MAX_REDIRECTS: usize = 10;

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To accept a connection, TLS included. It is doubled, up to eight times as much, while none comes about.
    pub connect: Duration,
    /// From the request to the response's head.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// The least number of bytes of a body in each `idle` of waiting.
    pub low_speed: u64,
    /// For the whole of a small file (anything but a zip).
    pub small: Duration,
    /// For a request to a chain: to the end of a small file, or the first bytes of a zip, from whatever upstream and
    /// after however many tries.
    pub deadline: Duration,
    /// From the first of the failures in a row that show an upstream to be out of reach: for so long, requests that
    /// nobody else can answer wait for it to come back. Those that come later are told at once.
    pub outage: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(10),
            low_speed: 8 << 10,
            small: Duration::from_mins(1),
            deadline: Duration::from_mins(1),
            outage: Duration::from_secs(10),
        }
    }
}

/// What the clients of a chain's upstreams have in common.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) limits: Limits,
    pub(crate) proxies: HttpProxyRules,
    pub(crate) resolver: GuardedResolver,
}

/// The HTTP client of one upstream, with connections of its own. Made at first use: reading the system's certificates
/// takes longer than everything else at start.
#[derive(Debug)]
pub(crate) struct Client {
    network: Network,
    inner: OnceLock<Result<reqwest::Client, String>>,
}

impl Client {
    /// For one upstream, at this URL.
    pub(crate) fn new(network: &Network, base: &Url) -> Self {
        let proxy = network.proxies.for_url(base).ok().flatten();
        let resolver = match &proxy {
            Some(proxy) => network.resolver.towards(proxy.as_url()),
            None => network.resolver.towards(base),
        };
        Self {
            network: Network {
                resolver,
                ..network.clone()
            },
            inner: OnceLock::new(),
        }
    }

    /// The client, or why there can be none.
    pub(crate) async fn get(&self) -> Result<&reqwest::Client, &str> {
        if self.inner.get().is_none() {
            // Reads files: the certificates of the system.
            tokio::task::yield_now().await;
        }
        self.inner
            .get_or_init(|| self.build().map_err(|error| error.to_string()))
            .as_ref()
            .map_err(String::as_str)
    }

    /// Whether requests for `url` go through an HTTP proxy.
    pub(crate) fn uses_proxy(&self, url: &Url) -> bool {
        matches!(self.network.proxies.for_url(url), Ok(Some(_)))
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.network.limits
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn build(&self) -> Result<reqwest::Client, reqwest::Error> {
        let proxies = self.network.proxies.clone();
        let limits = self.network.limits;
        let resolver = self.network.resolver.clone();
        reqwest::Client::builder()
            .user_agent(concat!("modkeep/", env!("CARGO_PKG_VERSION")))
            .connector_layer(ConnectLimit::new(limits.connect, resolver.clone()))
            // Below the usual keep-alive limits of servers, so that theirs do not end a connection just as it is used.
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_keepalive(Duration::from_secs(30))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .http2_initial_stream_window_size(1 << 20)
            .http2_initial_connection_window_size(4 << 20)
            .referer(false)
            .redirect(redirect::Policy::custom(move |attempt| {
                judge_redirect(attempt, &resolver)
            }))
            .dns_resolver(self.network.resolver.clone())
            .no_proxy()
            .proxy(reqwest::Proxy::custom(move |url| {
                // Malformed proxy settings are refused when the chain is made.
                proxies
                    .for_url(url)
                    .ok()
                    .flatten()
                    .map(|proxy| proxy.to_connect().into_url())
            }))
            .build()
    }
}

/// Go's rules for redirects (at most ten, never from https to http), and no way into networks that only this machine
/// can see.
fn judge_redirect(attempt: redirect::Attempt<'_>, resolver: &GuardedResolver) -> redirect::Action {
    let refusal = redirect_refusal(attempt.previous(), attempt.url(), resolver);
    match refusal {
        Some(reason) => attempt.error(reason),
        None => attempt.follow(),
    }
}

fn redirect_refusal(previous: &[Url], next: &Url, resolver: &GuardedResolver) -> Option<String> {
    if previous.len() >= MAX_REDIRECTS {
        return Some(format!("stopped after {MAX_REDIRECTS} redirects"));
    }
    match next.scheme() {
        "https" => {}
        "http" if previous.iter().all(|url| url.scheme() == "http") => {}
        "http" => {
            return Some(
                "redirected from a secure URL to an insecure one, which is refused".to_owned(),
            );
        }
        other => return Some(format!("redirected to a {other}: URL, which is refused")),
    }
    let address = match next.host() {
        Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
        Some(Host::Domain(_)) | None => return None,
    };
    if is_link_local(address) {
        return Some(format!(
            "redirected to the link-local address {address}, which is refused"
        ));
    }
    let host = next.host_str().unwrap_or_default();
    (!resolver.permits(host, address))
        .then(|| format!("redirected to the address {address}, which is refused"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn resolver() -> GuardedResolver {
        GuardedResolver::of_system(HashSet::new())
    }

    #[test]
    fn a_redirect_goes_where_go_would_go_and_not_into_this_machine() {
        let resolver = resolver();
        let table = [
            ("http://a.example/", "http://b.example/x", true),
            ("https://a.example/", "https://b.example/x", true),
            ("http://a.example/", "https://b.example/x", true),
            ("http://a.example/", "http://127.0.0.1:3000/x", true),
            ("https://a.example/", "http://a.example/x", false),
            ("https://a.example/", "file:///etc/passwd", false),
            ("https://a.example/", "ftp://a.example/x", false),
            (
                "http://a.example/",
                "http://169.254.169.254/latest/meta-data",
                false,
            ),
            ("http://a.example/", "http://[fe80::1]/x", false),
            (
                "http://a.example/",
                "http://[::ffff:169.254.169.254]/x",
                false,
            ),
            ("http://a.example/", "http://[64:ff9b::a9fe:a9fe]/x", false),
            ("http://a.example/", "http://0.0.0.0/x", false),
        ];
        for (from, to, allowed) in table {
            let refusal =
                redirect_refusal(&[from.parse().unwrap()], &to.parse().unwrap(), &resolver);
            assert_eq!(refusal.is_none(), allowed, "{from} -> {to}: {refusal:?}");
        }
    }

    #[test]
    fn the_eleventh_request_is_not_made() {
        let resolver = resolver();
        let url: Url = "http://a.example/".parse().unwrap();
        assert_eq!(
            redirect_refusal(&vec![url.clone(); 9], &url, &resolver),
            None
        );
        assert!(redirect_refusal(&vec![url.clone(); 10], &url, &resolver).is_some());
    }
}
