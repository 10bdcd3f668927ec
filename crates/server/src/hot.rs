//! Small answers given a moment ago, found again by the request's path without parsing it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::metrics::Endpoint;

/// What an entry takes beside its path and body, in bytes.
const OVERHEAD: u64 = 200;
/// A guess that sizes the table; it grows as needed.
const EXPECTED_ENTRIES: usize = 1024;

/// An answer that can be given again as it is.
#[derive(Clone, Debug)]
pub(crate) struct HotAnswer {
    pub(crate) endpoint: Endpoint,
    pub(crate) body: Bytes,
    pub(crate) etag: HeaderValue,
    pub(crate) content_type: HeaderValue,
    /// Of changeable answers: when they must be asked for again.
    pub(crate) good_until: Option<Instant>,
    /// Set if it is older than it should be because no upstream answers.
    pub(crate) stale: Option<Stale>,
}

/// Why and since when an answer is older than it should be.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) confirmed: Timestamp,
    pub(crate) reason: Arc<str>,
}

/// The hot answers, bounded by the memory they take.
#[derive(Debug)]
pub(crate) struct HotAnswers {
    answers: Cache<Box<str>, Arc<HotAnswer>, ByMemory>,
}

#[derive(Clone, Debug)]
struct ByMemory;

impl Weighter<Box<str>, Arc<HotAnswer>> for ByMemory {
    fn weight(&self, path: &Box<str>, answer: &Arc<HotAnswer>) -> u64 {
        path.len() as u64 + answer.body.len() as u64 + OVERHEAD
    }
}

impl HotAnswers {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            answers: Cache::with_weighter(EXPECTED_ENTRIES, bytes, ByMemory),
        }
    }

    /// The answer at a path, still percent-encoded as the client wrote it.
    pub(crate) fn get(&self, path: &str) -> Option<Arc<HotAnswer>> {
        let answer = self.answers.get(path)?;
        if answer
            .good_until
            .is_some_and(|until| until <= Instant::now())
        {
            self.answers.remove(path);
            return None;
        }
        Some(answer)
    }

    pub(crate) fn put(&self, path: &str, answer: HotAnswer) {
        self.answers.insert(path.into(), Arc::new(answer));
    }

    /// Forgets all, because the rules have changed.
    pub(crate) fn clear(&self) {
        self.answers.clear();
    }
}
