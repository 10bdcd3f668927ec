//! Module files are there before anybody asks for them.
//!
//! [`Prefetch`] watches what clients ask for, and fetches what they will ask for next.
//!
//! [`warm()`] fetches ahead of time what projects need: [`Targets`] are read from go.mod, go.work and go.sum files, the
//! module graph is walked with Go's own rules, and what a build would download is fetched through a [`Source`].

mod ahead;
mod client;
mod session;
mod source;
mod targets;
mod warm;

pub use ahead::{Counts, Prefetch, Presence, Settings};
pub use source::{Got, Source};
pub use targets::{TargetError, Targets};
pub use warm::{Failed, Progress, Report, warm};
