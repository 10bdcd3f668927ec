//! Asks other GOPROXY servers, in the order of a chain, and tells absence from trouble.
//!
//! What the `go` command cannot do with its own chain, this one does: it goes on to the next upstream after every
//! kind of failure, and says "absent" only when every upstream that could know was asked and said so.
//!
//! A request for a small file is answered with its whole, checked body; one for a zip with a stream.

mod chain;
mod check;
mod classify;
mod client;
mod error;
mod file;
mod guard;
mod http;
mod request;
mod routes;
mod sumdb;

pub use chain::{Chain, ChainOptions, ChainStatus, Observer, Outcome, UpstreamStatus};
pub use client::Limits;
pub use error::{Absence, ChainError, Failure};
pub use request::{BodyStream, Expect, Reply, Request, Small, Validators, ZipReply};
