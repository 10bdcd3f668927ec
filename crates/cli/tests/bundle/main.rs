//! Bundles, as people use them: made by the real program, applied without network, and the real `go` as the client
//! behind.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod clients;
mod forging;
mod hostile;
mod making;
mod scene;
