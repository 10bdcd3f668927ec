//! What holds for every input of the parsers, whoever made it: the corpora of the fuzzers, and inputs made from them.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a helper of tests that cannot do its work fails the test, and a test tells how much it compared"
)]

mod corpus;
mod fuzzed;
mod mvs;
