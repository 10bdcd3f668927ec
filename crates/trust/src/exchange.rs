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
            let answers = join_all(requests.iter().map(|request| self.perform(request, way)));
            for (answer, request) in answers.await.into_iter().zip(requests) {
                if let Request::WriteCache { key, data } = &request
                    && key == wanted
                {
                    written = Some(data.clone());
                }
                operation.answer(request, answer)?;
            }
        }
    }

    async fn perform(&self, request: &Request, way: Way) -> Answer {
        let (store, head, name) = (self.store.clone(), self.head.clone(), self.database.clone());
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
            Request::ReadCache { key } => {
                on_disk(move || {
                    let kept = cache::read(&store, &name, &key);
                    Ok(found(kept.map(|answer| answer.body)))
                })
                .await
            }
            Request::WriteCache { key, data } => {
                on_disk(move || {
                    cache::write(&store, &name, &key, &data);
                    Ok(Answer::Done)
                })
                .await
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
