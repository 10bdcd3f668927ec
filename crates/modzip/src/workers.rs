//! How many threads hash.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::Error;

/// The threads that hash files: the calling thread alone, or a pool of fixed size.
///
/// Clones share the pool. A server makes one and shares it among all requests, which bounds both the
/// threads and the memory (each thread holds the buffers of one piece of work).
#[derive(Clone, Debug)]
pub struct Workers(Option<Arc<ThreadPool>>);

impl Workers {
    /// The calling thread alone.
    pub fn calling_thread() -> Self {
        Self(None)
    }

    /// A pool of `threads` threads of its own.
    pub fn new(threads: NonZeroUsize) -> Result<Self, Error> {
        let builder = ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|index| format!("modzip-{index}"));
        Ok(Self(Some(Arc::new(builder.build()?))))
    }

    /// A pool that is used for other work as well.
    pub fn sharing(pool: Arc<ThreadPool>) -> Self {
        Self(Some(pool))
    }

    /// Applies `work` to each of `items`; fails when one of them fails.
    pub(crate) fn map<T, R, C>(
        &self,
        items: &[T],
        init: impl Fn() -> C + Sync + Send,
        work: impl Fn(&mut C, &T) -> Result<R, Error> + Sync + Send,
    ) -> Result<Vec<R>, Error>
    where
        T: Sync,
        R: Send,
    {
        use rayon::prelude::*;
        match &self.0 {
            Some(pool) if items.len() > 1 => pool.install(|| {
                let results = items.par_iter().with_max_len(1).map_init(&init, &work);
                results.collect()
            }),
            _ => {
                let mut context = init();
                items.iter().map(|item| work(&mut context, item)).collect()
            }
        }
    }
}
