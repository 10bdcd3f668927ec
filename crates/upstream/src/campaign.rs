//! One request, put to several upstreams until one has an answer: whom to ask next, when to lose patience, whom to ask
//! again, and when to give up.

use std::time::Duration;

use fault::Label;
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::Failure;
use crate::backoff::{jittered, pause};
use crate::health::{Health, Kind};
use crate::http::NoAnswer;
use crate::observe::{Event, Outcome};
use crate::severity::{is_outage, tries};
use crate::tally::Tally;

/// The longest wait that an upstream asks for and gets; of a longer one, whoever asked is told.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How often one request is sent to one upstream, for whatever reasons.
const MOST_AT_ONE: u32 = 3;

/// How often it is looked whether an upstream is back, when that is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// How often one request, unless others have found it to be back, asks an upstream that is out of reach.
const KNOCK: Duration = Duration::from_millis(500);

/// One upstream, and how to put the request to it.
pub(crate) struct Entrant<'a, T> {
    pub(crate) health: &'a Health,
    /// Whether its "not found" settles the matter.
    pub(crate) is_authority: bool,
    pub(crate) ask: Box<dyn Fn() -> BoxFuture<'a, Result<T, NoAnswer>> + Send + Sync + 'a>,
}

/// How a request is to be put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) kind: Kind,
    /// When an answer is due, whatever it is.
    pub(crate) deadline: Duration,
    /// How long an outage is sat out, from its beginning.
    pub(crate) outage: Duration,
}

/// Puts a request to upstreams, in their order. Returns the first usable answer; every other try is cancelled.
pub(crate) async fn run<'a, T: 'a>(
    entrants: &[Entrant<'a, T>],
    terms: Terms,
    outcome: impl Fn(&T) -> Outcome,
) -> Result<T, Tally> {
    let mut campaign = Campaign::new(entrants, terms);
    match campaign.answer(outcome).await {
        Some(answer) => Ok(answer),
        None => Err(campaign.into_tally()),
    }
}

/// One try under way.
struct Attempt {
    id: usize,
    entrant: usize,
    began: Instant,
    /// When a hedge may be sent.
    hedge: Option<Instant>,
    /// When it looks as if nothing came any more.
    suspect: Instant,
    /// When the same upstream may be asked beside it.
    alone: Instant,
    /// Whether somebody else was asked because of it.
    is_covered: bool,
}

impl Attempt {
    /// When this try no longer keeps others from being asked.
    fn impatient_at(&self) -> Instant {
        self.hedge.unwrap_or(self.suspect).min(self.suspect)
    }
}

/// Where one upstream stands in this request.
#[derive(Default)]
struct Standing {
    started: u32,
    failed: u32,
    said: Option<NoAnswer>,
    /// When it may be asked again; `None`: not at all.
    again: Option<Instant>,
    /// When it failed, if that looks like an outage that may soon be over.
    out: Option<Outage>,
}

#[derive(Clone, Copy)]
struct Outage {
    failed: Instant,
    /// When this request asks it again.
    knock: Instant,
}

struct Campaign<'c, 'a, T: 'a> {
    entrants: &'c [Entrant<'a, T>],
    terms: Terms,
    deadline: Instant,
    standings: Vec<Standing>,
    attempts: Vec<Attempt>,
    next_id: usize,
    is_settled: bool,
}

/// What to do now.
enum Step {
    Start(usize, Reason),
    Wait(Instant),
    GiveUp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    First,
    Hedge,
    Retry,
}

enum News<T> {
    /// The try with this number is over.
    Ended(usize, Result<T, NoAnswer>),
    /// The breaker of this upstream has changed.
    Changed(usize),
}

impl<'c, 'a, T: 'a> Campaign<'c, 'a, T> {
    fn new(entrants: &'c [Entrant<'a, T>], terms: Terms) -> Self {
        let now = Instant::now();
        for entrant in entrants {
            entrant.health.consider(now);
        }
        Self {
            entrants,
            terms,
            deadline: now + terms.deadline,
            standings: entrants.iter().map(|_| Standing::default()).collect(),
            attempts: Vec::new(),
            next_id: 0,
            is_settled: false,
        }
    }

    async fn answer(&mut self, outcome: impl Fn(&T) -> Outcome) -> Option<T> {
        let mut news = FuturesUnordered::<BoxFuture<'a, News<T>>>::new();
        loop {
            let now = Instant::now();
            let until = match self.next(now) {
                Step::GiveUp => return None,
                Step::Wait(until) => until,
                Step::Start(entrant, reason) => {
                    news.extend(self.start(entrant, reason, now));
                    continue;
                }
            };
            let next = tokio::select! {
                biased;
                next = news.next(), if !news.is_empty() => next,
                () = tokio::time::sleep_until(until) => None,
            };
            match next {
                None if Instant::now() >= self.deadline => {
                    self.out_of_time();
                    return None;
                }
                None => {}
                Some(News::Changed(entrant)) => self.suspect(entrant),
                Some(News::Ended(id, Ok(answer))) => {
                    self.won(id, outcome(&answer));
                    return Some(answer);
                }
                Some(News::Ended(id, Err(no_answer))) => self.heard(id, no_answer),
            }
        }
    }

    /// The whole strategy.
    fn next(&self, now: Instant) -> Step {
        if self.is_settled || now >= self.deadline {
            return Step::GiveUp;
        }
        let impatient_at = self.attempts.iter().map(Attempt::impatient_at).max();
        // While the last one asked may still answer in time, nobody else is asked.
        if let Some(at) = impatient_at.filter(|at| *at > now) {
            return Step::Wait(at.min(self.deadline));
        }
        let reason = if self.attempts.is_empty() {
            Reason::First
        } else {
            Reason::Hedge
        };
        let fresh = |health: &Health| health.admits(now);
        if let Some(entrant) = self.untried().find(|i| fresh(self.entrants[*i].health)) {
            return Step::Start(entrant, reason);
        }
        if let Some(at) = self.next_retry() {
            return self.retry(at, now);
        }
        if self.attempts.is_empty() {
            return self.last_resort(now);
        }
        self.beside(now)
    }

    /// The upstreams that this request was not put to yet, in order.
    fn untried(&self) -> impl Iterator<Item = usize> {
        self.standings
            .iter()
            .enumerate()
            .filter(|(_, standing)| standing.started == 0)
            .map(|(index, _)| index)
    }

    /// Who may be asked again first, and when.
    fn next_retry(&self) -> Option<(Instant, usize)> {
        self.standings
            .iter()
            .enumerate()
            .filter_map(|(index, standing)| Some((standing.again?, index)))
            .min()
    }

    fn retry(&self, (at, entrant): (Instant, usize), now: Instant) -> Step {
        if at > now {
            Step::Wait(at.min(self.deadline))
        } else {
            Step::Start(entrant, Reason::Retry)
        }
    }

    /// All that went there as a matter of course have been asked, and none is asked again.
    fn last_resort(&self, now: Instant) -> Step {
        let someone_says_absent = self
            .standings
            .iter()
            .any(|standing| matches!(standing.said, Some(NoAnswer::Absent(_))));
        for entrant in self.untried() {
            let health = self.entrants[entrant].health;
            if let Some(until) = health.rests_until(now) {
                // It has asked to be left alone; that is waited for if there is time.
                if until < self.deadline.min(now + LONGEST_WAIT) {
                    return Step::Wait(until);
                }
                continue;
            }
            // An answer may still be had, so even the least likely are asked. To confirm an absence, only those are
            // asked that may have had but a hiccup: else each absence cost as long as finding out that they are dead.
            if !someone_says_absent || health.is_fresh() {
                return Step::Start(entrant, Reason::First);
            }
        }
        if someone_says_absent {
            return Step::GiveUp;
        }
        self.sit_out(now)
    }

    /// Nobody can be asked. If that has only just begun, it is waited for the first to come back.
    fn sit_out(&self, now: Instant) -> Step {
        let mut wait = Step::GiveUp;
        for (entrant, standing) in self.standings.iter().enumerate() {
            let health = self.entrants[entrant].health;
            let Some(outage) = standing.out else { continue };
            if health.last_answer().is_some_and(|at| at > outage.failed) {
                return Step::Start(entrant, Reason::First);
            }
            let Some(since) = health.out_since() else {
                continue;
            };
            if now >= since + self.terms.outage {
                continue;
            }
            if outage.knock <= now {
                return Step::Start(entrant, Reason::Retry);
            }
            wait = Step::Wait((now + LOOK).min(self.deadline));
        }
        wait
    }

    /// What to do beside tries that take too long, when all that are well have been asked: ask one of those again, by a
    /// request of its own, and in need one that is not well.
    fn beside(&self, now: Instant) -> Step {
        let may_be_asked_again = |attempt: &&Attempt| {
            self.standings[attempt.entrant].started < MOST_AT_ONE
                && self.entrants[attempt.entrant].health.admits(now)
        };
        // That all of several are far slower than usual, at the same time and for this request, is rather something else.
        let is_one_of_several = self.attempts.len() > 1;
        let due = |attempt: &Attempt| {
            if is_one_of_several {
                attempt.suspect
            } else {
                attempt.suspect.max(attempt.alone)
            }
        };
        let again = self
            .attempts
            .iter()
            .filter(may_be_asked_again)
            .map(|attempt| (due(attempt), attempt.entrant))
            .min();
        let in_need = self
            .untried()
            .find(|i| self.entrants[*i].health.rests_until(now).is_none())
            .and_then(|entrant| {
                let all_suspect = self.attempts.iter().map(|attempt| attempt.suspect).max()?;
                Some((all_suspect, entrant))
            });
        // At the same time, rather one that is well.
        match again
            .into_iter()
            .chain(in_need)
            .min_by_key(|(at, _)| (*at).max(now))
        {
            Some((at, entrant)) if at <= now => Step::Start(entrant, Reason::Hedge),
            Some((at, _)) => Step::Wait(at.min(self.end_of_rest(now))),
            None => Step::Wait(self.end_of_rest(now)),
        }
    }

    /// When the first of those that have asked to be left alone may be asked; at the latest when an answer is due.
    fn end_of_rest(&self, now: Instant) -> Instant {
        (self.untried())
            .filter_map(|entrant| self.entrants[entrant].health.rests_until(now))
            .fold(self.deadline, Instant::min)
    }

    fn start(
        &mut self,
        entrant: usize,
        reason: Reason,
        now: Instant,
    ) -> impl IntoIterator<Item = BoxFuture<'a, News<T>>> + use<'a, T> {
        let Entrant { health, ask, .. } = &self.entrants[entrant];
        let standing = &mut self.standings[entrant];
        let is_paid_for = match reason {
            Reason::First => true,
            Reason::Retry => health.may_retry(now),
            // When the one asked before is known to be out of reach, this is no luxury.
            Reason::Hedge => {
                let known_bad =
                    |attempt: &Attempt| !self.entrants[attempt.entrant].health.admits(now);
                self.attempts.iter().any(known_bad)
                    || health.may_hedge(now)
                    || self.attempts.iter().all(|attempt| attempt.suspect <= now)
                        && health.may_retry(now)
            }
        };
        for attempt in &mut self.attempts {
            if reason == Reason::Hedge && !is_paid_for && attempt.suspect > now {
                // No hedge; ask again when it looks as if nothing came any more.
                attempt.hedge = None;
            } else {
                attempt.is_covered = true;
            }
        }
        if !is_paid_for {
            if reason == Reason::Retry {
                standing.again = None;
                if let Some(outage) = &mut standing.out {
                    outage.knock = now + jittered(KNOCK, fastrand::f64());
                }
            } else if self.attempts.iter().all(|attempt| attempt.suspect <= now) {
                // There may be means later.
                for attempt in &mut self.attempts {
                    attempt.suspect = now + jittered(KNOCK, fastrand::f64());
                }
            }
            return Vec::new();
        }
        health.deposit(now);
        match reason {
            Reason::First => {}
            Reason::Hedge => health.count(Event::Hedge),
            Reason::Retry => health.count(Event::Retry),
        }
        standing.started += 1;
        standing.again = None;
        standing.out = None;
        let id = self.next_id;
        self.next_id += 1;
        let patience = health.patience(self.terms.kind);
        self.attempts.push(Attempt {
            id,
            entrant,
            began: now,
            hedge: patience.hedge.map(|after| now + after),
            suspect: now + patience.suspect,
            alone: now + patience.alone,
            is_covered: false,
        });
        let mut changes = health.changes();
        let watch = async move {
            // The sender lives as long as the upstream.
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            News::Changed(entrant)
        };
        vec![
            ask().map(move |answer| News::Ended(id, answer)).boxed(),
            watch.boxed(),
        ]
    }

    /// Others have found that an upstream is out of reach: those who wait for it move on.
    fn suspect(&mut self, entrant: usize) {
        let now = Instant::now();
        if self.entrants[entrant].health.admits(now) {
            return;
        }
        for attempt in self
            .attempts
            .iter_mut()
            .filter(|attempt| attempt.entrant == entrant)
        {
            attempt.suspect = attempt.suspect.min(now);
        }
    }

    fn take_attempt(&mut self, id: usize) -> Option<Attempt> {
        let place = self.attempts.iter().position(|attempt| attempt.id == id)?;
        Some(self.attempts.remove(place))
    }

    fn won(&mut self, id: usize, outcome: Outcome) {
        let kind = self.terms.kind;
        if let Some(attempt) = self.take_attempt(id) {
            self.entrants[attempt.entrant]
                .health
                .answered(kind, outcome, attempt.began);
        }
        let now = Instant::now();
        for attempt in self.attempts.drain(..) {
            let suspect = attempt.is_covered && attempt.suspect <= now;
            self.entrants[attempt.entrant]
                .health
                .abandoned(kind, attempt.began, suspect);
        }
    }

    fn heard(&mut self, id: usize, no_answer: NoAnswer) {
        let Some(attempt) = self.take_attempt(id) else {
            return;
        };
        let entrant = attempt.entrant;
        let Entrant {
            health,
            is_authority,
            ..
        } = &self.entrants[entrant];
        let now = Instant::now();
        let standing = &mut self.standings[entrant];
        standing.again = None;
        match &no_answer {
            NoAnswer::Absent(_) => {
                self.is_settled |= *is_authority;
                health.answered(self.terms.kind, Outcome::Absent, attempt.began);
            }
            // It answers, and has nothing to say.
            NoAnswer::Circle(_) => {
                health.answered(self.terms.kind, Outcome::Absent, attempt.began);
            }
            NoAnswer::NotServed => {}
            NoAnswer::Failed(failure) => {
                health.failed(failure, attempt.began);
                standing.failed += 1;
                standing.out = is_outage(failure.label).then(|| Outage {
                    failed: now,
                    knock: now + jittered(KNOCK, fastrand::f64()),
                });
                if standing.failed < tries(failure.label) {
                    let wait = pause(standing.failed, fastrand::f64());
                    let wait = wait.max(failure.retry_after.unwrap_or_default());
                    let is_worth_it = wait <= LONGEST_WAIT && now + wait < self.deadline;
                    standing.again = is_worth_it.then_some(now + wait);
                }
            }
        }
        standing.said = Some(no_answer);
    }

    fn out_of_time(&mut self) {
        let limit = self.terms.deadline;
        for attempt in std::mem::take(&mut self.attempts) {
            let health = self.entrants[attempt.entrant].health;
            let failure = Failure {
                source: health.source().to_owned(),
                label: Label::GoproxySlow,
                detail: format!("{}: no answer within {limit:?}", health.source()),
                retry_after: None,
            };
            health.failed(&failure, attempt.began);
            self.standings[attempt.entrant].said = Some(NoAnswer::Failed(failure));
        }
    }

    fn into_tally(self) -> Tally {
        let mut tally = Tally::default();
        for (entrant, standing) in self.entrants.iter().zip(self.standings) {
            let said = standing.said.unwrap_or_else(|| not_asked(entrant.health));
            tally.add(said, entrant.is_authority);
        }
        tally
    }
}

/// What is said for an upstream that was left alone: it could not be asked, and why.
fn not_asked(health: &Health) -> NoAnswer {
    let rest = health.rests_until(Instant::now());
    let last = health.last_failure();
    let why = last
        .as_ref()
        .map_or("it is out of reach", |failure| failure.detail.as_str());
    NoAnswer::Failed(Failure {
        source: health.source().to_owned(),
        label: last
            .as_ref()
            .map_or(Label::GoproxySlow, |failure| failure.label),
        detail: format!("{} was not asked again: {why}", health.source()),
        retry_after: rest.map(|until| until.saturating_duration_since(Instant::now())),
    })
}
