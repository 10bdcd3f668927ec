//! How long to wait before asking the same upstream again.

use std::time::Duration;

/// Before the second try; doubled for each further one.
const FIRST: Duration = Duration::from_millis(50);
/// No wait is longer, unless the upstream itself asks for more.
const LONGEST: Duration = Duration::from_secs(2);

/// The wait after `failures` failed tries. `roll` in `0..1` spreads the waits of many over the second half, so that they
/// do not come back all at once.
pub(crate) fn pause(failures: u32, roll: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    whole.mul_f64(0.5 + roll.clamp(0.0, 1.0) / 2.0)
}

/// Spreads an interval over a fifth to either side.
pub(crate) fn jittered(interval: Duration, roll: f64) -> Duration {
    interval.mul_f64(0.8 + roll.clamp(0.0, 1.0) * 0.4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let whole: Vec<u128> = (1..=8).map(|n| pause(n, 1.0).as_millis()).collect();
        assert_eq!(whole, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pause(1, 0.0).as_millis(), 25);
        assert_eq!(pause(u32::MAX, 0.0).as_millis(), 1000);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_bound(failures in any::<u32>(), roll in 0.0..1.0_f64) {
            prop_assert!(pause(failures, roll) <= LONGEST);
            prop_assert!(pause(failures, roll) >= FIRST / 2);
        }

        #[test]
        fn jitter_keeps_to_a_fifth(millis in 0..1_000_000_u64, roll in 0.0..1.0_f64) {
            let interval = Duration::from_millis(millis);
            let spread = jittered(interval, roll);
            prop_assert!(spread >= interval.mul_f64(0.799) && spread <= interval.mul_f64(1.201));
        }
    }
}
