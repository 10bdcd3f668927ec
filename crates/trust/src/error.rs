use std::sync::Arc;

use sumdb::{Error, Fork};

/// Why a database's word could not be had, or cannot be believed. Cheap to clone: all who wait for one look-up get it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TrustError {
    /// The database could not be asked. Retryable; says nothing about any module.
    #[error("the checksum database {database} cannot be asked: {reason}")]
    OutOfReach {
        /// Its name.
        database: Arc<str>,
        /// What happened.
        reason: Arc<str>,
    },
    /// The database does not know what was asked for (404 or 410). Not the absence of the module: it may exist and
    /// be unknown there, as a private one is.
    #[error("the checksum database {database} does not know it: {reason}")]
    Unknown {
        /// Its name.
        database: Arc<str>,
        /// Its reason, in its own words.
        reason: Arc<str>,
    },
    /// What came in the database's name is forged, altered or contradicts itself. Whoever relays it, or the database,
    /// is at fault; never retried in silence.
    #[error("what came as the checksum database {database} is not to be believed: {reason}")]
    Misbehaving {
        /// Its name.
        database: Arc<str>,
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// The database has signed two histories that exclude each other. The evidence is kept in the quarantine.
    #[error("the checksum database {database} has shown two histories: {fork}")]
    Forked {
        /// Its name.
        database: Arc<str>,
        /// Both heads and the proof.
        fork: Arc<Fork>,
    },
    /// What is known of the database could not be kept or read here, so that going on could mean to go back.
    #[error("what is known of the checksum database {database} cannot be kept: {reason}")]
    Keeping {
        /// Its name.
        database: Arc<str>,
        /// What happened.
        reason: Arc<str>,
    },
}

impl TrustError {
    /// Whether the same question may be answered later although nobody changed anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::OutOfReach { .. } | Self::Keeping { .. })
    }

    /// Whether it is a security event.
    pub fn is_misbehaviour(&self) -> bool {
        matches!(self, Self::Misbehaving { .. } | Self::Forked { .. })
    }

    pub(crate) fn new(database: &str, error: Error) -> Self {
        let database: Arc<str> = database.into();
        let reason = |error: &dyn std::fmt::Display| Arc::<str>::from(error.to_string());
        match error {
            Error::Fork(fork) => Self::Forked {
                database,
                fork: Arc::from(fork),
            },
            Error::Remote {
                absent: true,
                source,
                ..
            } => Self::Unknown {
                database,
                reason: reason(&source),
            },
            Error::Remote { .. } => Self::OutOfReach {
                database,
                reason: reason(&error),
            },
            Error::Keeping(_) | Error::Contended => Self::Keeping {
                database,
                reason: reason(&error),
            },
            error => Self::Misbehaving {
                database,
                reason: reason(&error),
            },
        }
    }

    pub(crate) fn misbehaving(database: &str, reason: impl std::fmt::Display) -> Self {
        Self::Misbehaving {
            database: database.into(),
            reason: reason.to_string().into(),
        }
    }

    pub(crate) fn lost(database: &str) -> Self {
        Self::Keeping {
            database: database.into(),
            reason: "the look-up ended without a result".into(),
        }
    }
}
