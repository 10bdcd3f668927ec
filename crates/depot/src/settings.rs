use std::time::Duration;

use goenv::private::Patterns;
use url::Url;

/// A checksum database that is relayed.
#[derive(Clone, Debug)]
pub struct SumdbRoute {
    /// Its name, as in `/sumdb/<name>/`; may contain a slash.
    pub name: String,
    /// The base URL of its own server.
    pub base: Url,
    /// Whether upstreams that relay it are asked before its own server.
    pub through_upstreams: bool,
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
    /// Modules whose names are sent to no upstream and to no checksum database.
    pub private: Patterns,
    /// The checksum databases that are relayed.
    pub sumdbs: Vec<SumdbRoute>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_mins(1),
            absent_ttl: Duration::from_secs(30),
            stale_wait: Duration::from_millis(300),
            private: Patterns::default(),
            sumdbs: Vec::new(),
        }
    }
}
