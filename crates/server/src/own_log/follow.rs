//! Adds what is stored to the log, behind the requests.

use std::sync::Arc;
use std::time::Duration;

use depot::{Depot, DepotError};
use gomod::{ModulePath, ModuleVersion, Version};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use store::FileKey;
use sumlog::{HashSource as _, Log, SumlogError};
use tokio::sync::mpsc;

use super::hashes::{DepotHashes, HashError};

/// Versions that may wait to be added. One more is dropped: the next request for it, the next look-up of it, and the next
/// start make up for that.
const QUEUE: usize = 16 * 1024;
/// Versions that are remembered as done.
const REMEMBERED: usize = 16 * 1024;
/// Versions that are added at a time.
const SIDE_BY_SIDE: usize = 8;
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
    queue: mpsc::Sender<ModuleVersion>,
    /// Versions there is nothing left to do about, so that a hit costs no look at the log.
    done: Arc<Cache<ModuleVersion, ()>>,
}

impl Follower {
    pub(crate) fn note(&self, zip: &FileKey) {
        if let Ok(module) = ModuleVersion::new(zip.module.clone(), zip.version.clone())
            && !self.done.contains_key(&module)
        {
            let _full = self.queue.try_send(module);
        }
    }
}

/// Begins to follow: first what was stored before, then what is asked for. Ends when nobody takes note any more.
pub(crate) fn start(log: Log, depot: Depot, hashes: DepotHashes) -> Follower {
    let (queue, noted) = mpsc::channel(QUEUE);
    let done = Arc::new(Cache::new(REMEMBERED));
    let adding = Adding {
        log,
        hashes,
        done: done.clone(),
    };
    tokio::spawn(catch_up(depot, queue.downgrade()));
    tokio::spawn(adding.run(noted));
    Follower { queue, done }
}

/// Offers every version on record. The queue's room sets the pace.
async fn catch_up(depot: Depot, queue: mpsc::WeakSender<ModuleVersion>) {
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
            if let Some(module) = module
                && queue.send(module).await.is_err()
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
struct Adding {
    log: Log,
    hashes: DepotHashes,
    done: Arc<Cache<ModuleVersion, ()>>,
}

impl Adding {
    async fn run(self, mut noted: mpsc::Receiver<ModuleVersion>) {
        let room = Arc::new(tokio::sync::Semaphore::new(SIDE_BY_SIDE));
        while let Some(module) = noted.recv().await {
            if self.log.has(&module).await.unwrap_or(false) {
                self.done.insert(module, ());
                continue;
            }
            let Ok(permit) = room.clone().acquire_owned().await else {
                return;
            };
            let adding = self.clone();
            tokio::spawn(async move {
                // What has to wait for the rest of its files does not keep others waiting.
                let is_whole = adding.add(&module).await;
                drop(permit);
                if !is_whole {
                    adding.try_again(&module).await;
                }
            });
        }
    }

    async fn try_again(&self, module: &ModuleVersion) {
        for pause in PAUSES {
            tokio::time::sleep(pause).await;
            if self.add(module).await {
                return;
            }
        }
    }

    /// False if the version is not stored whole yet, or nobody could be asked about it.
    async fn add(&self, module: &ModuleVersion) -> bool {
        let hashes = match self.hashes.hashes(module).await {
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
}
