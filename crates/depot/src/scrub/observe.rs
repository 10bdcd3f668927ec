use std::sync::atomic::{AtomicI64, AtomicU64};

use store::{FileKey, QuarantineId, Source};

/// What a pass has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were not what was stored.
    pub damaged: u64,
    /// Of those, files that were replaced by sound ones.
    pub healed: u64,
    /// Of those, files for which there is no sound one; they are in quarantine.
    pub quarantined: u64,
    /// Sound files that carried no length and digest, and do now.
    pub stamped: u64,
    /// Files that could not be read or moved.
    pub unreadable: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubFinding {
    /// The file.
    pub key: FileKey,
    /// What is wrong with it, in one line for people.
    pub detail: String,
    /// What became of it.
    pub outcome: ScrubOutcome,
}

/// What became of a file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScrubOutcome {
    /// A sound one is in its place.
    Healed {
        /// Where that came from; `None`: somebody else had stored it in the meantime.
        source: Option<Source>,
    },
    /// Its bytes are in quarantine.
    Quarantined {
        /// As what.
        id: QuarantineId,
        /// Why there is no sound one.
        why_not: String,
    },
    /// It could not be read or moved, and is where it was.
    Unreadable,
}

/// Is told how a pass goes.
pub trait ScrubObserver: Send + Sync {
    /// A file was looked at, and the pass has seen so much.
    fn passed(&self, key: &FileKey, so_far: &ScrubReport);
    /// Something is not as it should be.
    fn found(&self, finding: &ScrubFinding);
}

/// What all passes since the start have seen.
#[derive(Debug, Default)]
pub struct ScrubTotals {
    /// Files that were read.
    pub files: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Files that were not what was stored.
    pub damaged: AtomicU64,
    /// Of those, files that were replaced by sound ones.
    pub healed: AtomicU64,
    /// Files that could not be read or moved.
    pub unreadable: AtomicU64,
    /// When the last regular pass ended, in seconds since the Unix epoch; 0: none did.
    pub completed: AtomicI64,
}
