//! In which order upstreams are asked.

use std::time::Duration;

/// Who is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As configured.
    #[default]
    Configured,
    /// Whoever was found to answer fastest.
    Fastest,
}

/// How an upstream fares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fare {
    /// What an answer takes on average.
    pub(crate) average: Option<Duration>,
    /// The share of answers that fail, from 0 to 1.
    pub(crate) failing: f64,
}

impl Fare {
    /// Seconds to an answer, as far as can be told, with failures counted as lost time.
    fn cost(self) -> Option<f64> {
        Some(self.average?.as_secs_f64() * (1.0 + 4.0 * self.failing))
    }
}

/// An upstream overtakes the one before it only if it is better by this factor,
const FACTOR: f64 = 0.75;
/// and by this many seconds: between servers on the same network, the order would else be chance.
const MARGIN: f64 = 0.005;

/// Improves an order. Whoever was never measured keeps its place behind the one before.
pub(crate) fn improve(order: &mut [usize], fares: &[Fare]) {
    let cost = |index: usize| fares.get(index).and_then(|fare| fare.cost());
    // Insertion: each moves forward past those that are clearly worse.
    for end in 1..order.len() {
        for place in (1..=end).rev() {
            let (Some(&before), Some(&this)) = (order.get(place - 1), order.get(place)) else {
                break;
            };
            let (Some(theirs), Some(own)) = (cost(before), cost(this)) else {
                break;
            };
            if own > theirs * FACTOR || own > theirs - MARGIN {
                break;
            }
            order.swap(place - 1, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fare(millis: u64, failing: f64) -> Fare {
        Fare {
            average: Some(Duration::from_millis(millis)),
            failing,
        }
    }

    fn improved(fares: &[Fare]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..fares.len()).collect();
        improve(&mut order, fares);
        order
    }

    #[test]
    fn only_who_is_clearly_faster_goes_first() {
        assert_eq!(improved(&[fare(100, 0.0), fare(60, 0.0)]), [1, 0]);
        assert_eq!(improved(&[fare(100, 0.0), fare(80, 0.0)]), [0, 1]);
        assert_eq!(improved(&[fare(4, 0.0), fare(1, 0.0)]), [0, 1]);
        assert_eq!(improved(&[fare(50, 0.5), fare(60, 0.0)]), [1, 0]);
        let unknown = Fare {
            average: None,
            failing: 0.0,
        };
        assert_eq!(
            improved(&[fare(100, 0.0), unknown, fare(10, 0.0)]),
            [0, 1, 2]
        );
        assert_eq!(
            improved(&[fare(300, 0.0), fare(100, 0.0), fare(10, 0.0)]),
            [2, 1, 0]
        );
    }

    #[test]
    fn an_order_does_not_swing() {
        let mut order = vec![0, 1];
        improve(&mut order, &[fare(100, 0.0), fare(60, 0.0)]);
        assert_eq!(order, [1, 0]);
        improve(&mut order, &[fare(60, 0.0), fare(70, 0.0)]);
        assert_eq!(order, [1, 0]);
        improve(&mut order, &[fare(60, 0.0), fare(100, 0.0)]);
        assert_eq!(order, [0, 1]);
    }

    proptest! {
        #[test]
        fn nobody_is_lost(fares in prop::collection::vec((1..5000_u64, 0.0..1.0_f64), 0..8)) {
            let fares: Vec<Fare> = fares.into_iter().map(|(millis, failing)| fare(millis, failing)).collect();
            let mut order = improved(&fares);
            order.sort_unstable();
            prop_assert_eq!(order, (0..fares.len()).collect::<Vec<_>>());
        }
    }
}
