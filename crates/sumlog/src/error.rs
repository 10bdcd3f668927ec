use std::io;
use std::path::{Path, PathBuf};

use store::LockError;
use sumdb::log::Rejection;

use crate::witness::CosignatureError;

/// What can go wrong with a log of one's own. Except for [`Self::Contradiction`] and [`Self::Cosignature`] all of it is
/// trouble on this side; none of it means absence but what [`Self::is_absence`] says.
#[derive(Debug, thiserror::Error)]
pub enum SumlogError {
    /// An operation on a file or directory of the log failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process writes the log.
    #[error("the log in {} is being written by process {holder}; a log has one writer", path.display())]
    InUse {
        /// The log's directory.
        path: PathBuf,
        /// The process number it wrote down, or `?`.
        holder: String,
    },
    /// There is no log to read.
    #[error("there is no log in {}", path.display())]
    NoLog {
        /// The directory.
        path: PathBuf,
    },
    /// The database of the records does not answer, or answers with an error.
    #[error("the records in {}: {reason}", path.display())]
    Records {
        /// The database file.
        path: PathBuf,
        /// The database's words.
        reason: String,
    },
    /// A file of the log cannot be read as what it should be.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The key is one of another log.
    #[error("the key is that of {key}, and the log is called {log}")]
    KeyOfAnother {
        /// The name of the key.
        key: String,
        /// The name of the log.
        log: String,
    },
    /// The log has other hashes for the module version and keeps them: somebody rewrote a version.
    #[error("{} is in the log with other hashes, as record {}", module, rejection.id)]
    Contradiction {
        /// The module version.
        module: gomod::ModuleVersion,
        /// Both claims.
        rejection: Box<Rejection>,
    },
    /// A cosignature was not taken.
    #[error(transparent)]
    Cosignature(#[from] CosignatureError),
    /// The log refuses, or cannot answer.
    #[error(transparent)]
    Log(#[from] sumdb::Error),
    /// The batch the request was in failed, for this reason.
    #[error("the log could not be extended: {0}")]
    Batch(String),
    /// The log has been closed.
    #[error("the log is closed")]
    Closed,
}

impl SumlogError {
    /// Why the directory cannot be had.
    pub(crate) fn lock(directory: &Path) -> impl FnOnce(LockError) -> Self {
        move |error| match error {
            LockError::Held { holder } => Self::InUse {
                path: directory.to_path_buf(),
                holder,
            },
            LockError::Io {
                action,
                path,
                source,
            } => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn records(path: &Path) -> impl FnOnce(sqlx::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Records {
            path,
            reason: error.to_string(),
        }
    }

    /// Whether the log has no such thing, as opposed to failing.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Log(error) if error.is_absent())
    }

    /// Whether the request itself was malformed.
    pub fn is_bad_request(&self) -> bool {
        matches!(
            self,
            Self::Log(sumdb::Error::MalformedRequest(_) | sumdb::Error::MalformedTilePath(_))
        )
    }
}
