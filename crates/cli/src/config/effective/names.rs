//! Whom is asked where upstreams are.

use goenv::private::Patterns;
use upstream::NameServers;

use super::{Checker, OriginRule};

impl Checker<'_> {
    /// `None` only after an error was noted.
    pub(super) fn names(&mut self, origins: &[OriginRule]) -> Option<NameServers> {
        let internal = self.internal_hosts(origins);
        let servers = self.parse("dns.servers", NameServers::parse)?;
        Some(servers.with_internal(internal))
    }

    /// Hosts whose names stay in the own network: those that are said to, and those of private modules.
    fn internal_hosts(&self, origins: &[OriginRule]) -> Patterns {
        let private = self.private(origins);
        let hosts = private.globs().filter_map(|glob| glob.split('/').next());
        let said = self.resolved.get("dns.internal").value.as_str();
        let all: Vec<&str> = said.split(',').map(str::trim).chain(hosts).collect();
        Patterns::parse(&all.join(","))
    }
}
