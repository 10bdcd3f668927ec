//! How long answers take, counted on the way of every request: without a lock, and without looking for a place.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The bounds by which times are counted, in microseconds: from an answer out of memory to one that was waited for.
const BOUNDS: [u64; 11] = [
    1_000, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
    60_000_000,
];

/// The times of answers of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Arc<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// By the first bound that is not exceeded; behind them what exceeds all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    /// Of all times.
    micros: AtomicU64,
}

impl Times {
    /// An answer took so long.
    pub(crate) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.iter().take_while(|bound| **bound < micros).count();
        if let Some(count) = self.0.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl TypedMetric for Times {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Times {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = BOUNDS.map(|micros| Duration::from_micros(micros).as_secs_f64());
        let counts = (self.0.counts.iter()).map(|count| count.load(Ordering::Relaxed));
        let bounds = bounds.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let all = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_micros(self.0.micros.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, all, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn each_time_counts_below_the_first_bound_that_it_does_not_exceed() {
        let times = Times::default();
        for micros in [0, 1_000, 1_001, 2_000_000, 3_600_000_000] {
            times.observe(Duration::from_micros(micros));
        }
        let mut registry = Registry::default();
        registry.register("t", "Times", times);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "t_bucket{le=\"0.001\"} 2",
            "t_bucket{le=\"0.005\"} 3",
            "t_bucket{le=\"1.0\"} 3",
            "t_bucket{le=\"2.5\"} 4",
            "t_bucket{le=\"60.0\"} 4",
            "t_bucket{le=\"+Inf\"} 5",
            "t_count 5",
            "t_sum 3602.002001",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
