//! Requests to upstreams that exist on paper, on a clock that is not waited for.

mod builds;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fault::Label;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::campaign::{Entrant, Terms, run};
use crate::health::{Health, Kind};
use crate::http::NoAnswer;
use crate::observe::{Event, Observer, Outcome};
use crate::tally::Tally;
use crate::{Absence, Failure};

/// What an upstream does with a request.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(Duration),
    Absent(Duration),
    Fail(Label, Duration),
    RetryAfter(Label, Duration),
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const SOUND: Does = Does::Answer(ms(20));
const REFUSED: Does = Does::Fail(Label::TcpRefused, ms(1));
const BLACK_HOLE: Does = Does::Fail(Label::TcpTimeout, ms(1000));
const HANGS: Does = Does::Fail(Label::GoproxySlow, Duration::from_secs(30));

type Script = Box<dyn Fn(u32) -> Does + Send + Sync>;

struct Mirror {
    health: Health,
    script: Mutex<Script>,
    asked: AtomicU32,
}

impl Mirror {
    fn new(name: &str, script: impl Fn(u32) -> Does + Send + Sync + 'static) -> Self {
        Self {
            health: Health::new(format!("https://{name}.example.com"), Arc::new(Nobody)),
            script: Mutex::new(Box::new(script)),
            asked: AtomicU32::new(0),
        }
    }

    fn now_does(&self, script: impl Fn(u32) -> Does + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    async fn ask(&self) -> Result<&str, NoAnswer> {
        let does = (self.script.lock().unwrap())(self.asked.fetch_add(1, Ordering::Relaxed));
        let source = self.health.source();
        let failed = |label, retry_after| {
            NoAnswer::Failed(Failure {
                source: source.to_owned(),
                label,
                detail: "scripted".to_owned(),
                retry_after,
            })
        };
        match does {
            Does::Answer(after) => {
                tokio::time::sleep(after).await;
                Ok(source)
            }
            Does::Absent(after) => {
                tokio::time::sleep(after).await;
                Err(NoAnswer::Absent(Absence {
                    source: source.to_owned(),
                    gone: false,
                    reason: "scripted".to_owned(),
                }))
            }
            Does::Fail(label, after) => {
                tokio::time::sleep(after).await;
                Err(failed(label, None))
            }
            Does::RetryAfter(label, rest) => Err(failed(label, Some(rest))),
        }
    }
}

struct Nobody;

impl Observer for Nobody {
    fn exchange(&self, _: &str, _: Outcome, _: Duration) {}
    fn event(&self, _: &str, _: Event) {}
}

async fn ask_for<'a>(
    mirrors: &[&'a Mirror],
    kind: Kind,
    deadline: Duration,
) -> Result<&'a str, Tally> {
    let terms = Terms {
        kind,
        deadline,
        outage: Duration::ZERO,
    };
    ask_on(mirrors, terms).await
}

/// As a server does that is set to wait for the end of an outage.
async fn ask_patiently<'a>(mirrors: &[&'a Mirror]) -> Result<&'a str, Tally> {
    let terms = Terms {
        kind: Kind::Small,
        deadline: Duration::from_mins(1),
        outage: Duration::from_secs(10),
    };
    ask_on(mirrors, terms).await
}

async fn ask_on<'a>(mirrors: &[&'a Mirror], terms: Terms) -> Result<&'a str, Tally> {
    let entrants: Vec<Entrant<'a, &'a str>> = mirrors
        .iter()
        .map(|mirror| {
            let mirror: &'a Mirror = mirror;
            Entrant {
                health: &mirror.health,
                is_authority: false,
                ask: Box::new(move || mirror.ask().boxed()),
            }
        })
        .collect();
    run(&entrants, terms, |_| Outcome::Answered).await
}

async fn ask<'a>(mirrors: &[&'a Mirror]) -> Result<&'a str, Tally> {
    ask_for(mirrors, Kind::Small, Duration::from_mins(1)).await
}

async fn timed<T>(asking: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let answer = asking.await;
    (answer, began.elapsed())
}

fn labels(tally: &Tally) -> Vec<Label> {
    tally.failures.iter().map(|failure| failure.label).collect()
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_connection_the_next_is_asked_at_once() {
    let (dead, sound) = (Mirror::new("a", |_| REFUSED), Mirror::new("b", |_| SOUND));
    for _ in 0..10 {
        let (answer, took) = timed(ask(&[&dead, &sound])).await;
        assert_eq!(answer.unwrap(), sound.health.source());
        assert!(took < ms(50), "{took:?}");
    }
    assert_eq!(dead.asked(), 5, "after five in a row it is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_costs_one_connect_limit_and_only_once() {
    let (dead, sound) = (
        Mirror::new("a", |_| BLACK_HOLE),
        Mirror::new("b", |_| SOUND),
    );
    let together = (0..50).map(|n| {
        let mirrors = [&dead, &sound];
        async move {
            // They come one after the other within the first limit.
            tokio::time::sleep(ms(n * 20)).await;
            ask(&mirrors).await.unwrap();
            Instant::now()
        }
    });
    let began = Instant::now();
    let ends = futures_util::future::join_all(together).await;
    let last = ends.into_iter().max().unwrap() - began;
    assert!(last <= ms(1030), "{last:?}");
    dead.asked();
    for _ in 0..20 {
        let (answer, took) = timed(ask(&[&dead, &sound])).await;
        assert!(answer.is_ok() && took <= ms(25), "{took:?}");
    }
    assert_eq!(dead.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_left_alone_they_are_asked_all_the_same() {
    let (a, b) = (
        Mirror::new("a", |_| BLACK_HOLE),
        Mirror::new("b", |_| BLACK_HOLE),
    );
    let tally = ask(&[&a, &b]).await.unwrap_err();
    assert_eq!(labels(&tally), [Label::TcpTimeout; 2]);
    assert!(!a.health.admits(Instant::now()) && !b.health.admits(Instant::now()));
    b.now_does(|_| SOUND);
    assert_eq!(ask(&[&a, &b]).await.unwrap(), b.health.source());
    assert!(b.health.admits(Instant::now()), "it has answered");
}

#[tokio::test(start_paused = true)]
async fn who_is_left_alone_counts_as_not_asked_and_never_as_absent() {
    let (dead, knows) = (
        Mirror::new("a", |_| BLACK_HOLE),
        Mirror::new("b", |_| Does::Absent(ms(20))),
    );
    for n in 0..10 {
        let (tally, took) = timed(ask(&[&dead, &knows])).await;
        let tally = tally.unwrap_err();
        assert_eq!(labels(&tally), [Label::TcpTimeout], "{n}");
        assert!(tally.absence().is_err());
        let trial = dead.health.trial_due();
        if let Some(due) = trial {
            tokio::time::sleep_until(due).await;
            dead.health.begin_trial();
            let failure = Failure {
                source: dead.health.source().to_owned(),
                label: Label::TcpTimeout,
                detail: String::new(),
                retry_after: None,
            };
            dead.health.failed(&failure, due);
        }
        if n > 1 {
            assert!(took < ms(50), "nobody waits for the dead again: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn absent_is_believed_when_both_have_said_so_in_the_end() {
    let flaky = Mirror::new("a", |n| {
        if n < 2 {
            Does::Fail(Label::Goproxy5xx, ms(5))
        } else {
            Does::Absent(ms(5))
        }
    });
    let knows = Mirror::new("b", |_| Does::Absent(ms(5)));
    let tally = ask(&[&flaky, &knows]).await.unwrap_err();
    assert!(tally.absence().is_ok());
    assert_eq!((flaky.asked(), knows.asked()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_is_tried_thrice_and_a_wrong_password_once() {
    for (label, tries) in [
        (Label::Goproxy5xx, 3),
        (Label::GoproxyHtml, 3),
        (Label::Goproxy403, 3),
        (Label::Goproxy401, 1),
    ] {
        let mirror = Mirror::new("a", move |_| Does::Fail(label, ms(5)));
        let (tally, took) = timed(ask(&[&mirror])).await;
        assert_eq!(labels(&tally.unwrap_err()), [label]);
        assert_eq!(mirror.asked(), tries, "{label}");
        assert!(took < ms(200), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_asked_for_is_kept_if_there_is_time() {
    let busy = Mirror::new("a", |n| {
        if n == 0 {
            Does::RetryAfter(Label::Goproxy429, Duration::from_secs(7))
        } else {
            SOUND
        }
    });
    let (answer, took) = timed(ask(&[&busy])).await;
    assert!(
        answer.is_ok() && took >= Duration::from_secs(7) && took < Duration::from_secs(8),
        "{took:?}"
    );

    let busier = Mirror::new("a", |_| {
        Does::RetryAfter(Label::Goproxy429, Duration::from_mins(5))
    });
    for _ in 0..3 {
        let (tally, took) = timed(ask_for(&[&busier], Kind::Small, Duration::from_secs(30))).await;
        let tally = tally.unwrap_err();
        assert_eq!(labels(&tally), [Label::Goproxy429]);
        assert!(tally.failures[0].retry_after.unwrap() > Duration::from_secs(50));
        assert!(took < ms(5), "{took:?}");
    }
    assert_eq!(busier.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_whatever_hangs() {
    let (a, b) = (Mirror::new("a", |_| HANGS), Mirror::new("b", |_| HANGS));
    for kind in [Kind::Small, Kind::Zip] {
        let (tally, took) = timed(ask_for(&[&a, &b], kind, Duration::from_secs(5))).await;
        let tally = tally.unwrap_err();
        assert_eq!(labels(&tally), [Label::GoproxySlow; 2]);
        assert!(took <= ms(5001), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_overtaken_and_hedges_stay_a_small_share() {
    // One answer in 25 takes long.
    let primary = Mirror::new("a", |n| {
        Does::Answer(if n % 25 == 24 { ms(5000) } else { ms(20) })
    });
    let second = Mirror::new("b", |_| SOUND);
    let mut slowest = Duration::ZERO;
    for n in 0..1000 {
        let (answer, took) = timed(ask(&[&primary, &second])).await;
        answer.unwrap();
        if n > 50 {
            slowest = slowest.max(took);
        }
    }
    assert!(slowest < ms(300), "{slowest:?}");
    let share = f64::from(second.asked()) / 1000.0;
    assert!(share < 0.12, "{share}");
    assert_eq!(primary.asked(), 1000);
}

#[tokio::test(start_paused = true)]
async fn when_everything_is_slow_the_load_is_not_doubled() {
    let primary = Mirror::new("a", |n| Does::Answer(ms(if n < 100 { 20 } else { 900 })));
    let second = Mirror::new("b", |n| Does::Answer(ms(if n < 20 { 20 } else { 900 })));
    for _ in 0..600 {
        ask(&[&primary, &second]).await.unwrap();
    }
    // Time pays into the budgets, too, so that this is no sharp bound.
    let load = primary.asked() + second.asked();
    assert!(load < 1100, "{load}");
}

#[tokio::test(start_paused = true)]
async fn a_hang_at_the_only_upstream_is_asked_again_beside() {
    let only = Mirror::new("a", |n| if n == 30 { HANGS } else { SOUND });
    for _ in 0..40 {
        let (answer, took) = timed(ask(&[&only])).await;
        assert!(answer.is_ok() && took < ms(1100), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_upstream_is_not_asked_twice_because_it_is_slower_than_usual() {
    let only = Mirror::new("a", |n| Does::Answer(ms(if n % 9 == 8 { 900 } else { 20 })));
    for _ in 0..200 {
        ask(&[&only]).await.unwrap();
    }
    assert_eq!(only.asked(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_only_upstream_is_asked_once_for_each_file_however_slow_it_is_from_the_start() {
    for millis in [1000, 2500] {
        let only = Mirror::new("a", move |_| Does::Answer(ms(millis)));
        let mirrors = [&only];
        for _ in 0..5 {
            let crowd = (0..60).map(|_| ask(&mirrors));
            for answer in futures_util::future::join_all(crowd).await {
                answer.unwrap();
            }
        }
        assert_eq!(only.asked(), 300, "{millis}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_at_the_beginning_is_asked_again_beside_a_while_later() {
    let only = Mirror::new("a", |n| if n == 0 { HANGS } else { SOUND });
    let (answer, took) = timed(ask(&[&only])).await;
    assert!(answer.is_ok() && took < ms(3100), "{took:?}");
}

/// Fails so until some time after now, and is sound from then on.
fn back_after(down: Duration, failing: Does) -> impl Fn(u32) -> Does + Send + Sync + 'static {
    let back = Instant::now() + down;
    move |_| {
        if Instant::now() < back {
            failing
        } else {
            SOUND
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_sat_out_and_the_load_stays_small() {
    for failing in [REFUSED, BLACK_HOLE] {
        let (a, b) = (
            Mirror::new("a", back_after(ms(4000), failing)),
            Mirror::new("b", back_after(ms(4000), failing)),
        );
        let waiting = (0..60).map(|n| {
            let mirrors = [&a, &b];
            async move {
                tokio::time::sleep(ms(n * 30)).await;
                timed(ask_patiently(&mirrors)).await
            }
        });
        for (answer, took) in futures_util::future::join_all(waiting).await {
            assert!(answer.is_ok(), "{failing:?}: {took:?}");
            assert!(took < ms(7500), "{failing:?}: {took:?}");
        }
        // Two first tries and the answer for each, and at either what the budget of retries allows: 20, one a second, and
        // a fifth of the requests.
        let load = a.asked() + b.asked();
        assert!(load < 60 * 3 + 2 * (20 + 8 + 36), "{failing:?}: {load}");
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_long_outage_only_those_wait_who_came_at_its_beginning() {
    let (a, b) = (Mirror::new("a", |_| REFUSED), Mirror::new("b", |_| REFUSED));
    let (answer, took) = timed(ask_patiently(&[&a, &b])).await;
    assert_eq!(labels(&answer.unwrap_err()), [Label::TcpRefused; 2]);
    assert!(took >= ms(9000) && took < ms(11_000), "{took:?}");
    for _ in 0..20 {
        let (answer, took) = timed(ask_patiently(&[&a, &b])).await;
        assert!(answer.is_err() && took < ms(500), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_outage_is_over_for_the_first_who_asks_after_it() {
    let (a, b) = (
        Mirror::new("a", |_| BLACK_HOLE),
        Mirror::new("b", |_| REFUSED),
    );
    // Somebody asks every ten seconds.
    for _ in 0..360 {
        assert!(ask_patiently(&[&a, &b]).await.is_err());
        tokio::time::sleep(ms(10_000)).await;
    }
    let load = a.asked() + b.asked();
    assert!(load < 360 * 6 + 60, "{load}");
    a.now_does(|_| SOUND);
    b.now_does(|_| SOUND);
    let (answer, took) = timed(ask_patiently(&[&a, &b])).await;
    assert!(answer.is_ok() && took < ms(100), "{took:?}");
    for _ in 0..20 {
        assert!(ask_patiently(&[&a, &b]).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_outage_when_another_says_absent_or_fails_for_good() {
    let (out, knows) = (
        Mirror::new("a", |_| REFUSED),
        Mirror::new("b", |_| Does::Absent(ms(20))),
    );
    let (tally, took) = timed(ask_patiently(&[&out, &knows])).await;
    assert!(tally.unwrap_err().absence().is_err());
    assert!(took < ms(500), "{took:?}");
    let ill = Mirror::new("c", |_| Does::Fail(Label::Goproxy5xx, ms(5)));
    let (tally, took) = timed(ask_patiently(&[&ill])).await;
    assert!(tally.is_err() && took < ms(500), "{took:?}");
}
