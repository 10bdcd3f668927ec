//! Pass after pass beside everything else, going on after a restart where the last one stopped.

use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use store::{FileKey, ScrubState, Scrubber, Store};

use super::{ScrubFinding, ScrubObserver, ScrubOptions, ScrubReport};
use crate::Depot;

/// How often it is written down how far a pass has come.
const NOTED: Duration = Duration::from_secs(1);
/// How long to wait after a pass that failed.
const AFTER_FAILURE: Duration = Duration::from_mins(10);

/// When passes begin, and how they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubSchedule {
    /// From the end of one pass to the beginning of the next.
    pub interval: Duration,
    /// Bytes to read in a second, on average.
    pub rate: NonZeroU64,
}

impl Depot {
    /// Scrubs the store again and again, until it is dropped.
    pub async fn scrub_regularly(&self, schedule: ScrubSchedule) {
        let store = self.store();
        loop {
            let known = store.scrub_state(Scrubber::Server);
            let state = known.clone().unwrap_or(ScrubState {
                after: None,
                since: Timestamp::now(),
            });
            if known.is_none() {
                note(store, &state);
            }
            if state.after.is_none() {
                tokio::time::sleep(until_next(&state, schedule.interval)).await;
            }
            let options = ScrubOptions {
                rate: schedule.rate,
                after: state.after.clone(),
            };
            tracing::info!(behind = state.after, "reading the stored files again");
            let noting = Noting {
                store,
                since: state.since,
                noted: Mutex::new(Instant::now()),
            };
            match self.scrub(&options, &noting).await {
                Ok(report) => {
                    let now = Timestamp::now();
                    tracing::info!(
                        files = report.files,
                        bytes = report.bytes,
                        damaged = report.damaged,
                        healed = report.healed,
                        "all stored files were read again"
                    );
                    let completed = &self.scrub_totals().completed;
                    completed.store(now.as_second(), Ordering::Relaxed);
                    note(
                        store,
                        &ScrubState {
                            after: None,
                            since: now,
                        },
                    );
                }
                Err(error) => {
                    tracing::error!(%error, "the stored files could not be read again");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
}

/// How long to wait for the next pass. A clock that was set back does not put it off for ever.
fn until_next(state: &ScrubState, interval: Duration) -> Duration {
    let passed = Timestamp::now().duration_since(state.since);
    let passed = Duration::try_from(passed).unwrap_or_default();
    interval.saturating_sub(passed)
}

/// Writes down from time to time how far a pass has come.
struct Noting<'a> {
    store: &'a Store,
    since: Timestamp,
    noted: Mutex<Instant>,
}

impl ScrubObserver for Noting<'_> {
    fn passed(&self, key: &FileKey, _so_far: &ScrubReport) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.elapsed() >= NOTED {
            *noted = Instant::now();
            note(
                self.store,
                &ScrubState {
                    after: Some(key.url_path()),
                    since: self.since,
                },
            );
        }
    }

    /// The log and the records have it already.
    fn found(&self, _finding: &ScrubFinding) {}
}

fn note(store: &Store, state: &ScrubState) {
    if let Err(error) = store.keep_scrub_state(Scrubber::Server, state) {
        tracing::warn!(%error, "after a restart the stored files are read again from the beginning");
    }
}
