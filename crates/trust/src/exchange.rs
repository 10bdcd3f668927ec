//! Performs the requests of an operation: in any order, all at once.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use store::Store;
use sumdb::client::{Answer, Operation, Request, Step, Swap};
use sumdb::{BoxError, Error};

use crate::cache;
use crate::flight::Flights;
use crate::head::HeadFile;
use crate::remote::{Remote, RemoteTrouble, Way};

/// Everything an operation may ask for.
pub(crate) struct Exchange {
    pub(crate) database: Arc<str>,
    pub(crate) store: Arc<Store>,
    pub(crate) head: Arc<HeadFile>,
    pub(crate) remote: Arc<dyn Remote>,
    /// Operations run at the same time and ask for the same tiles.
    pub(crate) reads: Flights<(String, Way), Result<Bytes, RemoteTrouble>>,
}

impl Exchange {
    /// Runs an operation to its end. Also gives what it wrote to the cache under `wanted`.
    pub(crate) async fn run<O: Operation>(
        &self,
        mut operation: O,
        way: Way,
        wanted: &str,
    ) -> Result<(O::Output, Option<Vec<u8>>), Error> {
        let mut written = None;
        loop {
            let requests = match operation.step()? {
                Step::Done(output) => return Ok((output, written)),
                Step::Ask(requests) => requests,
            };
            let (of_cache, others): (Vec<Request>, Vec<Request>) =
                requests.into_iter().partition(is_of_cache);
            let asked = join_all(others.iter().map(|request| self.perform(request, way)));
            let (cached, asked) = tokio::join!(self.perform_in_cache(of_cache.clone()), asked);
            let requests = of_cache.into_iter().chain(others);
            for (request, answer) in requests.zip(cached.into_iter().chain(asked)) {
                if let Request::WriteCache { key, data } = &request
                    && key == wanted
                {
                    written = Some(data.clone());
                }
                operation.answer(request, answer)?;
            }
        }
    }

    /// What an operation wants of the cache at a time costs one wait for the disk. As many answers as requests.
    async fn perform_in_cache(&self, requests: Vec<Request>) -> Vec<Answer> {
        let count = requests.len();
        if count == 0 {
            return Vec::new();
        }
        let (store, name) = (self.store.clone(), self.database.clone());
        let performing = tokio::task::spawn_blocking(move || {
            let perform = |request| match request {
                Request::ReadCache { key } => {
                    found(cache::read(&store, &name, &key).map(|answer| answer.body))
                }
                Request::WriteCache { key, data } => {
                    cache::write(&store, &name, &key, &data);
                    Answer::Done
                }
                _ => Answer::Failed("no request to the cache".into()),
            };
            requests.into_iter().map(perform).collect()
        });
        let lost = |_| Answer::Failed("the cache could not be asked".into());
        performing
            .await
            .unwrap_or_else(|_| (0..count).map(lost).collect())
    }

    async fn perform(&self, request: &Request, way: Way) -> Answer {
        let head = self.head.clone();
        match request.clone() {
            Request::ReadLatest => {
                on_disk(move || head.read().map(found).map_err(BoxError::from)).await
            }
            Request::SwapLatest { old, new } => {
                on_disk(move || match head.swap(&old, &new)? {
                    Swap::Done => Ok(Answer::Done),
                    Swap::Conflict(current) => Ok(Answer::Conflict(current)),
                })
                .await
            }
            Request::ReadCache { .. } | Request::WriteCache { .. } => {
                Answer::Failed("a request to the cache".into())
            }
            Request::ReadRemote { path } => match self.read_remote(path, way).await {
                Ok(data) => Answer::Data(data.to_vec()),
                Err(RemoteTrouble::Absent(reason)) => Answer::Absent(reason),
                Err(RemoteTrouble::Failed(reason)) => Answer::Failed(reason.into()),
            },
        }
    }

    async fn read_remote(&self, path: String, way: Way) -> Result<Bytes, RemoteTrouble> {
        let path = path.trim_start_matches('/').to_owned();
        let (remote, wanted) = (self.remote.clone(), path.clone());
        let read = self
            .reads
            .join(&(path, way), move || remote.read(wanted, way))
            .await;
        let lost = || {
            Err(RemoteTrouble::Failed(
                "the read ended without a result".into(),
            ))
        };
        read.unwrap_or_else(lost)
    }
}

fn is_of_cache(request: &Request) -> bool {
    matches!(
        request,
        Request::ReadCache { .. } | Request::WriteCache { .. }
    )
}

fn found(data: Option<Vec<u8>>) -> Answer {
    data.map_or(Answer::Absent(String::new()), Answer::Data)
}

async fn on_disk(work: impl FnOnce() -> Result<Answer, BoxError> + Send + 'static) -> Answer {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::Failed(error),
        Err(error) => Answer::Failed(error.into()),
    }
}
