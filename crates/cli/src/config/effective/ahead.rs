//! What is fetched before anybody asks for it.

use depot::Admission;

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
    /// How much is fetched at a time, and what of it ahead.
    pub(super) fn fetching(&mut self) -> Option<(Admission, PrefetchSettings)> {
        let fetches = self.parse("limits.fetches", value::count);
        let waiting = self.parse("limits.queue", value::count);
        let patience = self.parse("limits.queue-timeout", value::positive_duration);
        let enabled = self.parse("prefetch.enabled", value::switch);
        let share = self.parse("prefetch.share", value::percent);
        let ahead = self.parse("prefetch.ahead", value::bytes);
        let fetches = fetches?;
        // Never none, however few there are.
        let fetches_ahead = (fetches.saturating_mul(share?) / 100).max(1);
        let admission = Admission {
            fetches,
            ahead: fetches_ahead,
            waiting: waiting?,
            patience: patience?,
        };
        let limits = prefetch::Settings {
            fetches: fetches_ahead,
            ahead: ahead?,
            ..prefetch::Settings::default()
        };
        Some((
            admission,
            PrefetchSettings {
                enabled: enabled?,
                limits,
            },
        ))
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
