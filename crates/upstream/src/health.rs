//! What is known of one upstream: whether it answers, how fast, and what it may still be asked to bear.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fault::Label;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Failure;
use crate::breaker::{Breaker, BreakerState, Change};
use crate::budget::Budget;
use crate::latency::Latency;
use crate::observe::{Event, Observer, Outcome};
use crate::severity::{is_outage, weight};

/// The longest that an upstream's `Retry-After` keeps other requests away from it.
const LONGEST_REST: Duration = Duration::from_mins(1);
/// How long a request waits before the next upstream is asked, too, while nothing is known of the usual time.
const PATIENCE: Duration = Duration::from_secs(1);
/// The bounds of that wait when something is known.
const LEAST_PATIENCE: Duration = Duration::from_millis(250);
const MOST_PATIENCE: Duration = Duration::from_secs(2);
/// How long one try is left alone with an upstream before that same upstream is asked again beside it. Longer than the
/// patience before another is asked: where nobody else is there to ask, a second request is of use against a connection
/// that has died, and against slowness it is but more load.
const LEFT_ALONE: Duration = Duration::from_secs(1);
/// The same while nothing is known of the usual time: it may well be slow.
const LEFT_ALONE_AT_FIRST: Duration = Duration::from_secs(3);
const LEFT_ALONE_AT_MOST: Duration = Duration::from_secs(10);
/// No hedge comes earlier.
const LEAST_HEDGE: Duration = Duration::from_millis(10);

/// What a request is for. Zips are measured to their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Small,
    Zip,
}

/// What is known of one upstream. Shared by all requests, probes and transfers.
pub(crate) struct Health {
    source: String,
    observer: Arc<dyn Observer>,
    state: Mutex<State>,
    /// Counts how often the breaker changed.
    changes: watch::Sender<u64>,
}

struct State {
    breaker: Breaker,
    small: Latency,
    zip: Latency,
    /// A share of the requests that are sent there.
    retries: Budget,
    /// A share of the requests that might be: a second upstream is sent few others.
    hedges: Budget,
    rests_until: Option<Instant>,
    last_failure: Option<Failure>,
    last_answer: Option<Instant>,
    /// The first of the failures in a row that show it to be out of reach.
    out_since: Option<Instant>,
    /// Moving average of the share of failures.
    failing: f64,
    counts: Counts,
}

/// What was done about trouble with an upstream, since the chain was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Further tries of a request.
    pub retries: u64,
    /// Requests sent although an earlier one was still under way elsewhere.
    pub hedges: u64,
    /// Transfers that were taken up here after they had been cut.
    pub resumed: u64,
    /// How often the breaker has opened.
    pub openings: u64,
    /// Health probes sent.
    pub probes: u64,
}

/// When to lose patience with a try.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// After what 19 of 20 answers take; `None` when unknown, and for zips.
    pub(crate) hedge: Option<Duration>,
    /// When it looks as if no answer were to come.
    pub(crate) suspect: Duration,
    /// When the same upstream is asked again beside it.
    pub(crate) alone: Duration,
}

/// A view of an upstream's health at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) breaker: BreakerState,
    pub(crate) average: Option<Duration>,
    pub(crate) p95: Option<Duration>,
    pub(crate) failing: f64,
    pub(crate) last_failure: Option<Failure>,
    pub(crate) counts: Counts,
}

impl Health {
    pub(crate) fn new(source: String, observer: Arc<dyn Observer>) -> Self {
        let now = Instant::now();
        Self {
            source,
            observer,
            state: Mutex::new(State {
                breaker: Breaker::default(),
                small: Latency::default(),
                zip: Latency::default(),
                retries: Budget::new(20.0, 0.2, 1.0, now),
                hedges: Budget::new(10.0, 0.1, 0.5, now),
                rests_until: None,
                last_failure: None,
                last_answer: None,
                out_since: None,
                failing: 0.0,
                counts: Counts::default(),
            }),
            changes: watch::Sender::new(0),
        }
    }

    /// The upstream, without credentials.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever the breaker does.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether requests go there as a matter of course.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let state = self.state();
        state.breaker.state() == BreakerState::Closed
            && state.rests_until.is_none_or(|until| until <= now)
    }

    /// Until when it has asked to be left alone.
    pub(crate) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.state().rests_until.filter(|until| *until > now)
    }

    /// Whether the breaker is open for the first time in a row.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state().breaker.is_fresh()
    }

    /// When a trial is due, if the breaker is open.
    pub(crate) fn trial_due(&self) -> Option<Instant> {
        self.state().breaker.trial_due()
    }

    pub(crate) fn begin_trial(&self) {
        self.state().breaker.begin_trial();
    }

    /// When it last answered anything.
    pub(crate) fn last_answer(&self) -> Option<Instant> {
        self.state().last_answer
    }

    /// Since when it has been out of reach.
    pub(crate) fn out_since(&self) -> Option<Instant> {
        self.state().out_since
    }

    /// The last failure, unless it has answered since.
    pub(crate) fn last_failure(&self) -> Option<Failure> {
        self.state().last_failure.clone()
    }

    /// How long to wait for an answer before somebody else is asked, too.
    pub(crate) fn patience(&self, kind: Kind) -> Patience {
        let state = self.state();
        let latency = state.latency(kind);
        let p95 = latency.p95();
        let least_alone = p95.map_or(LEFT_ALONE_AT_FIRST, |_| LEFT_ALONE);
        Patience {
            hedge: p95
                .filter(|_| kind == Kind::Small)
                .map(|p95| p95.max(LEAST_HEDGE)),
            suspect: p95.map_or(PATIENCE, |p95| {
                far_slower(p95).clamp(LEAST_PATIENCE, MOST_PATIENCE)
            }),
            alone: p95
                .or(latency.longest())
                .map_or(least_alone, far_slower)
                .clamp(least_alone, LEFT_ALONE_AT_MOST),
        }
    }

    /// When it looks as if no more of a zip were to come; `None` while it is not known how long it usually takes.
    pub(crate) fn usual_patience(&self) -> Option<Duration> {
        let p95 = self.state().zip.p95()?;
        Some(far_slower(p95).clamp(LEAST_PATIENCE, MOST_PATIENCE))
    }

    /// There is a request that may come to be sent there.
    pub(crate) fn consider(&self, now: Instant) {
        self.state().hedges.deposit(now);
    }

    /// A request is about to be sent.
    pub(crate) fn deposit(&self, now: Instant) {
        self.state().retries.deposit(now);
    }

    /// Whether a request that failed may be sent again.
    pub(crate) fn may_retry(&self, now: Instant) -> bool {
        self.state().retries.withdraw(now)
    }

    /// Whether a request may be sent elsewhere before this upstream has answered.
    pub(crate) fn may_hedge(&self, now: Instant) -> bool {
        self.state().hedges.withdraw(now)
    }

    /// An exchange that began at `began` has ended with an answer, or with the word that there is none.
    pub(crate) fn answered(&self, kind: Kind, outcome: Outcome, began: Instant) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(began);
        let change = {
            let mut state = self.state();
            state.latency_mut(kind).record(elapsed);
            state.last_failure = None;
            state.last_answer = Some(now);
            state.out_since = None;
            state.failing *= 0.8;
            state.breaker.succeeded(now)
        };
        self.announce(change);
        self.observer.exchange(&self.source, outcome, elapsed);
    }

    /// An exchange has failed.
    pub(crate) fn failed(&self, failure: &Failure, began: Instant) {
        tracing::warn!(upstream = %failure.source, label = %failure.label, detail = %failure.detail, "an upstream failed");
        let now = Instant::now();
        self.learn(failure, began, now);
        self.observer.exchange(
            &self.source,
            Outcome::Failed(failure.label),
            now.saturating_duration_since(began),
        );
    }

    /// Something that came from here was found to be wrong later, or a transfer broke off.
    pub(crate) fn blame(&self, failure: &Failure, began: Instant) {
        tracing::warn!(upstream = %failure.source, label = %failure.label, detail = %failure.detail, "an upstream's answer was no good");
        self.learn(failure, began, Instant::now());
    }

    fn learn(&self, failure: &Failure, began: Instant, now: Instant) {
        let change = {
            let mut state = self.state();
            state.last_failure = Some(failure.clone());
            if is_outage(failure.label) {
                state.out_since.get_or_insert(began);
            }
            state.failing += 0.2 * (1.0 - state.failing);
            if failure.label == Label::Goproxy429
                && let Some(rest) = failure.retry_after
            {
                state.rests_until = Some(now + rest.min(LONGEST_REST));
            }
            state.breaker.failed(weight(failure.label), began, now)
        };
        self.announce(change);
    }

    /// A try was given up because somebody else answered. `suspect`: it had taken far longer than usual.
    pub(crate) fn abandoned(&self, kind: Kind, began: Instant, suspect: bool) {
        let now = Instant::now();
        let change = {
            let mut state = self.state();
            let elapsed = now.saturating_duration_since(began);
            state.latency_mut(kind).record_abandoned(elapsed);
            if suspect {
                state.failing += 0.2 * (1.0 - state.failing);
                state
                    .breaker
                    .failed(crate::breaker::Weight::Some, began, now)
            } else {
                Change::None
            }
        };
        self.announce(change);
    }

    /// Something was done about trouble.
    pub(crate) fn count(&self, event: Event) {
        {
            let counts = &mut self.state().counts;
            let counter = match event {
                Event::Retry => &mut counts.retries,
                Event::Hedge => &mut counts.hedges,
                Event::Resumed => &mut counts.resumed,
                Event::BreakerOpened => &mut counts.openings,
                Event::Probe => &mut counts.probes,
                Event::BreakerClosed => return,
            };
            *counter += 1;
        }
        self.observer.event(&self.source, event);
    }

    fn announce(&self, change: Change) {
        match change {
            Change::None => return,
            Change::Opened => {
                tracing::warn!(upstream = %self.source, "requests go elsewhere until it answers again");
                self.count(Event::BreakerOpened);
            }
            Change::Closed => {
                tracing::info!(upstream = %self.source, "it answers again");
                self.observer.event(&self.source, Event::BreakerClosed);
            }
        }
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        Snapshot {
            breaker: state.breaker.state(),
            average: state.small.average().or(state.zip.average()),
            p95: state.small.p95(),
            failing: state.failing,
            last_failure: state.last_failure.clone(),
            counts: state.counts,
        }
    }
}

/// Far longer than what answers usually take.
fn far_slower(usual: Duration) -> Duration {
    usual * 3 + Duration::from_millis(50)
}

impl State {
    fn latency(&self, kind: Kind) -> &Latency {
        match kind {
            Kind::Small => &self.small,
            Kind::Zip => &self.zip,
        }
    }

    fn latency_mut(&mut self, kind: Kind) -> &mut Latency {
        match kind {
            Kind::Small => &mut self.small,
            Kind::Zip => &mut self.zip,
        }
    }
}
