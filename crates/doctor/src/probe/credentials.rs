//! What `go` sends to log in at https servers: what stands in the URL, else what GOAUTH says. Nothing of it is ever
//! shown; told is where it came from and whether the server took it.

use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goenv::netrc::Netrc;
use goenv::{Environment, GoEnv, Key};
use tokio::time::timeout;
use url::Url;
use vcs::{Attempt, CredentialSource, GoAuth, Keyring};

use super::tunnel;

/// Where the credentials of requests come from.
#[derive(Debug)]
pub(crate) struct Credentials {
    method: Method,
}

#[derive(Debug)]
enum Method {
    /// `off`, or a value that go refuses.
    Off,
    Netrc(Netrc),
    /// git, or a program, possibly beside the netrc file.
    Programs(Box<Keyring>),
}

/// What is sent, and whose it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Where it comes from: `URL`, `netrc`, `GOAUTH`.
    pub(crate) from: &'static str,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl Login {
    fn basic(pair: &str, from: &'static str) -> Option<Self> {
        Self::new(&format!("Basic {pair}"), from)
    }

    fn new(value: &str, from: &'static str) -> Option<Self> {
        Self::of_headers([("authorization", value)], from)
    }

    fn of_headers<'a>(
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        from: &'static str,
    ) -> Option<Self> {
        let header = |(name, value): (&str, &str)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        };
        let headers = headers.into_iter().map(header).collect::<Option<_>>()?;
        Some(Self { headers, from })
    }

    /// What is sent: `Authorization`, or the headers that a program of GOAUTH says.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }
}

impl Credentials {
    /// By the settings of `go`.
    pub(crate) fn of(environment: &Environment) -> Self {
        let go = GoEnv::load(environment);
        let setting = go.value(Key::GOAUTH);
        let method = match GoAuth::parse(setting) {
            // Its default, where this release of go has none yet.
            _ if matches!(setting.trim(), "" | "netrc") => {
                Method::Netrc(Netrc::load(environment).unwrap_or_default())
            }
            Ok(_) if setting.trim() == "off" => Method::Off,
            Ok(goauth) => {
                let source = CredentialSource::GoAuth(goauth);
                Method::Programs(Box::new(Keyring::new(source, "", environment.clone())))
            }
            Err(_) => Method::Off,
        };
        Self { method }
    }

    /// What is sent with the first request for `url`.
    pub(crate) async fn first(&self, url: &Url, patience: Duration) -> Option<Login> {
        if let Some(pair) = tunnel::basic(url) {
            return Login::basic(&pair, "URL");
        }
        match &self.method {
            Method::Off => None,
            Method::Netrc(netrc) => {
                let found = netrc.lookup(url)?;
                let pair = format!("{}:{}", found.login, found.password.expose());
                Login::basic(&STANDARD.encode(pair), "netrc")
            }
            Method::Programs(keyring) => ask(keyring, url, Attempt::First, patience).await,
        }
    }

    /// What is sent after the server has refused the request, if that is anything else.
    pub(crate) async fn again(
        &self,
        url: &Url,
        before: Option<&Login>,
        patience: Duration,
    ) -> Option<Login> {
        let Method::Programs(keyring) = &self.method else {
            return None;
        };
        if tunnel::basic(url).is_some() {
            return None;
        }
        let login = ask(keyring, url, Attempt::Refused, patience).await;
        login.filter(|login| before != Some(login))
    }

    /// Why a program of GOAUTH brought nothing, in words without its output.
    pub(crate) async fn trouble(&self) -> Option<String> {
        match &self.method {
            Method::Programs(keyring) => keyring.trouble().await,
            Method::Off | Method::Netrc(_) => None,
        }
    }
}

async fn ask(keyring: &Keyring, url: &Url, attempt: Attempt, patience: Duration) -> Option<Login> {
    if url.scheme() != "https" {
        return None;
    }
    let mut plain = url.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    let asked = timeout(patience, keyring.credentials(plain.as_str(), attempt)).await;
    let found = asked.ok()?.ok()??;
    match found {
        vcs::Credentials::Basic { username, password } => {
            let pair = format!("{username}:{}", password.expose());
            Login::basic(&STANDARD.encode(pair), "GOAUTH")
        }
        vcs::Credentials::Bearer(token) => {
            Login::new(&format!("Bearer {}", token.expose()), "GOAUTH")
        }
        vcs::Credentials::Headers(headers) => Login::of_headers(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.expose())),
            "GOAUTH",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(pairs: &[(&str, &str)]) -> Credentials {
        let mut all = vec![("GOENV", "off"), ("PATH", "/usr/bin:/bin")];
        all.extend(pairs);
        Credentials::of(&Environment::from_pairs(all))
    }

    fn from(login: Option<&Login>) -> Option<&'static str> {
        login.map(|login| login.from)
    }

    #[tokio::test]
    async fn what_goauth_says_is_sent_and_never_shown() {
        let patience = Duration::from_secs(30);
        let directory = tempfile::tempdir().unwrap();
        let netrc = directory.path().join("netrc");
        std::fs::write(&netrc, "machine a.test login me password hunter2\n").unwrap();
        let netrc = netrc.to_str().unwrap();
        let url = Url::parse("https://a.test/x").unwrap();
        let by_netrc = credentials(&[("NETRC", netrc)]);
        let login = by_netrc.first(&url, patience).await;
        assert_eq!(from(login.as_ref()), Some("netrc"));
        assert!(!format!("{login:?}{by_netrc:?}").contains("hunter2"));
        let with_user = Url::parse("https://u:p@a.test/x").unwrap();
        let login = by_netrc.first(&with_user, patience).await;
        assert_eq!(from(login.as_ref()), Some("URL"));

        let off = credentials(&[("NETRC", netrc), ("GOAUTH", "off")]);
        assert_eq!(off.first(&url, patience).await, None);

        let program = directory.path().join("print");
        let printed = "https://a.test\n\nAuthorization: Bearer hunter3\n\n";
        std::fs::write(&program, printed).unwrap();
        let goauth = format!("cat {}", program.display());
        let by_program = credentials(&[("GOAUTH", &goauth)]);
        let login = by_program.first(&url, patience).await;
        assert_eq!(from(login.as_ref()), Some("GOAUTH"));
        assert_eq!(login.clone().unwrap().headers()[0].1, "Bearer hunter3");
        assert!(!format!("{login:?}{by_program:?}").contains("hunter3"));
        let elsewhere = Url::parse("https://b.test/x").unwrap();
        assert_eq!(by_program.first(&elsewhere, patience).await, None);
        let open = Url::parse("http://a.test/x").unwrap();
        assert_eq!(by_program.first(&open, patience).await, None);

        let broken = credentials(&[("GOAUTH", "false")]);
        assert_eq!(broken.first(&url, patience).await, None);
        let trouble = broken.trouble().await.unwrap();
        assert!(trouble.contains("GOAUTH command"), "{trouble}");
    }
}
