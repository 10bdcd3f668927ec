//! Which HTTP proxy `go` uses for a URL: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`
//! (golang.org/x/net/http/httpproxy, behind net/http `ProxyFromEnvironment`).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gomod::quote;
use url::Url;

use crate::environment::Environment;
use crate::error::Error;
use crate::go_url::GoUrl;
use crate::no_proxy::{Address, NoProxy};
use crate::origin::Origin;
use crate::redact::{RedactedUrl, redact_entry};

pub use crate::proxy_variable::Variable;

/// The proxy rules of an environment.
#[derive(Clone, Debug)]
pub struct HttpProxyRules {
    http: Option<ProxyVariable>,
    https: Option<ProxyVariable>,
    no_proxy: Option<Variable>,
    no_proxy_entries: NoProxy,
    is_cgi: bool,
    auto: Option<Arc<dyn AutoProxy>>,
}

/// Something that knows the ways to servers better than the variables of the environment. `go` has no such thing.
pub trait AutoProxy: fmt::Debug + Send + Sync {
    /// The way to the server of an `http` or `https` URL; none when there is no answer, and the variables count. Whoever
    /// asks may have to wait.
    fn ask(&self, url: &Url) -> Option<AutoRoute>;
}

/// The way to a server, by the word of an [`AutoProxy`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoRoute {
    /// Straight to it.
    Direct,
    /// Through this proxy.
    Proxy(ProxyUrl),
}

/// A proxy to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUrl {
    url: RedactedUrl,
    origin: Origin,
}

/// How a proxy is spoken to. Go looks at the scheme alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP proxy, reached in the clear. Schemes Go does not know are treated alike, but have no
    /// default port.
    Http,
    /// HTTP proxy, reached over TLS.
    Https,
    /// SOCKS5. For Go, `socks5` and `socks5h` both leave name resolution to the proxy.
    Socks5,
}

/// What happens to a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// It goes through this proxy.
    Proxy(ProxyUrl),
    /// It goes straight to its host.
    Direct(DirectReason),
}

/// Why a request goes straight to its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectReason {
    /// No proxy is set for the URL's scheme.
    NoProxySet,
    /// The variable is set, but its value is no URL. Go ignores it without a word.
    MalformedVariable(Origin),
    /// `localhost` and loopback addresses are never proxied.
    Loopback,
    /// This entry of `NO_PROXY` (in lower case) matches.
    NoProxyEntry(String),
    /// Host and port of the URL cannot be told apart.
    BadAddress,
    /// A proxy auto-configuration file says so.
    AutoConfig,
}

#[derive(Clone, Debug)]
struct ProxyVariable {
    variable: Variable,
    /// None when the value is malformed.
    proxy: Option<GoUrl>,
}

impl HttpProxyRules {
    /// Takes the rules from the environment. It cannot fail: go ignores a malformed value, see
    /// [`Self::malformed`].
    pub fn from_environment(environment: &Environment) -> Self {
        let no_proxy = Variable::read(environment, "NO_PROXY", "no_proxy");
        let entries = no_proxy.as_ref().map_or("", |variable| &variable.value);
        Self {
            http: ProxyVariable::read(environment, "HTTP_PROXY", "http_proxy"),
            https: ProxyVariable::read(environment, "HTTPS_PROXY", "https_proxy"),
            no_proxy_entries: NoProxy::parse(entries),
            no_proxy,
            is_cgi: environment.non_empty("REQUEST_METHOD").is_some(),
            auto: None,
        }
    }

    /// Asks `auto` first, for all servers but those of this machine.
    #[must_use]
    pub fn with_auto(mut self, auto: Arc<dyn AutoProxy>) -> Self {
        self.auto = Some(auto);
        self
    }

    /// The proxy go uses for a request to `url`, or `None` when it goes straight to the host.
    ///
    /// # Errors
    /// [`Error::HttpProxyInCgi`] as in go; [`Error::Unreachable`] when go takes the value of the
    /// variable for a proxy, but no connection to it is possible.
    pub fn for_url(&self, url: &Url) -> Result<Option<ProxyUrl>, Error> {
        match self.route(url)? {
            Route::Proxy(proxy) => Ok(Some(proxy)),
            Route::Direct(_) => Ok(None),
        }
    }

    /// The same with the reason for going direct.
    pub fn route(&self, url: &Url) -> Result<Route, Error> {
        let host = match url.host() {
            Some(url::Host::Domain(name)) => name.to_owned(),
            Some(url::Host::Ipv4(ip)) => ip.to_string(),
            Some(url::Host::Ipv6(ip)) => ip.to_string(),
            None => String::new(),
        };
        let port = url.port().map(|port| port.to_string()).unwrap_or_default();
        if let Some(auto) = &self.auto
            && matches!(url.scheme(), "http" | "https")
            && Address::new(&host, "1").is_some_and(|address| !address.is_loopback())
        {
            match auto.ask(url) {
                Some(AutoRoute::Direct) => return Ok(Route::Direct(DirectReason::AutoConfig)),
                Some(AutoRoute::Proxy(proxy)) => return Ok(Route::Proxy(proxy)),
                None => {}
            }
        }
        self.route_to(url.scheme(), &host, &port)
    }

    /// The same for a URL taken apart by other rules than those of the `url` crate, which changes
    /// the spelling of hosts: `host` without brackets, `port` empty when there is none.
    pub fn route_to(&self, scheme: &str, host: &str, port: &str) -> Result<Route, Error> {
        let (variable, default_port) = match scheme {
            "https" => (&self.https, "443"),
            "http" => (&self.http, "80"),
            _ => return Ok(Route::Direct(DirectReason::NoProxySet)),
        };
        let Some(ProxyVariable { variable, proxy }) = variable else {
            return Ok(Route::Direct(DirectReason::NoProxySet));
        };
        let Some(proxy) = proxy else {
            return Ok(Route::Direct(DirectReason::MalformedVariable(
                variable.origin.clone(),
            )));
        };
        if scheme == "http" && self.is_cgi {
            return Err(Error::HttpProxyInCgi);
        }
        let port = if port.is_empty() { default_port } else { port };
        if let Some(reason) = self.reason_for_direct(Address::new(host, port).as_ref()) {
            return Ok(Route::Direct(reason));
        }
        let url = RedactedUrl::new(proxy.to_url()?);
        Ok(Route::Proxy(ProxyUrl {
            url,
            origin: variable.origin.clone(),
        }))
    }

    fn reason_for_direct(&self, address: Option<&Address>) -> Option<DirectReason> {
        let Some(address) = address else {
            return Some(DirectReason::BadAddress);
        };
        if address.is_loopback() {
            return Some(DirectReason::Loopback);
        }
        let entry = self.no_proxy_entries.entry_for(address)?;
        Some(DirectReason::NoProxyEntry(entry.to_owned()))
    }

    /// The variable with the proxy for `http` URLs.
    pub fn http(&self) -> Option<&Variable> {
        self.http.as_ref().map(|set| &set.variable)
    }

    /// The variable with the proxy for `https` URLs.
    pub fn https(&self) -> Option<&Variable> {
        self.https.as_ref().map(|set| &set.variable)
    }

    /// The proxies themselves, whatever is sent through them.
    pub fn proxies(&self) -> impl Iterator<Item = Url> {
        let set = [&self.http, &self.https].into_iter().flatten();
        set.filter_map(|set| set.proxy.as_ref()?.to_url().ok())
    }

    /// The variable with the hosts that are not proxied.
    pub fn no_proxy(&self) -> Option<&Variable> {
        self.no_proxy.as_ref()
    }

    /// True in a CGI process (`REQUEST_METHOD` is set), where `HTTP_PROXY` is refused.
    pub fn is_cgi(&self) -> bool {
        self.is_cgi
    }

    /// Variables whose value is no URL, each with what is wrong. Go ignores them and goes direct.
    pub fn malformed(&self) -> Vec<(Origin, Error)> {
        let set = [&self.http, &self.https].into_iter().flatten();
        set.filter_map(|set| {
            Some((
                set.variable.origin.clone(),
                parse_proxy(&set.variable.value).err()?,
            ))
        })
        .collect()
    }
}

impl ProxyVariable {
    fn read(environment: &Environment, upper: &str, lower: &str) -> Option<Self> {
        let variable = Variable::read(environment, upper, lower)?;
        let proxy = parse_proxy(&variable.value).ok();
        Some(Self { variable, proxy })
    }
}

/// A URL, or else `host[:port]` of an HTTP proxy.
fn parse_proxy(value: &str) -> Result<GoUrl, Error> {
    let as_written = match GoUrl::parse(value) {
        Ok(url) if !url.scheme().is_empty() && !url.host().is_empty() => return Ok(url),
        other => other,
    };
    if let Ok(url) = GoUrl::parse(&format!("http://{value}")) {
        return Ok(url);
    }
    as_written.map_err(|source| Error::HttpProxyAddress {
        value: quote(redact_entry(value)),
        source: Box::new(source),
    })
}

impl ProxyUrl {
    /// A proxy that the proxy auto-configuration file at `path` names.
    pub fn of_auto_config(url: RedactedUrl, path: PathBuf) -> Self {
        let origin = Origin::AutoConfig { path };
        Self { url, origin }
    }

    /// The proxy's URL, password included.
    pub fn as_url(&self) -> &Url {
        self.url.as_url()
    }

    /// The same for whoever tells by the scheme who resolves names: for Go that is the proxy after `socks5`, too, and for
    /// others only after `socks5h`.
    pub fn to_connect(&self) -> RedactedUrl {
        let rest = self.as_url().as_str().strip_prefix("socks5://");
        rest.and_then(|rest| Url::parse(&format!("socks5h://{rest}")).ok())
            .map_or_else(|| self.url.clone(), RedactedUrl::new)
    }

    /// How the proxy is spoken to.
    pub fn kind(&self) -> ProxyKind {
        match self.as_url().scheme() {
            "https" => ProxyKind::Https,
            "socks5" | "socks5h" => ProxyKind::Socks5,
            _ => ProxyKind::Http,
        }
    }

    /// The variable, or the file, that set it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn rules(pairs: Pairs<'_>) -> HttpProxyRules {
        HttpProxyRules::from_environment(&Environment::from_pairs(pairs.iter().copied()))
    }

    /// The proxy for `url`, or the reason why there is none.
    fn route(pairs: Pairs<'_>, url: &str) -> String {
        match rules(pairs).route(&Url::parse(url).unwrap()) {
            Ok(Route::Proxy(proxy)) => format!(
                "{} {:?} from {}",
                proxy.as_url(),
                proxy.kind(),
                proxy.origin()
            ),
            Ok(Route::Direct(reason)) => format!("{reason:?}"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn variables_decide_by_scheme_and_case() {
        let https = "https://m.example/x";
        let http = "http://m.example/x";
        let rows: [(Pairs<'_>, &str, &str); 11] = [
            (&[], https, "NoProxySet"),
            (&[("HTTP_PROXY", "http://p:1")], https, "NoProxySet"),
            (&[("HTTPS_PROXY", "")], https, "NoProxySet"),
            (
                &[("HTTPS_PROXY", "http://p:1")],
                https,
                "http://p:1/ Http from environment variable HTTPS_PROXY",
            ),
            (
                &[("http_proxy", "http://p:1")],
                http,
                "http://p:1/ Http from environment variable http_proxy",
            ),
            (
                &[
                    ("HTTPS_PROXY", "http://up:1"),
                    ("https_proxy", "http://low:1"),
                ],
                https,
                "http://up:1/ Http from environment variable HTTPS_PROXY",
            ),
            (
                &[("HTTPS_PROXY", ""), ("https_proxy", "http://low:1")],
                https,
                "http://low:1/ Http from environment variable https_proxy",
            ),
            (&[("ALL_PROXY", "http://p:1")], https, "NoProxySet"),
            (
                &[("HTTPS_PROXY", "http://p:1")],
                "ftp://m.example/x",
                "NoProxySet",
            ),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "a,.example")],
                https,
                r#"NoProxyEntry(".example")"#,
            ),
            (
                &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "")],
                "https://127.0.0.1/",
                "Loopback",
            ),
        ];
        for (pairs, url, expected) in rows {
            assert_eq!(route(pairs, url), expected, "{pairs:?} {url}");
        }
    }

    #[test]
    fn the_proxies_are_told_whatever_goes_through_them() {
        let proxies = |pairs: Pairs<'_>| -> Vec<String> {
            rules(pairs).proxies().map(String::from).collect()
        };
        assert!(proxies(&[("NO_PROXY", "*")]).is_empty());
        assert_eq!(
            proxies(&[
                ("HTTP_PROXY", "a.example:3128"),
                ("https_proxy", "socks5://b.example"),
                ("NO_PROXY", "*"),
            ]),
            ["http://a.example:3128/", "socks5://b.example"]
        );
        assert!(proxies(&[("HTTP_PROXY", "a b:3128")]).is_empty());
    }

    #[test]
    fn values_may_lack_a_scheme_and_may_be_broken() {
        let rows = [
            ("p.example:3128", "http://p.example:3128/ Http"),
            ("p", "http://p/ Http"),
            ("user:pass@p:1", "http://user:pass@p:1/ Http"),
            ("https://p", "https://p/ Https"),
            ("socks5://p:1080", "socks5://p:1080 Socks5"),
            ("socks5h://u:x@p:1080", "socks5h://u:x@p:1080 Socks5"),
            ("[::1]:3128", "http://[::1]:3128/ Http"),
            // What is no URL becomes the host and the path of one.
            ("http://a b", "http://http//a%20b Http"),
            ("a b:3128", "MalformedVariable"),
            ("http://p:1\n", "MalformedVariable"),
            ("http:///x", "http://http///x Http"),
            (
                ":3128",
                "error: no request can be sent to http://:3128: empty host",
            ),
            (
                "u:w@p:port",
                "error: no request can be sent to u:xxxxx@p:port: no Host in request URL",
            ),
        ];
        for (value, expected) in rows {
            let shown = route(&[("https_proxy", value)], "https://m.example/");
            assert!(shown.starts_with(expected), "{value}: {shown}");
        }
    }

    #[test]
    fn malformed_values_are_told_without_their_password() {
        let rules = rules(&[
            ("HTTP_PROXY", "http://u:hunter2@p:1\n"),
            ("HTTPS_PROXY", "http://u:hunter2@p:x"),
        ]);
        let malformed = rules.malformed();
        let [(origin, error)] = malformed.as_slice() else {
            panic!("{malformed:?}");
        };
        assert_eq!(
            origin,
            &Origin::Environment {
                name: "HTTP_PROXY".to_owned()
            }
        );
        let expected = "invalid proxy address \"http://xxxxx@p:1\\n\": parse \"http://xxxxx@p:1\\n\": \
                        net/url: invalid control character in URL";
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{rules:?}").contains("hunter2"));
        let proxy = rules
            .for_url(&Url::parse("https://m.example").unwrap())
            .unwrap();
        assert!(!format!("{proxy:?}").contains("hunter2"));
    }

    #[test]
    fn cgi_processes_refuse_the_http_proxy_only() {
        let pairs = [
            ("HTTP_PROXY", "http://p:1"),
            ("HTTPS_PROXY", "http://p:1"),
            ("REQUEST_METHOD", "GET"),
        ];
        assert!(
            route(&pairs, "http://m.example/")
                .starts_with("error: refusing to use HTTP_PROXY value in CGI")
        );
        assert!(route(&pairs, "http://localhost/").starts_with("error: refusing"));
        assert!(route(&pairs, "https://m.example/").starts_with("http://p:1/"));
        assert!(rules(&pairs).is_cgi());
    }

    #[derive(Debug)]
    struct Knows(&'static str);

    impl AutoProxy for Knows {
        fn ask(&self, url: &Url) -> Option<AutoRoute> {
            match url.host_str()? {
                "direct.example" => Some(AutoRoute::Direct),
                "silent.example" => None,
                _ => {
                    let url = RedactedUrl::new(Url::parse(self.0).unwrap());
                    let proxy = ProxyUrl::of_auto_config(url, "/corp.pac".into());
                    Some(AutoRoute::Proxy(proxy))
                }
            }
        }
    }

    #[test]
    fn what_knows_better_than_the_variables_comes_first() {
        let rules = rules(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "m.example")])
            .with_auto(Arc::new(Knows("http://auto:1")));
        let route = |url: &str| match rules.route(&Url::parse(url).unwrap()).unwrap() {
            Route::Proxy(proxy) => format!("{proxy} from {}", proxy.origin()),
            Route::Direct(reason) => format!("{reason:?}"),
        };
        for (url, expected) in [
            ("https://m.example/x", "http://auto:1 from /corp.pac"),
            ("http://m.example/x", "http://auto:1 from /corp.pac"),
            ("https://direct.example/x", "AutoConfig"),
            (
                "https://silent.example/x",
                "http://p:1 from environment variable HTTPS_PROXY",
            ),
            ("http://silent.example/x", "NoProxySet"),
            ("ssh://m.example/x", "NoProxySet"),
            ("https://localhost/x", "Loopback"),
            ("https://127.0.0.1/x", "Loopback"),
            ("https://[::1]/x", "Loopback"),
        ] {
            let found = route(url).replace("1/ from", "1 from");
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn the_shadowed_variable_is_told() {
        let rules = rules(&[
            ("NO_PROXY", "a"),
            ("no_proxy", "b"),
            ("http_proxy", "http://p:1"),
        ]);
        let no_proxy = rules.no_proxy().unwrap();
        assert_eq!(no_proxy.value, "a");
        assert_eq!(no_proxy.shadowed.as_ref().unwrap().value, "b");
        assert_eq!(
            rules.http().unwrap().origin.to_string(),
            "environment variable http_proxy"
        );
        assert!(rules.https().is_none());
    }
}
