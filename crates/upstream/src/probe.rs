//! Asks upstreams whether they answer: those that are left alone until they do, the others while anybody is interested.
//! An idle server asks nobody.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::jittered;
use crate::breaker::BreakerState;
use crate::chain::{Inner, outcome_of_small};
use crate::health::Kind;
use crate::http::NoAnswer;
use crate::observe::{Event, Outcome};
use crate::upstream::Upstream;
use crate::{Expect, Request, Via};

/// After so long without a request, upstreams that are well are no longer asked.
const INTEREST: Duration = Duration::from_secs(30);
/// No wait is shorter.
const LEAST_WAIT: Duration = Duration::from_millis(20);

/// Whether and what to probe. The work is done by a task that ends when there is nothing to watch.
pub(crate) struct Prober {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_running: bool,
    last_interest: Option<Instant>,
    question: Option<Request>,
}

impl Prober {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::default(),
        }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// Somebody is interested: upstreams are watched from now on, with a request like this one.
    pub(crate) fn wake(&self, chain: &Arc<Inner>, request: &Request) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_interest = Some(Instant::now());
        if matches!(
            request.expect,
            Expect::Info(_) | Expect::List | Expect::Opaque
        ) {
            state.question = Some(Request {
                revalidate: None,
                traceparent: None,
                via: Via::default(),
                ..request.clone()
            });
        }
        if !state.is_running {
            state.is_running = true;
            tokio::spawn(watch(Arc::downgrade(chain)));
        }
    }

    /// What to ask, and whether anybody was interested lately. `None`: there is nothing to watch any more, and the task
    /// that asks counts as ended.
    fn look(
        &self,
        now: Instant,
        someone_is_ill: bool,
        is_quiet: bool,
    ) -> Option<(Option<Request>, bool)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let interest = state
            .last_interest
            .is_some_and(|last| now.saturating_duration_since(last) < INTEREST);
        if (interest || someone_is_ill) && !is_quiet {
            return Some((state.question.clone(), interest));
        }
        state.is_running = false;
        None
    }
}

async fn watch(chain: Weak<Inner>) {
    loop {
        let Some(wait) = round(&chain).await else {
            return;
        };
        tokio::time::sleep(wait.max(LEAST_WAIT)).await;
    }
}

/// Probes whoever is due; returns how long nobody will be. `None`: there is nothing left to watch.
async fn round(chain: &Weak<Inner>) -> Option<Duration> {
    let inner = chain.upgrade()?;
    let now = Instant::now();
    let mut watched = inner.upstreams.clone();
    watched.extend(
        inner
            .databases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned(),
    );
    let someone_is_ill = watched.iter().any(|upstream| is_ill(upstream));
    let is_quiet = inner.is_quiet.load(Ordering::Relaxed);
    let (question, interest) = inner.prober.look(now, someone_is_ill, is_quiet)?;
    let interval = inner.prober.interval;
    let mut changes: Vec<_> = watched
        .iter()
        .map(|upstream| upstream.health.changes())
        .collect();
    let mut next = interval;
    for (place, upstream) in watched.iter().enumerate() {
        let is_database = place >= inner.upstreams.len();
        let due = match upstream.health.trial_due() {
            Some(due) => Some(due),
            None if is_ill(upstream) || is_database || !interest => None,
            // Whoever has answered a moment ago needs no probe.
            None => Some(
                upstream
                    .health
                    .last_answer()
                    .map_or(now + interval, |last| last + interval),
            ),
        };
        match (due, &question) {
            (Some(due), Some(question)) if due <= now => {
                tokio::spawn(probe(upstream.clone(), question_for(is_database, question)));
            }
            (Some(due), _) => next = next.min(due.saturating_duration_since(now)),
            (None, _) => {}
        }
    }
    drop((inner, watched));
    if changes.is_empty() {
        return Some(jittered(next, fastrand::f64()));
    }
    // A breaker that opens changes what is due.
    let changed = futures_util::future::select_all(
        changes.iter_mut().map(|change| Box::pin(change.changed())),
    );
    let _either = tokio::time::timeout(jittered(next, fastrand::f64()), changed).await;
    Some(Duration::ZERO)
}

fn is_ill(upstream: &Upstream) -> bool {
    upstream.health.snapshot().breaker != BreakerState::Closed
}

/// A database has no modules; it knows its latest tree.
fn question_for(is_database: bool, question: &Request) -> Request {
    if !is_database {
        return question.clone();
    }
    Request {
        path: "latest".to_owned(),
        expect: Expect::Text,
        ..question.clone()
    }
}

async fn probe(upstream: Arc<Upstream>, question: Request) {
    let health = &upstream.health;
    health.begin_trial();
    health.count(Event::Probe);
    let began = Instant::now();
    match upstream.fetch_small(&question).await {
        Ok(small) => health.answered(Kind::Small, outcome_of_small(&small), began),
        Err(NoAnswer::Absent(_) | NoAnswer::Circle(_) | NoAnswer::NotServed) => {
            health.answered(Kind::Small, Outcome::Absent, began);
        }
        Err(NoAnswer::Failed(failure)) => health.failed(&failure, began),
    }
}
