//! The audit of a whole log, with requests side by side.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use sumdb::audit::{Audit, Report};
use sumdb::client::{Answer, Client, Operation as _, RemoteError, Request, Step};
use sumdb::note::VerifierKey;
use sumdb::{BoxError, Fork};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{SumlogError, heads};

/// Reads from the database that is audited.
pub trait Fetch: Send + Sync + 'static {
    /// What is at a path that begins with `/`, below the address of the database.
    fn fetch(&self, path: &str) -> impl Future<Output = Result<Vec<u8>, RemoteError>> + Send;
}

/// Where the head of an earlier audit is kept.
pub trait Kept {
    /// The signed note; `None` before the first audit.
    fn read(&self) -> Result<Option<Vec<u8>>, BoxError>;

    /// Keeps the note of a head that was proven to extend the one kept before.
    fn replace(&self, note: &[u8]) -> Result<(), BoxError>;
}

/// A head kept in a file, replaced in one durable step.
#[derive(Clone, Debug)]
pub struct KeptFile(PathBuf);

impl KeptFile {
    /// The head in this file, which need not be there yet. Its folder must.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Kept for KeptFile {
    fn read(&self) -> Result<Option<Vec<u8>>, BoxError> {
        match std::fs::read(&self.0) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SumlogError::io("read", &self.0)(error).into()),
        }
    }

    fn replace(&self, note: &[u8]) -> Result<(), BoxError> {
        Ok(heads::replace_file(&self.0, note)?)
    }
}

/// How an audit is done.
#[derive(Clone, Copy, Debug)]
pub struct AuditOptions {
    /// Requests at a time.
    pub parallel: usize,
}

/// What an audit came to. Memory grows by some 40 bytes for each record, nothing else with the size of the log.
#[derive(Debug)]
pub enum Outcome {
    /// Everything was read; the report has what is wrong.
    Complete(Report),
    /// The head contradicts one that was shown before.
    Fork(Box<Fork>),
    /// What came is forged or contradicts itself, so that going on makes no sense.
    Misbehaviour(sumdb::Error),
}

/// Why an audit could not be done.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The key cannot be that of a database.
    #[error("the key: {0}")]
    Key(#[source] sumdb::Error),
    /// Something could not be read or written.
    #[error(transparent)]
    Failed(sumdb::Error),
}

/// Audits the database with this key. `progress` is told records checked and records in all.
pub async fn audit(
    key: VerifierKey,
    fetch: Arc<impl Fetch>,
    kept: &impl Kept,
    options: AuditOptions,
    mut progress: impl FnMut(u64, u64),
) -> Result<Outcome, AuditError> {
    let client = Client::new(key).map_err(AuditError::Key)?;
    let mut operation = Audit::new(&client);
    let limit = Arc::new(Semaphore::new(options.parallel.max(1)));
    loop {
        let requests = match operation.step() {
            Ok(Step::Done(report)) => return Ok(Outcome::Complete(report)),
            Ok(Step::Ask(requests)) => requests,
            Err(error) => return conclude(error),
        };
        let mut reading = JoinSet::new();
        let mut answered = Vec::new();
        for request in requests {
            match request {
                Request::ReadRemote { path } => {
                    let (fetch, limit) = (fetch.clone(), limit.clone());
                    reading.spawn(async move {
                        let _permit = limit.acquire_owned().await;
                        let answer = match fetch.fetch(&path).await {
                            Ok(data) => Answer::Data(data),
                            Err(RemoteError::Absent(reason)) => Answer::Absent(reason),
                            Err(RemoteError::Failed(error)) => Answer::Failed(error),
                        };
                        (Request::ReadRemote { path }, answer)
                    });
                }
                other => {
                    let answer = keep(&other, kept);
                    answered.push((other, answer));
                }
            }
        }
        while let Some(read) = reading.join_next().await {
            match read {
                Ok(pair) => answered.push(pair),
                Err(error) => return Err(AuditError::Failed(sumdb::Error::Keeping(error.into()))),
            }
        }
        for (request, answer) in answered {
            if let Err(error) = operation.answer(request, answer) {
                return conclude(error);
            }
        }
        if let Some((checked, size)) = operation.progress() {
            progress(checked, size);
        }
    }
}

fn conclude(error: sumdb::Error) -> Result<Outcome, AuditError> {
    match error {
        sumdb::Error::Fork(fork) => Ok(Outcome::Fork(fork)),
        error if error.is_misbehaviour() => Ok(Outcome::Misbehaviour(error)),
        error => Err(AuditError::Failed(error)),
    }
}

/// An audit has no cache; its kept head has one writer.
fn keep(request: &Request, kept: &impl Kept) -> Answer {
    match request {
        Request::ReadLatest => match kept.read() {
            Ok(Some(note)) => Answer::Data(note),
            Ok(None) => Answer::Absent(String::new()),
            Err(error) => Answer::Failed(error),
        },
        Request::SwapLatest { old, new } => match kept.read() {
            Ok(current) if current.as_deref().unwrap_or_default() == old.as_slice() => kept
                .replace(new)
                .map_or_else(Answer::Failed, |()| Answer::Done),
            Ok(current) => Answer::Conflict(current.unwrap_or_default()),
            Err(error) => Answer::Failed(error),
        },
        Request::WriteCache { .. } => Answer::Done,
        Request::ReadCache { .. } | Request::ReadRemote { .. } => Answer::Absent(String::new()),
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete(report) if report.is_sound() => write!(
                f,
                "{} records and {} tiles agree with the signed head",
                report.tree.size(),
                report.tiles
            ),
            Self::Complete(report) => {
                for finding in &report.findings {
                    writeln!(f, "{finding}")?;
                }
                let all = report.findings.len() as u64 + report.more_findings;
                write!(
                    f,
                    "{all} findings in a log of {} records",
                    report.tree.size()
                )
            }
            Self::Fork(fork) => write!(f, "{fork}"),
            Self::Misbehaviour(error) => write!(f, "{error}"),
        }
    }
}
