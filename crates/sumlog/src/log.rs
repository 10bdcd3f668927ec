use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gomod::ModuleVersion;
use sumdb::log::{Heads, LogReader as _, Resource, Served, serve};
use sumdb::record::ModuleHashes;
use tokio::sync::{mpsc, oneshot};

use crate::writer::{Message, QUEUE, Writer};
use crate::{HashSource, KeyRing, LogDisk, LogFiles, LogName, LookupError, SumlogError, Witnesses};

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The data directory; the log is in `sumlog/<name>` below it.
    pub data: PathBuf,
    /// The name of the log.
    pub name: LogName,
    /// The file of the last signed head, where it is not kept in the log's directory.
    pub signed: Option<PathBuf>,
    /// How long the first record of a batch waits for company.
    pub batch_delay: Duration,
    /// Whose cosignatures are taken.
    pub witnesses: Witnesses,
}

impl LogOptions {
    /// The usual options for the log of this name.
    pub fn new(data: &Path, name: LogName) -> Self {
        Self {
            data: data.to_path_buf(),
            name,
            signed: None,
            batch_delay: Duration::from_millis(50),
            witnesses: Witnesses::default(),
        }
    }
}

/// What a log has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTotals {
    /// Records that were appended.
    pub appended: u64,
    /// Batches that were signed.
    pub batches: u64,
    /// Claims that contradict a record.
    pub contradictions: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appended: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) contradictions: AtomicU64,
}

/// A log that grows while it is read. Clones share it.
#[derive(Clone, Debug)]
pub struct Log {
    name: LogName,
    files: LogFiles,
    queue: mpsc::Sender<Message>,
    counters: Arc<Counters>,
}

impl Log {
    /// Opens a log for writing, makes it if there is none, and completes what a crash has left half done. Blocks on the
    /// disk.
    pub fn open(options: LogOptions, keys: KeyRing) -> Result<Self, SumlogError> {
        let directory = options.name.directory(&options.data);
        let disk = LogDisk::open(&directory, options.signed.as_deref())?;
        let files = disk.files().clone();
        Self::start(options, keys, disk, files)
    }

    fn start(
        options: LogOptions,
        keys: KeyRing,
        disk: LogDisk,
        files: LogFiles,
    ) -> Result<Self, SumlogError> {
        if keys.name() != options.name.as_str() {
            return Err(SumlogError::KeyOfAnother {
                key: keys.name().to_owned(),
                log: options.name.to_string(),
            });
        }
        let (queue, messages) = mpsc::channel(QUEUE);
        let counters = Arc::new(Counters::default());
        let writer = Writer::open(keys.into_log_keys(), disk, &options, counters.clone())?;
        std::thread::Builder::new()
            .name("sumlog".to_owned())
            .spawn(move || writer.run(messages))
            .map_err(SumlogError::io("start the writer of", files.directory()))?;
        Ok(Self {
            name: options.name,
            files,
            queue,
            counters,
        })
    }

    /// The name of the log.
    pub fn name(&self) -> &LogName {
        &self.name
    }

    /// The directory of the log.
    pub fn directory(&self) -> &Path {
        self.files.directory()
    }

    /// Whether the log has a record about a module version, published or not. Must be called within a tokio runtime.
    pub async fn has(&self, module: &ModuleVersion) -> Result<bool, SumlogError> {
        let (files, asked) = (self.files.clone(), [module.clone()]);
        let found = tokio::task::spawn_blocking(move || files.find(&asked)).await;
        let found = found.map_err(|_| SumlogError::Closed)?;
        let found = found.map_err(sumdb::Error::Store)?;
        Ok(found.iter().any(Option::is_some))
    }

    /// What was done since the log was opened.
    pub fn totals(&self) -> LogTotals {
        LogTotals {
            appended: self.counters.appended.load(Ordering::Relaxed),
            batches: self.counters.batches.load(Ordering::Relaxed),
            contradictions: self.counters.contradictions.load(Ordering::Relaxed),
        }
    }

    /// The published head.
    pub fn published(&self) -> Result<Option<Heads>, SumlogError> {
        let published = self.files.published();
        published.map_err(|error| sumdb::Error::Store(error).into())
    }

    /// Adds a record, or finds that the log has it. Done when the record is in a published head; many calls at a time
    /// share one. Returns the number of the record.
    pub async fn append(&self, hashes: ModuleHashes) -> Result<u64, SumlogError> {
        let (reply, wait) = oneshot::channel();
        self.send(Message::Append { hashes, reply }).await?;
        wait.await.map_err(|_| SumlogError::Closed)?
    }

    /// Takes signature lines of witnesses for the published head. Returns how many there were.
    pub async fn cosign(&self, lines: String) -> Result<usize, SumlogError> {
        let (reply, wait) = oneshot::channel();
        self.send(Message::Cosign { lines, reply }).await?;
        wait.await.map_err(|_| SumlogError::Closed)?
    }

    async fn send(&self, message: Message) -> Result<(), SumlogError> {
        self.queue
            .send(message)
            .await
            .map_err(|_| SumlogError::Closed)
    }

    /// Answers from what is published. A module version without a published record is an absence. Must be called within
    /// a tokio runtime.
    pub async fn serve(&self, resource: Resource) -> Result<Served, SumlogError> {
        let files = self.files.clone();
        let served = tokio::task::spawn_blocking(move || serve(&resource, &files)).await;
        Ok(served.map_err(|_| SumlogError::Closed)??)
    }

    /// As [`Self::serve`], but a module version that is not in the log is asked of the source, and added before the
    /// answer. Nothing is asked of the source for a version that is in the log.
    pub async fn lookup<S: HashSource>(
        &self,
        module: ModuleVersion,
        source: &S,
    ) -> Result<Served, LookupError<S::Error>> {
        let resource = Resource::Lookup(module.clone());
        match self.serve(resource.clone()).await {
            Ok(served) => return Ok(served),
            Err(SumlogError::Log(sumdb::Error::NotFound(_) | sumdb::Error::Unpublished { .. })) => {
            }
            Err(error) => return Err(error.into()),
        }
        let hashes = source.hashes(&module).await.map_err(LookupError::Source)?;
        self.append(hashes).await?;
        Ok(self.serve(resource).await?)
    }

    /// Finishes what was asked for, and lets another process write the log.
    pub async fn close(&self) {
        let (reply, wait) = oneshot::channel();
        if self.send(Message::Close { reply }).await.is_ok() {
            let _writer_gone = wait.await;
        }
    }
}
