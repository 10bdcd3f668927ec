//! The log side: growing a checksum database of one's own and serving it.
//!
//! Readers forgive nothing: a head that was signed once must be extended by every later one, whatever crashes between.
//! So the order in which a batch becomes public is fixed, and each step must be durable before the next begins:
//!
//! 1. the records, with the index by module version;
//! 2. the hashes of the records and of the subtrees they complete;
//! 3. the signature of the new head, which is written down as the last signed one, apart from the rest, before anybody
//!    may see it;
//! 4. the publication of that head.
//!
//! The types make the order: [`Staged`], [`Hashed`] and [`Signed`] each come from the step before, and nothing else
//! can be signed. A crash after step 1 or 2 leaves records that the next start hashes and signs; a crash after step 3
//! leaves a head that the next start publishes. [`LogWriter`] takes these steps with a [`LogStore`] that blocks; who
//! stores otherwise can take them himself.
//!
//! What is refused rather than signed: a store with fewer records than the last signed head has (a restored backup),
//! stored hashes that do not have the signed root, and a head when another writer has signed one meanwhile.

mod batch;
mod keys;
mod serve;
mod store;
mod writer;

pub use batch::{Hashed, Signed, Staged};
pub use keys::LogKeys;
pub use serve::{Lifetime, Resource, Served, serve};
pub use store::{Heads, LogReader, LogRecord, LogStore, Sizes};
pub use writer::{LogWriter, Outcome, Rejection};
