//! Figures of several builds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::build::{Attempt, Exchange};

/// A build that was repeated until it succeeded, as people do, or until there was no sense in it any more.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) attempts: Vec<Attempt>,
}

impl Build {
    fn is_first_time_right(&self) -> bool {
        self.attempts.first().is_some_and(|attempt| attempt.success)
    }

    fn succeeded(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.success)
    }

    fn took(&self) -> Duration {
        self.attempts.iter().map(|attempt| attempt.took).sum()
    }

    /// From the first request for each file to its last good answer, over all attempts; the time between them counts.
    fn waits(&self) -> Vec<Duration> {
        let mut files: BTreeMap<&str, (&Exchange, Option<&Exchange>)> = BTreeMap::new();
        for exchange in self.attempts.iter().flat_map(|attempt| &attempt.exchanges) {
            let entry = files.entry(&exchange.file).or_insert((exchange, None));
            if exchange.began < entry.0.began {
                entry.0 = exchange;
            }
            if exchange.is_good && entry.1.is_none_or(|good| good.ended < exchange.ended) {
                entry.1 = Some(exchange);
            }
        }
        files
            .values()
            .filter_map(|(first, good)| Some(good.as_ref()?.ended - first.began))
            .collect()
    }
}

/// What several builds have in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) builds: usize,
    pub(super) first_time_right: usize,
    pub(super) succeeded: usize,
    pub(super) requests: usize,
    pub(super) good: usize,
    /// Requests for a file that had been asked for before.
    pub(super) again: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// The mean over all files.
    pub(super) wait: Duration,
    /// The mean until a build succeeded or was given up.
    pub(super) took: Duration,
    pub(super) last_words: String,
}

impl Figures {
    pub(super) fn of(builds: &[Build]) -> Self {
        let exchanges: Vec<&Exchange> = builds
            .iter()
            .flat_map(|build| &build.attempts)
            .flat_map(|attempt| &attempt.exchanges)
            .collect();
        let mut times: Vec<Duration> = exchanges.iter().map(|one| one.ended - one.began).collect();
        times.sort();
        let waits: Vec<Duration> = builds.iter().flat_map(Build::waits).collect();
        let again = |build: &Build| {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for one in build.attempts.iter().flat_map(|attempt| &attempt.exchanges) {
                *counts.entry(&one.file).or_default() += 1;
            }
            counts.values().map(|count| count - 1).sum::<usize>()
        };
        Self {
            builds: builds.len(),
            first_time_right: builds
                .iter()
                .filter(|one| one.is_first_time_right())
                .count(),
            succeeded: builds.iter().filter(|one| one.succeeded()).count(),
            requests: exchanges.len(),
            good: exchanges.iter().filter(|one| one.is_good).count(),
            again: builds.iter().map(again).sum(),
            p50: percentile(&times, 50),
            p99: percentile(&times, 99),
            wait: mean(&waits),
            took: mean(&builds.iter().map(Build::took).collect::<Vec<_>>()),
            last_words: builds
                .iter()
                .flat_map(|build| &build.attempts)
                .filter(|attempt| !attempt.success)
                .map(|attempt| attempt.last_words.clone())
                .next_back()
                .unwrap_or_default(),
        }
    }
}

/// The smallest value that so many of a hundred do not exceed.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn mean(values: &[Duration]) -> Duration {
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    values
        .iter()
        .sum::<Duration>()
        .checked_div(count)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn attempt(start: Instant, success: bool, exchanges: &[(&str, u64, u64, bool)]) -> Attempt {
        let at = |ms: u64| start + Duration::from_millis(ms);
        Attempt {
            success,
            took: Duration::from_secs(1),
            exchanges: exchanges
                .iter()
                .map(|(file, began, ended, is_good)| Exchange {
                    file: (*file).to_owned(),
                    began: at(*began),
                    ended: at(*ended),
                    is_good: *is_good,
                })
                .collect(),
            last_words: "go: no".to_owned(),
        }
    }

    #[test]
    fn a_wait_lasts_from_the_first_try_to_the_answer_that_counts() {
        let start = Instant::now();
        let build = Build {
            attempts: vec![
                attempt(start, false, &[("a", 0, 10, false), ("b", 0, 20, true)]),
                attempt(start, true, &[("a", 1000, 1010, true)]),
            ],
        };
        let figures = Figures::of(&[build]);
        assert_eq!(
            (figures.builds, figures.first_time_right, figures.succeeded),
            (1, 0, 1)
        );
        assert_eq!((figures.requests, figures.good, figures.again), (3, 2, 1));
        assert_eq!(figures.wait, Duration::from_millis(515));
        assert_eq!(figures.took, Duration::from_secs(2));
        assert_eq!(figures.last_words, "go: no");
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
