use super::keys::LogKeys;
use super::store::{Heads, LogRecord};
use crate::error::Error;
use crate::hash::Hash;
use crate::tlog::{Frontier, TreeHead, stored_hash_count};

/// Step 1: records that have their numbers, to be made durable.
#[derive(Clone, Debug)]
pub struct Staged {
    base: Frontier,
    records: Vec<LogRecord>,
}

impl Staged {
    /// Records to follow those of a tree. They must be about module versions that no record is about yet.
    pub fn new(base: Frontier, records: Vec<LogRecord>) -> Self {
        Self { base, records }
    }

    /// The number of the first record.
    pub fn first(&self) -> u64 {
        self.base.size()
    }

    /// The records.
    pub fn records(&self) -> &[LogRecord] {
        &self.records
    }

    /// Goes on once the records are durable.
    pub fn records_are_durable(self) -> Result<Hashed, Error> {
        let mut frontier = self.base.clone();
        let mut hashes = Vec::new();
        for record in &self.records {
            frontier.append(record.text.hash(), &mut hashes)?;
        }
        Ok(Hashed {
            base: self.base,
            frontier,
            hashes,
        })
    }
}

/// Step 2: the hashes of durable records, to be made durable.
#[derive(Clone, Debug)]
pub struct Hashed {
    base: Frontier,
    frontier: Frontier,
    hashes: Vec<Hash>,
}

impl Hashed {
    /// The position of the first hash in the linear order of storage.
    pub fn first(&self) -> u64 {
        stored_hash_count(self.base.size())
    }

    /// The hashes in linear order.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Goes on once the hashes are durable: signs the head of the bigger tree. `last` is the last head that was signed;
    /// if it is not the head these records follow, the bigger tree is not known to extend it, and is not signed.
    pub fn hashes_are_durable(self, keys: &LogKeys, last: &TreeHead) -> Result<Signed, Error> {
        let tree = head_of(&self.frontier)?;
        if head_of(&self.base)? != *last {
            return Err(Error::NotAnExtension {
                size: tree.size(),
                signed: last.size(),
            });
        }
        let heads = keys.sign(tree)?;
        Ok(Signed {
            frontier: self.frontier,
            heads,
        })
    }
}

/// Steps 3 and 4: a signed head, to be written down as the last one signed and then published.
#[derive(Clone, Debug)]
pub struct Signed {
    frontier: Frontier,
    heads: Heads,
}

impl Signed {
    /// The head in both forms.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Goes on once the head is published: what the next batch follows.
    pub fn is_published(self) -> (Frontier, Heads) {
        (self.frontier, self.heads)
    }
}

pub(super) fn head_of(frontier: &Frontier) -> Result<TreeHead, Error> {
    TreeHead::new(frontier.size(), frontier.root()).ok_or(Error::MalformedTreeHead)
}
