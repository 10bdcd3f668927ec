//! Answers that were found once, with the time when they were found.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// How many paths are remembered. The oldest half is forgotten when there are more.
const MOST: usize = 20_000;

/// Answers by path. An answer that something exists is never replaced by trouble.
pub(crate) struct Known<T> {
    fresh: Duration,
    negative: Duration,
    answers: Mutex<HashMap<String, Entry<T>>>,
    news: AtomicBool,
}

struct Entry<T> {
    answer: Result<T, Error>,
    /// `None`: known from an earlier process.
    since: Option<Instant>,
}

impl<T: Clone> Known<T> {
    pub(crate) fn new(fresh: Duration, negative: Duration) -> Self {
        Self {
            fresh,
            negative,
            answers: Mutex::default(),
            news: AtomicBool::new(false),
        }
    }

    /// An answer that needs no question.
    pub(crate) fn fresh(&self, path: &str) -> Option<Result<T, Error>> {
        let answers = self.lock();
        let entry = answers.get(path)?;
        let limit = match entry.answer {
            Ok(_) => self.fresh,
            Err(_) => self.negative,
        };
        (entry.since?.elapsed() < limit).then(|| entry.answer.clone())
    }

    /// Takes a new answer, and gives the one that counts: in trouble, that is an older one.
    pub(crate) fn settle(&self, path: &str, answer: Result<T, Error>) -> Result<T, Error> {
        let mut answers = self.lock();
        if let Err(error) = &answer
            && !error.is_absence()
        {
            return match answers.get(path) {
                Some(Entry {
                    answer: Ok(known), ..
                }) => Ok(known.clone()),
                _ => answer,
            };
        }
        if answers.len() >= MOST && !answers.contains_key(path) {
            forget_half(&mut answers);
        }
        if answer.is_ok() {
            self.news.store(true, Ordering::Relaxed);
        }
        let since = Some(Instant::now());
        let entry = Entry {
            answer: answer.clone(),
            since,
        };
        answers.insert(path.to_owned(), entry);
        answer
    }

    /// Whether something was found since the last call.
    pub(crate) fn has_news(&self) -> bool {
        self.news.swap(false, Ordering::Relaxed)
    }

    /// Lets what was not found be looked for again.
    pub(crate) fn forget_failures(&self) {
        self.lock().retain(|_, entry| entry.answer.is_ok());
    }

    /// What exists.
    pub(crate) fn found(&self) -> Vec<(String, T)> {
        let answers = self.lock();
        answers
            .iter()
            .filter_map(|(path, entry)| Some((path.clone(), entry.answer.clone().ok()?)))
            .collect()
    }

    /// Takes what existed for an earlier process.
    pub(crate) fn restore(&self, found: Vec<(String, T)>) {
        let mut answers = self.lock();
        for (path, known) in found.into_iter().take(MOST) {
            answers.entry(path).or_insert(Entry {
                answer: Ok(known),
                since: None,
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry<T>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_half<T>(answers: &mut HashMap<String, Entry<T>>) {
    let mut times: Vec<_> = answers.values().map(|entry| entry.since).collect();
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().flatten();
    answers.retain(|_, entry| entry.since > middle);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble() -> Error {
        Error::Lost
    }

    #[tokio::test(start_paused = true)]
    async fn answers_age_and_trouble_does_not_replace_them() {
        let known = Known::new(Duration::from_secs(10), Duration::from_secs(2));
        assert!(known.settle("a", Err(trouble())).is_err());
        assert_eq!(known.settle("a", Ok(1)).unwrap(), 1);
        assert_eq!(known.fresh("a").unwrap().unwrap(), 1);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(known.fresh("a").is_none());
        assert_eq!(known.settle("a", Err(trouble())).unwrap(), 1);
        assert!(known.settle("a", Err(Error::NoCommits)).is_err());
        assert!(known.fresh("a").unwrap().is_err());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(known.fresh("a").is_none());
    }

    #[tokio::test]
    async fn what_is_restored_counts_in_trouble_only() {
        let known = Known::new(Duration::from_secs(10), Duration::from_secs(2));
        known.restore(vec![("a".to_owned(), 1)]);
        assert!(known.fresh("a").is_none());
        assert_eq!(known.settle("a", Err(trouble())).unwrap(), 1);
        assert_eq!(known.found(), [("a".to_owned(), 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_answers_is_bounded() {
        let known = Known::new(Duration::from_secs(10), Duration::from_secs(2));
        for index in 0..MOST + 10 {
            if index % 1000 == 0 {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            known.settle(&index.to_string(), Ok(index)).unwrap();
        }
        assert!(known.found().len() <= MOST);
        assert!(known.fresh(&(MOST + 9).to_string()).is_some());
    }
}
