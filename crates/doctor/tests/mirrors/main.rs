//! Mirrors on loopback, good ones and bad ones in every way, compared as `modkeep mirrors` does.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot build its servers fails, and tells its figures"
)]

mod advice;
mod applying;
mod ranking;
mod scene;
#[path = "../rig/servers.rs"]
#[expect(dead_code, reason = "the rig of the diagnosis uses the rest")]
mod servers;
mod watching;
