use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

/// After a pause of this length what was not read is not made up for.
const FORGIVEN: Duration = Duration::from_secs(1);

/// Keeps reading at a rate.
#[derive(Debug)]
pub(super) struct Pace {
    rate: NonZeroU64,
    began: Instant,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(rate: NonZeroU64) -> Self {
        Self {
            rate,
            began: Instant::now(),
            bytes: 0,
        }
    }

    /// How many bytes to read at once: not more than a second's worth.
    pub(super) fn piece(&self, most: usize) -> usize {
        usize::try_from(self.rate.get()).map_or(most, |rate| rate.min(most))
    }

    /// Waits until these bytes were due.
    pub(super) async fn took(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        let micros = u128::from(self.bytes) * 1_000_000 / u128::from(self.rate.get());
        let spent = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let elapsed = self.began.elapsed();
        if elapsed > spent + FORGIVEN {
            *self = Self::new(self.rate);
        } else if let Some(early) = spent.checked_sub(elapsed) {
            tokio::time::sleep(early).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_read_takes_as_long_as_the_rate_says() {
        let mut pace = Pace::new(NonZeroU64::new(1000).unwrap());
        let began = Instant::now();
        for _ in 0..10 {
            pace.took(500).await;
        }
        assert_eq!(began.elapsed().as_millis().div_euclid(100), 50);
        // Nothing is made up for after a pause.
        tokio::time::sleep(Duration::from_secs(100)).await;
        let began = Instant::now();
        for _ in 0..5 {
            pace.took(1000).await;
        }
        assert!(
            began.elapsed() >= Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(pace.piece(1 << 20), 1000);
        assert_eq!(pace.piece(10), 10);
    }
}
