use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use store::StoredFile;

use crate::DepotError;
use crate::growing::GrowingFile;

/// A whole file in memory.
#[derive(Clone, Debug)]
pub struct SmallFile {
    /// Its bytes.
    pub body: Bytes,
    /// A strong entity tag with its quotes.
    pub etag: Arc<str>,
}

/// An immutable file.
#[derive(Clone, Debug)]
pub enum FileReply {
    /// In memory; `true` if it came from the store.
    Small(SmallFile, bool),
    /// In the store.
    Stored(StoredFile),
    /// Being fetched at this moment.
    Growing(GrowingFile),
}

/// How good an answer is.
#[derive(Clone, Debug)]
pub enum Freshness {
    /// Confirmed by an upstream within its time to live; good for so many more seconds.
    Fresh {
        /// Seconds left.
        for_seconds: u64,
    },
    /// Older than that, because no upstream has confirmed it in time.
    Stale {
        /// When it was confirmed last.
        confirmed: Timestamp,
        /// Why it could not be refreshed; `None` if the refresh is still under way.
        because: Option<DepotError>,
    },
}

/// A changeable answer.
#[derive(Clone, Debug)]
pub struct AnswerReply {
    /// The bytes, as the upstream gave them.
    pub body: Bytes,
    /// How good it is.
    pub freshness: Freshness,
    /// Whether an upstream was waited for.
    pub fetched: bool,
}

/// What a refresh gives to those who wait for it.
#[derive(Clone, Debug)]
pub(crate) struct Refreshed {
    pub(crate) body: Bytes,
    /// When it was asked for.
    pub(crate) asked: Timestamp,
}
