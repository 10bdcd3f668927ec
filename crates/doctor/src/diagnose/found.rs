//! What was found out, before it is judged.

use super::Step;
use super::auto_config::AutoConfigs;
use crate::probe::firewall::Stopped;
use crate::probe::report::{Failure, Probe};

/// What the probes brought.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) hops: Vec<Probe>,
    /// Why `go` asks nobody.
    pub(crate) refusal: Option<Failure>,
    pub(crate) route: Vec<Step>,
    pub(crate) sumdb: Option<Failure>,
    /// Things that work, but not as they should.
    pub(crate) risks: Vec<Failure>,
    /// Offsets of the servers' clocks in seconds.
    pub(crate) clocks: Vec<i64>,
    /// Connections that failed because of the packet filter of this machine.
    pub(crate) stopped: Vec<Stopped>,
    /// What browsers do.
    pub(super) auto_configs: AutoConfigs,
    /// What is to be seen by reading.
    pub(crate) findings: Vec<goenv::Finding>,
}
