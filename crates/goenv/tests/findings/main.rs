//! What is found wrong with settings, rule by rule, and that healthy setups are left in peace.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and tells how much it has compared"
)]

mod advice;
mod healthy;
mod mistakes;
mod report;
mod rows;
mod world;
