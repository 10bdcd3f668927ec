//! What clients, upstreams and operators can rely on, seen from outside: the real program, real sockets, and upstreams
//! that break every rule.
//!
//! * [`scene`] sets the stage: an upstream with one module, and a `modkeep` in front of it.
//! * `endpoints`, `ranges`, `wire`, `requests`, `limits`, `admission`, `crowd`: the side of the clients.
//! * `absence`, `outage`, `flights`, `answers`, `redirects`, `proxies`, `pac`, `sumdb`, `verify`, `hostile`, `heads`,
//!   `circle`, `names`: the side of the upstreams.
//! * `settings`, `lifecycle`, `handover`, `offline`, `storage`, `disk`, `log`, `spans`, `tls`, `privacy`, `provenance`,
//!   `scrub`, `doctor`, `edge`: the side of the operators.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod absence;
mod admission;
mod answers;
mod api;
mod circle;
mod crowd;
mod disk;
mod doctor;
mod edge;
mod endpoints;
mod flights;
mod handover;
mod heads;
mod hostile;
mod index;
mod lifecycle;
mod limits;
mod log;
mod names;
mod offline;
mod outage;
mod pac;
mod privacy;
mod provenance;
mod proxies;
mod ranges;
mod redirects;
mod requests;
mod scene;
mod scrub;
mod settings;
mod spans;
mod stale;
mod storage;
mod sumdb;
mod tls;
mod verify;
mod wire;
