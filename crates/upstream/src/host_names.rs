//! Where the hosts of others than upstreams are, by the word of the same resolvers.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use fault::Label;
use goenv::http_proxy::HttpProxyRules;

use crate::NameServers;
use crate::guard::{GuardedResolver, LookupError};
use crate::names::Names;

/// Finds out where hosts are. While the resolvers fail, names lead where they led before. Which addresses may be reached is
/// for whoever asks to judge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostNames(GuardedResolver);

/// A name that led to no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lookup {what}: {reason}")]
pub struct NoAddress {
    /// The host, and the resolver if it is that which failed.
    pub what: String,
    /// Why, in Go's words.
    pub reason: String,
    /// The class of the failure.
    pub label: Label,
}

impl From<LookupError> for NoAddress {
    fn from(error: LookupError) -> Self {
        let label = error.label();
        let (what, reason) = match error {
            LookupError::NoSuchHost(host) => (host, "no such host".to_owned()),
            LookupError::Failed(host, words) => (host, words),
            LookupError::Silent(host, resolver) => {
                (format!("{host} on {resolver}"), "i/o timeout".to_owned())
            }
            LookupError::Forbidden(host) => (host, "its addresses are refused".to_owned()),
        };
        Self {
            what,
            reason,
            label,
        }
    }
}

impl HostNames {
    /// Asks these resolvers; the hosts of HTTP proxies are asked of the system.
    pub fn new(servers: NameServers, http_proxies: HttpProxyRules) -> Self {
        let names = Names::new(servers, http_proxies);
        let resolver = GuardedResolver::new(HashSet::new(), names);
        Self(resolver.with_rule(Arc::new(|_, _| true)))
    }

    /// The addresses of `host`, at least one.
    ///
    /// # Errors
    /// When no resolver knows one, and none was known before.
    pub async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, NoAddress> {
        let found = self.0.clone().lookup(host.to_ascii_lowercase()).await?;
        Ok(found.into_iter().map(|address| address.ip()).collect())
    }
}
