//! The Go checksum database: everything about it that needs no network and no disk.
//!
//! A checksum database is a transparency log of module hashes. Whoever asks it for a hash need not trust it: the
//! answer is proven to be in a tree whose head the database has signed, every head is proven to extend the one seen
//! before, and so a lie would have to be told to everybody, for ever, in public.
//!
//! This crate is both sides of that bargain, as computation on bytes that other code fetches and stores. The client
//! side serves `modkeep serve` and the command-line tools alike; the log side runs a database for private modules.

pub mod audit;
pub mod checkpoint;
pub mod client;
pub mod log;
pub mod note;
pub mod record;
pub mod tile;
pub mod tlog;

mod base64;
mod error;
mod fork;
mod hash;
mod text;

pub use error::{BoxError, Error};
pub use fork::Fork;
