use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sumdb::log::{LogKeys, LogReader as _, LogStore as _, LogWriter, Outcome};
use sumdb::record::ModuleHashes;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::sync::oneshot;

use crate::cosign::cosign;
use crate::log::{Counters, LogOptions};
use crate::{LogDisk, SumlogError, Witnesses};

/// Requests that may wait; whoever makes one more waits to be let in.
pub(crate) const QUEUE: usize = 4096;
/// Records in one batch.
const BATCH: usize = 4096;
/// How often a batch that waits for company looks whether there is any.
const TICK: Duration = Duration::from_millis(2);

type Reply<T> = oneshot::Sender<Result<T, SumlogError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Message {
    Append {
        hashes: ModuleHashes,
        reply: Reply<u64>,
    },
    Cosign {
        lines: String,
        reply: Reply<usize>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

/// The one who writes. Lives on a thread of its own, because all it does is to wait for the disk.
pub(crate) struct Writer {
    log: LogWriter,
    disk: LogDisk,
    witnesses: Witnesses,
    batch_delay: Duration,
    counters: Arc<Counters>,
}

impl Writer {
    pub(crate) fn open(
        keys: LogKeys,
        mut disk: LogDisk,
        options: &LogOptions,
        counters: Arc<Counters>,
    ) -> Result<Self, SumlogError> {
        let log = LogWriter::open(keys, &mut disk)?;
        let mut writer = Self {
            log,
            disk,
            witnesses: options.witnesses.clone(),
            batch_delay: options.batch_delay,
            counters,
        };
        writer.restore_cosignatures()?;
        Ok(writer)
    }

    /// Shows again what witnesses said about the published head, if a crash or a new key has taken it away. Those who
    /// are no witnesses any more are left out.
    fn restore_cosignatures(&mut self) -> Result<(), SumlogError> {
        let Some(heads) = self.disk.published().map_err(sumdb::Error::Store)? else {
            return Ok(());
        };
        let mut restored = heads.clone();
        for cosignature in self.disk.files().cosignatures(heads.tree()?.size())? {
            if let Ok((cosigned, _)) = cosign(&restored, &cosignature.line, &self.witnesses) {
                restored = cosigned;
            }
        }
        if restored != heads {
            self.disk.publish(&restored).map_err(sumdb::Error::Store)?;
        }
        Ok(())
    }

    /// Works until it is closed, or until nobody is left to ask it for anything.
    pub(crate) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut next = messages.blocking_recv();
        while let Some(message) = next.take() {
            match message {
                Message::Append { hashes, reply } => {
                    let mut batch = vec![(hashes, reply)];
                    next = self.gather(&mut batch, &mut messages);
                    self.append(batch);
                }
                Message::Cosign { lines, reply } => {
                    let _gone = reply.send(self.cosign(&lines));
                }
                Message::Close { reply } => {
                    drop(self);
                    let _gone = reply.send(());
                    return;
                }
            }
            if next.is_none() {
                next = messages.blocking_recv();
            }
        }
    }

    /// Waits for more records, and returns the message that ended the waiting, if it was one.
    fn gather(
        &self,
        batch: &mut Vec<(ModuleHashes, Reply<u64>)>,
        messages: &mut mpsc::Receiver<Message>,
    ) -> Option<Message> {
        let began = Instant::now();
        while batch.len() < BATCH {
            match messages.try_recv() {
                Ok(Message::Append { hashes, reply }) => batch.push((hashes, reply)),
                Ok(other) => return Some(other),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if began.elapsed() >= self.batch_delay => return None,
                Err(TryRecvError::Empty) => std::thread::sleep(TICK.min(self.batch_delay)),
            }
        }
        None
    }

    fn append(&mut self, batch: Vec<(ModuleHashes, Reply<u64>)>) {
        let (entries, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let outcomes = match self.log.append(&entries, &mut self.disk) {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::error!(%error, records = entries.len(), "the checksum log could not be extended");
                for reply in replies {
                    let _gone = reply.send(Err(SumlogError::Batch(error.to_string())));
                }
                return;
            }
        };
        let appended = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Appended { .. }))
            .count() as u64;
        self.counters
            .appended
            .fetch_add(appended, Ordering::Relaxed);
        self.counters
            .batches
            .fetch_add(u64::from(appended > 0), Ordering::Relaxed);
        for ((entry, reply), outcome) in entries.iter().zip(replies).zip(outcomes) {
            let _gone = reply.send(self.tell(entry, outcome));
        }
    }

    fn tell(&self, entry: &ModuleHashes, outcome: Outcome) -> Result<u64, SumlogError> {
        match outcome {
            Outcome::Appended { id } | Outcome::Known { id } => Ok(id),
            Outcome::Rejected(rejection) => {
                self.counters.contradictions.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    module = %entry.module(), record = rejection.id,
                    recorded = rejection.recorded.as_str(), offered = rejection.offered.as_str(),
                    "SECURITY: a module version came with other hashes than the checksum log has; the log keeps its record"
                );
                Err(SumlogError::Contradiction {
                    module: entry.module().clone(),
                    rejection: Box::new(rejection),
                })
            }
        }
    }

    fn cosign(&mut self, lines: &str) -> Result<usize, SumlogError> {
        let published = self.disk.published().map_err(sumdb::Error::Store)?;
        let heads = published.ok_or(sumdb::Error::InconsistentStore("no head is published"))?;
        let (cosigned, kept) = cosign(&heads, lines, &self.witnesses)?;
        self.disk.keep(&kept)?;
        self.disk.publish(&cosigned).map_err(sumdb::Error::Store)?;
        Ok(kept.len())
    }
}
