//! The heart of modkeep: answers from the store where it can, fetches once where it must.
//!
//! A question goes the same way whatever it is for: stored and good? Then that is the answer. Otherwise one fetch is
//! begun, or joined if it is under way; it belongs to nobody, so it goes on when whoever asked first has left. What
//! comes in is given to all who wait, checked, and kept.
//!
//! - [`Depot::file`]: immutable files; from the store for ever.
//! - [`Depot::answer`]: lists, `@latest`, branches; from the store while fresh, and stale when no upstream answers.
//! - [`Depot::sumdb`]: what a checksum database says; relayed and kept.

mod answers;
mod depot;
mod error;
mod files;
mod flight;
mod growing;
mod negative;
mod reply;
mod settings;
mod shared;
mod sumdb;

pub use depot::{Depot, StoreTotals};
pub use error::DepotError;
pub use growing::{GrowingFile, Progress};
pub use reply::{AnswerReply, FileReply, Freshness, SmallFile};
pub use settings::{Settings, SumdbRoute};
pub use shared::{Context, FetchMode};
pub use sumdb::SumdbReply;
