//! What is fetched before anybody asks for it.

use super::Checker;
use crate::config::value;

/// What is fetched while clients are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefetchSettings {
    /// Whether anything is.
    pub enabled: bool,
    /// How much.
    pub limits: prefetch::Settings,
}

/// What is fetched ahead of time by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmSettings {
    /// Files, directories and modules; none: nothing is warmed.
    pub targets: Vec<String>,
    /// How often.
    pub interval: std::time::Duration,
    /// Files fetched at a time.
    pub jobs: usize,
}

impl Checker<'_> {
    pub(super) fn prefetch(&mut self) -> Option<PrefetchSettings> {
        let enabled = self.parse("prefetch.enabled", value::switch);
        let fetches = self.parse("prefetch.fetches", value::count);
        let ahead = self.parse("prefetch.ahead", value::bytes);
        Some(PrefetchSettings {
            enabled: enabled?,
            limits: prefetch::Settings {
                fetches: fetches?,
                ahead: ahead?,
            },
        })
    }

    pub(super) fn warm(&mut self) -> Option<WarmSettings> {
        let interval = self.parse("warm.interval", value::positive_duration);
        let jobs = self.parse("warm.jobs", value::count);
        let targets: Vec<String> = self
            .resolved
            .get("warm.targets")
            .value
            .split(',')
            .map(str::trim)
            .filter(|target| !target.is_empty())
            .map(str::to_owned)
            .collect();
        Some(WarmSettings {
            targets,
            interval: interval?,
            jobs: jobs?,
        })
    }
}
