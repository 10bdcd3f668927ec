//! What those who use a store can rely on, whatever happens to its files.
//!
//! * [`scene`] makes stores and keys.
//! * `files`: publication, and what a damaged file does.
//! * `imported`: files that somebody else put into the tree.
//! * `answers`: what may change.
//! * `corpus`, `fuzzed`: paths nobody would think of.
//! * `lifecycle`: lock, leftovers, the mark of a crash.
//! * `records`, `index`, `rebuild`: what is known about the files.
//! * `pins`, `provenance`: what versions must hash to, and what happened to them.
//! * `quarantine`: bytes that must not be served.
//! * `room`: what was used when, and what may go.
//! * `walk`: reading all of it again.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod answers;
mod corpus;
mod files;
mod fuzzed;
mod imported;
mod index;
mod lifecycle;
mod pins;
mod provenance;
mod quarantine;
mod rebuild;
mod records;
mod room;
mod scene;
mod walk;
