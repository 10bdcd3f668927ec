//! What holds for every input of the parsers, whoever made it: the corpora of the fuzzers, and inputs made from them.
#![expect(
    clippy::expect_used,
    reason = "a helper of tests that cannot do its work fails the test"
)]

mod corpus;
mod fuzzed;
