//! HTTP clients for the servers of repositories and their pages.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use url::Url;

use crate::outbound::{GuardedResolver, Outbound};

/// How long it may take to reach a server.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next question.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// What one client is told from others by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientKey {
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
    /// A certificate to show, and its key.
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) proxy: Option<Url>,
    /// Whether any certificate will do.
    pub(crate) unverified: bool,
}

impl ClientKey {
    /// A client that follows no redirects: each hop is judged by whoever uses it. It connects to no address that
    /// `outbound` refuses.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place for clients of repositories; those of GOPROXY servers have other limits"
    )]
    pub(crate) fn build(
        &self,
        agent: &str,
        outbound: Option<&Outbound>,
    ) -> Result<reqwest::Client, String> {
        let read = |file: &PathBuf| {
            std::fs::read(file).map_err(|error| format!("reading {}: {error}", file.display()))
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(agent)
            .connect_timeout(CONNECT_TIME)
            .pool_idle_timeout(IDLE_TIME)
            .referer(false)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tls_danger_accept_invalid_certs(self.unverified);
        if let Some(outbound) = outbound {
            // A proxy's own name is the operator's.
            let proxy_host = self.proxy.as_ref().and_then(|proxy| proxy.host_str());
            let outbound = outbound.clone().trusting(proxy_host.map(str::to_owned));
            builder = builder.dns_resolver(GuardedResolver(Arc::new(outbound)));
        }
        if let Some(file) = &self.ca_file {
            let bundle = reqwest::Certificate::from_pem_bundle(&read(file)?)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            builder = builder.tls_certs_only(bundle);
        }
        if let Some((certificate, private_key)) = &self.client_certificate {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(private_key)?);
            let identity = reqwest::Identity::from_pem(&pem)
                .map_err(|error| format!("{}: {error}", certificate.display()))?;
            builder = builder.identity(identity);
        }
        if let Some(proxy) = &self.proxy {
            let proxy = reqwest::Proxy::all(proxy.clone()).map_err(|error| error.to_string())?;
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|error| error.to_string())
    }
}
