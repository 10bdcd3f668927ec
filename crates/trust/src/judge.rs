use std::sync::Arc;

use modzip::H1;
use sumdb::record::Part;

use crate::{Proven, TrustError};

/// What a file of a module version is compared with.
#[derive(Clone, Debug)]
pub enum Basis {
    /// The record of a checksum database.
    Record {
        /// The database's name.
        database: Arc<str>,
        /// Its record of the version.
        proven: Proven,
    },
    /// No database covers the module.
    Uncovered,
    /// A database covers it and cannot be asked, and the settings allow to go on without.
    Unchecked(TrustError),
}

/// How a file that agrees with its basis stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its hash is that of a proven record.
    Proven {
        /// The database's name.
        database: Arc<str>,
        /// The number of the record.
        record: u64,
        /// The size of the tree in which the record was proven to be.
        tree_size: u64,
    },
    /// No database covers it.
    Uncovered,
    /// It is to be checked when the database answers again.
    Unchecked,
}

/// A file whose hash is not the one it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The hash of the bytes that came.
    pub found: H1,
    /// The hash they must have.
    pub expected: H1,
    /// Who says so, for people.
    pub authority: String,
}

/// Why a file is not to be believed.
#[derive(Clone, Debug)]
pub enum Disbelief {
    /// It is another file than it should be.
    Mismatch(Mismatch),
    /// There is no word to compare it with.
    NoWord(TrustError),
}

impl Basis {
    /// What a proven record states about a part of the version, if there is one and it states one hash.
    pub fn hash(&self, part: Part) -> Option<H1> {
        match self {
            Self::Record { proven, .. } => proven.hash(part).ok(),
            Self::Uncovered | Self::Unchecked(_) => None,
        }
    }

    /// Compares the hash of a file that came with what it must be.
    pub fn judge(&self, part: Part, found: H1) -> Result<Standing, Disbelief> {
        let (database, proven) = match self {
            Self::Uncovered => return Ok(Standing::Uncovered),
            Self::Unchecked(_) => return Ok(Standing::Unchecked),
            Self::Record { database, proven } => (database, proven),
        };
        let expected = proven
            .hash(part)
            .map_err(|error| Disbelief::NoWord(TrustError::misbehaving(database, error)))?;
        if expected != found {
            let record = proven.number();
            return Err(Disbelief::Mismatch(Mismatch {
                found,
                expected,
                authority: format!("checksum database {database}, record {record}"),
            }));
        }
        Ok(Standing::Proven {
            database: database.clone(),
            record: proven.number(),
            tree_size: proven.tree_size(),
        })
    }
}
