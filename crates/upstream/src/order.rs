//! In which order upstreams are asked.

use std::time::Duration;

/// Who is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As configured, as long as nobody is far slower than another.
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

/// Who is slower than another by this factor and this many seconds is asked after it, whatever the configuration says,
const FAR_SLOWER: (f64, f64) = (4.0, 0.25);
/// until it is no longer slower by these.
const STILL_SLOWER: (f64, f64) = (2.0, 0.1);

/// The configured order, except that those come last that are alive but far slower than another: else every request
/// that finds nothing stored waits for them first, and a health probe that they answer in their own time calls them well.
/// `sluggish` remembers who they are.
pub(crate) fn defer(sluggish: &mut Vec<bool>, fares: &[Fare]) -> Vec<usize> {
    let costs: Vec<Option<f64>> = fares.iter().map(|fare| fare.cost()).collect();
    let best = costs.iter().flatten().copied().reduce(f64::min);
    sluggish.resize(fares.len(), false);
    for (was, cost) in sluggish.iter_mut().zip(&costs) {
        let (factor, margin) = if *was { STILL_SLOWER } else { FAR_SLOWER };
        let (Some(cost), Some(best)) = (*cost, best) else {
            continue;
        };
        *was = cost > best * factor && cost > best + margin;
    }
    let (late, mut order): (Vec<usize>, Vec<usize>) =
        (0..fares.len()).partition(|index| sluggish.get(*index) == Some(&true));
    order.extend(late);
    order
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

    #[test]
    fn who_is_alive_but_far_slower_is_asked_last_until_it_is_not() {
        let mut sluggish = Vec::new();
        let unknown = Fare {
            average: None,
            failing: 0.0,
        };
        let mut order = |fares: &[Fare]| defer(&mut sluggish, fares);
        assert_eq!(order(&[unknown, unknown]), [0, 1]);
        assert_eq!(order(&[fare(900, 0.0), unknown]), [0, 1]);
        // Four times as slow, and not by much; much slower, and not four times.
        assert_eq!(order(&[fare(200, 0.0), fare(20, 0.0)]), [0, 1]);
        assert_eq!(order(&[fare(900, 0.0), fare(300, 0.0)]), [0, 1]);
        assert_eq!(order(&[fare(2000, 0.0), fare(20, 0.0)]), [1, 0]);
        assert_eq!(order(&[fare(200, 0.0), fare(20, 0.0)]), [1, 0]);
        assert_eq!(order(&[fare(100, 0.0), fare(20, 0.0)]), [0, 1]);
        assert_eq!(order(&[fare(200, 0.0), fare(20, 0.0)]), [0, 1]);
    }

    #[test]
    fn of_those_that_are_not_far_slower_the_order_stays() {
        let mut sluggish = Vec::new();
        let fares = [
            fare(60, 0.0),
            fare(3000, 0.0),
            fare(20, 0.0),
            fare(2000, 0.0),
        ];
        assert_eq!(defer(&mut sluggish, &fares), [0, 2, 1, 3]);
    }

    proptest! {
        #[test]
        fn nobody_is_deferred_for_ever_nor_lost(fares in prop::collection::vec((1..5000_u64, 0.0..1.0_f64), 0..8)) {
            let fares: Vec<Fare> = fares.into_iter().map(|(millis, failing)| fare(millis, failing)).collect();
            let mut sluggish = Vec::new();
            let mut order = defer(&mut sluggish, &fares);
            prop_assert!(order.is_empty() || sluggish.contains(&false));
            order.sort_unstable();
            prop_assert_eq!(order, (0..fares.len()).collect::<Vec<_>>());
            let alike = vec![fare(50, 0.0); fares.len()];
            prop_assert_eq!(defer(&mut sluggish, &alike), (0..fares.len()).collect::<Vec<_>>());
        }

        #[test]
        fn nobody_is_lost(fares in prop::collection::vec((1..5000_u64, 0.0..1.0_f64), 0..8)) {
            let fares: Vec<Fare> = fares.into_iter().map(|(millis, failing)| fare(millis, failing)).collect();
            let mut order = improved(&fares);
            order.sort_unstable();
            prop_assert_eq!(order, (0..fares.len()).collect::<Vec<_>>());
        }
    }
}
