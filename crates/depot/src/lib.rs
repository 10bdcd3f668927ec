//! The heart of modkeep: answers from the store where it can, fetches once where it must.
//!
//! A question goes the same way whatever it is for: stored and good? Then that is the answer. Otherwise one fetch is
//! begun, or joined if it is under way; it belongs to nobody, so it goes on when whoever asked first has left. What
//! comes in is given to all who wait, checked, and kept.
//!
//! - [`Depot::file`]: immutable files; from the store for ever.
//! - [`Depot::answer`]: lists, `@latest`, branches; from the store while fresh, and stale when no upstream answers.
//! - [`Depot::publish`]: modules that come from here and from nowhere else.
//! - [`Depot::pushed`]: a repository has something new.
//! - [`Depot::sumdb`]: what a checksum database says; proven, relayed and kept.
//! - [`Depot::vouched`]: hashes of stored files, and what vouches for them.
//! - [`Depot::scrub`]: stored files are read again, and what is damaged is replaced or set aside.
//! - [`Depot::clean`]: what was not used for long makes room, if it can be had again.
//!
//! No client can complete a `.mod` or `.zip` that was not checked against the checksum database, where one covers it.

mod answers;
mod apart;
mod clean;
mod damage;
mod databases;
mod degraded;
mod depot;
mod error;
mod files;
mod flight;
mod gate;
mod growing;
mod moved;
mod negative;
mod origin;
mod passed_over;
mod proven;
mod publish;
mod pushed;
mod receive;
mod recheck;
mod reply;
mod scrub;
mod settings;
mod shared;
mod source;
mod sumdb;
mod verify;
mod vouched;

pub use clean::{CleanTotals, Cleaned, Cleaning};
pub use degraded::{Degradation, Degraded};
pub use depot::{Depot, StoreTotals};
pub use error::{DepotError, Mismatched};
pub use gate::{Admission, Party};
pub use growing::{GrowingFile, Progress};
pub use publish::{PublishError, Published};
pub use pushed::Push;
pub use reply::{AnswerReply, FileReply, Freshness, SmallFile};
pub use scrub::{
    ScrubFinding, ScrubObserver, ScrubOptions, ScrubOutcome, ScrubReport, ScrubSchedule,
    ScrubTotals,
};
pub use settings::{Settings, SumdbRoute, VerifyMode};
pub use shared::{Context, FetchMode};
pub use sumdb::SumdbReply;
pub use vouched::Vouched;
