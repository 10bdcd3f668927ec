//! modkeep's HTTP side: the GOPROXY protocol, the checksum database relay, the index, and what operators ask for.
//!
//! A request is answered by the first of these that knows it:
//!
//! 1. `hot`: small answers given a moment ago, by their path;
//! 2. `protocol`: everything below a module path or `/sumdb/`, answered by the depot;
//! 3. `ops`: health, metrics, the index; and `api`: what programs ask for.
//!
//! `listener` holds what protects all of them from slow, endless or broken clients.

mod access;
mod api;
mod body;
mod conditional;
mod doctor;
mod error;
mod hooks;
mod hot;
mod id;
mod intake;
mod io;
mod kernel_send;
mod listener;
mod metrics;
mod operator;
mod ops;
mod own_log;
mod protocol;
mod range;
mod respond;
mod service;
mod span;
mod state;
mod target;
mod tls;
mod told;
mod watch;

pub use access::Access;
pub use body::Body;
pub use doctor::{ShownSetting, Standpoint};
pub use listener::{Limits, Listener, ServeError};
pub use metrics::{METRICS, MetricDoc, Metrics};
pub use operator::OperatorToken;
pub use own_log::OwnLog;
pub use service::App;
pub use tls::{Certificate, TlsError, TlsFiles};
