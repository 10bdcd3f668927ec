//! Probes of the hops between `go` and its modules, one module for each hop.
//!
//! They speak as `go` does, never prompt, and write nothing. Each says how long its phases took and, if it failed,
//! which label of [`fault`] it is, with evidence. Everything has a limit: [`Limits`] for the phases, [`Net`] a deadline
//! for all of them.

pub(crate) mod connect;
pub(crate) mod credentials;
pub(crate) mod dns;
pub(crate) mod fetch;
pub(crate) mod fetched;
pub(crate) mod firewall;
pub mod goproxy;
pub(crate) mod http;
pub(crate) mod local;
pub mod report;
pub(crate) mod requirement;
pub(crate) mod sumdb;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod tunnel;
pub(crate) mod vcs;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use goenv::Environment;
use goenv::http_proxy::HttpProxyRules;
use tokio::time::Instant;

pub use dns::config::{HostsFile, ResolvConf};
pub use dns::others::Other;
pub use tls::roots::Roots;

/// How long each phase may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole run.
    pub total: Duration,
    /// An answer of a resolver.
    pub dns: Duration,
    /// A TCP connection.
    pub connect: Duration,
    /// A TLS handshake.
    pub tls: Duration,
    /// The head of an answer, or a proxy's consent.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub silence: Duration,
}

impl Limits {
    /// The limits of a run that takes `total` at most.
    pub fn within(total: Duration) -> Self {
        Self {
            total,
            dns: total.mul_f64(0.25),
            connect: total.mul_f64(0.3),
            tls: total.mul_f64(0.3),
            first_byte: total.mul_f64(0.4),
            silence: total.mul_f64(0.3),
        }
    }
}

/// What the probes stand on: the machine as it is, or as a test has it.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Variables, from which proxies, roots and credentials follow.
    pub environment: Environment,
    /// Where `go` is called: a project, or any other directory.
    pub directory: PathBuf,
    /// What `/etc` and `/proc` lie below.
    pub root: PathBuf,
    /// The process whose ancestors may have set variables.
    pub process: Option<u32>,
    /// Name servers.
    pub resolv_conf: ResolvConf,
    /// Names known without asking.
    pub hosts: HostsFile,
    /// Addresses given for names by the user, which come before everything else.
    pub pins: HashMap<String, IpAddr>,
    /// How much the local clock is taken to be wrong, in seconds. For tests and for trying out.
    pub clock_shift: i64,
}

impl Ground {
    /// This machine, in the directory of this process.
    pub fn of_machine(environment: Environment) -> Self {
        Self {
            environment,
            directory: std::env::current_dir().unwrap_or_default(),
            root: PathBuf::from("/"),
            process: cfg!(target_os = "linux").then(std::process::id),
            resolv_conf: ResolvConf::load(Path::new("/etc/resolv.conf")),
            hosts: HostsFile::load(Path::new("/etc/hosts")),
            pins: HashMap::new(),
            clock_shift: 0,
        }
    }
}

/// The network as probes use it, for the time of one run.
#[derive(Debug)]
pub struct Net {
    pub(crate) resolver: dns::Resolver,
    pub(crate) proxies: HttpProxyRules,
    pub(crate) credentials: credentials::Credentials,
    pub(crate) trust: tls::Trust,
    pub(crate) limits: Limits,
    pub(crate) environment: Environment,
    pub(crate) clock_shift: i64,
    /// Requests go straight to their hosts, whatever the variables say.
    pub(crate) bypass_proxy: bool,
    deadline: Instant,
}

impl Net {
    /// Begins a run. The time counts from here.
    pub fn new(ground: &Ground, limits: Limits) -> Self {
        let environment = ground.environment.clone();
        Self {
            resolver: dns::Resolver::new(
                ground.resolv_conf.clone(),
                ground.hosts.clone(),
                ground.pins.clone(),
                limits.dns,
            ),
            proxies: HttpProxyRules::from_environment(&environment),
            credentials: credentials::Credentials::of(&environment),
            trust: tls::Trust {
                roots: Roots::load(&environment),
                now: shifted(SystemTime::now(), ground.clock_shift),
                alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            },
            limits,
            environment,
            clock_shift: ground.clock_shift,
            bypass_proxy: false,
            deadline: Instant::now() + limits.total.mul_f64(0.95),
        }
    }

    /// The time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

pub(crate) fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let shift = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 {
        time.checked_sub(shift)
    } else {
        time.checked_add(shift)
    };
    moved.unwrap_or(time)
}
