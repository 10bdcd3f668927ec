//! How servers are reached: what was configured for which modules, and what holds for all others.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use goenv::RedactedUrl;
use goenv::go_url::GoUrl;
use goenv::http_proxy::HttpProxyRules;
use gomod::glob::match_prefix_patterns;
use url::Url;

use crate::client::ClientKey;
use crate::discovery::Trust;
use crate::keyring::{Attempt, Keyring};
use crate::options::{ClientCertificate, Credentials, RemoteOptions, SshOptions};
use crate::outbound::{Outbound, Refused};

/// What pages are told about who reads them.
const AGENT: &str = concat!("modkeep/", env!("CARGO_PKG_VERSION"));

/// What was configured for the modules of one pattern.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// A glob for the beginnings of import paths, as in GOPRIVATE.
    pub pattern: String,
    /// Where credentials for https come from.
    pub keyring: Option<Arc<Keyring>>,
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Certificate to show to the server.
    pub client_certificate: Option<ClientCertificate>,
    /// The HTTP or SOCKS proxy; without it the environment decides.
    pub proxy: Option<RouteProxy>,
    /// Beginnings of addresses, and what stands in their place; the longest counts.
    pub instead_of: Vec<(String, String)>,
    /// For ssh.
    pub ssh: SshOptions,
    /// Whether its addresses may be directories of this machine.
    pub allow_file: bool,
}

/// How the servers of one route are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteProxy {
    /// Through no proxy, whatever the environment says.
    Direct,
    /// Through this one.
    Url(RedactedUrl),
}

/// All routes, and what holds where there is none.
#[derive(Debug)]
pub struct Routes {
    /// The first that matches counts.
    pub routes: Vec<Route>,
    /// Where credentials for all other servers come from.
    pub keyring: Option<Arc<Keyring>>,
    /// Which proxy leads where.
    pub proxies: HttpProxyRules,
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Which addresses may be reached.
    pub outbound: Arc<Outbound>,
    clients: Mutex<HashMap<ClientKey, reqwest::Client>>,
}

impl Routes {
    /// Routes for `routes`, and nothing for anybody else.
    pub fn new(routes: Vec<Route>, proxies: HttpProxyRules, outbound: Outbound) -> Self {
        Self {
            routes,
            keyring: None,
            proxies,
            ca_file: None,
            outbound: Arc::new(outbound),
            clients: Mutex::default(),
        }
    }

    /// The route of an import path.
    fn route(&self, path: &str) -> Option<&Route> {
        self.routes
            .iter()
            .find(|route| match_prefix_patterns(&route.pattern, path))
    }

    /// How the repository at `url`, whose root has the import path `root`, is reached.
    pub fn options(&self, url: &str, root: &str) -> RemoteOptions {
        let route = self.route(root);
        let instead = route.and_then(|route| rewritten(url, &route.instead_of));
        let address = instead.as_deref().unwrap_or(url);
        let proxy = self.proxy_of(route, address);
        let host =
            GoUrl::parse(address).map_or_else(|_| String::new(), |url| url.hostname().to_owned());
        RemoteOptions {
            keyring: route
                .and_then(|route| route.keyring.clone())
                .or_else(|| self.keyring.clone()),
            ca_file: route
                .and_then(|route| route.ca_file.clone())
                .or_else(|| self.ca_file.clone()),
            client_certificate: route.and_then(|route| route.client_certificate.clone()),
            ssh: route.map(|route| route.ssh.clone()).unwrap_or_default(),
            allow_file: route.is_some_and(|route| route.allow_file),
            // What the operator has named needs no judgement.
            outbound: (route.is_none() && !self.outbound.trusts(&host))
                .then(|| Arc::clone(&self.outbound)),
            proxy,
            url: instead,
            credentials: None,
        }
    }

    fn proxy_of(&self, route: Option<&Route>, address: &str) -> Option<RedactedUrl> {
        match route.and_then(|route| route.proxy.as_ref()) {
            Some(RouteProxy::Direct) => None,
            Some(RouteProxy::Url(url)) => Some(url.clone()),
            None => {
                let url = Url::parse(address).ok()?;
                let proxy = self.proxies.for_url(&url).ok().flatten()?;
                Some(proxy.to_connect())
            }
        }
    }

    /// A client for a page, with the credentials for it.
    pub(crate) async fn way(
        &self,
        url: &Url,
        trust: Trust,
        attempt: Attempt,
    ) -> Result<(reqwest::Client, Option<Credentials>), String> {
        let path = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        let route = self.route(path.trim_end_matches('/'));
        let proxy = self.proxy_of(route, url.as_str());
        let address = match url.host() {
            Some(url::Host::Ipv4(v4)) => Some(v4.into()),
            Some(url::Host::Ipv6(v6)) => Some(v6.into()),
            Some(url::Host::Domain(_)) | None => None,
        };
        if let Some(address) = address {
            // A proxy may see networks that this machine does not, and be asked into them just as well.
            let host = url.host_str().unwrap_or_default();
            if !self.outbound.permits(host, address) {
                return Err(Refused(host.to_owned()).to_string());
            }
        }
        let key = ClientKey {
            ca_file: route
                .and_then(|route| route.ca_file.clone())
                .or_else(|| self.ca_file.clone()),
            client_certificate: route
                .and_then(|route| route.client_certificate.as_ref())
                .map(|pair| (pair.certificate.clone(), pair.key.clone())),
            proxy: proxy.map(RedactedUrl::into_url),
            unverified: trust == Trust::Unverified,
        };
        let client = self.client(key)?;
        let keyring = route
            .and_then(|route| route.keyring.as_ref())
            .or(self.keyring.as_ref());
        let credentials = match keyring {
            Some(keyring) if url.scheme() == "https" => keyring
                .credentials(url.as_str(), attempt)
                .await
                .map_err(|error| error.to_string())?,
            _ => None,
        };
        Ok((client, credentials))
    }

    fn client(&self, key: ClientKey) -> Result<reqwest::Client, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = key.build(AGENT, Some(&self.outbound))?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn rewritten(url: &str, instead_of: &[(String, String)]) -> Option<String> {
    let (old, new) = instead_of
        .iter()
        .filter(|(old, _)| url.starts_with(old.as_str()))
        .max_by_key(|(old, _)| old.len())?;
    Some(format!("{new}{}", url.get(old.len()..)?))
}

#[cfg(test)]
mod tests {
    use goenv::Environment;

    use super::*;

    fn routes(environment: &[(&str, &str)]) -> Routes {
        let route = Route {
            pattern: "git.corp.example/team".to_owned(),
            instead_of: vec![
                (
                    "https://git.corp.example/".to_owned(),
                    "ssh://git@a/".to_owned(),
                ),
                (
                    "https://git.corp.example/team/".to_owned(),
                    "ssh://git@b/".to_owned(),
                ),
            ],
            ..Route::default()
        };
        let environment = Environment::from_pairs(environment.iter().copied());
        Routes::new(
            vec![route],
            HttpProxyRules::from_environment(&environment),
            Outbound::default().trusting(["inside.example".to_owned()]),
        )
    }

    #[test]
    fn the_longest_beginning_is_replaced() {
        let routes = routes(&[]);
        let options = routes.options("https://git.corp.example/team/x", "git.corp.example/team/x");
        assert_eq!(options.url.as_deref(), Some("ssh://git@b/x"));
        assert!(options.outbound.is_none(), "the operator named it");
        let other = routes.options(
            "https://git.corp.example/team/x",
            "git.corp.example/teams/x",
        );
        assert_eq!(other.url, None);
        assert!(other.outbound.is_some());
        assert!(
            routes
                .options("https://inside.example/x", "x.example/x")
                .outbound
                .is_none()
        );
    }

    #[test]
    fn proxies_of_the_environment_are_used_as_go_uses_them() {
        let routes = routes(&[
            ("HTTPS_PROXY", "socks5://me:pw@proxy.example:1080"),
            ("NO_PROXY", ".direct.example"),
        ]);
        let proxy = |url: &str| routes.options(url, "x.example/x").proxy;
        let found = proxy("https://a.example/x").unwrap();
        assert_eq!(found.as_url().scheme(), "socks5h");
        assert!(!format!("{found:?}").contains("pw@"));
        assert_eq!(proxy("https://x.direct.example/x"), None);
        assert_eq!(proxy("ssh://git@a.example/x"), None);
    }
}
