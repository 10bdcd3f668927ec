//! From the configuration to what makes modules from repositories.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use goenv::Environment;
use goenv::netrc::Secret;
use upstream::HostNames;
use vcs::discovery::{HttpWeb, RootRule, Rules};
use vcs::{
    CredentialSource, Keyring, KnownHosts, Lookup, LookupFault, Outbound, Route, Routes,
    RunnerSettings, SshOptions, Vcs, VersionControl,
};

use super::{CannotDo, proxies};
use crate::config::{Effective, OriginRule};

/// Where below the store's directory repositories are kept.
const DIRECTORY: &str = "vcs";

/// What the depot needs, the repositories included.
pub(super) fn depot_settings(
    effective: &Effective,
    environment: &Environment,
) -> Result<depot::Settings, CannotDo> {
    Ok(depot::Settings {
        repositories: Some(open(effective, environment)?),
        ..effective.depot.clone()
    })
}

fn open(effective: &Effective, environment: &Environment) -> Result<Vcs, CannotDo> {
    let directory = effective.data.join(DIRECTORY);
    std::fs::create_dir_all(&directory)
        .map_err(|error| CannotDo::new(format!("create {}: {error}", directory.display())))?;
    let path = environment.get("PATH").unwrap_or_default();
    let routes = Arc::new(routes(effective, environment)?);
    let mut settings = vcs::Settings::new(RunnerSettings::new(path, directory));
    settings.rules = Rules {
        roots: effective.origins.iter().filter_map(root_rule).collect(),
        govcs: effective.govcs.clone(),
        private: effective.depot.private.clone(),
        insecure: effective.insecure.clone(),
        own_hosts: vec![effective.listen.to_string()],
        ..Rules::default()
    };
    settings.limits = effective.repository_limits;
    let configured = Arc::clone(&routes);
    settings.configuration = Arc::new(move |url, root| configured.options(url, root));
    Vcs::new(settings, Arc::new(HttpWeb::routed(routes))).map_err(CannotDo::new)
}

fn root_rule(rule: &OriginRule) -> Option<RootRule> {
    Some(RootRule {
        pattern: rule.pattern.clone(),
        system: VersionControl::Git,
        repository: rule.remote.clone()?,
    })
}

fn routes(effective: &Effective, environment: &Environment) -> Result<Routes, CannotDo> {
    let configured = effective
        .origins
        .iter()
        .map(|rule| route(rule, environment));
    let configured = configured.collect::<Result<Vec<_>, _>>()?;
    let proxies = proxies::rules(effective, environment)?;
    let named = effective
        .depot
        .private
        .globs()
        .chain(effective.origins.iter().map(|rule| rule.pattern.as_str()));
    let hosts: Vec<String> = named
        .filter_map(|pattern| pattern.split('/').next().map(str::to_owned))
        .collect();
    let names = HostNames::new(effective.names.clone(), proxies.clone());
    let outbound = Outbound::new(effective.outbound.clone())
        .trusting(hosts)
        .asking(Arc::new(Names(names)));
    let mut routes = Routes::new(configured, proxies, outbound);
    // What OpenSSL and its like would trust; git is told the same.
    routes.ca_file = environment.non_empty("SSL_CERT_FILE").map(Into::into);
    let goauth = CredentialSource::GoAuth(effective.goauth.clone());
    routes.keyring = Some(Arc::new(Keyring::new(goauth, "", environment.clone())));
    Ok(routes)
}

/// The resolvers that are asked where upstreams are.
#[derive(Debug)]
struct Names(HostNames);

impl Lookup for Names {
    fn lookup<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupFault>> {
        async move {
            self.0.lookup(host).await.map_err(|error| LookupFault {
                what: error.what,
                reason: error.reason,
                label: error.label,
            })
        }
        .boxed()
    }
}

fn route(rule: &OriginRule, environment: &Environment) -> Result<Route, CannotDo> {
    let keyring = rule
        .credentials
        .clone()
        .map(|source| Arc::new(Keyring::new(source, &rule.username, environment.clone())));
    let is_file = |address: &str| address.starts_with("file://");
    Ok(Route {
        pattern: rule.pattern.clone(),
        keyring,
        ca_file: rule.ca_file.clone(),
        client_certificate: rule.client_certificate.clone(),
        proxy: rule.proxy.clone(),
        instead_of: rule.instead_of.clone(),
        ssh: SshOptions {
            key: rule.key_file.as_deref().map(key).transpose()?,
            agent: environment.non_empty("SSH_AUTH_SOCK").map(Into::into),
            known_hosts: known_hosts(rule),
        },
        allow_file: rule
            .remote
            .as_ref()
            .is_some_and(|remote| is_file(&remote.to_string()))
            || rule.instead_of.iter().any(|(_, new)| is_file(new)),
    })
}

fn known_hosts(rule: &OriginRule) -> KnownHosts {
    match (&rule.known_hosts, rule.host_keys.as_slice()) {
        (Some(file), _) => KnownHosts::File(file.clone()),
        (None, []) => KnownHosts::System,
        (None, fingerprints) => KnownHosts::Pinned(fingerprints.to_vec()),
    }
}

fn key(file: &Path) -> Result<Secret, CannotDo> {
    std::fs::read_to_string(file)
        .map(Secret::new)
        .map_err(|error| CannotDo::new(format!("origin: key-file: {}: {error}", file.display())))
}
