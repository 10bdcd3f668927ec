//! [`Web`] with reqwest.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fault::Label;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::header::LOCATION;
use url::Url;

use crate::discovery::web::{MAX_PAGE, Page, Trust, Web, WebError};
use crate::keyring::Attempt;
use crate::options::Credentials;
use crate::outbound::{LookupFault, Refused};
use crate::routes::Routes;

/// How far redirects may lead, as in Go's HTTP client.
const MAX_REDIRECTS: usize = 10;

/// How long one page may take, redirects included.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Which credentials go to a URL. Asked for https URLs only, and again after each redirect.
pub type CredentialSource = Arc<dyn Fn(&Url) -> Option<Credentials> + Send + Sync>;

/// [`Web`] with clients of the caller. They must not follow redirects by themselves
/// (`redirect::Policy::none()`): each hop is judged here.
#[derive(Clone)]
pub struct HttpWeb {
    verifying: Option<reqwest::Client>,
    unverifying: Option<reqwest::Client>,
    credentials: Option<CredentialSource>,
    routes: Option<Arc<Routes>>,
}

impl HttpWeb {
    /// Uses `client` for all pages.
    pub fn new(client: reqwest::Client) -> Self {
        Self {
            verifying: Some(client),
            unverifying: None,
            credentials: None,
            routes: None,
        }
    }

    /// Uses the clients, credentials and rules of `routes`.
    pub fn routed(routes: Arc<Routes>) -> Self {
        Self {
            verifying: None,
            unverifying: None,
            credentials: None,
            routes: Some(routes),
        }
    }

    /// Uses `client`, which accepts any certificate, for modules that GOINSECURE names. Without it such pages need a
    /// valid certificate too, or plain http.
    #[must_use]
    pub fn unverifying(mut self, client: reqwest::Client) -> Self {
        self.unverifying = Some(client);
        self
    }

    /// Asks `source` for credentials.
    #[must_use]
    pub fn credentials(mut self, source: CredentialSource) -> Self {
        self.credentials = Some(source);
        self
    }

    async fn follow(&self, url: &Url, trust: Trust) -> Result<Page, WebError> {
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut response = self.send(&at, trust).await?;
            // As go does: only whoever is refused asks for more credentials.
            if response.status().is_client_error() && self.may_ask_again(&at, trust).await {
                response = self.send(&at, trust).await?;
            }
            let status = response.status();
            let next = response
                .headers()
                .get(LOCATION)
                .filter(|_| status.is_redirection())
                .and_then(|location| at.join(location.to_str().ok()?).ok());
            match next {
                Some(next) => at = checked_hop(&at, next)?,
                None => {
                    return Ok(Page {
                        url: at,
                        status: status.as_u16(),
                        body: beginning(response).await?,
                    });
                }
            }
        }
        Err(WebError {
            label: Label::GitTransferBroken,
            detail: format!("stopped after {MAX_REDIRECTS} redirects"),
        })
    }

    /// Whether there are credentials that might do where none, or others, did not.
    async fn may_ask_again(&self, url: &Url, trust: Trust) -> bool {
        let Some(routes) = self.routes.as_ref().filter(|_| url.scheme() == "https") else {
            return false;
        };
        let way = routes.way(url, trust, Attempt::Refused).await;
        way.is_ok_and(|(_, credentials)| credentials.is_some())
    }

    async fn send(&self, at: &Url, trust: Trust) -> Result<reqwest::Response, WebError> {
        let (client, credentials) = match (&self.routes, trust, &self.unverifying) {
            (Some(routes), ..) => {
                let way = routes.way(at, trust, Attempt::First).await;
                let (client, credentials) = way.map_err(|detail| WebError {
                    label: Label::DnsPoisoned,
                    detail,
                })?;
                (client, credentials)
            }
            (None, Trust::Unverified, Some(client)) => (client.clone(), self.credentials_for(at)),
            (None, ..) => {
                let client = self.verifying.clone().ok_or_else(|| WebError {
                    label: Label::OsResourceLimit,
                    detail: "there is no client".to_owned(),
                })?;
                (client, self.credentials_for(at))
            }
        };
        let mut request = client.get(at.clone());
        for (name, value) in credentials.iter().flat_map(headers) {
            request = request.header(name, value);
        }
        request.send().await.map_err(|error| describe(&error))
    }

    fn credentials_for(&self, url: &Url) -> Option<Credentials> {
        let source = self.credentials.as_ref()?;
        (url.scheme() == "https").then(|| source(url)).flatten()
    }
}

/// The headers that show credentials to a server.
pub(crate) fn headers(credentials: &Credentials) -> Vec<(String, String)> {
    let value = match credentials {
        Credentials::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose());
            format!("Basic {}", STANDARD.encode(pair))
        }
        Credentials::Bearer(token) => format!("Bearer {}", token.expose()),
        Credentials::Headers(headers) => {
            let exposed = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()));
            return exposed.collect();
        }
    };
    vec![("Authorization".to_owned(), value)]
}

impl Web for HttpWeb {
    fn get<'a>(&'a self, url: &'a Url, trust: Trust) -> BoxFuture<'a, Result<Page, WebError>> {
        async move {
            tokio::time::timeout(TIME_LIMIT, self.follow(url, trust))
                .await
                .unwrap_or_else(|_| {
                    Err(WebError {
                        label: Label::TcpTimeout,
                        detail: format!("no answer within {} s", TIME_LIMIT.as_secs()),
                    })
                })
        }
        .boxed()
    }
}

fn checked_hop(from: &Url, mut to: Url) -> Result<Url, WebError> {
    let fine = match to.scheme() {
        "https" => true,
        "http" => from.scheme() == "http",
        _ => false,
    };
    if !fine {
        let scheme = to.scheme();
        return Err(refused(format!(
            "redirected from {} to a {scheme} URL, which is refused",
            from.scheme()
        )));
    }
    // A redirect cannot make this client show a password to anyone.
    let stripped = to.set_username("").and_then(|()| to.set_password(None));
    if stripped.is_err() {
        return Err(refused("redirected to a URL without host".to_owned()));
    }
    Ok(to)
}

fn refused(detail: String) -> WebError {
    WebError {
        label: Label::VcsInsecureHttp,
        detail,
    }
}

async fn beginning(mut response: reqwest::Response) -> Result<Vec<u8>, WebError> {
    let mut body = Vec::new();
    while body.len() < MAX_PAGE {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(describe(&error)),
        }
    }
    body.truncate(MAX_PAGE);
    Ok(body)
}

fn describe(error: &reqwest::Error) -> WebError {
    let mut innermost: &(dyn StdError + 'static) = error;
    let mut io_kind = None;
    let mut tls = None;
    let mut refused = false;
    let mut lookup = None;
    loop {
        refused |= innermost.is::<Refused>();
        lookup = lookup.or_else(|| innermost.downcast_ref::<LookupFault>());
        if let Some(io) = innermost.downcast_ref::<io::Error>() {
            io_kind = Some(io.kind());
        }
        tls = tls.or_else(|| innermost.downcast_ref::<rustls::Error>());
        let wrapped = innermost
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        match wrapped {
            Some(inner) => innermost = inner,
            None => match innermost.source() {
                Some(inner) => innermost = inner,
                None => break,
            },
        }
    }
    let text = innermost.to_string();
    let looked_up = lookup.map(|fault| match fault.label {
        Label::DnsNxdomain => Label::ModImportHostGone,
        label => label,
    });
    let label = match (tls, io_kind) {
        _ if refused => Label::DnsPoisoned,
        (Some(rustls::Error::InvalidCertificate(reason)), _) => certificate_label(reason),
        (Some(_), _) => Label::TlsPlainHttp,
        (None, _) if error.is_timeout() => Label::TcpTimeout,
        (None, _) if text.contains("lookup address") || text.contains("dns") => {
            if text.contains("Temporary") {
                Label::DnsServfail
            } else {
                Label::ModImportHostGone
            }
        }
        (None, Some(io::ErrorKind::ConnectionRefused)) => Label::TcpRefused,
        (None, Some(io::ErrorKind::TimedOut)) => Label::TcpTimeout,
        (None, Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable)) => {
            Label::TcpNoRoute
        }
        (None, _) => Label::TcpReset,
    };
    WebError {
        label: looked_up.unwrap_or(label),
        detail: text,
    }
}

fn certificate_label(reason: &rustls::CertificateError) -> Label {
    use rustls::CertificateError as Certificate;
    match reason {
        Certificate::Expired | Certificate::ExpiredContext { .. } => Label::TlsCertExpired,
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => Label::TlsClockSkew,
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
            Label::TlsHostnameMismatch
        }
        _ => Label::TlsUnknownCaMitm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use goenv::netrc::Secret;

    #[test]
    fn a_redirect_never_weakens_the_connection() {
        let hop =
            |from: &str, to: &str| checked_hop(&Url::parse(from).unwrap(), Url::parse(to).unwrap());
        assert!(hop("https://a.example/", "https://b.example/").is_ok());
        assert!(hop("http://a.example/", "http://b.example/").is_ok());
        assert!(hop("http://a.example/", "https://b.example/").is_ok());
        assert!(hop("https://a.example/", "http://a.example/").is_err());
        assert!(hop("https://a.example/", "file:///etc/passwd").is_err());
        let stripped = hop("https://a.example/", "https://u:p@b.example/").unwrap();
        assert_eq!(stripped.as_str(), "https://b.example/");
    }

    #[test]
    fn credentials_become_headers() {
        let basic = Credentials::Basic {
            username: "user".to_owned(),
            password: Secret::new("pass"),
        };
        let one = |value: &str| vec![("Authorization".to_owned(), value.to_owned())];
        assert_eq!(headers(&basic), one("Basic dXNlcjpwYXNz"));
        let bearer = Credentials::Bearer(Secret::new("t"));
        assert_eq!(headers(&bearer), one("Bearer t"));
        let other = Credentials::Headers(vec![("Private-Token".to_owned(), Secret::new("t"))]);
        let expected = [("Private-Token".to_owned(), "t".to_owned())];
        assert_eq!(headers(&other), expected);
    }
}
