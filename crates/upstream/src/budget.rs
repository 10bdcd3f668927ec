//! How much more than one try per request an upstream is asked to bear.

use tokio::time::Instant;

/// A token bucket. Every request pays a share of a token in; every extra try takes a whole one out. So extra tries stay
/// a bounded share of the requests, and an outage is not made worse by those who wait for its end.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: f64,
    capacity: f64,
    share: f64,
    per_second: f64,
    filled: Instant,
}

impl Budget {
    /// A full bucket. `share`: what a request pays in; `per_second`: what time pays in, so that an upstream that is
    /// seldom asked gets its extra tries, too.
    pub(crate) fn new(capacity: f64, share: f64, per_second: f64, now: Instant) -> Self {
        Self {
            tokens: capacity,
            capacity,
            share,
            per_second,
            filled: now,
        }
    }

    /// A request was made.
    pub(crate) fn deposit(&mut self, now: Instant) {
        self.fill(now);
        self.tokens = (self.tokens + self.share).min(self.capacity);
    }

    /// Whether one more try may be made; it is paid for.
    pub(crate) fn withdraw(&mut self, now: Instant) -> bool {
        self.fill(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.capacity);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_bucket_is_filled_by_requests_and_by_time() {
        let start = Instant::now();
        let mut budget = Budget::new(2.0, 0.25, 1.0, start);
        assert!(budget.withdraw(start) && budget.withdraw(start) && !budget.withdraw(start));
        (0..4).for_each(|_| budget.deposit(start));
        assert!(budget.withdraw(start) && !budget.withdraw(start));
        assert!(!budget.withdraw(start + Duration::from_millis(900)));
        assert!(budget.withdraw(start + Duration::from_millis(1100)));
    }

    proptest! {
        #[test]
        fn extra_tries_are_a_bounded_share_of_the_requests(steps in prop::collection::vec(any::<bool>(), 0..2000)) {
            let now = Instant::now();
            let mut budget = Budget::new(10.0, 0.1, 0.5, now);
            let (mut requests, mut extra) = (0_u32, 0_u32);
            for is_request in steps {
                if is_request {
                    budget.deposit(now);
                    requests += 1;
                } else {
                    extra += u32::from(budget.withdraw(now));
                }
            }
            prop_assert!(f64::from(extra) <= 10.0 + 0.1 * f64::from(requests) + 1e-6);
        }
    }
}
