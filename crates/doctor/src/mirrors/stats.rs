//! What a handful of measurements says, and what it does not.

use std::time::Duration;

/// The spread of repeated measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many there were.
    pub count: usize,
    /// The middle one.
    pub median: Duration,
    /// What 19 of 20 do not exceed (nearest rank).
    pub p95: Duration,
    /// The median of the whole population is here with a confidence of about 95 %, by order statistics. Of fewer than
    /// six measurements these are the smallest and the largest.
    pub interval: (Duration, Duration),
}

impl Spread {
    /// The spread of `times`; `None` if there are none.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut times = times.to_vec();
        times.sort_unstable();
        let count = times.len();
        let at = |index: usize| times.get(index.min(count.saturating_sub(1))).copied();
        let lower = at((count.saturating_sub(1)) / 2)?;
        let upper = at(count / 2)?;
        let margin = margin(count);
        Some(Self {
            count,
            median: (lower + upper) / 2,
            p95: at((count * 95).div_ceil(100).saturating_sub(1))?,
            interval: (at(margin)?, at(count.saturating_sub(margin + 1))?),
        })
    }

    /// Whether the medians may well be the same.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.interval.0 <= other.interval.1 && other.interval.0 <= self.interval.1
    }
}

/// How many measurements at either end lie outside of the interval: the largest number `k` for which a fair coin shows
/// at most `k` heads in `count` throws with a probability of 2.5 % or less.
fn margin(count: usize) -> usize {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    // Beyond this the powers run out of range, and nobody repeats so often.
    if count > 1000 {
        return 0;
    }
    let mut term = 0.5_f64.powi(count);
    let mut below = term;
    let mut margin = 0;
    for heads in 1..count {
        if below > 0.025 {
            break;
        }
        margin = usize::try_from(heads).unwrap_or_default();
        term *= f64::from(count - heads + 1) / f64::from(heads);
        below += term;
    }
    margin.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(values: &[u64]) -> Vec<Duration> {
        values.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn median_and_95th_percentile_are_by_rank() {
        let spread = Spread::of(&milliseconds(&[5, 1, 4, 2, 3])).unwrap();
        assert_eq!(
            (
                spread.count,
                spread.median.as_millis(),
                spread.p95.as_millis()
            ),
            (5, 3, 5)
        );
        let many: Vec<u64> = (1..=100).collect();
        let spread = Spread::of(&milliseconds(&many)).unwrap();
        assert_eq!(spread.p95.as_millis(), 95);
        assert_eq!(spread.median, Duration::from_micros(50_500));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn the_interval_of_few_measurements_is_all_of_them() {
        let spread = Spread::of(&milliseconds(&[10, 20, 30])).unwrap();
        assert_eq!(
            spread.interval,
            (Duration::from_millis(10), Duration::from_millis(30))
        );
        // For 20 measurements, tables give the 6th and the 15th.
        let twenty: Vec<u64> = (1..=20).collect();
        let spread = Spread::of(&milliseconds(&twenty)).unwrap();
        assert_eq!(
            spread.interval,
            (Duration::from_millis(6), Duration::from_millis(15))
        );
    }

    #[test]
    fn intervals_that_overlap_prove_no_difference() {
        let a = Spread::of(&milliseconds(&[10, 20, 30])).unwrap();
        let b = Spread::of(&milliseconds(&[29, 40, 50])).unwrap();
        let c = Spread::of(&milliseconds(&[31, 40, 50])).unwrap();
        assert!(a.overlaps(&b) && b.overlaps(&a) && !a.overlaps(&c));
    }
}
