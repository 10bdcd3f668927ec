//! What a chain says of upstreams that answer, lie, stall and fail, over real sockets of loopback.
//!
//! * [`scene`] makes chains, requests and upstreams; [`name_server`] speaks DNS; [`child`] asks where other authorities are trusted.
//! * `faults`, `statuses`, `bodies`, `tls`, `http_proxies`, `names`, `resolvers`: one upstream, and what is wrong with it.
//! * `verdict`, `ranking`: several upstreams, and what follows from what they say.
//! * `redirects`, `revalidation`, `credentials`: what is sent, and to whom.
//! * `zips`, `folder`, `sumdb`: the other ways to ask.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod bodies;
mod child;
mod credentials;
mod faults;
mod folder;
mod http_proxies;
mod name_server;
mod names;
mod ranking;
mod redirects;
mod resolvers;
mod revalidation;
mod scene;
mod statuses;
mod sumdb;
mod tls;
mod verdict;
mod zips;
