//! What the real `go` command can rely on: it runs through the real program, and through nothing else.
//!
//! * [`scene`] sets the stage: a generated project, an upstream that has its modules, a `modkeep` in front of it.
//! * `builds`: downloads and builds, alone and thirty at a time, with and without the upstream.
//! * `trees`: folders in the layout of the protocol, as upstream, as what is left behind, as what is copied in.
//! * `crash`: the program is killed in the midst of its work.
//! * `warm`, `warm_flows`: what is fetched ahead of time is enough.
//! * `prefetch`: what is fetched before `go` asks for it.
//! * `verified`: what `go` itself verifies, with the program as its only way to the checksum database.
//! * `live`: real modules from the public services; only with `MODKEEP_LIVE=1`.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod builds;
mod crash;
mod live;
mod power;
mod prefetch;
mod scene;
mod trees;
mod verified;
mod warm;
mod warm_flows;
