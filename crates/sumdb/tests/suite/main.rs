//! The checksum database from both sides: clients against logs, good and hostile.
#![expect(
    clippy::expect_used,
    reason = "a helper of tests that cannot do its work fails the test"
)]

mod audit;
mod client;
mod corpus;
mod forks;
mod fuzzed;
mod go;
mod log;
mod properties;
mod refusals;
mod scale;
mod serve;
mod support;
mod vectors;
