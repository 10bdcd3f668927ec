use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gomod::ModuleVersion;
use sumdb::BoxError;
use sumdb::log::{Heads, LogReader};
use sumdb::tlog::{Hash, RecordText};

use crate::cosign::Cosignature;
use crate::hashes::HashFile;
use crate::records::RecordReader;
use crate::{SumlogError, heads};

/// The files of a log, for reading. Clones share them. All calls block on the disk.
#[derive(Clone, Debug)]
pub struct LogFiles {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    records: RecordReader,
    hashes: HashFile,
    published: Published,
}

/// Where the published head is known from.
#[derive(Debug)]
enum Published {
    /// This process publishes, and remembers.
    Here(Mutex<Option<Heads>>),
    /// Another process may publish.
    Elsewhere,
}

impl LogFiles {
    /// Opens a log that is there, for reading. It may grow meanwhile, by the hands of the process that writes it.
    pub fn open(directory: &Path) -> Result<Self, SumlogError> {
        if !published_path(directory).is_file() {
            let path = directory.to_path_buf();
            return Err(SumlogError::NoLog { path });
        }
        Ok(Self::new(
            directory,
            HashFile::open(&hashes_path(directory))?,
            Published::Elsewhere,
        ))
    }

    /// The files as the one who writes them reads them.
    pub(crate) fn of_writer(directory: &Path) -> Result<Self, SumlogError> {
        let published = heads::read(&published_path(directory))?;
        Ok(Self::new(
            directory,
            HashFile::create(&hashes_path(directory))?,
            Published::Here(Mutex::new(published)),
        ))
    }

    fn new(directory: &Path, hashes: HashFile, published: Published) -> Self {
        let shared = Arc::new(Shared {
            directory: directory.to_path_buf(),
            records: RecordReader::new(&records_path(directory)),
            hashes,
            published,
        });
        Self { shared }
    }

    /// The directory of the log.
    pub fn directory(&self) -> &Path {
        &self.shared.directory
    }

    /// The number of records, published or not.
    pub fn count(&self) -> Result<u64, SumlogError> {
        self.shared.records.count()
    }

    pub(crate) fn hashes(&self) -> &HashFile {
        &self.shared.hashes
    }

    /// What witnesses said about the head of this size.
    pub fn cosignatures(&self, size: u64) -> Result<Vec<Cosignature>, SumlogError> {
        self.shared.records.cosignatures(size)
    }

    /// Lets readers in this process see a head that is durable.
    pub(crate) fn show(&self, heads: &Heads) {
        if let Published::Here(published) = &self.shared.published {
            *published.lock().unwrap_or_else(PoisonError::into_inner) = Some(heads.clone());
        }
    }
}

impl LogReader for LogFiles {
    fn published(&self) -> Result<Option<Heads>, BoxError> {
        match &self.shared.published {
            Published::Here(heads) => {
                Ok(heads.lock().unwrap_or_else(PoisonError::into_inner).clone())
            }
            Published::Elsewhere => Ok(heads::read(&published_path(self.directory()))?),
        }
    }

    fn find(&self, modules: &[ModuleVersion]) -> Result<Vec<Option<u64>>, BoxError> {
        Ok(self.shared.records.find(modules)?)
    }

    fn read_records(&self, first: u64, count: usize) -> Result<Vec<RecordText>, BoxError> {
        let texts = self.shared.records.texts(first, count)?;
        if texts.len() != count {
            return Err(format!("records from {first} on are missing").into());
        }
        Ok(texts)
    }

    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, BoxError> {
        self.shared.hashes.read(positions)
    }
}

pub(crate) fn records_path(directory: &Path) -> PathBuf {
    directory.join("records.sqlite")
}

pub(crate) fn hashes_path(directory: &Path) -> PathBuf {
    directory.join("hashes")
}

pub(crate) fn signed_path(directory: &Path) -> PathBuf {
    directory.join("signed")
}

pub(crate) fn published_path(directory: &Path) -> PathBuf {
    directory.join("published")
}
