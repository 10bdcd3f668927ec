//! Small answers given a moment ago, found again by the request's path without parsing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use store::FileKey;

use crate::metrics::Endpoint;
use crate::told::Told;

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
    /// Which file it is, if it is one.
    pub(crate) file: Option<FileKey>,
    /// Of whom the prefetcher was last told that it was asked for.
    pub(crate) told: Told,
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
    /// How many files had been taken out of the store when these were put here.
    withdrawn: AtomicU64,
    /// Counts how often all was forgotten.
    generation: AtomicU64,
}

/// When an answer was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    withdrawn: u64,
    generation: u64,
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
            withdrawn: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        }
    }

    /// To be asked for before an answer is looked for that may be [put](Self::put). `withdrawn`: how many files have
    /// been taken out of the store so far.
    pub(crate) fn moment(&self, withdrawn: u64) -> Moment {
        Moment {
            withdrawn,
            generation: self.generation.load(Ordering::SeqCst),
        }
    }

    /// The answer at a path, still percent-encoded as the client wrote it. `withdrawn`: how many files have been taken
    /// out of the store so far. If there are more than before, none of these is to be trusted.
    pub(crate) fn get(&self, path: &str, withdrawn: u64) -> Option<Arc<HotAnswer>> {
        if self.withdrawn.load(Ordering::SeqCst) != withdrawn {
            self.withdrawn.fetch_max(withdrawn, Ordering::SeqCst);
            self.answers.clear();
        }
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

    /// Keeps an answer that was looked for since a moment, unless something made it doubtful meanwhile.
    pub(crate) fn put(&self, path: &str, answer: HotAnswer, since: Moment) {
        self.answers.insert(path.into(), Arc::new(answer));
        // Somebody else may have found out meanwhile.
        if self.withdrawn.load(Ordering::SeqCst) != since.withdrawn
            || self.generation.load(Ordering::SeqCst) != since.generation
        {
            self.answers.remove(path);
        }
    }

    /// Forgets all, because the rules have changed or something new was announced.
    pub(crate) fn clear(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.answers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> HotAnswer {
        HotAnswer {
            told: Told::default(),
            endpoint: Endpoint::Mod,
            body: Bytes::from_static(b"module m\n"),
            etag: HeaderValue::from_static("\"a\""),
            content_type: HeaderValue::from_static("text/plain"),
            good_until: None,
            stale: None,
            file: None,
        }
    }

    #[test]
    fn nothing_is_given_again_when_a_file_was_taken_out_of_the_store() {
        let hot = HotAnswers::new(1 << 20);
        hot.put("/a", answer(), hot.moment(0));
        assert!(hot.get("/a", 0).is_some());
        assert!(hot.get("/a", 1).is_none());
        // Read before it was taken out.
        hot.put("/a", answer(), hot.moment(0));
        assert!(hot.get("/a", 1).is_none());
        hot.put("/a", answer(), hot.moment(1));
        assert!(hot.get("/a", 1).is_some());
    }

    #[test]
    fn an_answer_that_was_looked_for_before_all_was_forgotten_is_not_kept() {
        let hot = HotAnswers::new(1 << 20);
        let before = hot.moment(0);
        hot.clear();
        hot.put("/a", answer(), before);
        assert!(hot.get("/a", 0).is_none());
        hot.put("/a", answer(), hot.moment(0));
        assert!(hot.get("/a", 0).is_some());
    }
}
