//! The verdict on caches and vendor directories that the real `go` has filled and something has damaged since, beside the
//! verdict of `go mod verify`.
//!
//! * `against_go`: a module cache.
//! * `workspace`: what the members of a go.work file use.
//! * `vendor`: vendor directories.
//! * [`damage`]: what happens to files.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod against_go;
mod damage;
mod vendor;
mod workspace;
