//! Access to a server over HTTP without a program in between, under the same rules.

use std::sync::Arc;

use url::Url;

use super::Runner;
use super::access::check;
use super::messages::{Circumstances, classify};
use crate::client::ClientKey;
use crate::discovery::headers;
use crate::error::{Blocked, Error, ToolFault};
use crate::keyring::Attempt;
use crate::options::Remote;
use crate::outbound::{Outbound, Refused};

/// A checked address, with what its server is shown.
pub(crate) struct HttpAccess {
    pub(crate) url: Url,
    pub(crate) client: ClientKey,
    /// Which addresses may be connected to.
    pub(crate) outbound: Option<Arc<Outbound>>,
    /// Credentials, for this server only.
    pub(crate) headers: Vec<(String, String)>,
    authenticated: bool,
}

impl Runner {
    /// Access to the server of `remote`; `None` where it is not reached over HTTP.
    pub(crate) async fn http_access(
        &self,
        remote: &Remote,
        attempt: Attempt,
    ) -> Result<Option<HttpAccess>, Error> {
        let address = remote.fetch_url();
        let parts = check(address, remote)?;
        let Some(url) = Url::parse(address)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
        else {
            return Ok(None);
        };
        // A query or a fragment means something to git only.
        if url.query().is_some() || url.fragment().is_some() {
            return Ok(None);
        }
        let options = &remote.options;
        let host = parts.hostname();
        if let (Some(outbound), Ok(literal)) = (&options.outbound, host.parse::<std::net::IpAddr>())
            && !outbound.permits(host, literal)
        {
            return Err(Blocked::Destination(Refused(host.to_owned())).into());
        }
        let credentials = match &options.keyring {
            _ if url.scheme() != "https" => None,
            Some(keyring) => keyring.credentials(address, attempt).await?,
            None => options.credentials.clone(),
        };
        let certificate = options.client_certificate.as_ref();
        Ok(Some(HttpAccess {
            url,
            client: ClientKey {
                ca_file: options.ca_file.clone(),
                client_certificate: certificate
                    .map(|pair| (pair.certificate.clone(), pair.key.clone())),
                proxy: options.proxy.as_ref().map(|proxy| proxy.as_url().clone()),
                unverified: false,
            },
            outbound: options.outbound.clone(),
            authenticated: credentials.is_some() || certificate.is_some(),
            headers: credentials.iter().flat_map(headers).collect(),
        }))
    }
}

/// The error of a server that answers `status`, as `git` would have it.
pub(crate) fn refused(what: &str, access: &HttpAccess, status: u16) -> Error {
    let url = &access.url;
    let stderr = if status == 404 {
        format!("fatal: repository '{url}' not found")
    } else {
        format!("fatal: unable to access '{url}': The requested URL returned error: {status}")
    };
    let circumstances = Circumstances {
        network: true,
        authenticated: access.authenticated,
    };
    ToolFault::Failed {
        what: what.to_owned(),
        status: format!("HTTP status {status}"),
        label: classify(&stderr, circumstances),
        stderr,
    }
    .into()
}
