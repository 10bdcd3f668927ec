//! What the server and the command line can rely on: one fetch for all, nothing unchecked, the best answer there is.
//!
//! * [`scene`] makes depots in front of an upstream that fails on demand.
//! * `files`, `growing`: what never changes, whole and while it comes in.
//! * `answers`: what changes with time.
//! * `absence`, `privacy`: what is not there, and what nobody is told.
//! * `sumdb`: the relay of checksum databases.
//! * `ahead`: what is found out while a file is on its way.
//! * `verify`: nothing that is not what the database says.
//! * `recheck`: what could not be verified is, as soon as that is possible.
//! * `scrub`: what the disk has spoilt is found and replaced.
//! * `clean`: what makes room, and what does not.
//! * `lifecycle`: restarts and records.
//! * `repositories`: versions made from git, and tags that move.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod absence;
mod ahead;
mod answers;
mod clean;
mod files;
mod growing;
mod lifecycle;
mod privacy;
mod recheck;
mod repositories;
mod scene;
mod scrub;
mod sumdb;
mod verify;
