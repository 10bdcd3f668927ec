//! Asks other GOPROXY servers, in the order of a chain, and tells absence from trouble.
//!
//! What the `go` command cannot do with its own chain, this one does: it goes on to the next upstream after every
//! kind of failure, and says "absent" only when every upstream that could know was asked and said so.
//!
//! A request for a small file is answered with its whole, checked body; one for a zip with a stream, which is taken up
//! elsewhere when it breaks off.
//!
//! Decisions are made apart from input and output, by what is told the time: `campaign` whom to ask and when to give
//! up, `breaker` when to leave an upstream alone, `budget` what it may be asked to bear, `backoff` when to come
//! back, `latency` what is usual, `order` who comes first, `severity` what a failure means.

mod backoff;
mod body;
mod breaker;
mod budget;
mod campaign;
mod chain;
mod check;
mod circle;
mod classify;
mod client;
mod connect;
mod dns;
mod error;
mod exchange;
mod file;
mod guard;
mod health;
mod host_names;
mod http;
mod latency;
mod name_servers;
mod names;
mod observe;
mod order;
mod part;
mod probe;
mod request;
mod resume;
mod routes;
mod severity;
#[cfg(test)]
mod simulation;
mod sumdb;
mod tally;
mod trials;
mod upstream;
mod via;

pub use breaker::BreakerState;
pub use chain::{Chain, ChainOptions, ChainStatus, UpstreamStatus};
pub use client::Limits;
pub use error::{Absence, ChainError, Failure};
pub use guard::AddressRule;
pub use health::Counts;
pub use host_names::{HostNames, NoAddress};
pub use name_servers::NameServers;
pub use observe::{Event, Observer, Outcome};
pub use order::Order;
pub use request::{BodyStream, Expect, Reply, Request, Small, Validators, ZipReply};
pub use via::Via;
