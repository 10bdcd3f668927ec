use std::sync::Arc;
use std::time::Duration;

use goenv::Environment;
use goenv::goproxy::ProxyList;
use goenv::netrc::Netrc;
use upstream::{Chain, ChainOptions, Observer};

use super::{CannotDo, proxies};
use crate::config::Effective;

/// The upstreams as they are configured, with the proxies and credentials of the environment.
pub(super) fn open(
    effective: &Effective,
    environment: &Environment,
    observer: Arc<dyn Observer>,
) -> Result<Chain, CannotDo> {
    open_list(effective.chain.clone(), effective, environment, observer)
}

/// A chain of these servers, reached in the way that is configured for upstreams.
pub(super) fn open_list(
    list: ProxyList,
    effective: &Effective,
    environment: &Environment,
    observer: Arc<dyn Observer>,
) -> Result<Chain, CannotDo> {
    let netrc = Netrc::load(environment).unwrap_or_else(|error| {
        tracing::warn!(%error, "upstreams are asked without credentials from netrc");
        Netrc::default()
    });
    let options = ChainOptions {
        list,
        http_proxies: proxies::rules(effective, environment)?,
        netrc,
        names: effective.names.clone(),
        limits: effective.upstream_limits,
        first_is_authoritative: effective.first_is_authoritative,
        order: effective.upstream_order,
        probe_interval: effective.probe_interval,
        observer,
    };
    Chain::new(options).map_err(|reason| CannotDo::new(format!("upstream: {reason}")))
}

/// For a single run nobody counts what is exchanged with upstreams.
pub(super) struct Unobserved;

impl Observer for Unobserved {
    fn exchange(&self, _source: &str, _outcome: upstream::Outcome, _elapsed: Duration) {}
}
