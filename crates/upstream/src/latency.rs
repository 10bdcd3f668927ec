//! How long an upstream usually takes.

use std::time::Duration;

/// How many answers the percentile is made of.
const WINDOW: usize = 64;
/// With fewer, nothing is said about the percentile.
const ENOUGH: usize = 16;
/// The weight of the newest answer in the moving average.
const WEIGHT: f64 = 0.2;

/// The answer times of one upstream for one kind of request.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    average: Option<f64>,
    recent: Vec<Duration>,
    next: usize,
}

impl Latency {
    /// An answer came after `elapsed`.
    pub(crate) fn record(&mut self, elapsed: Duration) {
        self.weigh(elapsed);
        if self.recent.len() < WINDOW {
            self.recent.push(elapsed);
        } else if let Some(place) = self.recent.get_mut(self.next) {
            *place = elapsed;
        }
        self.next = (self.next + 1) % WINDOW;
    }

    /// An answer had not come after `elapsed`, and was not waited for. It counts for the average, and not for what is
    /// usual: else the patience with an upstream that hangs would grow with every time it does.
    pub(crate) fn record_abandoned(&mut self, elapsed: Duration) {
        self.weigh(elapsed);
    }

    fn weigh(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        self.average = Some(match self.average {
            None => seconds,
            Some(average) => average + WEIGHT * (seconds - average),
        });
    }

    /// The exponentially weighted moving average.
    pub(crate) fn average(&self) -> Option<Duration> {
        self.average.map(Duration::from_secs_f64)
    }

    /// The longest of the newest answers.
    pub(crate) fn longest(&self) -> Option<Duration> {
        self.recent.iter().max().copied()
    }

    /// What 19 of 20 answers stay below; `None` before there are enough of them.
    pub(crate) fn p95(&self) -> Option<Duration> {
        if self.recent.len() < ENOUGH {
            return None;
        }
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * 95 / 100).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_percentile_is_of_the_newest_answers() {
        let mut latency = Latency::default();
        (1..16).for_each(|n| latency.record(ms(n)));
        assert_eq!((latency.p95(), latency.longest()), (None, Some(ms(15))));
        (16..=100).for_each(|n| latency.record(ms(n)));
        // The newest 64 are 37..=100.
        assert_eq!(latency.p95(), Some(ms(97)));
        (0..64).for_each(|_| latency.record(ms(5)));
        assert_eq!(latency.p95(), Some(ms(5)));
        latency.record_abandoned(ms(5000));
        assert_eq!(latency.p95(), Some(ms(5)));
        assert!(latency.average().unwrap() > ms(900));
    }

    proptest! {
        #[test]
        fn average_and_percentile_lie_between_the_extremes(millis in prop::collection::vec(0..100_000_u64, 16..300)) {
            let mut latency = Latency::default();
            for n in &millis {
                latency.record(ms(*n));
            }
            let (least, most) = (ms(*millis.iter().min().unwrap()), ms(*millis.iter().max().unwrap()));
            let slack = Duration::from_micros(1);
            for value in [latency.average().unwrap(), latency.p95().unwrap()] {
                prop_assert!(value + slack >= least && value <= most + slack);
            }
        }
    }
}
