//! Keys and audits of checksum logs, as people use them: the real program.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod audit;
mod key;
mod scene;
mod server;
mod tag;
mod verify;
