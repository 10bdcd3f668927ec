//! Adds what is stored to the log, behind the requests.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use depot::{Depot, DepotError};
use gomod::{ModulePath, ModuleVersion, Version};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use store::FileKey;
use sumdb::record::ModuleHashes;
use sumlog::{HashSource, Log, SumlogError};
use tokio::sync::{Semaphore, mpsc};

use super::hashes::{DepotHashes, HashError};

/// Versions that may wait to be added. One more is dropped: the next request for it, the next look-up of it, and the next
/// start make up for that.
const QUEUE: usize = 16 * 1024;
/// Versions that are remembered as done.
const REMEMBERED: usize = 16 * 1024;
/// Versions whose hashes are found out at a time: files may have to be read for that.
const HASHED_SIDE_BY_SIDE: usize = 8;
/// Versions that are added at a time. Most of them wait for the head they share, so there are as many as shall share one.
const ADDED_SIDE_BY_SIDE: usize = 1024;
/// Versions that wait to be looked at again. One more is dropped, as where the queue is full.
const LOOKED_AT_AGAIN: usize = 16 * 1024;
/// Versions read from the records at a time.
const PAGE: u32 = 1000;
/// The pauses before what is not whole yet is looked at again.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(5),
];

/// Takes note of versions.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    queue: mpsc::Sender<Noted>,
    /// Versions there is nothing left to do about, so that a hit costs no look at the log.
    done: Arc<Cache<ModuleVersion, ()>>,
    underway: Underway,
}

impl Follower {
    pub(crate) fn note(&self, zip: &FileKey) {
        if let Ok(module) = ModuleVersion::new(zip.module.clone(), zip.version.clone())
            && !self.done.contains_key(&module)
            && let Some(noted) = self.underway.begin(module)
        {
            let _full = self.queue.try_send(noted);
        }
    }
}

/// The versions that are noted, so that each of them is once, however often it is asked for.
#[derive(Clone, Debug, Default)]
struct Underway(Arc<Mutex<HashSet<ModuleVersion>>>);

impl Underway {
    /// `None` for a version that is noted already.
    fn begin(&self, module: ModuleVersion) -> Option<Noted> {
        let is_new = self.lock().insert(module.clone());
        is_new.then(|| Noted {
            module,
            underway: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ModuleVersion>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A version that is to be added. It can be noted again when this is gone.
#[derive(Debug)]
struct Noted {
    module: ModuleVersion,
    underway: Underway,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.underway.lock().remove(&self.module);
    }
}

/// Begins to follow: first what was stored before, then what is asked for. Ends when nobody takes note any more.
pub(crate) fn start(log: Log, depot: Depot, hashes: DepotHashes) -> Follower {
    let (queue, noted) = mpsc::channel(QUEUE);
    let done = Arc::new(Cache::new(REMEMBERED));
    let adding = Adding {
        log,
        hashes,
        hashing: Arc::new(Semaphore::new(HASHED_SIDE_BY_SIDE)),
        again: Arc::new(Semaphore::new(LOOKED_AT_AGAIN)),
        done: done.clone(),
    };
    let underway = Underway::default();
    tokio::spawn(catch_up(depot, queue.downgrade(), underway.clone()));
    tokio::spawn(adding.run(noted));
    Follower {
        queue,
        done,
        underway,
    }
}

/// Offers every version on record. The queue's room sets the pace.
async fn catch_up(depot: Depot, queue: mpsc::WeakSender<Noted>, underway: Underway) {
    let mut since = Timestamp::UNIX_EPOCH;
    loop {
        let page = match depot.records().index(since, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "versions stored before are added to the checksum log when they are asked for");
                return;
            }
        };
        for entry in &page {
            let Some(queue) = queue.upgrade() else { return };
            let module = ModulePath::new(&entry.path).ok();
            let version = Version::new(&entry.version).ok();
            let module = module.zip(version);
            let module = module.and_then(|(path, version)| ModuleVersion::new(path, version).ok());
            if let Some(noted) = module.and_then(|module| underway.begin(module))
                && queue.send(noted).await.is_err()
            {
                return;
            }
        }
        // No two entries share a time, and the limit is inclusive.
        match page.last() {
            Some(last) if page.len() as u64 == u64::from(PAGE) => {
                since = last.timestamp + jiff::SignedDuration::from_micros(1);
            }
            _ => return,
        }
    }
}

#[derive(Clone)]
struct Adding<H> {
    log: Log,
    hashes: H,
    hashing: Arc<Semaphore>,
    again: Arc<Semaphore>,
    done: Arc<Cache<ModuleVersion, ()>>,
}

impl<H> Adding<H>
where
    H: HashSource<Error = HashError> + Clone + Send + 'static,
{
    async fn run(self, mut queue: mpsc::Receiver<Noted>) {
        let room = Arc::new(Semaphore::new(ADDED_SIDE_BY_SIDE));
        while let Some(noted) = queue.recv().await {
            if self.log.has(&noted.module).await.unwrap_or(false) {
                self.done.insert(noted.module.clone(), ());
                continue;
            }
            let Ok(permit) = room.clone().acquire_owned().await else {
                return;
            };
            let adding = self.clone();
            tokio::spawn(async move {
                // What has to wait for the rest of its files does not keep others waiting.
                let is_whole = adding.add(&noted.module).await;
                drop(permit);
                if !is_whole {
                    adding.try_again(&noted.module).await;
                }
            });
        }
    }

    async fn try_again(&self, module: &ModuleVersion) {
        let Ok(_place) = self.again.try_acquire() else {
            return;
        };
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            if self.add(module).await {
                return;
            }
        }
    }

    /// False if the version is not stored whole yet, or nobody could be asked about it.
    async fn add(&self, module: &ModuleVersion) -> bool {
        let hashes = match self.hashes_of(module).await {
            Ok(hashes) => hashes,
            Err(
                HashError::Depot(
                    DepotError::NotCached { .. }
                    | DepotError::Unverified { .. }
                    | DepotError::Sumdb(_)
                    | DepotError::Upstream(_),
                )
                | HashError::Unverified(_),
            ) => return false,
            Err(error @ HashError::Depot(DepotError::Mismatch(_))) => {
                tracing::error!(%module, %error, "SECURITY: a stored version does not enter the checksum log");
                return true;
            }
            Err(error) => {
                tracing::warn!(%module, %error, "a stored version does not enter the checksum log");
                return true;
            }
        };
        match self.log.append(hashes).await {
            Ok(_) => self.done.insert(module.clone(), ()),
            // The log has raised the alarm; the record stays what it is.
            Err(SumlogError::Contradiction { .. }) => {}
            Err(_) => return false,
        }
        true
    }
    /// Nobody waits for his turn here while he waits for a head.
    async fn hashes_of(&self, module: &ModuleVersion) -> Result<ModuleHashes, HashError> {
        // It is never closed.
        let _turn = self.hashing.acquire().await;
        self.hashes.hashes(module).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use store::FileKind;
    use sumlog::{KeyRing, LogName, LogOptions};

    use super::*;

    /// Knows every module, and how many were asked about at a time.
    #[derive(Clone, Default)]
    struct All {
        asking: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl HashSource for All {
        type Error = HashError;

        async fn hashes(&self, module: &ModuleVersion) -> Result<ModuleHashes, HashError> {
            let now = self.asking.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            tokio::task::yield_now().await;
            self.asking.fetch_sub(1, Ordering::Relaxed);
            let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            ModuleHashes::new(module.clone(), h1, h1)
                .map_err(|error| HashError::Unusable(error.to_string()))
        }
    }

    fn module(n: u64) -> ModuleVersion {
        let path = ModulePath::new(&format!("example.com/m{n}")).unwrap();
        let version = Version::new("v1.0.0").unwrap();
        ModuleVersion::new(path, version).unwrap()
    }

    #[test]
    fn a_version_is_noted_once_however_often_it_is_asked_for() {
        let (queue, mut noted) = mpsc::channel(2);
        let follower = Follower {
            queue,
            done: Arc::new(Cache::new(REMEMBERED)),
            underway: Underway::default(),
        };
        let zip = |n| FileKey::of(&module(n), FileKind::Zip);
        for _ in 0..3 {
            follower.note(&zip(0));
        }
        let first = noted.try_recv().unwrap();
        follower.note(&zip(0));
        assert!(noted.try_recv().is_err(), "it is still being added");
        drop(first);
        // What finds no room is not taken for noted.
        for n in 0..4 {
            follower.note(&zip(n));
        }
        assert_eq!(follower.underway.lock().len(), 2);
        while noted.try_recv().is_ok() {}
        follower.done.insert(module(3), ());
        for n in 2..4 {
            follower.note(&zip(n));
        }
        assert_eq!(noted.try_recv().unwrap().module, module(2));
        assert!(noted.try_recv().is_err(), "there is nothing left to do");
    }

    #[tokio::test]
    async fn a_thousand_versions_that_are_stored_at_once_share_few_heads() {
        let data = tempfile::tempdir().unwrap();
        let name = LogName::parse("sum.example.com").unwrap();
        let keys = KeyRing::generate(&name).unwrap();
        let log = Log::open(LogOptions::new(data.path(), name), keys).unwrap();
        let all = All::default();
        let adding = Adding {
            log: log.clone(),
            hashes: all.clone(),
            hashing: Arc::new(Semaphore::new(HASHED_SIDE_BY_SIDE)),
            again: Arc::new(Semaphore::new(LOOKED_AT_AGAIN)),
            done: Arc::new(Cache::new(REMEMBERED)),
        };
        let (queue, noted) = mpsc::channel(QUEUE);
        let underway = Underway::default();
        for n in 0..1000 {
            queue.try_send(underway.begin(module(n)).unwrap()).unwrap();
        }
        drop(queue);
        adding.run(noted).await;
        while log.totals().appended < 1000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let totals = log.totals();
        assert_eq!(totals.appended, 1000);
        // As many as could be hashed at a time would make 125 of them.
        assert!(totals.batches <= 60, "{totals:?}");
        assert!(all.most.load(Ordering::Relaxed) <= HASHED_SIDE_BY_SIDE);
        log.close().await;
    }
}
