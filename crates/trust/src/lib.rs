//! Whether bytes may be believed.
//!
//! A module version is what its checksum database says it is. [`Database`] is a durable client of one such database:
//! it does the input and output for the state machines of [`sumdb::client`], keeps what they have proven, and never
//! goes back behind the newest signed head it has seen, whatever crashes. A version that no database covers is what it
//! was when it was first seen.
//!
//! [`Basis`] is what a file will be compared with, found out while the file is still on its way; [`Basis::judge`] is the
//! comparison. Who fetches bytes, and from where, makes no difference here.
//!
//! - [`Database`]: look-ups, tiles and heads, proven; one fetch for all who ask for the same.
//! - [`Kept`]: what is kept of a database, for commands that bring proofs themselves.
//! - [`Remote`]: how the database is reached.
//! - [`Basis`], [`Standing`], [`Mismatch`]: the judgement.
//! - [`TrustError`]: why there is none: out of reach, unknown there, misbehaving.

mod cache;
mod database;
mod edges;
mod error;
mod evidence;
mod exchange;
mod flight;
mod head;
mod judge;
mod kept;
mod remote;

pub use database::{Database, Head, Proven};
pub use error::TrustError;
pub use evidence::forks_on_file;
pub use judge::{Basis, Disbelief, Mismatch, Standing};
pub use kept::Kept;
pub use remote::{Remote, RemoteFuture, RemoteTrouble, Way};
