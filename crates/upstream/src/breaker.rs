//! When an upstream is left alone, and when it is tried again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open the breaker.
const IN_A_ROW: u32 = 5;
/// Exchanges that are looked back at, and how many there must be before their share of failures counts.
const WINDOW: usize = 20;
const ENOUGH: usize = 10;
/// How long it stays open the first time; doubled each time that a trial fails.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// After so long without opening, the next time counts as the first.
const FORGIVEN: Duration = Duration::from_secs(30);

/// How much a failure says about the upstream as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Nothing: it is about this request.
    Nothing,
    /// One of several that make a picture.
    Some,
    /// It cannot be reached, and finding that out took a while: enough to leave it alone at once.
    Decisive,
}

/// What an observation has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened,
    Closed,
}

/// Whether requests go to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// They do not, unless nobody else is left to ask.
    Open,
    /// A trial is under way.
    HalfOpen,
}

#[derive(Debug)]
enum State {
    Closed { since: Option<Instant> },
    Open { until: Instant },
    HalfOpen,
}

/// The breaker of one upstream. Time is told to it.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    in_a_row: u32,
    recent: VecDeque<bool>,
    last_success: Option<Instant>,
    /// How often it has opened without having been closed for long in between.
    openings: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed { since: None },
            in_a_row: 0,
            recent: VecDeque::with_capacity(WINDOW),
            last_success: None,
            openings: 0,
        }
    }
}

impl Breaker {
    pub(crate) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// When a trial is due; `None` while it is closed, or a trial is under way.
    pub(crate) fn trial_due(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed { .. } | State::HalfOpen => None,
        }
    }

    /// Whether a first trial has not failed yet, so that this may have been a hiccup.
    pub(crate) fn is_fresh(&self) -> bool {
        self.openings <= 1
    }

    /// A trial begins. Its outcome closes the breaker, or opens it for longer.
    pub(crate) fn begin_trial(&mut self) {
        if matches!(self.state, State::Open { .. }) {
            self.state = State::HalfOpen;
        }
    }

    /// The upstream has answered, if only that there is no such thing.
    pub(crate) fn succeeded(&mut self, now: Instant) -> Change {
        self.in_a_row = 0;
        self.last_success = Some(now);
        if matches!(self.state, State::Closed { .. }) {
            self.note(true);
            return Change::None;
        }
        self.recent.clear();
        self.state = State::Closed { since: Some(now) };
        Change::Closed
    }

    /// An exchange that began at `began` has failed.
    pub(crate) fn failed(&mut self, weight: Weight, began: Instant, now: Instant) -> Change {
        if weight == Weight::Nothing {
            return Change::None;
        }
        match self.state {
            State::Closed { since } => {
                self.note(false);
                self.in_a_row += 1;
                let was_heard_of = self.last_success.is_some_and(|heard| heard >= began);
                let is_out = weight == Weight::Decisive && !was_heard_of;
                if !(is_out || self.in_a_row >= IN_A_ROW || self.mostly_fails()) {
                    return Change::None;
                }
                if since.is_some_and(|since| now.saturating_duration_since(since) >= FORGIVEN) {
                    self.openings = 0;
                }
                self.open(now);
                Change::Opened
            }
            // What began before it opened says nothing new.
            State::Open { .. } => Change::None,
            State::HalfOpen => {
                self.open(now);
                Change::None
            }
        }
    }

    fn open(&mut self, now: Instant) {
        let doublings = self.openings.min(10);
        self.openings = self.openings.saturating_add(1);
        self.recent.clear();
        self.state = State::Open {
            until: now + FIRST.saturating_mul(1 << doublings).min(LONGEST),
        };
    }

    fn note(&mut self, success: bool) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(success);
    }

    fn mostly_fails(&self) -> bool {
        let failures = self.recent.iter().filter(|success| !**success).count();
        self.recent.len() >= ENOUGH && failures * 2 > self.recent.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_trial_closes_it() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for n in 0..4 {
            assert_eq!(
                breaker.failed(Weight::Some, start, at(start, n)),
                Change::None
            );
        }
        assert_eq!(breaker.failed(Weight::Nothing, start, start), Change::None);
        assert_eq!(
            breaker.failed(Weight::Some, start, at(start, 5)),
            Change::Opened
        );
        assert_eq!(breaker.trial_due(), Some(at(start, 505)));
        breaker.begin_trial();
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(breaker.succeeded(at(start, 600)), Change::Closed);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(
            breaker.failed(Weight::Some, start, at(start, 700)),
            Change::None
        );
    }

    #[test]
    fn it_opens_for_longer_each_time_that_a_trial_fails() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.failed(Weight::Decisive, now, now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let due = breaker.trial_due().unwrap();
            waits.push((due - now).as_millis());
            now = due;
            breaker.begin_trial();
            breaker.failed(Weight::Some, now, now);
        }
        assert_eq!(
            waits,
            [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        );
    }

    #[test]
    fn a_flapping_upstream_is_trusted_less_each_time_until_it_holds() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        let open_for = |breaker: &mut Breaker, now| {
            assert_eq!(breaker.failed(Weight::Decisive, now, now), Change::Opened);
            let due = breaker.trial_due().unwrap();
            breaker.begin_trial();
            breaker.succeeded(due);
            (due - now, due)
        };
        let (first, now) = open_for(&mut breaker, start);
        let (second, now) = open_for(&mut breaker, at(now, 1000));
        let (third, _) = open_for(&mut breaker, at(now, 31_000));
        assert_eq!((second, third), (first * 2, first));
    }

    #[test]
    fn whoever_was_heard_of_meanwhile_is_not_out_of_reach() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        breaker.succeeded(at(start, 500));
        let change = breaker.failed(Weight::Decisive, start, at(start, 1000));
        assert_eq!(change, Change::None);
        let change = breaker.failed(Weight::Decisive, at(start, 600), at(start, 1600));
        assert_eq!(change, Change::Opened);
    }

    #[test]
    fn one_in_twelve_failures_never_opens_it_and_three_in_five_do() {
        let start = Instant::now();
        let run = |fails: fn(u32) -> bool| {
            let mut breaker = Breaker::default();
            (0..10_000_u32).any(|n| {
                let now = at(start, u64::from(n));
                let change = if fails(n) {
                    breaker.failed(Weight::Some, now, now)
                } else {
                    breaker.succeeded(now)
                };
                change == Change::Opened
            })
        };
        assert!(!run(|n| n % 12 == 0));
        assert!(run(|n| n % 5 < 3));
    }

    proptest! {
        #[test]
        fn it_is_open_only_with_a_trial_due(steps in prop::collection::vec((0..5_u8, 0..2000_u64), 0..200)) {
            let start = Instant::now();
            let mut breaker = Breaker::default();
            let mut now = start;
            for (step, millis) in steps {
                now += Duration::from_millis(millis);
                match step {
                    0 => { breaker.succeeded(now); }
                    1 => { breaker.failed(Weight::Nothing, now, now); }
                    2 => { breaker.failed(Weight::Some, now, now); }
                    3 => { breaker.failed(Weight::Decisive, now, now); }
                    _ => breaker.begin_trial(),
                }
                let open = breaker.state() == BreakerState::Open;
                prop_assert_eq!(open, breaker.trial_due().is_some());
                if let Some(due) = breaker.trial_due() {
                    prop_assert!(due <= now + LONGEST);
                }
            }
        }
    }
}
