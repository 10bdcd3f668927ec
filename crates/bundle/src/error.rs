use std::io;
use std::path::{Path, PathBuf};

use depot::DepotError;
use modzip::H1;
use store::StoreError;
use sumdb::Fork;

/// Why a bundle was not made or not applied. An error while applying leaves the store as it was, unless it is one of
/// the store.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file outside the store could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is no bundle, or an altered one.
    #[error("no bundle of modkeep: {0}")]
    NoBundle(String),
    /// An entry is not what the manifest says, or not where it must be.
    #[error("{name}: {reason}; the bundle was altered or damaged")]
    Entry {
        /// The entry.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The manifest cannot be read or makes no sense.
    #[error("manifest.json: {0}")]
    Manifest(String),
    /// A file of a module is not what its record, or a line of go.sum, says.
    #[error("SECURITY ERROR: {name} hashes to {found}, but {authority} has {expected}")]
    Mismatch {
        /// The file.
        name: String,
        /// What its bytes hash to.
        found: H1,
        /// What they must hash to.
        expected: String,
        /// Who says so.
        authority: String,
    },
    /// A file cannot be part of a module.
    #[error("{name}: {reason}")]
    Unfit {
        /// The entry.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The store has the version with other bytes, and published bytes never change.
    #[error(
        "{name} hashes to {found} in the bundle, and to {stored} in the store ({authority}); nothing was applied"
    )]
    Conflict {
        /// The file.
        name: String,
        /// What its bytes in the bundle hash to.
        found: H1,
        /// What is stored or pinned.
        stored: H1,
        /// How the store knows.
        authority: String,
    },
    /// No key is known for a database.
    #[error(
        "the bundle is proven by the checksum database {0}, whose key is not known here; set sumdb to `{0}+...` as clients have it in GOSUMDB"
    )]
    UnknownDatabase(String),
    /// The bundle names another key than the one that is known.
    #[error(
        "the bundle is proven by a checksum database {0} with another key than the one that is known here"
    )]
    OtherKey(String),
    /// A database's word is not proven.
    #[error("{name}: {error}")]
    Unproven {
        /// The entry, or the database.
        name: String,
        /// Why not.
        error: sumdb::Error,
    },
    /// Something that a proof needs is not in the bundle and not in the store.
    #[error("{database}: {path} is missing, without which {purpose}")]
    MissingProof {
        /// The database.
        database: String,
        /// What is missing.
        path: String,
        /// What cannot be shown.
        purpose: String,
    },
    /// The database has signed two histories that exclude each other.
    #[error(
        "SECURITY ERROR: the checksum database {database} has shown two histories, one here and one in the bundle; both heads are kept in the quarantine of the store: {fork}"
    )]
    Forked {
        /// The database.
        database: String,
        /// Both heads and the proof.
        fork: Box<Fork>,
    },
    /// The store has seen a newer head.
    #[error(
        "the bundle has an older head of {database} ({size} records) than this store knows ({known}); make it anew, or apply bundles in the order in which they were made"
    )]
    Older {
        /// The database.
        database: String,
        /// The size of its tree in the bundle.
        size: u64,
        /// The size known here.
        known: u64,
    },
    /// No proof where there must be one.
    #[error("{module} is not proven by a checksum database: {reason}")]
    NoProof {
        /// The version.
        module: String,
        /// Why it must be, or what is wrong.
        reason: String,
    },
    /// The earlier bundle was not applied.
    #[error(
        "the bundle adds to an earlier one (manifest {manifest}), which must be applied first: {missing} is not in the store"
    )]
    NotContinued {
        /// The digest of the earlier manifest.
        manifest: String,
        /// What is missing.
        missing: String,
    },
    /// The choice of versions cannot be read.
    #[error("{place}: {reason}")]
    Selection {
        /// The file, with its line where there is one.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A version cannot be had.
    #[error("{what}: {error}")]
    Fetch {
        /// What was asked for.
        what: String,
        /// Why not.
        error: DepotError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of this program.
    #[error("internal: {0}")]
    Lost(&'static str),
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "callers hand over what they have: a name, an error, a text"
)]
impl BundleError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn entry(name: impl ToString, reason: impl ToString) -> Self {
        Self::Entry {
            name: name.to_string(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn unfit(name: impl ToString, reason: impl ToString) -> Self {
        Self::Unfit {
            name: name.to_string(),
            // A report may have a line for each of many files.
            reason: reason
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// What an operation of a database's client came to.
    pub(crate) fn proof(database: &str, name: impl ToString, error: sumdb::Error) -> Self {
        match error {
            sumdb::Error::Fork(fork) => Self::Forked {
                database: database.to_owned(),
                fork,
            },
            error => Self::Unproven {
                name: name.to_string(),
                error,
            },
        }
    }
}
