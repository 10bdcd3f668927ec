use std::path::{Path, PathBuf};

use gomod::ModuleVersion;
use store::Lock;
use sumdb::BoxError;
use sumdb::log::{Heads, LogReader, LogRecord, LogStore, Sizes};
use sumdb::tlog::{Hash, RecordText};

use crate::cosign::Cosignature;
use crate::files::{LogFiles, published_path, records_path, signed_path};
use crate::records::RecordWriter;
use crate::{SumlogError, heads};

/// The files of a log, for its one writer. Whatever a call has written is on the disk when it returns.
#[derive(Debug)]
pub struct LogDisk {
    files: LogFiles,
    records: RecordWriter,
    signed: PathBuf,
    _lock: Lock,
}

impl LogDisk {
    /// Opens the log in a directory for writing; makes an empty one if there is none. `signed` is the file of the last
    /// signed head, if it is not in the directory: whoever restores the directory from a backup, but not that file, is
    /// told that the log has gone back, in place of signing a second history.
    pub fn open(directory: &Path, signed: Option<&Path>) -> Result<Self, SumlogError> {
        heads::create_directory(directory)?;
        let signed = signed.map_or_else(|| signed_path(directory), Path::to_path_buf);
        if let Some(parent) = signed.parent() {
            heads::create_directory(parent)?;
        }
        let lock = Lock::acquire(directory).map_err(SumlogError::lock(directory))?;
        let records = RecordWriter::open(&records_path(directory))?;
        let files = LogFiles::of_writer(directory)?;
        // The names of the files must last as long as what is written into them.
        heads::sync_directory(directory).map_err(SumlogError::io("flush", directory))?;
        Ok(Self {
            files,
            records,
            signed,
            _lock: lock,
        })
    }

    /// The files, for readers beside the writer.
    pub fn files(&self) -> &LogFiles {
        &self.files
    }

    pub(crate) fn keep(&mut self, cosignatures: &[Cosignature]) -> Result<(), SumlogError> {
        self.records.keep(cosignatures)
    }
}

impl LogReader for LogDisk {
    fn published(&self) -> Result<Option<Heads>, BoxError> {
        self.files.published()
    }

    fn find(&self, modules: &[ModuleVersion]) -> Result<Vec<Option<u64>>, BoxError> {
        self.files.find(modules)
    }

    fn read_records(&self, first: u64, count: usize) -> Result<Vec<RecordText>, BoxError> {
        self.files.read_records(first, count)
    }

    fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, BoxError> {
        self.files.read_hashes(positions)
    }
}

impl LogStore for LogDisk {
    /// After a power cut the file of hashes may be longer than what was written into it; what lies behind the signed
    /// tree is written anew before it is relied on.
    fn sizes(&self) -> Result<Sizes, BoxError> {
        Ok(Sizes {
            records: self.files.count()?,
            hashes: self.files.hashes().len()?,
        })
    }

    fn append_records(&mut self, first: u64, records: &[LogRecord]) -> Result<(), BoxError> {
        if self.records.append(first, records)? {
            return Ok(());
        }
        Err("another writer has appended records".into())
    }

    fn write_hashes(&mut self, first: u64, hashes: &[Hash]) -> Result<(), BoxError> {
        self.files.hashes().write(first, hashes)
    }

    fn signed(&self) -> Result<Option<Heads>, BoxError> {
        Ok(heads::read(&self.signed)?)
    }

    /// Nobody else swaps while the lock is held.
    fn swap_signed(&mut self, old: Option<&Heads>, new: &Heads) -> Result<bool, BoxError> {
        if self.signed()?.as_ref() != old {
            return Ok(false);
        }
        heads::replace(&self.signed, new)?;
        Ok(true)
    }

    fn publish(&mut self, heads: &Heads) -> Result<(), BoxError> {
        heads::replace(&published_path(self.files.directory()), heads)?;
        self.files.show(heads);
        Ok(())
    }
}
