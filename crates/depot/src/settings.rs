use std::time::Duration;

use goenv::private::Patterns;
use sumdb::note::VerifierKey;
use url::Url;

/// A checksum database that vouches for modules and is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumdbRoute {
    /// Its name, as in `/sumdb/<name>/`; may contain a slash.
    pub name: String,
    /// The key it signs with.
    pub key: VerifierKey,
    /// The base URL of its own server.
    pub base: Url,
    /// Whether upstreams that relay it are asked before its own server.
    pub through_upstreams: bool,
}

/// What happens to a version that was never verified while its checksum database cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyMode {
    /// It is refused.
    #[default]
    Always,
    /// It is served, and said to be unverified.
    WhenReachable,
}

/// What decides how long answers are believed and where they may come from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a changeable answer counts as fresh.
    pub ttl: Duration,
    /// How long an upstream's "not found" is believed.
    pub absent_ttl: Duration,
    /// How long a request waits for a refresh when a stale answer is at hand.
    pub stale_wait: Duration,
    /// Modules whose names are sent to no upstream and to no checksum database: they come from their repositories.
    pub private: Patterns,
    /// Modules that no checksum database is asked about.
    pub no_sumdb: Patterns,
    /// What happens while the checksum database cannot be asked.
    pub verify: VerifyMode,
    /// The checksum databases that are relayed; the first vouches for every module that is not exempt.
    pub sumdbs: Vec<SumdbRoute>,
    /// What makes modules from repositories. Without it private modules, and public ones that only `direct` has, cannot
    /// be had.
    pub repositories: Option<vcs::Vcs>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_mins(1),
            absent_ttl: Duration::from_secs(30),
            stale_wait: Duration::from_millis(300),
            private: Patterns::default(),
            no_sumdb: Patterns::default(),
            verify: VerifyMode::default(),
            sumdbs: Vec::new(),
            repositories: None,
        }
    }
}
