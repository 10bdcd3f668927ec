//! The live fault rig: a network on loopback that is broken in one place, and the verdict on it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "tests; their tables are long and say what ran"
)]

mod compared;
mod dns;
mod healthy;
mod mended;
mod project;
mod scenarios;
mod scene;
mod servers;
mod settings_of_others;
