use std::io;
use std::path::{Path, PathBuf};

use crate::LockError;

/// What can go wrong with the store. All of it is trouble on this side: never the client's fault, never "absent".
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An operation on a file or directory of the store failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process uses the store.
    #[error("the store {} is in use by process {holder}; stop it first, or choose another --data directory", path.display())]
    InUse {
        /// The store's directory.
        path: PathBuf,
        /// Its process number as it wrote it down, or `?`.
        holder: String,
    },
    /// The records database does not answer, or answers with an error.
    #[error("the records are not available: {reason}")]
    Records {
        /// The database's words.
        reason: String,
    },
}

impl StoreError {
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

    pub(crate) fn records(error: &sqlx::Error) -> Self {
        Self::Records {
            reason: error.to_string(),
        }
    }

    /// Whether the disk takes nothing new: it is full, or may only be read.
    pub fn is_no_room(&self) -> bool {
        use io::ErrorKind as Kind;
        matches!(
            self.io_kind(),
            Some(Kind::StorageFull | Kind::QuotaExceeded | Kind::ReadOnlyFilesystem)
        )
    }

    /// The kind of the system's error, if it is one.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            Self::InUse { .. } | Self::Records { .. } => None,
        }
    }
}
