//! Serving with losses: what is not as it should be, since when, and why.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use store::{Draft, RecordsHealth, StoreError};
use tokio::sync::Notify;

use crate::shared::Shared;
use crate::{Depot, DepotError};

/// How many bytes may be in memory because the disk takes nothing.
const MOST_UNKEPT: u64 = 256 << 20;

/// A way of serving with losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Degraded {
    /// Nothing is fetched, because somebody wants it so.
    Offline,
    /// What is fetched is served, and not kept: the disk takes nothing.
    StoreReadOnly,
    /// The records do not answer: no index, no provenance.
    RecordsMissing,
}

impl Degraded {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Offline, Self::StoreReadOnly, Self::RecordsMissing];

    /// The name in headers, metrics and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::StoreReadOnly => "store-read-only",
            Self::RecordsMissing => "records-missing",
        }
    }
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of them, in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degradation {
    /// Which.
    pub mode: Degraded,
    /// Since when, if that is known.
    pub since: Option<Timestamp>,
    /// Why, and what ends it.
    pub reason: String,
}

/// What is known of losses.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    is_offline: AtomicBool,
    is_read_only: AtomicBool,
    details: Mutex<Details>,
    unkept: Arc<AtomicU64>,
    no_room: Notify,
}

#[derive(Debug, Default)]
struct Details {
    offline_since: Option<Timestamp>,
    read_only: Option<(Timestamp, String)>,
}

/// Room in memory, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: u64,
    taken: Arc<AtomicU64>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Losses {
    fn details(&self) -> MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room in memory for so many bytes; `None` when too much is taken already.
    pub(crate) fn room(&self, bytes: u64) -> Option<Room> {
        let taken = self.unkept.fetch_add(bytes, Ordering::Relaxed);
        let room = Room {
            bytes,
            taken: self.unkept.clone(),
        };
        (taken.saturating_add(bytes) <= MOST_UNKEPT).then_some(room)
    }

    /// Waits until the disk did not take something.
    pub(crate) async fn no_room(&self) {
        self.no_room.notified().await;
    }

    /// The disk has taken something, or has not.
    pub(crate) fn note_write(&self, error: Option<&StoreError>) {
        match error {
            Some(error) if error.is_no_room() => {
                let mut details = self.details();
                if details.read_only.is_none() {
                    tracing::error!(%error, "the store takes nothing; what is fetched is served and not kept");
                }
                let since = details
                    .read_only
                    .as_ref()
                    .map_or_else(Timestamp::now, |(since, _)| *since);
                details.read_only = Some((since, error.to_string()));
                self.is_read_only.store(true, Ordering::Relaxed);
                self.no_room.notify_one();
            }
            Some(_) => {}
            None => {
                if self.is_read_only.swap(false, Ordering::Relaxed) {
                    self.details().read_only = None;
                    tracing::info!("the store takes files again");
                }
            }
        }
    }
}

impl Shared {
    pub(crate) fn is_offline(&self) -> bool {
        self.losses.is_offline.load(Ordering::Relaxed)
    }

    /// Keeps every request from leaving while nothing may be fetched.
    pub(crate) fn check_online(&self, what: &str) -> Result<(), DepotError> {
        if self.is_offline() {
            return Err(DepotError::Offline { what: what.into() });
        }
        Ok(())
    }

    /// Takes note of whether the disk has taken something.
    pub(crate) fn note_write<T>(&self, result: &Result<T, DepotError>) {
        match result {
            Ok(_) => self.losses.note_write(None),
            Err(DepotError::Store(error)) => self.losses.note_write(Some(error)),
            Err(_) => {}
        }
    }
}

/// A place for a zip that the disk does not take, if there is room in memory for one of this length.
pub(crate) fn in_memory(
    shared: &Shared,
    error: &DepotError,
    announced: Option<u64>,
) -> Option<(Draft, Arc<Room>)> {
    let is_no_room = matches!(error, DepotError::Store(error) if error.is_no_room());
    let room = is_no_room
        .then(|| shared.losses.room(announced?))
        .flatten()?;
    Some((Draft::in_memory().ok()?, Arc::new(room)))
}

impl Depot {
    /// From now on nothing is fetched, or it is again. Fetches under way go on.
    pub fn set_offline(&self, offline: bool) {
        let losses = &self.shared.losses;
        if losses.is_offline.swap(offline, Ordering::Relaxed) == offline {
            return;
        }
        losses.details().offline_since = offline.then(Timestamp::now);
        self.chain().set_quiet(offline);
        if offline {
            tracing::warn!("offline: nothing is fetched from now on");
        } else {
            tracing::info!("online: what is not stored is fetched again");
        }
    }

    /// Whether nothing is fetched.
    pub fn is_offline(&self) -> bool {
        self.shared.is_offline()
    }

    /// The ways in which this depot serves with losses at this moment. Costs little.
    pub fn degraded(&self) -> impl Iterator<Item = Degraded> {
        Degraded::ALL.into_iter().filter(|mode| match mode {
            Degraded::Offline => self.shared.is_offline(),
            Degraded::StoreReadOnly => self.shared.losses.is_read_only.load(Ordering::Relaxed),
            Degraded::RecordsMissing => {
                matches!(self.shared.records.health(), RecordsHealth::Failed(_))
            }
        })
    }

    /// The same, with since when and why.
    pub fn degradations(&self) -> Vec<Degradation> {
        self.degraded()
            .map(|mode| {
                let details = self.shared.losses.details();
                let (since, reason) = match mode {
                    Degraded::Offline => (
                        details.offline_since,
                        "nothing is fetched, as somebody wants it; PUT /api/v1/offline ends it"
                            .to_owned(),
                    ),
                    Degraded::StoreReadOnly => details.read_only.clone().map_or_else(
                        || (None, "the disk takes nothing".to_owned()),
                        |(since, why)| {
                            let text = format!(
                                "{why}; what is fetched is served and not kept until there is room"
                            );
                            (Some(since), text)
                        },
                    ),
                    Degraded::RecordsMissing => (None, self.records_trouble()),
                };
                Degradation {
                    mode,
                    since,
                    reason,
                }
            })
            .collect()
    }

    fn records_trouble(&self) -> String {
        match self.shared.records.health() {
            RecordsHealth::Failed(reason) => {
                format!("{reason}; stop, run `modkeep store rebuild`, and start again")
            }
            RecordsHealth::Ready | RecordsHealth::Opening => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_in_memory_is_limited_and_given_back() {
        let losses = Losses::default();
        let most = losses.room(MOST_UNKEPT).unwrap();
        assert!(losses.room(1).is_none());
        drop(most);
        assert!(losses.room(MOST_UNKEPT).is_some());
        assert!(losses.room(MOST_UNKEPT + 1).is_none());
        assert!(losses.room(u64::MAX).is_none());
        assert_eq!(losses.unkept.load(Ordering::Relaxed), 0);
    }
}
