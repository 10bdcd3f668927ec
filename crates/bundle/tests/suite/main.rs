//! What a bundle may look like. (What is in one, and what becomes of it: the tests of the program.)
//!
//! * [`forged`] makes bundles as somebody would who knows the format.
//! * `corpus`, `fuzzed`: what nobody would think of.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod corpus;
mod forged;
mod fuzzed;
