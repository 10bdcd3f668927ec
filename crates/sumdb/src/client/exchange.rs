use crate::error::{BoxError, Error};

/// Something an operation needs done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read the tree head kept for this database, if there is one. It must outlive the cache: whoever loses it forgets
    /// what the database has promised so far.
    ReadLatest,
    /// Replace the kept tree head in one atomic, durable step, if it still is `old` (which is empty if none was kept).
    SwapLatest {
        /// What must be there now.
        old: Vec<u8>,
        /// What shall be there.
        new: Vec<u8>,
    },
    /// Read a cache entry. What is found is proven again before it is used.
    ReadCache {
        /// `<database>/lookup/…` or `<database>/tile/…`.
        key: String,
    },
    /// Write a cache entry that is proven. Needs no answer; losing it does no harm.
    WriteCache {
        /// As in [`Request::ReadCache`].
        key: String,
        /// The proven bytes.
        data: Vec<u8>,
    },
    /// Read from the server or from a proxy for it.
    ReadRemote {
        /// `/lookup/…`, `/latest` or `/tile/…`, below the address of the database.
        path: String,
    },
}

/// How a [`Request`] turned out.
#[derive(Debug)]
pub enum Answer {
    /// The bytes asked for.
    Data(Vec<u8>),
    /// There is nothing: no head kept yet, no such cache entry, or a server's 404 or 410 with its reason (else empty).
    Absent(String),
    /// The head was swapped, or the cache entry written.
    Done,
    /// The kept head was not the expected one but this.
    Conflict(Vec<u8>),
    /// It could not be done.
    Failed(BoxError),
}

/// What to do next for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Perform these, in any order, and answer each; then step again.
    Ask(Vec<Request>),
    /// The operation is done.
    Done(T),
}

/// A state machine of the client side.
pub trait Operation {
    /// What the operation is for.
    type Output;

    /// Goes on as far as the answers allow. Requests that got no answer are asked again.
    fn step(&mut self) -> Result<Step<Self::Output>, Error>;

    /// Takes the answer to a request.
    fn answer(&mut self, request: Request, answer: Answer) -> Result<(), Error>;
}

/// Performs requests for callers that may block.
pub trait Driver {
    /// [`Request::ReadLatest`].
    fn read_latest(&self) -> Result<Option<Vec<u8>>, BoxError>;
    /// [`Request::SwapLatest`].
    fn swap_latest(&self, old: &[u8], new: &[u8]) -> Result<Swap, BoxError>;
    /// [`Request::ReadCache`]. A cache that fails has nothing.
    fn read_cache(&self, key: &str) -> Option<Vec<u8>>;
    /// [`Request::WriteCache`].
    fn write_cache(&self, key: &str, data: &[u8]);
    /// [`Request::ReadRemote`].
    fn read_remote(&self, path: &str) -> Result<Vec<u8>, RemoteError>;
}

/// The outcome of [`Request::SwapLatest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The new head is kept.
    Done,
    /// Another head was kept; it still is.
    Conflict(Vec<u8>),
}

/// Why a server gave no bytes.
#[derive(Debug)]
pub enum RemoteError {
    /// It said that there is no such thing (404 or 410), for this reason.
    Absent(String),
    /// Everything else.
    Failed(BoxError),
}

/// Runs an operation to its end with a driver that blocks.
pub fn run<O: Operation>(mut operation: O, driver: &impl Driver) -> Result<O::Output, Error> {
    loop {
        match operation.step()? {
            Step::Done(output) => return Ok(output),
            Step::Ask(requests) => {
                for request in requests {
                    let answer = perform(&request, driver);
                    operation.answer(request, answer)?;
                }
            }
        }
    }
}

fn perform(request: &Request, driver: &impl Driver) -> Answer {
    let found = |data: Option<Vec<u8>>| data.map_or(Answer::Absent(String::new()), Answer::Data);
    match request {
        Request::ReadLatest => driver.read_latest().map_or_else(Answer::Failed, found),
        Request::SwapLatest { old, new } => match driver.swap_latest(old, new) {
            Ok(Swap::Done) => Answer::Done,
            Ok(Swap::Conflict(current)) => Answer::Conflict(current),
            Err(error) => Answer::Failed(error),
        },
        Request::ReadCache { key } => found(driver.read_cache(key)),
        Request::WriteCache { key, data } => {
            driver.write_cache(key, data);
            Answer::Done
        }
        Request::ReadRemote { path } => match driver.read_remote(path) {
            Ok(data) => Answer::Data(data),
            Err(RemoteError::Absent(reason)) => Answer::Absent(reason),
            Err(RemoteError::Failed(error)) => Answer::Failed(error),
        },
    }
}
