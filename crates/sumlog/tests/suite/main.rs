//! What those who rely on a log can rely on, whatever happens to the process that writes it.
//!
//! * [`support`] makes keys, entries and logs, and collects what was ever promised.
//! * `crashes`: a failure at every step, and a process killed at any time.
//! * `growth`: batches, contradictions, readers beside the writer, other processes.
//! * `keys`: rotation and strangers' keys.
//! * `witnesses`: cosignatures.
//! * `audits`: what an audit from outside finds.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod audits;
mod crashes;
mod growth;
mod keys;
mod support;
mod witnesses;
